"""The product watches itself: signs of life of its processes, and alerts when one is silent."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from productops.domain.incident_alert import Alert
from productops.domain.monitoring_detect import Findings
from productops.domain.monitoring_processes import BEAT_S, FORGOTTEN, LOST, SILENT, ProcessBeat
from productops.errors import OrchestratorError, ProductOpsError
from productops.ports import FlowWorkers
from productops.usecases.context import Context
from productops.usecases.monitoring_detect import AlertBook

log = structlog.get_logger(__name__)
WATCH_SILENT: Final = timedelta(seconds=60)
PREFECT_SILENT: Final = timedelta(seconds=10)
"""One answer that is late is no outage: on a crowded machine it takes its time."""
FLOWS_SILENT: Final = timedelta(seconds=100)
"""Whoever takes flow runs says so every thirty seconds."""


class ProcessBeats:
    """Shows from a thread that this process lives. A database that is away for a moment is no reason to end.

    It is a measurement: none of it is in the audit log.
    """

    def __init__(self, context: Context, kind: str, name: str, *, every_s: float = BEAT_S) -> None:
        self._context, self._kind, self._name, self._every_s = context, kind, name, every_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._run, name=f"beat-{self._kind}", daemon=True)
        self._thread.start()

    def end(self, *, within_s: float = 2.0) -> None:
        """A clean end: nobody is to wait for more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=within_s)

    def _run(self) -> None:
        began, pid, over = self._context.clock.now(), os.getpid(), False
        while not over:
            over = self._stopping.is_set()
            try:
                with self._context.store.write() as unit:
                    if over:
                        unit.processes.end(self._name, pid=pid)
                    else:
                        unit.processes.beat(ProcessBeat(self._name, self._kind, pid, began, self._context.clock.now()))
            except ProductOpsError as error:
                log.info("no sign of life this time", process=self._name, reason=str(error))
            self._stopping.wait(self._every_s)


@dataclass(slots=True)
class ProcessWatch:
    """APIs and dispatchers that are silent, and a Prefect that nobody takes runs from. ``turn`` every few seconds."""

    context: Context
    workers: FlowWorkers | None = None
    book: AlertBook = field(init=False)
    _began: datetime = field(init=False)
    _answered: bool = False
    _silent_since: datetime | None = None

    def __post_init__(self) -> None:
        self.book = AlertBook(self.context, "processes")
        self._began = self.context.clock.now()

    def turn(self) -> int:
        """Returns how many alerts were told. Raises: StoreUnavailableError."""
        now = self.context.clock.now()
        with self.context.store.read() as unit:
            beats, ventures = unit.processes.all(), unit.catalog.ventures()
            known = {each.alert.fingerprint for each in unit.detectors.open_alerts("processes")}
        firing = [alert for beat in beats if beat.is_silent(now=now) and not beat.is_gone(now=now) for alert in _silent(beat, ventures)]
        flows = self._flows(ventures, now=now)
        late = self._silent_since is not None and now - self._silent_since < PREFECT_SILENT
        firing += [each for each in flows if each.fingerprint in known or (self._answered and not late)]
        if any(beat.is_gone(now=now) for beat in beats):
            with self.context.store.write() as unit:
                unit.processes.forget(before=now - FORGOTTEN)
        return self.book.settle(Findings(tuple(firing), frozenset(known - {alert.fingerprint for alert in firing})))

    def _flows(self, ventures: Sequence[str], *, now: datetime) -> list[Alert]:
        """A Prefect that never answered is not missed: this installation may have none."""
        if self.workers is None or now - self._began < FLOWS_SILENT:  # whoever starts with us has had no time to say so
            return []
        try:
            beats, self._silent_since = self.workers.worker_beats(), None
        except OrchestratorError as error:
            self._silent_since = self._silent_since or now
            return _flow_alerts("Prefect silent", f"Prefect does not answer: {error}"[:500], ventures, now)
        self._answered = True
        if not beats:  # nobody ever took runs here: there is nobody to miss
            return []
        name, last = max(beats.items(), key=lambda each: each[1])
        if now - last <= FLOWS_SILENT:
            return []
        words = f"no dispatcher or worker takes runs from Prefect: the last one, {name}, was heard at {last:%H:%M:%S} UTC"
        return _flow_alerts("nobody takes flow runs", words, ventures, now)


def tell_silent_watch(context: Context) -> int:
    """For whoever is not the watch: whether it is silent. Returns how many alerts were told. Raises: StoreUnavailableError."""
    now = context.clock.now()
    with context.store.read() as unit:
        reports, ventures = unit.detectors.reports(), unit.catalog.ventures()
        known = {each.alert.fingerprint for each in unit.detectors.open_alerts("watch-silence")}
    if not reports:  # none ever ran here
        return 0
    holder, data, at = reports[0]
    beat = ProcessBeat("watch", "watch", int(data.get("pid", 0)), at, at)
    firing = _silent(beat, ventures, by=holder) if now - at > WATCH_SILENT else []
    marks = frozenset(known - {alert.fingerprint for alert in firing})
    return AlertBook(context, "watch-silence").settle(Findings(tuple(firing), marks)) if firing or known else 0


def _silent(beat: ProcessBeat, ventures: Sequence[str], *, by: str = "") -> list[Alert]:
    since = beat.at + SILENT
    who = f"{beat.name} ({by or f'process {beat.pid}'})"
    return [
        Alert(
            source="heartbeat", name=f"{beat.kind} silent", venture=venture, component=beat.name, severity="SEV2", starts_at=since,
            labels={"process": beat.name},
            summary=f"{who} has shown no sign of life since {beat.at:%H:%M:%S} UTC: {LOST.get(beat.kind, 'it does nothing')}",
            evidence={"process": beat.name, "pid": beat.pid, "last_at": beat.at.isoformat(), "since": since.isoformat()},
        )
        for venture in ventures
    ]  # fmt: skip


def _flow_alerts(name: str, words: str, ventures: Sequence[str], now: datetime) -> list[Alert]:
    return [
        Alert(
            source="heartbeat", name=name, venture=venture, component="prefect", severity="SEV2", starts_at=now,
            labels={"process": "prefect"}, evidence={"since": now.isoformat()},
            summary=f"{words}; releases cannot begin, what is shifted goes back by its lease",
        )
        for venture in ventures
    ]  # fmt: skip
