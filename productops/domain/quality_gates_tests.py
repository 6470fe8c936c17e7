"""Unit, integration and end-to-end gates: tests ran, enough of them, and none failed."""

from __future__ import annotations

from collections.abc import Sequence

from productops.domain.catalog_quality import TestsGate
from productops.domain.quality import CaseResult, Outcome
from productops.domain.quality_gates_collected import Collected, fits, several
from productops.domain.quality_gates_draft import Draft
from productops.domain.quality_verdict import GateResult

HINT = "hand in the report of the tests, e.g. --junit 'build/**/*.xml'"


def title_of(case: CaseResult) -> str:
    """What a person calls a test."""
    return "::".join(part for part in (case.classname or case.suite, case.name) if part) or case.key


def tests_of(gate: TestsGate, collected: Collected) -> list[CaseResult]:
    """The tests it is about, in the order of the reports."""
    parsed = collected.parsed
    if gate.formats and not any(fits(gate.formats, each) for each in parsed.formats):
        return []
    everything = "*" in gate.suites and not gate.files and not gate.exclude
    return list(parsed.tests) if everything else [case for case in parsed.tests if _is_of(gate, case)]


def _is_of(gate: TestsGate, case: CaseResult) -> bool:
    if not fits(gate.suites, case.suite, case.classname) or fits(gate.exclude, case.suite, case.classname, case.file):
        return False
    return not gate.files or (bool(case.file) and fits(gate.files, case.file))


def judge_tests(gate: TestsGate, collected: Collected) -> GateResult:
    """Every bad test is an item; those that are waived or quarantined do not count."""
    draft, cases = Draft(gate, collected), tests_of(gate, collected)
    ran = [case for case in cases if case.outcome is not Outcome.SKIPPED]
    flaky = [case for case in ran if case.flaky]
    bad = _bad(draft, cases)
    draft.figures |= {
        "tests": len(cases), "ran": len(ran), "failed": sum(1 for case in ran if case.outcome.bad), "counted": bad,
        "skipped": len(cases) - len(ran), "flaky": len(flaky), "duration_s": round(sum(case.duration_s or 0.0 for case in cases), 3),
    }  # fmt: skip
    if bad > gate.failures_max:
        borne = f", {gate.failures_max} are borne" if gate.failures_max else ""
        draft.fail(f"{bad} of {several(len(ran), 'test')} failed{borne}", "mend the tests or the code they speak of and run them again")
    if len(ran) < gate.tests_min:
        _too_few(draft, gate, cases, ran)
    _limits(draft, gate, len(cases), len(cases) - len(ran), flaky)
    said = f"{several(len(ran), 'test')} ran, {'all passed' if not draft.figures['failed'] else 'none that counts failed'}"
    return draft.result(said + (f", {len(cases) - len(ran)} skipped" if len(cases) > len(ran) else ""))


def _bad(draft: Draft, cases: Sequence[CaseResult]) -> int:
    """How many count; each is noted."""
    counted = 0
    for case in cases:
        if case.outcome.bad:
            where = f"{case.file}:{case.line}" if case.file and case.line else case.file
            first = case.message.strip().splitlines()
            text = f"{title_of(case)}: {first[0]}" if first else title_of(case)
            counted += draft.object(case.key, text, where=where, excused=draft.collected.quarantined.get(case.key, ""))
    return counted


def _too_few(draft: Draft, gate: TestsGate, cases: Sequence[CaseResult], ran: Sequence[CaseResult]) -> None:
    if not cases:
        others = len(draft.collected.parsed.tests)
        beside = f"; of {others} tests that came in none fits its patterns" if others else ""
        draft.lack(f"no test of this kind was handed in{beside}", HINT if not others else "look at suites, files and formats of the gate")
    elif not ran:
        draft.lack(f"all {several(len(cases), 'test')} were skipped", "run them")
    else:
        draft.lack(f"{several(len(ran), 'test')} ran, {gate.tests_min:,} are needed", HINT)


def _limits(draft: Draft, gate: TestsGate, total: int, skipped: int, flaky: Sequence[CaseResult]) -> None:
    if gate.skips_max is not None and skipped > gate.skips_max:
        draft.limit("skips", f"{several(skipped, 'test')} skipped, {gate.skips_max} are borne", "run the skipped tests or take them out")
    if gate.skips_max_pct is not None and total and 100 * skipped / total > gate.skips_max_pct:
        draft.limit("skips", f"{100 * skipped / total:.1f} % skipped, {gate.skips_max_pct:g} % are borne", "run the skipped tests")
    if gate.flaky_max is not None and len(flaky) > gate.flaky_max:
        for case in flaky:
            told = f"{title_of(case)}: passed at attempt {case.attempts}"
            draft.object(case.key, told, where=case.file, excused="counted by flaky_max")
        draft.limit("flaky", f"{several(len(flaky), 'test')} passed only when retried, {gate.flaky_max} are borne", "mend what is flaky")
    elif flaky:
        draft.notes.append(f"{several(len(flaky), 'test')} passed only when retried")
    if gate.duration_max_s is not None and draft.figures["duration_s"] > gate.duration_max_s:
        draft.limit(
            "duration", f"the tests took {draft.figures['duration_s']:g} s, {gate.duration_max_s:g} s are borne", "make them faster"
        )
