"""How far a feature is: done by items and by effort, change of its scope, time in each stage, time blocked, and pace. Pure.

Every figure says how it was made and names the rows behind it. What was cancelled is no part of the scope, done or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import Final

from productops.domain.development import Feature, Move, Read, Stage, WorkItem

CANCELLED: Final = frozenset({"cancelled", "canceled", "won't do", "wont do", "won't fix", "wontfix", "not planned", "not_planned",
                              "duplicate", "rejected", "declined", "abandoned"})  # fmt: skip
WEEKS_BACK: Final = 12
"""So many whole weeks say how much is finished in a week."""
HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Row:
    """A stored thing that a figure was made of. ``url``: in its own tool, or in this product's API."""

    kind: str
    id: str
    key: str
    title: str
    url: str

    @classmethod
    def of(cls, kind: str, thing: Read) -> Row:
        """Of what a tool told."""
        key = str(getattr(thing, "key", "") or getattr(thing, "sha", "") or thing.external_id)
        title = str(getattr(thing, "title", "") or getattr(thing, "name", ""))
        return cls(kind, thing.id, key, title, thing.url)


@dataclass(frozen=True, slots=True)
class Done:
    """How much is done. Hours of work; ``assumed``: items without an estimate, which count as the mean of the others.

    ``by_items`` and ``by_effort`` are shares in [0, 1]; None: there are no items, or none of them has an estimate.
    """

    items: int
    items_done: int
    cancelled: int
    effort_h: float
    effort_done_h: float
    assumed: int
    by_items: float | None
    by_effort: float | None


def is_cancelled(item: WorkItem) -> bool:
    """Whether it ended without being made."""
    return item.stage is Stage.DONE and (
        item.status.lower() in CANCELLED or any(label.lower() in CANCELLED for label in item.labels)
    )  # fmt: skip


def done(items: Sequence[WorkItem]) -> Done:
    """Of a feature's items as they are now. What is left of an item (``remaining_h``) tells how much of it is done before it is."""
    scope = [item for item in items if not is_cancelled(item)]
    known = [item.estimate_h for item in scope if item.estimate_h is not None]
    mean = fmean(known) if known else None
    effort = effort_done = 0.0
    for item in scope:
        size = item.estimate_h if item.estimate_h is not None else mean or 0.0
        effort += size
        effort_done += size * _share(item)
    finished = sum(item.stage is Stage.DONE for item in scope)
    return Done(
        items=len(scope), items_done=finished, cancelled=len(items) - len(scope), effort_h=effort, effort_done_h=effort_done,
        assumed=len(scope) - len(known), by_items=finished / len(scope) if scope else None,
        by_effort=effort_done / effort if known and effort > 0 else None,
    )  # fmt: skip


