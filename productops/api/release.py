"""Routes of releases: ask, read, roll back, let go on."""

from __future__ import annotations

import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response

from productops.api.access import allowed
from productops.api.release_schemas import (
    AnalysisPage,
    FlowRunOut,
    PlanOut,
    ReasonBody,
    ReleaseBody,
    ReleaseDetailOut,
    ReleaseOut,
    ReleasePage,
)
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.release import Environment, Phase, Release
from productops.usecases.context import Actor, Context
from productops.usecases.release_read import list_releases, read_analysis, read_release
from productops.usecases.release_request import ReleaseWish, place_release, plan_release, start_release
from productops.usecases.release_rollback_request import request_roll_back

BASE = "/api/v1/product-ops"
SECOND_MAX = 2**62
router = APIRouter(prefix=BASE, tags=["release"])

ReleaseId = Annotated[str, Path(description="Id of the release.", examples=["0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"])]
Version = Annotated[str, Path(description="Version to release.", examples=["1.1.0"])]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$",
        description="1 to 255 printable characters, remembered for a day: the same request with it makes one release only.",
    ),
]  # fmt: skip
LOCATION = {"Location": {"description": "Where the release is read.", "schema": {"type": "string"}}}
REPLAYED = {"Idempotency-Replayed": {"description": "`true` when an earlier request made the release.", "schema": {"type": "string"}}}


def flow_run_of(context: Context, release: Release, started: str | None = None) -> FlowRunOut | None:
    """The run that carries the release out, or that was just started for it."""
    run = release.flow_run_id or started
    if run is None or context.orchestrator is None:
        return None
    return FlowRunOut(id=run, url=context.orchestrator.run_url(run))


def place(context: Context, wish: ReleaseWish, response: Response, *, actor: Actor, key: str | None, base: str) -> ReleaseOut:
    """Write the release, start its flow, and say where it is read. Raises: as ``request_release``."""
    placed = place_release(context, wish, actor=actor, idempotency_key=key)
    release = placed.release
    started = start_release(context, release) if release.phase is Phase.REQUESTED and release.flow_run_id is None else None
    response.headers["Location"] = f"{base}/{release.id}"
    if placed.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return ReleaseOut.of(release, flow_run=flow_run_of(context, release, started))


@router.post(
    "/release/{version}", operation_id="requestRelease", dependencies=[allowed(Operation.RELEASE_REQUEST)],
    status_code=202, summary="Ask for a release",
    responses={202: {"headers": LOCATION | REPLAYED}},
)  # fmt: skip
def request_release(
    version: Version, body: ReleaseBody, response: Response, context: ContextDep, actor: ActorDep, key: IdempotencyKey = None
) -> ReleaseOut:
    """Write the release down and start its flow. Where Prefect does not answer, ``flow_run`` is null and the flow is started later."""
    return place(context, body.to_wish(version), response, actor=actor, key=key, base=f"{BASE}/releases")


@router.post(
    "/release/{version}/plan", operation_id="planRelease", dependencies=[allowed(Operation.RELEASE_READ)],
    summary="Show what a release would do",
)  # fmt: skip
def show_plan(version: Version, body: ReleaseBody, context: ContextDep, actor: ActorDep) -> PlanOut:
    """Make every check of a release and show its steps, without writing or starting anything."""
    return PlanOut.of(plan_release(context, body.to_wish(version), actor=actor))


