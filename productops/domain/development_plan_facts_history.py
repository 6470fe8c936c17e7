"""What past work says of work to come: hours it really took, by skill, type and points."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from productops.domain.development import WorkItem
from productops.domain.development_plan import Estimate, WorkCalendar
from productops.domain.development_plan_facts import Facts, PastWork
from productops.domain.development_plan_time import Slots

HOURS_MAX = 10_000.0
LIKE_MIN = 3
"""So many like pieces of work say something."""
HELD = 4.0
"""An estimate is believed as much as so many past pieces of work that took what was estimated."""
LOG_MAX = math.log(10)
LOW, HIGH = 0.75, 1.75
"""Around a lone estimate: the tenth and the ninetieth part of ln-normal error with spread 0.45, rounded."""
Like = tuple[str, str, float | None]


@dataclass(frozen=True, slots=True)
class Learned:
    """``ratio``: real hours per estimated hour by skill. ``usual``: hours at best, usually, at worst by (skill, type, points), where an
    empty type and no points mean any. ``per_point``: hours per point by skill; empty skill: any.
    """

    ratio: Mapping[str, float] = field(default_factory=dict)
    usual: Mapping[Like, Estimate] = field(default_factory=dict)
    per_point: Mapping[str, float] = field(default_factory=dict)
    past: tuple[PastWork, ...] = ()

    def like(self, skill: str, kind: str, points: float | None) -> Estimate | None:
        """Hours of like work, the most alike that there was enough of. Estimates are later multiplied by the ratio, so not these."""
        wanted: list[Like] = [(skill, kind, points), (skill, "", points), (skill, kind, None), (skill, "", None)]
        for each in wanted:
            if each in self.usual and not (points is not None and each[2] is None and self.hours_per_point(skill)):
                return scaled(self.usual[each], 1 / self.ratio.get(skill, 1.0))
        per_point = self.hours_per_point(skill)
        if points is not None and per_point is not None:
            return around(points * per_point / self.ratio.get(skill, 1.0))
        return None

    def hours_per_point(self, skill: str) -> float | None:
        """Of the skill, else of all work."""
        return self.per_point.get(skill, self.per_point.get(""))


def around(hours: float) -> Estimate:
    """A three-point estimate around a lone one."""
    likely = min(hours, HOURS_MAX)
    return Estimate(likely * LOW, likely, min(HOURS_MAX, likely * HIGH))


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """So many times the hours."""
    return Estimate(*(min(HOURS_MAX, hours * factor) for hours in (estimate.optimistic_h, estimate.likely_h, estimate.pessimistic_h)))


def expected(item: WorkItem) -> Estimate | None:
    """The estimate of an item, in order whatever order it was written in; None without one."""
    if item.estimate_h is None or item.estimate_h <= 0:
        return None
    likely = min(item.estimate_h, HOURS_MAX)
    low = item.estimate_low_h if item.estimate_low_h is not None else likely * LOW
    high = item.estimate_high_h if item.estimate_high_h is not None else likely * HIGH
    return Estimate(max(0.0, min(low, high, likely)), likely, min(HOURS_MAX, max(low, high, likely)))


def learn(facts: Facts, calendar: WorkCalendar, *, skills: Mapping[str, str], owners: Mapping[str, str]) -> Learned:
    """From ``facts.done``. ``skills``: skill by item id (ours); ``owners``: plan's person by item id."""
    actual = actual_hours((*facts.done, *facts.items), calendar, now=facts.now, blocked=blocked_times(facts), owners=owners)
    past: list[PastWork] = []
    groups: dict[Like, list[float]] = defaultdict(list)
    per_point: dict[str, list[float]] = defaultdict(list)
    for item in facts.done:
        hours, skill = actual.get(item.id), skills.get(item.id, item.skill)
        if hours is None or item.done_at is None:
            continue
        for like in {(skill, item.type, item.points), (skill, "", item.points), (skill, item.type, None), (skill, "", None)}:
            groups[like].append(hours)
        if item.points:
            per_point[skill].append(hours / item.points)
            per_point[""].append(hours / item.points)
        estimate = expected(item)
        if estimate is not None:
            past.append(PastWork(item.key, owners.get(item.id, ""), skill, estimate.expected_h, hours, item.done_at))
    return Learned(
        ratio=_ratios(past),
        usual={like: _spread(hours) for like, hours in groups.items() if len(hours) >= LIKE_MIN},
        per_point={skill: _middle(sorted(each)) for skill, each in per_point.items() if len(each) >= LIKE_MIN},
        past=tuple(past),
    )


