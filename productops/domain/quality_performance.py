"""Whether a candidate is slower than the runs before it, by how much, and what so noisy a runner could have shown at all.

A run is the values one benchmark or load test wrote; runs are in order of time. What is compared is a quantile of the candidate's run with
the same quantile of the runs before it since the level last moved (``stats/comparison.py``, ``stats/change_points.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from productops.domain.quality_verdict import GateState
from productops.stats.change_points import LevelStep, find_steps
from productops.stats.comparison import CONFIDENCE, Shift, compare_runs

TOLERANCES: Mapping[float, float] = MappingProxyType({0.5: 0.05, 0.9: 0.10, 0.99: 0.20})
RUNS_MIN = 5
BASELINE_RUNS_MAX = 60
# A quantile beyond the second largest value is that value's noise; p50 of one value is the value.
_BEYOND_MIN = 1.0
_RECENT = 30


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse is accepted: ``worse`` by quantile, 0.05 is 5 %. ``runs_min`` earlier runs are needed to say anything.

    ``detectable_max``: a comparison that could only have shown a larger change than that does not pass; None: it passes and says so.
    ``higher_is_better`` for throughput. ``confidence`` (0, 1) that nothing is called a regression which is none, over all quantiles
    of one series together.
    """

    worse: Mapping[float, float] = field(default_factory=lambda: dict(TOLERANCES))
    higher_is_better: bool = False
    runs_min: int = RUNS_MIN
    detectable_max: float | None = None
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        """Raises: ValueError for a quantile or confidence outside (0, 1), or a tolerance below 0."""
        if not self.worse or any(not 0 < quantile < 1 or limit < 0 for quantile, limit in self.worse.items()):
            raise ValueError("a tolerance names at least one quantile between 0 and 1, and by how much it may be worse (0 or more)")
        if not 0 < self.confidence < 1 or self.runs_min < 1:
            raise ValueError("the confidence is between 0 and 1, and at least one earlier run is needed")


@dataclass(frozen=True, slots=True)
class QuantileJudgement:
    """One quantile. ``worse`` is the move in the bad direction, 0.1 is 10 % worse, surely between ``low`` and ``high``."""

    quantile: float
    state: GateState
    worse: float
    low: float
    high: float
    limit: float
    shift: Shift
    sentence: str


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """The level moved at run ``index`` by ``change``, surely between ``low`` and ``high``; smaller ones than ``detectable`` can hide.

    ``worse`` says whether the move was in the bad direction; ``evidence`` is in multiples of what is needed.
    """

    index: int
    before: float
    after: float
    change: float
    low: float
    high: float
    detectable: float
    evidence: float
    worse: bool


@dataclass(frozen=True, slots=True)
class PerformanceJudgement:
    """The answer for one series. ``runs`` is how many earlier runs were compared with, those since the last of ``steps``.

    ``detectable`` is the smallest true change of the median that would have been seen with a power of 80 %; None when nothing could be
    compared. ``notes`` are what must be known to read the answer.
    """

    state: GateState
    sentence: str
    quantiles: tuple[QuantileJudgement, ...] = ()
    steps: tuple[HistoryStep, ...] = ()
    runs: int = 0
    detectable: float | None = None
    notes: tuple[str, ...] = ()


