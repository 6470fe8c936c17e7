"""Second by second: do the services answer as they usually do? Reads what the router counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from productops.domain.analysis import ArmSecond
from productops.domain.incident_alert import Alert
from productops.domain.monitoring_detect import Findings
from productops.domain.monitoring_detect_service import Deviation, ServiceDetector, Usual
from productops.domain.release import Environment
from productops.domain.routing import VersionKey
from productops.errors import StoreUnavailableError
from productops.store import Unit
from productops.store.monitoring_detect import Learned
from productops.usecases.context import Context
from productops.usecases.monitoring_detect import AlertBook, VentureBook

KIND: Final = "service"
SAVE_S: Final = 300.0
BACK_S: Final = 90
"""So far back a process that begins reads: what happened while there was none is seen, too."""
AGENT_FRESH_S: Final = 5.0
_NAMES: Final = {"failures": "failing requests", "latency": "slow answers", "requests": "missing requests"}
_SERIES: Final = {"failures": "service.error_ratio", "latency": "service.p95_ms", "requests": "service.requests_per_s"}
Place = tuple[str, Environment]
_Seconds = Mapping[VersionKey, ArmSecond | None]


@dataclass(slots=True)
class ServiceWatch:
    """All services. ``turn`` once a second; what was learned is kept every few minutes and read when it begins."""

    context: Context
    crowded: Callable[[], bool] = bool
    """Whether the machine is short of processors just now."""
    book: AlertBook = field(init=False)
    _places: dict[Place, ServiceDetector] = field(default_factory=dict)
    _ventures: dict[str, str] = field(default_factory=dict)
    _learned: dict[str, Usual] | None = None
    _read_s: int = 0
    _beat_s: int = 0
    _present: bool = False
    _saved: float = 0.0
    _known: VentureBook = field(init=False)

    def __post_init__(self) -> None:
        self.book, self._known = AlertBook(self.context, KIND), VentureBook(self.context)

    def turn(self) -> int:
        """Look at the seconds since the last turn; returns how many alerts were told. Raises: StoreUnavailableError."""
        now = self.context.clock.now()
        until_s = int(now.timestamp()) - 1
        with self.context.store.read() as unit:
            if self._learned is None:
                self._learned = {each.key: _usual(each.data) for each in unit.detectors.learned(KIND)}
                self._read_s, self._saved = until_s - BACK_S, self.context.clock.monotonic()
            seconds = unit.detectors.traffic_after(self._read_s, until_s=until_s)
            if until_s != self._beat_s:
                self._beat_s, self._present = until_s, _agent_is_fresh(unit, now=now)
            self._ventures = self._known.of(unit, {service for rows in seconds.values() for service, _, _ in rows})
        self._feed(seconds, until_s, present=self._present)
        told = self.book.settle(self._findings())
        if self.context.clock.monotonic() - self._saved >= SAVE_S:
            self.save()
        return told

    def _feed(self, seconds: Mapping[int, _Seconds], until_s: int, *, present: bool) -> None:
        """A second without any row counts as silence only when the agent lives and one after it was written or it is old enough."""
        last = max(seconds, default=self._read_s)
        upto, crowded = until_s - 2 if present else last, self.crowded()
        for at_s in range(self._read_s + 1, max(last, upto) + 1):
            rows = seconds.get(at_s, {})
            for service, environment, _ in rows:
                self._of((service, environment))
            for place, detector in self._places.items():
                detector.see(at_s, _arms(rows, place), crowded=crowded)
        self._read_s = max(self._read_s, last, upto)

    def _of(self, place: Place) -> ServiceDetector:
        if place not in self._places:
            learned = (self._learned or {}).get(_key(place))
            self._places[place] = ServiceDetector(usual=learned or Usual())
        return self._places[place]

    def _findings(self) -> Findings:
        firing, calm = [], set()
        for place, detector in self._places.items():
            if place[0] not in self._ventures:
                continue
            for what in _NAMES:
                found = next((each for each in detector.firing() if each.what == what), None)
                alert = self._alert(place, what, found)
                if found is not None:
                    firing.append(alert)
                else:
                    calm.add(alert.fingerprint)
        return Findings(tuple(firing), frozenset(calm))

    def _alert(self, place: Place, what: str, found: Deviation | None) -> Alert:
        service, environment = place
        evidence: dict[str, Any] = {}
        if found is not None:
            evidence = {
                "series": _SERIES[what], "seen": found.seen, "expected": found.expected, "rarity_log10": round(found.rarity, 1),
                "requests": found.requests, "window_s": found.window_s, "since_s": found.since_s,
                "by_version": {version: {"failures": f, "requests": r} for version, (f, r) in found.versions.items()},
            }  # fmt: skip
        return Alert(
            source="anomaly", name=_NAMES[what], venture=self._ventures[service], service=service, environment=environment,
            component=service, severity=_severity(environment, found), summary=found.text if found else "", evidence=evidence,
            starts_at=datetime.fromtimestamp(found.since_s if found else 0, UTC), value=found.seen if found else None,
        )  # fmt: skip

    def save(self) -> None:
        """Keep what was learned. Raises: StoreUnavailableError."""
        learned = [
            Learned(_key(place), KIND, f"{place[0]} in {place[1]}", json.dumps(detector.usual.document()).encode())
            for place, detector in self._places.items()
        ]
        with self.context.store.write() as unit:
            unit.detectors.keep(learned, now=self.context.clock.now())
        self._saved = self.context.clock.monotonic()

    def close(self) -> None:
        """Keep what was learned, where the store answers."""
        try:
            self.save()
        except StoreUnavailableError:
            return


def _arms(rows: _Seconds, place: Place) -> dict[str, ArmSecond] | None:
    mine = {version: arm for (service, environment, version), arm in rows.items() if (service, environment) == place}
    if mine and all(arm is None for arm in mine.values()):
        return None
    return {version: arm for version, arm in mine.items() if arm is not None}


def _severity(environment: Environment, found: Deviation | None) -> str:
    if environment is not Environment.PRODUCTION:
        return "SEV4" if environment is Environment.DEVELOPMENT else "SEV3"
    if found is None:
        return "SEV3"
    grave = {"failures": found.seen >= 0.05, "latency": found.seen >= 4 * found.expected, "requests": found.seen == 0}
    return "SEV2" if grave[found.what] else "SEV3"


def _agent_is_fresh(unit: Unit, *, now: datetime) -> bool:
    return any(now - at < timedelta(seconds=AGENT_FRESH_S) for _, at in unit.detectors.agent_beats().values())


def _key(place: Place) -> str:
    return f"{place[0][:40]}:{place[1].value}"


def _usual(data: bytes) -> Usual:
    try:
        return Usual(**json.loads(data))
    except (ValueError, TypeError):
        return Usual()  # of another version: learned anew
