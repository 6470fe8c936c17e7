"""From events to people: who met which variant first, and what each of them did after, and before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from productops.domain.catalog_experiment import ExperimentSpec, Measure

EXPOSURE = "$exposure"
DAY_US = 86_400_000_000
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Events:
    """Events as columns of one length. ``at_us``: microseconds since 1970. Texts are lists; NaN where an event has no such number."""

    person: NDArray[np.uint64]
    at_us: Ints
    name: NDArray[np.object_]
    feature: NDArray[np.object_]
    environment: NDArray[np.object_]
    value: Floats
    duration_ms: Floats
    failed: Floats
    properties: NDArray[np.object_]
    dimensions: Mapping[str, NDArray[np.object_]]

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who met one variant: sorted by ``person``; ``arm`` is the number of their variant, ``met_us`` when they first met it.

    ``mixed`` counts those who met more than one and are left out. ``dimensions`` are of the event by which they met it.
    """

    person: NDArray[np.uint64]
    arm: Ints
    met_us: Ints
    mixed: int
    dimensions: Mapping[str, NDArray[np.object_]]

    def counts(self, arms: int) -> list[int]:
        """People by arm."""
        return [int(count) for count in np.bincount(self.arm, minlength=arms)]

    def until(self, last_us: int) -> NDArray[np.bool_]:
        """Who had met it by then."""
        return self.met_us <= last_us


def exposed(events: Events, spec: ExperimentSpec, *, experiment: str, since_us: int, until_us: int) -> People:
    """First touch by person, of exposures to the flag (or the experiment by name) within [since, until)."""
    arms = {name: number for number, name in enumerate(spec.arms)}
    here = (events.name == EXPOSURE) & (events.at_us >= since_us) & (events.at_us < until_us)
    here &= (events.environment == spec.environment.value) | (events.environment == "")
    rows, found = [], []
    known: dict[Any, int | None] = {}  # most exposures are written in the same words
    for row in np.flatnonzero(here):
        text = events.properties[row]
        if text not in known:
            known[text] = _arm_of(text, spec, experiment, arms)
        number = known[text]
        if number is not None:
            rows.append(row)
            found.append(number)
    at, arm = np.array(rows, dtype=np.int64), np.array(found, dtype=np.int64)
    order = np.lexsort((events.at_us[at], events.person[at]))
    at, arm = at[order], arm[order]
    person, first, counts = np.unique(events.person[at], return_index=True, return_counts=True)
    owner = np.repeat(np.arange(len(person)), counts)
    several = np.bincount(owner, weights=arm != arm[first][owner], minlength=len(person)) > 0 if len(person) else np.zeros(0, dtype=bool)
    kept = first[~several]
    dimensions = {name: column[at[kept]] for name, column in events.dimensions.items()}
    return People(person[~several], arm[kept], events.at_us[at[kept]], int(several.sum()), dimensions)


def _arm_of(text: Any, spec: ExperimentSpec, experiment: str, arms: Mapping[str, int]) -> int | None:
    """The number of the variant that an exposure is of; None when it is of something else."""
    properties = read_properties(text)
    named = properties.get("experiment") or ""
    if named not in {"", experiment} or (not named and properties.get("flag") != spec.flag):
        return None
    return arms.get(str(properties.get("variant")))


def read_properties(text: Any) -> dict[str, Any]:
    """A JSON object; what is none has no properties."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Done:
    """Events that count for a measure, of people of an experiment: whose (row of ``People``), how long after they met it, how much."""

    owner: Ints
    after_us: Ints
    amount: Floats

    def within(self, start_us: int, end_us: int) -> Done:
        """Only those in [start, end) after they met it."""
        kept = (self.after_us >= start_us) & (self.after_us < end_us)
        return Done(self.owner[kept], self.after_us[kept], self.amount[kept])

    def sums(self, people: int) -> Floats:
        """By person, (people,)."""
        return np.bincount(self.owner, weights=self.amount, minlength=people).astype(np.float64)


def done(events: Events, people: People, measure: Measure, *, before_us: int) -> Done:
    """What counts, of all events before ``before_us``."""
    here = events.at_us < before_us
    if measure.event:
        here &= events.name == measure.event
    else:
        here &= events.name != EXPOSURE
    if measure.feature:
        here &= events.feature == measure.feature
    rows = np.flatnonzero(here)
    if not len(people.person) or not len(rows):
        return Done(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    place = np.minimum(np.searchsorted(people.person, events.person[rows]), len(people.person) - 1)
    known = people.person[place] == events.person[rows]
    rows, place = rows[known], place[known]
    if measure.where:
        fits = np.array([_fits(events.properties[row], measure.where) for row in rows], dtype=bool)
        rows, place = rows[fits], place[fits]
    amount = _amounts(events, rows, measure.value)
    there = ~np.isnan(amount)
    rows, place = rows[there], place[there]
    return Done(place, events.at_us[rows] - people.met_us[place], amount[there])


def _fits(text: Any, where: Mapping[str, Any]) -> bool:
    properties = read_properties(text)
    return all(properties.get(name) == value and type(properties.get(name)) is type(value) for name, value in where.items())


def _amounts(events: Events, rows: Ints, value: str) -> Floats:
    if value == "count":
        return np.ones(len(rows))
    if value.startswith("properties."):
        name = value.removeprefix("properties.")
        return np.array([_number(read_properties(events.properties[row]).get(name)) for row in rows], dtype=np.float64)
    columns = {"value": events.value, "duration_ms": events.duration_ms, "failed": events.failed}
    return columns[value][rows]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def names_needed(spec: ExperimentSpec) -> list[str] | None:
    """Names of events that the experiment reads; None: any, for a measure that names a feature only."""
    measures: list[Measure] = [*spec.metrics, *spec.guardrails]
    measures += [each.per for each in (*spec.metrics, *spec.guardrails) if each.per is not None]
    if any(not each.event for each in measures):
        return None
    return sorted({EXPOSURE, *(each.event for each in measures)})
