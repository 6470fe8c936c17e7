"""Guardrails: is it proved that a variant makes something worse than is borne? Looked at as often as one likes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from productops.domain.analytics_experiment import Arm, Contrast, MetricResult, Standing
from productops.domain.analytics_experiment_contrast import Known, contrast
from productops.domain.catalog_experiment import ExperimentSpec, GuardrailSpec, Method
from productops.stats.experiment.deciding import TUNING, Side, at_every_look
from productops.stats.experiment.effect import Effect, effect_of, seen_enough
from productops.stats.experiment.split import log_e_split

PEOPLE_MIN = 30
"""With fewer people in either variant nothing is proved."""
RARE = 20.0
"""People's worth of belief that both variants do it alike, where too few do it at all for sums to be normal."""


def guarded(rail: GuardrailSpec, spec: ExperimentSpec, arms: Sequence[Known]) -> MetricResult:
    """Whether it holds for each variant. All guardrails of an experiment together are wrong at most in a share alpha of experiments."""
    shared = spec.alpha / (len(spec.guardrails) * len(spec.variants))
    contrasts = tuple(_judged(rail, spec, arms[0], other, shared) for other in arms[1:])
    holds = not any(each.standing is Standing.WORSE for each in contrasts)
    return MetricResult(rail.name, rail.kind, rail.better, tuple(arm for arm, _ in arms), contrasts, rail.tolerance, holds)


def _judged(rail: GuardrailSpec, spec: ExperimentSpec, control: Known, other: Known, alpha: float) -> Contrast:
    always = spec.model_copy(update={"method": Method.SEQUENTIAL, "alpha": 2.0 * alpha})
    seen = replace(contrast(rail, always, control, other), p=None, adjusted_p=None, log_e=None, standing=Standing.UNDECIDED)
    if min(control[0].people, other[0].people) < PEOPLE_MIN:
        return replace(seen, problem=seen.problem or f"fewer than {PEOPLE_MIN} people in a variant")
    pair = (control[1], other[1])
    effect = effect_of(pair, relative=True)
    if effect.problem is None and seen_enough(pair):
        worse = _proved_worse(effect, rail, alpha)
    else:
        worse = _rarely_but_more(control[0], other[0], rail, alpha)
    return replace(seen, standing=Standing.WORSE) if worse else seen


def _proved_worse(effect: Effect, rail: GuardrailSpec, alpha: float) -> bool:
    """Whether the whole interval lies beyond what is borne."""
    if rail.lower_is_better:
        return at_every_look(effect, alpha=alpha, side=Side.GREATER, tuning=TUNING).low > rail.tolerance
    return at_every_look(effect, alpha=alpha, side=Side.LESSER, tuning=TUNING).high < -rail.tolerance


def _rarely_but_more(control: Arm, other: Arm, rail: GuardrailSpec, alpha: float) -> bool:
    """A control without a single failure has no spread. People to whom it happened are then counted: under no harm they are split between
    the variants as all people are, and that holds at every look.
    """
    if control.did is None or other.did is None or control.did + other.did == 0:
        return False
    # What is borne makes the variant's share larger, or smaller, from the start.
    borne = 1.0 + rail.tolerance if rail.lower_is_better else max(1.0 - rail.tolerance, 0.01)
    shares = (float(control.people), other.people * borne)
    more = other.did / sum((control.did, other.did)) > shares[1] / sum(shares)
    evidence = log_e_split((control.did, other.did), shares, concentration=RARE)
    return more is rail.lower_is_better and evidence >= -math.log(alpha)
