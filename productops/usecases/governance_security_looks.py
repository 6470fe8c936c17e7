"""Looks into the audit log: rights given at odd hours, unusual releases, approvals of one's own, and whether the chain holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from productops.domain.catalog_security import Policies
from productops.domain.governance_audit import Anchor, AuditEntry, AuditFilter
from productops.domain.governance_audit_proof import Break, Verifier
from productops.domain.governance_security import RuleId, SecurityFinding
from productops.domain.governance_security_rules import ReleaseAsked, odd_access, odd_release, own_approval
from productops.errors import NotFoundError
from productops.store import Unit
from productops.usecases.context import Context
from productops.usecases.governance_access_audit import venture_of

ACCESS_ACTIONS: Final = ("access.granted", "access.revoked", "access.enabled", "token.created")
APPROVAL_ACTIONS: Final = ("approval.signed", "approval.override_to_review")
OURS: Final = frozenset({"agent", "watch"})
"""Origins of entries that no person caused."""
BACK_MAX: Final = timedelta(days=7)
HISTORY_MAX: Final = 1000
PAGE: Final = 200
EARLIER_MAX: Final = 200
SLICE: Final = 10_000
ROUND_EVERY: Final = timedelta(seconds=60)
CHAIN_MARK: Final = "audit-chain"


@dataclass(slots=True)
class People:
    """When people usually act and which names are programs; read once for a look."""

    unit: Unit
    _hours: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)
    _programs: dict[str, bool] = field(default_factory=dict)

    def history(self, entry: AuditEntry) -> list[datetime]:
        """Times of what somebody did before an entry, the newest thousand."""
        key = (entry.actor, entry.at[:13])
        if key not in self._hours:
            wanted = AuditFilter(actor=entry.actor, until=datetime.fromisoformat(entry.at))
            self._hours[key] = [datetime.fromisoformat(e.at) for e in self.unit.audit.page(wanted, limit=HISTORY_MAX).items]
        return self._hours[key]

    def is_program(self, entry: AuditEntry) -> bool:
        """Whether nobody was awake for it: one of our own programs, or a service account."""
        if entry.origin in OURS or not entry.actor:
            return True
        if entry.actor not in self._programs:
            person = self.unit.principals.find(entry.actor)
            self._programs[entry.actor] = person is not None and person.kind == "service"
        return self._programs[entry.actor]


def audit_findings(unit: Unit, policies: Policies, *, seen_until: datetime | None, now: datetime) -> list[SecurityFinding]:
    """What entries say that came within the rules' windows, and since the last look where that is longer ago."""
    people = People(unit)
    found = [*_access(unit, policies, people, seen_until, now), *_releases(unit, policies, people, seen_until, now)]
    return [*found, *_approvals(unit, policies, seen_until, now)]


def _entries(unit: Unit, action: str, *, since: datetime) -> Iterator[AuditEntry]:
    after = None
    while True:
        page = unit.audit.page(AuditFilter(action=action, since=since), limit=PAGE, after=after)
        yield from page.items
        after = page.after
        if after is None:
            return


def _since(policies: Policies, rule: RuleId, seen_until: datetime | None, now: datetime) -> datetime:
    since = now - timedelta(seconds=policies.of(None).rule(rule).window_s)
    return max(now - BACK_MAX, min(since, seen_until)) if seen_until is not None else since


def _access(
    unit: Unit, policies: Policies, people: People, seen_until: datetime | None, now: datetime
) -> Iterator[SecurityFinding]:  # fmt: skip
    since = _since(policies, RuleId.ODD_ACCESS, seen_until, now)
    for action in ACCESS_ACTIONS:
        for entry in _entries(unit, action, since=since):
            if people.is_program(entry):
                continue
            found = odd_access(entry, policies.of(None), people.history(entry), venture=None)
            if found is not None:
                yield found


def _releases(
    unit: Unit, policies: Policies, people: People, seen_until: datetime | None, now: datetime
) -> Iterator[SecurityFinding]:  # fmt: skip
    for entry in _entries(unit, "release.requested", since=_since(policies, RuleId.ODD_RELEASE, seen_until, now)):
        if people.is_program(entry):
            continue
        try:
            release = unit.releases.get(entry.subject.partition("/")[2])
        except NotFoundError:
            continue
        earlier, own = _earlier(unit, entry, release.venture)
        asked = ReleaseAsked(entry, release.venture, release.service, release.environment, earlier, own)
        found = odd_release(asked, policies.of(release.venture), people.history(entry))
        if found is not None:
            yield found