def _ratios(past: Iterable[PastWork]) -> dict[str, float]:
    """Mean of ln(actual / expected), held back while there is little, as a factor; only of skills with enough past work."""
    logs: dict[str, list[float]] = defaultdict(list)
    for each in past:
        logs[each.skill].append(max(-LOG_MAX, min(LOG_MAX, math.log(each.actual_h / each.expected_h))))
    return {skill: math.exp(sum(found) / (len(found) + HELD)) for skill, found in logs.items() if len(found) >= LIKE_MIN}


def _spread(hours: Sequence[float]) -> Estimate:
    ordered = sorted(hours)
    last = len(ordered) - 1
    return Estimate(ordered[round(0.1 * last)], _middle(ordered), ordered[round(0.9 * last)])


def _middle(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def blocked_times(facts: Facts) -> dict[tuple[str, str], list[tuple[datetime, datetime]]]:
    """(source, item) → when it was blocked, by its moves; up to now where it still is."""
    begun: dict[tuple[str, str], datetime] = {}
    found: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for move in sorted(facts.moves, key=lambda each: each.changed_at):
        at = (move.source, move.item)
        if move.new:
            begun.setdefault(at, move.changed_at)
        elif at in begun:
            found[at].append((begun.pop(at), move.changed_at))
    for at, since in begun.items():
        found[at].append((since, facts.now))
    return found


def actual_hours(
    items: Sequence[WorkItem], calendar: WorkCalendar, *, now: datetime, blocked: Mapping[tuple[str, str], list[tuple[datetime, datetime]]],
    owners: Mapping[str, str],
) -> dict[str, float]:  # fmt: skip
    """Item id → working hours that it took: those it was in work and not blocked, shared with what its owner had in work besides.

    Of items that are done only; at least half an hour.
    """
    began = [item for item in items if item.started_at is not None and item.started_at < now]
    if not began:
        return {}
    slots = Slots(calendar, min(item.started_at for item in began if item.started_at is not None))
    edges: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for item in began:
        owner = owners.get(item.id) or f"nobody but {item.id}"
        for begin, end in _in_work(item, now, blocked.get((item.source, item.external_id), [])):
            first = slots.first_from(begin)
            edges[owner] += [(first, 1, item.id), (max(first + 1, slots.first_from(end)), -1, item.id)]
    hours: dict[str, float] = defaultdict(float)
    for own in edges.values():
        _share_out(own, hours)
    done = {item.id for item in items if item.done_at is not None}
    return {item: max(0.5, found) for item, found in hours.items() if item in done}


def _in_work(item: WorkItem, now: datetime, blocked: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    begin, end = item.started_at or now, item.done_at or now
    left: list[tuple[datetime, datetime]] = []
    for since, until in blocked:
        if begin < since < end:
            left.append((begin, since))
        if since < end:
            begin = max(begin, until)
    if begin < end or not left:
        left.append((min(begin, end), end))
    return left


def _share_out(edges: list[tuple[int, int, str]], hours: dict[str, float]) -> None:
    """Hours between two edges go to all that is in work then, in equal parts."""
    active: dict[str, int] = defaultdict(int)
    since = 0
    for at, step, item in sorted(edges):
        running = [each for each, count in active.items() if count > 0]
        for each in running:
            hours[each] += (at - since) / len(running)
        active[item] += step
        since = at