def _share(item: WorkItem) -> float:
    if item.stage is Stage.DONE:
        return 1.0
    if item.remaining_h is None or not item.estimate_h:
        return 0.0
    return min(max(1 - item.remaining_h / item.estimate_h, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class ScopePoint:
    """What a feature consisted of from ``at`` on; hours as they were estimated then. ``added``, ``removed``: keys of items."""

    at: datetime
    items: int
    items_done: int
    effort_h: float
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    estimated: tuple[str, ...] = ()


def scope_over_time(names: frozenset[str], items: Iterable[WorkItem], moves: Iterable[Move]) -> list[ScopePoint]:
    """Every change of what a feature consists of, oldest first. ``names``: all that the feature is or was called by.

    An item that no move brought in was there since it was made. Items that were deleted or cancelled leave then.
    """
    by_item: dict[str, list[Move]] = defaultdict(list)
    for move in moves:
        by_item[move.item].append(move)
    events: list[tuple[datetime, str, str, float]] = []
    for item in items:
        own = sorted([*by_item.get(item.external_id, ()), *by_item.get(item.key, ())], key=lambda m: m.changed_at)
        events += _events(item, own, names)
    return _points(sorted(events, key=lambda event: (event[0], event[2])))


def _events(item: WorkItem, moves: Sequence[Move], names: frozenset[str]) -> list[tuple[datetime, str, str, float]]:
    """(when, what, key, hours) of one item. ``what``: in, out, size, done, undone."""
    estimates = [m for m in moves if m.field == "estimate"]
    size = _hours(estimates[0].old) if estimates else item.estimate_h or 0.0
    memberships = [m for m in moves if m.field == "feature"]
    begin = item.created_at or item.changed_at
    found: list[tuple[datetime, str, str, float]] = []
    if (memberships[0].old in names) if memberships else True:
        found.append((begin, "in", item.key, size))
    crossings = [m for m in memberships if (m.new in names) != (m.old in names)]
    found += [(m.changed_at, "in" if m.new in names else "out", item.key, size) for m in crossings]
    found += [(m.changed_at, "size", item.key, _hours(m.new)) for m in estimates]
    stages = [m for m in moves if m.field == "stage"]
    found += [(m.changed_at, "done" if m.new == Stage.DONE else "undone", item.key, 0.0) for m in stages if Stage.DONE in {m.new, m.old}]
    if item.stage is Stage.DONE and not any(m.new == Stage.DONE for m in stages):
        found.append((item.done_at or item.changed_at, "done", item.key, 0.0))
    gone = item.deleted_at or (item.done_at or item.changed_at if is_cancelled(item) else None)
    return [*found, (gone, "out", item.key, size)] if gone is not None else found


def _hours(text: str) -> float:
    try:
        return max(float(text), 0.0)
    except ValueError:
        return 0.0


def _points(events: Sequence[tuple[datetime, str, str, float]]) -> list[ScopePoint]:
    inside: set[str] = set()
    finished: set[str] = set()
    size: dict[str, float] = {}
    points: list[ScopePoint] = []
    for at, what, key, hours in events:
        added, removed, estimated = _apply(what, key, hours, inside=inside, finished=finished, size=size)
        point = ScopePoint(
            at, len(inside), len(inside & finished), sum(size.get(each, 0.0) for each in inside), added, removed, estimated
        )  # fmt: skip
        if points and points[-1].at == at:
            before = points.pop()
            point = ScopePoint(
                at, point.items, point.items_done, point.effort_h, before.added + added, before.removed + removed,
                before.estimated + estimated,
            )  # fmt: skip
        points.append(point)
    return points


def _apply(
    what: str, key: str, hours: float, *, inside: set[str], finished: set[str], size: dict[str, float]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    if what == "in":
        fresh = key not in inside
        inside.add(key)
        size.setdefault(key, hours)
        return ((key,) if fresh else (), (), ())
    if what == "out":
        known = key in inside
        inside.discard(key)
        return ((), (key,) if known else (), ())
    if what == "size":
        changed = size.get(key) != hours
        size[key] = hours
        return ((), (), (key,) if changed and key in inside else ())
    (finished.add if what == "done" else finished.discard)(key)
    return ((), (), ())


@dataclass(frozen=True, slots=True)
class StageTime:
    """Hours that items spent in a stage, those that left it (``passed``) and those that are in it now (``open_h``: of the longest)."""

    stage: Stage
    passed: int
    median_h: float | None
    mean_h: float | None
    longest_h: float | None
    waiting: int
    open_h: float | None


def stage_times(items: Iterable[WorkItem], moves: Iterable[Move], *, now: datetime) -> list[StageTime]:
    """Time in each stage but the last, in order. An item that was in a stage twice counts with the sum of both times."""
    by_item: dict[str, list[Move]] = defaultdict(list)
    for move in moves:
        if move.field == "stage":
            by_item[move.item].append(move)
    passed: dict[Stage, list[float]] = defaultdict(list)
    waiting: dict[Stage, list[float]] = defaultdict(list)
    for item in items:
        own = sorted([*by_item.get(item.external_id, ()), *by_item.get(item.key, ())], key=lambda m: m.changed_at)
        left, here = _stays(item, own, now=now)
        for stage, hours in left.items():
            passed[stage].append(hours)
        if here is not None:
            waiting[here[0]].append(here[1])
    return [_stage_time(stage, passed[stage], waiting[stage]) for stage in Stage if stage is not Stage.DONE]


def _stage_time(stage: Stage, passed: list[float], waiting: list[float]) -> StageTime:
    return StageTime(
        stage=stage, passed=len(passed), median_h=median(passed) if passed else None, mean_h=fmean(passed) if passed else None,
        longest_h=max(passed, default=None), waiting=len(waiting), open_h=max(waiting, default=None),
    )  # fmt: skip


def _stays(item: WorkItem, moves: Sequence[Move], *, now: datetime) -> tuple[dict[Stage, float], tuple[Stage, float] | None]:
    """Hours in each stage it left, and the stage it is in with the hours since."""
    left: dict[Stage, float] = defaultdict(float)
    at = item.created_at or (moves[0].changed_at if moves else item.changed_at)
    stage = _stage(moves[0].old) if moves else item.stage
    for move in moves:
        if stage is not None and stage is not Stage.DONE:
            left[stage] += max((move.changed_at - at).total_seconds(), 0.0) / HOUR
        at, stage = move.changed_at, _stage(move.new)
    if stage is None or stage is Stage.DONE or item.deleted_at is not None:
        return left, None
    return left, (stage, left.pop(stage, 0.0) + max((now - at).total_seconds(), 0.0) / HOUR)


def _stage(name: str) -> Stage | None:
    return next((stage for stage in Stage if stage.value == name), None)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Hours in which items waited for something else, together, and by item key; ``now``: keys of those that wait at this moment."""

    hours: float
    by_item: tuple[tuple[str, float], ...]
    now: tuple[str, ...]


def blocked(items: Iterable[WorkItem], moves: Iterable[Move], *, now: datetime) -> Blocked:
    """From the moves, and from ``blocked_since`` where the tool tells no history."""
    by_item: dict[str, list[Move]] = defaultdict(list)
    for move in moves:
        if move.field == "blocked":
            by_item[move.item].append(move)
    hours: dict[str, float] = {}
    waiting: list[str] = []
    for item in items:
        own = sorted([*by_item.get(item.external_id, ()), *by_item.get(item.key, ())], key=lambda m: m.changed_at)
        total, since = _blocked(item, own)
        open_now = since if item.stage is not Stage.DONE and item.deleted_at is None else None
        if open_now is not None:
            total += max((now - open_now).total_seconds(), 0.0)
            waiting.append(item.key)
        if total > 0:
            hours[item.key] = total / HOUR
    ranked = sorted(hours.items(), key=lambda pair: -pair[1])
    return Blocked(sum(hours.values()), tuple(ranked), tuple(waiting))


def _blocked(item: WorkItem, moves: Sequence[Move]) -> tuple[float, datetime | None]:
    """Seconds of the waits that ended, and since when it waits now."""
    total, since = 0.0, None
    for move in moves:
        if move.new and since is None:
            since = move.changed_at
        elif not move.new and since is not None:
            total += (move.changed_at - since).total_seconds()
            since = None
    return total, since or item.blocked_since


def weekly(items: Iterable[WorkItem], *, now: datetime, weeks: int = WEEKS_BACK) -> list[int]:
    """How many items were finished in each of the past whole weeks, oldest first; cancelled ones are no finished work."""
    counts = [0] * weeks
    for item in items:
        if item.stage is Stage.DONE and item.done_at is not None and not is_cancelled(item):
            back = int((now - item.done_at) / timedelta(days=7))
            if item.done_at <= now and back < weeks:
                counts[weeks - 1 - back] += 1
    return counts


def names_of(feature: Feature, keys: Iterable[str] = ()) -> frozenset[str]:
    """All that moves may call it by: its id and any key it ever had."""
    return frozenset({feature.external_id, feature.key, *keys})
