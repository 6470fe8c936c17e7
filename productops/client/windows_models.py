"""Documents of windows. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment)


class ApprovalBody(TypedDict):
    """Why it is approved."""
    note: NotRequired[str]


class BypassBody(TypedDict):
    """What should be allowed during a freeze, and why."""
    service: str
    environment: NotRequired[Environment]
    version: NotRequired[str | None]
    reason: str
    valid_s: NotRequired[int]


class BypassList(TypedDict):
    """Newest first; pass ``next`` as ``after`` for the following page."""
    items: list[BypassOut]
    next: str | None


class BypassOut(TypedDict):
    """A permission to start one release of one service during a freeze."""
    id: str
    state: BypassState
    service: str
    environment: Environment
    version: str | None
    reason: str
    asked_by: str
    asked_at: str
    expires_at: str
    approved_by: str | None
    approved_at: str | None
    approval_note: str
    used_by: str | None
    used_at: str | None


BypassState = Literal['asked', 'approved', 'used', 'expired']


class CalendarOut(TypedDict):
    """A calendar and how fresh what is known of it is."""
    name: str
    kind: str
    effect: Effect
    venture: str | None
    services: list[str]
    environments: list[Environment]
    timezone: str
    labels: dict[str, str]
    source: dict[str, Any] | None
    read_at: str | None
    age_s: float | None
    checked_at: str | None
    known_until: str | None
    error: str
    failing_since: str | None


Effect = Literal['freeze', 'window']


class EventOut(TypedDict):
    """One event at one time."""
    calendar: str
    effect: Effect
    title: str
    starts_at: str
    ends_at: str
    labels: list[str]
    uid: str


class FeedOut(TypedDict):
    """Where a calendar program subscribes. Whoever has the address can read the feed, and nothing else."""
    path: str
    url: str


class OpeningOut(TypedDict):
    """Whether a release may start now, and when next."""
    service: str
    environment: Environment
    open: bool
    reason: str
    event: EventOut | None
    next_at: str | None
    closes_at: str | None
    asked_at: str


class RefreshedList(TypedDict):
    """All looks."""
    items: list[RefreshedOut]


class RefreshedOut(TypedDict):
    """One look at one calendar."""
    name: str
    outcome: str
    error: str


class WindowsOut(TypedDict):
    """Calendars that apply, and their events from now on."""
    calendars: list[CalendarOut]
    events: list[EventOut]
