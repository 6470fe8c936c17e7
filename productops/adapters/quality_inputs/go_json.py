"""``go test -json``: one event a line. A test that began and never ended is an error: its process died."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from productops.adapters.quality_inputs.cases import Cases, message_of
from productops.adapters.quality_inputs.json_document import Node, load_line
from productops.adapters.quality_inputs.limits import CASES_MAX
from productops.adapters.quality_inputs.numbers import seconds_of
from productops.adapters.quality_inputs.source import Notes, Source, lines, refusal
from productops.domain.quality import MESSAGE_CHARACTERS_MAX, CaseResult, Outcome, Parsed
from productops.errors import QualityInputError

FORMAT = "go-test"

_ENDS = {"pass": Outcome.PASSED, "fail": Outcome.FAILED, "skip": Outcome.SKIPPED}
_THE_PACKAGE = "(the package itself)"
# Older versions of Go tell of a package that does not build only in a line of text.
_NOT_BUILT = re.compile(r"FAIL\s+(\S{1,500}) \[(build failed|setup failed)\]\s*$")


def fits(first: Node) -> bool:
    """Whether a first line is of this format."""
    return first.has("Action") and (first.has("Package") or first.has("ImportPath"))


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The tests of all packages. Raises: QualityInputError."""
    source, notes = Source.of(given, name), Notes()
    events = _Events(source.name, notes)
    for number, line in lines(source, notes):
        try:
            events.take(load_line(line, name=source.name, line=number))
        except QualityInputError:
            if events.known >= CASES_MAX:
                raise
            if not events.take_text(line):
                notes.add(f"line {number}", "is no event of go test")
    return Parsed(formats=(FORMAT,), tests=events.all(), skipped=notes.all())


@dataclass(slots=True)
class _Running:
    """A test that has begun. What it printed is kept up to the length of a message."""

    printed: list[str] = field(default_factory=list)
    left: int = 2 * MESSAGE_CHARACTERS_MAX


class _Events:
    def __init__(self, name: str, notes: Notes) -> None:
        self._name, self._notes = name, notes
        self._cases = Cases()
        self._running: dict[tuple[str, str], _Running] = {}
        self._bad_packages: set[str] = set()

    @property
    def known(self) -> int:
        """Tests that ended or run."""
        return len(self._cases) + len(self._running)

    def take(self, event: Node) -> None:
        """The next event. Raises: QualityInputError."""
        if not event.has("Action"):
            raise event.refusal("is no event of go test")
        package, test, action = event.get("Package").text(), event.get("Test").text(), event.get("Action").text()
        if self.known >= CASES_MAX:
            raise refusal(self._name, f"has more than {CASES_MAX:,} tests", event.path)
        if action in _ENDS:
            self._end(package, test, _ENDS[action], event)
            return
        running = self._running.setdefault((package, test), _Running())
        if action == "output" and running.left > 0:
            line = event.get("Output").text(running.left)
            running.printed.append(line)
            running.left -= len(line)

    def take_text(self, line: str) -> bool:
        """A line between the events; whether it says something that is known."""
        found = _NOT_BUILT.match(line)
        if found:
            self._cases.add(CaseResult(found[1], found[1], _THE_PACKAGE, Outcome.ERROR, message=found[2]), twice_is_rerun=False)
        return bool(found)

    def _end(self, package: str, test: str, outcome: Outcome, event: Node) -> None:
        running = self._running.pop((package, test), _Running())
        if outcome.bad and not test:
            self._died(package)
        if outcome.bad and test:
            self._bad_packages.add(package)
        if test or (outcome.bad and package not in self._bad_packages):
            self._add(package, test or _THE_PACKAGE, outcome if test else Outcome.ERROR, running, event.get("Elapsed").text())

    def _add(self, package: str, test: str, outcome: Outcome, running: _Running, elapsed: str = "") -> None:
        message = message_of("".join(running.printed)) if outcome is not Outcome.PASSED else ""
        case = CaseResult(self._cases.shared(package), self._cases.shared(package), test, outcome, seconds_of(elapsed), message)
        self._cases.add(case, twice_is_rerun=True)

    def _died(self, package: str | None = None) -> None:
        """What still runs in a package that has ended, or at the end of all."""
        for key in [key for key in self._running if key[1] and package in {None, key[0]}]:
            running = self._running.pop(key)
            running.printed.append("began and never ended: its process died")
            self._bad_packages.add(key[0])
            self._add(*key, Outcome.ERROR, running)

    def all(self) -> tuple[CaseResult, ...]:
        """All tests. Those that still run have died with their process, or the file ends too early."""
        if any(test for _, test in self._running):
            self._notes.add(self._name, "ends before all tests have ended")
        self._died()
        return self._cases.all()
