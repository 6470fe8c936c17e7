"""Two versions' answers to the same request, compared: what differs and is not noise.

The baseline is asked twice. Where it differs from itself (times, random ids, counters) a difference of the candidate means nothing.
Source: Twitter's Diffy, "Testing services without writing tests" (2015).
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PATHS_MAX = 2_000
LEARNED_MAX = 500
EXCERPT = 120
ABSENT = "(absent)"
LEFT_OUT = "(left out)"
_SECRET_NAME = re.compile(r"pass(word|wd)?$|secret|token|api_?key|authorization|cookie|session|credential", re.IGNORECASE)
_INLINE = re.compile(r"""((?:pass|secret|token|key|authorization)[\w-]*["']?\s*[:=]\s*)\S+""", re.IGNORECASE)
_INDEX = re.compile(r"\[\d+\]")

Fields = Mapping[str, str]
"""Path within an answer → its value as text."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. ``status`` 0: there was none (``body`` says why)."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which the candidate's answer differs; values are cut short and secrets left out."""

    path: str
    baseline: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """``differences`` of the candidate that are not noise; ``noisy``: the baseline differed from itself where it had not before."""

    differences: tuple[Difference, ...]
    noisy: bool


@dataclass(slots=True)
class Comparer:
    """Compares answers and remembers, by endpoint, where the baseline differs from itself. The memory is bounded."""

    _noise: OrderedDict[str, set[str]] = field(default_factory=OrderedDict)

    def compare(self, endpoint: str, first: Reply, second: Reply, candidate: Reply) -> Comparison:
        """``first`` and ``second`` are the baseline's answers. ``endpoint`` is the method and the path without its query."""
        known = self._known(endpoint)
        one, two, new = fields_of(first), fields_of(second), fields_of(candidate)
        fresh_noise = {_pattern(path) for path in _differing(one, two)}
        noisy = bool(fresh_noise - known)
        known |= fresh_noise
        found = sorted(path for path in _differing(one, new) if _pattern(path) not in known)
        shown = tuple(Difference(path, *_excerpts(_safe(path, one), _safe(path, new))) for path in found[:20])
        return Comparison(differences=shown, noisy=noisy)

    def _known(self, endpoint: str) -> set[str]:
        known = self._noise.pop(endpoint, set())
        self._noise[endpoint] = known
        if len(self._noise) > LEARNED_MAX:
            self._noise.popitem(last=False)
        return known


def fields_of(reply: Reply) -> dict[str, str]:
    """An answer by path: JSON by its members, other text by its lines with blanks evened out, anything else as a whole."""
    kind = reply.content_type.partition(";")[0].strip().lower()
    found = {"status": str(reply.status), "content-type": kind}
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return found | dict(_limited(_members("body", json.loads(reply.body))))
        except (ValueError, RecursionError):
            pass
    try:
        text = reply.body.decode()
    except UnicodeDecodeError:
        return found | {"body": f"{len(reply.body)} bytes, {reply.body[:16].hex()}…"}
    lines = (" ".join(line.split()) for line in text.splitlines())
    return found | dict(_limited((f"line {number}", line) for number, line in enumerate(lines, 1) if line))


def _members(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _members(f"{path}.{name}", inner)
    elif isinstance(value, list):
        yield f"{path}.length", str(len(value))
        for index, inner in enumerate(value):
            yield from _members(f"{path}[{index}]", inner)
    else:
        yield path, json.dumps(value)


def _limited(pairs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for number, pair in enumerate(pairs):
        if number >= PATHS_MAX:
            return
        yield pair


def _differing(one: Fields, other: Fields) -> set[str]:
    return {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}


def _pattern(path: str) -> str:
    """The same place in every element of a list: noise in one is noise in all."""
    return _INDEX.sub("[]", path)


def _safe(path: str, fields: Fields) -> str:
    """A value for people, with what sounds secret left out."""
    if any(_SECRET_NAME.search(part) for part in re.split(r"[.\[\]]", path)):
        return LEFT_OUT
    return _INLINE.sub(rf"\1{LEFT_OUT}", fields.get(path, ABSENT))


def _excerpts(one: str, other: str) -> tuple[str, str]:
    """Both values, or the parts of them around the place where they begin to differ."""
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = 0 if max(len(one), len(other)) <= EXCERPT else max(0, same - EXCERPT // 4)
    return _cut(one, start), _cut(other, start)


def _cut(text: str, start: int) -> str:
    head = "…" if start else ""
    rest = text[start:]
    return head + (rest if len(rest) <= EXCERPT else rest[: EXCERPT - 1] + "…")


def safe_target(target: str) -> str:
    """A request's path and query for people: values of parameters that sound secret are left out, and it is cut short."""
    path, mark, query = target.partition("?")
    parts = (part.partition("=") for part in query.split("&"))
    kept = (f"{name}={LEFT_OUT}" if _SECRET_NAME.search(name) else f"{name}{sign}{value}" for name, sign, value in parts)
    text = path + mark + "&".join(kept) if mark else path
    return text if len(text) <= 200 else text[:199] + "…"
