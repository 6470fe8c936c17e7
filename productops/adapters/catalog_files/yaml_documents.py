"""YAML as plain data that remembers the line of every value, and refuses what a catalog has no use for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 40
MAX_VALUES = 100_000

_PREFIX = "tag:yaml.org,2002:"
_PLAIN = frozenset({"str", "timestamp"})  # a date is text here: nothing in a catalog is a date
_NUMERIC = frozenset({"int", "float", "bool", "null"})
_NUMBER_CHARACTERS = 60
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its line (from 1) and the places of what it holds, by key or index."""

    line: int
    children: Mapping[str | int, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document as data (dicts with text keys, lists, scalars) and the places of its values."""

    data: Any
    place: Place


class YamlProblem(Exception):  # noqa: N818 - a finding to report with others, not an error to end with
    """What is wrong at ``line``."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def read_documents(text: str) -> Iterator[Document]:
    """The non-empty documents of ``text``, in order.

    Raises: YamlProblem for broken syntax, duplicate keys, tags of foreign types, and values that are too deep or too many.
    """
    try:
        _check_depth(text)
        converter = _Converter()
        for node in yaml.compose_all(text, Loader=_LOADER):
            data, place = converter.convert(node, 0)
            if data is not None:
                yield Document(data, place)
    except yaml.MarkedYAMLError as error:
        raise _syntax_problem(error, text) from error
    except yaml.YAMLError as error:
        raise YamlProblem(1, f"not YAML: {str(error).splitlines()[0]}") from error


def _check_depth(text: str) -> None:
    """Deep nesting is refused before anything recursive sees it."""
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise YamlProblem(event.start_mark.line + 1, f"nested deeper than {MAX_DEPTH} levels")


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> YamlProblem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    if mark and "".join(text.split("\n")[mark.line : line])[mark.column :].startswith("\t"):
        return YamlProblem(line, "not YAML: a tab cannot indent; use spaces")
    return YamlProblem(line, f"not YAML: {', '.join(str(part) for part in (error.problem, error.context) if part)}")


class _Converter:
    """Turns nodes into data. Aliases are followed, each time anew, so what they multiply to is counted."""

    def __init__(self) -> None:
        self._values = 0
        self._scalars = yaml.constructor.SafeConstructor()

    def convert(self, node: yaml.Node, depth: int) -> tuple[Any, Place]:
        """Data and place of a node. Raises: YamlProblem."""
        line = node.start_mark.line + 1
        self._values += 1
        if depth > MAX_DEPTH:
            raise YamlProblem(line, f"nested deeper than {MAX_DEPTH} levels once aliases are followed")
        if self._values > MAX_VALUES:
            raise YamlProblem(line, f"more than {MAX_VALUES:,} values once aliases are followed")
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_PREFIX}map":
            return self._mapping(node, line, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PREFIX}seq":
            items = [self.convert(item, depth + 1) for item in node.value]
            return [data for data, _ in items], Place(line, {index: place for index, (_, place) in enumerate(items)})
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, line), Place(line)
        raise YamlProblem(line, f"type {node.tag.removeprefix(_PREFIX)} is not allowed here")

    def _mapping(self, node: yaml.MappingNode, line: int, depth: int) -> tuple[dict[str, Any], Place]:
        data: dict[str, Any] = {}
        children: dict[str | int, Place] = {}
        merged: list[tuple[dict[str, Any], Place]] = []
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if key_node.tag == f"{_PREFIX}merge":
                merged += self._merged(value_node, key_line, depth)
                continue
            key = self._key(key_node, key_line)
            if key in data:
                raise YamlProblem(key_line, f"key {key!r} is given twice, first in line {children[key].line}")
            data[key], place = self.convert(value_node, depth + 1)
            children[key] = Place(key_line, place.children)
        for more, place in merged:
            for key in more.keys() - data.keys():
                data[key], children[key] = more[key], place.children[key]
        return data, Place(line, children)

    def _merged(self, node: yaml.Node, line: int, depth: int) -> list[tuple[dict[str, Any], Place]]:
        """The mappings behind ``<<``, strongest first."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not all(isinstance(each, yaml.MappingNode) for each in nodes):
            raise YamlProblem(line, "'<<' needs a mapping, or a list of mappings")
        return [self.convert(each, depth + 1) for each in nodes]

    @staticmethod
    def _key(node: yaml.Node, line: int) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise YamlProblem(line, "a key must be plain text")
        return _clean(node.value, line)

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        kind = node.tag.removeprefix(_PREFIX)
        if kind in _PLAIN:
            return _clean(node.value, line)
        if kind not in _NUMERIC:
            raise YamlProblem(line, f"type {kind} is not allowed here")
        try:
            if len(node.value) > _NUMBER_CHARACTERS:
                raise ValueError(node.value)
            value = self._scalars.construct_object(node)
        except (ValueError, KeyError, IndexError) as error:  # "!!bool maybe", "!!int" of nothing
            raise YamlProblem(line, f"{node.value[:60]!r} is not a usable {kind}") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise YamlProblem(line, f"{node.value!r} is not a finite number")
        return value


def _clean(text: str, line: int) -> str:
    """Text that a process, a file name and a database can take."""
    if _FORBIDDEN.search(text):
        raise YamlProblem(line, "text holds a NUL character or half of a surrogate pair")
    return text
