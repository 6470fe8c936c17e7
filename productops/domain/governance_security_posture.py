"""How well an installation is protected: a score for each area, and every point that is missing with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from productops.domain.governance_access import ANY, Role
from productops.domain.governance_access_tokens import Person, Token
from productops.domain.governance_security import Mark, RuleId, StoredFinding

FULL: Final = 100
LONG_LIFE: Final = timedelta(days=180)
UNUSED: Final = timedelta(days=90)
CHAIN_LATE: Final = timedelta(hours=1)
ADVISORIES_LATE: Final = timedelta(hours=1)
ADMINS_MANY: Final = 5
LOST_BY_SEVERITY: Final = {"SEV1": 60, "SEV2": 40, "SEV3": 20, "SEV4": 5}
NAMED: Final = 5
BETTER_PART: Final = "release a version with the part that is good again"
TOKEN_RULES: Final = frozenset({RuleId.REVOKED_TOKEN, RuleId.EXPIRED_TOKEN, RuleId.MANY_ADDRESSES})


@dataclass(frozen=True, slots=True)
class Reason:
    """Points that are missing, why, and what to do."""

    points: int
    text: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Area:
    """One area. ``score``: 0 to 100, higher is better; None: it could not be looked at, and ``reasons`` say why."""

    name: str
    reasons: tuple[Reason, ...] = ()
    known: bool = True

    @property
    def score(self) -> int | None:
        """What is left of a hundred."""
        return max(0, FULL - sum(each.points for each in self.reasons)) if self.known else None


@dataclass(frozen=True, slots=True)
class Posture:
    """All areas. The score is the worst area's: a wall is as high as its lowest place."""

    at: datetime
    areas: tuple[Area, ...]
    open_findings: int

    @property
    def score(self) -> int | None:
        """0 to 100; None while no area is known."""
        return min((area.score for area in self.areas if area.score is not None), default=None)


@dataclass(frozen=True, slots=True)
class Exposure:
    """How the API can be reached. ``behind_proxy``: something before it ends TLS."""

    loopback: bool
    tls: bool
    behind_proxy: bool
    installation_token: bool
    status_pages: bool = False
    private_webhooks: bool = False


@dataclass(frozen=True, slots=True)
class PostureFacts:
    """What the areas are judged by. ``compared``: whether the watch has advisories (its mark says so)."""

    tokens: Sequence[Token]
    people: Sequence[Person]
    findings: Sequence[StoredFinding]
    chain: Mark = field(default_factory=Mark)
    advisories: Mark = field(default_factory=Mark)


def posture_of(facts: PostureFacts, exposure: Exposure | None, *, whole: bool, now: datetime) -> Posture:
    """Judge all areas. ``exposure`` None: nobody here knows how the API is reached. ``whole``: the caller may see all ventures."""
    own = (_tokens(facts, exposure, now=now), _roles(facts, now=now))
    if whole:
        return Posture(now, (*own, _parts(facts, now=now), _chain(facts.chain, now=now), _exposure(exposure)), len(facts.findings))
    hidden = Reason(0, "it is of the whole installation", "ask somebody who may read the security of all ventures")
    parts = Area("vulnerable-parts", tuple(_found(facts.findings, frozenset({RuleId.VULNERABLE}), BETTER_PART)))
    others = tuple(Area(name, (hidden,), known=False) for name in ("audit-chain", "exposure"))
    return Posture(now, (*own, parts, *others), len(facts.findings))


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown


def _found(findings: Sequence[StoredFinding], rules: frozenset[RuleId], remedy: str) -> list[Reason]:
    return [
        Reason(LOST_BY_SEVERITY[each.finding.severity], each.finding.summary, remedy) for each in findings if each.finding.rule in rules
    ]  # fmt: skip


def _tokens(facts: PostureFacts, exposure: Exposure | None, *, now: datetime) -> Area:
    live = [token for token in facts.tokens if token.state(now) == "live"]
    wide = [t.public_id for t in live if t.operations is None and t.venture == ANY]
    unused = [t.public_id for t in live if now - (t.last_used_at or t.created_at) > UNUSED]
    long = [t.public_id for t in live if t.expires_at - max(t.created_at, t.rotated_at or t.created_at) > LONG_LIFE]
    reasons = _found(facts.findings, TOKEN_RULES, "revoke it and look where it was used: productops token revoke ID")
    if wide:
        reasons.append(Reason(10, f"{len(wide)} tokens may do all that their owners may, in all ventures: {_named(wide)}", "narrow them"))
    if unused:
        reasons.append(Reason(10, f"{len(unused)} tokens were not used for {UNUSED.days} days: {_named(unused)}", "revoke them"))
    if long:
        reasons.append(Reason(10, f"{len(long)} tokens hold for more than {LONG_LIFE.days} days: {_named(long)}", "rotate them sooner"))
    if exposure is not None and exposure.installation_token and not exposure.loopback:
        remedy = "turn it off once somebody is admin: PRODUCTOPS_INSTALLATION_TOKEN=false"
        reasons.append(Reason(20, "the installation's token, which may do everything, works from other machines", remedy))
    return Area("tokens", tuple(reasons))


