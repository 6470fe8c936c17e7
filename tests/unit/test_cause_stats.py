"""The statistics of causes: onsets, odds, call graphs, traces, events."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.stats.cause_events import odd_events
from productops.stats.cause_graph import Excess, blame, excess_of, reachable
from productops.stats.cause_nodes import NodeEvidence, fullness, rank_nodes
from productops.stats.cause_odds import AFTER_NATS, coincidence_nats, contrast_nats, probabilities, shrunk_priors
from productops.stats.cause_onset import rise_of_ratio, rise_of_value
from productops.stats.cause_traces import TraceLine, TraceSpan, link_times, own_times, visits_of


@pytest.mark.parametrize("place", [20, 100, 180])
def test_the_onset_of_failures_is_found_within_two_seconds_and_inside_its_interval(place: int) -> None:
    rng = np.random.default_rng(place)
    trials = rng.poisson(40, 200)
    events = rng.binomial(trials, np.where(np.arange(200) < place, 0.01, 0.25))
    change = rise_of_ratio(events, trials)
    assert change is not None
    assert abs(change.index - place) <= 2
    assert change.low <= place <= change.high + 1
    assert change.nats > 10


def test_the_interval_of_an_onset_holds_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        place = int(rng.integers(30, 90))
        trials = rng.poisson(12, 120)
        events = rng.binomial(trials, np.where(np.arange(120) < place, 0.05, 0.35))
        change = rise_of_ratio(events, trials)
        held += change is not None and change.low <= place <= change.high
    assert held / 200 > 0.9


def test_steady_traffic_has_no_onset() -> None:
    rng = np.random.default_rng(5)
    sure = 0
    for _ in range(100):
        trials = rng.poisson(40, 300)
        change = rise_of_ratio(rng.binomial(trials, 0.02), trials)
        sure += change is not None and change.nats >= 3
    assert sure <= 3


def test_the_onset_of_a_level_is_found_with_gaps_and_wild_single_values() -> None:
    rng = np.random.default_rng(11)
    values = rng.normal(20, 2, 200)
    values[120:] += 60
    values[[15, 40]] = 400
    values[50:60] = np.nan
    change = rise_of_value(values)
    assert change is not None
    assert abs(change.index - 120) <= 1
    assert rise_of_value(np.array([1.0, 2.0])) is None


def test_a_change_just_before_the_onset_weighs_much_a_distant_one_little_and_a_later_one_against() -> None:
    def weigh(change_s: float) -> float:
        return coincidence_nats(change_s, 10_000, onset_low_s=9_998, onset_high_s=10_001, window_s=21_600)

    assert weigh(9_995) > 4
    assert -2 < weigh(10_000 - 7_200) < -1
    assert weigh(10_020) == AFTER_NATS
    assert weigh(9_995) > weigh(9_800) > weigh(9_000)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300), st.integers(1, 300))
def test_a_contrast_is_bounded_and_positive_only_for_the_worse_one(events: int, others: int, trials: int, other_trials: int) -> None:
    events, others = min(events, trials), min(others, other_trials)
    nats = contrast_nats(events, trials, others, other_trials)
    assert -8 <= nats <= 8
    if nats > 0:
        assert (events + 0.5) / (trials + 1) > (others + 0.5) / (other_trials + 1)


def test_the_same_share_of_failures_on_both_speaks_against_a_difference() -> None:
    assert contrast_nats(60, 200, 240, 800) < -1.5
    assert contrast_nats(80, 200, 2, 800) == 8
    assert contrast_nats(0, 0, 2, 800) == 0


def test_probabilities_add_up_and_priors_move_towards_what_was_counted() -> None:
    assert sum(probabilities([3.0, -2.0, 0.0])) == pytest.approx(1)
    base = {"release": 0.5, "host": 0.5}
    moved = shrunk_priors({"host": 30}, base, strength=30)
    assert moved["host"] == pytest.approx(0.75)
    assert sum(moved.values()) == pytest.approx(1)


def test_a_caller_that_only_waits_for_its_callee_is_not_to_blame() -> None:
    excess = {"web": Excess(30.0, 1.0), "cart": Excess(29.0, 1.0), "db": Excess(0.2, 1.0)}
    found = blame(excess, {"web": ["cart"], "cart": ["db"]}, symptom="web")
    assert max(found, key=lambda node: found[node].score) == "cart"
    assert found["web"].score < 0.2
    assert reachable("cart", {"web": ["cart"], "cart": ["db"]}) == {"cart", "db"}


def test_a_drift_over_weeks_is_no_excess_of_an_incident() -> None:
    rng = np.random.default_rng(2)
    normal = rng.normal(10, 1, 400)
    drifted = np.array([30.0, 30.5, 30.2, 30.1])
    assert excess_of(normal, drifted, during=slice(2, 4), floor=0.1).amount < 1
    assert excess_of(normal, np.array([10.0, 10.0, 30.0, 30.0]), during=slice(2, 4), floor=0.1).amount > 15


def _trace(number: int, *, begin: float, link_s: float = 0.002, own_s: float = 0.01) -> list[TraceSpan]:
    """``web`` calls ``cart``, which works for ``own_s``."""
    trace, start = f"t{number}", begin + number
    call = own_s + link_s
    return [
        TraceSpan(trace, f"{trace}a", "", "web", "GET /", start, start + call + 0.004),
        TraceSpan(trace, f"{trace}b", f"{trace}a", "web", "HTTP GET", start + 0.002, start + 0.002 + call),
        TraceSpan(trace, f"{trace}c", f"{trace}b", "cart", "GET /cart", start + 0.002 + link_s / 2, start + 0.002 + link_s / 2 + own_s),
    ]


def _traces(count: int, *, begin: float, link_s: float = 0.002, own_s: float = 0.01) -> list[TraceSpan]:
    return [span for number in range(count) for span in _trace(number, begin=begin, link_s=link_s, own_s=own_s)]


def test_the_own_time_of_a_visit_leaves_out_what_it_waited_for() -> None:
    web, cart = visits_of(_traces(1, begin=0, own_s=0.5))
    assert web.own_s == pytest.approx(0.004)
    assert cart.own_s == pytest.approx(0.5)
    assert cart.link_s == pytest.approx(0.002)
    assert cart.caller == "web"


def test_the_node_that_works_longer_gets_the_time_and_a_slow_network_gets_the_link() -> None:
    normal = visits_of(_traces(30, begin=0))
    slow = own_times(normal, visits_of(_traces(30, begin=1000, own_s=0.6)))
    assert slow["cart"] > 0.8 > slow.get("web", 0)
    late = link_times(normal, visits_of(_traces(30, begin=1000, link_s=0.6)))
    assert late["cart"] > 0.8
    assert own_times(normal, visits_of(_traces(30, begin=1000, link_s=0.6))).get("cart", 0) < 0.1


def _lines(spans: list[TraceSpan], words: dict[str, str], *, level: str = "info") -> list[TraceLine]:
    entered = [span for span in spans if span.operation.startswith("GET")]
    return [TraceLine(span.start_s, span.span, words[span.node], level) for span in entered]


def test_an_error_that_a_callee_logs_first_is_the_callees() -> None:
    usual, spans = _traces(30, begin=0), _traces(30, begin=1000)
    normal = visits_of(usual, _lines(usual, {"web": "served", "cart": "found"}))
    window = visits_of(spans, _lines(spans, {"web": "gave up", "cart": "no stock table"}, level="error"))
    found = odd_events(normal, window)
    assert found["cart"].event == "no stock table"
    assert found["cart"].score > found["web"].score + 3


def test_a_processor_at_its_limit_is_full_and_a_usual_peak_is_not() -> None:
    usual = np.random.default_rng(1).normal(10, 1, 100)
    assert fullness(usual, np.array([99.0, 100.0]), limit=100) > 0.9
    assert fullness(usual, np.array([12.0]), limit=100) == 0
    assert fullness(np.append(usual, [99.0] * 3), np.array([100.0]), limit=100) < 0.9


def test_nodes_are_ranked_by_all_their_evidence_and_unmeasured_ones_come_last() -> None:
    evidence = {"cart": NodeEvidence(graph=0.9), "db": NodeEvidence(events=3.0), "outside": NodeEvidence(graph=0.95, inferred=True)}
    ranked = rank_nodes(evidence, ["web"])
    assert [name for name, _ in ranked] == ["cart", "db", "web", "outside"]
    assert math.isclose(sum(share for _, share in ranked), 1.0)
