"""JSON that others wrote: limits before it is read, and a way through it that knows where it is and is surprised by nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from productops.adapters.quality_inputs.limits import JSON_VALUES_MAX, NAME_CHARACTERS_MAX
from productops.adapters.quality_inputs.source import Notes, Source, clean_text, refusal, whole_text
from productops.domain.quality import Parsed
from productops.errors import QualityInputError


@dataclass(slots=True)
class Node:
    """A value of a document, and the path to it. What is not there is a node of None. Not frozen: a report makes millions of them."""

    file: str
    value: Any
    path: str = "$"

    def get(self, *keys: str) -> Node:
        """What stands under the keys, one inside the other."""
        value: Any = self.value
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return Node(self.file, value, ".".join((self.path, *keys)))

    def __iter__(self) -> Iterator[Node]:
        """The elements of a list; nothing for anything else."""
        if isinstance(self.value, list):
            for place, value in enumerate(self.value):
                yield Node(self.file, value, f"{self.path}[{place}]")

    def at(self, place: int) -> Node:
        """One element of a list."""
        there = isinstance(self.value, list) and 0 <= place < len(self.value)
        return Node(self.file, self.value[place] if there else None, f"{self.path}[{place}]")

    def pairs(self) -> Iterator[tuple[str, Node]]:
        """Keys and values of an object; nothing for anything else."""
        if isinstance(self.value, dict):
            for key, value in self.value.items():
                yield key, Node(self.file, value, f"{self.path}.{key[:100]}")

    def has(self, *keys: str) -> bool:
        """Whether it is an object with all these keys."""
        return isinstance(self.value, dict) and all(key in self.value for key in keys)

    def text(self, limit: int = NAME_CHARACTERS_MAX) -> str:
        """The text, or a number as text; empty for anything else."""
        if isinstance(self.value, str):
            return clean_text(self.value[:limit])
        return str(self.value) if isinstance(self.value, (int, float)) and not isinstance(self.value, bool) else ""

    def number(self) -> float | None:
        """A finite number, also one that is written as text; None for anything else."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float, str)):
            return None
        try:
            found = float(self.value)
        except (ValueError, OverflowError):
            return None
        return found if math.isfinite(found) else None

    def whole(self) -> int | None:
        """A positive whole number; None for anything else."""
        found = self.number()
        return int(found) if found is not None and 1 <= found <= 2**31 else None

    def needs(self, kind: type, what: str) -> Node:
        """Itself. Raises: QualityInputError when it is of another kind."""
        if not isinstance(self.value, kind):
            raise self.refusal(f"{what} is expected here, not {_named(self.value)}")
        return self

    def refusal(self, reason: str) -> QualityInputError:
        """An error that names this place."""
        return refusal(self.file, reason, self.path)


def read_json(given: Path | bytes, name: str, parse: Callable[[Node, Notes], Parsed]) -> Parsed:
    """Load a document and have it read; what had to be left out goes with the result. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    found = parse(load_json(source, notes), notes)
    return replace(found, skipped=(*found.skipped, *notes.all()))


def load_json(source: Source, notes: Notes) -> Node:
    """The whole document. Raises: QualityInputError with line and column for what is no JSON, is too large or nests too deep."""
    return _load(whole_text(source, notes), source.name, "")


def load_line(text: str, *, name: str, line: int) -> Node:
    """One line of NDJSON. Raises: QualityInputError."""
    return _load(text, name, f"line {line}")


def _load(text: str, name: str, line: str) -> Node:
    if text.count(",") + text.count("[") + text.count("{") > JSON_VALUES_MAX:
        raise refusal(name, f"has more than {JSON_VALUES_MAX:,} values", line)
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        where = f"{line}, column {error.colno}" if line else f"line {error.lineno}, column {error.colno}"
        ended = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        raise refusal(name, f"ends in the middle ({error.msg})" if ended else f"is no JSON here: {error.msg}", where) from error
    except RecursionError as error:
        raise refusal(name, "nests too deep", line) from error
    except ValueError as error:
        raise refusal(name, f"is no JSON that can be used: {error}", line) from error
    return Node(name, value, f"{line} $".strip())


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values under one key: readers differ on which counts, so that results could be hidden from one of them."""
    found = dict(pairs)
    if len(found) != len(pairs):
        left = dict(found)
        twice = next(key for key, _ in pairs if left.pop(key, left) is left)
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _named(value: object) -> str:
    words = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return words.get(type(value), "a number")
