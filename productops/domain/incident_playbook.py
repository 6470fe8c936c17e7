"""The response to an incident: a playbook that was chosen, its journal of steps, holds of people, and drills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from productops.domain.catalog_playbook import PlaybookSpec
from productops.domain.release import Environment


class ResponseState(StrEnum):
    """Where a response stands. ``proposed``: a person has to say go. ``handed-over``: somebody was paged, nothing more is done."""

    PROPOSED = "proposed"
    RUNNING = "running"
    UNDOING = "undoing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    HANDED_OVER = "handed-over"
    STOPPED = "stopped"


ENDED = frozenset({ResponseState.SUCCEEDED, ResponseState.FAILED, ResponseState.HANDED_OVER, ResponseState.STOPPED})
STEP_ENDED = frozenset({"done", "failed", "skipped"})
# What changes something that users meet; the rest only waits, asks or tells.
ACTIONS = frozenset({"roll-back", "disable-flag", "scale", "restart", "drain", "fail-over", "run-command"})
PAGE_A_PERSON = "page-a-person"
"""Name of what is done where no playbook may act."""


@dataclass(frozen=True, slots=True)
class Playbook:
    """A catalog entry as stored. ``base``: the folder of its file. ``venture`` None: for all."""

    name: str
    venture: str | None
    spec: PlaybookSpec
    base: str
    revision: int


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One line of the journal. ``role``: ``step`` or ``undo``. ``state``: pending, running, done, failed, skipped.

    ``attempts`` counts claims; ``memory`` is what the step noted for whoever goes on with it; ``result`` what came of it.
    """

    index: int
    role: str
    do: str
    spec: Mapping[str, Any]
    state: str = "pending"
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    not_before: datetime | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)
    result: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more happens in it."""
        return self.state in STEP_ENDED

    @property
    def timeout_s(self) -> float:
        """Seconds from its start."""
        return float(self.spec.get("timeout_s", 60.0))


@dataclass(frozen=True, slots=True)
class Response:
    """One playbook at work on one incident. ``number`` counts the incident's responses from 1.

    ``cause`` is the hypothesis it acts on. ``holder`` carries it on until ``held_until``; ``fence`` rises whenever that changes, and
    whoever has an older one can write nothing. ``why`` says how it came to this playbook, ``reason`` how it ended. ``since``: when what
    it answers began, the end of the time that recovery is compared with.
    """

    id: str
    incident_id: str
    number: int
    playbook: str
    spec: PlaybookSpec
    base: str
    venture: str
    service: str
    environment: Environment
    cause: Mapping[str, Any]
    mode: str
    state: ResponseState
    why: str
    reason: str
    by: str
    since: datetime
    created_at: datetime
    ended_at: datetime | None = None
    holder: str = ""
    held_until: datetime | None = None
    fence: int = 0
    flow_run_id: str | None = None
    steps: tuple[StepRecord, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more happens."""
        return self.state in ENDED

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.playbook} for {self.service} ({self.environment})"

    @property
    def harmed(self) -> str:
        """The service whose users suffer; what is acted on may be another one, which it asks."""
        named = self.cause.get("harmed") or ()
        return str(named[0]) if named and self.service not in named else self.service

    @property
    def acted(self) -> tuple[StepRecord, ...]:
        """Steps that changed something, done."""
        return tuple(step for step in self.steps if step.do in ACTIONS and step.state == "done" and not step.memory.get("nothing_to_do"))


@dataclass(frozen=True, slots=True)
class Hold:
    """A person's word that programs keep their hands off. An empty ``service``: all of the venture's; no environment: all."""

    id: str
    venture: str
    service: str
    environment: Environment | None
    incident_id: str | None
    reason: str
    by: str
    at: datetime
    until: datetime | None

    def covers(self, *, service: str, environment: Environment, incident_id: str, now: datetime) -> bool:
        """Whether it keeps programs from acting there now."""
        if self.until is not None and self.until <= now:
            return False
        if self.incident_id is not None:
            return self.incident_id == incident_id
        return self.service in {"", service} and self.environment in {None, environment}


@dataclass(frozen=True, slots=True)
class Action:
    """An action of the last hour, for the guard rails."""

    do: str
    subject: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Drill:
    """A rehearsal. ``injected`` is what was broken on purpose, written down before it was; ``undone_at``: it is whole again.

    ``state``: running, passed, failed, aborted. ``scores`` are seconds and answers by name.
    """

    id: str
    playbook: str
    fault: str
    venture: str
    service: str
    environment: Environment
    state: str
    by: str
    begun_at: datetime
    injected: Mapping[str, Any]
    injected_at: datetime | None = None
    undone_at: datetime | None = None
    ended_at: datetime | None = None
    incident_id: str | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
