"""What counts as noise between the arms, and what does not."""

import numpy as np
import pytest

from productops.stats.paired_dispersion import PairedDispersion


def inflation(seed: int, *, shared: float = 0.0, alone: float = 0.0, odds: float = 1.0, seconds: int = 120) -> float | None:
    """Events of 2 % among 100 and 50 requests a second; ``shared`` and ``alone`` are the spread of shocks to both, or to one arm."""
    rng, spread = np.random.default_rng(seed), PairedDispersion()
    for _ in range(seconds):
        both = rng.lognormal(0.0, shared)
        rates = [min(0.9, 0.02 * both * rng.lognormal(0.0, alone)) for _ in range(2)]
        spread.add(rng.binomial(100, rates[0]), 100, rng.binomial(50, min(0.9, rates[1] * odds)), 50)
    return spread.inflation


@pytest.mark.parametrize("odds", [1.0, 2.0, 6.0])
def test_shocks_that_hit_both_arms_are_no_noise_whatever_the_candidate_is_like(odds):
    found = [inflation(seed, shared=1.0, odds=odds) for seed in range(30)]
    assert np.median(found) == 1.0
    assert np.quantile(found, 0.75) < 1.8


def test_shocks_that_hit_one_arm_alone_are_noise():
    assert np.median([inflation(seed, alone=1.0) for seed in range(20)]) > 1.5


def test_independent_requests_are_not_inflated():
    assert sum(inflation(seed) > 1.0 for seed in range(60)) <= 4


def test_nothing_is_said_before_there_is_enough():
    assert inflation(1, seconds=10) is None


def test_a_silent_arm_says_nothing():
    spread = PairedDispersion()
    for _ in range(100):
        spread.add(5, 100, 0, 0)
        spread.add(0, 0, 5, 100)
    assert spread.inflation is None
