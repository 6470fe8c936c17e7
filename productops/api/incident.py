"""Incidents under the names of the DeploymentOpsAPI: report, read, resolve."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from productops.api.access import allowed
from productops.api.release_schemas import Sent, Text
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.catalog import Name
from productops.domain.governance_access import Operation
from productops.domain.release import Environment
from productops.usecases.incident import IncidentReport, read_incident, report_incident, resolve_incident

BASE = "/api/v1/deployment-ops/incidents"
router = APIRouter(prefix=BASE, tags=["deployment-ops"])
IncidentId = Annotated[str, Path(description="Id of the incident.", max_length=80)]
Line = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]


class IncidentBody(Sent):
    """What somebody saw."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"title": "Customers cannot pay", "service": "storefront", "version": "1.1.0"}]},
    )
    title: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
    service: Name
    environment: Environment = Environment.PRODUCTION
    kind: Literal["deployment", "performance", "availability", "security", "data", "quality"] = "availability"
    severity: Literal["SEV1", "SEV2", "SEV3", "SEV4"] = "SEV2"
    description: Text = ""
    version: Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")] | None = Field(
        default=None, description="The version that does it, where that is known: its release is rolled back if it is recent."
    )
    release_id: Annotated[str, Field(max_length=80)] | None = Field(default=None, description="Or the release itself.")


class IncidentDetailOut(BaseModel):
    """One incident."""

    incident_id: str
    type: str
    severity: str
    status: str
    title: str
    description: str | None
    services: list[str] | None
    detection: str | None
    root_cause: str | None
    impact: dict[str, Any] | None
    detected_at: str
    resolved_at: str | None
    mttr_minutes: int | None
    resolution_steps: list[str]


class SuspectOut(BaseModel):
    """A release that may have done it."""

    release_id: str
    title: str


class ReportedOut(BaseModel):
    """The incident and what followed."""

    incident: IncidentDetailOut
    release_id: str | None = Field(description="The release it was traced to.")
    rolled_back: bool
    note: str
    suspects: list[SuspectOut]


class ResolutionBody(Sent):
    """What was done."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"steps": ["rolled back storefront 1.1.0"]}]})
    steps: list[Line] = Field(min_length=1, max_length=100)


@router.post(
    "", operation_id="reportIncident", dependencies=[allowed(Operation.INCIDENT_REPORT)], status_code=201, summary="Report an incident"
)
def report(body: IncidentBody, response: Response, context: ContextDep, actor: ActorDep) -> ReportedOut:
    """Open it. Traced to a release of late, that release is rolled back where its service's catalog entry wants that (the default)."""
    done = report_incident(context, IncidentReport(**body.model_dump()), actor=actor)
    response.headers["Location"] = f"{BASE}/{done.incident['incident_id']}"
    return ReportedOut(
        incident=IncidentDetailOut.model_validate(done.incident), release_id=done.traced_to.id if done.traced_to else None,
        rolled_back=done.rolled_back, note=done.note, suspects=[SuspectOut(release_id=r.id, title=r.title) for r in done.suspects],
    )  # fmt: skip


@router.get("/{incident_id}", operation_id="getIncidentStatus", dependencies=[allowed(Operation.INCIDENT_READ)], summary="Read an incident")
def show(incident_id: IncidentId, context: ContextDep, actor: ActorDep) -> IncidentDetailOut:
    """One incident."""
    return IncidentDetailOut.model_validate(read_incident(context, incident_id, actor=actor))


@router.post(
    "/{incident_id}/resolution", operation_id="resolveIncident", dependencies=[allowed(Operation.INCIDENT_RESOLVE)],
    summary="Resolve an incident",
)  # fmt: skip
def resolve(incident_id: IncidentId, body: ResolutionBody, context: ContextDep, actor: ActorDep) -> IncidentDetailOut:
    """Say what was done; the time to recovery is counted."""
    return IncidentDetailOut.model_validate(resolve_incident(context, incident_id, steps=body.steps, actor=actor))
