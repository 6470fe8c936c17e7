"""How each kind of control is looked at. Nothing is written here; what cannot be looked at says why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from productops.domain.catalog_compliance import (
    AdminsFew,
    AnalysisKept,
    AuditAnchored,
    BackupDrilled,
    FlagsFresh,
    FourEyes,
    FreezesKept,
    NoSelfApproval,
    OverridesReviewed,
    QuarantineKept,
    RollbackDrilled,
    TokensInUse,
)
from productops.domain.catalog_windows import Effect
from productops.domain.governance_access import ANY, Role
from productops.domain.governance_audit import AuditEntry, AuditFilter
from productops.domain.governance_audit_proof import Verifier
from productops.domain.governance_compliance import INSTALLATION, Control, Deviation, Looked
from productops.domain.governance_compliance_releases import RULES, ReleaseFacts, self_approved, self_permitted
from productops.domain.release import Environment, Release
from productops.domain.release_flags.stale import StaleReason, stale_flags
from productops.ports import AnchorBook
from productops.store import Unit
from productops.store.governance_approvals import ApprovalFilter
from productops.usecases.context import Context

_PAGE = 500
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a look is given. ``book``: where anchors of the audit log are kept; None where this program does not know."""

    context: Context
    unit: Unit
    now: datetime
    book: AnchorBook | None = None


def look(scene: Scene, control: Control) -> Looked:
    """Look at one control."""
    check = control.spec.check
    if isinstance(check, FourEyes | FreezesKept | AnalysisKept):
        return _releases(scene, control, check)
    found: Looked = _LOOKS[check.kind](scene, control, check)
    return found


def _begin(scene: Scene, check: Any) -> datetime:
    begin: datetime = scene.now - check.days * _DAY
    return max(begin, check.since) if check.since else begin


def _releases(scene: Scene, control: Control, check: FourEyes | FreezesKept | AnalysisKept) -> Looked:
    rule, looked, found = RULES[check.kind], 0, list[Deviation]()
    for releases in scene.unit.compliance_facts.releases(check.environments, since=_begin(scene, check)):
        mine = [release for release in releases if control.covers(venture=release.venture, service=release.service)]
        for facts in _facts(scene, mine, freezes=check.kind == "freezes-kept"):
            looked += 1
            found += rule(facts, scene.now)
    return Looked(tuple(found), looked_at=looked)


def _facts(scene: Scene, releases: list[Release], *, freezes: bool) -> Iterator[ReleaseFacts]:
    """Of those that began; the others reached nobody."""
    unit = scene.unit
    began, looks = unit.compliance_facts.began(releases), unit.compliance_facts.looks(releases)
    for release in releases:
        at = began.get(release.id)
        if at is None:
            continue
        approval = unit.approvals.of_subject(f"release/{release.id}")
        if approval is None and release.plan.get("train"):
            approval = unit.approvals.of_subject(f"train/{release.plan['train']}")
        yield ReleaseFacts(
            release=release, began_at=at, approval=approval,
            reviews=tuple(unit.approval_reviews.of_approval(approval.id)) if approval else (),
            bypass=unit.bypasses.get(release.plan["bypass"]) if release.plan.get("bypass") else None,
            freezes=_freezes(unit, release, at) if freezes else (), looks=looks.get(release.id, 0),
        )  # fmt: skip


def _freezes(unit: Unit, release: Release, at: datetime) -> tuple[Any, ...]:
    """Freezes that the release began in; a calendar that changed after that says nothing of what was known then."""
    calendars = unit.calendars.covering(release.venture, release.service, release.environment)
    names = [c.name for c in calendars if c.effect is Effect.FREEZE and (c.state.changed_at is None or c.state.changed_at <= at)]
    found = unit.calendars.occurrences(names, after=at, before=at + timedelta(microseconds=1)) if names else []
    return tuple(each for each in found if each.includes(at))


def _self_approval(scene: Scene, control: Control, check: NoSelfApproval) -> Looked:
    unit, begin, before, looked, found = scene.unit, _begin(scene, check), None, 0, list[Deviation]()
    while page := unit.approvals.newest(ApprovalFilter(), before=before, limit=_PAGE):
        for request in page:
            mine = request.environment is None or request.environment in check.environments
            if request.created_at >= begin and mine and control.covers(venture=request.venture, service=None):
                looked += 1
                found += self_approved(request, unit.approval_reviews.of_approval(request.id))
        before = page[-1].id
        if page[-1].created_at < begin:
            break
    bypasses = [b for b in unit.bypasses.newest(limit=10_000) if b.asked_at >= begin and b.environment in check.environments]
    for bypass in bypasses:
        if control.covers(venture=bypass.venture, service=bypass.service):
            looked += 1
            found += self_permitted(bypass)
    return Looked(tuple(found), looked_at=looked)


