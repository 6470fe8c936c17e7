"""The form in which others write samples and results down is read and answered as they do."""

from __future__ import annotations

import math
from typing import Any

import pytest

from productops.stats.experiment.vectors import evaluate, evaluate_vector

MEANS = [[{"__type__": "SampleMeanStatistic", "n": 100, "sum": 120.0, "sum_squares": 400.0},
          {"__type__": "SampleMeanStatistic", "n": 110, "sum": 180.0, "sum_squares": 500.0}]]  # fmt: skip
RATES = [[{"__type__": "ProportionStatistic", "n": 1000, "sum": 100}, {"__type__": "ProportionStatistic", "n": 1000, "sum": 130}]]
QUANTILES = [[{"__type__": "QuantileStatistic", "n": n, "n_star": n, "nu": 0.9, "quantile_hat": hat, "quantile_lower": hat - 1,
               "quantile_upper": hat + 1} for n, hat in ((500, 20.0), (600, 24.0))]]  # fmt: skip


def ratio(n: int, m: float, d: float, products: float) -> dict[str, Any]:
    part = {"__type__": "SampleMeanStatistic", "n": n}
    return {"__type__": "RatioStatistic", "n": n, "m_statistic": part | {"sum": m, "sum_squares": m * m / n + 50},
            "d_statistic": part | {"sum": d, "sum_squares": d * d / n + 30}, "m_d_sum_of_products": products}  # fmt: skip


def test_an_absolute_difference_has_the_numbers_that_a_hand_can_check() -> None:
    found = evaluate("TwoSidedTTest", RATES, {"difference_type": "absolute", "alpha": 0.05})
    error = math.sqrt(0.1 * 0.9 / 1000 + 0.13 * 0.87 / 1000)
    assert found["expected"] == pytest.approx(0.03)
    assert found["uplift"] == {"dist": "normal", "mean": pytest.approx(0.03), "stddev": pytest.approx(error)}
    assert found["ci"][0] == pytest.approx(0.03 - 1.961 * error, abs=1e-4)
    assert found["errorMessage"] is None


def test_a_scaled_difference_is_people_by_day_times_the_absolute_one() -> None:
    config = {"difference_type": "scaled", "alpha": 0.05, "total_users": 10_000, "phase_length_days": 4, "traffic_percentage": 0.5}
    scaled = evaluate("TwoSidedTTest", MEANS, config)
    absolute = evaluate("TwoSidedTTest", MEANS, config | {"difference_type": "absolute"})
    for one, two in zip(scaled["ci"], absolute["ci"], strict=True):
        assert one == pytest.approx(two * 5000)
    assert scaled["pValue"] == absolute["pValue"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"total_users": None}, "NO_UNITS_IN_VARIATION"),
        ({"phase_length_days": 0}, "ZERO_SCALED_VARIATION_WEIGHT"),
        ({"traffic_percentage": 0}, "ZERO_SCALED_VARIATION_WEIGHT"),
    ],
)
@pytest.mark.parametrize("name", ["TwoSidedTTest", "EffectBayesianABTest"])
def test_an_impact_that_cannot_be_scaled_says_why(name: str, changes: dict[str, Any], message: str) -> None:
    config = {"difference_type": "scaled", "total_users": 100, "phase_length_days": 1, "traffic_percentage": 1}
    found = evaluate(name, MEANS, config | changes)
    assert (found["errorMessage"], found["expected"], found["ci"]) == (message, 0.0, [0.0, 0.0])


def test_ratios_and_quantiles_are_not_scaled() -> None:
    config = {"difference_type": "scaled", "total_users": 100}
    pairs = [[ratio(100, 500, 200, 1020), ratio(100, 600, 210, 1300)]]
    assert "must be of type" in evaluate("TwoSidedTTest", pairs, config)["errorMessage"]
    assert "must be of type" in evaluate("EffectBayesianABTest", QUANTILES, config)["errorMessage"]


def test_a_test_value_moves_the_p_value_and_not_the_interval() -> None:
    base = evaluate("TwoSidedTTest", RATES, {"difference_type": "absolute"})
    moved = evaluate("TwoSidedTTest", RATES, {"difference_type": "absolute", "test_value": 0.03})
    assert moved["ci"] == base["ci"]
    assert moved["pValue"] == pytest.approx(1.0)


