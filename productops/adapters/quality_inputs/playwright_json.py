"""Playwright's JSON report: every attempt of every test in every project (browser)."""

from __future__ import annotations

import re
from pathlib import Path

from productops.adapters.quality_inputs.cases import Cases, message_of
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.limits import CASES_MAX, DEPTH_MAX
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import MESSAGE_CHARACTERS_MAX, CaseResult, Outcome, Parsed, normal_path

FORMAT = "playwright"

# The tool's own judgement: "expected" is a failure where a failure was announced, too.
_OUTCOMES = {"expected": Outcome.PASSED, "unexpected": Outcome.FAILED, "flaky": Outcome.PASSED, "skipped": Outcome.SKIPPED}
_CUT_SHORT = frozenset({"timedOut", "interrupted"})
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("suites", "config") or (document.has("suites", "stats") and document.has("errors"))


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The tests of one run. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The tests of one run. Raises: QualityInputError."""
    cases = Cases()
    for suite in document.get("suites").needs(list, "a list of suites"):
        _suite(cases, suite, (), notes)
    for error in document.get("errors"):
        told = message_of(_COLOURS.sub("", error.get("message").text(2 * MESSAGE_CHARACTERS_MAX)))
        cases.add(CaseResult("", "", "(the run itself)", Outcome.ERROR, None, told), twice_is_rerun=False)
    return Parsed(formats=(FORMAT,), tests=cases.all())


def _suite(cases: Cases, suite: Node, above: tuple[str, ...], notes: Notes) -> None:
    if len(above) > DEPTH_MAX:
        raise suite.refusal(f"has suites within {DEPTH_MAX} others")
    for spec in suite.get("specs"):
        for test in spec.get("tests"):
            _test(cases, spec, test, above, notes)
    for inner in suite.get("suites"):
        _suite(cases, inner, (*above, inner.get("title").text()), notes)


def _test(cases: Cases, spec: Node, test: Node, above: tuple[str, ...], notes: Notes) -> None:
    if cases.full:
        raise test.refusal(f"has more than {CASES_MAX:,} tests")
    attempts = list(test.get("results"))
    last = attempts[-1] if attempts else test.get("none")
    outcome = _OUTCOMES.get(test.get("status").text())
    if outcome is None:
        notes.add(test.path, f"its status {test.get('status').text(40)!r} is none of Playwright's")
        outcome = Outcome.ERROR
    if outcome is Outcome.FAILED and last.get("status").text() in _CUT_SHORT:
        outcome = Outcome.ERROR
    told = [error.get("message").text(2 * MESSAGE_CHARACTERS_MAX) for attempt in attempts for error in attempt.get("errors")]
    took = last.get("duration").number()
    file = cases.shared(normal_path(spec.get("file").text()))
    project = test.get("projectName").text()
    cases.add(
        CaseResult(
            suite=cases.shared(f"{file} [{project}]" if project else file),
            classname=file,
            name=" › ".join((*above, spec.get("title").text() or "(no name)")),
            outcome=outcome,
            duration_s=took / 1000 if took is not None and took >= 0 else None,
            message=message_of(*(_COLOURS.sub("", each) for each in told[:2])),
            file=file,
            line=spec.get("line").whole(),
            attempts=max(1, len(attempts)),
        ),
        twice_is_rerun=False,
    )
