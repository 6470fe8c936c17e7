"""Performance of a service over versions and load: minutes of traffic in, findings and what to do about them out. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from productops.domain.analysis import ArmSecond
from productops.domain.routing import merge_histograms
from productops.domain.traffic_summary import quantile_ms

Floats = NDArray[np.float64]
COLUMNS: Final = 7
"""Minute since 1970, requests, failures, seconds measured, and the 50 %, 90 % and 99 % quantiles of latency in milliseconds (or NaN)."""
SECONDS_MIN = 20
REQUESTS_MIN = 20


class FindingKind(StrEnum):
    """What is said about a service or feature."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    KNEE = "knee"
    SLOW_HOUR = "slow-hour"
    BENCHMARK = "benchmark"
    SEGMENT = "segment"


class ActionKind(StrEnum):
    """What can be done about it."""

    ROLL_BACK = "roll-back"
    FLAG_OFF = "flag-off"
    MORE_INSTANCES = "more-instances"
    LOOK = "look"
    NOTHING = "nothing"


ACTS: Final = frozenset({ActionKind.ROLL_BACK, ActionKind.FLAG_OFF, ActionKind.MORE_INSTANCES})
"""Those that are started when it is asked for; for the others a person has to look."""


@dataclass(frozen=True, slots=True)
class Minutes:
    """One version, one row per minute in order of time; shape (minutes, 7) with the columns of ``COLUMNS``."""

    version: str
    rows: Floats

    @property
    def usable(self) -> Floats:
        """Rows of minutes that were measured long enough and had enough requests for a quantile."""
        return self.rows[(self.rows[:, 3] >= SECONDS_MIN) & (self.rows[:, 1] >= REQUESTS_MIN)]

    def pack(self) -> bytes:
        """As the store keeps them."""
        return zlib.compress(np.ascontiguousarray(self.rows, dtype="<f8").tobytes(), 6)

    @classmethod
    def unpack(cls, version: str, payload: bytes) -> Minutes:
        """Back from the store."""
        return cls(version, np.frombuffer(zlib.decompress(payload), dtype="<f8").reshape(-1, COLUMNS).copy())


def minutes_of(version: str, seconds: Iterable[tuple[int, ArmSecond]]) -> Minutes:
    """Seconds of one version (Unix time, measured ones only), in any order, as minutes."""
    groups: dict[int, list[ArmSecond]] = {}
    for at_s, arm in seconds:
        groups.setdefault(at_s // 60, []).append(arm)
    rows = np.array([_minute(at, groups[at]) for at in sorted(groups)], dtype=np.float64)
    return Minutes(version, rows.reshape(-1, COLUMNS))


def _minute(at: int, arms: Sequence[ArmSecond]) -> list[float]:
    latency = merge_histograms([arm.latency for arm in arms])
    found = [quantile_ms(latency, q) for q in (0.5, 0.9, 0.99)]
    requests, failures = sum(arm.requests for arm in arms), sum(arm.failures for arm in arms)
    return [at, requests, failures, len(arms), *(value or float("nan") for value in found)]


def joined(version: str, parts: Iterable[Minutes]) -> Minutes:
    """One per minute: that which was measured longest."""
    every = [part.rows for part in parts if len(part.rows)]
    if not every:
        return Minutes(version, np.empty((0, COLUMNS)))
    rows = np.concatenate(every)
    rows = rows[np.lexsort((-rows[:, 3], rows[:, 0]))]
    first = np.concatenate([[True], np.diff(rows[:, 0]) > 0])
    return Minutes(version, rows[first])


@dataclass(frozen=True, slots=True)
class PerformanceFinding:
    """Something that is so beyond chance. ``effect``: share by which latency is higher (0.2: a fifth), or points of the failure ratio;
    for a knee the load. ``p_value`` holds for all comparisons of the look together. ``harm`` orders findings, most first.
    """

    kind: FindingKind
    metric: str
    sentence: str
    effect: float
    low: float
    high: float
    p_value: float | None
    harm: float
    version: str = ""
    against: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do. ``target``: what the use case needs that does it. ``possible``: whether it can be started now; ``why``: or why not."""

    action: ActionKind
    sentence: str
    target: Mapping[str, Any] = field(default_factory=dict)
    possible: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class PerformanceRun:
    """One look. ``state``: done (nothing was started), acting, acted, refused. ``action`` tells what was started and what became of it,
    ``effect`` what it brought.
    """

    id: str
    venture: str
    subject: str
    environment: str
    state: str
    sentence: str
    findings: tuple[PerformanceFinding, ...]
    recommendations: tuple[Recommendation, ...]
    facts: Mapping[str, Any]
    action: Mapping[str, Any]
    effect: Mapping[str, Any]
    by: str
    at: datetime
    request_key: str | None = None
    fingerprint: str = ""
    acted_at: datetime | None = None
    measured_at: datetime | None = None


def result_document(run: PerformanceRun) -> dict[str, Any]:
    """What of a run is kept as JSON."""
    return {
        "findings": [_plain(asdict(each)) for each in run.findings], "recommendations": [_plain(asdict(r)) for r in run.recommendations],
        "facts": _plain(dict(run.facts)),
    }  # fmt: skip


def findings_of(document: Mapping[str, Any]) -> tuple[PerformanceFinding, ...]:
    """Back from JSON."""
    return tuple(PerformanceFinding(**{**each, "kind": FindingKind(each["kind"])}) for each in document["findings"])


def recommendations_of(document: Mapping[str, Any]) -> tuple[Recommendation, ...]:
    """Back from JSON."""
    return tuple(Recommendation(**{**each, "action": ActionKind(each["action"])}) for each in document["recommendations"])


def _plain(value: Any) -> Any:
    """JSON knows no NaN and no infinite number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
