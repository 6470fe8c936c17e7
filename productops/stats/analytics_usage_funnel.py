"""How far each person came through a funnel: the compiled walks over one person's events after another.

Events come sorted by (person, at). ``bits`` uint32: bit ``s`` (0 to 15) fits step ``s + 1``, bit ``16 + x`` is exclusion ``x``. The rules
are written out in docs/explanation/usage.md; those of ordered and strict funnels follow what PostHog's tests publish.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from productops.stats.analytics_usage_inline import inlined
from productops.stats.analytics_usage_order import Ints, Uints
from productops.stats.schedule.compiled import compiled

Bits = npt.NDArray[np.uint32]
Codes = npt.NDArray[np.int32]
Reached = npt.NDArray[np.int8]
Chains = npt.NDArray[np.int64]
STEPS_MAX = 16
EXCLUDED = -1
NO_VALUE = -1
NEVER = -(1 << 62)
FIRST_TOUCH, LAST_TOUCH = 1, 2
# Places in the numbers that say how to walk; pairs of steps of the exclusions follow.
WINDOW_US, ENTER_BEFORE, STRICT, TOUCH, BETWEEN = 0, 1, 2, 3, 4


# A chain of steps is a row of numbers: when it began, whether an exclusion tainted it, the instants of its steps, the events of its steps.
# Row 0 is the furthest that was reached, with the number of steps in column 2; row ``s`` the newest chain that came to step ``s``.
START, TAINTED, LENGTH, TIMES = 0, 1, 2, 3


def walking(window_us: int, enter_before: int, *, strict: bool = False, touch: int = 0, between: Sequence[tuple[int, int]] = ()) -> Ints:
    """How to walk, as numbers. ``enter_before``: no first step from then on (µs); ``between``: two steps for each exclusion, from 1.

    ``strict``: nothing may happen between two steps. ``touch``: whose value is told, 0: nobody's.
    """
    return np.array([window_us, enter_before, strict, touch, *(step for pair in between for step in pair)], dtype=np.int64)


@inlined
def _is_used(event: int, step: int, chains: Chains) -> bool:
    """Whether an event is a step already of the chain that has come to ``step``."""
    for earlier in range(1, step + 1):  # noqa: SIM110 - a generator does not compile
        if chains[step, TIMES + len(chains) + earlier] == event:
            return True
    return False


@inlined
def _extend(step: int, event: int, now: int, chains: Chains) -> None:
    """Make row ``step`` of the chain before it and an event."""
    used = TIMES + len(chains)
    chains[step, START] = chains[step - 1, START] if step > 1 else now
    for earlier in range(1, step):
        chains[step, TIMES + earlier] = chains[step - 1, TIMES + earlier]
        chains[step, used + earlier] = chains[step - 1, used + earlier]
    chains[step, TIMES + step] = now
    chains[step, used + step] = event
    chains[step, TAINTED] = 0


@inlined
def _remember(step: int, now: int, start: int, tainted: int, chains: Chains) -> None:
    """Keep the furthest: a step further, or as far where the furthest is tainted."""
    if step < chains[0, LENGTH] or (step == chains[0, LENGTH] and not chains[0, TAINTED]):
        return
    for earlier in range(1, step):
        chains[0, TIMES + earlier] = chains[step - 1, TIMES + earlier]
    chains[0, TIMES + step] = now
    chains[0, LENGTH], chains[0, TAINTED], chains[0, START] = step, tainted, start


@inlined
def _advance(step: int, event: int, now: int, chains: Chains, rules: Ints) -> None:
    """Let ``event`` be step ``step`` of the chain that has come to the step before it."""
    start = now if step == 1 else chains[step - 1, START]
    late = step == 1 and now >= rules[ENTER_BEFORE]
    if late or start == NEVER or now - start > rules[WINDOW_US] or chains[step, START] == start:
        return
    tainted = chains[step - 1, TAINTED] if step > 1 else 0
    if not tainted:
        _extend(step, event, now, chains)
    _remember(step, now, start, tainted, chains)


@compiled
def _exclude(begin: int, end: int, now: int, chains: Chains, window_us: int) -> None:
    """Taint every chain that stands between the two steps of an exclusion."""
    for step in range(begin, end):
        if chains[step, START] != NEVER and now - chains[step, START] <= window_us and not chains[step, TAINTED]:
            chains[step, TAINTED] = 1
            if chains[0, LENGTH] == step and now - chains[0, START] <= window_us:
                chains[0, TAINTED] = 1


@compiled
def _touch(first: int, last: int, bits: Bits, value: Codes, steps_mask: int, touch: int) -> int:
    """The first or last value that an event of any step told."""
    found = -1
    for i in range(first, last):
        if value[i] >= 0 and bits[i] & np.uint32(steps_mask):
            found = value[i]
            if touch == FIRST_TOUCH:
                break
    return found


@inlined
def _fits(bits: int, place: int) -> bool:
    return (bits >> place) & 1 == 1


@inlined
def _is_one_kind(bits: Bits, first: int, last: int) -> bool:
    for i in range(first + 1, last):  # noqa: SIM110 - a generator does not compile
        if bits[i] != bits[first]:
            return False
    return True


@inlined
def _exclusions(event: int, now: int, bits: Bits, chains: Chains, rules: Ints) -> None:
    for which in range((len(rules) - BETWEEN) // 2):
        if _fits(bits[event], 16 + which):
            _exclude(rules[BETWEEN + 2 * which], rules[BETWEEN + 2 * which + 1], now, chains, rules[WINDOW_US])


@inlined
def _alone(event: int, now: int, bits: Bits, chains: Chains, rules: Ints) -> None:
    """An event that shares its instant with none that differs."""
    steps = len(chains) - 1
    _exclusions(event, now, bits, chains, rules)
    for turn in range(steps):
        step = steps - turn
        if _fits(bits[event], step - 1):
            _advance(step, event, now, chains, rules)
        if rules[STRICT] and chains[step, TIMES + steps + 1 + step] != event:
            chains[step, START] = NEVER


@compiled
def _together(i: int, j: int, now: int, bits: Bits, chains: Chains, rules: Ints) -> None:
    """Different events of one instant: exclusions first, then the steps in their order, each event once."""
    for event in range(i, j):
        _exclusions(event, now, bits, chains, rules)
    for step in range(1, len(chains)):
        for event in range(i, j):
            if _fits(bits[event], step - 1) and not _is_used(event, step - 1, chains):
                _advance(step, event, now, chains, rules)


@inlined
def _walk_one(first: int, last: int, at: Ints, bits: Bits, chains: Chains, rules: Ints) -> None:
    """All events of one person, until the last step is reached."""
    steps = len(chains) - 1
    for step in range(steps + 1):
        chains[step, START], chains[step, TAINTED], chains[step, LENGTH] = NEVER, 0, 0
        chains[step, TIMES + steps + 1 + step] = -1
    i = first
    while i < last and chains[steps, START] == NEVER:
        j = i + 1
        while j < last and at[j] == at[i]:
            j += 1
        if _is_one_kind(bits, i, j):
            for event in range(i, j):
                _alone(event, at[i], bits, chains, rules)
        else:
            _together(i, j, at[i], bits, chains, rules)
        i = j


@inlined
def _end_of(person: Uints, first: int) -> int:
    """Where the events of a person end."""
    last = first + 1
    while last < len(person) and person[last] == person[first]:
        last += 1
    return last


@compiled
def walk_ordered(
    person: Uints, at: Ints, bits: Bits, value: Codes, steps: int, rules: Ints
) -> tuple[Uints, Reached, Codes, Ints]:  # fmt: skip
    """Person, steps reached (-1: excluded), value, and the instants of the steps (people × steps in a row) of all who took the first step.

    ``rules`` as ``walking`` makes them.
    """
    n = len(person)
    people, reached, values = np.empty(n, np.uint64), np.empty(n, np.int8), np.empty(n, np.int32)
    instants = np.empty(n * steps, np.int64)
    chains = np.zeros((steps + 1, TIMES + 2 * (steps + 1)), np.int64)
    m = first = 0
    while first < n:
        last = _end_of(person, first)
        _walk_one(first, last, at, bits, chains, rules)
        if chains[0, LENGTH] > 0:
            people[m] = person[first]
            reached[m] = EXCLUDED if chains[0, TAINTED] else chains[0, LENGTH]
            values[m] = _touch(first, last, bits, value, (1 << steps) - 1, rules[TOUCH]) if rules[TOUCH] else NO_VALUE
            for step in range(steps):
                instants[m * steps + step] = chains[0, TIMES + step + 1] if step < chains[0, LENGTH] else 0
            m += 1
        first = last
    return people[:m].copy(), reached[:m].copy(), values[:m].copy(), instants[: m * steps].copy()


# What is known while steps are looked for in any order, a column for each step: the event that holds it, the step that would give its
# event away (-1: the new event, -2: nobody yet), a queue of steps to look at, and the instants at which one more was held.
HOLDER, CAME_FROM, QUEUE, INSTANTS = 0, 1, 2, 3


@compiled
def _give_way(step: int, event: int, matching: Ints) -> None:
    """Move events along the way that was found, and let the new one hold the first step of it."""
    while matching[CAME_FROM, step] >= 0:
        giver = matching[CAME_FROM, step]
        matching[HOLDER, step] = matching[HOLDER, giver]
        step = giver
    matching[HOLDER, step] = event


@compiled
def _ask(bits: int, giver: int, tail: int, matching: Ints) -> int:
    """Add the steps that an event fits to the queue; returns its new end."""
    for step in range(matching.shape[1]):
        if matching[CAME_FROM, step] == -2 and _fits(bits, step):
            matching[CAME_FROM, step] = giver
            matching[QUEUE, tail] = step
            tail += 1
    return tail


@compiled
def _place(event: int, bits: Bits, matching: Ints) -> bool:
    """Give ``event`` a step of its own, moving others to another step they fit where that helps (an augmenting path)."""
    for step in range(matching.shape[1]):
        matching[CAME_FROM, step] = -2
    head, tail = 0, _ask(bits[event], -1, 0, matching)
    while head < tail:
        step = matching[QUEUE, head]
        head += 1
        if matching[HOLDER, step] < 0:
            _give_way(step, event, matching)
            return True
        tail = _ask(bits[matching[HOLDER, step]], step, tail, matching)
    return False


@compiled
def _steps_from(start: int, last: int, at: Ints, bits: Bits, matching: Ints, window_us: int) -> int:
    """How many different steps lie in the window that begins with an event, until an exclusion."""
    steps = matching.shape[1]
    for step in range(steps):
        matching[HOLDER, step] = -1
    count = 0
    i = start
    while i < last and at[i] - at[start] <= window_us and count < steps and not bits[i] >> np.uint32(16):
        if _place(i, bits, matching):
            matching[INSTANTS, count] = at[i]
            count += 1
        i += 1
    return count


@compiled
def walk_unordered(
    person: Uints, at: Ints, bits: Bits, value: Codes, steps: int, rules: Ints
) -> tuple[Uints, Reached, Codes, Ints]:  # fmt: skip
    """As ``walk_ordered`` for steps in any order: how many different steps fit into a window, none of its exclusions between them."""
    n = len(person)
    people, reached, values = np.empty(n, np.uint64), np.empty(n, np.int8), np.empty(n, np.int32)
    instants = np.empty(n * steps, np.int64)
    matching = np.empty((4, steps), np.int64)
    m = first = 0
    while first < n:
        last = _end_of(person, first)
        best = 0
        start = first
        while start < last and best < steps and at[start] < rules[ENTER_BEFORE]:
            count = _steps_from(start, last, at, bits, matching, rules[WINDOW_US])
            if count > best:
                best = count
                for step in range(steps):
                    instants[m * steps + step] = matching[INSTANTS, step] if step < best else 0
            start += 1
        if best > 0:
            people[m], reached[m] = person[first], best
            values[m] = _touch(first, last, bits, value, (1 << steps) - 1, rules[TOUCH]) if rules[TOUCH] else NO_VALUE
            m += 1
        first = last
    return people[:m].copy(), reached[:m].copy(), values[:m].copy(), instants[: m * steps].copy()
