"""What detectors learned and said, heartbeats, how the watch is, and the traffic they look at. The SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.incident_alert import Alert
from productops.domain.monitoring_detect import OpenAlert, alert_document, alert_of
from productops.domain.monitoring_detect_heartbeat import Heartbeat, HeartbeatSpec
from productops.domain.release import Environment
from productops.domain.routing import VersionKey
from productops.store.tables import (
    AgentRow,
    DetectorAlertRow,
    DetectorCursorRow,
    DetectorStateRow,
    HeartbeatRow,
    SecondRow,
    WatchReportRow,
)

WATCH = "watch"
"""The name under which watch processes elect one of them; it stands beside the names of routers."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a detector knows of a series, packed."""

    key: str
    kind: str
    subject: str
    data: bytes


class Detectors:
    """Repository of detectors within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def learned(self, kind: str) -> list[Learned]:
        """All that was kept of a kind."""
        rows = self._session.scalars(select(DetectorStateRow).where(DetectorStateRow.kind == kind))
        return [Learned(row.key, row.kind, row.subject, row.data) for row in rows]

    def keep(self, learned: Iterable[Learned], *, now: datetime) -> None:
        """Write it down in place of what was known."""
        for each in learned:
            row = DetectorStateRow(key=each.key, kind=each.kind, subject=each.subject[:600], data=each.data, saved_at=now)
            self._session.merge(row)

    def forget(self, *, before: datetime) -> int:
        """Drop what nobody has added to since; returns how many series."""
        return self._changed(delete(DetectorStateRow).where(DetectorStateRow.saved_at < before))

    def open_alerts(self, detector: str) -> list[OpenAlert]:
        """What fires by a detector's word, and what is over but not told yet."""
        rows = self._session.scalars(select(DetectorAlertRow).where(DetectorAlertRow.detector == detector))
        return [OpenAlert(alert_of(row.data), row.told, row.ended_at) for row in rows]

    def begin(self, detector: str, alert: Alert) -> None:
        """Write down an alert before it is told."""
        row = DetectorAlertRow(fingerprint=alert.fingerprint, detector=detector, data=alert_document(alert), told=False, ended_at=None)
        self._session.merge(row)

    def end(self, fingerprint: str, *, at: datetime) -> None:
        """It is over; that has to be told."""
        row = DetectorAlertRow
        self._session.execute(update(row).where(row.fingerprint == fingerprint, row.ended_at.is_(None)).values(ended_at=at))

    def told(self, fingerprints: Sequence[str]) -> None:
        """They were taken."""
        self._session.execute(update(DetectorAlertRow).where(DetectorAlertRow.fingerprint.in_(fingerprints)).values(told=True))

    def done(self, fingerprints: Sequence[str]) -> None:
        """Their end was taken, too."""
        row = DetectorAlertRow
        self._session.execute(delete(row).where(row.fingerprint.in_(fingerprints), row.ended_at.is_not(None)))

    def cursor(self, name: str) -> int | None:
        """Up to which number a detector has read; None before it ever did."""
        return self._session.scalar(select(DetectorCursorRow.number).where(DetectorCursorRow.name == name))

    def move(self, name: str, number: int) -> None:
        """It has read so far."""
        self._session.merge(DetectorCursorRow(name=name, number=number))

    def traffic_after(self, at_s: int, *, until_s: int) -> dict[int, dict[VersionKey, ArmSecond | None]]:
        """Traffic of all services in (at_s, until_s]: second → (service, environment, version) → counts; None: not measured."""
        row = SecondRow
        found: dict[int, dict[VersionKey, ArmSecond | None]] = {}
        for each in self._session.scalars(select(row).where(row.at_s > at_s, row.at_s <= until_s).order_by(row.at_s)):
            arm = ArmSecond(
                requests=each.requests, failures=each.failures,
                latency=LatencyHistogram(upper_ms=tuple(each.upper_ms), counts=tuple(each.counts)),
            )  # fmt: skip
            key = (each.service, Environment(each.environment), each.version)
            found.setdefault(each.at_s, {})[key] = None if each.missed else arm
        return found

    def agent_beats(self) -> dict[str, tuple[str, datetime]]:
        """By router: its agent and when that last showed a sign of life; agents that stepped down are left out."""
        rows = self._session.execute(select(AgentRow.router, AgentRow.holder, AgentRow.beat_at).where(AgentRow.router != WATCH))
        return {router: (holder, at) for router, holder, at in rows if holder}

    def report(self, holder: str, data: Mapping[str, Any], *, now: datetime) -> None:
        """How a watch process is; those silent for a day are forgotten."""
        self._session.merge(WatchReportRow(holder=holder, data=dict(data), at=now))

    def forget_reports(self, *, before: datetime) -> int:
        """Drop reports of processes that are long gone."""
        return self._changed(delete(WatchReportRow).where(WatchReportRow.at < before))

    def reports(self) -> list[tuple[str, dict[str, Any], datetime]]:
        """Holder, report, time; the newest first."""
        rows = self._session.scalars(select(WatchReportRow).order_by(WatchReportRow.at.desc()))
        return [(row.holder, row.data, row.at) for row in rows]

    def _changed(self, statement: Any) -> int:
        return int(self._session.execute(statement).rowcount)  # type: ignore[attr-defined]


class Heartbeats:
    """Repository of heartbeats within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[Heartbeat]:
        """By name."""
        return [_heartbeat(row) for row in self._session.scalars(select(HeartbeatRow).order_by(HeartbeatRow.name))]

    def find(self, name: str) -> Heartbeat | None:
        """None when it is not declared."""
        row = self._session.get(HeartbeatRow, name)
        return _heartbeat(row) if row else None

    def put(self, name: str, venture: str, spec: HeartbeatSpec, *, base: str, now: datetime) -> tuple[str, dict[str, Any] | None]:
        """('created', 'changed' or 'unchanged', what it was before)."""
        document = spec.model_dump(mode="json")
        row = self._session.get(HeartbeatRow, name)
        if row is None:
            self._session.add(HeartbeatRow(name=name, venture=venture, spec=document, base=base, declared_at=now, last_at=None, beats=0))
            return "created", None
        if (row.spec, row.base, row.venture) == (document, base, venture):
            return "unchanged", row.spec
        before, row.spec, row.base, row.venture = row.spec, document, base, venture
        return "changed", before

    def remove(self, name: str) -> None:
        """No error when it is not there."""
        self._session.execute(delete(HeartbeatRow).where(HeartbeatRow.name == name))

    def beat(self, name: str, *, now: datetime) -> bool:
        """A sign of life; false when nobody declared it. Time never goes back."""
        row = HeartbeatRow
        latest = func.coalesce(row.last_at, now)
        changed = self._session.execute(update(row).where(row.name == name, latest <= now).values(last_at=now, beats=row.beats + 1))
        return changed.rowcount == 1 or self._session.get(row, name) is not None  # type: ignore[attr-defined]


def _heartbeat(row: HeartbeatRow) -> Heartbeat:
    return Heartbeat(
        name=row.name, venture=row.venture, spec=HeartbeatSpec.model_validate(row.spec), base=row.base,
        declared_at=row.declared_at, last_at=row.last_at, beats=row.beats,
    )  # fmt: skip


class DetectParts:
    """The repositories of detection of one transaction."""

    _session: Session

    @cached_property
    def detectors(self) -> Detectors:
        """What detectors learned and said."""
        return Detectors(self._session)

    @cached_property
    def heartbeats(self) -> Heartbeats:
        """Who has to report, and when it last did."""
        return Heartbeats(self._session)
