"""The plan of development work: what is to be done, who can do it, and who does what when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time

from productops.domain.release_windows import Interval
from productops.errors import InvalidInputError

WEEKDAYS = (0, 1, 2, 3, 4)
WORKDAY = ((time(9), time(13)), (time(14), time(18)))
ITEMS_MAX = 5_000
PEOPLE_MAX = 500


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """When the team works: local ``hours`` of ``weekdays`` (0 Monday) in ``timezone``, but for ``holidays``. Plans count its hours."""

    timezone: str = "UTC"
    weekdays: tuple[int, ...] = WEEKDAYS
    hours: tuple[tuple[time, time], ...] = WORKDAY
    holidays: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """Hours of work of one full-time person: at best, most likely, at worst."""

    optimistic_h: float
    likely_h: float
    pessimistic_h: float

    @property
    def expected_h(self) -> float:
        """The mean. Source: Malcolm, Roseboom, Clark and Fazar 1959 (PERT)."""
        return (self.optimistic_h + 4 * self.likely_h + self.pessimistic_h) / 6


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One task, done by one person who has ``skill``.

    ``estimate`` None: the usual hours of the skill, from ``PlanRequest.usual_h``. ``after``: ids of items that must have ended.
    ``deadline`` is a wish that costs, or, with ``binding``, a must. ``done_share``: 0 to 1. ``person``: who has it; with ``started`` it
    stays with that person and goes on at once. ``not_before``: it waits for something outside.
    """

    id: str
    title: str
    skill: str
    feature: str = ""
    estimate: Estimate | None = None
    after: tuple[str, ...] = ()
    priority: int = 1
    deadline: datetime | None = None
    binding: bool = False
    done_share: float = 0.0
    started: bool = False
    person: str = ""
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Feature:
    """What users get when all its items are done. ``priority``: cost of each hour after the ``deadline``; ``binding``: it is a must."""

    id: str
    title: str
    priority: int = 1
    deadline: datetime | None = None
    binding: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """Who works. ``skills``: pace by skill, 1 is as estimated, 0.5 takes twice as long. ``share`` of the working time, 0 to 1."""

    id: str
    name: str
    skills: dict[str, float]
    share: float = 1.0
    absences: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a plan is made of. ``starts_at``: from when on; aware. ``usual_h``: hours by skill for items without an estimate;
    ``history``: real hours per estimated hour by skill, from past items. ``level``: spread the work evenly where it costs nothing.
    """

    starts_at: datetime
    items: tuple[WorkItem, ...]
    people: tuple[Person, ...]
    features: tuple[Feature, ...] = ()
    calendar: WorkCalendar = field(default_factory=WorkCalendar)
    usual_h: dict[str, float] = field(default_factory=dict)
    history: dict[str, float] = field(default_factory=dict)
    level: bool = False

    def hours(self, item: WorkItem) -> float:
        """Hours of work that are left of ``item``, for a full-time person at pace 1. Raises: InvalidInputError without any estimate."""
        if item.estimate is None and item.skill not in self.usual_h:
            raise InvalidInputError(
                f"item {item.id} has no estimate, and there are no usual hours of skill {item.skill!r}; add one of them"
            )
        full = item.estimate.expected_h if item.estimate else self.usual_h[item.skill]
        return full * self.history.get(item.skill, 1.0) * (1 - item.done_share)


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """``person`` is empty for what needs no time. ``slack_h``: working hours it can slip before the end of all work does."""

    item: str
    title: str
    feature: str
    person: str
    starts_at: datetime
    ends_at: datetime
    slot_from: int
    slot_to: int
    slack_h: int
    critical: bool


@dataclass(frozen=True, slots=True)
class Landing:
    """When a feature has all its items done. ``late_h``: working hours after the deadline; 0 without one."""

    feature: str
    title: str
    lands_at: datetime
    deadline: datetime | None
    late_h: int


@dataclass(frozen=True, slots=True)
class Load:
    """How much of the hours a person works until the end of the plan are planned; 0 to 1."""

    person: str
    name: str
    busy_h: int
    available_h: int

    @property
    def share(self) -> float:
        """Busy of available."""
        return self.busy_h / self.available_h if self.available_h else 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """``proven``: no plan is better by its ``goal``; else none is by more than ``gap``, as a share. The goal is the makespan; of a plan
    that keeps to a previous one it is the ``cost`` of lateness and moves. ``critical``: item ids along the chain that makes the plan as
    long as it is, of links and of people who are busy.
    """

    starts_at: datetime
    ends_at: datetime
    length_h: int
    tasks: tuple[PlannedTask, ...]
    landings: tuple[Landing, ...]
    loads: tuple[Load, ...]
    critical: tuple[str, ...]
    proven: bool
    gap: float
    cost: int
    took_s: float
    goal: str = "makespan"

    def task(self, item: str) -> PlannedTask | None:
        """The task of an item; None for one that is not in the plan."""
        return next((task for task in self.tasks if task.item == item), None)


def check_request(request: PlanRequest) -> None:
    """Raises: InvalidInputError that names what is wrong and what to do."""
    if request.starts_at.tzinfo is None:
        raise InvalidInputError("the plan's start has no time zone; say which")
    if not 0 < len(request.items) <= ITEMS_MAX or len(request.people) > PEOPLE_MAX:
        raise InvalidInputError(f"a plan takes 1 to {ITEMS_MAX:,} items and up to {PEOPLE_MAX} people; plan a part of them")
    for what, ids in (("item", [i.id for i in request.items]), ("person", [p.id for p in request.people]), ("feature", _features(request))):
        if len(ids) != len(set(ids)):
            raise InvalidInputError(f"{what} {next(each for each in ids if ids.count(each) > 1)!r} is there twice; give each its own id")
    known = {item.id for item in request.items}
    features = {feature.id for feature in request.features}
    for item in request.items:
        _check_item(item, known, features)
    for person in request.people:
        if not 0 < person.share <= 1 or any(pace <= 0 for pace in person.skills.values()):
            raise InvalidInputError(f"person {person.id} needs a share of time above 0 up to 1, and paces above 0")


def _features(request: PlanRequest) -> list[str]:
    return [feature.id for feature in request.features]


def _check_item(item: WorkItem, known: set[str], features: set[str]) -> None:
    if unknown := [each for each in item.after if each not in known]:
        raise InvalidInputError(f"item {item.id} waits for {', '.join(unknown)}, which is not in the plan; add it, or drop the dependency")
    if item.feature and item.feature not in features:
        raise InvalidInputError(f"item {item.id} is of feature {item.feature!r}, which is not in the plan")
    if not 0 <= item.done_share <= 1:
        raise InvalidInputError(f"item {item.id} is done to {item.done_share}; a share is from 0 to 1")
    estimate = item.estimate
    if estimate and not 0 <= estimate.optimistic_h <= estimate.likely_h <= estimate.pessimistic_h:
        raise InvalidInputError(f"item {item.id}: the hours at best, likely and at worst must be in that order, from 0 on")
