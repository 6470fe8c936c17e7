"""Second by second: who is silent, which instance is gone, which release was judged to fail?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from productops.domain.incident_alert import Alert
from productops.domain.monitoring_detect import Findings
from productops.domain.release import Environment
from productops.domain.release_events import EventFilter, PlacedEvent
from productops.domain.traffic import Instance, InstanceState
from productops.store import Unit
from productops.usecases.context import Context
from productops.usecases.monitoring_detect import AlertBook, VentureBook

AGENT_SILENT: Final = timedelta(seconds=15)
BAD: Final = {InstanceState.CRASHED, InstanceState.UNHEALTHY}
UNHEALTHY_FOR: Final = timedelta(seconds=2)
REMEMBERED: Final = timedelta(seconds=60)
VERDICT_FOR: Final = timedelta(minutes=10)
VERDICTS: Final = "verdicts"
EVENTS: Final = 500


@dataclass(slots=True)
class SilenceWatch:
    """Heartbeats that do not come: of what the catalog declares, and of the agents that keep traffic."""

    context: Context
    book: AlertBook = field(init=False)
    _known: VentureBook = field(init=False)

    def __post_init__(self) -> None:
        self.book, self._known = AlertBook(self.context, "silence"), VentureBook(self.context)

    def turn(self) -> int:
        """Returns how many alerts were told. Raises: StoreUnavailableError."""
        now = self.context.clock.now()
        with self.context.store.read() as unit:
            heartbeats, agents = unit.heartbeats.all(), unit.detectors.agent_beats()
            ventures = sorted(set(self._known.of(unit, ()).values()))
        found = [(each.alert(), each.is_silent(now=now)) for each in heartbeats]
        for router, (holder, at) in agents.items():
            silent = now - at > AGENT_SILENT
            found += [(_agent_alert(router, holder, at, venture), silent) for venture in ventures]
        firing = tuple(alert for alert, silent in found if silent)
        return self.book.settle(Findings(firing, frozenset(alert.fingerprint for alert, silent in found if not silent)))


def _agent_alert(router: str, holder: str, at: datetime, venture: str) -> Alert:
    return Alert(
        source="heartbeat", name="agent silent", venture=venture, component=f"agent/{router}", severity="SEV2",
        labels={"router": router}, starts_at=at + AGENT_SILENT,
        summary=f"the agent of {router} ({holder}) has shown no sign of life since {at:%H:%M:%S} UTC: releases cannot move traffic",
        evidence={"router": router, "holder": holder, "last_at": at.isoformat(), "since": (at + AGENT_SILENT).isoformat()},
    )  # fmt: skip


@dataclass(slots=True)
class InstanceWatch:
    """Instances that crashed, do not answer, or were started again by the agent because they died."""

    context: Context
    book: AlertBook = field(init=False)
    _restarts: dict[str, int] = field(default_factory=dict)
    _bad: dict[str, datetime] = field(default_factory=dict)
    _died: dict[str, datetime] = field(default_factory=dict)
    _known: VentureBook = field(init=False)

    def __post_init__(self) -> None:
        self.book, self._known = AlertBook(self.context, "instances"), VentureBook(self.context)

    def turn(self) -> int:
        """Returns how many alerts were told. Raises: StoreUnavailableError."""
        now = self.context.clock.now()
        with self.context.store.read() as unit:
            instances = unit.fleets.instances()
            ventures = self._known.of(unit, {each.service for each in instances})
            shifting = {each.service for each in instances if _in_release(unit, each)}
            known = unit.detectors.open_alerts("instances")
        firing, calm = [], {each.alert.fingerprint for each in known}
        for each in instances:
            if each.service not in ventures:
                continue
            alert = self._look(each, ventures[each.service], releasing=each.service in shifting, now=now)
            if alert is not None:
                firing.append(alert)
                calm.discard(alert.fingerprint)
        self._forget({each.id for each in instances})
        return self.book.settle(Findings(tuple(firing), frozenset(calm)))

    def _look(self, instance: Instance, venture: str, *, releasing: bool, now: datetime) -> Alert | None:
        before = self._restarts.get(instance.id, instance.restarts)
        self._restarts[instance.id] = instance.restarts
        if instance.restarts > before:
            self._died[instance.id] = now
        if instance.state in BAD:
            self._bad.setdefault(instance.id, now)
        else:
            self._bad.pop(instance.id, None)
        died, bad = self._died.get(instance.id), self._bad.get(instance.id)
        if instance.state is InstanceState.CRASHED:
            return _instance_alert(instance, venture, "crashed", bad or now, releasing=releasing)
        if bad is not None and now - bad >= UNHEALTHY_FOR:
            return _instance_alert(instance, venture, "does not answer", bad, releasing=releasing)
        if died is not None and now - died < REMEMBERED:
            return _instance_alert(instance, venture, "died and was started again", died, releasing=releasing)
        return None

    def _forget(self, present: set[str]) -> None:
        for memory in (self._restarts, self._bad, self._died):
            for gone in set(memory) - present:
                del memory[gone]


def _in_release(unit: Unit, instance: Instance) -> bool:
    return instance.state in BAD and unit.releases.active(instance.service, instance.environment) is not None


def _instance_alert(instance: Instance, venture: str, what: str, since: datetime, *, releasing: bool) -> Alert:
    """During a release a candidate that does not come up is the release's to judge: then it is only listed."""
    grave = instance.environment is Environment.PRODUCTION and not releasing
    return Alert(
        source="heartbeat", name="instance down", venture=venture, service=instance.service, environment=instance.environment,
        component=f"{instance.service}/{instance.id}", severity="SEV3" if grave else "SEV4",
        labels={"instance_id": instance.id, "version": instance.version}, starts_at=since,
        summary=f"an instance of {instance.service} {instance.version} {what} (port {instance.port}, {instance.restarts} restarts)",
        evidence={
            "instance": instance.id, "state": instance.state.value, "restarts": instance.restarts, "version": instance.version,
            "since": since.isoformat(), "last_output": instance.last_output[-500:],
        },
    )  # fmt: skip


