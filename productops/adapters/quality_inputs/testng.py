"""TestNG's own report (``testng-results.xml``), as Selenium suites write it. Configuration methods count only when they fail."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.cases import Cases, message_of
from productops.adapters.quality_inputs.limits import CASES_MAX, NAME_CHARACTERS_MAX
from productops.adapters.quality_inputs.numbers import seconds_of
from productops.adapters.quality_inputs.source import Notes, Source
from productops.adapters.quality_inputs.xml_stream import Elements, parse_xml
from productops.domain.quality import CaseResult, Outcome, Parsed

FORMAT = "testng"
ROOTS = frozenset({"testng-results"})

_OUTCOMES = {"PASS": Outcome.PASSED, "FAIL": Outcome.FAILED, "SKIP": Outcome.SKIPPED}


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The tests of one report. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    report = _Report(notes)
    parse_xml(source, report, notes)
    return Parsed(formats=(FORMAT,), tests=report.cases.all(), skipped=notes.all())


class _Report(Elements):
    texts = frozenset({"message", "full-stacktrace"})

    def __init__(self, notes: Notes) -> None:
        self.cases = Cases()
        self._notes = notes
        self._names = {"testng-results": "", "suite": "", "test": "", "class": ""}
        self._method: dict[str, str] | None = None
        self._told: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in self._names:
            self._names[tag] = self.cases.shared(attributes.get("name", ""))
        elif tag == "test-method":
            self._method, self._told = attributes, []

    def end(self, tag: str, text: str) -> None:
        if tag in self.texts:
            self._told.append(text)
        elif tag == "test-method" and self._method is not None:
            self._close(self._method)
            self._method = None

    def _close(self, method: dict[str, str]) -> None:
        outcome = _OUTCOMES.get(method.get("status", ""))
        if outcome is None:
            self._notes.add(f"method {method.get('name', '')[:200]!r}", f"its status {method.get('status', '')[:40]!r} is none of TestNG's")
            outcome = Outcome.ERROR
        if method.get("is-config") == "true":
            if not outcome.bad:
                return
            outcome = Outcome.ERROR
        if self.cases.full:
            raise self.refusal(f"has more than {CASES_MAX:,} tests")
        took = seconds_of(method.get("duration-ms", ""))
        self.cases.add(
            CaseResult(
                suite=self._names["test"] or self._names["suite"],
                classname=self._names["class"],
                name=method.get("name", "")[:NAME_CHARACTERS_MAX] or "(no name)",
                outcome=outcome,
                duration_s=None if took is None else took / 1000,
                message=message_of(*self._told),
            ),
            twice_is_rerun=False,
        )
