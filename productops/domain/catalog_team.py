"""Who does the work and when, as the catalog's YAML names it: ``kind: Team``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Annotated, Final, Literal, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from productops.domain.catalog_webhooks import EntryName
from productops.domain.catalog_windows import Source
from productops.domain.release_windows import Interval

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Foreign = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Line = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00-\x1f\x7f]*$")]
Pace = Annotated[float, Field(ge=0.05, le=10, description="1: as estimated; 0.5: takes twice as long.")]
Share = Annotated[float, Field(ge=0.05, le=1)]
Hours = Annotated[float, Field(gt=0, le=10_000)]
D = TypeVar("D", date, datetime)
YEARS: Final = (1971, 2199)
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def _plausible(at: D) -> D:
    if not YEARS[0] <= at.year <= YEARS[1]:
        raise ValueError(f"is in the year {at.year}; plans know the years {YEARS[0]} to {YEARS[1]}")
    return at


At = Annotated[AwareDatetime, AfterValidator(_plausible)]
On = Annotated[date, AfterValidator(_plausible)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Absence(_Strict):
    """Time without work: whole local days from ``first`` to ``last``, or exact times from ``starts_at`` to ``ends_at``."""

    first: On | None = Field(default=None, description="First day of it, e.g. 2026-12-24.")
    last: On | None = Field(default=None, description="Last day of it. Left out: the first day only.")
    starts_at: At | None = Field(default=None, description="Instead of days: its beginning, with its zone.")
    ends_at: At | None = Field(default=None, description="Its end, with its zone.")
    title: Line = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        exact = self.starts_at is not None and self.ends_at is not None
        if (self.first is None) != exact or (self.first is None and self.last is not None):
            raise ValueError("write first (and last), as days, or starts_at and ends_at, as times")
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ValueError("last is before first")
        if self.starts_at is not None and self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("ends_at must be after starts_at")
        return self

    def interval(self, timezone: str) -> Interval:
        """The same as exact times; days are those of ``timezone``."""
        if self.starts_at is not None and self.ends_at is not None:
            return Interval(self.starts_at, self.ends_at)
        first = self.first or date.min
        zone = ZoneInfo(timezone)
        begin = datetime.combine(first, time(), zone)
        return Interval(begin, datetime.combine((self.last or first) + timedelta(days=1), time(), zone))


class TeamPerson(_Strict):
    """Somebody who works."""

    id: Foreign = Field(description="One name for this person, in all plans.")
    name: Line = Field(default="", description="What people call them. Left out: the id.")
    accounts: tuple[Foreign, ...] = Field(
        default=(), max_length=50, description="Logins and e-mail addresses in the sources: what is assigned to one of them is theirs."
    )
    skills: dict[EntryName, Pace] = Field(min_length=1, max_length=100, description="Skill → pace: {backend: 1, frontend: 0.5}.")
    share: Share = Field(default=1.0, description="Part of the team's hours that they work on what is planned.")
    absences: tuple[Absence, ...] = Field(default=(), max_length=500)
    absence_calendar: Source | None = Field(default=None, description="iCalendar file or address: each event of it is an absence.")


class WorkHours(_Strict):
    """When work is done."""

    timezone: str = Field(default="UTC", max_length=60, description="Zone of the hours and of whole days, e.g. Europe/Berlin.")
    weekdays: tuple[Day, ...] = Field(default=DAYS[:5], min_length=1, max_length=7)
    hours: tuple[str, ...] = Field(
        default=("09:00-13:00", "14:00-18:00"), min_length=1, max_length=10, description="Local times of a day; plans count whole hours."
    )
    holidays: tuple[Absence, ...] = Field(default=(), max_length=1000, description="Nobody works then.")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError) as error:
            raise ValueError(f"{name!r} is no time zone that is known here; write one like Europe/Berlin or UTC") from error
        return name

    @field_validator("hours")
    @classmethod
    def _readable(cls, hours: tuple[str, ...]) -> tuple[str, ...]:
        spans = []
        for each in hours:
            found = _HOURS.fullmatch(each)
            if not found or found[3] + found[4] <= found[1] + found[2]:
                raise ValueError(f"{each!r} are no hours of a day; write them like 09:00-13:00")
            spans.append((found[1] + found[2], found[3] + found[4]))
        spans.sort()
        if any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans)):
            raise ValueError("hours overlap")
        if not any(int(end) - int(begin) >= 100 for begin, end in spans):
            raise ValueError("hours hold no whole hour; plans count whole hours")
        return hours

    def spans(self) -> tuple[tuple[time, time], ...]:
        """The hours as times."""
        pairs = (each.split("-") for each in sorted(self.hours))
        return tuple((time.fromisoformat(begin), time.fromisoformat(end)) for begin, end in pairs)

    def day_numbers(self) -> tuple[int, ...]:
        """0 is Monday."""
        return tuple(sorted({DAYS.index(day) for day in self.weekdays}))


class TeamSpec(WorkHours):
    """People who plan together, when they work, and on what."""

    title: Line = ""
    people: tuple[TeamPerson, ...] = Field(min_length=1, max_length=500)
    holiday_calendar: Source | None = Field(default=None, description="iCalendar file or address: on its events nobody works.")
    usual_h: dict[EntryName, Hours] = Field(
        default_factory=dict,
        max_length=100,
        description="Hours of a piece of work by skill, where it has no estimate and nothing is learned.",
    )
    hours_per_point: float | None = Field(default=None, gt=0, le=1000, description="Makes hours of points, where nothing is learned.")
    default_skill: EntryName | None = Field(default=None, description="Skill of work that names none.")
    sources: tuple[EntryName, ...] = Field(default=(), max_length=100, description="DevelopmentSources whose work is theirs. Empty: all.")
    services: tuple[EntryName, ...] = Field(default=(), max_length=500, description="Services whose work is theirs. Empty: all.")
    features: tuple[Foreign, ...] = Field(default=(), max_length=500, description="Keys of features that are theirs. Empty: all.")
    binding_labels: tuple[Foreign, ...] = Field(
        default=("binding", "hard-deadline"), max_length=20, description="Labels that make a due date a must, not a wish."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _no_doubles("people", [person.id for person in self.people])
        _no_doubles("accounts", [account.lower() for person in self.people for account in person.accounts])
        known = {skill for person in self.people for skill in person.skills}
        if self.default_skill is not None and self.default_skill not in known:
            raise ValueError(f"default_skill {self.default_skill!r} is a skill that nobody of the team has")
        return self


def _no_doubles(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} names {name!r} twice")
        seen.add(name)


class TeamMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class TeamEntry(_Strict):
    """``kind: Team``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Team"]
    metadata: TeamMetadata
    spec: TeamSpec
