"""One day's files counted: figures by feature and dimension, and who it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from productops.adapters.analytics_usage_scan import parquet
from productops.domain.analytics_events import EventFile
from productops.domain.analytics_usage import EVERYTHING, QUIET_NAMES, Dimension, UsageDay
from productops.domain.analytics_usage_answers import OTHER
from productops.errors import ConflictError, DependencyError
from productops.stats.analytics_usage_order import among_sorted, distinct

Uints = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.int64]
VALUES_MAX = 200
TEXT_MAX = 255
COLUMNS = ("person", "name", "feature", "platform", "country", "version", "environment", "duration_ms", "failed", "value")


@dataclass(frozen=True, slots=True)
class DayPeople:
    """Who was active on a day: by feature (``""``: anything), the sorted numbers of the people."""

    by_feature: dict[str, Uints]


@dataclass(frozen=True, slots=True)
class DayEvents:
    """All active events of a day, as columns; ``codes`` and ``texts`` by the name of a text column."""

    person: Uints
    codes: dict[str, Codes]
    texts: dict[str, list[str]]
    duration: npt.NDArray[np.float64]
    failed: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]

    def people(self) -> DayPeople:
        """By feature."""
        found = {EVERYTHING: distinct(self.person)}
        codes = self.codes["feature"]
        for code, text in enumerate(self.texts["feature"]):
            if text:
                found[text] = distinct(self.person[codes == code])
        return DayPeople({name: people for name, people in found.items() if len(people)})


def read_day(files: Sequence[EventFile], without: Uints) -> DayEvents:
    """The events of a day's files but those of people whose events are being removed. Raises: ConflictError, DependencyError."""
    import pyarrow as pa

    try:
        tables = [parquet().read_table(file.path, columns=list(COLUMNS)) for file in files]
    except FileNotFoundError as error:
        raise ConflictError("files of events were put together anew at this moment; they are counted again soon") from error
    except OSError as error:
        raise DependencyError(f"files of events cannot be read: {error}") from error
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    codes, texts = {}, {}
    for name in ("name", "feature", *(d.value for d in Dimension if d.value)):
        codes[name], texts[name] = _texts(table.column(name))
    quiet = np.array([text in QUIET_NAMES for text in texts["name"]] or [False])
    person: Uints = table.column("person").to_numpy()
    kept = ~quiet[codes["name"]] if len(person) else np.zeros(0, bool)
    if len(without):
        kept &= ~_among(person, without)
    return DayEvents(
        person[kept], {name: column[kept] for name, column in codes.items()}, texts,
        table.column("duration_ms").to_numpy().astype(np.float64)[kept], table.column("failed").fill_null(False).to_numpy()[kept],  # noqa: FBT003
        np.nan_to_num(table.column("value").to_numpy().astype(np.float64))[kept],
    )  # fmt: skip


def _texts(column: Any) -> tuple[Codes, list[str]]:
    """Numbers and texts of a column; a text that is not there is empty."""
    if not len(column):
        return np.empty(0, np.int64), [""]
    whole = column.combine_chunks()
    whole = whole.chunk(0) if hasattr(whole, "chunk") else whole
    if not hasattr(whole, "indices"):
        whole = whole.dictionary_encode()
    texts = [(text or "")[:TEXT_MAX] for text in whole.dictionary.to_pylist()]
    return whole.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False).astype(np.int64), [*texts, ""]


