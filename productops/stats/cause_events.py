"""Which node does something else than usual: events of visits (lines logged, spans begun, calls made) that are new, or missing.

An event's share among the visits of an operation is compared with normal times by a log likelihood ratio, less what chance would give.
What a caller does differently only when a callee did so before is the callee's doing: shares are compared again among the visits that had
nothing odd before them in the same trace.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from productops.stats.cause_traces import CALLS, SPANS, Visit

KNOWN_MIN = 3
NOTED_NATS = 1.0
ODD_NATS = 4.0
HIDDEN_SHARE = 0.4
EVENT_MAX = 12.0
GRAVE, LOGGED, TRACED = 1.0, 0.6, 0.6
COMMON = 0.25

Operation = tuple[str, str]


@dataclass(frozen=True, slots=True)
class OddEvent:
    """The event that says most about a node. ``nats`` above 0: it comes more often than usual; below 0: it is missing."""

    event: str
    nats: float
    score: float


def contrast(events: int, trials: int, usual: int, usual_trials: int) -> float:
    """Signed log likelihood ratio of two shares against one, less half the logarithm of the smaller sample (as BIC does).

    Source: Schwarz, "Estimating the Dimension of a Model", Annals of Statistics 6 (1978).
    """
    now, then = (events + 0.5) / (trials + 1), (usual + 0.5) / (usual_trials + 1)
    both = (events + usual + 1) / (trials + usual_trials + 2)
    nats = _binomial(events, trials, now, both) + _binomial(usual, usual_trials, then, both)
    nats = max(0.0, nats - 0.5 * math.log(min(trials, usual_trials) + 1))
    return nats if now > then else -nats


def _binomial(events: int, trials: int, share: float, both: float) -> float:
    return events * math.log(share / both) + (trials - events) * math.log((1 - share) / (1 - both))


def odd_events(normal: Sequence[Visit], window: Sequence[Visit]) -> dict[str, OddEvent]:
    """By node, the event that says most against it."""
    usual, now = _by_operation(normal), _by_operation(window)
    grave = {event for visit in window for event in visit.grave}
    changed = {
        operation: _changed(usual[operation], visits)
        for operation, visits in now.items()
        if len(usual.get(operation, ())) >= KNOWN_MIN
    }  # fmt: skip
    before = _odd_before(changed, [usual, now])
    nats: dict[tuple[str, str], float] = defaultdict(float)
    shares: dict[tuple[str, str], list[float]] = defaultdict(list)
    for operation, events in changed.items():
        clear = [visit for visit in now[operation] if not _follows(visit, before)]
        clear_usual = [visit for visit in usual[operation] if not _follows(visit, before)]
        for event, found in events.items():
            nats[operation[0], event] += _unexplained(event, found, clear, clear_usual, len(now[operation]))
            shares[operation[0], event].append(sum(event in visit.events for visit in usual[operation]) / len(usual[operation]))
    best: dict[str, OddEvent] = {}
    for (node, event), found in nats.items():
        share = sum(shares[node, event]) / len(shares[node, event])
        score = min(abs(found), EVENT_MAX) * _weight(event, share if found < 0 else 1 - share, grave=event in grave and found > 0)
        if node not in best or score > best[node].score:
            best[node] = OddEvent(event, found, score)
    return best


def _weight(event: str, novelty: float, *, grave: bool) -> float:
    """``novelty``: 1 for what never came, or always did; users' habits change how often the rest comes."""
    if grave:
        return GRAVE
    return (COMMON + (1 - COMMON) * novelty) * (TRACED if event.startswith((CALLS, SPANS)) else LOGGED)


def _by_operation(visits: Sequence[Visit]) -> dict[Operation, list[Visit]]:
    found: dict[Operation, list[Visit]] = defaultdict(list)
    for visit in visits:
        found[visit.node, visit.operation].append(visit)
    return found


def _changed(usual: Sequence[Visit], visits: Sequence[Visit]) -> dict[str, float]:
    then = Counter(event for visit in usual for event in visit.events)
    now = Counter(event for visit in visits for event in visit.events)
    found = {event: contrast(now[event], len(visits), then[event], len(usual)) for event in then.keys() | now.keys()}
    return {event: nats for event, nats in found.items() if abs(nats) > NOTED_NATS}


def _odd_before(
    changed: Mapping[Operation, Mapping[str, float]], both: Sequence[Mapping[Operation, Sequence[Visit]]]
) -> dict[str, list[tuple[float, str]]]:  # fmt: skip
    """By trace, when which node had done something odd."""
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for operation, events in changed.items():
        strong = {event: nats for event, nats in events.items() if abs(nats) > ODD_NATS}
        for visits in both:
            for visit in visits.get(operation, ()) if strong else ():
                if any((nats > 0) == (event in visit.events) for event, nats in strong.items()):
                    found[visit.trace].append((visit.end_s, visit.node))
    return found


def _follows(visit: Visit, before: Mapping[str, Sequence[tuple[float, str]]]) -> bool:
    return any(end_s <= visit.end_s and node != visit.node for end_s, node in before.get(visit.trace, ()))


def _unexplained(event: str, nats: float, clear: Sequence[Visit], clear_usual: Sequence[Visit], visits: int) -> float:
    """The part of ``nats`` that holds where nothing odd came before; where that was always so, a share of it."""
    if min(len(clear), len(clear_usual)) < KNOWN_MIN:
        return HIDDEN_SHARE * math.copysign(min(abs(nats), EVENT_MAX), nats)
    found = contrast(
        sum(event in visit.events for visit in clear), len(clear), sum(event in visit.events for visit in clear_usual), len(clear_usual)
    )
    if found * nats <= 0:
        return 0.0
    return math.copysign(min(abs(nats), abs(found) * visits / len(clear)), nats)
