"""Test results while they are gathered: limits, names that come twice, reruns."""

from __future__ import annotations

from dataclasses import replace

from productops.adapters.quality_inputs.limits import CASES_MAX, NAME_CHARACTERS_MAX
from productops.domain.quality import MESSAGE_CHARACTERS_MAX, CaseResult, Outcome
from productops.redaction import redact

# Cut to this before secrets are looked for, which costs time; blanks only shorten.
_LOOKED_AT = MESSAGE_CHARACTERS_MAX + 500
_BADNESS = (Outcome.SKIPPED, Outcome.PASSED, Outcome.FAILED, Outcome.ERROR)


def message_of(*parts: str) -> str:
    """The parts that add something, without secrets, at most ``MESSAGE_CHARACTERS_MAX`` characters."""
    told = ""
    for part in parts:
        bare = part.strip()
        if bare and bare not in told:
            told = f"{told}\n{bare}" if told and not bare.startswith(told) else bare
    told = redact(told[:_LOOKED_AT])
    return told if len(told) <= MESSAGE_CHARACTERS_MAX else told[: MESSAGE_CHARACTERS_MAX - 1] + "…"


class Cases:
    """``add`` for each result as it stands in the report, in order; then ``all``."""

    def __init__(self) -> None:
        self._cases: list[CaseResult] = []
        self._places: dict[tuple[str, str, str, str], list[int]] = {}
        self._same: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._cases)

    @property
    def full(self) -> bool:
        """Whether another one would go past the limit."""
        return len(self._cases) >= CASES_MAX

    def shared(self, text: str) -> str:
        """One object for a text that many results have."""
        text = text[:NAME_CHARACTERS_MAX]
        return self._same.setdefault(text, text)

    def add(self, case: CaseResult, *, twice_is_rerun: bool, attempt: bool = True) -> None:
        """``twice_is_rerun``: the tool's names are unique, so the same one again is another run (an ``attempt``) or another phase of it."""
        places = self._places.setdefault((case.suite, case.classname, case.name, case.file), [])
        if not places or not twice_is_rerun:
            places.append(len(self._cases))
            self._cases.append(replace(case, occurrence=len(places) - 1) if len(places) > 1 else case)
            return
        before = self._cases[places[0]]
        self._cases[places[0]] = _rerun(before, case) if attempt else _other_phase(before, case)

    def all(self) -> tuple[CaseResult, ...]:
        """In the order of the report."""
        return tuple(self._cases)


def _rerun(before: CaseResult, again: CaseResult) -> CaseResult:
    """The last run decides; why an earlier one failed stays told."""
    return replace(again, attempts=before.attempts + again.attempts, message=again.message or before.message)


def _other_phase(before: CaseResult, again: CaseResult) -> CaseResult:
    """The same run again, its teardown: the worse outcome decides."""
    worst = max(before, again, key=lambda case: _BADNESS.index(case.outcome))
    total = (before.duration_s or 0.0) + (again.duration_s or 0.0)
    return replace(worst, attempts=before.attempts, duration_s=total, message=message_of(before.message, again.message))
