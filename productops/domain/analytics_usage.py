"""Daily figures of use: what is kept of events once they are counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

EVERYTHING: Final = ""
"""As ``feature``: all events of the venture, with or without a feature. As ``dimension``: not split."""
QUIET_NAMES: Final = frozenset({"$exposure", "$identify"})
"""Names of events that say something about a person without the person doing anything: they make nobody active."""


class Dimension(StrEnum):
    """What daily figures are split by."""

    NONE = ""
    PLATFORM = "platform"
    COUNTRY = "country"
    VERSION = "version"
    ENVIRONMENT = "environment"


class PeriodUnit(StrEnum):
    """Spans whose people are counted exactly: weeks begin on Monday, all of them in UTC."""

    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class UsageDay:
    """One UTC day of one feature (``""``: the whole venture), perhaps of one value of a dimension.

    ``people`` did it that day, ``new_people`` for the first time ever. Latencies in milliseconds over the ``duration_count`` events that
    told one; the quantiles are exact, NaN-free, and None without such events. ``value_sum`` adds what events were worth.
    """

    venture: str
    day: date
    feature: str
    dimension: str
    value: str
    events: int
    people: int
    new_people: int
    failures: int
    duration_count: int = 0
    duration_sum_ms: float = 0.0
    duration_p50_ms: float | None = None
    duration_p95_ms: float | None = None
    value_sum: float = 0.0

    @property
    def failure_rate(self) -> float | None:
        """Share of events that failed; None without events."""
        return self.failures / self.events if self.events else None


@dataclass(frozen=True, slots=True)
class UsagePeriod:
    """People of a feature (``""``: the whole venture) in a week or month, exactly; ``begin`` is its first day."""

    venture: str
    unit: PeriodUnit
    begin: date
    feature: str
    people: int
    new_people: int
