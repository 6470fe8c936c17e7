"""Measured numbers over time: what a series is called, its points, and when a value is worth a warning."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from productops.domain.release import Environment
from productops.errors import InvalidInputError

CATEGORIES: Final = ("infrastructure", "application", "business")
INSTALLATION: Final = ""
"""The venture of series that belong to none: those of hosts."""
COMPONENT_MAX, NAME_MAX, TAGS_MAX, TAG_NAME_MAX, TAG_VALUE_MAX = 255, 255, 20, 100, 255
ENVIRONMENT_TAG: Final = "environment"

Floats = NDArray[np.float64]
Seconds = NDArray[np.int64]


class SeriesStatus(StrEnum):
    """``unknown``: thresholds are set, and no point came for a while."""

    NORMAL = "normal"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class Statistic(StrEnum):
    """What of the points in a step is told."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    LAST = "last"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """The identity of a series.

    ``venture`` is empty for what belongs to the installation (hosts). ``component``: ``host/<name>``, ``<service>``,
    ``<service>/<instance id>``. ``category``: infrastructure, application or business. ``tags`` are sorted by name.
    """

    venture: str
    component: str
    category: str
    name: str
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """32 hexadecimal characters that stand for all of it."""
        parts = [self.venture, self.component, self.category, self.name, *(text for tag in self.tags for text in tag)]
        return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()

    @property
    def environment(self) -> Environment | None:
        """The environment that its tags name; None for none."""
        named = dict(self.tags).get(ENVIRONMENT_TAG)
        return Environment(named) if named in {each.value for each in Environment} else None

    def __str__(self) -> str:
        tags = ", ".join(f"{name}={value}" for name, value in self.tags)
        return f"{self.component} {self.name}" + (f" {{{tags}}}" if tags else "")


def series_key(venture: str, component: str, category: str, name: str, tags: Mapping[str, str] | None = None) -> SeriesKey:
    """A key with its tags in order; tags without a value are left out."""
    return SeriesKey(venture, component, category, name, tuple(sorted((n, v) for n, v in (tags or {}).items() if v)))


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a time (Unix seconds). Of two points in the same second the one that came last counts."""

    key: SeriesKey
    at: float
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class SeriesData:
    """Points of one series, or one value for each step that has some: parallel arrays, ``at`` in Unix seconds and rising."""

    key: SeriesKey
    at: Floats
    value: Floats


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which value on a series is worth a warning; ``below``: small values are bad."""

    warning: float | None = None
    critical: float | None = None
    below: bool = False

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.warning is not None or self.critical is not None

    def check(self) -> None:
        """Raises: InvalidInputError for a value that is no number, or a critical one that is met before the warning."""
        if any(each is not None and not math.isfinite(each) for each in (self.warning, self.critical)):
            raise InvalidInputError("a threshold must be a finite number")
        if self.warning is not None and self.critical is not None and self._crosses(self.warning, self.critical):
            order = "above" if self.below else "below"
            raise InvalidInputError(
                f"critical {self.critical:g} is {order} warning {self.warning:g}: values would be critical before they are a warning"
            )

    def status(self, value: float) -> SeriesStatus:
        """What a value means. A value at the threshold has reached it."""
        if self.critical is not None and self._reached(value, self.critical):
            return SeriesStatus.CRITICAL
        if self.warning is not None and self._reached(value, self.warning):
            return SeriesStatus.WARNING
        return SeriesStatus.NORMAL

    def _reached(self, value: float, limit: float) -> bool:
        return value <= limit if self.below else value >= limit

    def _crosses(self, warning: float, critical: float) -> bool:
        return critical > warning if self.below else critical < warning


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What is known of a series without its points. ``last_at`` in Unix seconds; None: none was sorted in yet."""

    number: int
    key: SeriesKey
    thresholds: Thresholds
    status: SeriesStatus
    last_at: float | None
    last_value: float | None


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days are kept: of points, of their minutes, of their hours, and rows of the table infrastructure_metrics."""

    points_days: int = 15
    minutes_days: int = 60
    hours_days: int = 400
    rows_days: int = 3
    rows_max: int = 2_000_000


def check_key(key: SeriesKey) -> SeriesKey:
    """``key``, when it can be kept. Raises: InvalidInputError that says which part cannot, and what it may be."""
    problem = _problem_of_names(key) or _problem_of_tags(key.tags)
    if problem:
        raise InvalidInputError(f"series {str(key)[:200]!r}: {problem}")
    return key


def _problem_of_names(key: SeriesKey) -> str:
    if key.category not in CATEGORIES:
        return f"category {key.category[:40]!r} is none of {', '.join(CATEGORIES)}"
    for what, value, most in (("component", key.component, COMPONENT_MAX), ("name", key.name, NAME_MAX)):
        if not 0 < len(value) <= most or "\x00" in value:
            return f"the {what} has {len(value)} characters; it may have 1 to {most}, none of them NUL"
    return ""


def _problem_of_tags(tags: tuple[tuple[str, str], ...]) -> str:
    if len(tags) > TAGS_MAX:
        return f"{len(tags)} tags; at most {TAGS_MAX}, and none whose values never repeat, like ids of requests"
    names = [name for name, _ in tags]
    if names != sorted(set(names)):
        return "tags must be sorted by name, each name once"
    for name, value in tags:
        if not 0 < len(name) <= TAG_NAME_MAX or len(value) > TAG_VALUE_MAX or "\x00" in name + value:
            return f"tag {name[:40]!r}: a name may have 1 to {TAG_NAME_MAX} characters, a value {TAG_VALUE_MAX}, none of them NUL"
    return ""
