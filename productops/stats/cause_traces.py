"""A request's way through services: visits, what happens in them, and which time is whose own.

A *visit* is one request's way through one node: the span that entered it, the spans below it in the same node, and what it logged. Its own
time is what is left of it without the calls it waited for. The time of a call that its callee does not account for is the *link's*.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

TIMED_MIN = 3
SPREAD_MIN = 0.25
FLOOR_S = 0.005
SIGNIFICANT = 8.0
RISE_WHOLE = math.log(4.0)
NOTICED_SHARE = 0.2
SIDE_SHARE = 0.7
NORMAL_10, NORMAL_30 = -1.2816, -0.5244
CALLS = "=>"
SPANS = ">"


class TraceSpan(NamedTuple):
    """One span; times in seconds. ``parent`` is empty for the first of a trace. ``node`` is the service, or one instance of it."""

    trace: str
    span: str
    parent: str
    node: str
    operation: str
    start_s: float
    end_s: float


class TraceLine(NamedTuple):
    """A log line within a span. ``template``: its text without what varies. ``level``: ``error``, ``warning``, or anything else."""

    at_s: float
    span: str
    template: str
    level: str = "info"


@dataclass(slots=True)
class Visit:
    """One request's way through one node. ``events``: names of what it logged, began and called; ``grave`` those logged as errors.

    ``own_s``: its time without calls. ``link_s``: how much longer its caller waited than it took; None without a caller.
    """

    trace: str
    node: str
    operation: str
    start_s: float
    end_s: float
    events: set[str] = field(default_factory=set)
    grave: set[str] = field(default_factory=set)
    caller: str = ""
    waits: list[tuple[float, float]] = field(default_factory=list)
    own_s: float = 0.0
    link_s: float | None = None


def visits_of(spans: Sequence[TraceSpan], lines: Iterable[TraceLine] = ()) -> list[Visit]:
    """Visits of all traces, in the order they began. Spans whose parent is not there begin a visit of their own."""
    places = {span.span: number for number, span in enumerate(spans)}
    parents = [places.get(span.parent, -1) for span in spans]
    entries = _entries(spans, parents)
    found = {
        number: Visit(span.trace, span.node, span.operation, span.start_s, span.end_s)
        for number, span in enumerate(spans)
        if entries[number] == number
    }
    asking = {spans[parents[number]][3:5] for number in found if parents[number] >= 0}
    for number, span in enumerate(spans):
        visit, parent = found[entries[number]], parents[number]
        if entries[number] == number:
            if parent >= 0:
                _link(visit, spans[parent], found[entries[parent]])
            continue
        visit.events.add(SPANS + span.operation)
        if (span.node, span.operation) in asking:  # a call; also one that nobody answered is no time of its own
            visit.waits.append((span.start_s, span.end_s))
    _log(lines, {span: found[entries[place]] for span, place in places.items()})
    for visit in found.values():
        visit.own_s = max(0.0, visit.end_s - visit.start_s - _covered(visit))
    return sorted(found.values(), key=lambda visit: visit.start_s)


def _log(lines: Iterable[TraceLine], visits: Mapping[str, Visit]) -> None:
    """Put lines into the visits of their spans."""
    for line in lines:
        visit = visits.get(line.span)
        if visit is not None:
            visit.events.add(line.template)
            if line.level in {"error", "warning"}:
                visit.grave.add(line.template)


def _link(visit: Visit, call: TraceSpan, caller: Visit) -> None:
    """``call`` is the caller's span in which it waited for the visit."""
    visit.caller = caller.node
    visit.link_s = max(0.0, (call.end_s - call.start_s) - (visit.end_s - visit.start_s))
    caller.events.add(CALLS + visit.operation)
    # A caller whose own entry is the call (it has no client span) works while it waits; only what the callee took is not its own.
    whole = (call.start_s, call.end_s) != (caller.start_s, caller.end_s)
    caller.waits.append((call.start_s, call.end_s) if whole else (visit.start_s, visit.end_s))


def _entries(spans: Sequence[TraceSpan], parents: Sequence[int]) -> list[int]:
    """For each span the one that entered its node."""
    entries = [-1] * len(spans)
    for number in range(len(spans)):
        path: list[int] = []
        place = number
        while entries[place] < 0:
            path.append(place)
            above = parents[place]
            if above < 0 or spans[above].node != spans[place].node or above in path:
                entries[place] = place
                break
            place = above
        for each in path:
            entries[each] = entries[place]
    return entries


