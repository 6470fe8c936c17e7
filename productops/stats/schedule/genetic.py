"""A genetic algorithm on activity lists with justification, compiled.

Source: Valls, Ballestín and Quintanilla 2008, "A hybrid genetic algorithm for the resource-constrained project scheduling problem":
lists of activities, serial generation, double justification of each child, and a crossover that keeps the stretches of a parent in
which resources are used most. Modes are genes beside the list; -1 takes what ends first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from productops.stats.schedule.compiled import compiled
from productops.stats.schedule.kernels import INFEASIBLE, by_start, decode, push_left, push_right, value_of
from productops.stats.schedule.packed import NONE, Ints, Packed

Floats = NDArray[np.float64]


class Pool(NamedTuple):
    """A population of ``s`` schedules: (s, n) lists, genes, starts, ends and modes, and (s,) values; and room for work."""

    orders: Ints
    genes: Ints
    holds: Ints
    starts: Ints
    ends: Ints
    chosen: Ints
    values: Floats
    free: Ints
    tried: NDArray[np.int64]


def make_pool(p: Packed, size: int) -> Pool:
    """Room for ``size`` schedules; nothing in it yet."""
    n = p.activities
    lists = [np.zeros((size, n), dtype=np.int32) for _ in range(6)]
    return Pool._make([*lists, np.full(size, INFEASIBLE), p.capacity.copy(), np.zeros(1, dtype=np.int64)])


@compiled
def seed_random(seed: int) -> None:
    """Start this thread's stream of random numbers."""
    np.random.seed(seed)


@compiled
def random_list(p: Packed, priority: Floats, bias: float, order: Ints) -> None:
    """A list in which nothing is before what it waits for; small ``priority`` first, loosely (``bias`` 0: at random).

    Source: regret-based biased random sampling, Drexl 1991.
    """
    n = len(priority)
    waiting = np.empty(n, dtype=np.int32)
    ready = np.empty(n, dtype=np.int32)
    count = 0
    for i in range(n):
        waiting[i] = p.before_from[i + 1] - p.before_from[i]
        if waiting[i] == 0:
            ready[count] = i
            count += 1
    for position in range(n):
        pick = draw(priority, ready, count, bias)
        i = ready[pick]
        order[position] = i
        count -= 1
        ready[pick] = ready[count]
        for d in range(p.after_from[i], p.after_from[i + 1]):
            j = p.after[d]
            waiting[j] -= 1
            if waiting[j] == 0:
                ready[count] = j
                count += 1


@compiled
def draw(priority: Floats, ready: Ints, count: int, bias: float) -> int:
    """A place in ``ready``, by regret to the power of ``bias``; of a bias of 100 and more the best."""
    worst, best, where = -np.inf, np.inf, 0
    for c in range(count):
        value = priority[ready[c]]
        worst = max(worst, value)
        if value < best:
            best, where = value, c
    if bias >= 100:
        return where
    total = 0.0
    for c in range(count):
        total += (worst - priority[ready[c]] + 1.0) ** bias
    left = np.random.random() * total
    for c in range(count):
        left -= (worst - priority[ready[c]] + 1.0) ** bias
        if left <= 0:
            return c
    return count - 1


@compiled
def evaluate(p: Packed, pool: Pool, row: int, justify: int) -> None:
    """Make row ``row``'s schedule, justify it unless ``justify`` is 0, and write its list anew in the order of starts."""
    starts, ends, chosen = pool.starts[row], pool.ends[row], pool.chosen[row]
    pool.tried[0] += 1
    pool.values[row] = INFEASIBLE
    if not decode(p, pool.orders[row], pool.genes[row], pool.holds[row], pool.free, starts, ends, chosen):
        return
    pool.values[row] = value_of(p, starts, ends, chosen)
    pool.orders[row] = by_start(p, starts)
    if justify == 0:
        return
    s, e = starts.copy(), ends.copy()
    pool.tried[0] += 2
    if push_right(p, pool.free, s, e, chosen) and push_left(p, pool.free, s, e, chosen):
        value = value_of(p, s, e, chosen)
        if value <= pool.values[row]:
            starts[:], ends[:], pool.values[row] = s, e, value
            pool.orders[row] = by_start(p, s)


@compiled
def tournament(values: Floats, size: int) -> int:
    """The better of two drawn ones."""
    one, two = np.random.randint(size), np.random.randint(size)
    return one if values[one] <= values[two] else two


@compiled
def use_peaks(p: Packed, pool: Pool, row: int, peak: Ints) -> None:
    """Mark the activities of ``row`` that run while resources are used most: about a half to all but a tenth of the highest use."""
    n = len(peak)
    finish = pool.ends[row].max()
    use = np.zeros(finish + 1, dtype=np.float64)
    for i in range(n):
        mode = p.mode_from[i] + pool.chosen[row, i]
        for d in range(p.need_from[mode], p.need_from[mode + 1]):
            share = p.need_units[d] / max(1.0, float(p.capacity[pool.starts[row, i], p.need_resource[d]]))
            for slot in range(pool.starts[row, i], pool.ends[row, i]):
                use[slot] += share
    bar = use.max() * (0.5 + 0.4 * np.random.random())
    for i in range(n):
        peak[i] = 0
        for slot in range(pool.starts[row, i], pool.ends[row, i]):
            if use[slot] >= bar:
                peak[i] = 1
                break


