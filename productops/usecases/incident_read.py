"""Lists of incidents and alerts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident import Incident, IncidentFilter
from productops.domain.incident_alert import StoredAlert
from productops.domain.release import Environment
from productops.store.incident_alerts import AlertFilter
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, incident_for


def list_incidents(
    context: Context, *, statuses: Collection[str] = (), venture: str | None, before: str | None, limit: int, actor: Actor
) -> list[dict[str, Any]]:  # fmt: skip
    """Incidents of ventures that the caller may see, newest first; ``before`` is the id of the last one seen. No status: any.

    Raises: NotFoundError for what is no id, StoreUnavailableError.
    """
    with context.store.read() as unit:
        return unit.incidents.page(statuses=statuses, ventures=_seen(actor, venture), before=before, limit=limit)


def find_incidents(
    context: Context, wanted: IncidentFilter, *, venture: str | None = None, before: str | None = None, limit: int = 50, actor: Actor
) -> list[Incident]:
    """Incidents of ventures that the caller may see and that fit, newest first. Raises: NotFoundError for what is no id."""
    with context.store.read() as unit:
        return unit.incidents.search(replace(wanted, ventures=_seen(actor, venture)), before=before, limit=limit)


def look_at_incident(context: Context, incident_id: str, *, actor: Actor) -> Incident:
    """One incident. Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        return unit.incidents.get(incident_id)


def find_alerts(
    context: Context, wanted: AlertFilter, *, venture: str | None = None, before: str | None = None, limit: int = 50, actor: Actor
) -> list[StoredAlert]:
    """Alerts of ventures that the caller may see and that fit, newest first. Raises: NotFoundError for what is no id."""
    with context.store.read() as unit:
        return unit.alerts.page(replace(wanted, ventures=_seen(actor, venture)), before=before, limit=limit)


def look_at_alert(context: Context, alert_id: str, *, actor: Actor) -> StoredAlert:
    """One alert. Raises: NotFoundError."""
    with context.store.read() as unit:
        found = unit.alerts.get(alert_id)
    environment: Environment | None = found.alert.environment
    demand(
        actor, Operation.INCIDENT_READ, seen_by=Operation.INCIDENT_READ, venture=found.alert.venture, environment=environment,
        missing=f"there is no alert {alert_id}; list them with: productops alerts list",
    )  # fmt: skip
    return found


def _seen(actor: Actor, venture: str | None) -> frozenset[str] | None:
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    if venture is None:
        return seen
    return frozenset({venture}) if seen is None or venture in seen else frozenset()
