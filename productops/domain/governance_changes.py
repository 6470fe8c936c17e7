"""A change record: what was changed, by whom, how risky it was, who approved it, how it can be undone, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from productops.domain.catalog_approvals import RiskLevel
from productops.domain.governance_approvals_risk import Risk
from productops.domain.release import Environment


class ChangeKind(StrEnum):
    """What kind of thing was changed."""

    RELEASE = "release"
    TRAIN = "train"
    FLAG = "flag"
    CATALOG = "catalog"
    OVERRIDE = "override"


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """One change as stored. ``detail``: what it consists of; ``windows``: what the calendars said when it was asked for.

    ``number``: what an outside change system calls it; empty where there is none, or it has not taken it yet.
    """

    id: str
    kind: ChangeKind
    subject: str
    title: str
    venture: str | None
    environment: Environment | None
    requested_by: str
    origin: str
    reason: str
    risk: Risk
    windows: str
    rollback_plan: str
    at: datetime
    detail: dict[str, Any] = field(default_factory=dict)
    number: str = ""

    @property
    def risk_level(self) -> RiskLevel:
        """Low, medium or high."""
        return self.risk.level


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Which changes; ``since`` is included, ``until`` is not. ``ventures`` None: all."""

    since: datetime | None = None
    until: datetime | None = None
    venture: str | None = None
    kind: ChangeKind | None = None
    ventures: frozenset[str] | None = None
