"""When releases may start, as the catalog's YAML names it: ``kind: Calendar`` and ``kind: ChangeWindow``."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime, field_validator, model_validator

from productops.domain.release import Environment

_RULE = re.compile(r"FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;[A-Z]+=[A-Z0-9,+-]+)*")
ServiceName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class Effect(StrEnum):
    """What an event means: nothing may start within a freeze; where windows are declared, releases start only within one."""

    FREEZE = "freeze"
    WINDOW = "window"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileSource(_Strict):
    """An iCalendar file."""

    kind: Literal["file"]
    path: str = Field(min_length=1, max_length=1000, description="File in iCalendar format (.ics). Relative to the catalog file.")


class UrlSource(_Strict):
    """An iCalendar feed: what Google, Outlook and others give as the address of a calendar."""

    kind: Literal["url"]
    url: str = Field(max_length=2000, description="Address, https://… A secret within it is shown to everybody who may read the catalog.")
    refresh_s: int = Field(default=900, ge=60, le=86_400, description="How often it is asked whether it changed.")

    @field_validator("url")
    @classmethod
    def _fetchable(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"https", "http"} and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.username or parts.password:
            raise ValueError("is no address of a calendar; write it like https://example.com/holidays.ics, without user and password")
        return url


Source = Annotated[FileSource | UrlSource, Field(discriminator="kind")]


class _Scope(_Strict):
    """Whom it is for."""

    effect: Effect = Field(description="'freeze': nothing may start within its events. 'window': releases start only within its events.")
    services: tuple[ServiceName, ...] = Field(default=(), max_length=500, description="Services it is for. Empty: all.")
    environments: tuple[Environment, ...] = Field(default=(), description="Environments it is for. Empty: all.")
    timezone: str = Field(default="UTC", max_length=60, description="Zone of times without one, and of whole days, e.g. Europe/Berlin.")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError, below
            raise ValueError(f"{name!r} is no time zone; write one like Europe/Berlin or UTC") from error
        except KeyError as error:
            raise ValueError(f"{name!r} is no time zone that is known here; write one like Europe/Berlin or UTC") from error
        return name


class CalendarSpec(_Scope):
    """A calendar that somebody keeps elsewhere: every event of it is a freeze, or a window."""

    description: str = Field(default="", max_length=2000)
    source: Source


class WindowTime(_Strict):
    """One time, which may recur."""

    starts: NaiveDatetime = Field(description="Local time of the first one, e.g. 2026-12-20T18:00.")
    ends: NaiveDatetime | None = Field(default=None, description="Local time of its end; this or duration_s.")
    duration_s: int | None = Field(default=None, ge=60, le=31_622_400, description="How long it lasts; this or ends.")
    rrule: str = Field(default="", max_length=500, description="How it recurs, as in RFC 5545: FREQ=WEEKLY;BYDAY=TU,TH. Empty: once.")
    excluded: tuple[NaiveDatetime, ...] = Field(default=(), max_length=500, description="Local starts that are left out.")

    @field_validator("rrule")
    @classmethod
    def _readable(cls, rule: str) -> str:
        if rule and not _RULE.fullmatch(rule):
            raise ValueError("is no rule of recurrence; it looks like FREQ=WEEKLY;BYDAY=TU,TH, at most daily")
        return rule

    @model_validator(mode="after")
    def _ending(self) -> Self:
        if (self.ends is None) == (self.duration_s is None):
            raise ValueError("give either ends or duration_s")
        if self.ends is not None and self.ends <= self.starts:
            raise ValueError("ends must be after starts")
        return self

    @property
    def duration(self) -> timedelta | None:
        """Exact time, where that was given."""
        return None if self.duration_s is None else timedelta(seconds=self.duration_s)


class ChangeWindowSpec(_Scope):
    """Times that are written into the catalog itself."""

    title: str = Field(default="", max_length=200, description="What people are told: 'Year-end closing'. Default: the entry's name.")
    times: tuple[WindowTime, ...] = Field(min_length=1, max_length=200)


class CalendarMetadata(_Strict):
    """Name, owner and labels of a calendar."""

    name: ServiceName = Field(description="Lower case letters, digits and '-'; one name for calendars and change windows together.")
    venture: ServiceName | None = Field(default=None, description="The venture it is for. Left out: all ventures.")
    labels: dict[str, str] = Field(default_factory=dict, max_length=50, description="Shown and searched: reason: audit.")


class CalendarEntry(_Strict):
    """``kind: Calendar``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Calendar"]
    metadata: CalendarMetadata
    spec: CalendarSpec


class ChangeWindowEntry(_Strict):
    """``kind: ChangeWindow``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815
    kind: Literal["ChangeWindow"]
    metadata: CalendarMetadata
    spec: ChangeWindowSpec
