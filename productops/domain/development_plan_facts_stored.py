"""Plans and forecasts as they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class PlanState(StrEnum):
    """``waiting``: it is made as soon as somebody has time. ``draft``: made, and not what people work by. ``failed``: there is none."""

    WAITING = "waiting"
    DRAFT = "draft"
    CURRENT = "current"
    SUPERSEDED = "superseded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """One plan, or the wish for one while it is ``waiting``.

    ``request`` is the work file it was made of, ``plan`` its document (empty until there is one), ``changed`` what moved since
    ``previous_id``, ``changes`` the accepted or tried changes it assumes, ``gaps`` what was missing. ``note`` says what it is for.
    """

    id: str
    venture: str
    team: str
    state: PlanState
    scenario: str = ""
    base_id: str | None = None
    previous_id: str | None = None
    asked_by: str
    origin: str
    asked_at: datetime
    made_at: datetime | None = None
    note: str = ""
    wish: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    request_digest: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Mapping[str, Any], ...] = ()
    gaps: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    proven: bool = False
    gap: float = 0.0
    length_h: int = 0
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class Subject(StrEnum):
    """What a forecast is about."""

    FEATURE = "feature"
    SPRINT = "sprint"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredForecast:
    """By when something is done, with a chance of 50, 80 and 95 %, and what came true.

    ``grid``: times at the levels 0.01 … 0.99 of the uncorrected simulation. ``place``: the level at which it really was done, in [0, 1].
    ``figures``: for sprints, how much is delivered.
    """

    id: str
    venture: str
    team: str
    plan_id: str | None
    subject: Subject
    key: str
    title: str
    made_at: datetime
    method: str
    inputs_digest: str
    planned_at: datetime | None
    p50_at: datetime
    p80_at: datetime
    p95_at: datetime
    grid: tuple[datetime, ...] = ()
    deadline: datetime | None = None
    chance: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    actual_at: datetime | None = None
    place: float | None = None
