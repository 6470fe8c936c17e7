"""What a step of a playbook is given, and what it answers each time it is asked how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from productops.domain.governance_access import MACHINE
from productops.domain.incident_playbook import Response, StepRecord
from productops.usecases.context import Actor

RESPONDER = Actor("productops", "agent", MACHINE)
"""What a playbook does was decided by who declared it, within its guard rails."""


@dataclass(frozen=True, slots=True)
class Doing:
    """A step that is under way. It may be asked any number of times, by one process after another: ``memory`` is all it may rely on."""

    response: Response
    step: StepRecord
    now: datetime

    @property
    def memory(self) -> Mapping[str, Any]:
        """What it noted before."""
        return self.step.memory

    @property
    def remedy(self) -> Mapping[str, Any]:
        """What the hypothesis says is to be done, and to what."""
        found: Mapping[str, Any] = self.response.cause.get("remedy") or {}
        return found

    @property
    def reason(self) -> str:
        """Why, for those who ask later."""
        return f"incident {self.response.incident_id}, playbook {self.response.playbook}: {self.response.cause.get('subject') or 'page'}"


@dataclass(frozen=True, slots=True)
class StepTurn:
    """How far a step is. ``state``: waiting, done or failed. ``memory`` replaces what it noted before."""

    state: str
    text: str = ""
    memory: Mapping[str, Any] = field(default_factory=dict)


def waiting(text: str, memory: Mapping[str, Any]) -> StepTurn:
    """Ask again."""
    return StepTurn("waiting", text, memory)


def done(text: str, memory: Mapping[str, Any] | None = None) -> StepTurn:
    """It has come to its end."""
    return StepTurn("done", text, memory or {})


def nothing_to_do(text: str, memory: Mapping[str, Any] | None = None) -> StepTurn:
    """It is as it should be already; no guard rail counts this as an action."""
    return StepTurn("done", text, dict(memory or {}) | {"nothing_to_do": True})


def failed(text: str, memory: Mapping[str, Any] | None = None) -> StepTurn:
    """It cannot be done."""
    return StepTurn("failed", text, memory or {})
