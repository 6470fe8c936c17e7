"""The statistics of experiments against results written by hand, against theory, and against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from productops.stats.experiment.adjusting import added, with_theta
from productops.stats.experiment.bandit import bandit
from productops.stats.experiment.believing import Prior, belief
from productops.stats.experiment.deciding import ALPHA_TOO_LARGE, Side, at_every_look, at_the_end, log_e_value, rho_of
from productops.stats.experiment.effect import NO_BASELINE, NO_SPREAD, effect_of
from productops.stats.experiment.power import Plan, detectable, people_needed, power_of
from productops.stats.experiment.quantile import clustered_quantile_of, quantile_of
from productops.stats.experiment.rates import Block, log_e_rates
from productops.stats.experiment.samples import Adjusted, Mean, Proportion
from productops.stats.experiment.segments import heterogeneity
from productops.stats.experiment.several import benjamini_hochberg, holm
from productops.stats.experiment.split import anytime, chi_square
from productops.stats.experiment.strata import stratified_effect
from productops.stats.experiment.summing import adjusted_of, adjusted_ratio_of, cap_of, capped, mean_of, proportion_of, ratio_of

RANDOM = np.random.default_rng(7)


def test_a_fixed_horizon_is_welchs_t_test() -> None:
    one, two = RANDOM.normal(10, 2, 400), RANDOM.normal(10.5, 3, 300)
    found = at_the_end(effect_of((mean_of(one), mean_of(two)), relative=False), alpha=0.05)
    expected = stats.ttest_ind(two, one, equal_var=False)
    interval = expected.confidence_interval()
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@pytest.mark.parametrize(("side", "alternative"), [(Side.GREATER, "greater"), (Side.LESSER, "less")])
def test_one_sided_tests_ask_one_question_only(side: Side, alternative: str) -> None:
    one, two = RANDOM.normal(10, 2, 200), RANDOM.normal(10.3, 2, 200)
    found = at_the_end(effect_of((mean_of(one), mean_of(two)), relative=False), alpha=0.05, side=side)
    expected = stats.ttest_ind(two, one, equal_var=False, alternative=alternative)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert math.isinf(found.low if side is Side.LESSER else found.high)


def test_a_lift_has_the_error_that_simulation_shows() -> None:
    lifts = []
    for _ in range(2000):
        one, two = RANDOM.binomial(2000, 0.1), RANDOM.binomial(2000, 0.12)
        lifts.append(effect_of((Proportion(2000, one), Proportion(2000, two)), relative=True))
    assert np.std([each.estimate for each in lifts]) == pytest.approx(np.mean([each.error for each in lifts]), rel=0.06)


def test_a_ratio_has_the_error_that_simulation_shows() -> None:
    values, errors = [], []
    for _ in range(600):
        orders = RANDOM.poisson(3, 500) + 1
        revenue = orders * RANDOM.normal(20, 5, 500)
        sample = ratio_of(revenue, orders)
        values.append(sample.mean)
        errors.append(math.sqrt(sample.variance / sample.n))
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.1)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_past_takes_as_much_variance_away_as_theory_says(correlation: float) -> None:
    before = RANDOM.normal(0, 1, 40_000)
    after = correlation * before + math.sqrt(1 - correlation**2) * RANDOM.normal(0, 1, 40_000) + 5
    half = 20_000
    pair = (adjusted_of(after[:half], before[:half]), adjusted_of(after[half:], before[half:]))
    one, _ = with_theta(*pair)
    kept = one.variance / pair[0].post.variance
    assert kept == pytest.approx(1 - correlation**2, abs=0.02)
    wide, narrow = effect_of((pair[0].post, pair[1].post), relative=False), effect_of(pair, relative=False)
    assert narrow.error == pytest.approx(wide.error * math.sqrt(1 - correlation**2), rel=0.03)


def test_the_past_narrows_ratios_and_lifts_too() -> None:
    people = 20_000
    habit = RANDOM.gamma(4, 1, people)
    columns = [RANDOM.poisson(habit * 5), RANDOM.poisson(habit) + 1, RANDOM.poisson(habit * 5), RANDOM.poisson(habit) + 1]
    half = people // 2
    pair = (adjusted_ratio_of(*(c[:half] for c in columns)), adjusted_ratio_of(*(c[half:] for c in columns)))
    plain = (pair[0].plain, pair[1].plain)
    for relative in (False, True):
        assert effect_of(pair, relative=relative).error < effect_of(plain, relative=relative).error


def test_a_past_that_does_not_vary_adjusts_nothing() -> None:
    pair = (adjusted_of([1.0, 2, 3, 4], [0.0] * 4), adjusted_of([2.0, 3, 4, 5], [0.0] * 4))
    assert effect_of(pair, relative=False) == effect_of((pair[0].post, pair[1].post), relative=False)


def test_nothing_is_said_without_spread_or_baseline() -> None:
    assert effect_of((Proportion(100, 0), Proportion(100, 5)), relative=True).problem == NO_SPREAD
    assert effect_of((Mean(100, 0.0, 10.0), Mean(100, 5.0, 10.0)), relative=False).problem == NO_BASELINE
    assert effect_of((Mean(0, 0.0, 0.0), Mean(0, 0.0, 0.0)), relative=True).problem == NO_SPREAD


def test_strata_take_out_what_chance_put_into_one_variant() -> None:
    def stratum(rate: float, one: int, two: int, lift: float) -> tuple[Proportion, Proportion]:
        return Proportion(one, round(one * rate)), Proportion(two, round(two * (rate + lift)))

    pairs = [stratum(0.1, 1000, 2000, 0.02), stratum(0.5, 2000, 1000, 0.02)]
    mixed = effect_of((added([one for one, _ in pairs]), added([two for _, two in pairs])), relative=False)
    apart = stratified_effect(pairs, relative=False)
    assert mixed.estimate < 0
    assert apart.estimate == pytest.approx(0.02, abs=1e-9)
    assert apart.stratified


def test_a_stratum_that_cannot_stand_alone_joins_the_largest() -> None:
    pairs = [(Proportion(500, 50), Proportion(500, 60)), (Proportion(3, 0), Proportion(2, 2)), (Proportion(300, 30), Proportion(300, 30))]
    found = stratified_effect(pairs, relative=False)
    assert found.n == 1605
    assert found.stratified


def test_an_interval_that_holds_at_every_look_is_narrowest_near_its_tuning() -> None:
    def width(people: int, tuning: float) -> float:
        effect = effect_of((Proportion(people // 2, people // 20), Proportion(people // 2, people // 20)), relative=False)
        found = at_every_look(effect, alpha=0.05, tuning=tuning)
        return found.high - found.low

    assert min((500.0, 5000.0, 50_000.0), key=lambda tuning: width(5000, tuning)) == 5000.0
    fixed = at_the_end(effect_of((Proportion(2500, 250), Proportion(2500, 250)), relative=False), alpha=0.05)
    assert width(5000, 5000.0) > fixed.high - fixed.low


def test_the_evidence_reaches_one_over_alpha_where_the_interval_leaves_the_null_out() -> None:
    effect = effect_of((Proportion(3000, 300), Proportion(3000, 360)), relative=False)
    rho = rho_of(0.05, 5000.0)
    found = at_every_look(effect, alpha=0.05)
    assert log_e_value(effect, null=found.low, rho=rho) == pytest.approx(-math.log(0.05), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.0005, 0.49), st.sampled_from([Side.GREATER, Side.LESSER]))
def test_a_one_sided_p_value_agrees_with_its_interval(alpha: float, side: Side) -> None:
    effect = effect_of((Proportion(3000, 300), Proportion(3000, 330)), relative=False)
    found = at_every_look(effect, alpha=alpha, side=side, rho=0.03)
    assert found.p is not None
    clear = found.low > 0 if side is Side.GREATER else found.high < 0
    assert clear == (found.p < alpha) or abs(found.p - alpha) < 1e-3


def test_a_one_sided_question_at_even_odds_has_no_answer() -> None:
    effect = effect_of((Proportion(3000, 300), Proportion(3000, 330)), relative=False)
    assert at_every_look(effect, alpha=0.5, side=Side.GREATER).p_problem == ALPHA_TOO_LARGE


def test_a_belief_without_a_prior_is_the_data_and_a_strong_prior_draws_it_in() -> None:
    effect = effect_of((Proportion(1000, 100), Proportion(1000, 130)), relative=True)
    free = belief(effect, Prior(), alpha=0.05)
    held = belief(effect, Prior(0.0, 0.01, proper=True), alpha=0.05)
    assert free.mean == effect.estimate
    assert 0 < held.mean < free.mean
    assert held.deviation < free.deviation
    drawn = np.random.default_rng(3).normal(free.mean, free.deviation, 400_000)
    assert free.chance == pytest.approx(float((drawn > 0).mean()), abs=0.003)
    assert free.loss_baseline == pytest.approx(float(np.maximum(drawn, 0).mean()), rel=0.01)
    assert free.loss_variant == pytest.approx(float(np.maximum(-drawn, 0).mean()), rel=0.1, abs=1e-4)


def test_where_lower_is_better_chances_and_losses_change_places() -> None:
    effect = effect_of((Proportion(1000, 100), Proportion(1000, 130)), relative=True)
    up, down = belief(effect, Prior(), alpha=0.05), belief(effect, Prior(), alpha=0.05, lower_is_better=True)
    assert down.chance == pytest.approx(1 - up.chance)
    assert (down.loss_baseline, down.loss_variant) == (up.loss_variant, up.loss_baseline)


def test_a_bandit_gives_the_best_the_most_and_everybody_a_little() -> None:
    arms = [Proportion(1000, 100), Proportion(1000, 140), Proportion(1000, 90)]
    found = bandit(arms, prior=Prior(), seed=5)
    assert found.shares is not None
    assert sum(found.shares) == pytest.approx(1)
    assert max(found.shares) == found.shares[1]
    assert min(found.shares) >= 0.01
    assert found == bandit(arms, prior=Prior(), seed=5)
    assert bandit([Proportion(50, 5), *arms[1:]], prior=Prior(), seed=5).shares is None
    assert bandit(arms, prior=Prior(), seed=5, lower_is_better=True).chances[2] > 0.5


def test_holm_and_benjamini_hochberg_are_as_published() -> None:
    values = [0.01, 0.04, 0.03, 0.005]
    assert holm(values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(values) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert benjamini_hochberg(values) == pytest.approx(list(stats.false_discovery_control(values)))
    assert (holm([]), benjamini_hochberg([])) == ([], [])


def test_a_split_is_judged_by_chi_square_and_at_every_look() -> None:
    assert chi_square([500, 540], [1, 1]) == pytest.approx(stats.chisquare([500, 540]).pvalue)
    assert chi_square([0, 0], [1, 1]) == 1.0
    assert anytime([5000, 5400], [1, 1]) < 0.01
    assert anytime([5000, 5050], [1, 1]) == pytest.approx(1.0)
    assert anytime([6000, 3000], [2, 1]) == pytest.approx(1.0)


def test_looking_at_a_good_split_every_day_finds_nothing() -> None:
    wrong = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        days = np.cumsum(random.binomial(500, 0.5, 60))
        wrong += any(anytime([one, 500 * (day + 1) - one], [1, 1]) < 0.05 for day, one in enumerate(days))
    assert wrong <= 15


def test_power_is_what_simulation_shows_and_planning_turns_it_round() -> None:
    plan = Plan(0.1, 0.09, binary=True)
    people = people_needed(plan, 0.02)
    assert people is not None
    assert power_of(plan, people, 0.02) == pytest.approx(0.8, abs=0.001)
    assert detectable(plan, people) == pytest.approx(0.02, rel=0.001)
    random, half = np.random.default_rng(11), people // 2
    found = [
        at_the_end(effect_of((Proportion(half, a), Proportion(half, b)), relative=False), alpha=0.05).p or 0
        for a, b in zip(random.binomial(half, 0.1, 2000), random.binomial(half, 0.12, 2000), strict=True)
    ]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.8, abs=0.03)


def test_looking_at_any_time_and_uneven_shares_take_more_people() -> None:
    base = people_needed(Plan(0.1, 0.09, binary=True), 0.02)
    at_any_time = people_needed(Plan(0.1, 0.09, binary=True, tuning=5000), 0.02)
    uneven = people_needed(Plan(0.1, 0.09, binary=True, shares=(0.9, 0.1)), 0.02)
    adjusted = people_needed(Plan(0.1, 0.09, binary=True, kept=0.5), 0.02)
    assert base is not None
    assert at_any_time is not None
    assert uneven is not None
    assert adjusted is not None
    assert at_any_time > base
    assert uneven > 2 * base
    assert adjusted == pytest.approx(base / 2, rel=0.01)


def test_quantiles_of_peoples_many_values_are_less_sure_than_those_of_as_many_people() -> None:
    people = np.repeat(np.arange(2000), 10)
    speed = RANDOM.gamma(3, 1, 2000)
    times = speed[people] * RANDOM.gamma(20, 5, len(people))
    clustered, single = clustered_quantile_of(times, people, 0.9), quantile_of(times, 0.9)
    assert clustered.value == single.value
    assert clustered.variance > 3 * single.variance
    estimates = []
    for _ in range(200):
        speed = RANDOM.gamma(3, 1, 2000)
        estimates.append(float(np.quantile(speed[people] * RANDOM.gamma(20, 5, len(people)), 0.9)))
    assert math.sqrt(clustered.variance / clustered.n) == pytest.approx(np.std(estimates), rel=0.25)


def test_too_few_values_for_a_quantile_say_nothing() -> None:
    assert quantile_of(RANDOM.normal(size=50), 0.99).empty
    assert not quantile_of(RANDOM.normal(size=5000), 0.99).empty


def test_caps_keep_wild_values_from_deciding() -> None:
    values = np.array([0.0] * 50 + [1.0] * 49 + [1e6])
    cap = cap_of(values, 0.95)
    assert cap is not None
    assert mean_of(capped(values, cap)).mean < 1
    assert cap_of(np.zeros(5), 0.95) is None


def test_groups_that_are_alike_are_drawn_together_and_one_that_is_not_stays_apart() -> None:
    alike = heterogeneity([(0.05, 0.03), (0.08, 0.03), (0.02, 0.03)])
    assert alike is not None
    assert alike.between == 0
    assert {round(row.believed, 9) for row in alike.segments} == {0.05}
    unlike = heterogeneity([(0.0, 0.02), (0.01, 0.02), (0.5, 0.02)])
    assert unlike is not None
    assert unlike.p < 0.001
    assert unlike.segments[2].believed > 0.45
    assert unlike.segments[2].p < 0.001
    assert heterogeneity([(0.1, 0.1)]) is None


def test_betting_on_rates_wins_on_a_difference_and_does_not_go_back_in_time() -> None:
    same = log_e_rates([Block(500, 50, 500, 50)] * 20)
    better = log_e_rates([Block(500, 50, 500, 75)] * 20)
    assert same[-1] < math.log(20)
    assert better[-1] > math.log(20)
    assert better[:5] == log_e_rates([Block(500, 50, 500, 75)] * 5)


def test_betting_on_rates_is_fair_however_people_arrive() -> None:
    wrong = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        sizes = random.integers(0, 60, (30, 2))
        blocks = [Block(int(a), int(random.binomial(a, 0.05)), int(b), int(random.binomial(b, 0.05))) for a, b in sizes]
        wrong += max(log_e_rates(blocks)) >= math.log(20)
    assert wrong <= 20


def test_a_sample_of_parts_is_the_sample_of_the_whole() -> None:
    before, after = RANDOM.normal(size=300), RANDOM.normal(size=300)
    whole = adjusted_of(after, before)
    parts = added([adjusted_of(after[:100], before[:100]), adjusted_of(after[100:], before[100:])])
    assert isinstance(parts, Adjusted)
    assert parts.products == pytest.approx(whole.products)
    assert parts.post.variance == pytest.approx(whole.post.variance)
    assert proportion_of(after > 0).plus(proportion_of(before > 0)).n == 600
    with pytest.raises(ValueError, match="do not add up"):
        added([whole, quantile_of(after, 0.5)])