def _overrides(scene: Scene, control: Control, check: OverridesReviewed) -> Looked:
    limit, found, looked, before = check.within_days * _DAY, list[Deviation](), 0, None
    while page := scene.unit.approval_reviews.newest(open_only=True, before=before, limit=_PAGE):
        for review in page:
            if not control.covers(venture=review.venture, service=None):
                continue
            looked += 1
            if scene.now - review.opened_at >= limit:
                waited = _days(scene.now - review.opened_at)
                sentence = f"the override of {review.subject} by {review.overridden_by} has waited {waited} for its review"
                evidence = {"review_id": review.id, "reason": review.reason, "opened_at": review.opened_at.isoformat()}
                found.append(Deviation(review.subject, sentence, review.id, review.venture, None, evidence))
        before = page[-1].id
    return Looked(tuple(found), looked_at=looked)


def _audit(scene: Scene, control: Control, check: AuditAnchored) -> Looked:  # noqa: ARG001 - all looks are asked alike
    if scene.book is None:
        return Looked(unchecked="this program does not know where the anchors of the audit log are kept")
    head, _ = scene.unit.audit.head()
    newest = scene.book.newest()
    if newest is None:
        sentence = f"no anchor of the audit log was ever written; it has {head} entries"
        return Looked((Deviation(INSTALLATION, sentence, "never", evidence={"entries": head}),) if head else (), looked_at=1)
    evidence = {"anchor": newest.document(), "newest_entry": head}
    verifier = Verifier({newest.seq: newest}, after=max(0, newest.seq - 1))
    first = scene.unit.audit.following(verifier.after, limit=1)
    verifier.last_hash = first[0].previous_hash if first else verifier.last_hash
    while entries := scene.unit.audit.following(verifier.after):
        if not verifier.take(entries) or verifier.waiting:
            break
    broken = verifier.finish().broken
    if broken is not None:
        sentence = f"the audit log does not fit its newest anchor: entry {broken.seq} {broken.kind}: {broken.detail}"
        return Looked((Deviation(INSTALLATION, sentence, "broken", evidence=evidence),), looked_at=1)
    age = scene.now - datetime.fromisoformat(newest.at)
    if head > newest.seq and age > timedelta(hours=check.within_hours):
        sentence = f"the newest anchor of the audit log is {_days(age)} old, and {head - newest.seq} entries came after it"
        return Looked((Deviation(INSTALLATION, sentence, "old", evidence=evidence),), looked_at=1)
    return Looked(looked_at=1)


def _tokens(scene: Scene, control: Control, check: TokensInUse) -> Looked:
    found, looked = list[Deviation](), 0
    for token in scene.unit.tokens.all():
        venture = None if token.venture == ANY else token.venture
        if token.state(scene.now) != "live" or not control.covers(venture=venture, service=None):
            continue
        looked += 1
        evidence = {
            "token": token.public_id, "owner": token.owner, "name": token.name, "created_at": token.created_at.isoformat(),
            "expires_at": token.expires_at.isoformat(), "last_used_at": token.last_used_at.isoformat() if token.last_used_at else None,
        }  # fmt: skip
        what, idle = f"token {token.public_id} ({token.name}) of {token.owner}", scene.now - (token.last_used_at or token.created_at)
        if idle >= check.unused_days * _DAY:
            said = f"{what} was {'not used' if token.last_used_at else 'never used'} for {_days(idle)}"
            found.append(Deviation(f"token/{token.public_id}", said, "unused", venture, None, evidence))
        if token.expires_at - token.created_at > check.valid_days * _DAY:
            said = f"{what} is valid for {_days(token.expires_at - token.created_at)}"
            found.append(Deviation(f"token/{token.public_id}", said, "long", venture, None, evidence))
    return Looked(tuple(found), looked_at=looked)


def _admins(scene: Scene, control: Control, check: AdminsFew) -> Looked:  # noqa: ARG001
    people = scene.unit.principals.all()
    admins = sorted(p.name for p in people if any(g.role is Role.ADMIN for g in p.principal(scene.now).grants))
    if len(admins) <= check.at_most:
        return Looked(looked_at=len(people))
    sentence = f"{len(admins)} people and programs are admins; at most {check.at_most} are to be: {', '.join(admins[:20])}"
    return Looked((Deviation(INSTALLATION, sentence, evidence={"admins": admins}),), looked_at=len(people))


