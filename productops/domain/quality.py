"""What the tools that check quality have written, in one shape: tests, coverage, findings, parts lists and performance series."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from productops.domain.quality_coverage import Coverage, FileCoverage, LineCoverage, file_coverage
from productops.domain.quality_findings import MESSAGE_CHARACTERS_MAX, Finding, FindingKind, Severity
from productops.domain.quality_paths import normal_path

__all__ = [
    "MESSAGE_CHARACTERS_MAX",
    "CaseResult",
    "Component",
    "Coverage",
    "FileCoverage",
    "Finding",
    "FindingKind",
    "LineCoverage",
    "Outcome",
    "Parsed",
    "Series",
    "Severity",
    "Skipped",
    "file_coverage",
    "merged",
    "normal_path",
]


class Outcome(StrEnum):
    """How a test ended. ``failed`` is an assertion, ``error`` anything else that went wrong."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"

    @property
    def bad(self) -> bool:
        """Whether the test speaks against the version."""
        return self in {Outcome.FAILED, Outcome.ERROR}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One test. ``duration_s`` is None when the tool did not say, or said nonsense. ``attempts`` counts the runs, 1 without a rerun;
    a test that passed after more than one is flaky. ``occurrence`` numbers tests of one report that have the same name, from 0.
    """

    suite: str
    classname: str
    name: str
    outcome: Outcome
    duration_s: float | None = None
    message: str = ""
    file: str = ""
    line: int | None = None
    attempts: int = 1
    occurrence: int = 0

    @property
    def flaky(self) -> bool:
        """It failed and then passed, with nothing changed."""
        return self.outcome is Outcome.PASSED and self.attempts > 1

    @property
    def key(self) -> str:
        """32 hexadecimal digits that mean this test in every run on every machine; a moved line does not change them.

        The file counts only where it is relative: an absolute one is another on every machine.
        """
        file = "" if self.file.startswith("/") else self.file
        parts = (self.suite, self.classname, self.name, file, str(self.occurrence))
        return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a parts list (SBOM). ``licences`` are SPDX identifiers or expressions, or the name where the list has no identifier."""

    name: str
    version: str = ""
    purl: str = ""
    licences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """Measurements of one thing: finite values in the order they were taken. ``unit`` as UCUM writes it (``s``, ``ms``, ``1/s``, ``1``).

    ``higher_is_better`` is None when nobody said.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    higher_is_better: bool | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part of an input that could not be read: where (file, line or JSON path) and why."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """All that one input says, or several together. ``suppressed`` are findings that somebody has waived in the source or the tool.

    ``skipped`` is not empty when a part of the input is missing here: what is not seen has not passed.
    """

    formats: tuple[str, ...] = ()
    tests: tuple[CaseResult, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    findings: tuple[Finding, ...] = ()
    suppressed: tuple[Finding, ...] = ()
    components: tuple[Component, ...] = ()
    series: tuple[Series, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def format(self) -> str:
        """The format; several are joined by ``+``."""
        return "+".join(self.formats)


def merged(parts: Iterable[Parsed]) -> Parsed:
    """Several inputs as one: everything in order, each format once, coverage added up, series of one name and label in one."""
    every = list(parts)
    return Parsed(
        formats=tuple(dict.fromkeys(name for each in every for name in each.formats)),
        tests=tuple(case for each in every for case in each.tests),
        coverage=Coverage.of(file for each in every for file in each.coverage.files.values()),
        findings=tuple(finding for each in every for finding in each.findings),
        suppressed=tuple(finding for each in every for finding in each.suppressed),
        components=tuple(dict.fromkeys(part for each in every for part in each.components)),
        series=_merged_series(series for each in every for series in each.series),
        skipped=tuple(gap for each in every for gap in each.skipped),
    )


def _merged_series(every: Iterable[Series]) -> tuple[Series, ...]:
    """Values of the same name, unit, direction and labels behind each other."""
    together: dict[tuple[object, ...], list[Series]] = {}
    for series in every:
        together.setdefault((series.name, series.unit, series.higher_is_better, series.labels), []).append(series)
    return tuple(replace(group[0], values=tuple(value for each in group for value in each.values)) for group in together.values())
