"""What past weeks say of weeks to come: hours that were left for the plan after interruptions, and how much was finished."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BLOCK_WEEKS = 3
"""Good and bad weeks come in rows, so weeks are drawn in rows. Source: Künsch 1989, the moving block bootstrap."""
WEEKS_MIN = 4
WEEKS_AHEAD_MAX = 520
_SILENCE = 1e-9


def draw_weeks(past: Floats, *, weeks: int, runs: int, seed: int) -> Floats:
    """(runs, weeks) drawn from ``past`` (weeks,) in rows, past weeks in a circle. Raises: ValueError with fewer than four past weeks."""
    if len(past) < WEEKS_MIN:
        raise ValueError(f"{len(past)} past weeks say too little; at least {WEEKS_MIN} are needed")
    if not np.isfinite(past).all() or (past < 0).any():
        raise ValueError("what was done in a week is finite and not negative")
    random = np.random.default_rng(seed)
    # Week by week, so that looking further ahead leaves the nearer weeks of each run as they were.
    begins = random.integers(0, len(past), (-(-weeks // BLOCK_WEEKS), runs)).T
    place = (begins[:, :, None] + np.arange(BLOCK_WEEKS)) % len(past)
    found: Floats = past[place.reshape(runs, -1)[:, :weeks]]
    return found


def weeks_to_finish(work: Floats, past: Floats, *, seed: int) -> Floats:
    """(runs,) weeks until ``work`` (runs,) is done at the pace of ``past`` weeks, both in the same unit (hours, or tasks).

    Infinity where it is not done in ten years: a team that finished nothing gets no date. Raises: ValueError, see ``draw_weeks``.
    """
    mean = float(past.mean()) if len(past) else 0.0
    if mean <= _SILENCE:
        return np.where(work > 0, np.inf, 0.0)
    weeks = int(min(WEEKS_AHEAD_MAX, 4 + 2 * np.ceil(np.max(work, initial=0.0) / mean)))
    done = np.cumsum(draw_weeks(past, weeks=weeks, runs=len(work), seed=seed), axis=1)
    if weeks < WEEKS_AHEAD_MAX and (done[:, -1] < work).any():
        done = np.cumsum(draw_weeks(past, weeks=WEEKS_AHEAD_MAX, runs=len(work), seed=seed), axis=1)
    whole = (done < work[:, None]).sum(axis=1)
    last = np.minimum(whole, done.shape[1] - 1)
    line = np.arange(len(work))
    before = np.where(last > 0, done[line, np.maximum(last - 1, 0)], 0.0)
    within = (work - before) / np.maximum(done[line, last] - before, _SILENCE)
    return np.where(whole >= done.shape[1], np.inf, whole + np.clip(within, 0.0, 1.0))


def with_interruptions(hours: Floats, lost_share: Floats, *, week_h: float, seed: int) -> Floats:
    """(runs,) weeks for ``hours`` (runs,) of undisturbed work, when incidents, reviews and help took ``lost_share`` of each past week.

    ``week_h``: working hours of a week. Raises: ValueError, see ``draw_weeks``, and when a share is not in [0, 1].
    """
    if ((lost_share < 0) | (lost_share > 1)).any():
        raise ValueError("the lost part of a week is between 0 and 1")
    return weeks_to_finish(hours, (1 - lost_share) * week_h, seed=seed)


def delivered(efforts: Floats, capacity: Floats) -> tuple[Floats, Floats]:
    """How many tasks a sprint delivers when they are done in the order given: (runs,) counts, and (tasks,) the chance of each.

    ``efforts`` (tasks, runs) and ``capacity`` (runs,) in the same unit; a task that is not whole is not delivered.
    """
    done = np.cumsum(efforts, axis=0) <= capacity
    return done.sum(axis=0).astype(np.float64), done.mean(axis=1)