def _flags(scene: Scene, control: Control, check: FlagsFresh) -> Looked:
    flags = [flag for flag in scene.unit.flags.all() if not flag.state.archived and control.covers(venture=flag.venture, service=None)]
    span = check.days * _DAY
    stale = stale_flags(flags, {}, environment=Environment.PRODUCTION, now=scene.now, unused=timedelta.max, settled=span)
    found = [
        Deviation(
            f"flag/{s.key}", f"flag {s.key} of {s.owner}: {s.detail}", s.reason.value, s.venture, None, {"since": s.since.isoformat()}
        )
        for s in stale if s.reason in {StaleReason.EXPIRED, StaleReason.SETTLED}
    ]  # fmt: skip
    return Looked(tuple(found), looked_at=len(flags))


def _rollbacks(scene: Scene, control: Control, check: RollbackDrilled) -> Looked:
    unit, found, looked = scene.unit, list[Deviation](), 0
    for service in unit.catalog.services():
        targets = [unit.traffic.find(service.name, environment) for environment in check.environments]
        serving = any(target is not None and target.baseline_version for target in targets)
        if not serving or not control.covers(venture=service.venture, service=service.name):
            continue
        looked += 1
        last = unit.compliance_facts.last_rolled_back(service.name, check.environments)
        if last is not None and last.ended_at is not None and scene.now - last.ended_at <= check.within_days * _DAY:
            continue
        when = f"was last rolled back {_days(scene.now - last.ended_at)} ago" if last and last.ended_at else "was never rolled back"
        sentence = f"{service.name} {when}; whether it works is to be tried every {check.within_days:g} days"
        evidence = {"release_id": last.id if last else None}
        found.append(Deviation(f"service/{service.name}", sentence, "", service.venture, None, evidence))
    return Looked(tuple(found), looked_at=looked)


def _backups(scene: Scene, control: Control, check: BackupDrilled) -> Looked:  # noqa: ARG001
    since = scene.now - check.within_days * _DAY
    for action in check.actions:
        if scene.unit.audit.page(AuditFilter(action=action, since=since), limit=1).items:
            return Looked(looked_at=1)
    sentence = f"the audit log tells of no restore of a backup in {check.within_days:g} days ({', '.join(check.actions)})"
    return Looked((Deviation(INSTALLATION, sentence, evidence={"actions": list(check.actions)}),), looked_at=1)


def _quarantines(scene: Scene, control: Control, check: QuarantineKept) -> Looked:
    found, looked = list[Deviation](), 0
    for service in scene.unit.catalog.services():
        if not control.covers(venture=service.venture, service=service.name):
            continue
        looked += 1
        if not service.spec.rollout.quarantine:
            sentence = f"{service.name} does not bar versions that were rolled back (rollout.quarantine: false)"
            found.append(Deviation(f"service/{service.name}", sentence, "", service.venture, None, {"revision": service.revision}))
    owners = {service.name: service.venture for service in scene.unit.catalog.services()}
    for entry in _insisted(scene.unit, _begin(scene, check)):
        detail = entry.content
        venture = owners.get(detail["service"])
        if detail["environment"] in check.environments and control.covers(venture=venture, service=detail["service"]):
            sentence = (
                f"{entry.actor} released {detail['service']} {detail['version']} although it was barred: {detail['before']['barred']}"
            )
            evidence = {"audit_entry": entry.seq, "note": entry.reason}
            found.append(Deviation(entry.subject, sentence, str(entry.seq), venture, detail["environment"], evidence))
    return Looked(tuple(found), looked_at=looked)


def _insisted(unit: Unit, since: datetime) -> Iterable[AuditEntry]:
    """Entries that tell of a bar that somebody went past; those that were erased say too little."""
    after = None
    while True:
        page = unit.audit.page(AuditFilter(action="quarantine.lifted", since=since), limit=_PAGE, after=after)
        yield from (entry for entry in page.items if "detail" not in entry.erased_texts)
        after = page.after
        if after is None:
            return


def _days(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours < 48 else f"{span.days} days"


_LOOKS: dict[str, Callable[[Scene, Control, Any], Looked]] = {
    "no-self-approval": _self_approval,
    "overrides-reviewed": _overrides,
    "audit-anchored": _audit,
    "tokens-in-use": _tokens,
    "admins-few": _admins,
    "flags-fresh": _flags,
    "rollback-drilled": _rollbacks,
    "backup-drilled": _backups,
    "quarantine-kept": _quarantines,
}
