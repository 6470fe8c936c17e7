"""The metric that decides, by groups of people: shown with the caution that groups deserve."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from productops.domain.analytics_experiment import SegmentRow
from productops.domain.analytics_experiment_people import People
from productops.domain.catalog_experiment import ExperimentSpec
from productops.stats.experiment.adjusting import AnySample
from productops.stats.experiment.effect import effect_of
from productops.stats.experiment.segments import heterogeneity

PEOPLE_MIN = 50
"""A group with fewer people in either variant is not shown."""
GROUPS_MOST = 12
Mask = NDArray[np.bool_]


def segment_rows(
    people: People, spec: ExperimentSpec, ripe: Mask, samples: Callable[[Mask], Sequence[AnySample]]
) -> tuple[SegmentRow, ...]:
    """``samples`` answers with one sample by variant of the chosen people, the control first."""
    rows: list[SegmentRow] = []
    for dimension in spec.segments:
        column = people.dimensions[dimension.value]
        groups = {value: samples(ripe & (column == value)) for value in _largest(column[ripe])}
        for number, variant in enumerate(spec.variants, start=1):
            rows += _rows(dimension.value, variant, {v: (found[0], found[number]) for v, found in groups.items()}, spec.alpha)
    return tuple(rows)


def _rows(dimension: str, variant: str, groups: dict[str, tuple[AnySample, AnySample]], alpha: float) -> list[SegmentRow]:
    known = []
    for value, pair in groups.items():
        effect = effect_of(pair, relative=True)
        if effect.problem is None and min(pair[0].n, pair[1].n) >= PEOPLE_MIN:
            known.append((value, effect))
    found = heterogeneity([(effect.estimate, effect.error) for _, effect in known], alpha=alpha)
    if found is None:
        return []
    return [
        SegmentRow(dimension, value, variant, effect.n, row.seen, row.believed, row.low, row.high, row.p)
        for (value, effect), row in zip(known, found.segments, strict=True)
    ]


def _largest(column: NDArray[np.object_]) -> list[str]:
    """The values most people have, largest first; nobody's unknown value."""
    values, counts = np.unique(np.array([str(each) for each in column], dtype=object), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [str(values[at]) for at in order if values[at]][:GROUPS_MOST]
