"""Judges what was collected by a policy: every gate, then the one answer. Pure: offline, in the store's transaction, in a backtest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from productops.domain.catalog_quality import (
    CoverageGate,
    ExpressionGate,
    Gate,
    PerformanceGate,
    QualityPolicy,
    SecurityGate,
    SignOffGate,
    StandardsGate,
    TestsGate,
)
from productops.domain.quality_expression import ExpressionError, UnknownFigureError, parse_expression
from productops.domain.quality_gates_collected import Collected, fits, listed, several
from productops.domain.quality_gates_coverage import judge_coverage
from productops.domain.quality_gates_diff import ChangedLines, read_diff
from productops.domain.quality_gates_draft import Draft
from productops.domain.quality_gates_figures import MEANINGS, figures_of
from productops.domain.quality_gates_performance import judge_series, name_of
from productops.domain.quality_gates_security import judge_security
from productops.domain.quality_gates_standards import judge_standards
from productops.domain.quality_gates_tests import judge_tests
from productops.domain.quality_verdict import GateKind, GateResult, GateState, QualityVerdict, verdict_of

__all__ = ["MEANINGS", "ChangedLines", "Collected", "figures_of", "judge_gates", "on_main_branch", "read_diff"]

# What nobody handed in cannot be unreadable.
_OF_NO_INPUT = frozenset({GateKind.SIGN_OFF})
UNREAD_TOLD_MAX = 10


def judge_gates(policy: QualityPolicy, collected: Collected) -> QualityVerdict:
    """Every gate in the policy's order, one after the other: 100,000 tests take less than a second, and threads would share one core."""
    figures = figures_of(collected)
    results = tuple(_readable(policy, collected, _judge(gate, collected, figures)) for gate in policy.spec.gates)
    return verdict_of(results)


def on_main_branch(policy: QualityPolicy, branch: str) -> bool:
    """Whether runs of this branch are what others are compared with. ``refs/heads/`` before it does not matter."""
    return fits(policy.spec.main_branches, branch.removeprefix("refs/heads/"))


def _judge(gate: Gate, collected: Collected, figures: Mapping[str, float]) -> GateResult:
    match gate:
        case TestsGate():
            found = judge_tests(gate, collected)
        case SecurityGate():
            found = judge_security(gate, collected)
        case CoverageGate():
            found = judge_coverage(gate, collected)
        case StandardsGate():
            found = judge_standards(gate, collected)
        case PerformanceGate():
            found = judge_series(gate, collected)
        case SignOffGate():
            found = _judge_sign_off(gate, collected)
        case ExpressionGate():
            found = _judge_expression(gate, collected, figures)
    return found


def _readable(policy: QualityPolicy, collected: Collected, result: GateResult) -> GateResult:
    """What is not seen has not passed: with unreadable parts a pass becomes an error, and all else says what was not seen."""
    gaps = collected.parsed.skipped
    if not gaps or result.kind in _OF_NO_INPUT or (result.state is GateState.PASSED and len(gaps) <= policy.spec.unread_max):
        return result
    told = [f"{gap.where}: {gap.reason}" if gap.where else gap.reason for gap in gaps]
    unread = tuple(f"unread: {each}" for each in told[:UNREAD_TOLD_MAX])
    if result.state is not GateState.PASSED:
        return replace(result, reasons=(*result.reasons, *unread))
    sentence = f"{several(len(gaps), 'part')} of the inputs could not be read, what is there is fine: {told[0]}."
    advice = "Mend the report or leave the file out; or set unread_max in the policy to bear it."
    return replace(result, state=GateState.ERROR, sentence=sentence, reasons=(*unread, *result.reasons), to_pass=advice)


def _judge_sign_off(gate: SignOffGate, collected: Collected) -> GateResult:
    """Different people with the role, for this version and commit."""
    draft, missing = Draft(gate, collected), []
    fitting = [
        s for s in collected.signatures if s.gate == gate.name and (not s.commit or not collected.commit or s.commit == collected.commit)
    ]
    for item in gate.items:
        signers = sorted({s.by for s in fitting if s.item == item.item and item.role.value in s.roles})
        lacking = item.count - len(signers)
        text = f"{item.item}: {', '.join(signers) or 'nobody'} signed, {item.count} with the role {item.role} needed"
        excused = f"signed by {', '.join(signers)}" if lacking <= 0 else ""
        if draft.object(item.item, text, excused=excused):
            missing.append(f"{item.item} ({lacking} × {item.role})")
    draft.figures |= {"items": len(gate.items), "signed": len(gate.items) - len(missing)}
    if missing:
        draft.lack(f"not signed yet: {listed(missing)}", "sign with: productops quality sign-off")
    return draft.result(f"all {several(len(gate.items), 'item')} signed")


def _judge_expression(gate: ExpressionGate, collected: Collected, figures: Mapping[str, float]) -> GateResult:
    draft = Draft(gate, collected)
    series = {each.name: each.values for each in collected.parsed.series} | {name_of(s): s.values for s in collected.parsed.series}
    expression = parse_expression(gate.expression)
    draft.figures |= {name: figures[name] for name in expression.names if name in figures}
    told = ", ".join(f"{name} = {value:g}" for name, value in draft.figures.items())
    try:
        holds = expression.holds(figures, series)
    except UnknownFigureError as error:
        draft.lack(_unknown(error.name), "hand in what it is measured by, or leave it out of the expression")
        return draft.result("")
    except ExpressionError as error:
        draft.break_off(str(error), "change the expression")
        return draft.result("")
    if not holds:
        reason = gate.otherwise or f"{expression.text} does not hold"
        draft.limit("expression", f"{reason} ({told})" if told else reason, f"make it hold: {expression.text}")
    return draft.result(f"{expression.text} holds" + (f" ({told})" if told else ""))


def _unknown(name: str) -> str:
    bare = name.removeprefix("baseline_")
    if bare in MEANINGS:
        of = "the baseline" if name != bare else "this run"
        return f"{of} has no {bare} ({MEANINGS[bare].rstrip('.').lower()})"
    return f"there is no figure {name!r}"
