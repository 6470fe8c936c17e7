"""Rank the nodes of a system by what metrics, traces and logs say together: one weight for each kind of evidence, for all systems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from productops.stats.cause_odds import probabilities

Floats = NDArray[np.float64]

GRAPH_NATS = 12.0
LINK_NATS = 15.0
FULL_NATS = 12.0
TIME_NATS = 8.0
TEMPER = 0.8
FULL_FROM = 0.5
NOISES_MIN = 6.0
ROOM_MIN = 0.1


@dataclass(frozen=True, slots=True)
class NodeEvidence:
    """What is known of a node. ``graph``, ``own_time``, ``link_time`` and ``full`` from 0 to 1, ``events`` in nats from 0 to 12.

    ``inferred``: nobody measured the node itself, it is known by its callers' view only, so it is told after all others.
    """

    graph: float = 0.0
    own_time: float = 0.0
    link_time: float = 0.0
    events: float = 0.0
    full: float = 0.0
    inferred: bool = False

    @property
    def nats(self) -> float:
        """All of it together."""
        times = TIME_NATS * self.own_time**2 + LINK_NATS * self.link_time**2  # small shares are noise
        parts = GRAPH_NATS * self.graph + times + self.events + FULL_NATS * self.full
        return parts - (GRAPH_NATS if self.inferred else 0.0)


def fullness(usual: Floats, since: Floats, *, limit: float) -> float:
    """How far a resource went from its usual height towards its limit, 0 to 1; 0 below half the way, or within its usual noise."""
    usual, since = usual[np.isfinite(usual)], since[np.isfinite(since)]
    if len(usual) < 5 or not len(since):
        return 0.0
    middle, high = float(np.median(usual)), float(np.quantile(usual, 0.99))
    spread = max(1.4826 * float(np.median(np.abs(usual - middle))), 0.01 * limit)
    top = float(since.max())
    if (top - middle) / spread < NOISES_MIN or high >= limit:
        return 0.0
    way = (top - max(high, middle)) / max(limit - max(high, middle), ROOM_MIN * limit)
    return float(np.clip((way - FULL_FROM) / (1 - FULL_FROM), 0.0, 1.0))


def rank_nodes(evidence: Mapping[str, NodeEvidence], nodes: Iterable[str] = ()) -> list[tuple[str, float]]:
    """(node, probability), the likeliest first; ``nodes`` of which nothing is known come last. Evidence is tempered: its parts overlap."""
    names = list(dict.fromkeys([*evidence, *nodes]))
    nothing = NodeEvidence()
    shares = probabilities([TEMPER * evidence.get(name, nothing).nats for name in names])
    return sorted(zip(names, shares, strict=True), key=lambda each: (-each[1], each[0]))
