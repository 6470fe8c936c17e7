"""Who is called when something is wrong, as the catalog's YAML names it: ``kind: OnCall`` and ``kind: Escalation``."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime, field_validator, model_validator

from productops.domain.catalog_team import DAYS, Day, Line
from productops.domain.catalog_webhooks import EntryName

Severity = Literal["SEV1", "SEV2", "SEV3", "SEV4"]
PersonId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$", description="The name they log in with.")]
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
HOURS_MAX: Final = 24 * 366


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"{name!r} is no time zone that is known here; write one like Europe/Berlin or UTC") from error
    return name


def _no_doubles(what: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{what} names {doubled[0]!r} twice")


class OnCallPerson(_Strict):
    """Somebody who can be called."""

    id: PersonId
    name: Line = Field(default="", description="What people call them. Left out: the id.")
    email: str = Field(default="", max_length=255, pattern=r"^([^\s@,<>]+@[^\s@,<>]+)?$", description="Known by it in calendars, too.")
    channels: tuple[EntryName, ...] = Field(
        default=(),
        max_length=10,
        description="Channels (kind: Channel) that reach this person, all at once. Without one nobody is reached.",
    )

    @property
    def called(self) -> str:
        """What people call them."""
        return self.name or self.id


class Hours(_Strict):
    """Local hours of some weekdays; ``22:00-06:00`` goes on into the next day."""

    weekdays: tuple[Day, ...] = Field(default=DAYS, min_length=1, max_length=7, description="Days on which these hours begin.")
    hours: str = Field(description="Local times, as 09:00-17:00. 00:00-00:00 is the whole day.")

    @field_validator("hours")
    @classmethod
    def _readable(cls, hours: str) -> str:
        if not _SPAN.fullmatch(hours):
            raise ValueError(f"{hours!r} are no hours of a day; write them like 09:00-17:00")
        return hours

    @property
    def span(self) -> tuple[time, time]:
        """Begin and end; an end that is not after the begin is of the next day."""
        begin, _, end = self.hours.partition("-")
        return time.fromisoformat(begin), time.fromisoformat(end)

    def day_numbers(self) -> frozenset[int]:
        """0 is Monday."""
        return frozenset(DAYS.index(day) for day in self.weekdays)


class Layer(_Strict):
    """People who take turns. A later layer goes before an earlier one, where it has somebody."""

    name: EntryName
    people: tuple[PersonId, ...] = Field(min_length=1, max_length=100, description="In this order, again and again.")
    starts: NaiveDatetime = Field(description="Local time of the first hand-over, e.g. 2026-01-05T09:00: Mondays at nine, when weekly.")
    every: int = Field(default=1, ge=1, le=HOURS_MAX, description="So many units is one turn.")
    unit: Literal["hour", "day", "week"] = Field(
        default="week", description="Days and weeks end at the same local time whatever the clocks do; hours are exact."
    )
    ends: NaiveDatetime | None = Field(default=None, description="Local time of its end. Left out: none.")
    only: tuple[Hours, ...] = Field(default=(), max_length=20, description="Only in these hours. Empty: always.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.ends is not None and self.ends <= self.starts:
            raise ValueError("ends must be after starts")
        if not 1971 <= self.starts.year <= 2199:
            raise ValueError(f"starts is in the year {self.starts.year}; schedules know the years 1971 to 2199")
        return self


class OnCallSpec(_Strict):
    """Who takes calls when."""

    title: Line = ""
    timezone: str = Field(default="UTC", max_length=60, description="Zone of all local times here, e.g. Europe/Berlin.")
    people: tuple[OnCallPerson, ...] = Field(min_length=1, max_length=200)
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=20)
    covers: tuple[Hours, ...] = Field(
        default=(), max_length=20, description="Hours in which somebody must be there; outside of them nobody is missed. Empty: always."
    )

    _known_zone = field_validator("timezone")(_zone)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _no_doubles("people", [person.id for person in self.people])
        _no_doubles("layers", [layer.name for layer in self.layers])
        known = {person.id for person in self.people}
        for layer in self.layers:
            unknown = sorted(set(layer.people) - known)
            if unknown:
                raise ValueError(f"layer {layer.name!r} names {unknown[0]!r}, who is not among people")
        return self

    def person(self, name: str) -> OnCallPerson | None:
        """By id, name or mail address, whatever the case; None for somebody unknown."""
        wanted = name.strip().lower()
        return next((p for p in self.people if wanted and wanted in {p.id.lower(), p.name.lower(), p.email.lower()}), None)


class Target(_Strict):
    """Whom a level calls: who is on call, a person, or a channel."""

    schedule: EntryName | None = Field(default=None, description="Whoever is on call by this schedule (kind: OnCall).")
    person: PersonId | None = Field(default=None, description="This person; their channels are those that a schedule of the venture names.")
    channel: EntryName | None = Field(default=None, description="This channel (kind: Channel).")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.schedule, self.person, self.channel)) != 1:
            raise ValueError("name exactly one of schedule, person, channel")
        return self

    def __str__(self) -> str:
        return next(f"{kind} {name}" for kind, name in self.model_dump().items() if name is not None)


class Level(_Strict):
    """One step of an escalation."""

    targets: tuple[Target, ...] = Field(min_length=1, max_length=20)
    wait_minutes: float = Field(
        default=5, ge=0.05, le=1440, description="So long somebody has to acknowledge; then the next level is called as well."
    )


class EscalationSpec(_Strict):
    """Who is called first, who next, and who when nobody answers."""

    services: tuple[EntryName, ...] = Field(default=(), max_length=500, description="Incidents of these services. Empty: of all others.")
    severities: tuple[Severity, ...] = Field(
        default=("SEV1", "SEV2"), min_length=1, description="Incidents that call somebody; the rest wait for the morning."
    )
    levels: tuple[Level, ...] = Field(min_length=1, max_length=10)
    repeat: int = Field(default=2, ge=0, le=20, description="So often it begins again at the first level when the last one was waited for.")
    fallback: tuple[Target, ...] = Field(
        default=(), max_length=20, description="Called when all that was in vain, and whenever a level has nobody who can be reached."
    )


class PeopleMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class OnCallEntry(_Strict):
    """``kind: OnCall``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["OnCall"]
    metadata: PeopleMetadata
    spec: OnCallSpec


class EscalationEntry(_Strict):
    """``kind: Escalation``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815
    kind: Literal["Escalation"]
    metadata: PeopleMetadata
    spec: EscalationSpec
