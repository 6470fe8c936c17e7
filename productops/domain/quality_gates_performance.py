"""The performance gate: no series got worse than tolerated, none is past a fixed limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from productops.domain.catalog_quality import PerformanceGate, SeriesLimit
from productops.domain.quality import Series
from productops.domain.quality_expression import quantile_of
from productops.domain.quality_gates_collected import Collected, fits, listed, several
from productops.domain.quality_gates_draft import Draft
from productops.domain.quality_performance import Tolerance, judge_performance
from productops.domain.quality_verdict import GateResult, GateState

QUANTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
HINT = "hand in the results of a load test or benchmark, e.g. --performance k6.json"


def name_of(series: Series) -> str:
    """The name in histories: labels belong to it, ``latency{route=/cart}``."""
    labels = ",".join(f"{key}={value}" for key, value in sorted(series.labels))
    return f"{series.name}{{{labels}}}"[:255] if labels else series.name[:255]


def series_of(gate: PerformanceGate, collected: Collected) -> list[Series]:
    """Those it is about."""
    found = [s for s in collected.parsed.series if fits(gate.series, s.name, name_of(s)) and not fits(gate.exclude, s.name, name_of(s))]
    return [each for each in found if each.values]


def judge_series(gate: PerformanceGate, collected: Collected) -> GateResult:
    """Every series that got worse, that could not be compared, or that is past a limit is an item; its key is its name."""
    draft, found = Draft(gate, collected), series_of(gate, collected)
    draft.figures["series"] = len(found)
    if len(found) < gate.series_min:
        beside = f"; {several(len(collected.parsed.series), 'series', 'series')} came in" if collected.parsed.series else ""
        draft.lack(f"{several(len(found), 'series', 'series')} of this gate, {gate.series_min} needed{beside}", HINT)
    for limit in gate.limits:
        _limit(draft, limit, found)
    compared = _compared(draft, gate, found) if gate.compare else 0
    draft.figures["compared"] = compared
    words = f"{compared} compared with earlier runs, none got worse than tolerated" if gate.compare else "all within their limits"
    return draft.result(f"{several(len(found), 'series', 'series')}, {words}")


def _limit(draft: Draft, limit: SeriesLimit, found: Sequence[Series]) -> None:
    fitting = [each for each in found if fits((limit.series,), each.name, name_of(each))]
    if not fitting:
        draft.lack(f"no series fits {limit.series!r}, for which a limit is set", HINT)
    for each in fitting:
        value = quantile_of(sorted(each.values), QUANTILES[limit.quantile])
        over = limit.at_most is not None and value > limit.at_most
        under = limit.at_least is not None and value < limit.at_least
        if over or under:
            borne = f"at most {limit.at_most:g}" if over else f"at least {limit.at_least:g}"
            told = f"{name_of(each)}: {limit.quantile} is {value:.4g} {each.unit}, {borne} is asked for"
            draft.limit(name_of(each), told, "find what made it slower, or change the limit")


def _compared(draft: Draft, gate: PerformanceGate, found: Sequence[Series]) -> int:
    """How many could be compared."""
    young: list[str] = []
    compared = 0
    for each in found:
        history = draft.collected.history.get(name_of(each), ())
        if len(history) < gate.runs_min:
            young.append(f"{name_of(each)} ({len(history)})")
            continue
        compared += 1
        _one(draft, gate, each, history)
    if young:
        told = f"{several(len(young), 'series', 'series')} with fewer than {gate.runs_min} earlier runs: {listed(young)}"
        if gate.without_history == "pass":
            draft.notes.append(told)
        else:
            draft.lack(told, "the comparison begins by itself once enough runs of the main branch were handed in")
    return compared


def _one(draft: Draft, gate: PerformanceGate, series: Series, history: Sequence[Sequence[float]]) -> None:
    judged = judge_performance(history, series.values, tolerance_of(gate, series))
    name = name_of(series)
    draft.figures |= {f"{name} p{q.quantile * 100:g} worse_pct": round(100 * q.worse, 2) for q in judged.quantiles}
    draft.notes += [f"{name}: {note}" for note in judged.notes]
    if judged.state is GateState.PASSED:
        return
    told = f"{name}: {judged.sentence}"
    if not draft.object(name, told):
        return
    if judged.state is GateState.FAILED:
        draft.fail(told, "find what made it slower, or accept the new level with a waiver; later runs are compared with it then")
    else:
        draft.lack(told, "run it again, longer or on a quieter machine")


def tolerance_of(gate: PerformanceGate, series: Series) -> Tolerance:
    """What is borne of this series."""
    higher = gate.better == "higher" or (gate.better == "as-told" and bool(series.higher_is_better))
    return Tolerance(
        worse={QUANTILES[name]: pct / 100 for name, pct in gate.worse_pct.items()}, higher_is_better=higher, runs_min=gate.runs_min,
        detectable_max=gate.detectable_max_pct / 100 if gate.detectable_max_pct is not None else None,
    )  # fmt: skip
