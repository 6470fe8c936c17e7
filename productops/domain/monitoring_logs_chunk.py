"""Lines packed into chunks, and the words a chunk is found by.

A chunk holds some hundred lines of one venture in the order they came in: it costs the database one row, and a tenth of the bytes.
It is found by every word of its lines and by marks for service, version, level and so on; whoever searches opens chunks that have all of
them, the newest first, and looks through their lines.
"""

from __future__ import annotations

import functools
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from productops.domain.monitoring_logs import WORD_MAX, LogLevel, LogLine, LogOrigin, LogQuery, find_words
from productops.domain.release import Environment

LINES_MAX = 500
CHARACTERS_MAX = 262_144
"""Of all texts of a chunk; PostgreSQL's word lists have at most a megabyte."""
_UNSAFE = re.compile(r"[^a-z0-9_.:=@/+-]+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Packed lines. ``words`` are unique; times are Unix microseconds."""

    venture: str
    first_us: int
    last_us: int
    lines: int
    body: bytes
    words: tuple[str, ...]


@functools.lru_cache(maxsize=16_384)
def _mark(kind: str, value: str) -> str:
    """One word that no text has: with a colon, and without what databases take apart."""
    return f"{kind}:{_UNSAFE.sub('-', value.lower())[:100]}"


@functools.lru_cache(maxsize=4_096)
def _marks(origin: LogOrigin, level: LogLevel) -> tuple[str, ...]:
    up_to = [each for each in LogLevel if each <= level]
    return (
        _mark("s", origin.service), _mark("e", f"{origin.service}/{origin.environment}"), _mark("v", f"{origin.service}/{origin.version}"),
        _mark("i", origin.instance), *(_mark("l", each.name) for each in up_to),
        *(_mark("l", f"{origin.service}/{each.name}") for each in up_to), _mark("n", origin.environment),
    )  # fmt: skip


def pack(lines: Sequence[LogLine], templates: Sequence[int] | None = None) -> Chunk:
    """A chunk of at least one line, all of one venture. ``templates`` goes before what the lines say of theirs."""
    origins: dict[LogOrigin, int] = {}
    named = templates if templates is not None else [line.template for line in lines]
    marked: dict[tuple[LogOrigin, LogLevel], None] = {}
    rows = []
    for line, template in zip(lines, named, strict=True):
        rows.append((
            line.at_us, origins.setdefault(line.origin, len(origins)), int(line.level), template, line.trace_id, line.text
        ))  # fmt: skip
        marked[line.origin, line.level] = None
    # All texts at once: each call would cost more than the words of a line.
    words = {word[:WORD_MAX] for word in set(find_words("\n".join([line.text for line in lines]).lower()))}
    words.update(_mark("t", trace) for trace in {line.trace_id for line in lines} if trace)
    words.update(_mark("m", str(template)) for template in set(named))
    words.update(mark for origin, level in marked for mark in _marks(origin, level))
    known = [[o.service, o.environment.value, o.version, o.instance] for o in origins]
    body = zlib.compress(json.dumps({"o": known, "r": rows}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"), 1)
    times = [line.at_us for line in lines]
    return Chunk(lines[0].origin.venture, min(times), max(times), len(lines), body, tuple(sorted(words)))


def unpack(venture: str, body: bytes) -> list[LogLine]:
    """The lines, in the order they came in."""
    document = json.loads(zlib.decompress(body))
    origins = [LogOrigin(venture, service, Environment(where), version, instance) for service, where, version, instance in document["o"]]
    levels = {int(level): level for level in LogLevel}
    return [LogLine(origins[o], at, levels[level], text, trace, template) for at, o, level, template, trace, text in document["r"]]


def cut(lines: Sequence[LogLine]) -> Iterable[slice]:
    """Lines of one venture in parts that fit into a chunk each."""
    begin, characters = 0, 0
    for index, line in enumerate(lines):
        if index > begin and (index - begin >= LINES_MAX or characters + len(line.text) > CHARACTERS_MAX):
            yield slice(begin, index)
            begin, characters = index, 0
        characters += len(line.text)
    if lines:
        yield slice(begin, len(lines))


def wanted_words(query: LogQuery) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words that a chunk with such lines has, and beginnings of words that it has."""
    whole = [*_place_marks(query)]
    if query.instance is not None:
        whole.append(_mark("i", query.instance))
    if query.template is not None:
        whole.append(_mark("m", str(query.template)))
    if query.trace_id is not None:
        whole.append(_mark("t", query.trace_id))
    beginnings: list[str] = []
    for term in query.terms:
        words = term.words if term.wanted else ()
        # A phrase like `-foo` or `)bar` may begin inside a word, but then not with a letter of it.
        whole += words[:-1]
        beginnings += words[-1:]
    return tuple(dict.fromkeys(whole)), tuple(dict.fromkeys(beginnings))


def _place_marks(query: LogQuery) -> Iterable[str]:
    if query.service is None:
        if query.level is not None:
            yield _mark("l", query.level.name)
        if query.environment is not None:
            yield _mark("n", query.environment)
        return
    yield _mark("s", query.service)
    if query.environment is not None:
        yield _mark("e", f"{query.service}/{query.environment}")
    if query.version is not None:
        yield _mark("v", f"{query.service}/{query.version}")
    if query.level is not None:
        yield _mark("l", f"{query.service}/{query.level.name}")