def judge_performance(
    history: Sequence[Sequence[float]],
    candidate: Sequence[float],
    tolerance: Tolerance | None = None,
    *,
    reference: Sequence[Sequence[float]] | None = None,
    candidate_reference: Sequence[float] | None = None,
) -> PerformanceJudgement:
    """Judge ``candidate``, the values of one run, by the runs of ``history``, oldest first, each with its values, all of one runner.

    ``reference`` and ``candidate_reference`` are the same for a series that no change of ours touches (a canary): what moves it moves
    the machine, and is divided out. Failed: worse than tolerated, and surely worse than before. Inconclusive: too few runs, values that
    cannot be compared as ratios, or worse than tolerated with a noise that would explain it. Never raises for strange values.
    """
    limits = tolerance or Tolerance()
    runs = [list(run) for run in history if len(run)]
    if not len(candidate) or not _comparable([*runs, list(candidate)]):
        return _unable("The values cannot be compared as ratios: each run needs values, all finite and above 0.")
    values, notes = list(candidate), []
    if reference is not None and candidate_reference:
        normal = normalised([*history, candidate], [*reference, candidate_reference])
        if normal is None:
            notes.append("the reference series does not fit the history, so the machine's own drift is not taken out")
        else:
            runs, values = [run for run in normal[:-1] if run], normal[-1]
            notes.append("the machine's own drift is taken out by the reference series")
    if len(runs) < limits.runs_min:
        return _unable(f"{len(runs)} earlier {_plural('run', len(runs))} of this series on this runner; {limits.runs_min} are needed.")
    steps = steps_of(runs, higher_is_better=limits.higher_is_better)
    baseline = _baseline(runs, steps, limits.runs_min)
    notes += _about_steps(steps, len(runs))
    usable = [quantile for quantile in sorted(limits.worse) if _enough(quantile, [*baseline, values])]
    notes += [f"p{_percent(q)} needs more values in each run" for q in sorted(limits.worse) if q not in usable]
    judged = tuple(_quantile(baseline, values, quantile, limits, len(usable)) for quantile in usable)
    return _together(judged, steps, len(baseline), notes)


