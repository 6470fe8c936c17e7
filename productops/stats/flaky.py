"""Which tests answer by chance, told from those that a change broke.

Two stories are weighed for every test. *Steady*: its answer depends on the code; a change may break it and another mend it, never twice
running the same code. *Flaky*: each execution fails by chance at a rate of its own. In both a bad day of the machines breaks many tests
at once; that is allowed for, and says nothing of any of them. The likelihood of the first is a two-state hidden Markov model (Rabiner
1989), of the second an average over rates; Bayes' rule with the share of flaky tests gives the probability; that share and how often
changes break a test are learned from the history. It is a heuristic where tests fail together for other reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.integer]
Bools = NDArray[np.bool_]
# First guesses; both are learned from the history itself, within limits.
EXPECTED_SHARE = 0.02
BREAKS = 0.002
_SHARE_LIMITS = (0.01, 0.2)
_BREAKS_LIMITS = (2e-4, 0.02)
MENDS = 0.35
ODD = 1e-3
SPARK = 1e-5
ROUNDS = 3
BURST_FACTOR = 4.0
BURST_MAX = 0.9
_RATES = np.array([0.015, 0.03, 0.05, 0.08, 0.12, 0.18, 0.26, 0.36, 0.48, 0.62, 0.78])
_WEIGHTS = np.array([0.10, 0.11, 0.12, 0.12, 0.12, 0.11, 0.10, 0.08, 0.07, 0.05, 0.02])


@dataclass(frozen=True, slots=True)
class Flakiness:
    """For each test (T): ``probability`` that it is flaky, its ``rate`` of failures if it is, and ``broken``: how sure a change broke it.

    ``broken`` is the probability that the newest code really fails, whatever else the test is; shapes (T,).
    """

    probability: Floats
    rate: Floats
    broken: Floats


def judge_flakiness(failures: Counts, executions: Counts, code: Counts, groups: Counts | None = None) -> Flakiness:
    """Weigh both stories for every test.

    ``failures``, ``executions``: (T, R) counts of each test in each run, in order of time; a retry is one more execution, 0 means that
    the test did not run. ``code``: (R,) a number for the code of each run; equal numbers mean equal code. ``groups``: (T,) the suite of
    each test, whose common bad days are allowed for. Raises: ValueError when shapes or counts do not fit together.
    """
    fails, total, codes = np.asarray(failures), np.asarray(executions), np.asarray(code)
    if fails.ndim != 2 or fails.shape != total.shape or codes.shape != (fails.shape[1],):
        raise ValueError("failures and executions are tests × runs, code has one number for each run")
    if (fails < 0).any() or (fails > total).any():
        raise ValueError("there are fewer executions than failures, or negative counts")
    order = _by_code(codes)
    fails, total, codes = fails[:, order], total[:, order], codes[order]
    burst = np.zeros(fails.shape) if groups is None else _bursts(fails > 0, total > 0, np.asarray(groups))
    # A suite's own bad run must not look like one of all, so its tests are left out of that.
    calm = burst == 0
    burst = np.maximum(burst, _bursts((fails > 0) & calm, (total > 0) & calm, np.zeros(len(fails), dtype=np.int64)))
    chance, rate = _by_chance(fails, total, burst)
    share, breaks = EXPECTED_SHARE, BREAKS
    for _ in range(ROUNDS):
        steady, failing, begun = _steady(fails, total, codes, burst, breaks)
        odds = np.log(share / (1 - share)) + chance - steady
        probability = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
        share = float(np.clip(probability.mean() if len(fails) else share, *_SHARE_LIMITS))
        chances = max(1, len(np.unique(codes)) - 1) * float((1 - probability).sum())
        breaks = float(np.clip(((1 - probability) * begun).sum() / max(chances, 1.0), *_BREAKS_LIMITS))
    return Flakiness(probability, rate, (1 - probability) * failing + probability * _streak(fails, total, burst))


def _by_code(codes: Counts) -> NDArray[np.intp]:
    """Runs of equal code side by side, each code where it was first seen."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return np.lexsort((np.arange(len(codes)), first[inverse]))


