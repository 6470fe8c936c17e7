"""A scheduling problem and its answer: whole slots of time, whole units of resources, no meaning beyond that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

SLOTS_MAX = 200_000
"""The longest horizon, in slots; a schedule that needs more is refused."""


class Goal(StrEnum):
    """What is made small. ``cost``: lateness times weight, plus the cost of every activity that is not where it was.

    ``level``: the sum over resources and slots of squared use, which is smallest when use is even.
    """

    MAKESPAN = "makespan"
    COST = "cost"
    LEVEL = "level"


class Status(StrEnum):
    """``optimal`` is proven; ``feasible`` has a stated gap; ``infeasible`` is proven; ``unknown``: the time was too short to say."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to do an activity: ``duration`` in slots (0: a milestone), ``demands`` as (resource, units).

    ``pausing``: slots in which its resource has capacity 0 do not count, the work goes on after them; else they are in the way. Such a
    mode needs one resource, and all that need it pause.
    """

    duration: int
    demands: tuple[tuple[int, int], ...] = ()
    pausing: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """What is done once, without interruption but for pauses, in one of its ``modes``.

    All times are slots. ``release``: earliest start; ``deadline``: latest end, binding; ``due``: wished end, each slot later costs
    ``weight``; ``fixed_start`` (with ``fixed_mode``): it has started and stays. ``kept_start`` and ``kept_mode``: where it was in an
    earlier schedule; another start or mode costs ``change_cost``.
    """

    label: str
    modes: tuple[Mode, ...]
    release: int = 0
    deadline: int | None = None
    due: int | None = None
    weight: int = 0
    fixed_start: int | None = None
    fixed_mode: int = 0
    kept_start: int | None = None
    kept_mode: int = 0
    change_cost: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """``after`` starts at least ``lag`` slots (≥ 0) after the end of ``before``; both are places in ``Problem.activities``."""

    before: int
    after: int
    lag: int = 0


@dataclass(frozen=True, slots=True)
class Resource:
    """``capacity`` units in every slot, but for ``changes``: (from slot, up to slot, units), the last that covers a slot wins."""

    label: str
    capacity: int
    changes: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """A resource-constrained project. ``goals`` in order of importance: a later one never harms an earlier one.

    Source: Brucker, Drexl, Möhring, Neumann and Pesch 1999, MPS|prec|Cmax and its relatives.
    """

    activities: tuple[Activity, ...]
    links: tuple[Link, ...] = ()
    resources: tuple[Resource, ...] = ()
    goals: tuple[Goal, ...] = (Goal.MAKESPAN,)


@dataclass(frozen=True, slots=True)
class Schedule:
    """``starts``, ``ends`` and ``modes`` in the order of the activities, empty when there is none.

    ``value`` is of the first goal, ``bound`` what no schedule can be below, ``proven`` whether both are the same. ``conflict``: labels
    of the constraints that cannot hold together, for an infeasible problem. ``took_s``: wall time; ``tried``: schedules looked at.
    """

    status: Status
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    modes: tuple[int, ...] = ()
    makespan: int = 0
    cost: int = 0
    value: int = 0
    bound: int = 0
    took_s: float = 0.0
    tried: int = 0
    conflict: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether no schedule can be better on the first goal."""
        return self.status is Status.OPTIMAL

    @property
    def gap(self) -> float:
        """How far the value may be above the best possible, as a share of the value; 0 when proven."""
        return (self.value - self.bound) / self.value if self.value > 0 else 0.0


class ProblemError(ValueError):
    """The problem contradicts itself before any search; the sentence names the activity, link or resource."""


def check(problem: Problem) -> None:
    """Raise: ProblemError for what no solver should be asked."""
    if not problem.activities:
        raise ProblemError("there is nothing to schedule")
    for activity in problem.activities:
        _check_activity(activity, len(problem.resources))
    for resource in problem.resources:
        if min([resource.capacity, *(units for _, _, units in resource.changes)]) < 0:
            raise ProblemError(f"resource {resource.label} has a capacity below 0")
    _check_pauses(problem)
    topological(problem)


def _check_pauses(problem: Problem) -> None:
    pausing: dict[int, bool] = {}
    for activity in problem.activities:
        for mode in activity.modes:
            if mode.pausing and len(mode.demands) != 1:
                raise ProblemError(f"activity {activity.label} has a pausing mode that needs {len(mode.demands)} resources, not one")
            for which, _ in mode.demands:
                if pausing.setdefault(which, mode.pausing) != mode.pausing:
                    raise ProblemError(f"on resource {problem.resources[which].label} some modes pause and some do not")


