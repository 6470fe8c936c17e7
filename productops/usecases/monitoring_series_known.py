"""What a program remembers of series, so that a thousand points a second need no thousand questions."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from productops.domain.release import Environment

if TYPE_CHECKING:  # every program has this, and arrays take a tenth of a second to load
    from productops.domain.monitoring_series import SeriesInfo, SeriesKey

SERIES_MAX: Final = 10_000
FORGET_S: Final = 600.0
WATCHED_S: Final = 2.0
Place = tuple[str, Environment | None]


@dataclass(frozen=True, slots=True)
class Known:
    """The number of a series, and whose it is."""

    number: int
    place: Place


class KnownSeries:
    """Numbers of series by key, and those with thresholds as they were a moment ago. One for each program; usable from many threads.

    ``limit``: most series that a venture may have with points of the last day.
    """

    def __init__(self, limit: int = SERIES_MAX) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._numbers: dict[SeriesKey, Known] = {}
        self._since = 0.0
        self._watched: dict[int, SeriesInfo] = {}
        self._watched_at = -WATCHED_S

    def unknown(self, keys: Collection[SeriesKey], *, monotonic: float) -> list[SeriesKey]:
        """Keys whose numbers have to be asked for. What is remembered is forgotten every ten minutes: series go after a long silence."""
        with self._lock:
            if monotonic - self._since > FORGET_S:
                self._numbers, self._since = {}, monotonic
            numbers = self._numbers
        return [key for key in keys if key not in numbers]

    def remember(self, numbers: Mapping[SeriesKey, int]) -> None:
        """Numbers that the store gave."""
        with self._lock:
            self._numbers = self._numbers | {key: Known(number, (key.venture, key.environment)) for key, number in numbers.items()}

    def get(self, keys: Sequence[SeriesKey]) -> list[Known | None]:
        """One for each key."""
        numbers = self._numbers
        return [numbers.get(key) for key in keys]

    def watched(self, *, monotonic: float) -> dict[int, SeriesInfo] | None:
        """Series with thresholds by number; None: it is time to ask for them."""
        return None if monotonic - self._watched_at > WATCHED_S else self._watched

    def note_watched(self, infos: Collection[SeriesInfo], *, monotonic: float) -> dict[int, SeriesInfo]:
        """What the store said."""
        self._watched, self._watched_at = {info.number: info for info in infos}, monotonic
        return self._watched

    def look_again(self) -> None:
        """A threshold or a status is not what was remembered."""
        self._watched_at = -WATCHED_S - 1e9
