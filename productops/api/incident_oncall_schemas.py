"""Wire schemas of on-call schedules, calls, channels and what was told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from productops.api.release_schemas import Reason, Sent, Text
from productops.domain.incident_escalation import Page, PageState
from productops.domain.incident_oncall import Channel, OnDuty, Override
from productops.domain.incident_updates import Audience, Moment, Notice
from productops.usecases.incident_oncall import OnCallProblem, ScheduleView

PersonName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class OnDutyOut(_Out):
    """Who takes calls by a schedule."""

    schedule: str
    person: str | None = Field(description="Null: nobody.", examples=["mia"])
    name: str
    layer: str = Field(description="By which turn, or override.", examples=["weekly"])
    since: datetime
    until: datetime | None = Field(description="The next hand-over.")
    following: str | None = Field(description="Who is next.", examples=["noah"])

    @classmethod
    def of(cls, duty: OnDuty) -> OnDutyOut:
        """As callers see it."""
        return cls.model_validate(duty)


class OnDutyList(BaseModel):
    """Each schedule."""

    items: list[OnDutyOut]


class ShiftOut(_Out):
    """A time in which one person takes calls."""

    person: str
    starts_at: datetime
    ends_at: datetime
    layer: str


class GapOut(_Out):
    """A time in which somebody should be there, and nobody is."""

    starts_at: datetime
    ends_at: datetime


class OverrideOut(_Out):
    """Somebody in another's place."""

    id: str
    schedule: str
    person: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    by: str
    at: datetime

    @classmethod
    def of(cls, made: Override) -> OverrideOut:
        """As callers see it."""
        return cls.model_validate(made)


class OverrideList(BaseModel):
    """Overrides."""

    items: list[OverrideOut]


class SchedulePersonOut(BaseModel):
    """Somebody of a schedule."""

    id: str
    name: str
    channels: list[str]


class ScheduleOut(BaseModel):
    """A schedule in a time."""

    name: str
    venture: str
    title: str
    timezone: str
    people: list[SchedulePersonOut]
    shifts: list[ShiftOut]
    overrides: list[OverrideOut]
    gaps: list[GapOut]

    @classmethod
    def of(cls, view: ScheduleView) -> ScheduleOut:
        """As callers see it."""
        spec = view.schedule.spec
        return cls(
            name=view.schedule.name, venture=view.schedule.venture, title=spec.title, timezone=spec.timezone,
            people=[SchedulePersonOut(id=p.id, name=p.called, channels=list(p.channels)) for p in spec.people],
            shifts=[ShiftOut.model_validate(each) for each in view.shifts],
            overrides=[OverrideOut.of(each) for each in view.overrides], gaps=[GapOut.model_validate(each) for each in view.gaps],
        )  # fmt: skip


class OverrideIn(Sent):
    """Who takes calls in whose place."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"person": "noah", "starts_at": "2026-11-21T18:00:00Z", "ends_at": "2026-11-22T08:00:00Z"}]},
    )
    person: PersonName = Field(description="Id, name or mail address of somebody of the schedule.")
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    reason: Text = ""


class SwapIn(Sent):
    """Two people take each other's shift."""

    first: AwareDatetime = Field(description="A time within the one shift.")
    second: AwareDatetime = Field(description="A time within the other.")
    reason: Text = ""


class CalendarIn(Sent):
    """A calendar whose events are named by people."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"calendar": "BEGIN:VCALENDAR\r\n…\r\nEND:VCALENDAR"}]})
    calendar: Annotated[str, Field(min_length=1, max_length=120_000, description="iCalendar (RFC 5545).")]


class OnCallProblemOut(_Out):
    """Something that keeps people from being called."""

    kind: str = Field(examples=["OnCall"])
    name: str
    text: str

    @classmethod
    def of(cls, problem: OnCallProblem) -> OnCallProblemOut:
        """As callers see it."""
        return cls.model_validate(problem)


class OnCallProblemList(BaseModel):
    """Nothing in it is good news."""

    items: list[OnCallProblemOut]


class PageOut(_Out):
    """A run through an escalation."""

    incident_id: str
    number: int
    policy: str
    state: PageState
    round: int = Field(description="From 0; rises with each repetition.")
    level: int = Field(description="From 0; -1: nobody was called yet.")
    called: list[dict[str, Any]] = Field(description="Who, when, over which channel.")
    due_at: datetime | None = Field(description="When the next level is called, unless somebody acknowledges.")
    started_at: datetime
    ended_at: datetime | None
    by: str | None = Field(description="Who ended it.")

    @classmethod
    def of(cls, found: Page) -> PageOut:
        """As callers see it."""
        told = {name: getattr(found, name) for name in cls.model_fields}
        return cls.model_validate(told | {"called": [dict(each) for each in found.called]})


class PagedOut(BaseModel):
    """What came of a call; `page` null: nobody has to be called."""

    page: PageOut | None


class ChannelOut(BaseModel):
    """A way to reach people. Its address is a secret and is not told."""

    name: str
    venture: str
    way: str = Field(examples=["apprise"], description="apprise, mail or webhook.")
    audience: Audience
    personal: bool
    severities: list[str]
    services: list[str]

    @classmethod
    def of(cls, found: Channel) -> ChannelOut:
        """As callers see it."""
        spec = found.spec
        way = "apprise" if spec.secret else "mail" if spec.mail else "webhook"
        return cls(
            name=found.name, venture=found.venture, way=way, audience=spec.audience, personal=spec.personal,
            severities=list(spec.severities), services=list(spec.services),
        )  # fmt: skip


class ChannelList(BaseModel):
    """Channels, by name."""

    items: list[ChannelOut]


class TriedOut(BaseModel):
    """A message is on its way."""

    notice_id: str


class TellIn(Sent):
    """A word to everybody who works on an incident, or waits for it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": "The database answers again; we watch it."}]})
    text: Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^[^\x00]*$")]


class ToldOut(BaseModel):
    """What was put down to be sent."""

    notices: list[str]


class NoticeOut(_Out):
    """Something told to somebody."""

    id: str
    venture: str
    incident_id: str | None
    moment: Moment
    audience: Audience
    channel: str
    recipient: str
    subject: str
    text: str
    state: str = Field(examples=["sent"], description="waiting, sending, sent, failed or dropped.")
    attempts: int
    created_at: datetime
    sent_at: datetime | None
    error: str

    @classmethod
    def of(cls, notice: Notice) -> NoticeOut:
        """As callers see it."""
        return cls.model_validate(notice)


class NoticePage(BaseModel):
    """What was told, newest first; pass `next` as `after` for the following page."""

    items: list[NoticeOut]
    next: str | None


class ReasonIn(Sent):
    """Why."""

    reason: Reason
