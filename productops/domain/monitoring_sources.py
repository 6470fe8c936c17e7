"""Questions to a system that stores metrics: a query per version, over whole windows of time."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from productops.domain.analysis import RatioCount
from productops.domain.judge.policy import MetricKind
from productops.domain.routing import VersionKey
from productops.errors import InvalidInputError

INTERVAL = "{interval}"
_PLACEHOLDER = re.compile(r"\{(service|environment|version|interval|interval_s)\}")
_SAFE = re.compile(r"[A-Za-z0-9._+-]+")

Values = Mapping[int, RatioCount | float]
"""Second in which a window ended (Unix time) → what was counted in it, or the level at its end. What is not there is not known."""


@dataclass(frozen=True, slots=True)
class Window:
    """Points in time ``after_s`` < t <= ``until_s``, multiples of ``step_s`` (whole Unix seconds): equal for all versions."""

    after_s: int
    until_s: int
    step_s: int

    def __post_init__(self) -> None:
        """Raises: ValueError when the ends are not multiples of the step, or the step is not positive."""
        if self.step_s < 1 or self.after_s % self.step_s or self.until_s % self.step_s:
            raise ValueError("after_s and until_s must be multiples of step_s, which is at least 1")

    @property
    def points(self) -> range:
        """The ends of the intervals."""
        return range(self.after_s + self.step_s, self.until_s + 1, self.step_s)


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """How to ask for a metric of one's own: ``query`` for events or a level, ``query_total`` for the trials among which they are."""

    kind: MetricKind
    query: str
    query_total: str = ""


def fill(template: str, key: VersionKey, *, step_s: int) -> str:
    """``template`` with {service}, {environment}, {version}, {interval} (``5s``) and {interval_s} (``5``) replaced; other braces stay.

    Raises: InvalidInputError when a value holds a character that could end a text in a query.
    """
    service, environment, version = key
    values = {"service": service, "environment": str(environment), "version": version, "interval": f"{step_s}s", "interval_s": str(step_s)}
    for name, value in values.items():
        if not _SAFE.fullmatch(value):
            raise InvalidInputError(f"{name} {value[:120]!r} cannot stand in a query: letters, digits, '.', '_', '+' and '-' only")
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def increments(cumulative: Mapping[int, float], window: Window) -> dict[int, float]:
    """What a counter gained in each interval; an interval whose end is unknown, or in which it fell (a restart), is left out."""
    gained: dict[int, float] = {}
    for point in window.points:
        before, after = cumulative.get(point - window.step_s), cumulative.get(point)
        if before is not None and after is not None and after >= before:
            gained[point] = after - before
    return gained


def ratio_counts(events: Mapping[int, float], totals: Mapping[int, float], kind: MetricKind) -> dict[int, RatioCount]:
    """Counts where both are known. They are rounded; events of a ratio never exceed its total."""
    counts: dict[int, RatioCount] = {}
    for point in sorted(events.keys() & totals.keys()):
        total, event = round(totals[point]), round(events[point])
        if total >= 0 and event >= 0:
            counts[point] = RatioCount(min(event, total) if kind is MetricKind.RATIO else event, total)
    return counts


def finite(values: Mapping[int, float]) -> dict[int, float]:
    """Without what is not a number."""
    return {point: value for point, value in values.items() if math.isfinite(value)}
