"""What people do with an incident: take it up, say how severe it is, who deals with it, what it is about, move it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.domain.governance_access import Operation
from productops.domain.incident import Incident, IncidentLink, IncidentRole, LinkKind
from productops.domain.incident_alert import SEVERITIES
from productops.domain.incident_state import IncidentStatus
from productops.errors import ConflictError, InvalidInputError, RevisionMismatchError
from productops.store import Unit
from productops.store.incident_rows import link_document
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import flag_for, incident_for, release_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_moves import move, set_severity_of

LINKS_MAX = 200
REASON_MAX = 2000
PERSON_MAX = 255


@dataclass(frozen=True, slots=True)
class Wish:
    """Who changes what, from which revision on (None: whichever it is at)."""

    incident_id: str
    actor: Actor
    revision: int | None = None


def _for_change(unit: Unit, wish: Wish, operation: Operation) -> Incident:
    """Raises: NotFoundError, ForbiddenError, RevisionMismatchError when the caller has seen another revision."""
    incident_for(unit, wish.incident_id, wish.actor, operation)
    incident = unit.incidents.get(wish.incident_id)
    if wish.revision is not None and wish.revision != incident.revision:
        raise RevisionMismatchError(
            f"incident {incident.id} is at revision {incident.revision}, not {wish.revision}; look at it again and decide anew"
        )
    return incident


def acknowledge_incident(context: Context, wish: Wish) -> Incident:
    """Say that somebody deals with it; an open one is investigated from then on. Who was first stays; a second time changes nothing.

    Raises: NotFoundError, ForbiddenError, ConflictError when it is over.
    """
    with context.store.write() as unit:
        incident = _for_change(unit, wish, Operation.INCIDENT_RESPOND)
        if not incident.live:
            raise ConflictError(f"incident {incident.id} is {incident.status}; there is nothing to take up")
        if incident.acknowledged_by is not None:
            return incident
        now, actor = context.clock.now(), wish.actor
        taken: dict[str, Any] = {"acknowledged_by": actor.name, "acknowledged_at": now}
        waited_s = (now - incident.detected_at).total_seconds()
        detail = {"after_s": round(waited_s, 1)}
        log_incident(unit, incident.id, "acknowledged", f"{actor.name} takes it up", actor=actor, detail=detail, at=now)
        if incident.status is IncidentStatus.OPEN:
            return move(unit, incident, IncidentStatus.INVESTIGATING, reason=f"{actor.name} takes it up", actor=actor, now=now, **taken)
        unit.incidents.change(incident.id, revision=incident.revision, now=now, **taken)
        note(unit, actor, "incident.acknowledged", f"incident/{incident.id}", now=now, after={"acknowledged_by": actor.name}, detail=detail)
        return unit.incidents.get(incident.id)


def set_incident_severity(context: Context, wish: Wish, severity: str, *, reason: str) -> Incident:
    """A person's word: from then on no rule changes it. Raises: NotFoundError, ForbiddenError, InvalidInputError, RevisionMismatchError."""
    if severity not in SEVERITIES:
        raise InvalidInputError(f"{severity[:40]!r} is none of {', '.join(SEVERITIES)}")
    with context.store.write() as unit:
        incident = _for_change(unit, wish, Operation.INCIDENT_RESPOND)
        now = context.clock.now()
        unit.incidents.measure(incident.id, {"severity_by": wish.actor.name, "severity_because": reason[:REASON_MAX]})
        return set_severity_of(unit, incident, severity, reason=reason, actor=wish.actor, now=now)


def set_incident_role(context: Context, wish: Wish, role: IncidentRole, person: str | None) -> Incident:
    """Give a role to somebody, or hand it over; None gives it up.

    Raises: NotFoundError, ForbiddenError, ConflictError when it is over, InvalidInputError, RevisionMismatchError.
    """
    named = person.strip() if person else None
    if named is not None and not 0 < len(named) <= PERSON_MAX:
        raise InvalidInputError(f"a name has 1 to {PERSON_MAX} characters")
    with context.store.write() as unit:
        incident = _for_change(unit, wish, Operation.INCIDENT_RESPOND)
        if not incident.live:
            raise ConflictError(f"incident {incident.id} is {incident.status}; reopen it first")
        before = incident.roles.get(role.value)
        if before == named:
            return incident
        now = context.clock.now()
        roles = {name: who for name, who in incident.roles.items() if name != role.value} | ({role.value: named} if named else {})
        unit.incidents.change(incident.id, revision=incident.revision, now=now, roles=roles)
        text = _role_text(role, before, named)
        detail = {"role": role.value, "from": before, "to": named}
        log_incident(unit, incident.id, "role", text, actor=wish.actor, detail=detail, at=now)
        note(unit, wish.actor, "incident.role", f"incident/{incident.id}", now=now, reason=text, before=dict(incident.roles), after=roles)
        return unit.incidents.get(incident.id)


