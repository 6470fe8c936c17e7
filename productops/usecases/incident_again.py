"""An incident that was over and begins again is dealt with like a new one: what it did before is no longer now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from productops.domain.incident import Incident
from productops.domain.incident_alert import Alert
from productops.domain.incident_playbook import Response, ResponseState
from productops.domain.incident_state import IncidentStatus
from productops.store import Unit

_OVER = frozenset({IncidentStatus.RESOLVED.value, IncidentStatus.CLOSED.value})
BEFORE = timedelta(seconds=30)
"""An alert that opens an incident again may have begun so long before it was told."""
QUIET = timedelta(seconds=15)
"""An incident without an alert that fires for so long, and then one: something begins again, or something else does."""
_WITH_PEOPLE = frozenset({ResponseState.HANDED_OVER, ResponseState.FAILED})


def begun_at(unit: Unit, incident: Incident) -> datetime:
    """When what is going on now was noticed: the last time it was opened after it was over, or began again; else when it was detected."""
    times = unit.incident_log.beginnings(incident.id)
    if incident.reopened:
        times += [at for at, before in unit.incident_log.reopenings(incident.id) if before in _OVER]
    return max(times, default=incident.detected_at)


def begins_again(unit: Unit, incident: Incident, *, now: datetime) -> timedelta | None:
    """How long no alert of an incident fired that was left to people; None where that was not long, or somebody has taken it up.

    The next fault must not go unanswered because nobody has come yet for the last one.
    """
    if incident.acknowledged_by is not None or incident.status not in {IncidentStatus.OPEN, IncidentStatus.INVESTIGATING}:
        return None
    firing, last = unit.alerts.quiet(incident.id)
    if firing or last is None or now - last < QUIET:
        return None
    responses = unit.responses.of_incident(incident.id)
    return now - last if responses and responses[-1].state in _WITH_PEOPLE else None


def alerts_since(alerts: Sequence[Alert], incident: Incident, begun: datetime) -> tuple[Alert, ...]:
    """Those that are about what is going on now."""
    if begun <= incident.detected_at:
        return tuple(alerts)
    return tuple(each for each in alerts if each.starts_at >= begun - BEFORE and (each.ends_at is None or each.ends_at >= begun))


def of_this_time(responses: Sequence[Response], begun: datetime) -> list[Response]:
    """Responses to what is going on now; one that is being carried out always is, a proposal of before is not."""
    return [each for each in responses if each.created_at >= begun or not (each.ended or each.state is ResponseState.PROPOSED)]


def came_back_at(unit: Unit, incident: Incident, response: Response) -> datetime | None:
    """When it was opened again after a response had ended, if it was and is not over since."""
    if not incident.reopened or response.ended_at is None or incident.status is IncidentStatus.MITIGATED:
        return None
    return max((at for at, _ in unit.incident_log.reopenings(incident.id) if at > response.ended_at), default=None)