def _earlier(unit: Unit, entry: AuditEntry, venture: str) -> tuple[int, int]:
    """Releases of the venture before an entry, and of these the same person's; the newest two hundred are looked at."""
    until = datetime.fromisoformat(entry.at)

    def of_venture(wanted: AuditFilter, limit: int) -> int:
        return sum(venture_of(unit, each.subject) == venture for each in unit.audit.page(wanted, limit=limit).items)

    own = of_venture(AuditFilter(action="release.requested", actor=entry.actor, until=until), 50)
    return (0, own) if own else (of_venture(AuditFilter(action="release.requested", until=until), EARLIER_MAX), 0)


def _approvals(unit: Unit, policies: Policies, seen_until: datetime | None, now: datetime) -> Iterator[SecurityFinding]:
    since = _since(policies, RuleId.OWN_APPROVAL, seen_until, now)
    for action in APPROVAL_ACTIONS:
        for entry in _entries(unit, action, since=since):
            try:
                request = unit.approvals.get(str(entry.content.get("approval", "")))
            except NotFoundError:
                continue
            found = own_approval(
                entry, policies.of(request.venture), requested_by=request.requested_by, venture=request.venture, title=request.title
            )  # fmt: skip
            if found is not None:
                yield found


@dataclass(slots=True)
class ChainLook:
    """Goes through the audit log slice by slice and begins again; what a round found holds until the next one ends.

    Where the log stood at the end of a round is kept: a log that was cut, or written anew, does not fit that.
    """

    broken: Break | None = None
    _verifier: Verifier | None = None
    _ended_at: datetime | None = None

    def turn(self, context: Context, *, now: datetime) -> None:
        """One slice. Raises: StoreUnavailableError."""
        if self._verifier is None:
            if self._ended_at is not None and now - self._ended_at < ROUND_EVERY:
                return
            self._verifier = self._begin(context)
        with context.store.read() as unit:
            entries = unit.audit.following(self._verifier.after, limit=SLICE)
        goes_on = self._verifier.take(entries)
        if goes_on and len(entries) == SLICE and not self._verifier.waiting:
            return
        if self._verifier.waiting and len(entries) == SLICE:
            self._rest(context, entries[-1].seq)
        self._end(context, now=now)

    def _begin(self, context: Context) -> Verifier:
        with context.store.read() as unit:
            mark = unit.security.mark(CHAIN_MARK)
        seq, at = int(mark.data.get("seq", 0)), mark.at.isoformat() if mark.at else ""
        return Verifier(anchors={seq: Anchor(seq, str(mark.data["hash"]), at)} if seq else {})

    def _rest(self, context: Context, after: int) -> None:
        """Something does not fit, and what it is only later entries say."""
        assert self._verifier is not None  # noqa: S101 - the caller has one
        while True:
            with context.store.read() as unit:
                entries = unit.audit.following(after, limit=SLICE)
            if not entries or not self._verifier.take(entries):
                return
            after = entries[-1].seq

    def _end(self, context: Context, *, now: datetime) -> None:
        assert self._verifier is not None  # noqa: S101 - the caller has one
        proof = self._verifier.finish()
        self.broken, self._verifier, self._ended_at = proof.broken, None, now
        with context.store.write() as unit:
            known = unit.security.mark(CHAIN_MARK)
            if proof.broken is None:
                unit.security.set_mark(CHAIN_MARK, {"seq": proof.last_seq, "hash": proof.last_hash, "broken": None}, now=now)
            else:
                said = {"seq": proof.broken.seq, "kind": proof.broken.kind.value, "detail": proof.broken.detail}
                unit.security.set_mark(CHAIN_MARK, {**known.data, "broken": said}, now=now)

    def finding(self, policies: Policies, *, now: datetime) -> list[SecurityFinding]:
        """The break, if there is one."""
        if self.broken is None:
            return []
        broken = self.broken
        return [
            SecurityFinding(
                rule=RuleId.CHAIN, subject=f"entry {broken.seq}", severity=policies.of(None).rule(RuleId.CHAIN).severity, at=now,
                summary=f"the audit log does not fit at entry {broken.seq}: {broken.kind}: {broken.detail}", names=(broken.kind.value,),
                evidence=({"audit": broken.seq, "kind": broken.kind.value, "detail": broken.detail},),
            )
        ]  # fmt: skip