def _bursts(failed: Bools, ran: Bools, groups: Counts) -> Floats:
    """(T, R): how often any test of the group failed in that run, where that is far above what is usual for the group; else 0.

    Only tests that rarely fail are counted: those that often do would hide it.
    """
    result = np.zeros(failed.shape)
    fresh = failed & (failed.sum(axis=1) <= max(2, failed.shape[1] // 10))[:, None]
    for group in np.unique(groups):
        members = groups == group
        count = np.maximum(ran[members].sum(axis=0), 1)
        share = fresh[members].sum(axis=0) / count
        usual = max(float(np.median(share)), 1 / max(int(members.sum()), 1))
        every = np.minimum(failed[members].sum(axis=0) / count, BURST_MAX)
        result[members] = np.where(share > BURST_FACTOR * usual, every, 0.0)[None, :]
    return result


def _steady(fails: Counts, total: Counts, codes: Counts, burst: Floats, breaks: float) -> tuple[Floats, Floats, Floats]:
    """Log-likelihood of the steady story; within it the probability that the newest code fails, and how often a change broke it."""
    tests = len(fails)
    good, bad = np.full(tests, 1 - breaks), np.full(tests, breaks)
    logs, begun = np.zeros(tests), np.zeros(tests)
    passes = total - fails
    for run in range(fails.shape[1]):
        held = bad
        if run and codes[run] != codes[run - 1]:
            good, bad = good * (1 - breaks) + bad * MENDS, good * breaks + bad * (1 - MENDS)
        failed, passed, ill = fails[:, run], passes[:, run], _ill(burst[:, run], total[:, run])
        good = good * (np.where(failed > 0, ill, 0.0) + (1 - burst[:, run]) * SPARK**failed * (1 - SPARK) ** passed)
        bad = bad * ODD**passed * (1 - ODD) ** failed
        scale = np.maximum(good + bad, 1e-300)
        good, bad, logs = good / scale, bad / scale, logs + np.log(scale)
        begun += np.maximum(bad - held, 0.0)
    return logs, bad, begun


def _ill(burst: Floats, executions: Counts) -> Floats:
    """Probability of any one count of failures on a bad day: retries then share their fate, so a run of a test counts once."""
    shares: Floats = burst / np.maximum(executions, 1)
    return shares


def _by_chance(fails: Counts, total: Counts, burst: Floats) -> tuple[Floats, Floats]:
    """Log-likelihood of the flaky story, and the mean rate of failures within it."""
    passes, calm = total - fails, burst == 0
    failed, passed = (fails * calm).sum(axis=1)[:, None], (passes * calm).sum(axis=1)[:, None]
    logs = failed * np.log(_RATES) + passed * np.log1p(-_RATES) + np.log(_WEIGHTS / _WEIGHTS.sum())
    for run in np.flatnonzero(~calm.all(axis=0)):
        rows = np.flatnonzero(~calm[:, run] & (total[:, run] > 0))
        failed, passed, day = fails[rows, run][:, None], passes[rows, run][:, None], burst[rows, run]
        ill = np.where(failed > 0, _ill(day, total[rows, run])[:, None], 0.0)
        logs[rows] += np.log(ill + (1 - day)[:, None] * _RATES**failed * (1 - _RATES) ** passed)
    top = logs.max(axis=1, keepdims=True)
    weights = np.exp(logs - top)
    return (top[:, 0] + np.log(weights.sum(axis=1))), (weights @ _RATES) / weights.sum(axis=1)


def _streak(fails: Counts, total: Counts, burst: Floats) -> Floats:
    """Probability that a flaky test's newest failures in a row are a break and no chance, by its rate before them."""
    alive, streak = np.ones(len(fails), dtype=bool), np.zeros(fails.shape, dtype=bool)
    for run in range(fails.shape[1] - 1, -1, -1):
        ran = total[:, run] > 0
        alive &= ~ran | (fails[:, run] == total[:, run])
        streak[:, run] = alive & ran
    _, before = _by_chance(np.where(streak, 0, fails), np.where(streak, 0, total), burst)
    length = np.where(streak, fails, 0).sum(axis=1)
    return np.where(length > 0, BREAKS / (BREAKS + before**length), 0.0)
