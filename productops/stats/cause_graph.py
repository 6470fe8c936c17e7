"""Who is to blame in a call graph: what each node adds by itself, once what those it calls add is taken away.

A caller waits for those it calls and fails when they do. So the time (or the failures) that a node adds against normal, less what its
callees add, is what it adds by itself: that is what a cause has and a victim has not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CALLEE_NOISES = 1.0
SIGNIFICANT = 8.0
SHARE_POWER = 0.5


@dataclass(frozen=True, slots=True)
class Excess:
    """What a node has more than normal in a window, in the quantity that adds up along calls (seconds waited, failures).

    ``noise`` is how much the same figure varies without any incident (one standard deviation).
    """

    amount: float
    noise: float


@dataclass(frozen=True, slots=True)
class Blame:
    """``own``: what a node adds by itself. ``share``: of what the symptom adds, 0 to 1. ``noises``: ``own`` in standard deviations.

    ``score``, 0 to 1, is large where a large share is surely a node's own.
    """

    own: float
    share: float
    noises: float
    score: float


def excess_of(normal: Floats, window: Floats, *, during: slice, floor: float) -> Excess:
    """Compare a window with normal times in steps of the same length.

    ``window`` holds steps from before the incident and those ``during`` it. What is expected is the median of the steps just before and
    of normal times, so that neither a drift over weeks nor one odd step before counts as an excess. The noise is that of the same figure
    over all windows of normal times; ``floor`` is the smallest that is believed.
    """
    middle = float(np.median(normal)) if len(normal) else 0.0
    amount = float(_contrast(window[np.newaxis, :], middle, during)[0])
    if len(normal) < 2 * len(window):
        return Excess(amount, floor)
    figures = np.abs(_contrast(np.lib.stride_tricks.sliding_window_view(normal, len(window)), middle, during))
    noise = max(float(np.quantile(figures, 0.95)) / 1.96, 1.4826 * float(np.median(figures)), floor)
    return Excess(amount, noise)


def _contrast(windows: Floats, middle: float, during: slice) -> Floats:
    before = windows[:, : during.start]
    expected = np.median(np.concatenate([before, np.full((len(windows), 1), middle)], axis=1), axis=1)
    more: Floats = windows[:, during].mean(axis=1) - expected
    return more


def reachable(start: str, calls: Mapping[str, Sequence[str]]) -> set[str]:
    """``start`` and all that it calls, directly or not."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(calls.get(node, ()))
    return seen


def blame(excess: Mapping[str, Excess], calls: Mapping[str, Sequence[str]], *, symptom: str) -> dict[str, Blame]:
    """By node. ``symptom`` is the node that users feel; what it adds is what has to be explained.

    Of a callee only what is surely more than its noise is taken from its caller, and all of it: which caller's calls it was does not
    matter to the question who began.
    """
    whole = max(excess[symptom].amount, 1e-9) if symptom in excess else max((each.amount for each in excess.values()), default=1e-9)
    found = {}
    for node, each in excess.items():
        explained = sum(
            max(0.0, excess[callee].amount - CALLEE_NOISES * excess[callee].noise)
            for callee in set(calls.get(node, ()))
            if callee in excess and callee != node
        )
        own = each.amount - explained
        share = min(max(own, 0.0), whole) / whole
        noises = own / each.noise if each.noise > 0 else 0.0
        score = share**SHARE_POWER * min(max(noises, 0.0), SIGNIFICANT) / SIGNIFICANT
        found[node] = Blame(own, share, noises, score)
    return found