@dataclass(slots=True)
class VerdictWatch:
    """Releases that were judged to fail. Their users are given the baseline by the release itself; this makes it known."""

    context: Context
    book: AlertBook = field(init=False)
    _failed: dict[str, tuple[Alert, datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.book = AlertBook(self.context, VERDICTS)

    def turn(self) -> int:
        """Returns how many alerts were told. Raises: StoreUnavailableError."""
        now = self.context.clock.now()
        with self.context.store.read() as unit:
            cursor = unit.detectors.cursor(VERDICTS)
            start = unit.events.last() if cursor is None else cursor
            wanted = EventFilter(types=frozenset({"step_ended"}))
            events, read_to = unit.events.following(wanted, after=start, limit=EVENTS)
            self._restore(unit, cursor)
        self._failed |= {alert.fingerprint: (alert, now) for alert in _failures(events)}
        over = {mark for mark, (_, at) in self._failed.items() if now - at >= VERDICT_FOR}
        firing = tuple(alert for mark, (alert, _) in self._failed.items() if mark not in over)
        told = self.book.settle(Findings(firing, frozenset(over)))
        for mark in over:
            del self._failed[mark]
        if cursor is None or read_to != cursor:  # after the alerts are safe: a crash between reads the events again
            with self.context.store.write() as unit:
                unit.detectors.move(VERDICTS, read_to)
        return told

    def _restore(self, unit: Unit, cursor: int | None) -> None:
        """Alerts of a former process end after their time, too."""
        if cursor is not None and not self._failed:
            open_ = unit.detectors.open_alerts(VERDICTS)
            self._failed |= {each.alert.fingerprint: (each.alert, each.alert.starts_at) for each in open_ if each.ended_at is None}


def _failures(events: Sequence[PlacedEvent]) -> list[Alert]:
    return [_verdict_alert(each, each.event.payload) for each in events if each.event.payload.get("verdict") == "failed"]


def _verdict_alert(placed: PlacedEvent, payload: dict[str, Any]) -> Alert:
    title = payload.get("title", f"step {payload.get('step')}")
    return Alert(
        source="verdict", name="release failed its analysis", venture=placed.venture, service=placed.service,
        environment=Environment(placed.environment), component=placed.service, severity="SEV4",
        labels={"release_id": placed.event.release_id, "version": placed.version}, starts_at=placed.event.at,
        summary=f"{placed.service} {placed.version} failed at {title}: {payload.get('reason', '')}"[:1500],
        evidence={"step": payload.get("step"), "verdict": "failed", "reason": payload.get("reason"), "event": placed.event.seq},
    )  # fmt: skip
