"""Histories of tests whose truth is known: flaky ones, changes that break tests and mend them, and bad days of the machines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SUITES = 200
MENDED = 0.35
SUITE_BREAKS = 0.2
OUTAGE_SHARE = 0.4
SUITE_OUTAGE = 10


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of history. ``rates`` of failure of flaky tests: ``skewed`` is Beta(1.2, 4) cut at ``low``, ``even`` uniform from ``low`` to
    one half on the logarithmic scale. ``same``: share of runs that run the code of the one before. ``breaks``: of a test by a change.
    """

    name: str
    retries: bool = True
    same: float = 0.3
    rates: str = "skewed"
    low: float = 0.05
    tests: int = 10_000
    runs: int = 30
    share: float = 0.02
    breaks: float = 0.001
    outages: int = 1


@dataclass(frozen=True, slots=True)
class History:
    """``failures`` and ``executions`` are (T, R); ``code`` (R,); ``suites`` and ``flaky`` (T,); ``broken`` (T, R): the code fails it."""

    failures: Ints
    executions: Ints
    code: Ints
    suites: Ints
    flaky: Bools
    broken: Bools


def simulate(scenario: Scenario, seed: int) -> History:
    """One history; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    tests, runs = scenario.tests, scenario.runs
    code = np.cumsum(np.r_[0, rng.random(runs - 1) >= scenario.same]).astype(np.int64)
    flaky, suites = rng.random(tests) < scenario.share, rng.integers(0, SUITES, tests)
    rate = np.where(flaky, _rates(scenario, rng), 0.0)[:, None]
    broken = _broken(scenario, rng, code, suites)
    bad = _outages(scenario, rng, suites)
    first, second = (broken | bad | (rng.random((tests, runs)) < rate) for _ in range(2))
    failures, executions = first.astype(np.int64), np.ones((tests, runs), dtype=np.int64)
    if scenario.retries:
        failures, executions = failures + (first & second), executions + first
    return History(failures, executions, code, suites, flaky, broken)


def _rates(scenario: Scenario, rng: np.random.Generator) -> NDArray[np.float64]:
    if scenario.rates == "even":
        return np.exp(rng.uniform(np.log(scenario.low), np.log(0.5), scenario.tests))
    return np.clip(rng.beta(1.2, 4, scenario.tests), scenario.low, 0.8)


def _broken(scenario: Scenario, rng: np.random.Generator, code: Ints, suites: Ints) -> Bools:
    """A change breaks single tests, now and then most of a suite; each later change may mend one."""
    broken = np.zeros((scenario.tests, scenario.runs), dtype=bool)
    now = np.zeros(scenario.tests, dtype=bool)
    for run in range(1, scenario.runs):
        if code[run] != code[run - 1]:
            hit = rng.random(scenario.tests) < scenario.breaks
            if rng.random() < SUITE_BREAKS:
                hit |= (suites == rng.integers(SUITES)) & (rng.random(scenario.tests) < 0.6)
            now = np.where(now, rng.random(scenario.tests) >= MENDED, hit)
        broken[:, run] = now
    return broken


def _outages(scenario: Scenario, rng: np.random.Generator, suites: Ints) -> Bools:
    """Bad days: one that takes a share of all tests, and one that takes most of some suites."""
    bad = np.zeros((scenario.tests, scenario.runs), dtype=bool)
    for _ in range(scenario.outages):
        bad[:, rng.integers(scenario.runs)] |= rng.random(scenario.tests) < OUTAGE_SHARE
        some = np.isin(suites, rng.integers(0, SUITES, SUITE_OUTAGE))
        bad[:, rng.integers(scenario.runs)] |= some & (rng.random(scenario.tests) < 0.8)
    return bad
