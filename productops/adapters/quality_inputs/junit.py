"""JUnit XML in its dialects: pytest, Surefire, Gradle, TestNG, Jest, Mocha and Cypress, Playwright, go-junit-report, gotestsum, GoogleTest.

There is no standard: what is common is ``testsuite`` with ``testcase`` in it, and in that ``failure``, ``error`` or ``skipped``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from productops.adapters.quality_inputs.cases import Cases, message_of
from productops.adapters.quality_inputs.limits import CASES_MAX, NAME_CHARACTERS_MAX
from productops.adapters.quality_inputs.numbers import seconds_of, whole_of
from productops.adapters.quality_inputs.source import Notes, Source
from productops.adapters.quality_inputs.xml_stream import Elements, parse_xml
from productops.domain.quality import CaseResult, Outcome, Parsed, normal_path

FORMAT = "junit"
ROOTS = frozenset({"testsuites", "testsuite"})

_BAD = {"failure": Outcome.FAILED, "error": Outcome.ERROR}
# Surefire: runs of a test that passed at last, and further runs of one that never did.
_ATTEMPTS = frozenset({"flakyFailure", "flakyError", "rerunFailure", "rerunError"})
# GoogleTest and others say it in an attribute.
_STATES = {
    "notrun": Outcome.SKIPPED, "disabled": Outcome.SKIPPED, "skipped": Outcome.SKIPPED, "suppressed": Outcome.SKIPPED,
    "ignored": Outcome.SKIPPED, "failed": Outcome.FAILED, "failure": Outcome.FAILED, "error": Outcome.ERROR, "broken": Outcome.ERROR,
}  # fmt: skip
_RETRY = re.compile(r"^\s*Retry #(\d+) ", re.MULTILINE)
_THE_SUITE = "(the suite itself)"


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The tests of one report. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    report = _Report(notes)
    parse_xml(source, report, notes)
    return Parsed(formats=(FORMAT,), tests=report.cases.all(), skipped=notes.all())


@dataclass(slots=True)
class _Suite:
    """A suite that is open. ``bad`` counts failures that it shows, ``said`` is how many its attributes claim."""

    name: str
    file: str
    said: int
    bad: int = 0


@dataclass(slots=True)
class _Open:
    """A test that is open."""

    attributes: dict[str, str]
    outcome: Outcome = Outcome.PASSED
    message: str = ""
    attempts: int = 1
    teardown: bool = False


class _Report(Elements):
    texts = frozenset({"failure", "error", "skipped", *_ATTEMPTS})
    several_roots = True

    def __init__(self, notes: Notes) -> None:
        self.cases = Cases()
        self._notes = notes
        self._suites: list[_Suite] = []
        self._case: _Open | None = None
        self._said = ""
        self._unique_names = self._playwright = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._suites and tag not in ROOTS:
            raise self.refusal(f"is no JUnit report: it begins with <{tag[:60]}>")
        if tag == "testcase":
            self._case = _Open(attributes)
        elif tag in self.texts:
            self._said = attributes.get("message") or attributes.get("type") or ""
        elif tag in ROOTS:
            self._open_suite(tag, attributes)
        elif tag == "property" and attributes.get("name") == "go.version":
            self._unique_names = True  # go test numbers names that come twice, so the same one again is a rerun

    def end(self, tag: str, text: str) -> None:
        if tag == "testcase":
            self._close_case()
        elif tag in self.texts:
            self._result(tag, text)
        elif tag in ROOTS:
            self._close_suite()

    def _open_suite(self, tag: str, attributes: dict[str, str]) -> None:
        name = attributes.get("name", "")
        if tag == "testsuites":
            self._playwright = "id" in attributes
        if name in {"pytest", "pytest tests"}:
            self._unique_names = True
        outer = self._suites[-1] if self._suites else _Suite("", "", 0)
        if self._playwright and tag == "testsuite" and attributes.get("hostname"):
            name = f"{name} [{attributes['hostname']}]"  # its project: the same tests in another browser
        file = normal_path(attributes.get("file", "") or attributes.get("filepath", "")) or outer.file
        said = whole_of(attributes.get("failures", "")) + whole_of(attributes.get("errors", ""))
        # The name of the outermost element is the tool's, not a suite's.
        self._suites.append(_Suite(self.cases.shared(name if tag == "testsuite" and name else outer.name), self.cases.shared(file), said))

    def _close_suite(self) -> None:
        suite = self._suites.pop()
        if suite.said > suite.bad:
            where = f"suite {suite.name!r}" if suite.name else "all suites"
            self._notes.add(where, f"says that {suite.said:,} tests failed, but shows {suite.bad:,} of them")
        if self._suites:
            self._suites[-1].bad += suite.bad

    def _result(self, tag: str, text: str) -> None:
        """A failure, error, skip or rerun has ended."""
        if self._case is None:
            if tag in _BAD and self._suites:
                self._case = _Open({"name": _THE_SUITE}, _BAD[tag], message_of(self._said, text))
                self._suites[-1].bad += 1
                self._close_case()
            return
        case = self._case
        # Suites count every run, also the one of which a rerun is told.
        self._suites[-1].bad += tag in _BAD or tag in _ATTEMPTS
        if tag in _ATTEMPTS:
            case.attempts += 1
            case.message = case.message or message_of(self._said, text)
        elif tag in _BAD:
            self._bad(case, _BAD[tag], text)
        elif case.outcome is Outcome.PASSED and text.strip().lower() != "false":
            case.outcome, case.message = Outcome.SKIPPED, message_of(self._said, text)

    def _bad(self, case: _Open, outcome: Outcome, text: str) -> None:
        case.teardown = self._said.startswith("failed on teardown")
        case.message = message_of(case.message if case.outcome.bad else "", self._said, text)
        case.outcome = Outcome.ERROR if Outcome.ERROR in {case.outcome, outcome} else outcome
        if self._playwright:
            case.attempts = max([case.attempts, *(1 + whole_of(retry) for retry in _RETRY.findall(text))])

    def _close_case(self) -> None:
        case, self._case = self._case, None
        if case is None:
            return
        attributes = case.attributes
        state = _STATES.get(attributes.get("status", "").lower()) or _STATES.get(attributes.get("result", "").lower())
        if state is not None and case.outcome is Outcome.PASSED:
            case.outcome = state
            self._suites[-1].bad += state.bad
        suite = self._suites[-1]
        if self.cases.full:
            raise self.refusal(f"has more than {CASES_MAX:,} tests")
        self.cases.add(self._made(case, suite, attributes), twice_is_rerun=self._unique_names, attempt=not case.teardown)

    def _made(self, case: _Open, suite: _Suite, attributes: dict[str, str]) -> CaseResult:
        name, time, file = attributes.get("name", ""), attributes.get("time"), attributes.get("file")
        duration_s = None
        if time is not None:
            duration_s = seconds_of(time)
            if duration_s is None and time.strip():
                self._notes.add(f"test {name[:200]!r}", f"its time {time[:40]!r} is no duration")
        return CaseResult(
            suite=suite.name,
            classname=self.cases.shared(attributes.get("classname") or attributes.get("class") or ""),
            name=name[:NAME_CHARACTERS_MAX] or "(no name)",
            outcome=case.outcome,
            duration_s=duration_s,
            message=case.message,
            file=self.cases.shared(normal_path(file)) if file else suite.file,
            line=whole_of(attributes.get("line", "")) or None,
            attempts=case.attempts,
        )