def count_day(venture: str, day: date, events: DayEvents, new: dict[str, Uints]) -> list[UsageDay]:
    """All figures of a day; ``new``: by feature, the sorted numbers of the people who did it for the first time ever."""
    if not len(events.person):
        return []
    who = np.searchsorted(distinct(events.person), events.person)
    everything = np.zeros(len(events.person), np.int64)
    features = events.codes["feature"]
    named = np.array([bool(text) for text in events.texts["feature"]])[features]
    fresh_any = _among(events.person, new.get(EVERYTHING, np.empty(0, np.uint64)))
    fresh = np.zeros(len(events.person), bool)
    for code, text in enumerate(events.texts["feature"]):
        if text and text in new:
            here = features == code
            fresh[here] = _among(events.person[here], new[text])
    rows: list[UsageDay] = []
    for dimension in Dimension:
        codes, texts = _largest(events, dimension)
        for feature, names, kept, first in (
            (everything, [EVERYTHING], np.ones(len(who), bool), fresh_any), (features, events.texts["feature"], named, fresh)
        ):  # fmt: skip
            group = (feature * len(texts) + codes)[kept]
            figures = _figures(group, len(names) * len(texts), who[kept], first[kept], events, kept)
            for n in np.flatnonzero(figures["events"]):
                name, value = names[n // len(texts)], texts[n % len(texts)]
                rows.append(
                    UsageDay(venture, day, name, dimension.value, value, **{key: _plain(column[n]) for key, column in figures.items()})
                )
    return list({(row.feature, row.dimension, row.value): row for row in rows}.values())


def _among(person: Uints, wanted: Uints) -> npt.NDArray[np.bool_]:
    """Which are among the sorted ``wanted``; one walk where a day is one sorted file."""
    if len(person) < 2 or (person[1:] >= person[:-1]).all():
        return among_sorted(person, wanted)
    return np.isin(person, wanted)


def _largest(events: DayEvents, dimension: Dimension) -> tuple[Codes, list[str]]:
    """Values of a dimension, the smallest of too many put together."""
    if dimension is Dimension.NONE:
        return np.zeros(len(events.person), np.int64), [""]
    codes, texts = events.codes[dimension.value], events.texts[dimension.value]
    distinct = sorted(set(texts))
    place = np.array([distinct.index(text) for text in texts])  # a text may be there twice, cut to the same length
    codes = place[codes]
    if len(distinct) <= VALUES_MAX:
        return codes, distinct
    order = np.argsort(-np.bincount(codes, minlength=len(distinct)), kind="stable")[:VALUES_MAX]
    target = np.full(len(distinct), VALUES_MAX)
    target[order] = np.arange(VALUES_MAX)
    return target[codes], [*(distinct[n] for n in order), OTHER]


def _figures(
    group: Codes, size: int, who: Codes, first: npt.NDArray[np.bool_], events: DayEvents, kept: npt.NDArray[np.bool_]
) -> dict[str, Any]:  # fmt: skip
    pairs = who.astype(np.int64) * size + group
    order = np.argsort(pairs, kind="stable")
    fresh = np.ones(len(order), bool)
    fresh[1:] = pairs[order[1:]] != pairs[order[:-1]]
    place = order[fresh]
    people = group[place]
    duration = events.duration[kept]
    timed = ~np.isnan(duration)
    counts = np.bincount(group[timed], minlength=size)
    return {
        "events": np.bincount(group, minlength=size),
        "people": np.bincount(people, minlength=size),
        "new_people": np.bincount(people[first[place]], minlength=size),
        "failures": np.bincount(group[events.failed[kept]], minlength=size),
        "duration_count": counts,
        "duration_sum_ms": np.bincount(group[timed], weights=duration[timed], minlength=size),
        **_quantiles(group[timed], duration[timed], counts),
        "value_sum": np.bincount(group, weights=events.value[kept], minlength=size),
    }


def _quantiles(group: Codes, duration: npt.NDArray[np.float64], counts: Codes) -> dict[str, Any]:
    """Median and 95th percentile of each group, between the two nearest values as ``numpy.quantile`` has it."""
    ordered = duration[np.lexsort((duration, group))] if len(duration) else np.zeros(1)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    found = {}
    for name, share in (("duration_p50_ms", 0.5), ("duration_p95_ms", 0.95)):
        place = (np.maximum(counts, 1) - 1) * share
        low = np.minimum(begins + np.floor(place).astype(np.int64), len(ordered) - 1)
        high = np.minimum(begins + np.ceil(place).astype(np.int64), len(ordered) - 1)
        between = ordered[low] + (ordered[high] - ordered[low]) * (place - np.floor(place))
        found[name] = np.where(counts > 0, between, np.nan)
    return found


def _plain(value: Any) -> Any:
    """A number of Python; None for NaN."""
    plain = value.item()
    return None if plain != plain else plain  # noqa: PLR0124 - NaN
