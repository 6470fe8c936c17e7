"""What other programs say of themselves, made into series: levels stay, running counts become rates, histograms become quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Labels = tuple[tuple[str, str], ...]
QUANTILES: Final = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
REMEMBERED_MAX: Final = 200_000
FORGET_S: Final = 3600.0


class SampleKind(StrEnum):
    """A level, a running count, or running counts by bucket."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of one metric at a time (Unix seconds).

    ``value`` of a histogram is the sum, ``count`` how many were counted, ``buckets`` (upper bound, how many in this bucket) by rising
    bound. Counts run on from a start; with ``since`` they are what was added since then.
    """

    name: str
    kind: SampleKind
    labels: Labels
    at: float
    value: float
    count: float = 0.0
    buckets: tuple[tuple[float, float], ...] = ()
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """A value of a series that came of samples."""

    name: str
    labels: Labels
    at: float
    value: float


class Rates:
    """Remembers the last running counts of a source, so that the next ones become rates. One thread at a time.

    A count that fell was started anew: what it shows now was added since. The first one says nothing.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, Labels], Sample] = {}
        self._swept_at = 0.0

    def derive(self, samples: Iterable[Sample], *, source: str = "") -> list[Derived]:
        """Values of series, those that are finite numbers. ``source`` tells apart places that count the same."""
        found: list[Derived] = []
        for sample in samples:
            found += self._of(sample, source)
        return [each for each in found if math.isfinite(each.value)]

    def _of(self, sample: Sample, source: str) -> Iterable[Derived]:
        if sample.kind is SampleKind.GAUGE:
            return [Derived(sample.name, sample.labels, sample.at, sample.value)]
        gained = self._gained(sample, source)
        if gained is None:
            return []
        seconds = sample.at - (sample.at if gained.since is None else gained.since)
        if seconds <= 0:
            return []
        if sample.kind is SampleKind.COUNTER:
            return [Derived(f"{sample.name.removesuffix('_total')}_per_s", sample.labels, sample.at, gained.value / seconds)]
        return _of_histogram(gained, seconds)

    def _gained(self, sample: Sample, source: str) -> Sample | None:
        """What was added, and since when; None for the first one."""
        if sample.since is not None:
            return sample
        self._sweep(sample.at)
        place = (source, sample.name, sample.labels)
        before = self._last.get(place)
        if before is None or sample.at > before.at:
            self._last[place] = sample
        if before is None or sample.at <= before.at:
            return None
        fell = sample.value < before.value if sample.kind is SampleKind.COUNTER else sample.count < before.count
        if fell or [upper for upper, _ in sample.buckets] != [upper for upper, _ in before.buckets]:
            return _since(sample, before.at)
        buckets = tuple((upper, max(0.0, now - then)) for (upper, now), (_, then) in zip(sample.buckets, before.buckets, strict=True))
        return Sample(
            sample.name, sample.kind, sample.labels, sample.at, sample.value - before.value, sample.count - before.count, buckets, before.at
        )  # fmt: skip

    def _sweep(self, now: float) -> None:
        if len(self._last) < REMEMBERED_MAX and now - self._swept_at < FORGET_S:
            return
        self._swept_at = now
        self._last = {place: sample for place, sample in self._last.items() if now - sample.at < FORGET_S}
        if len(self._last) >= REMEMBERED_MAX:
            self._last = {}


def _since(sample: Sample, since: float) -> Sample:
    return Sample(sample.name, sample.kind, sample.labels, sample.at, sample.value, sample.count, sample.buckets, since)


def _of_histogram(gained: Sample, seconds: float) -> Iterator[Derived]:
    yield Derived(f"{gained.name}_per_s", gained.labels, gained.at, gained.count / seconds)
    if gained.count > 0:
        yield Derived(f"{gained.name}_mean", gained.labels, gained.at, gained.value / gained.count)
        for q, suffix in QUANTILES if gained.buckets else ():
            yield Derived(f"{gained.name}_{suffix}", gained.labels, gained.at, bucket_quantile(gained.buckets, q))


def bucket_quantile(buckets: Sequence[tuple[float, float]], q: float) -> float:
    """The q-quantile, evenly spread within its bucket; that of the last bucket without a bound is the bound before it.

    Source: Prometheus, histogram_quantile.
    """
    total = sum(count for _, count in buckets)
    seen, lower = 0.0, min(0.0, buckets[0][0]) if buckets else 0.0
    for upper, count in buckets:
        if count and seen + count >= q * total:
            return lower if math.isinf(upper) else lower + (upper - lower) * (q * total - seen) / count
        seen += count
        lower = upper
    return math.nan
