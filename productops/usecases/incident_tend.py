"""What time changes in alerts and incidents: silences that end, alerts nobody tells any more, quiet after the last one, impact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from productops.domain.incident import Incident
from productops.domain.incident_alert import AlertState, StoredAlert
from productops.domain.incident_state import IncidentStatus
from productops.domain.incident_suppress import is_steady
from productops.errors import ConflictError
from productops.store import Unit
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_alerts import take_alerts
from productops.usecases.incident_moves import move, weigh

log = structlog.get_logger(__name__)
MEASURE_EVERY = timedelta(seconds=10)
_QUIETING = frozenset({IncidentStatus.OPEN, IncidentStatus.INVESTIGATING})


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done: ids of incidents that became quiet, opened, or were weighed anew; how many alerts ended by silence."""

    mitigated: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    weighed: tuple[str, ...] = ()
    ended: int = 0


def tend_incidents(context: Context, *, actor: Actor = OURSELVES) -> Tended:
    """Do what time asks for; cheap where nothing is due, so that it can be called each second.

    Raises: StoreUnavailableError.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        live = unit.incidents.any_live()
        waiting = [each for each in unit.alerts.waiting() if each.state.suppressed and _free(unit, each, now)]
        stale = _stale(unit, live, now)
        due = [each.id for each in live if _due(each, now)]
        quiet = [each.id for each in live if _is_quiet(unit, each, now)]
    ended = _end_stale(context, stale, actor=actor, now=now)
    opened = take_alerts(context, [each.alert for each in waiting], actor=actor).opened if waiting else ()
    weighed = tuple(each for each in due if _weigh(context, each, actor=actor))
    mitigated = tuple(each for each in quiet if _mitigate(context, each, actor=actor))
    return Tended(mitigated, opened, weighed, ended)


def _free(unit: Unit, stored: StoredAlert, now: datetime) -> bool:
    """Whether what held the alert back is over. An alert of too few requests is weighed when it is told with more."""
    venture = stored.alert.venture
    if stored.state is AlertState.SILENCED:
        return not any(silence.id in stored.reason for silence in unit.silences.active(venture, now=now))
    if stored.state is AlertState.MAINTENANCE:
        return not any(each.spec.open_until(now) for each in unit.incident_policies.maintenance(venture))
    if stored.state is AlertState.DAMPED:
        if is_steady(stored.alert, now=now):
            return True
        window_s = unit.incident_policies.severity(venture).flapping.window_s
        return now - stored.first_seen_at > timedelta(seconds=window_s)
    return False


def _stale(unit: Unit, live: list[Incident], now: datetime) -> list[StoredAlert]:
    """Alerts nobody told for longer than their venture's policy has patience."""
    ventures = {each.venture for each in live if each.venture}
    shortest = min((unit.incident_policies.severity(each).stale_s for each in ventures), default=86_400)
    found = unit.alerts.silent(before=now - timedelta(seconds=shortest))
    patience = {each.alert.venture: unit.incident_policies.severity(each.alert.venture).stale_s for each in found}
    return [each for each in found if now - each.last_seen_at > timedelta(seconds=patience[each.alert.venture])]


def _end_stale(context: Context, stale: list[StoredAlert], *, actor: Actor, now: datetime) -> int:
    if not stale:
        return 0
    with context.store.write() as unit:
        for venture in sorted({each.alert.venture for each in stale}):
            unit.alerts.lock(venture)
            mine = [each for each in stale if each.alert.venture == venture]
            known = unit.alerts.latest(venture, {each.alert.fingerprint for each in mine})
            same = [each for each in mine if (k := known.get(each.alert.fingerprint)) and k.stored == each]
            over = [_over(each) for each in same]
            unit.alerts.set_all(over)
            note(unit, actor, "alerts.stale", f"venture/{venture}", now=now, detail={"alerts": [each.id for each in over][:100]})
    return len(stale)


def _over(stored: StoredAlert) -> StoredAlert:
    ended = replace(stored.alert, status="resolved", ends_at=stored.last_seen_at)
    return replace(stored, alert=ended, reason=f"{stored.reason}; not told again")


def _due(incident: Incident, now: datetime) -> bool:
    """Whether its impact is to be measured anew; what is mitigated hurts nobody any more."""
    if incident.status not in _QUIETING or not incident.services:
        return False
    measured = incident.impact.get("measured_at")
    return not isinstance(measured, str) or now - datetime.fromisoformat(measured) >= MEASURE_EVERY


def _weigh(context: Context, incident_id: str, *, actor: Actor) -> bool:
    try:
        with context.store.write() as unit:
            incident = unit.incidents.get(incident_id)
            if not incident.live:
                return False
            now = context.clock.now()
            # Noted even where the router counted nothing, so that it is not asked again each second.
            unit.incidents.measure(incident_id, {"measured_at": now.isoformat()})
            weigh(unit, incident, actor=actor, now=now)
    except ConflictError as error:  # somebody changed it at this moment: next time
        log.info("incident not weighed", incident_id=incident_id, reason=str(error))
        return False
    return True


def _is_quiet(unit: Unit, incident: Incident, now: datetime) -> bool:
    """Whether it came of alerts, none of them fires, and the last one ended long enough ago."""
    if incident.status not in _QUIETING or incident.last_alert_at is None or incident.venture is None:
        return False
    firing, last = unit.alerts.quiet(incident.id)
    quiet_s = unit.incident_policies.severity(incident.venture).quiet_s
    return firing == 0 and last is not None and now - last >= timedelta(seconds=quiet_s)


def _mitigate(context: Context, incident_id: str, *, actor: Actor) -> bool:
    try:
        with context.store.write() as unit:
            now = context.clock.now()
            incident = unit.incidents.get(incident_id)
            unit.alerts.lock(incident.venture or "")
            if not _is_quiet(unit, incident, now):
                return False
            weigh(unit, incident, actor=actor, now=now)
            quiet_s = unit.incident_policies.severity(str(incident.venture)).quiet_s
            reason = f"none of its alerts has fired for {quiet_s:g} s"
            move(unit, unit.incidents.get(incident_id), IncidentStatus.MITIGATED, reason=reason, actor=actor, now=now)
    except ConflictError as error:
        log.info("incident not mitigated", incident_id=incident_id, reason=str(error))
        return False
    return True


def forget_alerts(context: Context, *, actor: Actor = OURSELVES) -> int:
    """Drop alerts that belong to no incident and ended longer ago than their venture's policy keeps them (``keep_days``).

    Returns how many; some thousands in one turn, so that no writer waits long. Raises: StoreUnavailableError.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        keep = {venture: timedelta(days=unit.incident_policies.severity(venture).keep_days) for venture in unit.alerts.ventures()}
    total = 0
    for venture, kept in keep.items():
        with context.store.write() as unit:
            count = unit.alerts.forget(venture, before=now - kept)
            if count:
                note(unit, actor, "alerts.forgotten", f"venture/{venture}", now=now, detail={"count": count, "days": kept.days})
        total += count
    return total
