"""Which events fit which conditions: by small tables over the distinct texts of a column, so that a million rows cost one look-up each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from productops.adapters.analytics_events_json import dumps, loads
from productops.domain.analytics_usage import QUIET_NAMES
from productops.domain.analytics_usage_query import Condition, EventMatch

Bits = npt.NDArray[np.uint32]
PROPERTY = "properties."


class Masks:
    """The conditions of several matches, sorted by column."""

    def __init__(self, matches: Sequence[EventMatch]) -> None:
        self._all = (1 << len(matches)) - 1
        self._columns: dict[str, list[tuple[int, Condition]]] = {}
        self._properties: dict[str, list[tuple[int, Condition]]] = {}
        self._names: list[tuple[int, str | None]] = [(n, match.name) for n, match in enumerate(matches)]
        for n, match in enumerate(matches):
            asked = list(match.where)
            if match.feature is not None:
                asked.append(Condition(field="feature", values=(match.feature,)))
            for condition in asked:
                if condition.field.startswith(PROPERTY):
                    self._properties.setdefault(condition.field.removeprefix(PROPERTY), []).append((n, condition))
                else:
                    self._columns.setdefault(condition.field, []).append((n, condition))

    @property
    def columns(self) -> set[str]:
        """What has to be read."""
        return {"name", *self._columns, *({"properties"} if self._properties else set())}

    def bits(self, table: Any) -> Bits:
        """One number for each row: bit ``n`` for match ``n``."""
        found = self._by_name(table)
        for column, conditions in self._columns.items():
            texts, codes = _dictionary(table.column(column))
            found &= self._table_of(texts, conditions)[codes]
        for name, conditions in self._properties.items():
            self._by_property(table, name, conditions, found)
        return found

    def _by_name(self, table: Any) -> Bits:
        texts, codes = _dictionary(table.column("name"))
        fits = np.zeros(len(texts), np.uint32)
        for place, text in enumerate(texts):
            for n, name in self._names:
                if text == name or (name is None and text not in QUIET_NAMES):
                    fits[place] |= np.uint32(1 << n)
        return fits[codes]

    def _table_of(self, texts: Sequence[str | None], conditions: Sequence[tuple[int, Condition]]) -> Bits:
        fits = np.full(len(texts), self._all, np.uint32)
        for n, condition in conditions:
            for place, text in enumerate(texts):
                if not holds(condition, text or None):
                    fits[place] &= np.uint32(self._all & ~(1 << n))
        return fits

    def _by_property(self, table: Any, name: str, conditions: Sequence[tuple[int, Condition]], found: Bits) -> None:
        """Only rows that fit all else are looked at, and equal texts once."""
        asked = np.uint32(sum({1 << n for n, _ in conditions}))
        rows = np.flatnonzero(found & asked)
        if len(rows):
            values, codes = property_values(table, name, rows)
            found[rows] &= self._table_of(values, conditions)[codes]


def holds(condition: Condition, text: str | None) -> bool:
    """Whether a value fits; ``None``: there is none. A missing value is in no list, so `is-not` holds for it."""
    if condition.op in {"is-set", "is-not-set"}:
        return (text is not None) == (condition.op == "is-set")
    if condition.op in {"is", "is-not"}:
        return (text is not None and text in condition.values) == (condition.op == "is")
    if text is None:
        return False
    if condition.op == "contains":
        return any(part in text for part in condition.values)
    try:
        number = float(text)
    except ValueError:
        return False
    limit = float(condition.values[0])
    return number >= limit if condition.op == "at-least" else number <= limit


def value_codes(
    table: Any, field: str, numbers: Callable[[Sequence[str | None]], npt.NDArray[np.int32]], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """The number of the text of a column or property in each of ``rows``; -1 where there is none."""
    if field.startswith(PROPERTY):
        values, codes = property_values(table, field.removeprefix(PROPERTY), rows)
        return numbers(values)[codes] if len(rows) else np.empty(0, np.int32)
    texts, every = _dictionary(table.column(field))
    return numbers(texts)[every[rows]] if len(rows) else np.empty(0, np.int32)


def property_values(table: Any, name: str, rows: npt.NDArray[np.int64]) -> tuple[list[str | None], npt.NDArray[np.int64]]:
    """Distinct values of a property as text, and which of them each row has."""
    column = table.column("properties")
    if len(rows) != len(column):
        column = column.take(rows)
    texts, codes = _dictionary(column)
    return [property_text(text, name) for text in texts], codes


def property_text(text: str | None, name: str) -> str | None:
    """A property's value as conditions compare it: text as it is, numbers and truth as JSON writes them; None without one."""
    if not text:
        return None
    try:
        value = loads(text).get(name)
    except (ValueError, AttributeError):
        return None
    if value is None or isinstance(value, str):
        return value or None
    return dumps(value).decode()


def _dictionary(column: Any) -> tuple[list[str | None], npt.NDArray[np.int64]]:
    """Distinct texts of a column, and which of them each row has."""
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if hasattr(whole, "chunks"):
        whole = whole.chunk(0) if whole.num_chunks else whole
    if not hasattr(whole, "indices"):
        whole = whole.dictionary_encode()
    codes = whole.indices
    if codes.null_count:
        texts = [*whole.dictionary.to_pylist(), None]
        return texts, codes.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    return whole.dictionary.to_pylist(), codes.to_numpy(zero_copy_only=False)
