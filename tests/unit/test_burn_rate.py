"""How fast a budget burns, and whether so few events can say so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from productops.domain.monitoring_slo import DEFAULT_RULES
from productops.stats.burn_rate import burn_rate, surely_above, tail


def test_a_burn_rate_of_one_spends_the_budget_just_in_time() -> None:
    assert burn_rate(1, 1000, budget=0.001) == pytest.approx(1.0)
    assert burn_rate(144, 10_000, budget=0.001) == pytest.approx(14.4)
    assert burn_rate(0, 0, budget=0.001) is None


@settings(max_examples=300, deadline=None)
@given(total=st.integers(1, 50_000), share=st.floats(0.0, 1.0), ratio=st.floats(1e-6, 0.999))
def test_the_tail_above_the_mean_is_that_of_the_binomial_distribution(total: int, share: float, ratio: float) -> None:
    bad = round(total * share)
    expected = float(binom.sf(bad - 1, total, ratio))
    if bad > ratio * total:
        assert tail(bad, total, ratio=ratio) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    else:
        assert tail(bad, total, ratio=ratio) == 1.0
        assert expected >= 0.25 or bad == 0


def test_millions_of_events_are_no_trouble() -> None:
    exact = float(binom.sf(1_001_999, 1_000_000_000, 0.001))
    assert tail(1_002_000, 1_000_000_000, ratio=0.001) == pytest.approx(exact, rel=1e-3)


@given(bad=st.integers(0, 100), more=st.integers(0, 100), ratio=st.floats(0.001, 0.9))
def test_more_bad_events_never_make_it_less_sure(bad: int, more: int, ratio: float) -> None:
    if surely_above(bad, 200, ratio=ratio, alpha=0.01):
        assert surely_above(bad + more, 200, ratio=ratio, alpha=0.01)


def test_one_failure_of_ten_requests_proves_nothing() -> None:
    assert burn_rate(1, 10, budget=0.001) == pytest.approx(100)
    assert not surely_above(1, 10, ratio=0.0144, alpha=0.01)
    assert surely_above(3, 10, ratio=0.0144, alpha=0.01)


def test_the_long_rules_are_those_of_the_workbook() -> None:
    """Share of a month's budget that each has spent when it fires: burn x window / 30 days."""
    spent = {rule.name: rule.burn * rule.long_s / (30 * 86_400) for rule in DEFAULT_RULES}
    assert (spent["1h"], spent["6h"], spent["3d"]) == (pytest.approx(0.02), pytest.approx(0.05), pytest.approx(0.1))
    assert {rule.name: rule.short_s for rule in DEFAULT_RULES if rule.long_s >= 3600} == {"1h": 300, "6h": 1800, "3d": 21_600}
