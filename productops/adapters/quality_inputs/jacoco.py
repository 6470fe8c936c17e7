"""JaCoCo XML. A line has run when one of its instructions has; JaCoCo does not count how often."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.coverage_lines import CoveredLines
from productops.adapters.quality_inputs.numbers import whole_of
from productops.adapters.quality_inputs.source import Notes, Source
from productops.adapters.quality_inputs.xml_stream import Elements, parse_xml
from productops.domain.quality import Parsed

FORMAT = "jacoco"
ROOTS = frozenset({"report"})


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The coverage of one report. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    report = _Report(notes)
    parse_xml(source, report, notes)
    return Parsed(formats=(FORMAT,), coverage=report.covered.all(), skipped=notes.all())


class _Report(Elements):
    def __init__(self, notes: Notes) -> None:
        self.covered = CoveredLines()
        self._notes = notes
        self._package = self._path = ""
        self._lines = 0
        self._began = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._began and tag not in ROOTS:
            raise self.refusal(f"is no JaCoCo report: it begins with <{tag[:60]}>")
        self._began = True
        if tag == "package":
            self._package = attributes.get("name", "")
        elif tag == "sourcefile":
            self._path = f"{self._package}/{attributes.get('name', '')}".strip("/")
            self._lines = 0
            self.covered.file(self._path)
        elif tag == "line" and self._path:
            self._line(attributes)
        elif tag == "counter" and self._path and attributes.get("type") == "INSTRUCTION" and not self._lines:
            self._notes.add(self._path[:300], "has counters and no lines: it was compiled without debug information")

    def end(self, tag: str, _text: str) -> None:
        if tag == "sourcefile":
            self._path = ""

    def _line(self, attributes: dict[str, str]) -> None:
        self._lines += 1
        number = whole_of(attributes.get("nr", ""))
        if not number or not attributes.get("ci", "").isdigit():
            self._notes.add(f"a line of {self._path[:300]}", "has no number or no count of instructions")
            return
        taken, missed = whole_of(attributes.get("cb", "")), whole_of(attributes.get("mb", ""))
        ways = (taken, taken + missed) if taken + missed else None
        if not self.covered.line(self._path, number, min(whole_of(attributes["ci"]), 1), ways):
            raise self.refusal("has too many lines")