@compiled
def cross(p: Packed, pool: Pool, mother: int, father: int, child: int) -> None:
    """Two-point, or along the mother's peaks: a stretch of the list from her, the rest in the order of the father."""
    n = pool.orders.shape[1]
    taken = np.zeros(n, dtype=np.int32)
    if np.random.random() < 0.5:
        use_peaks(p, pool, mother, taken)
        peak_lists(p, pool, mother, father, child, taken)
    else:
        low, high = np.random.randint(n + 1), np.random.randint(n + 1)
        two_point(pool, mother, father, child, min(low, high), max(low, high))


@compiled
def inherit(pool: Pool, parent: int, child: int, i: int) -> None:
    """The genes of activity ``i``."""
    pool.genes[child, i] = pool.genes[parent, i]
    pool.holds[child, i] = pool.holds[parent, i]


@compiled
def two_point(pool: Pool, mother: int, father: int, child: int, low: int, high: int) -> None:
    """Mother's list up to ``low`` and from ``high``; between them what is left, in the father's order."""
    n = pool.orders.shape[1]
    taken = np.zeros(n, dtype=np.int32)
    for position in range(low):
        i = pool.orders[mother, position]
        pool.orders[child, position] = i
        taken[i] = 1
        inherit(pool, mother, child, i)
    position = low
    for each in range(n):
        i = pool.orders[father, each]
        if position < high and taken[i] == 0:
            pool.orders[child, position] = i
            taken[i] = 1
            position += 1
            inherit(pool, father, child, i)
    for each in range(n):
        i = pool.orders[mother, each]
        if taken[i] == 0:
            pool.orders[child, position] = i
            position += 1
            inherit(pool, mother, child, i)


@compiled
def peak_lists(p: Packed, pool: Pool, mother: int, father: int, child: int, peak: Ints) -> None:
    """Activities of the mother's peaks keep her places in time, the others the father's: sorted by a common scale of time."""
    n = pool.orders.shape[1]
    key = np.empty(n, dtype=np.float64)
    place = np.empty(n, dtype=np.float64)
    for position in range(n):
        place[pool.orders[father, position]] = position
    for position in range(n):
        i = pool.orders[mother, position]
        if peak[i] == 1:
            place[i] = position
            inherit(pool, mother, child, i)
        else:
            inherit(pool, father, child, i)
    # An activity comes after all it waits for, whatever the parents' places say.
    for r in np.argsort(p.rank):
        key[r] = place[r]
        for d in range(p.before_from[r], p.before_from[r + 1]):
            key[r] = max(key[r], key[p.before[d]] + 1e-6)
    pool.orders[child] = np.argsort(key)


@compiled
def waits_for(p: Packed, one: int, other: int) -> bool:
    """Whether ``one`` directly waits for ``other``."""
    for d in range(p.before_from[one], p.before_from[one + 1]):  # noqa: SIM110 — a generator does not compile
        if p.before[d] == other:
            return True
    return False


@compiled
def mutate(p: Packed, pool: Pool, child: int, rate: float) -> None:
    """Swap neighbours of the list, and draw modes and holds anew, each with probability ``rate``."""
    n = pool.orders.shape[1]
    for position in range(n - 1):
        if np.random.random() < rate:
            i, j = pool.orders[child, position], pool.orders[child, position + 1]
            if not waits_for(p, j, i):
                pool.orders[child, position], pool.orders[child, position + 1] = j, i
    for i in range(n):
        modes = p.mode_from[i + 1] - p.mode_from[i]
        if modes > 1 and np.random.random() < rate:
            pool.genes[child, i] = np.random.randint(modes + 1) - 1
        if p.kept_start[i] != NONE and np.random.random() < rate:
            pool.holds[child, i] = 1 - pool.holds[child, i]


@compiled
def is_known(pool: Pool, row: int) -> bool:
    """Whether another row holds the same schedule."""
    for other in range(len(pool.values)):
        if other != row and pool.values[other] == pool.values[row]:
            same = True
            for i in range(pool.starts.shape[1]):
                if pool.starts[other, i] != pool.starts[row, i] or pool.chosen[other, i] != pool.chosen[row, i]:
                    same = False
                    break
            if same:
                return True
    return False


@compiled
def copy_row(pool: Pool, source: int, target: int) -> None:
    """Row ``source`` over row ``target``."""
    pool.orders[target], pool.genes[target], pool.holds[target] = pool.orders[source], pool.genes[source], pool.holds[source]
    pool.starts[target], pool.ends[target], pool.chosen[target] = pool.starts[source], pool.ends[source], pool.chosen[source]
    pool.values[target] = pool.values[source]


@compiled
def evolve(p: Packed, pool: Pool, children: int, rate: float, justify: int) -> int:
    """Make ``children``; each that is better than the worst and new takes its place. The last row is the cradle. How many did."""
    cradle = len(pool.values) - 1
    taken = 0
    for _ in range(children):
        mother, father = tournament(pool.values, cradle), tournament(pool.values, cradle)
        cross(p, pool, mother, father, cradle)
        mutate(p, pool, cradle, rate)
        evaluate(p, pool, cradle, justify)
        worst = int(np.argmax(pool.values[:cradle]))
        if pool.values[cradle] <= pool.values[worst] and not is_known(pool, cradle):
            copy_row(pool, cradle, worst)
            taken += 1
    return taken
