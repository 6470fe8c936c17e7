"""A variant against the control: by the method that was planned, and corrected for the number of questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from productops.domain.analytics_experiment import Arm, Contrast, KnownLook, MetricResult, Standing
from productops.domain.catalog_experiment import Correction, ExperimentSpec, Method, MetricSpec
from productops.stats.experiment.adjusting import AnySample, theta_of, with_theta
from productops.stats.experiment.believing import Prior, belief
from productops.stats.experiment.deciding import TUNING, at_every_look, at_the_end
from productops.stats.experiment.effect import NO_SPREAD, Effect, effect_of, seen_enough
from productops.stats.experiment.rates import Block, log_e_rates
from productops.stats.experiment.samples import Adjusted
from productops.stats.experiment.several import benjamini_hochberg, holm

Known = tuple[Arm, AnySample]
PROBLEMS = {
    "ZERO_NEGATIVE_VARIANCE": "too little was seen to tell chance from change",
    "ZERO_NEGATIVE_BASELINE_VARIATION": "the control is 0, so there is no relative change",
}


def contrast(metric: MetricSpec, spec: ExperimentSpec, control: Known, other: Known, *, earlier: Sequence[KnownLook] = ()) -> Contrast:
    """Not yet corrected; what is to be believed follows when all questions are known."""
    pair = (control[1], other[1])
    effect = effect_of(pair, relative=True)
    absolute = effect_of(pair, relative=False)
    difference = absolute.estimate if absolute.problem is None else None
    if effect.problem is not None or not seen_enough(pair):
        why = PROBLEMS.get(effect.problem or NO_SPREAD, effect.problem or NO_SPREAD)
        return Contrast(other[0].variant, None, None, None, difference, None, None, None, None, None, Standing.UNDECIDED, why)
    log_e = _betting(metric, control[0], other[0], earlier)
    found = _by_method(metric, spec, other[0].variant, effect)
    return replace(found, difference=difference, log_e=log_e, kept=_kept(pair))


def _by_method(metric: MetricSpec, spec: ExperimentSpec, variant: str, effect: Effect) -> Contrast:
    prior = Prior(spec.prior.mean, spec.prior.deviation**2, proper=True)
    believed = belief(effect, prior, alpha=spec.alpha, lower_is_better=metric.lower_is_better)
    if spec.method is Method.BAYESIAN:
        change, low, high, p = believed.mean, believed.low, believed.high, None
    else:
        tuning = float(spec.planned_people) or TUNING
        decided = at_the_end(effect, alpha=spec.alpha) if spec.method is Method.FIXED else at_every_look(
            effect, alpha=spec.alpha, tuning=tuning
        )  # fmt: skip
        change, low, high, p = effect.estimate, decided.low, decided.high, decided.p
    return Contrast(
        variant, change, low, high, None, p, p, believed.chance, believed.loss_variant, None, Standing.UNDECIDED
    )  # fmt: skip


def corrected(metrics: Sequence[MetricResult], spec: ExperimentSpec, *, final: bool) -> list[MetricResult]:
    """The metric that decides is corrected for its variants, the others together for all of them; then where each stands."""
    decides, beside = list(metrics[:1]), list(metrics[1:])
    return [_stood(each, spec, final=final) for part in (decides, beside) for each in _adjusted(part, spec)]


def _adjusted(metrics: list[MetricResult], spec: ExperimentSpec) -> list[MetricResult]:
    asked = [(at, each) for at, metric in enumerate(metrics) for each in metric.contrasts if each.p is not None]
    values = [each.p for _, each in asked if each.p is not None]
    if spec.correction is Correction.NONE or len(values) < 2:
        return metrics
    better = holm(values) if spec.correction is Correction.HOLM else benjamini_hochberg(values)
    found = {(at, each.variant): p for (at, each), p in zip(asked, better, strict=True)}
    return [
        replace(metric, contrasts=tuple(replace(c, adjusted_p=found.get((at, c.variant), c.adjusted_p)) for c in metric.contrasts))
        for at, metric in enumerate(metrics)
    ]


def _stood(metric: MetricResult, spec: ExperimentSpec, *, final: bool) -> MetricResult:
    """A fixed horizon says nothing before its end."""
    least = next(each.minimum_effect for each in spec.metrics if each.name == metric.name)
    if spec.method is Method.FIXED and not final:
        return metric
    return replace(metric, contrasts=tuple(replace(c, standing=_standing(c, metric.better, spec, least)) for c in metric.contrasts))


def _standing(found: Contrast, better: str, spec: ExperimentSpec, least: float) -> Standing:
    if found.change is None or found.low is None or found.high is None:
        return Standing.UNDECIDED
    if spec.method is Method.BAYESIAN:
        chance = found.chance or 0.0
        if chance >= 1.0 - spec.alpha or chance <= spec.alpha:
            return Standing.BETTER if chance >= 1.0 - spec.alpha else Standing.WORSE
    elif found.adjusted_p is not None and found.adjusted_p <= spec.alpha:
        good = (found.change > 0.0) is (better == "higher")
        return Standing.BETTER if good else Standing.WORSE
    if -least <= found.low and found.high <= least:
        return Standing.NO_DIFFERENCE
    return Standing.UNDECIDED


def _kept(pair: tuple[AnySample, AnySample]) -> float | None:
    """Share of the variance that is left after adjusting by the past; None where nothing is adjusted."""
    one, two = with_theta(*pair)
    if not isinstance(one, Adjusted) or not isinstance(two, Adjusted) or not theta_of(one, two):
        return None
    plain = one.post.variance / one.n + two.post.variance / two.n
    return (one.variance / one.n + two.variance / two.n) / plain if plain > 0.0 else None


def _betting(metric: MetricSpec, control: Arm, other: Arm, earlier: Sequence[KnownLook]) -> float | None:
    """Evidence from the counts of all looks of the run; None where a metric is no rate, or counts went back (late events)."""
    if metric.kind not in {"conversion", "retention"}:
        return None
    totals = [_counts(look.result, metric.name, control.variant, other.variant) for look in earlier]
    now = (control.people, round(control.total or 0), other.people, round(other.total or 0))
    known = [each for each in totals if each is not None] + [now]
    blocks, before = [], (0, 0, 0, 0)
    for counts in known:
        step = tuple(new - old for new, old in zip(counts, before, strict=True))
        if min(step) < 0 or step[1] > step[0] or step[3] > step[2]:
            return None
        blocks.append(Block(*step))
        before = counts
    return log_e_rates(blocks)[-1]


def _counts(result: Mapping[str, Any], metric: str, control: str, variant: str) -> tuple[int, int, int, int] | None:
    """(people, done) of the control and of the variant at an earlier look."""
    found = next((each for each in result.get("metrics", ()) if each["name"] == metric), None)
    if found is None:
        return None
    arms = {arm["variant"]: arm for arm in found["arms"]}
    if control not in arms or variant not in arms:
        return None
    one, two = arms[control], arms[variant]
    return int(one["people"]), round(one["total"] or 0), int(two["people"]), round(two["total"] or 0)
