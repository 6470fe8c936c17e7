"""Plans compared: what moved and why, and what would be if."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from productops.domain.development_plan import Feature, Person, Plan, PlannedTask, PlanRequest, WorkItem
from productops.domain.development_plan_make import make_plan
from productops.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Move:
    """A task that is elsewhere than it was. ``why`` is a sentence; times and persons are those of both plans."""

    item: str
    title: str
    person_before: str
    person_after: str
    starts_before: datetime
    starts_after: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Replan:
    """``plan`` instead of the previous one; ``kept`` tasks stayed, ``new`` and ``gone`` items are in one of the plans only."""

    plan: Plan
    moves: tuple[Move, ...]
    kept: int
    new: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case of a comparison. Hours are working hours; ``saved_h`` against the first case, below 0 when it takes longer."""

    name: str
    plan: Plan
    saved_h: int
    late_h: int
    late_features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The skill of which one more person saves most. ``share``: the planned part of the time of those who have it."""

    skill: str
    people: tuple[str, ...]
    share: float
    saved_h: int


def replan(request: PlanRequest, previous: Plan, *, limit_s: float = 3.5, workers: int = 2) -> Replan:
    """A plan of what is true now that moves little of the previous one: only what gets later than it was planned is a reason to move more.

    To gain from more people or less work, make a plan anew and compare. Raises: InvalidInputError, ImpossiblePlanError.
    """
    plan = make_plan(request, limit_s=limit_s, workers=workers, previous=previous)
    before = {task.item: task for task in previous.tasks}
    after = {task.item: task for task in plan.tasks}
    moved = [task for task in plan.tasks if task.item in before and _where(task) != _where(before[task.item])]
    moves = tuple(_move(before[task.item], task, request, before, after) for task in moved)
    done = {item.id for item in request.items if item.done_share >= 1}
    return Replan(
        plan,
        moves,
        sum(task.item in before for task in plan.tasks) - len(moves),
        tuple(sorted(set(after) - set(before))),
        tuple(sorted(set(before) - set(after) - done)),
    )


def _where(task: PlannedTask) -> tuple[str, datetime]:
    return task.person, task.starts_at


def _move(
    one: PlannedTask, other: PlannedTask, request: PlanRequest, before: Mapping[str, PlannedTask], after: Mapping[str, PlannedTask]
) -> Move:
    why = _why(one, other, request, before, after)
    return Move(one.item, one.title, one.person, other.person, one.starts_at, other.starts_at, why)


def _why(
    one: PlannedTask, other: PlannedTask, request: PlanRequest, before: Mapping[str, PlannedTask], after: Mapping[str, PlannedTask]
) -> str:
    """The first reason that holds, the most particular first."""
    item = next(each for each in request.items if each.id == one.item)
    person = next((each for each in request.people if each.id == one.person), None)
    away = person is not None and any(a.starts_at < one.ends_at and one.starts_at < a.ends_at for a in person.absences)
    waits = item.not_before is not None and item.not_before > one.starts_at
    late = [name for name in item.after if name in after and after[name].ends_at > one.starts_at]
    reasons = (
        (one.person and person is None, f"{one.person} is no longer there"),
        (person is not None and item.skill not in person.skills, f"{one.person} does no {item.skill} any more"),
        (one.starts_at < request.starts_at and not item.started, "it should have begun by now, and has not"),
        (away, f"{person.name if person is not None else one.person} is away"),
        (waits, "what it waits for outside comes later"),
        (late, f"{late[0] if late else ''}, which it waits for, ends later"),
        (other.starts_at < one.starts_at, "it can begin sooner now"),
    )
    if found := next((words for holds, words in reasons if holds), ""):
        return found
    return _pushed(one, other, before, after)


def _pushed(one: PlannedTask, other: PlannedTask, before: Mapping[str, PlannedTask], after: Mapping[str, PlannedTask]) -> str:
    """By which task it was pushed aside."""
    there = [
        t
        for t in after.values()
        if t.person == one.person and t.item != one.item and t.starts_at < one.ends_at and one.starts_at < t.ends_at
    ]
    if there:
        first = min(there, key=lambda task: (task.item in before and _where(before[task.item]) == _where(task), task.starts_at))
        return f"{first.item} has the place now" if first.item in before else f"{first.item}, which is new, has the place now"
    if other.person != one.person:
        return f"{other.person} takes it, so that the rest need not move"
    return "it makes room for what is more urgent"


def add_person(person: Person) -> Callable[[PlanRequest], PlanRequest]:
    """A case: one more person."""
    return lambda request: replace(request, people=(*request.people, person))


def drop_feature(feature: str) -> Callable[[PlanRequest], PlanRequest]:
    """A case: without a feature and its items; what waited for them waits no longer. Raises (when used): NotFoundError."""

    def change(request: PlanRequest) -> PlanRequest:
        _known(feature, request.features)
        gone = {item.id for item in request.items if item.feature == feature}
        items = tuple(replace(i, after=tuple(a for a in i.after if a not in gone)) for i in request.items if i.id not in gone)
        return replace(request, items=items, features=tuple(f for f in request.features if f.id != feature))

    return change


def move_deadline(feature: str, deadline: datetime | None, *, binding: bool = False) -> Callable[[PlanRequest], PlanRequest]:
    """A case: another deadline of a feature, or none. Raises (when used): NotFoundError."""

    def change(request: PlanRequest) -> PlanRequest:
        _known(feature, request.features)
        moved = tuple(replace(f, deadline=deadline, binding=binding) if f.id == feature else f for f in request.features)
        return replace(request, features=moved)

    return change


def _known(feature: str, features: Sequence[Feature]) -> None:
    if all(each.id != feature for each in features):
        raise NotFoundError(f"the plan has no feature {feature!r}; it has {', '.join(each.id for each in features) or 'none'}")


def compare(
    request: PlanRequest, cases: Mapping[str, Callable[[PlanRequest], PlanRequest]], *, base: Plan | None = None, limit_s: float = 5.0
) -> tuple[Outcome, ...]:
    """What would be if, side by side: first the request as it is, then each case. ``limit_s`` for each.

    Raises: InvalidInputError, NotFoundError, ImpossiblePlanError of a case.
    """
    first = base or make_plan(request, limit_s=limit_s)
    plans = {"as it is": first} | {name: make_plan(change(request), limit_s=limit_s) for name, change in cases.items()}
    return tuple(_outcome(name, plan, first) for name, plan in plans.items())


def _outcome(name: str, plan: Plan, first: Plan) -> Outcome:
    late = [landing for landing in plan.landings if landing.late_h]
    return Outcome(name, plan, first.length_h - plan.length_h, sum(each.late_h for each in late), tuple(each.feature for each in late))


def bottleneck(request: PlanRequest, plan: Plan, *, limit_s: float = 4.0, looks: int = 2) -> Bottleneck | None:
    """Of the ``looks`` busiest skills the one of which one more person (full-time, pace 1) saves most; None when nothing is planned."""
    found = [_relieved(request, plan, skill, share, limit_s) for skill, share in _busiest(request, plan)[:looks]]
    return max(found, key=lambda each: (each.saved_h, each.share), default=None)


def _busiest(request: PlanRequest, plan: Plan) -> list[tuple[str, float]]:
    """Skills that are asked for, by the planned part of the time of those who have them."""
    asked = {item.skill for item in request.items if item.done_share < 1}
    loads = {load.person: load for load in plan.loads}
    found = []
    for skill in asked:
        own = [loads[person.id] for person in request.people if skill in person.skills]
        available = sum(load.available_h for load in own)
        found.append((skill, sum(load.busy_h for load in own) / available if available else 0.0))
    return sorted(found, key=lambda each: (-each[1], each[0]))


def _relieved(request: PlanRequest, plan: Plan, skill: str, share: float, limit_s: float) -> Bottleneck:
    helper = Person(f"one more for {skill}", f"one more for {skill}", {skill: 1.0})
    relieved = make_plan(add_person(helper)(request), limit_s=limit_s)
    who = tuple(person.id for person in request.people if skill in person.skills)
    return Bottleneck(skill, who, share, max(0, plan.length_h - relieved.length_h))


def item_changed(request: PlanRequest, item: WorkItem) -> PlanRequest:
    """The request with another version of an item of the same id. Raises: NotFoundError."""
    if all(each.id != item.id for each in request.items):
        raise NotFoundError(f"the plan has no item {item.id!r}")
    return replace(request, items=tuple(item if each.id == item.id else each for each in request.items))
