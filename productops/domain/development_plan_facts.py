"""What is known of the work before it is planned: stored work, teams, and gaps with what was assumed in their place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from productops.domain.catalog_team import TeamSpec
from productops.domain.development import Feature, Link, Move, Person, Sprint, WorkItem
from productops.domain.development_plan import PlanRequest, WorkCalendar
from productops.domain.release_windows import Interval

SHOWN_MAX = 100
"""So many items a gap names."""


@dataclass(frozen=True, slots=True)
class CalendarCopy:
    """What a team's iCalendar source said when it was last read. ``error``: why the last look failed; the times are those before it."""

    read_at: datetime | None = None
    checked_at: datetime | None = None
    etag: str = ""
    error: str = ""
    times: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True)
class Team:
    """A declared team. ``calendars``: copies of its iCalendar sources by ``holidays`` or ``person/ID``; ``base``: where files are from."""

    name: str
    venture: str
    spec: TeamSpec
    base: str
    revision: int = 1
    calendars: Mapping[str, CalendarCopy] = field(default_factory=dict)

    def times(self, calendar: str) -> tuple[Interval, ...]:
        """Of a calendar's copy; none where there is no calendar."""
        copy = self.calendars.get(calendar)
        return copy.times if copy is not None else ()

    def holidays(self) -> tuple[Interval, ...]:
        """When nobody of the team works."""
        return (*(each.interval(self.spec.timezone) for each in self.spec.holidays), *self.times(HOLIDAYS))

    def hours(self) -> WorkCalendar:
        """When the team works."""
        return WorkCalendar(self.spec.timezone, self.spec.day_numbers(), self.spec.spans(), self.holidays())

    def covers(self, item: WorkItem, feature_key: str) -> bool:
        """Whether a piece of work is theirs."""
        spec = self.spec
        return (
            (not spec.sources or item.source in spec.sources)
            and (not spec.services or bool(set(spec.services) & set(item.services)))
            and (not spec.features or feature_key in spec.features)
        )


HOLIDAYS = "holidays"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something a plan needs to know and does not. ``about``: keys of items, people or teams, the first hundred of ``count``."""

    kind: str
    missing: str
    assumed: str
    to_do: str
    about: tuple[str, ...] = ()
    count: int = 0


class Gaps:
    """Collects gaps; those of the same words become one."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)

    def add(self, kind: str, missing: str, assumed: str, to_do: str, *about: str) -> None:
        """One more."""
        self._found[kind, missing, assumed, to_do] += about

    def all(self) -> tuple[Gap, ...]:
        """Those that concern most first."""
        found = [Gap(*words, tuple(about[:SHOWN_MAX]), len(about)) for words, about in self._found.items()]
        return tuple(sorted(found, key=lambda gap: (-gap.count, gap.kind, gap.missing)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Stored work of a venture. ``items`` are open, ``done`` are past; ``moves``: of the field ``blocked``.

    ``renamed``: what references that are neither an id nor a present key lead to: (source, reference) → external id.
    """

    venture: str
    now: datetime
    items: tuple[WorkItem, ...]
    done: tuple[WorkItem, ...] = ()
    features: tuple[Feature, ...] = ()
    links: tuple[Link, ...] = ()
    moves: tuple[Move, ...] = ()
    people: tuple[Person, ...] = ()
    sprints: tuple[Sprint, ...] = ()
    teams: tuple[Team, ...] = ()
    renamed: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def names(self, things: Iterable[WorkItem | Feature]) -> dict[tuple[str, str], str]:
        """(source, external id) → what a plan calls it: its key, with its source where two sources use the same."""
        listed = list(things)
        sources: dict[str, set[str]] = defaultdict(set)
        for each in listed:
            sources[each.key].add(each.source)
        return {
            (each.source, each.external_id): each.key if len(sources[each.key]) == 1 else f"{each.source}/{each.key}" for each in listed
        }

    def leads(self, things: Iterable[WorkItem | Feature]) -> dict[tuple[str, str], str]:
        """(source, external id or key of now or earlier) → external id."""
        found = dict(self.renamed)
        for each in things:
            found[each.source, each.key] = each.external_id
            found[each.source, each.external_id] = each.external_id
        return found


@dataclass(frozen=True, slots=True)
class PastWork:
    """A piece of work that is done, with an estimate. Hours of one full-time person; ``actual_h`` is worked out of when it was in work."""

    item: str
    person: str
    skill: str
    expected_h: float
    actual_h: float
    done_at: datetime


@dataclass(frozen=True, slots=True)
class SprintWork:
    """A sprint that is under way or ahead, with the plan's ids of its items that are open."""

    key: str
    name: str
    ends_at: datetime
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrawnWork:
    """A request made of facts: what is missing and was assumed, what was learned, and sprints that the work is in."""

    request: PlanRequest
    gaps: tuple[Gap, ...] = ()
    past: tuple[PastWork, ...] = ()
    sprints: tuple[SprintWork, ...] = ()