def test_sequential_tests_take_their_tuning_or_a_rho() -> None:
    by_tuning = evaluate("SequentialTwoSidedTTest", RATES, {"sequential_tuning_parameter": 1000})
    by_rho = evaluate("SequentialTwoSidedTTest", RATES, {"rho": 0.08908509752892212})
    assert by_tuning["ci"] == pytest.approx(by_rho["ci"])
    assert evaluate("SequentialOneSidedTreatmentGreaterTTest", RATES, {})["ci"][1] == math.inf
    assert evaluate("SequentialOneSidedTreatmentLesserTTest", RATES, {"alpha": 0.5})["pValueErrorMessage"].startswith("ALPHA_GREATER")


def test_priors_are_on_the_lift_and_inverse_turns_chances_round() -> None:
    prior = {"mean": 0.0, "variance": 0.01, "proper": True}
    free = evaluate("EffectBayesianABTest", RATES, {"difference_type": "relative"})
    held = evaluate("EffectBayesianABTest", RATES, {"difference_type": "relative", "prior_effect": prior})
    absolute = evaluate("EffectBayesianABTest", RATES, {"difference_type": "absolute", "prior_effect": prior, "prior_type": "relative"})
    assert held["expected"] < free["expected"]
    # A prior on the lift draws the difference in by nearly as much; the lift's error has the baseline's in it.
    assert absolute["expected"] / 0.1 == pytest.approx(held["expected"], rel=0.25)
    inverse = evaluate("EffectBayesianABTest", RATES, {"inverse": True})
    assert inverse["chanceToWin"] == pytest.approx(1 - free["chanceToWin"])
    assert inverse["risk"] == free["risk"][::-1]


def test_strata_are_weighted_where_they_are_asked_for() -> None:
    pairs = [
        *RATES,
        [{"__type__": "ProportionStatistic", "n": 500, "sum": 250}, {"__type__": "ProportionStatistic", "n": 1500, "sum": 800}],
    ]
    mixed = evaluate("TwoSidedTTest", pairs, {"difference_type": "absolute"})
    apart = evaluate("TwoSidedTTest", pairs, {"difference_type": "absolute", "post_stratify": True})
    assert mixed["expected"] > 2 * apart["expected"]


def test_clusters_and_unknown_names_are_read_or_refused() -> None:
    clusters = {"main_sum": 450.0, "main_sum_squares": 5000.0, "denominator_sum": 500.0, "denominator_sum_squares": 6000.0,
                "main_denominator_sum_product": 5400.0, "n_clusters": 60}  # fmt: skip
    pairs = [[each | clusters | {"__type__": "QuantileClusteredStatistic"} for each in QUANTILES[0]]]
    assert evaluate("TwoSidedTTest", pairs, {})["errorMessage"] is None
    assert evaluate("TwoSidedTTest", pairs, {})["uplift"]["stddev"] != evaluate("TwoSidedTTest", QUANTILES, {})["uplift"]["stddev"]
    with pytest.raises(ValueError, match="no test 'Guess'"):
        evaluate("Guess", RATES, {})
    with pytest.raises(ValueError, match="no statistic 'Odd'"):
        evaluate("TwoSidedTTest", [[{"__type__": "Odd"}, {}]], {})


def test_a_recorded_call_is_answered_by_its_class() -> None:
    own = {"stats": RATES, "config": {"difference_type": "relative"}, "sequential_tuning_parameter": 1000, "rho": None}
    found = evaluate_vector({"class": "SequentialTwoSidedTTest", "method": "compute_result", "self": own})
    assert found == evaluate("SequentialTwoSidedTTest", RATES, {"sequential_tuning_parameter": 1000})


def test_a_bandit_answers_with_shares_or_says_that_it_is_too_early() -> None:
    arms = [each for pair in RATES for each in pair]
    found = evaluate("BanditsSimple", arms, {"bandit_weights_seed": 3})
    assert found["enough_units"]
    assert sum(found["bandit_weights"]) == pytest.approx(1.0)
    few = evaluate("BanditsSimple", [each | {"n": 60, "sum": 6} for each in arms], {"bandit_weights_seed": 3})
    assert few["bandit_weights"] is None
