"""A run through an escalation: which level is next, and when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from productops.domain.catalog_oncall import EscalationSpec, Target
from productops.domain.incident_oncall import Escalation


class PageState(StrEnum):
    """Where a run stands. Exhausted: everybody was called and nobody answered."""

    CALLING = "calling"
    ACKNOWLEDGED = "acknowledged"
    ENDED = "ended"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Page:
    """One run. ``round`` and ``level`` count from 0; level -1: nobody was called yet. ``called``: who, when, over which channel."""

    id: str
    incident_id: str
    number: int
    venture: str
    policy: str
    state: PageState
    round: int
    level: int
    called: tuple[Mapping[str, Any], ...]
    due_at: datetime | None
    started_at: datetime
    ended_at: datetime | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """What comes next. ``last``: it is the fallback, after which nobody is called any more."""

    round: int
    level: int
    targets: tuple[Target, ...]
    wait: timedelta
    last: bool = False


def next_step(spec: EscalationSpec, page: Page) -> Step:
    """The level after the one that was called; after the last repetition the fallback."""
    round_, level = page.round, page.level + 1
    if level >= len(spec.levels):
        round_, level = round_ + 1, 0
    if round_ > spec.repeat:
        return Step(round_, 0, spec.fallback, timedelta(0), last=True)
    found = spec.levels[level]
    return Step(round_, level, found.targets, timedelta(minutes=found.wait_minutes))


def policy_for(policies: Iterable[Escalation], *, services: Collection[str], severity: str) -> Escalation | None:
    """One that names a service of the incident goes before one for all others; of several, the first by name. None: nobody is called."""
    fitting = [each for each in policies if severity in each.spec.severities]
    named = [each for each in fitting if set(each.spec.services) & set(services)]
    general = [each for each in fitting if not each.spec.services]
    return next(iter(sorted(named, key=lambda e: e.name) or sorted(general, key=lambda e: e.name)), None)
