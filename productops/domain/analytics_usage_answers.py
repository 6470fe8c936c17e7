"""Answers to questions about use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

OTHER = "(other)"
NO_VALUE = "(none)"


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer was made of: files and their events in the range, and the newest event among them."""

    venture: str
    since: datetime
    until: datetime
    files: int
    events: int
    newest_at: datetime | None
    at: datetime
    took_ms: float

    @property
    def empty(self) -> bool:
        """There is not one event in the range: nothing can be said."""
        return self.events == 0


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """``people`` came so far. Shares in [0, 1], None of nobody. Times in seconds from the step before, of those who came here."""

    title: str
    people: int
    of_first: float | None
    of_previous: float | None
    median_s: int | None
    p90_s: int | None

    @classmethod
    def listed(cls, titles: Sequence[str], people: Sequence[int], times: Sequence[tuple[int | None, int | None]]) -> tuple[FunnelStep, ...]:
        """All steps of a funnel; ``times`` are median and 90th percentile of each."""
        found = []
        for n, title in enumerate(titles):
            before = people[n - 1] if n else people[0]
            share = people[n] / people[0] if people[0] else None
            found.append(cls(title, people[n], share, people[n] / before if before else None, *times[n]))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class FunnelAnswer:
    """``excluded`` did what must not happen on their furthest way; ``under_way`` have not come through and still have time.

    ``median_s`` and ``p90_s``: from the first step to the last, of those who came through. ``by_value``: people at each step.
    """

    basis: Basis
    steps: tuple[FunnelStep, ...]
    excluded: int
    under_way: int
    median_s: int | None
    p90_s: int | None
    by_value: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class RetentionRow:
    """``people`` began in the period; of them so many returned by column. ``complete``: that column's time is over for all of them."""

    begin: datetime
    people: int
    returned: tuple[int, ...]
    complete: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class RetentionAnswer:
    """``columns``: first and last offset in periods. ``overall``: share over the rows whose column is complete; None where none is."""

    basis: Basis
    columns: tuple[tuple[int, int], ...]
    rows: tuple[RetentionRow, ...]
    overall: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """In ``sessions`` sessions, event number ``step`` (from 0) was followed by the other."""

    step: int
    before: str
    after: str
    sessions: int


@dataclass(frozen=True, slots=True)
class PathsAnswer:
    """The most frequent moves and whole paths; ``backward``: told from the end back."""

    basis: Basis
    sessions: int
    backward: bool
    moves: tuple[Move, ...]
    paths: tuple[tuple[tuple[str, ...], int], ...]


@dataclass(frozen=True, slots=True)
class UsagePeriodCounts:
    """People in a period: who used it, and of whom: for the first time ever, again, or after a pause. ``dormant`` did before, not now."""

    begin: datetime
    active: int
    new: int
    returning: int
    resurrected: int
    dormant: int
    everybody: int
    complete: bool

    @property
    def share(self) -> float | None:
        """Of the people active in the venture; None of nobody."""
        return self.active / self.everybody if self.everybody else None


@dataclass(frozen=True, slots=True)
class ActiveDay:
    """People active on a day, in the 7 days and in the 30 days up to it."""

    day: date
    daily: int
    weekly: int
    monthly: int

    @property
    def stickiness(self) -> float | None:
        """Daily of monthly people; None of nobody."""
        return self.daily / self.monthly if self.monthly else None


@dataclass(frozen=True, slots=True)
class UsageAnswer:
    """Adoption. ``newcomers`` were first seen in the range; ``adopted`` of them used it, half of those within ``first_use_median_s``."""

    basis: Basis
    feature: str | None
    periods: tuple[UsagePeriodCounts, ...]
    days: tuple[ActiveDay, ...]
    newcomers: int
    adopted: int
    first_use_median_s: int | None
    first_use_p90_s: int | None


@dataclass(frozen=True, slots=True)
class Segment:
    """Use by people whose events have a value."""

    value: str
    events: int
    people: int


@dataclass(frozen=True, slots=True)
class SegmentAnswer:
    """The largest values; a person counts in each value of theirs, and ``(other)`` is people of all smaller ones, each once a value."""

    basis: Basis
    events: int
    people: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Performance:
    """How the events of a feature and version went. Latencies in milliseconds, exact, None where no event told one."""

    feature: str
    version: str
    events: int
    failures: int
    timed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class CohortAnswer:
    """How many people are in a cohort at a moment, and the keys of the first of them."""

    basis: Basis
    name: str
    people: int
    keys: tuple[str, ...]
