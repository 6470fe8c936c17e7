"""Playbooks, responses, holds and drills as callers see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from productops.api.release_schemas import Sent, Text
from productops.domain.catalog import Name
from productops.domain.catalog_playbook import plain
from productops.domain.incident_playbook import Drill, Hold, Playbook, Response, ResponseState, StepRecord
from productops.domain.release import Environment

Short = Annotated[str, Field(max_length=80, pattern=r"^[^\x00]*$")]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PlaybookOut(_Out):
    """What is done about an incident. ``spec`` is the entry as it was declared."""

    name: str
    venture: str | None = Field(description="Null: for all.")
    title: str
    description: str
    rank: int
    automatic: bool
    drill: str
    steps: list[str]
    revision: int
    spec: dict[str, Any]

    @classmethod
    def of(cls, found: Playbook) -> PlaybookOut:
        """As stored."""
        spec = found.spec
        return cls(
            name=found.name, venture=found.venture, title=spec.title, description=spec.description, rank=spec.rank,
            automatic=spec.automatic, drill=spec.drill, steps=[step.do for step in spec.steps], revision=found.revision, spec=plain(spec),
        )  # fmt: skip


class PlaybookList(BaseModel):
    """In the order in which they are tried."""

    items: list[PlaybookOut]


class ResponseStepOut(_Out):
    """A line of the journal."""

    index: int
    role: Literal["step", "undo"]
    do: str
    state: Literal["pending", "running", "done", "failed", "skipped"]
    attempts: int
    started_at: datetime | None
    ended_at: datetime | None
    result: str
    waits_for: str | None = Field(description="Of a step that is under way: what it waits for.")

    @classmethod
    def of(cls, step: StepRecord) -> ResponseStepOut:
        """As stored."""
        waits = str(step.memory.get("waits_for") or "") if not step.ended else ""
        return cls(
            index=step.index, role="undo" if step.role == "undo" else "step", do=step.do, state=step.state, attempts=step.attempts,
            started_at=step.started_at, ended_at=step.ended_at, result=step.result, waits_for=waits or None,
        )  # fmt: skip


class ResponseOut(_Out):
    """A playbook at work on an incident. ``why``: how it came to this playbook; ``reason``: how it ended."""

    response_id: str
    incident_id: str
    number: int
    playbook: str
    service: str
    environment: Environment
    mode: Literal["act", "dry-run"]
    state: ResponseState
    why: list[str]
    reason: str
    by: str
    cause: dict[str, Any]
    created_at: datetime
    ended_at: datetime | None
    flow_run_id: str | None
    steps: list[ResponseStepOut]

    @classmethod
    def of(cls, found: Response) -> ResponseOut:
        """As stored."""
        return cls(
            response_id=found.id, incident_id=found.incident_id, number=found.number, playbook=found.playbook, service=found.service,
            environment=found.environment, mode="dry-run" if found.mode == "dry-run" else "act", state=found.state,
            why=found.why.splitlines(), reason=found.reason, by=found.by, cause=dict(found.cause), created_at=found.created_at,
            ended_at=found.ended_at, flow_run_id=found.flow_run_id, steps=[ResponseStepOut.of(each) for each in found.steps],
        )  # fmt: skip


class ResponseList(BaseModel):
    """The first response first."""

    items: list[ResponseOut]


class RespondBody(Sent):
    """Which playbook; none: the one that fits the likeliest cause within its guard rails."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"playbook": "deployment-crisis", "dry_run": True}]})
    playbook: Short | None = None
    dry_run: bool = Field(default=False, description="Only say what would be done.")


class WhyBody(Sent):
    """Why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "a person does it"}]})
    reason: Text = ""


class HoldBody(Sent):
    """Where programs are to keep their hands off: an incident, a service, or a whole venture."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "we are looking", "service": "storefront", "for_s": 3600}]}
    )
    reason: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
    venture: Name | None = None
    service: Name | None = None
    environment: Environment | None = Field(default=None, description="Left out: in all of them.")
    incident_id: Short | None = None
    for_s: float | None = Field(default=None, gt=0, le=7_776_000, description="Seconds; left out: until it is lifted.")


class HoldOut(_Out):
    """A person's word."""

    hold_id: str
    venture: str
    service: str
    environment: Environment | None
    incident_id: str | None
    reason: str
    by: str
    at: datetime
    until: datetime | None

    @classmethod
    def of(cls, found: Hold) -> HoldOut:
        """As stored."""
        return cls(
            hold_id=found.id, venture=found.venture, service=found.service, environment=found.environment, incident_id=found.incident_id,
            reason=found.reason, by=found.by, at=found.at, until=found.until,
        )  # fmt: skip


class HoldList(BaseModel):
    """Those in force, the newest first."""

    items: list[HoldOut]


class DrillBody(Sent):
    """What is rehearsed where."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"playbook": "deployment-crisis", "service": "storefront"}]},
    )
    playbook: Short
    service: Name
    environment: Environment = Environment.PRODUCTION
    fault: Short = Field(default="", description="Left out: the playbook's.")
    even_production: bool = Field(default=False, description="Users of production may be harmed, and that is meant.")


class InjectionBody(Sent):
    """What will be broken, before it is; with ``done`` once it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"injected": {"cause": "host"}, "done": True}]})
    injected: dict[str, Any] = Field(max_length=50)
    done: bool = False


class MendedBody(Sent):
    """All is whole again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "interrupted"}]})
    note: Text = Field(default="", description="Of a drill that was cut short: why.")


class ScoreBody(Sent):
    """Whether the drill is over."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"last": False}]})
    last: bool = False


class DrillInstanceOut(_Out):
    """A living instance there."""

    id: str
    service: str
    version: str
    pid: int | None
    started: float | None
    port: int
    state: str


class DrillOut(_Out):
    """A rehearsal. ``scores``: seconds since it was broken, and answers, by name."""

    drill_id: str
    playbook: str
    fault: str
    venture: str
    service: str
    environment: Environment
    state: Literal["running", "passed", "failed", "aborted"]
    by: str
    begun_at: datetime
    injected_at: datetime | None
    undone_at: datetime | None
    ended_at: datetime | None
    incident_id: str | None
    injected: dict[str, Any]
    scores: dict[str, Any]
    note: str

    @classmethod
    def of(cls, found: Drill) -> DrillOut:
        """As stored."""
        return cls(
            drill_id=found.id, playbook=found.playbook, fault=found.fault, venture=found.venture, service=found.service,
            environment=found.environment, state=found.state, by=found.by, begun_at=found.begun_at, injected_at=found.injected_at,
            undone_at=found.undone_at, ended_at=found.ended_at, incident_id=found.incident_id, injected=dict(found.injected),
            scores=dict(found.scores), note=found.note,
        )  # fmt: skip


class DrillBegunOut(BaseModel):
    """A drill that is written down, with what is there; ``mend``: earlier ones that left something broken."""

    drill: DrillOut
    dependencies: list[str]
    instances: list[DrillInstanceOut]
    mend: list[DrillOut]


class DrillInstances(BaseModel):
    """Living instances there, now."""

    items: list[DrillInstanceOut]


class DrillList(BaseModel):
    """The newest first."""

    items: list[DrillOut]
    next: str | None = None
