"""Good releases, good releases under every nuisance, and bad releases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.judge.traffic import Arm, Floats, Plan

HISTORY_S = 300
ERRORS = 0.005
MEDIAN_MS = 50.0

Scenario = Callable[[np.random.Generator, float, float, int], Plan]


def plain(_: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Nothing happens: both versions are the same."""
    size = HISTORY_S + rollout_s

    def arm() -> Arm:
        return Arm(np.full(size, ERRORS), np.ones(size), np.zeros(size))

    return Plan(HISTORY_S, rollout_s, np.full(size, rate), np.full(size, share), arm(), arm(), np.full(size, MEDIAN_MS))


def _span(plan: Plan, start_s: float, length_s: float) -> slice:
    first = plan.history_s + int(start_s)
    return slice(first, first + int(length_s))


def _time(plan: Plan) -> Floats:
    """Seconds since the rollout began, (T,), negative in the history."""
    return np.arange(plan.history_s + plan.rollout_s, dtype=float) - plan.history_s


# Nuisances: the candidate is good in all of them. ------------------------------------------------------------------------------


def shared_incident(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """A dependency fails for a minute or two: errors x40 and latency x2 in both arms."""
    plan = plain(rng, rate, share, rollout_s)
    for start in rng.uniform(0, rollout_s * 0.8, 2):
        span = _span(plan, start, rng.uniform(30, 150))
        for arm in (plan.baseline, plan.candidate):
            arm.fail[span] = 0.2
            arm.slow[span] = 2.0
    return plan


def clustered_errors(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Errors come in groups of six on average, each group in one arm and second."""
    plan = plain(rng, rate, share, rollout_s)
    plan.baseline.cluster = plan.candidate.cluster = 6.0
    return plan


def cold_start(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """The candidate is slow for its first 30 s, two to four times."""
    plan = plain(rng, rate, share, rollout_s)
    plan.candidate.slow[_span(plan, 0, 30)] = rng.uniform(2.0, 4.0)
    return plan


def cold_start_fading(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Three times as slow at first, fading with a time constant of 10 s."""
    plan = plain(rng, rate, share, rollout_s)
    plan.candidate.slow[plan.history_s :] += 2.0 * np.exp(-_time(plan)[plan.history_s :] / 10.0)
    return plan


def drifting_split(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Sticky users: the candidate's share wanders by a factor of two, daily swing of errors on top."""
    plan = plain(rng, rate, share, rollout_s)
    t = _time(plan)
    phase = rng.uniform(0, 2 * np.pi)
    plan.share = share * np.exp(0.7 * np.sin(2 * np.pi * t / 1200.0 + phase))
    wave = 1.0 + 0.8 * np.sin(2 * np.pi * t / 1500.0 + rng.uniform(0, 2 * np.pi))
    plan.baseline.fail = plan.candidate.fail = ERRORS * wave
    return plan


def daily_swing(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Traffic, errors and latency all swing, half a day squeezed into the rollout."""
    plan = plain(rng, rate, share, rollout_s)
    wave = np.sin(2 * np.pi * _time(plan) / (1.3 * rollout_s) + rng.uniform(0, 2 * np.pi))
    plan.rate = rate * (1.0 + 0.7 * wave)
    plan.median_ms = MEDIAN_MS * (1.0 + 0.3 * wave)
    plan.baseline.fail = plan.candidate.fail = ERRORS * (1.0 + 0.6 * wave)
    return plan


def slower_by_2pct(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Every request takes 2 % longer on the candidate."""
    plan = plain(rng, rate, share, rollout_s)
    plan.candidate.slow[:] = 1.02
    return plan


def almost_no_traffic(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Half a request a second."""
    return plain(rng, 0.5, share, rollout_s)


def missed_scrapes(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """One second in five is missing on one arm, and the candidate is gone for a minute."""
    plan = plain(rng, rate, share, rollout_s)
    size = plan.history_s + rollout_s
    plan.baseline.present = rng.random(size) > 0.1
    plan.candidate.present = rng.random(size) > 0.1
    plan.candidate.present[_span(plan, rng.uniform(0, rollout_s * 0.7), 60)] = False
    return plan


def heavy_tail(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """A few requests in a hundred are of a kind with a Pareto tail, and the mix and the medians change every half minute."""
    plan = plain(rng, rate, share, rollout_s)
    size = plan.history_s + rollout_s
    plan.heavy = float(rng.uniform(0.02, 0.1))
    steps = rng.uniform(0.7, 1.4, size // 30 + 1)
    plan.median_ms = MEDIAN_MS * np.repeat(steps, 30)[:size]
    plan.sigma = 0.8
    return plan


def bursty_arrivals(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """The arrivals' variance is many times a Poisson stream's."""
    plan = plain(rng, rate, share, rollout_s)
    plan.burst = 0.5
    return plan


def retry_storm(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Incidents shared by both arms in which every failure is tried twice again at once, on the same arm."""
    plan = plain(rng, rate, share, rollout_s)
    plan.retries = 2.0
    for start in rng.uniform(0, rollout_s * 0.8, 3):
        span = _span(plan, start, rng.uniform(20, 60))
        plan.baseline.fail[span] = plan.candidate.fail[span] = 0.1
    return plan


def neighbour_deploy(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """A neighbour on the same machines is deployed: everybody 40 % slower for a while, errors x4, the baseline first."""
    plan = plain(rng, rate, share, rollout_s)
    for start in rng.uniform(0, rollout_s * 0.8, 2):
        length = rng.uniform(30, 120)
        for arm, lag in ((plan.baseline, 0.0), (plan.candidate, rng.uniform(0, 5))):
            span = _span(plan, start + lag, length)
            arm.slow[span] = 1.4
            arm.fail[span] = ERRORS * 4
    return plan


def autoscaling(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Twice, half of the candidate's instances are new and cold: up to 2.5 times slower for up to 30 s."""
    plan = plain(rng, rate, share, rollout_s)
    plan.candidate.part = 0.5
    for start in (rng.uniform(0.05, 0.45), rng.uniform(0.55, 0.95)):
        plan.candidate.slow[_span(plan, start * rollout_s, rng.uniform(15, 30))] = rng.uniform(1.4, 2.5)
    return plan


def pauses(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Each arm stops now and then: one second in a hundred is three times as slow, independently per arm."""
    plan = plain(rng, rate, share, rollout_s)
    for arm in (plan.baseline, plan.candidate):
        arm.slow = np.where(rng.random(len(arm.slow)) < 0.01, 3.0, 1.0)
    return plan


def noisy_host(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Both versions share a busy machine: all latencies of a second are multiplied by a lognormal factor of width 0.2."""
    plan = plain(rng, rate, share, rollout_s)
    plan.median_ms = plan.median_ms * rng.lognormal(0.0, 0.2, len(plan.median_ms))
    return plan


# Bad releases. -----------------------------------------------------------------------------------------------------------------


def _bad_errors(factor: float = 1.0, plus: float = 0.0, after_s: int = 0) -> Scenario:
    def scenario(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
        plan = plain(rng, rate, share, rollout_s)
        plan.candidate.fail[plan.history_s + after_s :] = ERRORS * factor + plus
        return plan

    return scenario


def _slow(factor: float) -> Scenario:
    def scenario(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
        plan = plain(rng, rate, share, rollout_s)
        plan.candidate.slow[:] = factor
        return plan

    return scenario


def p99_doubled(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Two requests in a hundred take six times as long: the 99th percentile doubles, the median stays."""
    plan = plain(rng, rate, share, rollout_s)
    plan.candidate.tail_share[:] = 0.02
    plan.candidate.tail_factor = 6.5
    return plan


def p99_twice_as_often(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Barely visible: one request in a hundred takes six times as long, the odds of a slow one double."""
    plan = p99_doubled(rng, rate, share, rollout_s)
    plan.candidate.tail_share[:] = 0.01
    return plan


def slow_drift(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """The candidate's latency grows by 2 % of the baseline's every minute."""
    plan = plain(rng, rate, share, rollout_s)
    plan.candidate.slow = 1.0 + 0.02 * np.maximum(_time(plan), 0.0) / 60.0
    return plan


def leak(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """The candidate's errors grow by half of the baseline's every minute."""
    plan = plain(rng, rate, share, rollout_s)
    plan.candidate.fail = ERRORS * (1.0 + 0.5 * np.maximum(_time(plan), 0.0) / 60.0)
    return plan


def half_slow(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Half of the candidate's requests take half as long again."""
    plan = _slow(1.5)(rng, rate, share, rollout_s)
    plan.candidate.part = 0.5
    return plan


def slow_on_a_noisy_host(rng: np.random.Generator, rate: float, share: float, rollout_s: int) -> Plan:
    """Every request takes a tenth longer on the candidate, and the machine is busy for both."""
    plan = noisy_host(rng, rate, share, rollout_s)
    plan.candidate.slow[:] = 1.1
    return plan


GOOD: dict[str, Scenario] = {"good": plain}
NUISANCES: dict[str, Scenario] = {
    "shared incident": shared_incident,
    "clustered errors": clustered_errors,
    "cold start": cold_start,
    "cold start fading": cold_start_fading,
    "drifting split": drifting_split,
    "daily swing": daily_swing,
    "2 % slower": slower_by_2pct,
    "almost no traffic": almost_no_traffic,
    "missed scrapes": missed_scrapes,
    "heavy tail, changing mix": heavy_tail,
    "bursty arrivals": bursty_arrivals,
    "retry storm": retry_storm,
    "neighbour's deploy": neighbour_deploy,
    "autoscaling": autoscaling,
    "pauses": pauses,
    "noisy host": noisy_host,
}
BAD: dict[str, Scenario] = {
    "30 % fail": _bad_errors(plus=0.295),
    "errors x5": _bad_errors(factor=5.0),
    "+1 pp errors": _bad_errors(plus=0.01),
    "errors x2": _bad_errors(factor=2.0),
    "p50 +10 %": _slow(1.10),
    "p99 x2": p99_doubled,
    "slow drift": slow_drift,
    "x5 after 10 min": _bad_errors(factor=5.0, after_s=600),
    "slow requests x2": p99_twice_as_often,
    "error leak": leak,
    "half of them x1.5": half_slow,
    "p50 +10 %, noisy host": slow_on_a_noisy_host,
}
LATE_S = {"x5 after 10 min": 600}
"""Seconds of good behaviour before the harm, subtracted from the time to a verdict."""
