"""Funnels over files of events, in parts whose answers add up exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from productops.adapters.analytics_usage_buckets import by_bucket
from productops.adapters.analytics_usage_scan import EVERYBODY, Texts, Wanted, scan
from productops.domain.analytics_events import EventFile
from productops.domain.analytics_usage_answers import NO_VALUE
from productops.domain.analytics_usage_query import EventMatch, FunnelSpec, Order
from productops.stats.analytics_usage_funnel import FIRST_TOUCH, LAST_TOUCH, walk_ordered, walk_unordered, walking
from productops.stats.analytics_usage_merge import Weighted, added, weighted

Uints = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
SECOND_US = 1_000_000
PEOPLE_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class FunnelRange:
    """When the first step may be taken, µs since 1970, and what time it is for those who are under way."""

    since_us: int
    until_us: int
    now_us: int


@dataclass(frozen=True, slots=True)
class FunnelPart:
    """Some of the people. ``people``: by value, those who came to each step. ``waits``: seconds from step to step; the last: in all.

    ``stopped``: numbers of people whose last step was the one that was asked about.
    """

    people: dict[str, list[int]] = field(default_factory=dict)
    excluded: int = 0
    under_way: int = 0
    waits: list[Weighted] = field(default_factory=list)
    stopped: Uints = field(default_factory=lambda: np.empty(0, np.uint64))

    @classmethod
    def together(cls, parts: Sequence[FunnelPart]) -> FunnelPart:
        """Several parts as one; each person is in one part only."""
        people: dict[str, list[int]] = {}
        for part in parts:
            for value, counts in part.people.items():
                known = people.setdefault(value, [0] * len(counts))
                people[value] = [a + b for a, b in zip(known, counts, strict=True)]
        waits = [added(each) for each in zip(*(part.waits for part in parts if part.waits), strict=True)]
        stopped = np.concatenate([part.stopped for part in parts])[:PEOPLE_KEPT] if parts else np.empty(0, np.uint64)
        return cls(people, sum(p.excluded for p in parts), sum(p.under_way for p in parts), waits, stopped)


def funnel_part(
    files: Sequence[EventFile], spec: FunnelSpec, when: FunnelRange, *, people: Uints | None = None, without: Uints | None = None,
    persons: tuple[int, int] = EVERYBODY, stopped_at: int | None = None,
) -> FunnelPart:  # fmt: skip
    """People of a range of numbers. ``stopped_at``: whose last step was this one, from 1, is remembered. Raises: as ``scan``."""
    wanted = wanted_of(spec, when, people=people, without=without)
    pieces = scan(files, wanted, persons=persons)
    steps, strict = len(spec.steps), spec.order is Order.STRICT
    touch = (FIRST_TOUCH if spec.touch == "first" else LAST_TOUCH) if spec.breakdown else 0
    window_us = spec.window_s * SECOND_US
    between = [(each.from_step, min(each.to_step, steps)) for each in spec.exclusions]
    rules = walking(window_us, when.until_us, strict=strict, touch=touch, between=between)
    walker = walk_unordered if spec.order is Order.ANY else walk_ordered

    def walk(person: Uints, at: Ints, bits: npt.NDArray[np.uint32], value: npt.NDArray[np.int32]) -> FunnelPart:
        found = walker(person, at, bits, value, steps, rules)
        return _counted(found, steps, window_us, when.now_us, wanted.values, stopped_at)

    arrays = [(piece.person, piece.at, _shifted(piece.bits, steps, len(spec.exclusions)), piece.value) for piece in pieces]
    return FunnelPart.together(by_bucket(arrays, walk, order=1, persons=persons))


def wanted_of(spec: FunnelSpec, when: FunnelRange, *, people: Uints | None, without: Uints | None) -> Wanted:
    """Steps, exclusions, and for strict funnels everything else that happens; until the last window is over."""
    matches = [*spec.steps, *(exclusion.event for exclusion in spec.exclusions)]
    if spec.order is Order.STRICT:
        matches.append(EventMatch())
    until = when.until_us + spec.window_s * SECOND_US + 1
    return Wanted(tuple(matches), when.since_us, until, people=people, without=without, value=spec.breakdown)


def _shifted(bits: npt.NDArray[np.uint32], steps: int, exclusions: int) -> npt.NDArray[np.uint32]:
    """Steps below, exclusions from bit 16, as the walks want them."""
    if not exclusions:
        return bits & np.uint32((1 << steps) - 1)
    low = bits & np.uint32((1 << steps) - 1)
    return low | (((bits >> np.uint32(steps)) & np.uint32((1 << exclusions) - 1)) << np.uint32(16))


def _counted(
    found: tuple[Uints, npt.NDArray[np.int8], npt.NDArray[np.int32], Ints], steps: int, window_us: int, now_us: int, values: Texts,
    stopped_at: int | None,
) -> FunnelPart:  # fmt: skip
    person, reached, value, flat = found
    instants = flat.reshape(-1, steps)
    good = reached > 0
    waits = []
    for step in range(1, steps):
        there = good & (reached > step)
        waits.append(weighted((instants[there, step] - instants[there, step - 1]) // SECOND_US))
    whole = good & (reached == steps)
    waits.append(weighted((instants[whole, -1] - instants[whole, 0]) // SECOND_US))
    open_ = good & ~whole & (instants[:, 0] + window_us >= now_us)
    stopped = person[good & (reached == stopped_at)] if stopped_at is not None else person[:0]
    texts = values.texts
    people = {}
    for code in np.unique(value[good]):
        name = NO_VALUE if code < 0 else texts[code]
        here = np.bincount(reached[good & (value == code)], minlength=steps + 1)
        people[name] = [int(here[step:].sum()) for step in range(1, steps + 1)]
    return FunnelPart(people, int((~good).sum()), int(open_.sum()), waits, stopped[:PEOPLE_KEPT])
