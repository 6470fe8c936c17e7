"""Two incidents that are one, and one that is two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from productops.domain.governance_access import Operation
from productops.domain.incident import Incident
from productops.domain.incident_group import read_group
from productops.domain.incident_state import IncidentStatus
from productops.errors import ConflictError, InvalidInputError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_moves import move


def absorb_incident(unit: Unit, gone: str, target: str, *, reason: str, actor: Actor, now: datetime) -> int:
    """Put one incident into another within the caller's transaction; returns how many alerts went with it."""
    one, other = unit.incidents.get(gone), unit.incidents.get(target)
    moved = unit.alerts.move(None, origin=gone, target=target, reason=f"with incident {gone}: {reason}"[:1000])
    move(
        unit, one, IncidentStatus.CLOSED, reason=f"merged into incident {target}: {reason}", actor=actor, now=now,
        merged_into=target, mttr_minutes=None,  # the time to recover is the other's
    )  # fmt: skip
    _carry(unit, one, other)
    group = read_group(unit.incidents.grouping(target))
    group.absorb(read_group(unit.incidents.grouping(gone)))
    services = list(dict.fromkeys((*other.services, *one.services, *group.named_services)))
    if group.alerts:
        unit.incidents.regroup(target, group.document(), services=services, now=now)
    else:
        unit.incidents.change(target, revision=other.revision, now=now, affected_services=services)
    log_incident(
        unit, target, "merged", f"incident {gone} ({one.title}) is part of this one: {reason}", actor=actor,
        detail={"incident": gone, "alerts": moved}, at=now,
    )  # fmt: skip
    return moved


def _carry(unit: Unit, one: Incident, other: Incident) -> None:
    """What one was traced to is known of the other, too, unless that was traced to something itself."""
    if one.impact.get("release_id") and not other.impact.get("release_id"):
        unit.incidents.measure(other.id, {name: one.impact[name] for name in ("release_id", "rolled_back") if name in one.impact})


def merge_incidents(context: Context, target: str, others: Sequence[str], *, reason: str, actor: Actor) -> Incident:
    """Put incidents of the same venture into ``target``; they are closed, their alerts go over, their logs stay.

    Raises: NotFoundError, ForbiddenError, ConflictError for an incident that is over or of another venture, InvalidInputError.
    """
    wanted = list(dict.fromkeys(others))
    if not wanted or target in wanted:
        raise InvalidInputError("name at least one other incident to merge into this one")
    with context.store.write() as unit:
        now = context.clock.now()
        incident_for(unit, target, actor, Operation.INCIDENT_RESOLVE)
        into = unit.incidents.get(target)
        if not into.live:
            raise ConflictError(f"incident {target} is {into.status}; merge into one that is not over, or reopen it first")
        unit.alerts.lock(into.venture or "")
        for each in wanted:
            incident_for(unit, each, actor, Operation.INCIDENT_RESOLVE)
            other = unit.incidents.get(each)
            if other.venture != into.venture:
                raise ConflictError(f"incident {each} is of venture {other.venture}, {target} of {into.venture}")
            if other.status is IncidentStatus.CLOSED:
                raise ConflictError(f"incident {each} is closed" + (f": merged into {other.merged_into}" if other.merged_into else ""))
            absorb_incident(unit, each, target, reason=reason, actor=actor, now=now)
        note(unit, actor, "incident.merged", f"incident/{target}", now=now, reason=reason, detail={"incidents": wanted})
        return unit.incidents.get(target)


def split_incident(context: Context, incident_id: str, alerts: Sequence[str], *, title: str, reason: str, actor: Actor) -> Incident:
    """Make an incident of its own of some alerts of one; returns the new one.

    Raises: NotFoundError, ForbiddenError, InvalidInputError when the alerts are not of the incident, or all of it.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        incident_for(unit, incident_id, actor, Operation.INCIDENT_RESOLVE)
        incident = unit.incidents.get(incident_id)
        unit.alerts.lock(incident.venture or "")
        found = [unit.alerts.get(each) for each in dict.fromkeys(alerts)]
        wrong = [each.id for each in found if each.incident_id != incident_id]
        total, _ = unit.alerts.counts(incident_id)
        if not found or wrong or len(found) >= total:
            why = f"alert {wrong[0]} is not part of it" if wrong else "name some of its alerts, but not all of them"
            raise InvalidInputError(f"incident {incident_id} cannot be split: {why}")
        group = read_group({})
        for each in found:
            group.take(each.alert)
        group.last_at = now.timestamp()
        new = unit.incidents.open(
            venture_id=unit.catalog.venture_id(str(incident.venture)), kind=incident.kind, severity=group.severity,
            title=title or group.title, description=incident.description, services=group.named_services, detection=incident.detection,
            impact={"environment": incident.environment.value if incident.environment else None, "split_from": incident_id}, now=now,
            by=actor.name, component=min(group.components, default=""), grouping=group.document(), detected_at=incident.detected_at,
        )  # fmt: skip
        unit.alerts.move([each.id for each in found], origin=incident_id, target=new, reason=f"split off by {actor.name}: {reason}"[:1000])
        rest = read_group({})
        for each in unit.alerts.of_incident(incident_id, limit=100_000):
            rest.take(each.alert)
        rest.last_at = now.timestamp()
        unit.incidents.regroup(incident_id, rest.document(), services=rest.named_services, now=now)
        detail, text = {"alerts": len(found)}, f"{len(found)} alerts are incident {new} now: {reason}"
        log_incident(unit, incident_id, "split", text, actor=actor, detail=detail, at=now)
        log_incident(unit, new, "split", f"split from incident {incident_id}: {reason}", actor=actor, detail=detail, at=now)
        note(unit, actor, "incident.split", f"incident/{incident_id}", now=now, reason=reason, detail=detail | {"new": new})
        return unit.incidents.get(new)
