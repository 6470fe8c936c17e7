"""What a look means, in one sentence that a product manager can repeat."""

from __future__ import annotations

import math

from productops.domain.analytics_experiment import Arm, Contrast, LookResult, MetricResult, Standing
from productops.domain.catalog_experiment import ExperimentSpec, Method

ODDS = (10_000, 1_000, 500, 200, 100, 50, 20)
SHARES = {"conversion", "retention"}


def look_sentence(look: LookResult, spec: ExperimentSpec) -> str:
    """The sentence of a whole look: what it is about decides."""
    broken = next((rail for rail in look.guardrails if rail.holds is False), None)
    if look.split_broken:
        parts = ", ".join(f"{variant} {people:,}" for variant, people in look.people.items())
        return f"The figures cannot be trusted: people are not split as planned ({parts}), so something loses some of them."
    told = contrast_sentence(look.metrics[0], _leading(look.metrics[0]), spec)
    return f"{told} {guardrail_sentence(broken)}" if broken is not None else told


def contrast_sentence(metric: MetricResult, found: Contrast, spec: ExperimentSpec) -> str:
    """One variant against the control, by one metric."""
    control, arm = metric.arms[0], next(arm for arm in metric.arms if arm.variant == found.variant)
    name = metric.name
    if found.change is None or found.low is None or found.high is None:
        return f"Nothing can be said of {name} yet: {found.problem or 'nobody has been counted'}."
    values = f"from {value(metric, control)} to {value(metric, arm)}"
    interval = f"{_share(spec.alpha)} interval {percent(found.low)} to {percent(found.high)}"
    moved = f"{percent(found.change)}, {interval}"
    if found.standing in {Standing.BETTER, Standing.WORSE}:
        verb = "raised" if found.change > 0.0 else "lowered"
        return f"Variant {found.variant} {verb} {name} {values} ({moved}); {_wrong(found, spec)}."
    if found.standing is Standing.NO_DIFFERENCE:
        return f"Variant {found.variant} changed {name} by next to nothing, {values} ({moved})."
    return f"It is not decided: variant {found.variant} has {name} at {value(metric, arm)} against {value(metric, control)} ({moved})."


def guardrail_sentence(rail: MetricResult) -> str:
    """Which guardrail does not hold, and how badly."""
    bad = next(each for each in rail.contrasts if each.standing is Standing.WORSE)
    arm = next(arm for arm in rail.arms if arm.variant == bad.variant)
    name = rail.name
    change = f" ({percent(bad.change)})" if bad.change is not None else ""
    borne = f"{rail.guardrail * 100:g} %" if rail.guardrail else "nothing"
    seen = f"{value(rail, arm)} with {bad.variant}, {value(rail, rail.arms[0])} without{change}"
    return f"Guardrail {name} does not hold: {seen}; borne is {borne}."


def value(metric: MetricResult, arm: Arm) -> str:
    """A value of one variant, as people write it."""
    if arm.value is None:
        return "nothing"
    return _in_percent(arm.value) if metric.kind in SHARES else number(arm.value)


def percent(share: float) -> str:
    """A relative change with its sign: 0.12 is +12 %."""
    shown = share * 100.0
    digits = 0 if abs(shown) >= 9.95 else 1
    text = f"{abs(shown):,.{digits}f}"
    sign = "" if float(text.replace(",", "")) == 0.0 else ("+" if shown > 0.0 else "−")
    return f"{sign}{text} %"


def number(amount: float) -> str:
    """Three digits that count."""
    if amount == 0.0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(amount))))
    return f"{amount:,.{min(digits, 8)}f}"


def _in_percent(share: float) -> str:
    shown = share * 100.0
    digits = 1 if shown >= 0.95 else 2
    return f"{shown:.{digits}f} %"


def _share(alpha: float) -> str:
    return f"{(1.0 - alpha) * 100:g} %"


def _leading(metric: MetricResult) -> Contrast:
    """The variant to talk about: the best one that is proved, else the one that looks best."""
    sign = 1.0 if metric.better == "higher" else -1.0
    order = {Standing.BETTER: 2, Standing.UNDECIDED: 1, Standing.NO_DIFFERENCE: 1}
    return max(metric.contrasts, key=lambda c: (order.get(c.standing, 0), sign * c.change if c.change is not None else -math.inf))


def _wrong(found: Contrast, spec: ExperimentSpec) -> str:
    if spec.method is Method.BAYESIAN:
        sure = found.chance or 0.0
        return f"the chance that it is better is {_in_percent(sure) if sure < 0.999 else 'above 99.9 %'}"
    p = found.adjusted_p if found.adjusted_p is not None else 1.0
    for odds in ODDS:
        if p <= 1.0 / odds:
            return f"chance of being wrong below 1 in {odds:,}"
    return f"chance of being wrong about 1 in {max(1, round(1.0 / p))}"