@router.post(
    "/release/{version}/plan/picture", operation_id="drawReleasePlan", dependencies=[allowed(Operation.RELEASE_READ)],
    summary="Draw what a release would do", response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}},
)  # fmt: skip
def draw_release_plan(version: Version, body: ReleaseBody, context: ContextDep, actor: ActorDep) -> Response:
    """The candidate's share over time and when which harm is found, as SVG."""
    from productops.usecases.release_report import draw_plan_of

    release = plan_release(context, body.to_wish(version), actor=actor)
    return Response(draw_plan_of(release), media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@router.get("/releases", operation_id="listReleases", dependencies=[allowed(Operation.RELEASE_READ)], summary="List releases, newest first")
def show_releases(
    context: ContextDep,
    actor: ActorDep,
    service: Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$")] = None,
    environment: Environment | None = None,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ReleasePage:
    """Releases of all services, or of one."""
    last = str(after) if after else None
    found, following = list_releases(context, service=service, environment=environment, after=last, limit=limit, actor=actor)
    return ReleasePage(items=[ReleaseOut.of(r, flow_run=flow_run_of(context, r)) for r in found], next=following)


@router.get(
    "/releases/{release_id}", operation_id="getRelease", dependencies=[allowed(Operation.RELEASE_READ)],
    summary="Read a release", response_model=ReleaseDetailOut,
    responses={304: {"description": "Nothing changed but the seconds left of the lease."}},
)  # fmt: skip
def show_release(
    release_id: ReleaseId,
    context: ContextDep,
    actor: ActorDep,
    if_none_match: Annotated[str | None, Header(description="ETag known.")] = None,
) -> Response:
    """Steps, moves, traffic, lease, totals and incidents of a release. The ETag changes with all but ``traffic.lease.left_s``."""
    detail = read_release(context, release_id, actor=actor)
    out = ReleaseDetailOut.of_detail(detail, flow_run=flow_run_of(context, detail.release))
    stable = out.model_dump_json(by_alias=True, exclude={"traffic": {"lease": {"left_s"}}})
    headers = {"ETag": f'W/"{hashlib.sha256(stable.encode()).hexdigest()[:32]}"', "Cache-Control": "private, no-cache"}
    if matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(out.model_dump_json(by_alias=True), media_type="application/json", headers=headers)


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller has this answer already, by the weak comparison of RFC 9110 section 8.8.3.2."""
    known = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return "*" in known or etag.removeprefix("W/") in known


@router.get(
    "/releases/{release_id}/analysis", operation_id="getReleaseAnalysis", dependencies=[allowed(Operation.RELEASE_READ)],
    summary="Read the judge's evidence",
)  # fmt: skip
def show_analysis(
    release_id: ReleaseId,
    context: ContextDep,
    actor: ActorDep,
    after_s: Annotated[int, Query(ge=0, le=SECOND_MAX, description="Unix second; looks after it.")] = 0,
    limit: Annotated[int, Query(ge=1, le=3600)] = 600,
) -> AnalysisPage:
    """What the judge said after each second of the rollout, with the evidence it said it on."""
    found, following = read_analysis(context, release_id, after_s=after_s, limit=limit, actor=actor)
    return AnalysisPage.model_validate({"items": found, "next": following})


@router.post(
    "/releases/{release_id}/rollback", operation_id="rollBackRelease", dependencies=[allowed(Operation.RELEASE_ROLL_BACK)],
    status_code=202, summary="Give users the baseline again",
    responses={202: {"headers": LOCATION}},
)  # fmt: skip
def roll_back(release_id: ReleaseId, body: ReasonBody, response: Response, context: ContextDep, actor: ActorDep) -> ReleaseOut:
    """At once for a release in flight and for a promoted one whose earlier version still runs; else as soon as that is up again."""
    begun = request_roll_back(context, release_id, reason=body.reason, actor=actor)
    response.headers["Location"] = f"{BASE}/releases/{begun.release.id}"
    return ReleaseOut.of(begun.release, flow_run=flow_run_of(context, begun.release, begun.flow_run_id))


@router.post(
    "/releases/{release_id}/pause", operation_id="pauseRelease", dependencies=[allowed(Operation.RELEASE_PAUSE)],
    status_code=202, summary="Stop a rollout where it is",
    responses={202: {"headers": LOCATION}},
)  # fmt: skip
def pause(release_id: ReleaseId, body: ReasonBody, response: Response, context: ContextDep, actor: ActorDep) -> ReleaseOut:
    """Hold the step that is under way, its lease alive and its candidate judged, until somebody lets it go on."""
    from productops.usecases.release_judge import pause_release  # brings the judge's numerics

    release = pause_release(context, release_id, reason=body.reason, actor=actor)
    response.headers["Location"] = f"{BASE}/releases/{release.id}"
    return ReleaseOut.of(release, flow_run=flow_run_of(context, release))


@router.post(
    "/releases/{release_id}/resume", operation_id="resumeRelease", dependencies=[allowed(Operation.RELEASE_PAUSE)],
    status_code=202, summary="Let a paused release go on",
    responses={202: {"headers": LOCATION}},
)  # fmt: skip
def resume(release_id: ReleaseId, body: ReasonBody, response: Response, context: ContextDep, actor: ActorDep) -> ReleaseOut:
    """A person takes the responsibility that the evidence could not."""
    from productops.usecases.release_judge import resume_release  # brings the judge's numerics

    release = resume_release(context, release_id, reason=body.reason, actor=actor)
    response.headers["Location"] = f"{BASE}/releases/{release.id}"
    return ReleaseOut.of(release, flow_run=flow_run_of(context, release))