def _role_text(role: IncidentRole, before: str | None, after: str | None) -> str:
    if after is None:
        return f"{before} is no longer {role.value}"
    return f"{after} is {role.value}" if before is None else f"{after} takes over as {role.value} from {before}"


def move_incident(context: Context, wish: Wish, status: IncidentStatus, *, reason: str) -> Incident:
    """Move an incident on, or open it again (``investigating`` of one that is over); ``resolve_incident`` says what was done, too.

    Raises: NotFoundError, ForbiddenError, IllegalTransitionError, RevisionMismatchError.
    """
    operation = Operation.INCIDENT_RESOLVE if status in {IncidentStatus.RESOLVED, IncidentStatus.CLOSED} else Operation.INCIDENT_RESPOND
    with context.store.write() as unit:
        incident = _for_change(unit, wish, operation)
        if incident.merged_into is not None:
            raise ConflictError(f"incident {incident.id} was merged into {incident.merged_into}; change that one")
        return move(unit, incident, status, reason=reason[:REASON_MAX], actor=wish.actor, now=context.clock.now())


def reopen_incident(context: Context, incident_id: str, *, reason: str, actor: Actor) -> Incident:
    """Investigate it again. Raises: as ``move_incident``."""
    return move_incident(context, Wish(incident_id, actor), IncidentStatus.INVESTIGATING, reason=reason)


def link_incident(context: Context, wish: Wish, kind: LinkKind, target: str, *, text: str = "") -> Incident:
    """Say what it is about: a release, a flag, or a page with more. The same link a second time changes nothing.

    Raises: NotFoundError for an incident, release or flag that is not there, ForbiddenError, InvalidInputError, RevisionMismatchError.
    """
    with context.store.write() as unit:
        incident = _for_change(unit, wish, Operation.INCIDENT_REPORT)
        _check_target(unit, kind, target, wish.actor)
        if any((each.kind, each.target) == (kind, target) for each in incident.links):
            return incident
        if len(incident.links) >= LINKS_MAX:
            raise InvalidInputError(f"incident {incident.id} has {LINKS_MAX} links already")
        now = context.clock.now()
        link = IncidentLink(kind, target, text[:500], wish.actor.name, now)
        _write_links(unit, incident, [*incident.links, link], f"linked to {kind.value} {target}", wish.actor, now)
        return unit.incidents.get(incident.id)


def unlink_incident(context: Context, wish: Wish, kind: LinkKind, target: str) -> Incident:
    """Take a link away. Raises: NotFoundError, ForbiddenError, RevisionMismatchError."""
    with context.store.write() as unit:
        incident = _for_change(unit, wish, Operation.INCIDENT_REPORT)
        kept = [each for each in incident.links if (each.kind, each.target) != (kind, target)]
        if len(kept) == len(incident.links):
            return incident
        _write_links(unit, incident, kept, f"no longer linked to {kind.value} {target}", wish.actor, context.clock.now())
        return unit.incidents.get(incident.id)


def _check_target(unit: Unit, kind: LinkKind, target: str, actor: Actor) -> None:
    if kind is LinkKind.RELEASE:
        release_for(unit, target, actor)
    elif kind is LinkKind.FLAG:
        flag_for(unit, target, actor)
    elif kind is LinkKind.ALERT:
        unit.alerts.get(target)
    elif not target.startswith(("https://", "http://")) or len(target) > 2000:
        raise InvalidInputError("a page is linked by its address, https://…")


def _write_links(unit: Unit, incident: Incident, links: Sequence[IncidentLink], text: str, actor: Actor, now: datetime) -> None:
    unit.incidents.change(incident.id, revision=incident.revision, now=now, links=[link_document(each) for each in links])
    log_incident(unit, incident.id, "link", text, actor=actor, at=now)
    before, after = [each.target for each in incident.links], [each.target for each in links]
    note(unit, actor, "incident.linked", f"incident/{incident.id}", now=now, reason=text, before={"links": before}, after={"links": after})
