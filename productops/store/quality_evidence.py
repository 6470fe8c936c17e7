"""What a run was judged by, as compressed columns: small enough to keep for every run, complete enough to be judged again.

One row for each test of each run would be 100,000 rows a run that nobody reads again; as columns of JSON, compressed, they are one
value. What is asked across runs (tests that failed, findings, series) has tables of its own.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate, pairwise
from typing import Any, Final, TypeVar

from productops.domain.quality import (
    CaseResult,
    Component,
    Coverage,
    FileCoverage,
    Finding,
    FindingKind,
    Outcome,
    Parsed,
    Series,
    Severity,
    Skipped,
)
from productops.domain.quality_gates_diff import ChangedLines

TESTS: Final = "tests"
FINDINGS: Final = "findings"
SUPPRESSED: Final = "suppressed"
COVERAGE: Final = "coverage"
COMPONENTS: Final = "components"
SERIES: Final = "series"
DIFF: Final = "diff"
REST: Final = "rest"
VALUES_MAX = 10_000
_LEVEL = 5
T = TypeVar("T", CaseResult, Finding, Component)


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of evidence: how many things it holds, and their compressed columns."""

    name: str
    count: int
    data: bytes


def packed(parsed: Parsed, diff: ChangedLines | None) -> list[Part]:
    """Everything but what is empty. Series longer than ``VALUES_MAX`` keep that many of their ordered values."""
    found = [
        Part(TESTS, len(parsed.tests), _columns(parsed.tests)),
        Part(FINDINGS, len(parsed.findings), _columns(parsed.findings)),
        Part(SUPPRESSED, len(parsed.suppressed), _columns(parsed.suppressed)),
        Part(COVERAGE, len(parsed.coverage.files), _pack([_file(each) for each in parsed.coverage.files.values()])),
        Part(COMPONENTS, len(parsed.components), _columns(parsed.components)),
        Part(SERIES, len(parsed.series), _pack([_series(each) for each in parsed.series])),
    ]
    rest = {"formats": list(parsed.formats), "skipped": [[gap.where, gap.reason] for gap in parsed.skipped]}
    kept = [part for part in found if part.count]
    if diff is not None:
        kept.append(Part(DIFF, len(diff.files), _pack({path: list(lines) for path, lines in diff.files.items()})))
    return [*kept, Part(REST, 1, _pack(rest))]


def unpacked(parts: Mapping[str, bytes]) -> tuple[Parsed, ChangedLines | None]:
    """What ``packed`` was given, as far as the parts are there."""
    rest = _unpack(parts[REST]) if REST in parts else {"formats": [], "skipped": []}
    parsed = Parsed(
        formats=tuple(rest["formats"]),
        tests=tests_of(parts.get(TESTS)),
        coverage=Coverage.of(_read_file(each) for each in _unpack(parts[COVERAGE])) if COVERAGE in parts else Coverage(),
        findings=findings_of(parts.get(FINDINGS)),
        suppressed=findings_of(parts.get(SUPPRESSED)),
        components=_read(Component, parts.get(COMPONENTS), {"licences": tuple}),
        series=tuple(_read_series(each) for each in _unpack(parts[SERIES])) if SERIES in parts else (),
        skipped=tuple(Skipped(where, reason) for where, reason in rest["skipped"]),
    )
    if DIFF not in parts:
        return parsed, None
    return parsed, ChangedLines({path: tuple(lines) for path, lines in _unpack(parts[DIFF]).items()})


def tests_of(data: bytes | None) -> tuple[CaseResult, ...]:
    """The tests of a part; none without one."""
    return _read(CaseResult, data, {"outcome": Outcome})


def findings_of(data: bytes | None) -> tuple[Finding, ...]:
    """The findings of a part; none without one."""
    return _read(
        Finding, data,
        {
            "kind": FindingKind, "severity": Severity, "identifiers": tuple,
            "own_fingerprints": lambda pairs: tuple((name, value) for name, value in pairs),
        },
    )  # fmt: skip


def digest(parts: Iterable[Part]) -> str:
    """SHA-256 of all of it: two requests with it handed in the same."""
    found = hashlib.sha256()
    for part in parts:
        found.update(f"{part.name}:{part.count}:{len(part.data)}:".encode())
        found.update(part.data)
    return found.hexdigest()


def thinned(values: Sequence[float], most: int) -> tuple[float, ...]:
    """At most so many: where there are more, ordered ones in equal distances, the smallest and the largest among them."""
    if len(values) <= most:
        return tuple(values)
    ordered = sorted(values)
    return tuple(ordered[math.floor(i * (len(ordered) - 1) / (most - 1) + 0.5)] for i in range(most))


def _columns(things: Sequence[T]) -> bytes:
    """One list for each field; a field that is the same in all is one value."""
    if not things:
        return b""
    found: dict[str, Any] = {}
    for each in fields(things[0]):
        column = [getattr(thing, each.name) for thing in things]
        same = all(value == column[0] for value in column)
        found[each.name] = {"all": column[0]} if same else column
    return _pack({"count": len(things), "columns": found})


def _read(kind: type[T], data: bytes | None, make: Mapping[str, Callable[[Any], Any]]) -> tuple[T, ...]:
    if not data:
        return ()
    found = _unpack(data)
    columns = []
    for name, column in found["columns"].items():
        values = [column["all"]] * found["count"] if isinstance(column, dict) else column
        columns.append((name, [make[name](value) for value in values] if name in make else values))
    names = [name for name, _ in columns]
    return tuple(kind(**dict(zip(names, row, strict=True))) for row in zip(*(values for _, values in columns), strict=True))


def _file(each: FileCoverage) -> list[Any]:
    """Lines as distances: mostly ones, which compress to nothing."""
    steps = [second - first for first, second in pairwise([0, *each.numbers])]
    return [each.path, steps, list(each.counts), list(each.branch_numbers), list(each.branch_covered), list(each.branch_totals)]


def _read_file(row: list[Any]) -> FileCoverage:
    path, steps, *others = row
    counts, numbers, covered, totals = (array("I", values) for values in others)
    return FileCoverage(path, array("I", accumulate(steps)), counts, numbers, covered, totals)


def _series(each: Series) -> dict[str, Any]:
    return {
        "name": each.name, "unit": each.unit, "values": thinned(each.values, VALUES_MAX), "higher": each.higher_is_better,
        "labels": [list(label) for label in each.labels],
    }  # fmt: skip


def _read_series(row: Mapping[str, Any]) -> Series:
    labels = tuple((key, value) for key, value in row["labels"])
    return Series(row["name"], row["unit"], tuple(row["values"]), row["higher"], labels)


def _pack(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"), _LEVEL)


def _unpack(data: bytes) -> Any:
    return json.loads(zlib.decompress(data).decode("utf-8", "surrogatepass"))
