"""The events that an experiment reads, as columns of numbers."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from productops.domain.analytics_experiment_people import Events
from productops.domain.catalog_experiment import Dimension
from productops.usecases.analytics_events_read import read_events
from productops.usecases.context import Context

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "person", "at", "name", "feature", "environment", "duration_ms", "failed", "value", "properties",
    *(dimension.value for dimension in Dimension),
)  # fmt: skip


def experiment_events(context: Context, venture: str, *, since: datetime, until: datetime, names: Collection[str] | None) -> Events:
    """Of a venture in [since, until). Raises: StoreUnavailableError, DependencyError for a program without a folder of events."""
    return events_of(read_events(context, venture, since=since, until=until, columns=COLUMNS, names=names))


def events_of(table: pa.Table) -> Events:
    """An Arrow table with (at least) ``COLUMNS``."""
    return Events(
        person=_plain(table, "person").astype(np.uint64),
        at_us=_plain(table, "at").astype("datetime64[us]").astype(np.int64),
        name=_texts(table, "name"), feature=_texts(table, "feature"), environment=_texts(table, "environment"),
        value=_numbers(table, "value"), duration_ms=_numbers(table, "duration_ms"), failed=_numbers(table, "failed"),
        properties=_texts(table, "properties"), dimensions={name.value: _texts(table, name.value) for name in Dimension},
    )  # fmt: skip


def _plain(table: Any, name: str) -> Any:
    return table.column(name).combine_chunks().to_numpy(zero_copy_only=False)


def _texts(table: Any, name: str) -> Any:
    """Object array; a dictionary's text is one object for all its rows."""
    column = table.column(name).combine_chunks()
    if hasattr(column, "dictionary"):
        texts = np.array([*column.dictionary.to_pylist(), ""], dtype=object)
        codes = column.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
        return texts[codes]
    return np.array([text or "" for text in column.to_pylist()], dtype=object)


def _numbers(table: Any, name: str) -> Any:
    """NaN for what is missing."""
    column = table.column(name).combine_chunks()
    found = column.to_numpy(zero_copy_only=False)
    if found.dtype == object:
        return np.array([np.nan if each is None else float(each) for each in found], dtype=np.float64)
    return found.astype(np.float64)