def normalised(values: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> list[list[float]] | None:
    """``values`` run by run divided by how far the reference run's median is from its usual; None when runs do not pair up."""
    if len(values) != len(reference) or not reference or not all(len(run) for run in reference) or not _comparable(reference):
        return None
    levels = np.array([float(np.median(run)) for run in reference])
    factors = levels / float(np.median(levels))
    return [[float(value) / float(factor) for value in run] for run, factor in zip(values, factors, strict=True)]


def steps_of(history: Sequence[Sequence[float]], *, higher_is_better: bool = False) -> tuple[HistoryStep, ...]:
    """Where the level of the runs' medians moved, each with its uncertainty.

    Runs without values do not count. Raises: ValueError for values that are not finite.
    """
    runs = [run for run in history if len(run)]
    medians = [float(np.median(run)) for run in runs]
    found = find_steps(medians)
    borders = [0, *(step.index for step in found), len(runs)]
    pieces = [medians[begin:end] for begin, end in pairwise(borders)]
    return tuple(_described(step, pieces[i], pieces[i + 1], higher_is_better=higher_is_better) for i, step in enumerate(found))


def smallest_seen(history: Sequence[Sequence[float]], steps: Sequence[HistoryStep]) -> float | None:
    """The smallest change of one more run's median that the runs since the last step would show; None with too few of them."""
    runs = [list(run) for run in history if len(run)]
    baseline = _baseline(runs, tuple(steps), RUNS_MIN) if len(runs) >= RUNS_MIN else []
    if not baseline or not _comparable(baseline):
        return None
    return compare_runs(baseline, [[float(np.median(baseline[-1]))]]).detectable


def _described(step: LevelStep, before: list[float], after: list[float], *, higher_is_better: bool) -> HistoryStep:
    if not _comparable([before, after]):
        nothing = float("nan")
        worse = (step.after < step.before) == higher_is_better
        return HistoryStep(step.index, step.before, step.after, step.change, nothing, nothing, nothing, step.evidence, worse)
    shift = compare_runs([[value] for value in before], [[value] for value in after])
    worse = (shift.change < 0) == higher_is_better
    return HistoryStep(
        step.index, step.before, step.after, shift.change, shift.low, shift.high, shift.detectable, step.evidence, worse,
    )  # fmt: skip


def _baseline(runs: list[list[float]], steps: tuple[HistoryStep, ...], runs_min: int) -> list[list[float]]:
    """The newest runs since the last step: what was before it is another level, and would count as noise."""
    since = steps[-1].index if steps else 0
    return runs[min(since, len(runs) - runs_min) :][-BASELINE_RUNS_MAX:]


def _about_steps(steps: tuple[HistoryStep, ...], runs: int) -> list[str]:
    """What the newest step in the bad direction means for the reader: it is part of the baseline now."""
    recent = [step for step in steps if step.worse and runs - step.index <= _RECENT]
    if not recent:
        return []
    step = recent[-1]
    ago = runs - step.index
    return [
        f"the level moved by {step.change:+.1%} {ago} runs ago already ({step.before:.4g} → {step.after:.4g}); compared with the new one"
    ]


def _quantile(baseline: list[list[float]], candidate: list[float], quantile: float, limits: Tolerance, tried: int) -> QuantileJudgement:
    confidence = 1 - (1 - limits.confidence) / tried  # Bonferroni: one false alarm in all quantiles together
    shift = compare_runs(baseline, [candidate], quantile=quantile, confidence=confidence)
    bounds = (shift.low, shift.high)
    worse, low, high = (-shift.change, -bounds[1], -bounds[0]) if limits.higher_is_better else (shift.change, *bounds)
    limit = limits.worse[quantile]
    state = GateState.PASSED
    if worse > limit:
        state = GateState.FAILED if low > 0 else GateState.INCONCLUSIVE
    elif limits.detectable_max is not None and shift.detectable > limits.detectable_max:
        state = GateState.INCONCLUSIVE
    sentence = _quantile_sentence(state, quantile, worse, low, high, limit, shift, len(baseline))
    return QuantileJudgement(quantile, state, worse, low, high, limit, shift, sentence)


def _quantile_sentence(
    state: GateState, quantile: float, worse: float, low: float, high: float, limit: float, shift: Shift, runs: int
) -> str:
    course = f"{abs(worse):.1%} {'worse' if worse > 0 else 'better'}"
    told = f"p{_percent(quantile)} {shift.before:.4g} → {shift.after:.4g}: {course} (sure: {low:+.1%} to {high:+.1%}), {limit:.0%} allowed"
    seen = f"over {runs} runs; {shift.detectable:.1%} is the smallest change they would show"
    if state is GateState.INCONCLUSIVE and worse > limit:
        return f"{told} {seen}; the noise between runs explains it: run it again."
    return f"{told} {seen}."


def _together(judged: tuple[QuantileJudgement, ...], steps: tuple[HistoryStep, ...], runs: int, notes: list[str]) -> PerformanceJudgement:
    if not judged:
        return replace(_unable("No quantile could be compared: each run has too few values."), steps=steps, runs=runs, notes=tuple(notes))
    order = (GateState.FAILED, GateState.INCONCLUSIVE, GateState.PASSED)
    state = next(each for each in order if any(one.state is each for one in judged))
    worst = max((one for one in judged if one.state is state), key=lambda one: one.worse - one.limit)
    detectable = min(judged, key=lambda one: abs(one.quantile - 0.5)).shift.detectable
    return PerformanceJudgement(state, worst.sentence, judged, steps, runs, detectable, tuple(notes))


def _unable(sentence: str) -> PerformanceJudgement:
    return PerformanceJudgement(GateState.INCONCLUSIVE, sentence)


def _comparable(runs: Sequence[Sequence[float]]) -> bool:
    return all(bool(np.isfinite(row).all()) and bool((row > 0).all()) for row in (np.asarray(run, dtype=np.float64) for run in runs))


def _enough(quantile: float, runs: list[list[float]]) -> bool:
    """Whether every run has a value beyond the quantile on either side; the median is there with one value."""
    rare = min(quantile, 1 - quantile)
    return rare == 0.5 or all(len(run) * rare >= _BEYOND_MIN - 1e-9 for run in runs)


def _percent(quantile: float) -> str:
    return f"{quantile * 100:.10g}"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
