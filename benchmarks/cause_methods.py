"""Rankings of an incident's nodes: ours, and three that everybody can write down in an hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.cause_data import CPU, CPU_LIMIT, Case
from productops.stats.cause_events import odd_events
from productops.stats.cause_graph import Excess, blame, excess_of, reachable
from productops.stats.cause_nodes import NodeEvidence, fullness, rank_nodes
from productops.stats.cause_traces import Visit, link_times, own_times, visits_of

Floats = NDArray[np.float64]
Ranking = list[tuple[str, float]]
FLOORS = {"failures": 0.15, "slowness": 0.05}
INFERRED = ("_remote", "_client")
SURE = 3.0
RESTART, STEPS = 0.15, 60


def ours(case: Case) -> Ranking:
    """The product's statistics, with one set of weights."""
    graph = _graph_scores(case)
    normal, window = visits(case)
    own, links, events = own_times(normal, window), link_times(normal, window), odd_events(normal, window)
    evidence = {
        node: NodeEvidence(
            graph=graph.get(node, 0.0), own_time=own.get(node, 0.0), link_time=links.get(node, 0.0),
            events=events[node].score if node in events else 0.0, full=_full(case, node),
            inferred=case.system == "petshop" and node.endswith(INFERRED),
        )
        for node in nodes_of(case)
    }  # fmt: skip
    return rank_nodes(evidence)


def nodes_of(case: Case) -> list[str]:
    """What may be the cause: what the target calls, or all there is."""
    if case.calls:
        return sorted(reachable(case.target, case.calls) & case.window.keys())
    return sorted(case.window)


def _graph_scores(case: Case) -> dict[str, float]:
    if not case.calls:
        return {}
    excess: dict[str, Excess] = {}
    for node in nodes_of(case):
        if case.symptom in case.normal.get(node, {}) and case.symptom in case.window[node]:
            values = case.window[node][case.symptom][: case.during.stop]
            excess[node] = excess_of(case.normal[node][case.symptom], values, during=case.during, floor=FLOORS[case.symptom])
    calls = {node: [each for each in called if not each.endswith(INFERRED)] for node, called in case.calls.items()}
    return {node: found.score for node, found in blame(excess, calls, symptom=case.target).items()}


def visits(case: Case) -> tuple[list[Visit], list[Visit]]:
    """(normal, since): of the incident's own traces those that ended before it began are normal, too."""
    if not case.spans:
        return [], []
    found = visits_of(case.spans, case.lines)
    begins: dict[str, float] = {}
    ends: dict[str, float] = {}
    for visit in found:
        begins[visit.trace] = min(begins.get(visit.trace, visit.start_s), visit.start_s)
        ends[visit.trace] = max(ends.get(visit.trace, visit.end_s), visit.end_s)
    normal = visits_of(case.normal_spans, case.normal_lines)
    normal += [visit for visit in found if ends[visit.trace] < case.began_s]
    return normal, [visit for visit in found if begins[visit.trace] >= case.began_s]


def _full(case: Case, node: str) -> float:
    if CPU not in case.window.get(node, {}):
        return 0.0
    return fullness(case.normal[node][CPU], case.window[node][CPU], limit=CPU_LIMIT)


# ---- to compare with


def noises(case: Case) -> dict[str, float]:
    """By node, the largest robust z-score of any of its metrics in the window."""
    found = {}
    for node in nodes_of(case):
        scores = [0.0]
        for metric, values in case.window[node].items():
            usual = case.normal.get(node, {}).get(metric)
            if usual is None:
                continue
            usual, since = usual[np.isfinite(usual)], values[case.during]
            since = since[np.isfinite(since)]
            if len(usual) < 5 or not len(since):
                continue
            middle = float(np.median(usual))
            spread = max(1.4826 * float(np.median(np.abs(usual - middle))), float(np.std(usual)) / 3, 1e-9)
            scores.append(float(np.max(np.abs(since - middle))) / spread)
        found[node] = max(scores)
    return found


def _by_score(scores: Mapping[str, float]) -> Ranking:
    whole = sum(scores.values()) or 1.0
    return sorted(((node, score / whole) for node, score in scores.items()), key=lambda each: (-each[1], each[0]))


def z_score(case: Case) -> Ranking:
    """The most unusual node is the cause."""
    return _by_score(noises(case))


def calls_of(case: Case) -> dict[str, tuple[str, ...]]:
    """Who calls whom, by the graph or by the traces."""
    if case.calls:
        return dict(case.calls)
    found: dict[str, set[str]] = {}
    for visit in visits(case)[0]:
        if visit.caller:
            found.setdefault(visit.caller, set()).add(visit.node)
    return {node: tuple(sorted(called)) for node, called in found.items()}


def call_graph(case: Case) -> Ranking:
    """Unusual nodes none of whose callees is unusual, the most unusual first; then the others."""
    scores, calls = noises(case), calls_of(case)
    deepest = {
        node for node, score in scores.items() if score > SURE and all(scores.get(each, 0.0) <= SURE for each in calls.get(node, ()))
    }
    whole = sum(scores.values()) or 1.0
    return sorted(((node, score / whole) for node, score in scores.items()), key=lambda each: (each[0] not in deepest, -each[1], each[0]))


def random_walk(case: Case) -> Ranking:
    """A walk from callers to callees and back, towards what is unusual, with restarts."""
    scores, calls = noises(case), calls_of(case)
    names = sorted(scores)
    places = {name: place for place, name in enumerate(names)}
    moves = np.zeros((len(names), len(names)))
    for node, called in calls.items():
        for each in called:
            if node in places and each in places:
                moves[places[node], places[each]] += scores[each]
                moves[places[each], places[node]] += 0.2 * scores[node]
    weights = np.array([scores[name] for name in names]) + 1e-9
    moves += np.diag(weights * 0.3)
    moves /= np.maximum(moves.sum(axis=1, keepdims=True), 1e-12)
    start = weights / weights.sum()
    share = start.copy()
    for _ in range(STEPS):
        share = RESTART * start + (1 - RESTART) * share @ moves
    return sorted(zip(names, (float(each) for each in share), strict=True), key=lambda each: (-each[1], each[0]))


METHODS: dict[str, Callable[[Case], Ranking]] = {
    "ours": ours, "call graph": call_graph, "z-score": z_score, "random walk": random_walk,
}  # fmt: skip
