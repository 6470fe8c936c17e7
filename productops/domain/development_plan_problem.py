"""A plan's request as a scheduling problem: people are unary resources, a task has one mode for each person who can do it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from productops.domain.development_plan import Person, Plan, PlanRequest, WorkItem, check_request
from productops.domain.development_plan_time import Slots
from productops.errors import DependencyCycleError, InvalidInputError
from productops.stats.schedule import Activity, Goal, Link, Mode, Problem, ProblemError, Resource, check

HORIZON_SLOTS = 20_000
"""Absences later than this many working hours (nearly ten years) are left out."""
END = "the end of all work"
CHANGE_COST = 6
"""A task that moves costs as much as a feature of priority 1 that is six hours later."""
END_COST = 8


@dataclass(frozen=True, slots=True)
class Translation:
    """``items`` are the first activities, then one milestone for each of ``features``, then perhaps the end. ``modes``: person ids."""

    problem: Problem
    slots: Slots
    items: tuple[WorkItem, ...]
    features: tuple[str, ...]
    modes: tuple[tuple[str, ...], ...]


def translate(request: PlanRequest, *, previous: Plan | None = None) -> Translation:
    """The problem, with the previous plan as what should stay. Raises: InvalidInputError, DependencyCycleError."""
    check_request(request)
    slots = Slots(request.calendar, request.starts_at)
    items = tuple(item for item in request.items if item.done_share < 1)
    if not items:
        raise InvalidInputError("all items are done; there is nothing to plan")
    resources = tuple(_resource(person, slots) for person in request.people)
    running = _running(items, resources, request)
    modes = tuple(_people(item, request) for item in items)
    activities = [_activity(item, people, request, slots, running, previous) for item, people in zip(items, modes, strict=True)]
    features = tuple(f.id for f in request.features if any(item.feature == f.id for item in items))
    place = {item.id: i for i, item in enumerate(items)}
    # What is under way has not waited for the rest, and cannot any more.
    links = [Link(place[before], place[item.id]) for item in items if item.id not in running for before in item.after if before in place]
    for each in features:
        links += [Link(place[item.id], len(activities)) for item in items if item.feature == each]
        activities.append(_milestone(each, request, slots, previous))
    if previous is not None:
        links += [Link(i, len(activities)) for i in range(len(items))]
        due = slots.ended_by(max(previous.ends_at, request.starts_at))
        activities.append(Activity(END, (Mode(0),), due=due, weight=END_COST))
    problem = Problem(tuple(activities), tuple(links), resources, _goals(request, previous))
    try:
        check(problem)
    except ProblemError as error:
        kind = DependencyCycleError if "circle" in str(error) else InvalidInputError
        raise kind(f"{error}; drop one of these dependencies" if "circle" in str(error) else str(error)) from error
    return Translation(problem, slots, items, features, modes)


def _goals(request: PlanRequest, previous: Plan | None) -> tuple[Goal, ...]:
    first = (Goal.COST, Goal.MAKESPAN) if previous is not None else (Goal.MAKESPAN, Goal.COST)
    return (*first, Goal.LEVEL) if request.level else first


def _resource(person: Person, slots: Slots) -> Resource:
    changes = [(*slots.covered(away, HORIZON_SLOTS), 0) for away in person.absences]
    return Resource(person.id, 1, tuple((begin, end, units) for begin, end, units in changes if begin < end))


def _people(item: WorkItem, request: PlanRequest) -> tuple[str, ...]:
    """Ids of who can do it: the one who has started it, else all who have the skill, fastest first."""
    able = sorted((p for p in request.people if item.skill in p.skills), key=lambda p: (-p.skills[item.skill] * p.share, p.id))
    if item.started and item.person:
        able = [person for person in able if person.id == item.person]
    if not able:
        who = f"{item.person} has not" if item.started and item.person else "nobody has"
        raise InvalidInputError(f"item {item.id} needs skill {item.skill!r}, which {who}; add a person with it, or give the item another")
    return tuple(person.id for person in able)


def _running(items: tuple[WorkItem, ...], resources: tuple[Resource, ...], request: PlanRequest) -> Mapping[str, int]:
    """First slots of what is under way: of each person the most important one; the others of that person follow when they can."""
    found: dict[str, int] = {}
    for resource, person in zip(resources, request.people, strict=True):
        own = [item for item in items if item.started and item.person == person.id]
        if own:
            away = {t for begin, end, _ in resource.changes for t in range(begin, end)}
            first = min(own, key=lambda item: (-item.priority, -item.done_share, item.id))
            found[first.id] = next(t for t in range(HORIZON_SLOTS) if t not in away)
    return found


def _activity(
    item: WorkItem, people: tuple[str, ...], request: PlanRequest, slots: Slots, running: Mapping[str, int], previous: Plan | None
) -> Activity:
    places = {person.id: k for k, person in enumerate(request.people)}
    hours = request.hours(item)
    modes = []
    for each in people:
        person = request.people[places[each]]
        duration = math.ceil(hours / (person.share * person.skills[item.skill]) - 1e-9)
        modes.append(Mode(duration, ((places[each], 1),), pausing=True) if duration else Mode(0))
    deadline = slots.ended_by(item.deadline) if item.deadline is not None else None
    kept = previous.task(item.id) if previous is not None else None
    keeps = kept is not None and kept.person in people and kept.starts_at >= request.starts_at
    return Activity(
        item.id,
        tuple(modes),
        release=slots.first_from(item.not_before) if item.not_before is not None and item.id not in running else 0,
        deadline=deadline if item.binding else None,
        due=None if item.binding else _no_sooner(deadline, kept.ends_at if kept is not None else None, slots),
        weight=item.priority,
        fixed_start=running.get(item.id),
        kept_start=slots.first_from(kept.starts_at) if keeps and kept is not None else None,
        kept_mode=people.index(kept.person) if keeps and kept is not None else 0,
        change_cost=CHANGE_COST if keeps else 0,
    )


def _milestone(feature: str, request: PlanRequest, slots: Slots, previous: Plan | None) -> Activity:
    found = next(each for each in request.features if each.id == feature)
    at = slots.ended_by(found.deadline) if found.deadline is not None else None
    binding = at if found.binding else None
    landed = next((each.lands_at for each in previous.landings if each.feature == feature), None) if previous is not None else None
    due = _no_sooner(at, landed, slots)
    return Activity(f"feature {found.id}", (Mode(0),), deadline=binding, due=None if found.binding else due, weight=found.priority)


def _no_sooner(due: int | None, before: datetime | None, slots: Slots) -> int | None:
    """What was late in the previous plan already is no reason to move anything; only what gets later than it was costs."""
    return due if due is None or before is None else max(due, slots.ended_by(before))
