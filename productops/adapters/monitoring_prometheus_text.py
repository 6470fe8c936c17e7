"""The Prometheus text format and OpenMetrics, read into samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from productops.domain.monitoring_series_sample import Labels, Sample, SampleKind
from productops.errors import DependencyError, MetricSourceError

_COUNTED = frozenset({"counter"})
_BUCKETED = frozenset({"histogram", "gaugehistogram"})


def read_text(text: str, *, openmetrics: bool, at: float, samples_max: int) -> list[Sample]:
    """All samples. Times that the text carries are not used: it tells what holds now.

    Raises: MetricSourceError for a text that is neither, or that has more than ``samples_max`` samples.
    """
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
        from prometheus_client.parser import text_string_to_metric_families as read_plain
    except ImportError as error:
        raise DependencyError("the Prometheus text format needs prometheus-client: pip install 'productops[telemetry]'") from error
    lines = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
    if lines > samples_max:
        raise MetricSourceError(f"the answer has {lines:,} samples, more than samples_max ({samples_max:,}): keep fewer, or raise it")
    read: Any = read_openmetrics if openmetrics else read_plain
    try:
        families: Iterable[Any] = read(text)
        return [sample for family in families for sample in _samples(family, at)]
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise MetricSourceError(f"the answer is not in the Prometheus text format: {str(error)[:200]}") from error


def _samples(family: Any, at: float) -> Iterator[Sample]:
    if family.type in _BUCKETED or family.type == "summary":
        yield from _distributions(family, at)
        return
    for each in family.samples:
        if each.name.endswith("_created"):
            continue
        counted = family.type in _COUNTED or (family.type in {"unknown", "untyped"} and each.name.endswith("_total"))
        yield Sample(each.name, SampleKind.COUNTER if counted else SampleKind.GAUGE, _labels(each.labels), at, float(each.value))


def _distributions(family: Any, at: float) -> Iterator[Sample]:
    """One sample for each set of labels; quantiles of a summary are levels."""
    yield from (
        Sample(family.name, SampleKind.GAUGE, _labels(each.labels), at, float(each.value))
        for each in family.samples if "quantile" in each.labels
    )  # fmt: skip
    parts = [each for each in family.samples if "quantile" not in each.labels]

    def place(each: Any) -> Labels:
        return _labels({name: value for name, value in each.labels.items() if name != "le"})

    for labels, group in groupby(sorted(parts, key=place), key=place):
        found = list(group)
        by_suffix = {each.name.removeprefix(family.name): float(each.value) for each in found if "le" not in each.labels}
        running = sorted((float(each.labels["le"]), float(each.value)) for each in found if "le" in each.labels)
        count = by_suffix.get("_count", running[-1][1] if running else math.nan)
        yield Sample(family.name, SampleKind.HISTOGRAM, labels, at, by_suffix.get("_sum", math.nan), count, _single(running))


def _single(running: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Counts of each bucket alone, of counts up to each bound."""
    before, single = 0.0, []
    for upper, upto in running:
        single.append((upper, max(0.0, upto - before)))
        before = max(before, upto)
    return tuple(single)


def _labels(labels: dict[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if value))
