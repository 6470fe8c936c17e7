"""Routes of services: what users have, and the way back when only the service's name is at hand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from productops.api.access import allowed
from productops.api.paging import After, ManyLimit, cut, decode_one
from productops.api.release import BASE, LOCATION, flow_run_of
from productops.api.release_schemas import Reason, ReleaseOut, Sent, TrafficOut
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.release import Environment, Phase, Strategy
from productops.domain.traffic import Instance, InstanceState
from productops.usecases.release_read import EnvironmentView, ServiceView, list_services, read_service
from productops.usecases.release_rollback_request import request_service_roll_back

router = APIRouter(prefix=BASE, tags=["release"])
ServiceName = Annotated[str, Path(description="Name of the service in the catalog.", examples=["storefront"])]


class InstanceOut(BaseModel):
    """One running copy of a version."""

    id: str
    version: str
    port: int
    state: InstanceState
    pid: int | None
    restarts: int
    updated_at: datetime

    @classmethod
    def of(cls, instance: Instance) -> InstanceOut:
        """The instance as callers see it."""
        return cls.model_validate({name: getattr(instance, name) for name in cls.model_fields})


class ActiveOut(BaseModel):
    """The release in flight."""

    id: str
    version: str
    phase: Phase


class EnvironmentOut(BaseModel):
    """What users have in one environment."""

    environment: Environment
    hosts: list[str] = Field(description="Host names that reach the service through the router.")
    live_version: str | None
    candidate_version: str | None
    candidate_pct: int
    release: ActiveOut | None
    traffic: TrafficOut | None
    instances: list[InstanceOut]

    @classmethod
    def of(cls, view: EnvironmentView, *, now: datetime) -> EnvironmentOut:
        """The environment as callers see it."""
        target, active = view.target, view.active
        return cls(
            environment=view.environment,
            hosts=list(view.hosts),
            live_version=target.baseline_version if target else None,
            candidate_version=target.candidate_version if target else None,
            candidate_pct=target.candidate_pct if target else 0,
            release=ActiveOut(id=active.id, version=active.version, phase=active.phase) if active else None,
            traffic=TrafficOut.of(target, now=now) if target else None,
            instances=[InstanceOut.of(i) for i in view.instances],
        )


class ServiceOut(BaseModel):
    """A declared service; ``environments`` holds those in which it was released."""

    name: str
    venture: str
    description: str
    strategy: Strategy
    instances_wanted: int
    revision: int
    environments: list[EnvironmentOut]

    @classmethod
    def of(cls, view: ServiceView, *, now: datetime) -> ServiceOut:
        """The service as callers see it."""
        service = view.service
        return cls(
            name=service.name,
            venture=service.venture,
            description=service.spec.description,
            strategy=service.spec.rollout.strategy,
            instances_wanted=service.spec.run.instances,
            revision=service.revision,
            environments=[EnvironmentOut.of(e, now=now) for e in view.environments],
        )


class ServiceList(BaseModel):
    """Services by name; pass ``next`` as ``after`` for the following page."""

    items: list[ServiceOut]
    next: str | None


class ServiceRollbackBody(Sent):
    """Where and why."""

    environment: Environment = Environment.PRODUCTION
    reason: Reason


@router.get(
    "/services", operation_id="listServices", dependencies=[allowed(Operation.CATALOG_READ)],
    summary="List services with their live versions",
)  # fmt: skip
def show_services(context: ContextDep, actor: ActorDep, after: After = None, limit: ManyLimit = 200) -> ServiceList:
    """Declared services with what their users have."""
    now = context.clock.now()
    found = list_services(context, after=decode_one(after), limit=limit + 1, actor=actor)
    page, following = cut(found, limit, lambda view: [view.service.name])
    return ServiceList(items=[ServiceOut.of(view, now=now) for view in page], next=following)


@router.get("/services/{name}", operation_id="getService", dependencies=[allowed(Operation.CATALOG_READ)], summary="Read a service")
def show_service(name: ServiceName, context: ContextDep, actor: ActorDep) -> ServiceOut:
    """One service with what its users have."""
    return ServiceOut.of(read_service(context, name, actor=actor), now=context.clock.now())


@router.post(
    "/services/{name}/rollback", operation_id="rollBackService", dependencies=[allowed(Operation.RELEASE_ROLL_BACK)],
    status_code=202, summary="Give users of a service the version before",
    responses={202: {"headers": LOCATION}},
)  # fmt: skip
def roll_back(name: ServiceName, body: ServiceRollbackBody, response: Response, context: ContextDep, actor: ActorDep) -> ReleaseOut:
    """Roll back the release in flight, else the promotion users have: one call for an emergency."""
    begun = request_service_roll_back(context, name, body.environment, reason=body.reason, actor=actor)
    response.headers["Location"] = f"{BASE}/releases/{begun.release.id}"
    return ReleaseOut.of(begun.release, flow_run=flow_run_of(context, begun.release, begun.flow_run_id))
