"""Guardrails: what is proved, what is borne, and how rarely a good variant is blamed."""

from __future__ import annotations

import numpy as np
import pytest

from productops.domain.analytics_experiment import Arm, Standing
from productops.domain.analytics_experiment_guard import guarded
from productops.domain.catalog_experiment import ExperimentSpec, GuardrailSpec
from productops.stats.experiment.summing import proportion_of

SPEC = ExperimentSpec.model_validate(
    {
        "hypothesis": "h", "flag": "f", "variants": ["on"], "owner": "o",
        "metrics": [{"name": "m", "kind": "conversion", "event": "e"}],
        "guardrails": [{"name": "errors", "kind": "conversion", "event": "failed", "better": "lower"}],
    }
)  # fmt: skip


def judged(control: tuple[int, int], other: tuple[int, int], *, tolerance: float = 0.0, better: str = "lower") -> bool:
    rail = GuardrailSpec.model_validate(
        {"name": "errors", "kind": "conversion", "event": "failed", "better": better, "tolerance": tolerance}
    )
    arms = []
    for variant, (people, did) in (("off", control), ("on", other)):
        sample = proportion_of(np.arange(people) < did)
        arms.append((Arm(variant, people, sample.mean, float(did), None, did), sample))
    found = guarded(rail, SPEC, arms)
    assert (found.contrasts[0].standing is Standing.WORSE) is (found.holds is False)
    return bool(found.holds)


def test_harm_that_is_proved_breaks_it_and_harm_that_is_borne_does_not() -> None:
    assert not judged((4000, 200), (4000, 300))
    assert judged((4000, 200), (4000, 300), tolerance=1.0)
    assert judged((4000, 200), (4000, 210))


def test_less_of_something_good_is_harm_too() -> None:
    assert not judged((4000, 400), (4000, 250), better="higher")
    assert judged((4000, 250), (4000, 400), better="higher")


def test_a_control_without_a_case_is_compared_by_people() -> None:
    assert not judged((1000, 0), (1000, 25))
    assert judged((1000, 0), (1000, 3))
    assert judged((1000, 25), (1000, 0))


@pytest.mark.parametrize("rate", [0.0005, 0.005, 0.05])
def test_a_good_variant_is_rarely_blamed_however_often_one_looks(rate: float) -> None:
    blamed = 0
    for seed in range(120):
        random = np.random.default_rng(seed)
        one, two = np.cumsum(random.binomial(300, rate, 25)), np.cumsum(random.binomial(300, rate, 25))
        blamed += any(not judged((300 * day, int(a)), (300 * day, int(b))) for day, (a, b) in enumerate(zip(one, two, strict=True), 1))
    assert blamed <= 8
