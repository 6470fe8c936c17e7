"""Documents of oncall. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


Audience = Literal['engineers', 'management', 'customers']


class CalendarIn(TypedDict):
    """A calendar whose events are named by people."""
    calendar: str


class ChannelList(TypedDict):
    """Channels, by name."""
    items: list[ChannelOut]


class ChannelOut(TypedDict):
    """A way to reach people. Its address is a secret and is not told."""
    name: str
    venture: str
    way: str
    audience: Audience
    personal: bool
    severities: list[str]
    services: list[str]


class DraftIn(TypedDict):
    """How to write the draft."""
    again: NotRequired[bool]


class EditIn(TypedDict):
    """Another text."""
    text: str
    revision: int
    title: NotRequired[str | None]


class GapOut(TypedDict):
    """A time in which somebody should be there, and nobody is."""
    starts_at: str
    ends_at: str


Harm = Literal['operational', 'degraded-performance', 'partial-outage', 'major-outage']


class IncidentOncallTriedOut(TypedDict):
    """A message is on its way."""
    notice_id: str


Moment = Literal['opened', 'update', 'mitigated', 'resolved', 'reopened', 'escalated', 'paged', 'reminder', 'overdue', 'test']


class NoticeOut(TypedDict):
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
    state: str
    attempts: int
    created_at: str
    sent_at: str | None
    error: str


class NoticePage(TypedDict):
    """What was told, newest first; pass `next` as `after` for the following page."""
    items: list[NoticeOut]
    next: str | None


class OnCallProblemList(TypedDict):
    """Nothing in it is good news."""
    items: list[OnCallProblemOut]


class OnCallProblemOut(TypedDict):
    """Something that keeps people from being called."""
    kind: str
    name: str
    text: str


class OnDutyList(TypedDict):
    """Each schedule."""
    items: list[OnDutyOut]


class OnDutyOut(TypedDict):
    """Who takes calls by a schedule."""
    schedule: str
    person: str | None
    name: str
    layer: str
    since: str
    until: str | None
    following: str | None


class OverrideIn(TypedDict):
    """Who takes calls in whose place."""
    person: str
    starts_at: str
    ends_at: str
    reason: NotRequired[str]


class OverrideList(TypedDict):
    """Overrides."""
    items: list[OverrideOut]


class OverrideOut(TypedDict):
    """Somebody in another's place."""
    id: str
    schedule: str
    person: str
    starts_at: str
    ends_at: str
    reason: str
    by: str
    at: str


class PageOut(TypedDict):
    """A run through an escalation."""
    incident_id: str
    number: int
    policy: str
    state: PageState
    round: int
    level: int
    called: list[dict[str, Any]]
    due_at: str | None
    started_at: str
    ended_at: str | None
    by: str | None


PageState = Literal['calling', 'acknowledged', 'ended', 'exhausted']


class PagedOut(TypedDict):
    """What came of a call; `page` null: nobody has to be called."""
    page: PageOut | None


class PostmortemList(TypedDict):
    """Newest first."""
    items: list[PostmortemSummaryOut]


class PostmortemOut(TypedDict):
    """The whole text."""
    incident_id: str
    venture: str
    state: PostmortemState
    revision: int
    title: str
    updated_by: str
    updated_at: str
    drafted_at: str
    published_at: str | None
    published_by: str | None
    text: str
    facts: dict[str, Any]


PostmortemState = Literal['draft', 'published']


class PostmortemSummaryOut(TypedDict):
    """A post-mortem in a list."""
    incident_id: str
    venture: str
    state: PostmortemState
    revision: int
    title: str
    updated_by: str
    updated_at: str
    drafted_at: str
    published_at: str | None
    published_by: str | None


class PostmortemVersionList(TypedDict):
    """Newest first."""
    items: list[PostmortemVersionOut]


class PostmortemVersionOut(TypedDict):
    """A text it had."""
    revision: int
    text: str
    by: str
    at: str


