"""Routes of detection: heartbeats that programs send, and how the watch is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.monitoring_detect_heartbeat import Heartbeat
from productops.domain.release import Environment
from productops.usecases import monitoring_detect_heartbeats, monitoring_detect_read
from productops.usecases.monitoring_detect_read import WatchReport

HEARTBEATS = f"{BASE}/heartbeats"
router = APIRouter(tags=["monitoring"])
READ = [allowed(Operation.METRIC_READ)]
WRITE = [allowed(Operation.METRIC_WRITE)]
HeartbeatName = Annotated[str, Path(max_length=63, description="Name in the catalog.")]


class HeartbeatOut(BaseModel):
    """Something that has to report."""

    name: str
    venture: str
    service: str | None
    environment: Environment | None
    interval_s: int
    grace_s: int
    severity: str = Field(examples=["SEV3"])
    last_at: datetime | None = Field(description="Null: it has never reported.")
    due_at: datetime = Field(description="Silence beyond it is an alert.")
    silent: bool
    beats: int = Field(description="How often it reported.")

    @classmethod
    def of(cls, found: Heartbeat, *, silent: bool) -> Self:
        """For the wire."""
        return cls(
            name=found.name, venture=found.venture, service=found.spec.service, environment=found.spec.environment,
            interval_s=found.spec.interval_s, grace_s=found.spec.grace_s, severity=found.spec.severity, last_at=found.last_at,
            due_at=found.due_at, silent=silent, beats=found.beats,
        )  # fmt: skip


class HeartbeatList(BaseModel):
    """All that the caller may see."""

    items: list[HeartbeatOut]


class WatchPartOut(BaseModel):
    """One thing the watch does."""

    name: str = Field(examples=["services"])
    state: str = Field(description="well, slow or failing.", examples=["well"])
    every_s: float
    turns: int
    failures: int
    took_ms: float = Field(description="The last turn.")
    longest_ms: float = Field(description="The longest lately.")
    problem: str


class WatchOut(BaseModel):
    """A watch process by its own word."""

    holder: str = Field(description="Machine and process.", examples=["host/4026531836#4711#1795296000.12"])
    at: datetime = Field(description="When it said so: every five seconds while it lives.")
    fresh: bool = Field(description="Whether that is not long ago.")
    elected: bool = Field(description="Whether it is the one that looks for trouble; others stand by.")
    healthy: bool
    parts: list[WatchPartOut]

    @classmethod
    def of(cls, found: WatchReport) -> Self:
        """For the wire."""
        data = found.data
        return cls(
            holder=found.holder, at=found.at, fresh=found.fresh, elected=bool(data.get("elected")), healthy=bool(data.get("healthy")),
            parts=[WatchPartOut.model_validate(each) for each in data.get("parts", [])],
        )  # fmt: skip


class WatchList(BaseModel):
    """The newest first."""

    items: list[WatchOut]


@router.get(HEARTBEATS, operation_id="listHeartbeats", dependencies=READ, summary="Who has to report, and when it last did")
def heartbeats(context: ContextDep, actor: ActorDep) -> HeartbeatList:
    """Those the catalog declares."""
    now = context.clock.now()
    found = monitoring_detect_heartbeats.list_heartbeats(context, actor=actor)
    return HeartbeatList(items=[HeartbeatOut.of(each, silent=each.is_silent(now=now)) for each in found])


@router.post(f"{HEARTBEATS}/{{name}}", operation_id="sendHeartbeat", dependencies=WRITE, summary="A sign of life")
def send(name: HeartbeatName, context: ContextDep, actor: ActorDep) -> HeartbeatOut:
    """Sent at the end of a job, or every now and then. Silence beyond its interval is an alert."""
    found = monitoring_detect_heartbeats.beat(context, name, actor=actor)
    return HeartbeatOut.of(found, silent=found.is_silent(now=context.clock.now()))


@router.get(f"{BASE}/watch", operation_id="listWatches", dependencies=READ, summary="How the watch is")
def watches(context: ContextDep, actor: ActorDep) -> WatchList:
    """Every watch process with its parts: what is looked at, how long that takes, and what goes wrong."""
    return WatchList(items=[WatchOut.of(each) for each in monitoring_detect_read.list_watches(context, actor=actor)])
