"""When will a series cross a limit: disks that fill, leaks, quotas. With an interval, and unimpressed by saw teeth.

The future is drawn from the past: blocks of what the series did, one after the other (a block bootstrap, Künsch 1989), from a stretch of
the past that is like the present. A log that is rotated every night falls every night in the drawn futures, too. When the series
has lately grown as it never did before, only that growth is drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PATHS: Final = 300
GRID: Final = 240
POINTS_MIN: Final = 12
RECENT: Final = (16, 8, 4)
"""The newest sixteenth, eighth and quarter of the past are asked whether they grow as nothing before did."""
_SEED: Final = 20_240_229


@dataclass(frozen=True, slots=True)
class Crossing:
    """Seconds from now until the limit is crossed: median and 80 % interval, infinite beyond the horizon.

    ``probability``: of crossing within the horizon. ``per_hour``: how fast it grows (towards the limit positive). ``since_s``: length
    of the past that was drawn from.
    """

    lead_s: float
    early_s: float
    late_s: float
    probability: float
    per_hour: float
    since_s: float


def forecast_crossing(at: Floats, values: Floats, limit: float, *, below: bool = False, horizon_s: float = 86_400.0) -> Crossing | None:
    """When ``values`` (at Unix seconds ``at``, rising, any spacing) cross ``limit``; ``below``: by falling.

    None when there are too few points to say anything, or no spread of time. Lead 0: it is beyond the limit now.
    """
    good = np.isfinite(values)
    at, values = at[good], values[good]
    if len(at) < POINTS_MIN or at[-1] <= at[0]:
        return None
    sign = -1.0 if below else 1.0
    grid, step_s = _on_grid(at, sign * values)
    if grid[-1] >= sign * limit:
        return Crossing(0.0, 0.0, 0.0, 1.0, _slope(grid) / step_s * 3600.0, float(at[-1] - at[0]))
    recent, tooth_s = _peaks(grid, step_s)
    if len(recent) == 0:
        recent, tooth_s = _unprecedented(grid), step_s
    whole = len(recent) == len(grid)
    moves = _after_fall(np.diff(recent), float(np.ptp(recent))) if tooth_s == step_s else np.diff(recent)
    room = sign * limit - recent[-1]
    step_s = tooth_s
    crossed = _draw(moves, room=room, steps=max(2, int(np.ceil(horizon_s / step_s))), whole=whole)
    seconds = np.where(np.isfinite(crossed), crossed * step_s, np.inf)
    early, median, late = (float(np.quantile(seconds, q, method="higher")) for q in (0.1, 0.5, 0.9))
    share = float(np.mean(np.isfinite(seconds)))
    return Crossing(median, early, late, share, _slope(recent) / step_s * 3600.0, step_s * (len(recent) - 1))


def _on_grid(at: Floats, values: Floats) -> tuple[Floats, float]:
    count = min(GRID, len(at))
    grid_at = np.linspace(at[0], at[-1], count)
    return np.interp(grid_at, at, values), float(grid_at[1] - grid_at[0])


def _slope(grid: Floats) -> float:
    """Median of slopes between points half the length apart (Theil and Sen, thinned): units per step."""
    half = max(1, len(grid) // 2)
    return float(np.median((grid[half:] - grid[:-half]) / half))


def _unprecedented(grid: Floats) -> Floats:
    """The newest stretch that grew far more than any stretch of its length before; else the whole past."""
    for share in RECENT:
        length = max(POINTS_MIN, len(grid) // share)
        if len(grid) < 2 * length:
            continue
        gains = grid[length:] - grid[:-length]
        before = gains[:-length] if len(gains) > length else gains[:1]
        steady = np.mean(np.diff(grid[-length:]) > 0) > 0.6
        if steady and gains[-1] > 0 and gains[-1] > 2.0 * max(float(np.max(before)), 0.0) + 3.0 * float(np.std(np.diff(grid[:-length]))):
            return grid[-length:]
    return grid


def _falls(moves: Floats, height: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last step of each steep fall; a fall may take several steps."""
    steep = np.flatnonzero(moves < -0.2 * height) if height > 0 else np.empty(0, np.int64)
    return steep[np.diff(steep, prepend=-10) > 1], steep[np.diff(steep, append=len(moves) + 10) > 1]


def _peaks(grid: Floats, step_s: float) -> tuple[Floats, float]:
    """Of saw teeth only their tops, and the time between two; none where there are no two teeth, or this one is higher than all."""
    firsts, _ = _falls(np.diff(grid), float(np.ptp(grid)))
    if len(firsts) < 2:
        return np.empty(0), step_s
    tops = grid[firsts]
    if grid[-1] > np.max(tops) + np.ptp(grid) * 0.1:
        return np.empty(0), step_s
    return tops, float(np.median(np.diff(firsts))) * step_s


def _after_fall(moves: Floats, height: float) -> Floats:
    """Of a past with a single fall, what came since and the fall itself: growth is believed once it is higher than the last peak."""
    firsts, lasts = _falls(moves, height)
    if len(firsts) == 0:
        return moves
    whole = moves[firsts[0] :] if len(firsts) == 1 else moves[lasts[-1] + 1 :]
    return whole if len(whole) >= 2 else moves


def _draw(moves: Floats, *, room: float, steps: int, whole: bool) -> Floats:
    """Steps until each drawn path has gained ``room``; infinite for those that do not within ``steps``.

    Blocks are about a sixth of the past, so that whole teeth are drawn; of a new growth they are short, for it has no teeth yet.
    """
    random = np.random.default_rng(_SEED)
    block = max(2, len(moves) // (6 if whole else 12))
    blocks = -(-steps // block)
    starts = random.integers(0, len(moves), size=(PATHS, blocks))
    index = (starts[:, :, None] + np.arange(block)) % len(moves)
    # The mean itself is not known: each path has one of its own, drawn as the past allows.
    doubt = random.normal(0.0, 1.0, PATHS) * _doubt(moves, block)
    paths = np.cumsum(moves[index].reshape(PATHS, -1)[:, :steps] + doubt[:, None], axis=1)
    crossed = paths >= room
    first = np.argmax(crossed, axis=1) + 1.0
    return np.where(crossed.any(axis=1), first, np.inf)


def _doubt(moves: Floats, block: int) -> float:
    """Standard error of the mean move, from the means of blocks."""
    count = len(moves) // block
    if count < 2:
        return float(np.std(moves)) / float(np.sqrt(max(len(moves), 1)))
    means = moves[: count * block].reshape(count, block).mean(axis=1)
    return float(np.std(means, ddof=1)) / float(np.sqrt(count))
