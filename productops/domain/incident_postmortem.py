"""What is learned from an incident: the facts it is written from, the text, and the tasks that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

TEXT_MAX: Final = 200_000
TITLE_MAX: Final = 255


class PostmortemState(StrEnum):
    """Whether others may rely on it."""

    DRAFT = "draft"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Something that happened. ``link`` leads to the stored row; ``source``: log, alert, release, flag, action, page, told, update."""

    at: datetime
    source: str
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, from a stored row. ``value`` None: it is not known, and ``note`` says why."""

    name: str
    value: float | None
    unit: str
    note: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class CauseLine:
    """A hypothesis of the cause ledger."""

    what: str
    probability: float
    supporting: tuple[str, ...]
    refuting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PostmortemFacts:
    """All that is known from stored rows. Nothing here is guessed."""

    incident_id: str
    title: str
    venture: str
    services: tuple[str, ...]
    environment: str
    severity: str
    kind: str
    status: str
    detection: str
    root_cause: str
    detected_at: datetime
    acknowledged_at: datetime | None
    mitigated_at: datetime | None
    resolved_at: datetime | None
    onset_at: datetime | None
    figures: tuple[Figure, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    causes: tuple[CauseLine, ...] = ()
    worked: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    lucky: tuple[str, ...] = ()
    proposed: tuple[str, ...] = ()
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class Postmortem:
    """The present text. ``facts`` is the document of what it was drafted from."""

    incident_id: str
    venture: str
    state: PostmortemState
    revision: int
    title: str
    text: str
    facts: Mapping[str, Any]
    updated_by: str
    updated_at: datetime
    drafted_at: datetime
    published_at: datetime | None
    published_by: str | None


@dataclass(frozen=True, slots=True)
class PostmortemVersion:
    """A text it had."""

    revision: int
    text: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """Something somebody has to do because of an incident. It lies in the same table as tasks of insights."""

    id: str
    venture: str
    incident_id: str
    title: str
    body: str
    state: str
    owner: str | None
    due_day: date | None
    by: str
    at: datetime
    done_at: datetime | None
    reminded_on: date | None
    revision: int

    def overdue(self, today: date) -> bool:
        """Whether its day is over and it is not done."""
        return self.state == "open" and self.due_day is not None and self.due_day < today


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks; None: all. ``overdue_on``: open ones that were due before that day."""

    ventures: frozenset[str] | None = None
    incident_id: str | None = None
    owner: str | None = None
    state: str | None = None
    overdue_on: date | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A text and what it was written from."""

    title: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
