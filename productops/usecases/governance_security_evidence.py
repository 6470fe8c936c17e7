"""Evidence: taken, sealed, checked, handed on. Every time somebody has it in their hands is a line of its chain of custody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from productops.domain.catalog_security import SecurityPolicySpec
from productops.domain.governance_access import Operation
from productops.domain.governance_audit import AuditFilter
from productops.domain.governance_security import FindingFilter, StoredFinding
from productops.domain.governance_security_evidence import (
    BYTES_MAX,
    ITEMS_MAX,
    Bundle,
    Custody,
    EvidenceItem,
    Proof,
    check,
    next_custody,
    seal,
)
from productops.domain.incident import Incident
from productops.errors import InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_access_scope import demand, incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.governance_security import seen_ventures
from productops.usecases.governance_security_collect import Wanted, collect
from productops.usecases.incident_log import log_incident

WINDOW_MAX: Final = timedelta(days=31)
TEXT_MAX: Final = 2000
FINDINGS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceWish:
    """What somebody wants kept. ``since`` None: an hour before the incident, or before now. ``files`` are copies that the caller read."""

    reason: str
    title: str = ""
    incident_id: str | None = None
    venture: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    people: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    files: tuple[EvidenceItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A bundle with everything in it."""

    bundle: Bundle
    contents: dict[str, bytes]
    custody: tuple[Custody, ...]


def take_evidence(context: Context, wish: EvidenceWish, *, actor: Actor) -> Bundle:
    """Copy, seal and keep it. The manifest's hash goes into the audit log, which nobody can change unseen.

    Raises: NotFoundError, ForbiddenError, InvalidInputError for what is too much, StoreUnavailableError.
    """
    now = context.clock.now()
    reason = _worded(wish.reason, "reason")
    with context.store.read() as unit:
        incident = _incident(unit, wish, actor)
        venture = incident.venture if incident else wish.venture
        actor.check(Operation.SECURITY_RESPOND, venture=venture)
        for service in wish.services:
            owner = unit.catalog.find_service(service)
            if owner is None or (venture is not None and owner.venture != venture):
                raise NotFoundError(f"{venture or 'the installation'} has no service {service[:80]!r}")
        wanted = _wanted(unit, wish, incident, venture, now=now)
    items = [*collect(context, wanted), *wish.files]
    _check_size(items)
    title = wish.title.strip()[:TEXT_MAX] or (f"Evidence of incident: {incident.title}" if incident else f"Evidence: {reason[:200]}")
    bundle = seal(
        items, bundle_id=str(new_id()), incident_id=wish.incident_id, venture=venture, title=title, by=actor.name, now=now, reason=reason
    )
    with context.store.write() as unit:
        unit.evidence.add(bundle, items)
        _hold(unit, bundle, None, "taken", actor=actor, reason=reason, now=now)
        if incident is not None:
            text = f"{len(items)} things were kept as evidence {bundle.id}"
            log_incident(unit, incident.id, "evidence", text, actor=actor, detail={"manifest": bundle.manifest_hash}, at=now)
    return bundle


def list_evidence(
    context: Context,
    *,
    incident_id: str | None = None,
    venture: str | None = None,
    before: str | None = None,
    limit: int = 50,
    actor: Actor,
) -> list[Bundle]:
    """Newest first, of ventures whose security the caller may see. Raises: NotFoundError for what is no id."""
    with context.store.read() as unit:
        return unit.evidence.page(ventures=seen_ventures(actor, venture), incident_id=incident_id, before=before, limit=limit)


def show_evidence(context: Context, bundle_id: str, *, actor: Actor) -> tuple[Bundle, list[Custody]]:
    """What is in it and who had it; no content. Raises: NotFoundError."""
    with context.store.read() as unit:
        bundle = _bundle(unit, bundle_id, actor, Operation.SECURITY_READ)
        return bundle, unit.evidence.custody(bundle_id)


def read_item(context: Context, bundle_id: str, position: int, *, reason: str, actor: Actor) -> tuple[str, bytes]:
    """Name and content of one item; that it was read is a line of the chain. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    now = context.clock.now()
    with context.store.write() as unit:
        bundle = _bundle(unit, bundle_id, actor, Operation.SECURITY_RESPOND)
        found = next((each for each in unit.evidence.contents(bundle_id).items() if each[0].startswith(f"{position:04d}-")), None)
        if found is None:
            raise NotFoundError(f"evidence {bundle_id} has no item {position}; it has {len(bundle.items)}, from 0")
        said = f"{found[0]}: {_worded(reason, 'reason')}"
        _hold(unit, bundle, unit.evidence.custody(bundle_id)[-1], "read", actor=actor, reason=said, now=now)
    return found


def export_evidence(context: Context, bundle_id: str, *, reason: str, actor: Actor) -> Held:
    """Everything, to be given away as a file; that is a line of the chain, which the export has too.

    Raises: NotFoundError, ForbiddenError, InvalidInputError without a reason.
    """
    now = context.clock.now()
    with context.store.write() as unit:
        bundle = _bundle(unit, bundle_id, actor, Operation.SECURITY_RESPOND)
        last = unit.evidence.custody(bundle_id)[-1]
        _hold(unit, bundle, last, "exported", actor=actor, reason=_worded(reason, "reason"), now=now)
        return Held(bundle, unit.evidence.contents(bundle_id), tuple(unit.evidence.custody(bundle_id)))


def hand_over(context: Context, bundle_id: str, *, to: str, reason: str, actor: Actor) -> list[Custody]:
    """Note that somebody else has it from now on; returns the chain. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    now = context.clock.now()
    with context.store.write() as unit:
        bundle = _bundle(unit, bundle_id, actor, Operation.SECURITY_RESPOND)
        last = unit.evidence.custody(bundle_id)[-1]
        said, whom = _worded(reason, "reason"), _worded(to, "name of who gets it")[:255]
        _hold(unit, bundle, last, "handed-on", actor=actor, to=whom, reason=said, now=now)
        return unit.evidence.custody(bundle_id)


