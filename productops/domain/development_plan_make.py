"""Making a plan: solve, then say who does what when, what is critical, and what is late."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping

from productops.domain.development_plan import Landing, Load, Plan, PlannedTask, PlanRequest
from productops.domain.development_plan_problem import HORIZON_SLOTS, Translation, translate
from productops.errors import ImpossiblePlanError, InvalidInputError
from productops.stats.schedule import Schedule, Status

LIMIT_S = 20.0


def make_plan(request: PlanRequest, *, limit_s: float = LIMIT_S, workers: int = 2, previous: Plan | None = None) -> Plan:
    """The shortest plan found within about ``limit_s`` seconds, and of those one with little lateness.

    With ``previous``: one that costs little lateness and moves few tasks of it. Raises: InvalidInputError for a request that cannot be
    read, ImpossiblePlanError with the constraints that cannot hold together.
    """
    from productops.stats.schedule.solve import solve

    translation = translate(request, previous=previous)
    return read_plan(request, translation, solve(translation.problem, limit_s, workers=workers))


def read_plan(request: PlanRequest, translation: Translation, schedule: Schedule) -> Plan:
    """The plan that ``schedule`` is. Raises: ImpossiblePlanError when there is none."""
    if not schedule.starts:
        raise _no_plan(schedule)
    count = len(translation.items)
    length = max(schedule.ends[:count])
    who = [_person(translation, schedule, i) for i in range(count)]
    next_of = _next_of_person(schedule, who)
    slack = _slack(translation, schedule, next_of, length)
    critical = _chain(translation, schedule, next_of, length)
    tasks = tuple(_task(translation, schedule, i, who[i], slack[i], critical=i in critical) for i in range(count))
    return Plan(
        starts_at=request.starts_at,
        ends_at=translation.slots.ends_at(length),
        length_h=length,
        tasks=tuple(sorted(tasks, key=lambda task: (task.slot_from, task.slot_to, task.item))),
        landings=tuple(_landing(request, translation, schedule, j) for j in range(len(translation.features))),
        loads=tuple(_load(request, translation, schedule, who, k, length) for k in range(len(request.people))),
        critical=tuple(translation.items[i].id for i in critical),
        proven=schedule.proven,
        gap=schedule.gap,
        cost=schedule.cost,
        took_s=schedule.took_s,
        goal=str(translation.problem.goals[0]),
    )


def _no_plan(schedule: Schedule) -> Exception:
    if schedule.status is Status.INFEASIBLE:
        shown = "; ".join(schedule.conflict) or "the search showed that there is none, but not why"
        detail = f"no plan can keep all of: {shown}. Move a deadline, drop a dependency, or add a person"
        return ImpossiblePlanError(detail, conflict=list(schedule.conflict))
    return InvalidInputError("no plan was found in the time given, and none was ruled out; give it more time, or plan fewer items")


def _person(translation: Translation, schedule: Schedule, i: int) -> str:
    return translation.modes[i][schedule.modes[i]] if schedule.ends[i] > schedule.starts[i] else ""


def _task(translation: Translation, schedule: Schedule, i: int, person: str, slack_h: int, *, critical: bool) -> PlannedTask:
    item, start, end = translation.items[i], schedule.starts[i], schedule.ends[i]
    at = translation.slots.starts_at(start) if end > start else translation.slots.ends_at(start)
    return PlannedTask(item.id, item.title, item.feature, person, at, translation.slots.ends_at(end), start, end, slack_h, critical)


def _next_of_person(schedule: Schedule, who: list[str]) -> dict[int, int]:
    """The task that the same person does next."""
    queues: dict[str, list[int]] = defaultdict(list)
    for i in sorted(range(len(who)), key=schedule.starts.__getitem__):
        if who[i]:
            queues[who[i]].append(i)
    return {one: other for queue in queues.values() for one, other in itertools.pairwise(queue)}


def _followers(translation: Translation, next_of: Mapping[int, int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for link in translation.problem.links:
        if link.after < len(translation.items):
            found[link.before].append(link.after)
    for one, other in next_of.items():
        found[one].append(other)
    return found


def _slack(translation: Translation, schedule: Schedule, next_of: Mapping[int, int], length: int) -> list[int]:
    """Working hours each task can slip, with the same people in the same order, before the end of all work moves."""
    followers = _followers(translation, next_of)
    latest = [length] * len(translation.items)
    for i in sorted(range(len(latest)), key=lambda j: (-schedule.ends[j], -schedule.starts[j])):
        for j in followers[i]:
            latest[i] = min(latest[i], latest[j] - (schedule.ends[j] - schedule.starts[j]))
    return [max(0, latest[i] - schedule.ends[i]) for i in range(len(latest))]


def _chain(translation: Translation, schedule: Schedule, next_of: Mapping[int, int], length: int) -> list[int]:
    """From the first to the last: tasks of which each begins when the one before has ended, by a link or on the same person."""
    before: dict[int, list[int]] = defaultdict(list)
    for one, others in _followers(translation, next_of).items():
        for other in others:
            before[other].append(one)
    at: int | None = next(i for i in range(len(translation.items)) if schedule.ends[i] == length)
    chain: list[int] = []
    while at is not None:
        chain.append(at)
        # Pauses and releases may lie between two tasks of the chain, so the last to end is what it waited for.
        at = max((i for i in before[at] if i not in chain), key=lambda i: (schedule.ends[i], i), default=None)
    return chain[::-1]


def _landing(request: PlanRequest, translation: Translation, schedule: Schedule, place: int) -> Landing:
    feature = next(each for each in request.features if each.id == translation.features[place])
    end = schedule.ends[len(translation.items) + place]
    late = max(0, end - translation.slots.ended_by(feature.deadline)) if feature.deadline is not None else 0
    return Landing(feature.id, feature.title, translation.slots.ends_at(end), feature.deadline, late)


def _load(request: PlanRequest, translation: Translation, schedule: Schedule, who: list[str], k: int, length: int) -> Load:
    person = request.people[k]
    away = {t for begin, end, _ in translation.problem.resources[k].changes for t in range(begin, min(end, length, HORIZON_SLOTS))}
    busy = sum(
        translation.problem.activities[i].modes[schedule.modes[i]].duration for i in range(len(translation.items)) if who[i] == person.id
    )
    return Load(person.id, person.name, busy, length - len(away))