def _check_activity(activity: Activity, resources: int) -> None:
    if not activity.modes:
        raise ProblemError(f"activity {activity.label} has no mode: nothing and nobody can do it")
    if activity.release < 0 or activity.weight < 0 or activity.change_cost < 0:
        raise ProblemError(f"activity {activity.label} has a release, weight or cost of change below 0")
    for mode in activity.modes:
        if mode.duration < 0:
            raise ProblemError(f"activity {activity.label} lasts {mode.duration} slots")
        if any(not 0 <= which < resources or units < 0 for which, units in mode.demands):
            raise ProblemError(f"activity {activity.label} needs a resource that is not there, or less than nothing of one")
    for number in (activity.fixed_mode, activity.kept_mode):
        if not 0 <= number < len(activity.modes):
            raise ProblemError(f"activity {activity.label} has no mode {number}")


def topological(problem: Problem) -> list[int]:
    """Activities in an order in which none comes before one it waits for. Raises: ProblemError that names a circle."""
    after: list[list[int]] = [[] for _ in problem.activities]
    waiting = [0] * len(problem.activities)
    for link in problem.links:
        if not (0 <= link.before < len(waiting) and 0 <= link.after < len(waiting)) or link.lag < 0:
            raise ProblemError(f"link {link} names an activity that is not there, or a lag below 0")
        after[link.before].append(link.after)
        waiting[link.after] += 1
    order = [i for i, count in enumerate(waiting) if count == 0]
    for i in order:
        for j in after[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                order.append(j)
    if len(order) < len(waiting):
        raise ProblemError(f"activities wait for each other in a circle: {' → '.join(_circle(problem, after, set(order)))}")
    return order


def _circle(problem: Problem, after: Sequence[Sequence[int]], free: set[int]) -> list[str]:
    """Labels along one circle. Only what waits is walked backwards, for each such activity waits for another such one."""
    before: dict[int, int] = {j: i for i, each in enumerate(after) for j in each if i not in free and j not in free}
    at = next(iter(before))
    path: list[int] = []
    while at not in path:
        path.append(at)
        at = before[at]
    circle = [*path[path.index(at) :], at]
    return [problem.activities[i].label for i in reversed(circle)]


def violations(problem: Problem, schedule: Schedule) -> list[str]:
    """What ``schedule`` does wrong, in words; empty for a good one. Looks at everything anew, from the definitions."""
    found = [
        f"{problem.activities[link.after].label} starts before {problem.activities[link.before].label} has ended"
        for link in problem.links
        if schedule.starts[link.after] < schedule.ends[link.before] + link.lag
    ]
    levels = [_levels(resource, max(schedule.ends, default=0)) for resource in problem.resources]
    left = [list(level) for level in levels]
    for i, activity in enumerate(problem.activities):
        start, end, mode = schedule.starts[i], schedule.ends[i], activity.modes[schedule.modes[i]]
        worked = [t for t in range(start, end) if not (mode.pausing and any(levels[k][t] == 0 for k, _ in mode.demands))]
        if len(worked) != mode.duration:
            found.append(f"{activity.label} has {len(worked)} slots, not {mode.duration}")
        found += _times(activity, start, end, schedule.modes[i])
        for k, units in mode.demands:
            for t in worked:
                left[k][t] -= units
    return found + [f"{problem.resources[k].label} is overbooked" for k, level in enumerate(left) if min(level, default=0) < 0]


def _times(activity: Activity, start: int, end: int, mode: int) -> list[str]:
    found = []
    if start < activity.release and activity.fixed_start is None:
        found.append(f"{activity.label} starts before its release")
    if activity.deadline is not None and end > activity.deadline:
        found.append(f"{activity.label} ends after its deadline")
    if activity.fixed_start is not None and (start, mode) != (activity.fixed_start, activity.fixed_mode):
        found.append(f"{activity.label} is not where it has started")
    return found


def _levels(resource: Resource, end: int) -> list[int]:
    levels = [resource.capacity] * end
    for begin, until, units in resource.changes:
        for t in range(max(0, begin), min(end, until)):
            levels[t] = units
    return levels
