"""Good schedules fast: populations that evolve side by side, one for each core."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from productops.stats.schedule.genetic import Pool, copy_row, evaluate, evolve, make_pool, random_list, seed_random
from productops.stats.schedule.kernels import INFEASIBLE, by_start
from productops.stats.schedule.packed import Ints, Packed

Floats = NDArray[np.float64]
ISLAND_SIZE = 60
SLICE_S = 0.15
RATE = 0.01
STALE_SLICES = 6


@dataclass(slots=True)
class Found:
    """The best schedule so far: its value, starts, ends and modes; ``tried``: schedules looked at."""

    value: float
    starts: Ints
    ends: Ints
    modes: Ints
    tried: int = 0


@dataclass(frozen=True, slots=True)
class Seed:
    """A schedule to begin with. ``hold``: nothing starts before its place in the earlier schedule."""

    starts: Ints
    modes: Ints
    hold: bool = False


def priorities(p: Packed) -> list[Floats]:
    """Rules by which lists begin, small first: latest finish, latest start, most work behind, slack by due dates.

    Source: Kolisch and Hartmann 1999, the rules with the best results.
    """
    n = p.activities
    shortest = np.array([p.duration[p.mode_from[i] : p.mode_from[i + 1]].min() for i in range(n)], dtype=np.float64)
    tail, behind = np.zeros(n), np.zeros(n)
    due = np.where(p.due < 2**30, p.due, np.minimum(p.deadline, 2**30)).astype(np.float64)
    for i in np.argsort(p.rank)[::-1]:
        for d in range(p.after_from[i], p.after_from[i + 1]):
            j = p.after[d]
            tail[i] = max(tail[i], tail[j] + shortest[j] + p.after_lag[d])
            behind[i] += behind[j] + shortest[j]
            due[i] = min(due[i], due[j] - shortest[j] - p.after_lag[d])
    return [-tail, -(tail + shortest), -np.log1p(behind) * 10, due]


class Search:
    """Islands that evolve in threads; compiled code lets the others run. Ends by time, count or ``target``."""

    def __init__(self, p: Packed, *, islands: int, seeds: Sequence[Seed] = (), size: int = ISLAND_SIZE, random_seed: int = 1) -> None:
        self.p, self.seeds, self.size = p, seeds, size
        self.pools = [make_pool(p, size + 1) for _ in range(islands)]
        self.rules = priorities(p)
        self.random_seed = random_seed
        self.justify = 1

    def run(self, seconds: float, *, target: float = -1.0, stop: Callable[[], bool] = lambda: False) -> Found | None:
        """Evolve for ``seconds``, or until a value of ``target`` or less, or ``stop``. None: nothing feasible was found."""
        ends_at = time.monotonic() + seconds
        if len(self.pools) == 1:
            self._island(0, ends_at, target, stop)
        else:
            with ThreadPoolExecutor(len(self.pools)) as threads:
                jobs = [threads.submit(self._island, number, ends_at, target, stop) for number in range(len(self.pools))]
                for job in jobs:
                    job.result()
        return self.best()

    def best(self) -> Found | None:
        """Of all islands."""
        pool = min(self.pools, key=lambda each: float(each.values.min()))
        row = int(np.argmin(pool.values))
        if pool.values[row] >= INFEASIBLE:
            return None
        tried = sum(int(each.tried[0]) for each in self.pools)
        return Found(float(pool.values[row]), pool.starts[row].copy(), pool.ends[row].copy(), pool.chosen[row].copy(), tried)

    def _done(self, ends_at: float, target: float, stop: Callable[[], bool]) -> bool:
        return time.monotonic() >= ends_at or min(float(each.values.min()) for each in self.pools) <= target or stop()

    def _island(self, number: int, ends_at: float, target: float, stop: Callable[[], bool]) -> None:
        pool = self.pools[number]
        seed_random(self.random_seed * 1000 + number)
        random = np.random.default_rng(self.random_seed * 1000 + number)
        if pool.values.min() >= INFEASIBLE:
            for row, seed in enumerate(self.seeds[: self.size // 2]):
                self.plant(pool, row, seed)
            self._fill(pool, len(self.seeds[: self.size // 2]), random, ends_at)
        children, stale, best = 8, 0, float(pool.values.min())
        while not self._done(ends_at, target, stop):
            began = time.monotonic()
            taken = evolve(self.p, pool, children, RATE, self.justify)
            children = max(4, min(20_000, int(children * SLICE_S / max(1e-4, time.monotonic() - began))))
            stale = 0 if pool.values.min() < best or taken > children // 50 else stale + 1
            best = min(best, float(pool.values.min()))
            if stale >= STALE_SLICES:
                self._restart(pool, number, random, ends_at)
                stale, best = 0, float(pool.values.min())

    def plant(self, pool: Pool, row: int, seed: Seed) -> None:
        """A known schedule as row ``row``."""
        pool.orders[row] = by_start(self.p, seed.starts)
        pool.genes[row] = seed.modes
        pool.holds[row] = int(seed.hold)
        evaluate(self.p, pool, row, 0 if seed.hold else self.justify)

    def _fill(self, pool: Pool, first: int, random: np.random.Generator, ends_at: float) -> None:
        """Rows from ``first`` on by the priority rules: first strictly, then ever more loosely."""
        for row in range(first, self.size):
            if row > first + 2 and time.monotonic() >= ends_at:
                return
            turn = row - first
            rule = self.rules[turn % len(self.rules)]
            bias = 100.0 if turn < len(self.rules) else float(random.choice([1.0, 2.0, 4.0, 8.0]))
            scaled = rule / max(1.0, float(np.abs(rule).max())) * self.p.activities
            random_list(self.p, scaled, bias, pool.orders[row])
            pool.genes[row] = -1
            pool.holds[row] = (self.p.kept_start >= 0) * int(random.integers(2))
            evaluate(self.p, pool, row, self.justify)

    def _restart(self, pool: Pool, number: int, random: np.random.Generator, ends_at: float) -> None:
        """Keep the best and a guest from the next island, and begin anew with the rest."""
        copy_row(pool, int(np.argmin(pool.values)), 0)
        first = 1
        if len(self.pools) > 1:
            guest = self.best()
            if guest is not None:
                self.plant(pool, 1, Seed(guest.starts, guest.modes))
                first = 2
        del number
        self._fill(pool, first, random, ends_at)
