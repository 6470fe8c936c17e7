"""Find what an incident came from: gather, weigh, keep the look."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from productops.domain.governance_access import Operation
from productops.domain.incident import Incident
from productops.domain.incident_alert import Alert
from productops.domain.incident_cause import Ledger
from productops.domain.incident_cause_facts import Facts
from productops.domain.incident_cause_rank import ledger_of
from productops.domain.release import Environment
from productops.errors import StoreUnavailableError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_again import alerts_since, begun_at
from productops.usecases.incident_cause_facts import (
    Look,
    anchor_of,
    count_confirmed,
    look_at_changes,
    look_at_flags,
    look_at_releases,
    look_at_traffic,
)
from productops.usecases.incident_cause_places import (
    look_at_dependencies,
    look_at_errors,
    look_at_instances,
    look_at_levels,
)
from productops.usecases.incident_cause_read import describe, with_verdicts
from productops.usecases.incident_log import log_incident

log = structlog.get_logger(__name__)
SERVICES_MAX = 5
ALERTS_MAX = 200
HOSTS_BEFORE = timedelta(minutes=2)
_STEPS: tuple[tuple[str, Callable[[Look], None]], ...] = (
    ("traffic", look_at_traffic), ("releases", look_at_releases), ("flags", look_at_flags), ("changes", look_at_changes),
    ("instances", look_at_instances), ("errors in logs", look_at_errors), ("dependencies", look_at_dependencies),
)  # fmt: skip


def find_cause(context: Context, incident_id: str, *, actor: Actor) -> Ledger:
    """Look at everything that may have done it, rank it, and keep the look.

    What cannot be looked at is named in the ledger; the rest is ranked without it.
    Raises: NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    began = time.monotonic()
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor, Operation.INCIDENT_RESPOND)
        looks = _looks(context, unit, incident_id)
    for look in looks:
        _levels(context, look)
    facts = [_facts(look) for look in looks]
    ledger = ledger_of(facts, by=actor.name, took_s=round(time.monotonic() - began, 3))
    with context.store.write() as unit:
        before = unit.causes.latest(incident_id)
        kept = replace(ledger, id=unit.causes.add(ledger))
        now = context.clock.now()
        if before is None or before.top.key != kept.top.key:
            words = f"{describe(kept.top)} is the likeliest cause ({kept.top.probability:.0%})"
            detail = {"look": kept.id, "cause": kept.top.key, "probability": round(kept.top.probability, 4)}
            log_incident(unit, incident_id, "cause", words, actor=actor, detail=detail, at=now)
        note(
            unit, actor, "incident.cause-looked", f"incident/{incident_id}", now=now,
            before=before.top.key if before is not None else None, after=kept.top.key,
            detail={"look": kept.id, "probability": round(kept.top.probability, 4), "took_s": kept.took_s},
        )  # fmt: skip
        return with_verdicts(unit, kept)


def _looks(context: Context, unit: Unit, incident_id: str) -> list[Look]:
    incident = unit.incidents.get(incident_id)
    begun = begun_at(unit, incident)
    found = [stored.alert for stored in unit.alerts.of_incident(incident_id, limit=ALERTS_MAX)]
    alerts = alerts_since(found, incident, begun)
    confirmed = count_confirmed(context, unit, incident.venture)
    now, anchor = context.clock.now(), anchor_of(begun, alerts)
    alerts = (*alerts, *_of_hosts(unit, incident, begun))
    looks = []
    for service in _services(incident, alerts):
        look = Look(unit, incident, service, _environment(incident, alerts), now, anchor, alerts)
        look.add(confirmed=confirmed)
        for what, step in _STEPS if service else ():
            _try(look, what, step)
        looks.append(look)
    return looks


def _of_hosts(unit: Unit, incident: Incident, begun: datetime) -> list[Alert]:
    """What is told of hosts just now; too mild to be part of an incident, and yet a word about where it may come from."""
    waiting = [stored.alert for stored in unit.alerts.waiting() if stored.alert.venture == incident.venture]
    return [each for each in waiting if each.component.startswith("host/") and each.starts_at >= begun - HOSTS_BEFORE]


def _services(incident: Incident, alerts: Sequence[Alert]) -> list[str]:
    """Those of the incident first; without any, the nameless one of which only hosts are looked at."""
    named = [*incident.services, *(alert.service for alert in alerts if alert.service)]
    return list(dict.fromkeys(named))[:SERVICES_MAX] or [""]


def _environment(incident: Incident, alerts: Sequence[Alert]) -> Environment:
    if incident.environment is not None:
        return incident.environment
    return next((alert.environment for alert in alerts if alert.environment is not None), Environment.PRODUCTION)


def _try(look: Look, what: str, step: Callable[[Look], None]) -> None:
    """One part of the look. At three in the morning a ledger without one part is worth more than none at all."""
    try:
        step(look)
    except StoreUnavailableError:
        raise
    except Exception as error:  # a broken part (a series in an odd shape, a log that cannot be read) must not hide the others
        log.warning("part of a look for causes failed", part=what, incident_id=look.incident.id, exc_info=True)
        look.missing.append(f"{what}: {type(error).__name__}: {error}"[:200])


def _levels(context: Context, look: Look) -> None:
    _try(look, "levels of hosts", lambda each: look_at_levels(context, each))


def _facts(look: Look) -> Facts:
    return replace(look.known, sources=tuple(look.sources), missing=tuple(look.missing))