def verify_evidence(context: Context, bundle_id: str, *, actor: Actor) -> Proof:
    """Compare what is stored with what was sealed, and with the audit log. Raises: NotFoundError."""
    with context.store.read() as unit:
        bundle = _bundle(unit, bundle_id, actor, Operation.SECURITY_READ)
        custody, contents = unit.evidence.custody(bundle_id), unit.evidence.contents(bundle_id)
        told = unit.audit.page(AuditFilter(subject=f"evidence/{bundle.id}"), limit=10_000).items
    taken = next((e.content for e in told if e.action == "evidence.taken"), {})
    expected = str(taken.get("manifest", "")) or None
    problems = check(bundle.manifest, contents, custody, expected=expected)
    if expected is None:
        problems.append("the audit log does not say that it was taken")
    missing = {str(e.content.get("custody")) for e in told if e.content.get("custody")} ^ {line.hash for line in custody}
    if missing:
        problems.append("the chain of custody is not what the audit log says")
    if bundle.manifest_hash != (expected or bundle.manifest_hash):
        problems.append("the stored hash of the manifest is not that of the audit log")
    return Proof(bundle.id, len(bundle.items), bundle.manifest_hash, expected is not None, tuple(problems))


def preserve_due(context: Context, incidents: Sequence[Incident]) -> list[Bundle]:
    """Take evidence of security incidents that have none, where the policy wants it. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        held = unit.evidence.with_bundle([each.id for each in incidents])
        policies = unit.security.policies()
    due = [each for each in incidents if each.id not in held and policies.of(each.venture).preserve.automatic]
    wish = "the incident was opened"
    return [take_evidence(context, EvidenceWish(reason=wish, incident_id=each.id), actor=OURSELVES) for each in due]


def _incident(unit: Unit, wish: EvidenceWish, actor: Actor) -> Incident | None:
    if wish.incident_id is None:
        return None
    incident_for(unit, wish.incident_id, actor)
    return unit.incidents.get(wish.incident_id)


def _wanted(unit: Unit, wish: EvidenceWish, incident: Incident | None, venture: str | None, *, now: datetime) -> Wanted:
    """The window, and who is named by the findings of the incident or of the time."""
    policy: SecurityPolicySpec = unit.security.policies().of(venture)
    begin = incident.detected_at if incident else now
    since = wish.since or begin - timedelta(seconds=policy.preserve.before_s)
    until = wish.until or now + timedelta(seconds=1)
    if not since < until or until - since > WINDOW_MAX:
        raise InvalidInputError(f"evidence is taken of a time of up to {WINDOW_MAX.days} days, with its begin before its end")
    findings = _findings(unit, incident, venture, since=since, until=until)
    people = {*wish.people, *(name for each in findings for name in each.finding.people)}
    services = tuple(dict.fromkeys((*wish.services, *(incident.services if incident else ()))))
    return Wanted(
        venture=venture, incident_id=wish.incident_id, since=since, until=until, people=frozenset(people), services=services,
        findings=findings, audit_max=policy.preserve.audit_max, log_lines_max=policy.preserve.log_lines_max,
    )  # fmt: skip


def _findings(
    unit: Unit, incident: Incident | None, venture: str | None, *, since: datetime, until: datetime
) -> tuple[StoredFinding, ...]:  # fmt: skip
    """Those that alerts of the incident come from; without an incident those of the venture, of the time."""
    known = unit.security.findings(FindingFilter(), limit=FINDINGS_MAX)
    if incident is not None:
        marks = {each.alert.fingerprint for each in unit.alerts.of_incident(incident.id)}
        return tuple(each for each in known if each.finding.fingerprint in marks)
    return tuple(e for e in known if e.seen_at >= since and e.began_at < until and venture in {None, e.finding.venture})


def _hold(
    unit: Unit, bundle: Bundle, last: Custody | None, action: str, *, actor: Actor, to: str = "", reason: str, now: datetime
) -> None:  # fmt: skip
    """A line of the chain, and the same line in the audit log."""
    line = next_custody(bundle, last, action, who=actor.name, to=to, reason=reason, now=now)
    unit.evidence.add_custody(bundle.id, line)
    detail = {"custody": line.hash, "number": line.number, "manifest": bundle.manifest_hash} | ({"to": to} if to else {})
    note(unit, actor, f"evidence.{action}", f"evidence/{bundle.id}", now=now, reason=reason, detail=detail)


def _bundle(unit: Unit, bundle_id: str, actor: Actor, operation: Operation) -> Bundle:
    bundle = unit.evidence.get(bundle_id)
    missing = f"there is no evidence {bundle_id[:80]!r}; list it with: productops security evidence list"
    demand(actor, operation, seen_by=Operation.SECURITY_READ, venture=bundle.venture, missing=missing)
    return bundle


def _worded(text: str, what: str) -> str:
    said = text.strip()
    if not said or len(said) > TEXT_MAX:
        raise InvalidInputError(f"the {what} has 1 to {TEXT_MAX:,} characters; this one has {len(said):,}")
    return said


def _check_size(items: Sequence[EvidenceItem]) -> None:
    size = sum(len(each.content) for each in items)
    if len(items) > ITEMS_MAX or size > BYTES_MAX:
        raise InvalidInputError(
            f"{len(items)} things of {size:,} bytes are more than a bundle takes ({ITEMS_MAX}, {BYTES_MAX:,} bytes): take a shorter time"
        )
