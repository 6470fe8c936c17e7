"""An incident: user-visible harm, who deals with it, what it is traced to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from productops.domain.incident_state import LIVE, IncidentStatus
from productops.domain.release import Environment


class IncidentRole(StrEnum):
    """What somebody does in an incident. One person each; somebody may have several."""

    COMMANDER = "commander"
    COMMUNICATIONS = "communications"
    OPERATIONS = "operations"


class LinkKind(StrEnum):
    """What an incident can be linked to."""

    RELEASE = "release"
    FLAG = "flag"
    ALERT = "alert"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class IncidentLink:
    """Something the incident is about: a release or flag by its name, or a page by its address."""

    kind: LinkKind
    target: str
    text: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident. ``impact`` holds what is known of the harm (see ``Impact``), ``roles`` who does what by name of the role.

    ``component`` is what broke first as far as alerts tell. ``revision`` rises with each change: who changes it says which one they saw.
    """

    id: str
    venture: str | None
    services: tuple[str, ...]
    environment: Environment | None
    kind: str
    severity: str
    status: IncidentStatus
    title: str
    detected_at: datetime
    impact: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    releases: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    links: tuple[IncidentLink, ...] = ()
    description: str = ""
    detection: str = "alert"
    component: str = ""
    cause: str | None = None
    steps: tuple[str, ...] = ()
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    mttr_minutes: int | None = None
    last_alert_at: datetime | None = None
    reopened: int = 0
    merged_into: str | None = None
    revision: int = 1

    @property
    def live(self) -> bool:
        """Whether it is not over."""
        return self.status in LIVE

    @property
    def untouched(self) -> bool:
        """Whether no person has taken it up: such a one may be merged into another by itself."""
        return self.status is IncidentStatus.OPEN and self.acknowledged_by is None and not self.roles


@dataclass(frozen=True, slots=True)
class IncidentLogEntry:
    """A line of the log of an incident; ``seq`` counts from 1 without gaps within it. Nothing in it is ever changed."""

    seq: int
    incident_id: str
    at: datetime
    kind: str
    text: str
    actor: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents; empty or None: all. ``ventures`` None: of all ventures."""

    statuses: tuple[IncidentStatus, ...] = ()
    severities: tuple[str, ...] = ()
    service: str | None = None
    environment: Environment | None = None
    ventures: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