def _roles(facts: PostureFacts, *, now: datetime) -> Area:
    admins = [p.name for p in facts.people if not p.disabled and any(_is_admin(p, now=now))]
    dormant = [p.name for p in facts.people if p.disabled and any(held.holds(now) for held in p.grants)]
    endless = [p.name for p in facts.people if p.kind == "service" and any(_is_admin(p, now=now))]
    remedy = "see who did it and why: productops audit list; undo it where nobody meant it"
    reasons = _found(facts.findings, frozenset({RuleId.ODD_ACCESS, RuleId.OWN_APPROVAL, RuleId.REFUSED}), remedy)
    if len(admins) > ADMINS_MANY:
        reasons.append(
            Reason(20, f"{len(admins)} people and programs are admin: {_named(admins)}", "take the role from who does not need it")
        )
    if endless:
        reasons.append(Reason(20, f"programs are admin: {_named(endless)}", "give them the role that their work takes"))
    if dormant:
        reasons.append(Reason(10, f"disabled people still hold grants: {_named(dormant)}", "take them: productops access revoke NAME"))
    return Area("roles", tuple(reasons))


def _is_admin(person: Person, *, now: datetime) -> list[bool]:
    return [True for held in person.grants if held.grant.role is Role.ADMIN and held.grant.venture == ANY and held.holds(now)]


def _parts(facts: PostureFacts, *, now: datetime) -> Area:
    mark = facts.advisories
    if mark.at is None or now - mark.at > ADVISORIES_LATE:
        why = "no parts were compared with advisories" if mark.at is None else f"parts were compared last at {mark.at:%Y-%m-%d %H:%M} UTC"
        return Area(
            "vulnerable-parts", (Reason(0, why, "set PRODUCTOPS_ADVISORIES, and see that the watch runs: productops status"),), known=False
        )
    reasons = _found(facts.findings, frozenset({RuleId.VULNERABLE}), BETTER_PART)
    silent = list(mark.data.get("without_parts", ()))
    if silent:
        remedy = "hand in a parts list with the quality reports: productops quality validate --sbom FILE"
        reasons.append(Reason(min(30, 5 * len(silent)), f"nobody knows the parts of {_named(silent)}, which users get", remedy))
    if mark.data.get("problems"):
        reasons.append(Reason(10, f"advisories cannot be read: {_named(list(mark.data['problems']))}", "fetch these files again"))
    return Area("vulnerable-parts", tuple(reasons))


def _chain(mark: Mark, *, now: datetime) -> Area:
    if mark.at is None:
        return Area(
            "audit-chain", (Reason(0, "the audit log was not verified yet", "see that the watch runs: productops status"),), known=False
        )
    broken = mark.data.get("broken")
    if broken:
        text = f"entry {broken['seq']}: {broken['kind']}: {broken['detail']}"
        return Area("audit-chain", (Reason(FULL, text, "keep the database as it is and compare: productops audit verify"),))
    if now - mark.at > CHAIN_LATE:
        late = Reason(30, f"the audit log was verified last at {mark.at:%Y-%m-%d %H:%M} UTC", "see that the watch runs: productops status")
        return Area("audit-chain", (late,))
    return Area("audit-chain")


def _exposure(exposure: Exposure | None) -> Area:
    if exposure is None:
        return Area("exposure", (Reason(0, "not known here", "ask the API"),), known=False)
    reasons = []
    if not exposure.loopback and not exposure.tls:
        if exposure.behind_proxy:
            reasons.append(Reason(10, "TLS ends before this program, in a proxy", "see that nobody reaches it past the proxy"))
        else:
            reasons.append(Reason(80, "other machines reach the API without TLS", "set PRODUCTOPS_TLS_CERTIFICATE and PRODUCTOPS_TLS_KEY"))
    if exposure.private_webhooks and not exposure.loopback:
        reasons.append(Reason(10, "webhooks may be sent to private addresses", "turn PRODUCTOPS_WEBHOOK_ALLOW_PRIVATE off"))
    if exposure.status_pages:
        reasons.append(Reason(0, "status pages are open to everybody, as was set", "nothing, where that is meant"))
    return Area("exposure", tuple(reasons))
