"""Jest's and Vitest's JSON (``--json``). Unlike jest-junit it shows test files that could not be run at all."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.cases import Cases, message_of
from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.limits import CASES_MAX
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import MESSAGE_CHARACTERS_MAX, CaseResult, Outcome, Parsed, normal_path

FORMAT = "jest"

_OUTCOMES = {
    "passed": Outcome.PASSED, "failed": Outcome.FAILED, "pending": Outcome.SKIPPED, "skipped": Outcome.SKIPPED, "todo": Outcome.SKIPPED,
    "disabled": Outcome.SKIPPED, "focused": Outcome.PASSED,
}  # fmt: skip
_THE_FILE = "(the file itself)"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("testResults", "numTotalTests")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The tests of one run. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The tests of one run. Raises: QualityInputError."""
    cases = Cases()
    for file in document.get("testResults").needs(list, "a list of test files"):
        path = cases.shared(normal_path(file.get("name").text()))
        # The folder of an absolute path is another one on every machine.
        suite = cases.shared(path.rpartition("/")[2] if path.startswith("/") else path)
        results = list(file.get("assertionResults"))
        for result in results:
            _add(cases, result, (suite, path), notes)
        if file.get("status").text() == "failed" and not any(result.get("status").text() == "failed" for result in results):
            told = message_of(file.get("message").text(2 * MESSAGE_CHARACTERS_MAX))
            broken = CaseResult(suite, "", _THE_FILE, Outcome.ERROR, None, told, path)
            cases.add(broken, twice_is_rerun=False)
    return Parsed(formats=(FORMAT,), tests=cases.all())


def _add(cases: Cases, result: Node, place: tuple[str, str], notes: Notes) -> None:
    if cases.full:
        raise result.refusal(f"has more than {CASES_MAX:,} tests")
    outcome = _OUTCOMES.get(result.get("status").text())
    if outcome is None:
        notes.add(result.path, f"its status {result.get('status').text(40)!r} is none of Jest's")
        outcome = Outcome.ERROR
    took = result.get("duration").number()
    told = [each.text(2 * MESSAGE_CHARACTERS_MAX) for each in result.get("failureMessages")]
    runs = result.get("invocations").whole() or 1
    above = " ".join(title.text() for title in result.get("ancestorTitles"))
    cases.add(
        CaseResult(
            suite=place[0],
            classname=cases.shared(above),
            name=result.get("title").text() or result.get("fullName").text() or "(no name)",
            outcome=outcome,
            duration_s=took / 1000 if took is not None and took >= 0 else None,
            message=message_of(*told[:5]),
            file=place[1],
            line=result.get("location", "line").whole(),
            attempts=runs,
        ),
        twice_is_rerun=False,
    )
