"""Measurements while they are gathered: one series per name, unit and labels, and limits on both."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable

from productops.adapters.quality_inputs.limits import NAME_CHARACTERS_MAX, SAMPLES_MAX, SERIES_MAX
from productops.adapters.quality_inputs.source import Notes, clean_text
from productops.domain.quality import Series
from productops.errors import QualityInputError

Labels = tuple[tuple[str, str], ...]
_Key = tuple[str, str, bool | None, Labels]


class Samples:
    """``add`` for each value, in order; then ``all``."""

    def __init__(self, notes: Notes, refuse: Callable[[str], QualityInputError]) -> None:
        self._notes, self._refuse = notes, refuse
        self._series: dict[_Key, array[float]] = {}
        self._left = SAMPLES_MAX

    def add(
        self, name: str, unit: str, value: float | None, *, higher_is_better: bool | None, labels: Labels = (), where: str = ""
    ) -> None:
        """One value; what is not finite is noted and left out. Raises: QualityInputError past the limits."""
        if value is None or not math.isfinite(value):
            self._notes.add(where or name, "is no finite number")
            return
        key = (clean_text(name[:NAME_CHARACTERS_MAX]), clean_text(unit[:60]), higher_is_better, labels)
        values = self._series.get(key)
        if values is None:
            if len(self._series) >= SERIES_MAX:
                raise self._refuse(f"has more than {SERIES_MAX:,} series")
            values = self._series[key] = array("d")
        self._left -= 1
        if self._left < 0:
            raise self._refuse(f"has more than {SAMPLES_MAX:,} measurements")
        values.append(value)

    def extend(
        self, name: str, unit: str, values: Iterable[float | None], *, higher_is_better: bool | None, labels: Labels = (), where: str = ""
    ) -> None:
        """Several values of one series. Raises: QualityInputError past the limits."""
        for value in values:
            self.add(name, unit, value, higher_is_better=higher_is_better, labels=labels, where=where)

    def all(self) -> tuple[Series, ...]:
        """In the order in which they began."""
        return tuple(Series(name, unit, tuple(values), better, labels) for (name, unit, better, labels), values in self._series.items())
