"""The operations of the requirements' DeploymentOpsAPI whose process exists; a deployment is a release."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from productops.api.access import allowed
from productops.api.release import LOCATION, REPLAYED, IdempotencyKey, ReleaseId, flow_run_of, place
from productops.api.release_schemas import ReasonBody, ReleaseBody, ReleaseOut
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.release import Environment
from productops.usecases.release_read import Deployment, read_deployment
from productops.usecases.release_rollback_request import request_roll_back

BASE = "/api/v1/deployment-ops/deployments"
router = APIRouter(prefix=BASE, tags=["deployment-ops"])


class DeploymentBody(ReleaseBody):
    """A release with its version in the body."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"service": "storefront", "version": "1.1.0"}]})

    version: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["1.1.0"])]


class DeploymentOut(BaseModel):
    """A deployment as the table deployment_ops_events tells it."""

    deployment_id: str
    pipeline_status: str = Field(description="pending, running, succeeded, failed or rolled_back.")
    deployment_type: str
    venture: str
    service: str
    environment: Environment
    version: str
    started_at: datetime
    completed_at: datetime | None
    duration_s: float | None
    performance_impact: dict[str, Any]
    release: ReleaseOut

    @classmethod
    def of(cls, deployment: Deployment, release: ReleaseOut) -> DeploymentOut:
        """The row with its release."""
        return cls(
            deployment_id=release.id,
            pipeline_status=deployment.status,
            deployment_type=deployment.kind,
            venture=release.venture,
            service=release.service,
            environment=release.environment,
            version=release.version,
            started_at=release.created_at,
            completed_at=release.ended_at,
            duration_s=deployment.duration_s,
            performance_impact=deployment.impact,
            release=release,
        )


@router.post(
    "", operation_id="initiateDeployment", dependencies=[allowed(Operation.RELEASE_REQUEST)],
    status_code=202, summary="Start a deployment", responses={202: {"headers": LOCATION | REPLAYED}},
)  # fmt: skip
def initiate(body: DeploymentBody, response: Response, context: ContextDep, actor: ActorDep, key: IdempotencyKey = None) -> DeploymentOut:
    """The same as asking for a release."""
    release = place(context, body.to_wish(body.version), response, actor=actor, key=key, base=BASE)
    return DeploymentOut.of(read_deployment(context, release.id, actor=actor), release)


@router.get("/{release_id}", operation_id="monitorDeployment", dependencies=[allowed(Operation.RELEASE_READ)], summary="Read a deployment")
def monitor(release_id: ReleaseId, context: ContextDep, actor: ActorDep) -> DeploymentOut:
    """Status, duration and measured impact."""
    found = read_deployment(context, release_id, actor=actor)
    return DeploymentOut.of(found, ReleaseOut.of(found.release, flow_run=flow_run_of(context, found.release)))


@router.post(
    "/{release_id}/rollback", operation_id="rollbackDeployment", dependencies=[allowed(Operation.RELEASE_ROLL_BACK)],
    status_code=202, summary="Roll a deployment back",
    responses={202: {"headers": LOCATION}},
)  # fmt: skip
def roll_back(release_id: ReleaseId, body: ReasonBody, response: Response, context: ContextDep, actor: ActorDep) -> DeploymentOut:
    """The same as rolling back its release."""
    begun = request_roll_back(context, release_id, reason=body.reason, actor=actor)
    response.headers["Location"] = f"{BASE}/{begun.release.id}"
    release = ReleaseOut.of(begun.release, flow_run=flow_run_of(context, begun.release, begun.flow_run_id))
    return DeploymentOut.of(read_deployment(context, begun.release.id, actor=actor), release)
