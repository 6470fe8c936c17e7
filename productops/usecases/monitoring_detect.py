"""Alerts of our own detectors: written down before they are told, told until they are taken, ended when what they say is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from productops.domain.incident_alert import Alert, is_worse
from productops.domain.monitoring_detect import Findings, OpenAlert
from productops.store import Unit
from productops.usecases.context import OURSELVES, Context
from productops.usecases.incident_alerts import take_alerts


@dataclass(slots=True)
class VentureBook:
    """Whose each service is; read again every ``every_s`` seconds, and at once for a service that is not known.

    Detectors ask twice a second; services come and go by the day.
    """

    context: Context
    every_s: float = 5.0
    _of: dict[str, str] = field(default_factory=dict)
    _read_at: float = float("-inf")

    def of(self, unit: Unit, services: Iterable[str]) -> dict[str, str]:
        """By service, of all services."""
        now_s = self.context.clock.monotonic()
        if now_s - self._read_at >= self.every_s or any(service not in self._of for service in services):
            self._of = {service.name: service.venture for service in unit.catalog.services()}
            self._read_at = now_s
        return self._of


@dataclass(slots=True)
class AlertBook:
    """What one detector lets fire. Kill the process anywhere: an alert is told at least once, and twice is the same fingerprint.

    ``again_s``: an alert that goes on is told again so often, so that nobody downstream takes silence for an end; one that gets far worse
    at once.
    """

    context: Context
    detector: str
    again_s: float = 60.0
    _open: dict[str, OpenAlert] | None = None
    _told_at: dict[str, float] = field(default_factory=dict)
    _told: dict[str, Alert] = field(default_factory=dict)

    @property
    def any_open(self) -> bool:
        """Whether anything fires, or may: nothing was read yet."""
        return self._open is None or bool(self._open)

    def settle(self, findings: Findings) -> int:
        """Take in one look and tell what is new or over; returns how many alerts were told. Raises: StoreUnavailableError."""
        if self._open is None:
            with self.context.store.read() as unit:
                self._open = {each.alert.fingerprint: each for each in unit.detectors.open_alerts(self.detector)}
        fresh = [alert for alert in findings.firing if alert.fingerprint not in self._open]
        over = [mark for mark in findings.calm if mark in self._open and self._open[mark].ended_at is None]
        if fresh or over:
            self._write(fresh, over)
        self._go_on(findings.firing)
        return self._tell()

    def _write(self, fresh: Iterable[Alert], over: Iterable[str]) -> None:
        assert self._open is not None  # noqa: S101 - settle has just read it
        now = self.context.clock.now()
        fresh, over = list(fresh), list(over)
        with self.context.store.write() as unit:
            self._audit(unit, fresh, over)
            for alert in fresh:
                unit.detectors.begin(self.detector, alert)
            for mark in over:
                unit.detectors.end(mark, at=now)
        for alert in fresh:
            self._open[alert.fingerprint] = OpenAlert(alert, told=False, ended_at=None)
        for mark in over:
            self._open[mark] = replace(self._open[mark], ended_at=now)

    def _audit(self, unit: Unit, fresh: list[Alert], over: list[str]) -> None:
        now = self.context.clock.now()
        for action, marks in (("detector.fired", [alert.fingerprint for alert in fresh]), ("detector.calmed", over)):
            if marks:
                actor = OURSELVES
                unit.audit.add(
                    action, f"detector/{self.detector}", actor=actor.name, origin=actor.origin, now=now, detail={"fingerprints": marks[:50]}
                )

    def _go_on(self, firing: Iterable[Alert]) -> None:
        """Newest evidence of what fires already; its start stays."""
        assert self._open is not None  # noqa: S101
        for alert in firing:
            known = self._open[alert.fingerprint]
            if known.ended_at is None:
                self._open[alert.fingerprint] = replace(known, alert=replace(alert, starts_at=known.alert.starts_at))

    def _tell(self) -> int:
        assert self._open is not None  # noqa: S101
        now_s = self.context.clock.monotonic()
        due = [
            each for mark, each in self._open.items()
            if each.ended_at is not None or not each.told or now_s - self._told_at.get(mark, float("-inf")) >= self.again_s
            or is_worse(each.alert, self._told.get(mark, each.alert))
        ]  # fmt: skip
        if not due:
            return 0
        alerts = [replace(e.alert, status="resolved", ends_at=e.ended_at) if e.ended_at else e.alert for e in due]
        take_alerts(self.context, alerts, actor=OURSELVES)
        ended = [each.alert.fingerprint for each in due if each.ended_at is not None]
        told = [each.alert.fingerprint for each in due if each.ended_at is None and not each.told]
        if ended or told:
            with self.context.store.write() as unit:
                unit.detectors.told(told)
                unit.detectors.done(ended)
        for mark in ended:
            self._open.pop(mark, None)
            self._told_at.pop(mark, None)
            self._told.pop(mark, None)
        for each in due:
            mark = each.alert.fingerprint
            if mark in self._open:
                self._open[mark] = replace(self._open[mark], told=True)
                self._told_at[mark], self._told[mark] = now_s, each.alert
        return len(due)