class PublicComponentOut(TypedDict):
    """Something users know by name."""
    name: str
    status: Harm
    uptime: float | None
    days: list[PublicDayOut]


class PublicDayOut(TypedDict):
    """A day of a component."""
    day: str
    ratio: float | None
    minutes_down: int


class PublicIncidentOut(TypedDict):
    """An incident as it was published."""
    id: str
    name: str
    status: Word
    impact: Harm
    components: list[str]
    created_at: str
    resolved_at: str | None
    incident_updates: list[PublicWordsOut]


class PublicPageOut(TypedDict):
    """Name and address of the page."""
    name: str
    title: str
    url: str
    updated_at: str | None


class PublicStateOut(TypedDict):
    """The page in one sentence."""
    indicator: Harm
    description: str


class PublicWordsOut(TypedDict):
    """One published word."""
    id: str
    status: Word
    body: str
    created_at: str


class PublishIn(TypedDict):
    """Words for users. Whoever publishes is answerable for what they say."""
    text: str
    status: Word
    title: NotRequired[str]
    page: NotRequired[str | None]
    impact: NotRequired[Harm | None]
    components: NotRequired[list[str]]


class PublishPostmortemIn(TypedDict):
    """Which text is published."""
    revision: int


class PublishedList(TypedDict):
    """Oldest first."""
    items: list[PublishedOut]


class PublishedOut(TypedDict):
    """Words that were published."""
    id: str
    incident_id: str
    page: str
    title: str
    status: Word
    impact: Harm
    components: list[str]
    text: str
    by: str
    at: str
    retracted_at: str | None


class ReasonIn(TypedDict):
    """Why."""
    reason: str


class ScheduleOut(TypedDict):
    """A schedule in a time."""
    name: str
    venture: str
    title: str
    timezone: str
    people: list[SchedulePersonOut]
    shifts: list[ShiftOut]
    overrides: list[OverrideOut]
    gaps: list[GapOut]


class SchedulePersonOut(TypedDict):
    """Somebody of a schedule."""
    id: str
    name: str
    channels: list[str]


class ShiftOut(TypedDict):
    """A time in which one person takes calls."""
    person: str
    starts_at: str
    ends_at: str
    layer: str


class StatusPageList(TypedDict):
    """Pages, by name."""
    items: list[StatusPageOut]


class StatusPageOut(TypedDict):
    """A declared page."""
    name: str
    venture: str
    title: str
    url: str
    components: list[str]


class StatusSummaryOut(TypedDict):
    """The whole page."""
    page: PublicPageOut
    status: PublicStateOut
    components: list[PublicComponentOut]
    incidents: list[PublicIncidentOut]
    past: list[PublicIncidentOut]


class SwapIn(TypedDict):
    """Two people take each other's shift."""
    first: str
    second: str
    reason: NotRequired[str]


class TaskChangeIn(TypedDict):
    """What becomes of it; what is left out stays."""
    state: NotRequired[Literal['open', 'done'] | None]
    owner: NotRequired[str | None]
    due_day: NotRequired[str | None]


class TaskIn(TypedDict):
    """What somebody has to do."""
    title: str
    owner: NotRequired[str | None]
    due_day: NotRequired[str | None]
    body: NotRequired[str]


class TaskList(TypedDict):
    """Those due first come first."""
    items: list[TaskOut]


class TaskOut(TypedDict):
    """A task of an incident."""
    id: str
    venture: str
    incident_id: str
    title: str
    body: str
    state: str
    owner: str | None
    due_day: str | None
    overdue: bool
    by: str
    at: str
    done_at: str | None


class TellIn(TypedDict):
    """A word to everybody who works on an incident, or waits for it."""
    text: str


class ToldOut(TypedDict):
    """What was put down to be sent."""
    notices: list[str]


Word = Literal['investigating', 'identified', 'monitoring', 'resolved']
