"""Latency against load: false alarms are rare where neighbours resemble each other, true differences are found, bends are bracketed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.analytics_optimize import ActionKind, FindingKind, Minutes, PerformanceFinding, joined, minutes_of
from productops.domain.analytics_optimize_advice import Situation, advise
from productops.domain.analytics_optimize_findings import compare_versions, find_slow_hours
from productops.stats.analytics_optimize import difference, holm, knee, slow_hours


def remembering(random: np.random.Generator, count: int, memory: float, spread: float) -> np.ndarray:
    """An autoregressive course."""
    made = np.empty(count)
    made[0] = random.normal(0, spread)
    for each in range(1, count):
        made[each] = memory * made[each - 1] + random.normal(0, spread * np.sqrt(1 - memory**2))
    return made


def course(random: np.random.Generator, memory: float) -> tuple[np.ndarray, ...]:
    at = np.arange(600.0)
    load = 100 + 50 * np.sin(2 * np.pi * at / 240) + remembering(random, 600, 0.9, 10)
    new = at >= 300
    load[new] *= 1.3
    y = 3 + 0.003 * load + 0.01 * np.maximum(load - 150, 0) + remembering(random, 600, memory, 0.05)
    return y, load, new, at


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_more_load_alone_is_rarely_called_a_difference_and_a_true_one_is_found(memory: float) -> None:
    random = np.random.default_rng(11)
    courses = [course(random, memory) for _ in range(60)]
    same = [difference(*each) for each in courses]
    slower = [difference(y + 0.08 * new, load, new, at) for y, load, new, at in courses]
    assert sum(each is not None and each.p_value < 0.05 for each in same) <= 6
    assert sum(each is not None and each.p_value < 0.05 and each.low <= 0.08 <= each.high for each in slower) >= 54


def test_without_a_load_in_common_there_is_no_answer() -> None:
    at = np.arange(200.0)
    load = np.where(at < 100, at, at + 1000)
    assert difference(np.ones(200), load, at >= 100, at) is None
    assert difference(np.ones(6), np.ones(6), np.arange(6) >= 3, np.arange(6.0)) is None


def test_a_straight_line_has_no_knee_and_a_bent_one_has_it_within_the_interval() -> None:
    random = np.random.default_rng(3)
    straight = found = inside = 0
    for number in range(20):
        at = np.arange(500.0)
        load = 100 + 60 * np.sin(2 * np.pi * at / 500) + remembering(random, 500, 0.9, 10)
        y = 3 + 0.002 * load + remembering(random, 500, 0.6, 0.05)
        straight += knee(load, y, seed=number) is not None
        bent = knee(load, y + 0.01 * np.maximum(load - 140, 0), seed=number)
        found += bent is not None
        inside += bent is not None and bent.low <= 140 <= bent.high
    assert straight <= 1
    assert found == 20
    assert inside >= 18


def test_a_constant_load_or_few_points_have_no_knee() -> None:
    assert knee(np.ones(100), np.arange(100.0)) is None
    assert knee(np.arange(10.0), np.arange(10.0)) is None


def test_an_hour_that_is_slow_every_day_is_found_and_the_others_are_not() -> None:
    random = np.random.default_rng(5)
    at_s = np.arange(0, 8 * 86_400, 300.0)
    load = 50 + 20 * np.sin(2 * np.pi * at_s / 86_400) + random.normal(0, 2, len(at_s))
    night = (at_s // 3600 % 24) == 3
    y = 3 + 0.01 * load + 0.3 * night + random.normal(0, 0.1, len(at_s))
    found = slow_hours(y, load, at_s)
    together = holm([each.p_value for each in found])
    assert [each.hour for each, p in zip(found, together, strict=True) if p < 0.05 and each.effect > 0.1] == [3]
    rows = np.column_stack([at_s / 60, load * 60, np.zeros(len(at_s)), np.full(len(at_s), 60), *[np.exp(y)] * 3])
    assert [each.evidence["hour"] for each in find_slow_hours(Minutes("1.0", rows))] == [3]


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(0 <= old <= new <= 1 for old, new in zip(p_values, adjusted, strict=True))
    ranked = sorted(zip(p_values, adjusted, strict=True))
    assert [new for _, new in ranked] == sorted(new for _, new in ranked)


def test_minutes_survive_packing_and_the_longest_measured_one_is_kept() -> None:
    arm = ArmSecond(10, 1, LatencyHistogram((5.0, 9.0), (9, 1)))
    whole = minutes_of("1.0", [(60 + second, arm) for second in range(60)])
    part = minutes_of("1.0", [(60 + second, arm) for second in range(10)] + [(120, arm)])
    assert Minutes.unpack("1.0", whole.pack()).rows.tolist() == whole.rows.tolist() == [[1, 600, 60, 60, 5, 5, 9]]
    both = joined("1.0", [part, whole])
    assert both.rows[:, 0].tolist() == [1, 2]
    assert both.rows[0, 3] == 60
    assert joined("1.0", []).rows.shape == (0, 7)
    assert np.isnan(minutes_of("1.0", [(0, ArmSecond())]).rows[0, 4])


def test_versions_with_too_little_are_named_and_not_judged() -> None:
    few = Minutes("2.0", np.array([[1.0, 600, 0, 60, 5, 6, 7]] * 3))
    findings, silent = compare_versions([(few, few)])
    assert findings == []
    assert silent == ["2.0 was not compared with 2.0: 3 and 3 usable minutes say too little"]


def found(kind: FindingKind, **more: object) -> PerformanceFinding:
    given = {"metric": "p99", "sentence": "it is", "effect": 0.2, "low": 0.1, "high": 0.3, "p_value": 0.001, "harm": 0.2} | more
    return PerformanceFinding(kind, **given)  # type: ignore[arg-type]


def test_the_strongest_step_that_is_possible_comes_first() -> None:
    now = Situation(service="shop", live="2", previous="1", release_id="r", window_closed="", instances=2, declared=2)
    slower = found(FindingKind.REGRESSION, version="2", against="1")
    bend = found(FindingKind.KNEE, low=30.0, evidence={"beyond": 0.3, "busy": 50.0})
    advice = advise([bend, slower], now)
    assert [each.action for each in advice] == [ActionKind.ROLL_BACK, ActionKind.MORE_INSTANCES]
    assert advice[1].target["instances"] == 4
    assert [each.action for each in advise([], now)] == [ActionKind.NOTHING]
    older = found(FindingKind.REGRESSION, version="2", against="0")
    assert [each.action for each in advise([older], now)] == [ActionKind.LOOK]
    full = Situation(service="shop", live="2", instances=4, declared=2)
    assert not advise([bend], full)[0].possible