def _covered(visit: Visit) -> float:
    """Seconds of the visit in which at least one call was under way."""
    covered, until = 0.0, -math.inf
    for begin, end in sorted(visit.waits):
        first, last = max(begin, until, visit.start_s), min(end, visit.end_s)
        if last > first:
            covered += last - first
            until = last
    return covered


def own_times(normal: Sequence[Visit], window: Sequence[Visit]) -> dict[str, float]:
    """By node, 0 to 1: the share of the time that requests take longer which is surely its own."""
    before = _grouped(normal, lambda visit: visit.own_s)
    excess: dict[str, float] = defaultdict(float)
    noises: dict[str, float] = defaultdict(float)
    for (node, operation), seconds in _grouped(window, lambda visit: visit.own_s).items():
        usual = before.get((node, operation), [])
        if min(len(usual), len(seconds)) >= TIMED_MIN:
            added, noise = _slower(usual, seconds)
            excess[node] += added
            noises[node] = max(noises[node], noise)
    return _shares(excess, noises, window)


def link_times(normal: Sequence[Visit], window: Sequence[Visit]) -> dict[str, float]:
    """By node, 0 to 1: as ``own_times``, of the time between caller and callee that neither accounts for.

    Of both ends the one is to blame all of whose calls are slow: all that come in, or all that go out, and best both.
    """
    before, since = _links(normal), _links(window)
    excess: dict[str, float] = defaultdict(float)
    ends: dict[str, list[_End]] = defaultdict(list)
    for (caller, callee), seconds in since.items():
        usual = before.get((caller, callee), [])
        if min(len(usual), len(seconds)) < TIMED_MIN:
            continue
        added, noise = _slower(usual, seconds)
        for node, inbound in ((caller, False), (callee, True)):
            excess[node] += added
            ends[node].append(_End(inbound, len(seconds), min(max(noise, 0.0), SIGNIFICANT)))
    return _shares(excess, {node: _consistent(found) for node, found in ends.items()}, window, counted=2)


class _End(NamedTuple):
    """One link of a node: whether it is called there, how often, and how surely that is slower than usual."""

    inbound: bool
    calls: int
    noise: float


def _consistent(ends: Sequence[_End]) -> float:
    whole = _mean_noise(ends)
    sides = [_mean_noise([end for end in ends if end.inbound is inbound]) for inbound in (True, False)]
    return SIDE_SHARE * max(sides) + (1 - SIDE_SHARE) * whole


def _mean_noise(ends: Sequence[_End]) -> float:
    calls = sum(end.calls for end in ends)
    return sum(end.noise * end.calls for end in ends) / calls if calls else 0.0


def _grouped(visits: Sequence[Visit], seconds: Callable[[Visit], float]) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for visit in visits:
        found[visit.node, visit.operation].append(seconds(visit))
    return found


def _links(visits: Sequence[Visit]) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for visit in visits:
        if visit.link_s is not None:
            found[visit.caller, visit.node].append(visit.link_s)
    return found


def _slower(usual: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """(seconds added in all, how many standard errors the mean logarithm is above the usual one)."""
    old, new = np.log(np.asarray(usual) + FLOOR_S), np.log(np.asarray(seconds) + FLOOR_S)
    # From the lower half: what is called normal may hold the beginning of the incident, or an earlier one.
    low, high = np.quantile(old, (0.1, 0.3))
    spread = max(float(high - low) / (NORMAL_30 - NORMAL_10), SPREAD_MIN)
    middle = float(high) - NORMAL_30 * spread
    rise = float(new.mean()) - middle
    # Thousands of calls make any drift significant; half as long again is a drift, several times as long is an incident.
    noises = min(rise / (spread * math.sqrt(1 / len(new) + 1 / len(old))), SIGNIFICANT) * min(max(rise / RISE_WHOLE, 0.0), 1.0)
    added = (float(np.mean(seconds)) - (math.exp(middle) - FLOOR_S)) * len(seconds)
    return max(0.0, added), noises


def _shares(excess: Mapping[str, float], noises: Mapping[str, float], window: Sequence[Visit], *, counted: int = 1) -> dict[str, float]:
    """Of all that was added, or of a noticeable part of the time that requests took where little was. ``counted``: how often each was."""
    taken = sum(visit.own_s + (visit.link_s or 0.0) for visit in window)
    whole = max(sum(excess.values()), NOTICED_SHARE * taken) / counted
    if whole <= 0:
        return {}
    return {
        node: math.sqrt(min(added / whole, 1.0)) * min(max(noises[node], 0.0), SIGNIFICANT) / SIGNIFICANT for node, added in excess.items()
    }
