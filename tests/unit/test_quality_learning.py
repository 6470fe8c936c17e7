"""Judging performance, ranking findings and moving flaky tests, without a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.quality_flaky import FlakyCost, FlakyMove, FlakyRules, FlakyTest, Held, decide, owner_of
from productops.domain.quality_improve import (
    EscapedDefect,
    ImproveFacts,
    MeasuredTest,
    TrendSeries,
    blind_gate,
    comes_back,
    find_impacts,
    find_insights,
    find_trends,
)
from productops.domain.quality_insight import InsightKind
from productops.domain.quality_performance import Tolerance, judge_performance, normalised, smallest_seen, steps_of
from productops.domain.quality_verdict import GateState

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MONTH = timedelta(days=30)


def run_of(rng, level: float, *, spread: float = 0.02, count: int = 200) -> list[float]:
    """One run: its own level on its machine, and the values around it."""
    return list(level * np.exp(rng.normal(0, spread)) * np.exp(rng.normal(0, 0.1, count)))


def runs(seed: int, level: float = 100.0, count: int = 20, **more) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    return [run_of(rng, level, **more) for _ in range(count)]


def test_a_candidate_that_is_a_quarter_slower_fails_and_says_what_could_be_seen():
    judged = judge_performance(runs(1), runs(2, level=125.0, count=1)[0])
    assert judged.state is GateState.FAILED
    assert "worse" in judged.sentence
    assert 0 < judged.detectable < 0.2
    assert judged.runs == 20


def test_candidates_as_fast_as_before_seldom_fail():
    states = [judge_performance(runs(seed), runs(seed + 1000, count=1)[0]).state for seed in range(60)]
    assert states.count(GateState.FAILED) <= 5
    assert states.count(GateState.PASSED) >= 45


def test_throughput_that_falls_is_worse_and_one_that_rises_is_not():
    higher = Tolerance({0.5: 0.05}, higher_is_better=True)
    assert judge_performance(runs(1), runs(2, level=75.0, count=1)[0], higher).state is GateState.FAILED
    assert judge_performance(runs(1), runs(2, level=125.0, count=1)[0], higher).state is GateState.PASSED


@pytest.mark.parametrize(
    ("history", "candidate", "why"),
    [
        ([], [1.0], "0 earlier runs"),
        ([[1.0]] * 4, [1.0], "5 are needed"),
        ([[1.0]] * 9, [], "ratios"),
        ([[1.0]] * 9, [float("nan")], "ratios"),
        ([[1.0]] * 8 + [[0.0]], [1.0], "ratios"),
    ],
)
def test_what_cannot_be_compared_has_not_passed(history, candidate, why):
    judged = judge_performance(history, candidate)
    assert judged.state is GateState.INCONCLUSIVE
    assert why in judged.sentence


def test_a_noisy_runner_does_not_fail_a_candidate_that_its_noise_explains():
    judged = judge_performance([[value] for value in (80, 120, 100, 70, 130, 90, 110, 140)], [115.0])
    assert judged.state is GateState.INCONCLUSIVE
    assert "run it again" in judged.sentence


def test_a_comparison_that_would_not_see_enough_does_not_pass_where_that_is_asked_for():
    noisy = [[value] for value in (80, 120, 100, 70, 130, 90, 110, 140)]
    assert judge_performance(noisy, [100.0]).state is GateState.PASSED
    assert judge_performance(noisy, [100.0], Tolerance({0.5: 0.05}, detectable_max=0.1)).state is GateState.INCONCLUSIVE


def test_a_quantile_is_compared_only_where_every_run_has_values_beyond_it():
    judged = judge_performance(runs(1, count=10), runs(2, count=1)[0][:50])
    assert [each.quantile for each in judged.quantiles] == [0.5, 0.9]
    assert "p99 needs more values in each run" in judged.notes


def test_the_baseline_begins_after_the_last_step_and_the_step_is_told():
    history = [*runs(1, count=25), *runs(2, level=130.0, count=15)]
    judged = judge_performance(history, runs(3, level=130.0, count=1)[0])
    assert judged.state is not GateState.FAILED
    assert judged.runs <= 17
    assert any("moved by +" in note for note in judged.notes)
    (step,) = steps_of(history)
    assert step.low < 0.3 < step.high


def test_a_slow_machine_is_not_a_slow_candidate_when_a_reference_series_says_so():
    history, reference = runs(1, spread=0.005), runs(5, level=10.0, spread=0.001)
    slow, slow_reference = [value * 1.3 for value in runs(2, count=1, spread=0.005)[0]], [value * 1.3 for value in reference[0]]
    assert judge_performance(history, slow).state is GateState.FAILED
    judged = judge_performance(history, slow, reference=reference, candidate_reference=slow_reference)
    assert judged.state is GateState.PASSED
    assert any("taken out" in note for note in judged.notes)
    assert normalised([[1.0]], []) is None


def test_the_smallest_change_that_would_be_seen_grows_with_the_noise():
    quiet, loud = runs(1, spread=0.01), runs(1, spread=0.08)
    assert smallest_seen(quiet, ()) < smallest_seen(loud, ())
    assert smallest_seen(quiet[:2], ()) is None


@given(st.lists(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=4), max_size=20), st.lists(st.floats(), max_size=4))
def test_judging_performance_never_raises(history, candidate):
    assert judge_performance(history, candidate).state in set(GateState)


@pytest.mark.parametrize("wrong", [{"worse": {}}, {"worse": {1.5: 0.1}}, {"worse": {0.5: -1}}, {"confidence": 1.0}, {"runs_min": 0}])
def test_a_tolerance_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"tolerance|confidence"):
        Tolerance(**wrong)


def flaky(key: str = "a", **more) -> FlakyTest:
    given_ = {"probability": 0.95, "rate": 0.2, "broken": 0.0, "clean_streak": 1, "failed_at": NOW - timedelta(days=1)} | more
    return FlakyTest(
        key=key, name=f"test {key}", suite="s", file="tests/pay/test_a.py", runs=30, failed_runs=5, retried_runs=3, split_codes=1,
        cost=FlakyCost(3.0, 2.0, 30.0), **given_,
    )  # fmt: skip


def held(**more) -> Held:
    return Held(**({"key": "a", "name": "test a", "since": NOW - timedelta(days=2), "until": NOW + timedelta(days=12)} | more))


@pytest.mark.parametrize(
    ("tests", "inside", "move"),
    [
        ([flaky()], [], FlakyMove.QUARANTINE),
        ([flaky(probability=0.7)], [], None),
        ([flaky(broken=0.95)], [], None),
        ([flaky(clean_streak=25)], [], None),
        ([flaky()], [held()], None),
        ([flaky(broken=0.95)], [held()], FlakyMove.BLOCK),
        ([flaky(broken=0.95)], [held(by_hand=True)], FlakyMove.BLOCK),
        ([flaky(probability=0.1)], [held()], FlakyMove.RELEASE),
        ([flaky(probability=0.1)], [held(by_hand=True)], None),
        ([flaky(clean_streak=20)], [held()], FlakyMove.RELEASE),
        ([], [held()], None),
        ([], [held(until=NOW)], FlakyMove.EXPIRE),
    ],
)
def test_what_is_done_about_a_test_follows_from_the_evidence(tests, inside, move):
    assert [each.move for each in decide(tests, inside, now=NOW)] == ([move] if move else [])


def test_a_test_whose_quarantine_ended_takes_a_failure_after_that_to_return():
    assert not decide([flaky()], [], now=NOW, ended={"a": NOW})
    assert decide([flaky()], [], now=NOW, ended={"a": NOW - timedelta(days=3)})


@given(
    probability=st.floats(0, 1), broken=st.floats(0, 1), streak=st.integers(0, 40), inside=st.booleans(), days=st.integers(-20, 20)
)  # fmt: skip
def test_no_test_that_is_really_broken_stays_or_gets_into_quarantine(probability, broken, streak, inside, days):
    test = flaky(probability=probability, broken=broken, clean_streak=streak)
    marks = [held(until=NOW + timedelta(days=days))] if inside else []
    moves = [each.move for each in decide([test], marks, now=NOW)]
    assert len(moves) <= 1
    if broken >= FlakyRules().broken:
        assert moves == ([FlakyMove.BLOCK] if inside else [])


def test_the_last_pattern_that_fits_names_the_owner():
    owners = (("*", "everybody"), ("tests/pay/", "payments"), ("tests/pay/*_ui.py", "web"))
    assert owner_of("tests/pay/test_a.py", owners, "apollo") == "payments"
    assert owner_of("tests/pay/test_ui.py", owners, "apollo") == "web"
    assert owner_of("tests/pay/test_a.py", (), "apollo") == "apollo"


def test_findings_are_ranked_by_what_they_cost_and_the_same_facts_give_the_same_keys():
    slow = [MeasuredTest(str(n), f"slow {n}", "s", runs=60, failed_runs=0, seconds=5.0 + n) for n in range(15)]
    facts = ImproveFacts("shop", MONTH, 60, flaky=[flaky()], tests=slow)
    found = find_insights(facts)
    assert [each.minutes for each in found] == sorted((each.minutes for each in found), reverse=True)
    assert found[0].kind is InsightKind.FLAKY
    assert sum(each.kind is InsightKind.SLOW for each in found) == 10
    assert [each.key for each in find_insights(facts)] == [each.key for each in found]


def test_a_dismissed_finding_comes_back_only_when_its_evidence_has_doubled():
    assert not comes_back(7, 4)
    assert comes_back(8, 4)


def test_a_course_that_is_no_chance_is_a_trend_and_noise_is_none():
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, 40)
    series = [
        TrendSeries("suite", "falls", "pass rate", tuple(100 - 0.2 * n + noise[n] for n in range(40)), higher_is_better=True),
        TrendSeries("suite", "noise", "pass rate", tuple(rng.normal(0, 1, 40)), higher_is_better=True),
        TrendSeries("suite", "short", "pass rate", (1.0, 0.5, 0.1), higher_is_better=True),
        TrendSeries("suite", "same", "pass rate", (1.0,) * 30, higher_is_better=True),
    ]
    (trend,) = find_trends(series)
    assert (trend.series.group, trend.worse) == ("falls", True)
    assert trend.low < -0.2 < trend.high
    facts = ImproveFacts("shop", MONTH, 40, trends=series)
    assert [each.kind for each in find_insights(facts)] == [InsightKind.TREND]


def test_a_test_that_fails_with_a_file_is_told_and_one_that_fails_anyhow_is_not():
    changed = [frozenset({"tax.py"} if n % 4 == 0 else {"menu.py"}) for n in range(40)]
    failed = [frozenset(({"sums"} if n % 4 == 0 else set()) | ({"any"} if n % 3 == 0 else set())) for n in range(40)]
    facts = ImproveFacts("shop", MONTH, 40, changed=changed, failed=failed)
    assert [(each.test, each.path, each.both, each.changed) for each in find_impacts(facts)] == [("sums", "tax.py", 10, 10)]
    assert not find_impacts(ImproveFacts("shop", MONTH, 3, changed=changed[:3], failed=failed[:3]))


@pytest.mark.parametrize(("kind", "gates", "gate"), [
    ("performance", {"performance": "passed"}, "performance"), ("security", {"unit": "passed"}, "security"),
    ("availability", {"unit": "passed"}, "end-to-end"), ("availability", {}, "none"),
])  # fmt: skip
def test_an_escaped_defect_names_the_gate_that_should_have_seen_it(kind, gates, gate):
    escape = EscapedDefect("1", "slow", kind, "SEV2", "1.1.0", None, gates)
    assert blind_gate(escape) == gate
    (found,) = find_insights(ImproveFacts("shop", MONTH, 0, escapes=[escape]))
    assert found.minutes == 240.0
