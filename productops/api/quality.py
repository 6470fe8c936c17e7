"""Routes of quality gates: hand reports in, read verdicts, bear objections, sign checklists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response

from productops.api import paging
from productops.api.access import allowed
from productops.api.quality_intake import AT_ONCE_BYTES, DESCRIBED, Handed, judge_at_once, judge_later, take_in
from productops.api.quality_schemas import (
    QualityFindingOut,
    QualityFindingPage,
    QualityPolicyOut,
    QualityRunDetail,
    QualityRunOut,
    QualityRunPage,
    QualityTestOut,
    QualityTestPage,
    QualityWaiverBody,
    QualityWaiverOut,
    QualityWaiverPage,
    SignOffBody,
    SignOffOut,
    UploadOut,
    WaiverEndBody,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.quality import Outcome
from productops.domain.quality_findings import Severity
from productops.domain.quality_verdict import GateState
from productops.errors import InvalidInputError
from productops.store.quality_runs import QualityRunFilter
from productops.usecases import quality_read, quality_waivers
from productops.usecases.quality_uploads import read_upload
from productops.usecases.quality_waivers import SignWish, WaiverWish

T = TypeVar("T")
QUALITY = f"{BASE}/quality"
router = APIRouter(tags=["quality"])
Text = Query(max_length=255, pattern=r"^[^\x00]*$")
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$",
        description="1 to 255 printable characters: the same version and commit with it are judged once only.",
    ),
]  # fmt: skip
RunId = Annotated[str, Path(max_length=64, description="Id of the run.")]
LOCATION = {"Location": {"description": "Where the upload is read.", "schema": {"type": "string"}}}


@router.post(
    f"{QUALITY}/validate", operation_id="validateQuality", dependencies=[allowed(Operation.QUALITY_VALIDATE)],
    summary="Judge a version by its reports", response_model=QualityRunDetail, openapi_extra=DESCRIBED,
    responses={202: {"model": UploadOut, "description": "More than 5 MiB: judged later.", "headers": LOCATION}},
)  # fmt: skip
async def validate(
    request: Request, context: ContextDep, actor: ActorDep, idempotency_key: Key = None
) -> QualityRunDetail | Response:  # fmt: skip
    """Test results, coverage, findings, parts lists, measurements, told apart by their content. Up to 5 MiB the answer is the verdict."""
    settings = request.app.state.settings
    handed: Handed = await take_in(request, context, settings, idempotency_key, actor=actor)
    if handed.size_bytes <= AT_ONCE_BYTES:
        return QualityRunDetail.of(await to_thread.run_sync(lambda: judge_at_once(context, handed, actor=actor)))
    upload = await to_thread.run_sync(lambda: judge_later(context, handed, settings, actor=actor))
    request.app.state.quality_news.set()
    return Response(
        UploadOut.of(upload).model_dump_json(), 202, {"Location": f"{QUALITY}/uploads/{upload.id}"}, media_type="application/json"
    )  # fmt: skip


@router.get(
    f"{QUALITY}/uploads/{{upload_id}}", operation_id="getQualityUpload", dependencies=[allowed(Operation.QUALITY_READ)],
    summary="Read how far an upload is",
)  # fmt: skip
def show_upload(upload_id: Annotated[str, Path(max_length=64)], context: ContextDep, actor: ActorDep) -> UploadOut:
    """`run_id` names the run with the verdict once its state is `judged`."""
    return UploadOut.of(read_upload(context, upload_id, actor=actor))


@router.get(
    f"{QUALITY}/runs", operation_id="listQualityRuns", dependencies=[allowed(Operation.QUALITY_READ)], summary="List runs, newest first"
)
def list_runs(
    context: ContextDep,
    actor: ActorDep,
    service: Annotated[str | None, Text] = None,
    version: Annotated[str | None, Text] = None,
    commit: Annotated[str | None, Text] = None,
    branch: Annotated[str | None, Text] = None,
    state: GateState | None = None,
    limit: paging.Limit = 50,
    after: paging.After = None,
) -> QualityRunPage:
    """Filters are exact and can be combined."""
    wanted = QualityRunFilter(service=service, version=version, commit=commit, branch=branch, state=state)
    found = quality_read.list_runs(context, wanted, before=paging.decode_one(after), limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda run: (run.id,))
    return QualityRunPage(items=[QualityRunOut.of(run) for run in page], next=following)


@router.get(
    f"{QUALITY}/runs/{{run_id}}", operation_id="getQualityRun", dependencies=[allowed(Operation.QUALITY_READ)], summary="Read a run"
)
def show_run(run_id: RunId, context: ContextDep, actor: ActorDep) -> QualityRunDetail:
    """Its gates, what speaks against it, and what would make it pass."""
    return QualityRunDetail.of(quality_read.show_run(context, run_id, actor=actor))


@router.get(
    f"{QUALITY}/runs/{{run_id}}/tests", operation_id="listQualityRunTests", dependencies=[allowed(Operation.QUALITY_READ)],
    summary="List tests of a run",
)  # fmt: skip
def run_tests(
    run_id: RunId,
    context: ContextDep,
    actor: ActorDep,
    outcome: Outcome | None = None,
    limit: paging.ManyLimit = 100,
    after: paging.After = None,
) -> QualityTestPage:
    """Those that failed first, then those that passed only when retried."""
    found = quality_read.run_tests(context, run_id, outcome=outcome, actor=actor)
    page, following = _part(found, after, limit)
    return QualityTestPage(items=[QualityTestOut.model_validate(case, from_attributes=True) for case in page], next=following)


@router.get(
    f"{QUALITY}/runs/{{run_id}}/findings", operation_id="listQualityRunFindings", dependencies=[allowed(Operation.QUALITY_READ)],
    summary="List findings of a run",
)  # fmt: skip
def run_findings(
    run_id: RunId,
    context: ContextDep,
    actor: ActorDep,
    severity: Severity | None = None,
    limit: paging.ManyLimit = 100,
    after: paging.After = None,
) -> QualityFindingPage:
    """The worst first."""
    found = quality_read.run_findings(context, run_id, severity=severity, actor=actor)
    page, following = _part(found, after, limit)
    return QualityFindingPage(items=[QualityFindingOut.model_validate(each, from_attributes=True) for each in page], next=following)


def _part(found: Sequence[T], after: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """A page of what never changes: its cursor is how many came before. Raises: InvalidInputError."""
    place = paging.decode_one(after) or "0"
    if not place.isascii() or not place.isdecimal() or len(place) > 12:
        raise InvalidInputError(paging.WRONG)
    start = int(place)
    following = paging.encode(str(start + limit)) if start + limit < len(found) else None
    return found[start : start + limit], following


@router.get(
    f"{QUALITY}/policy", operation_id="getQualityPolicy", dependencies=[allowed(Operation.QUALITY_READ)],
    summary="Read the policy that holds for a service",
)  # fmt: skip
def show_policy(service: Annotated[str, Text], context: ContextDep, actor: ActorDep) -> QualityPolicyOut:
    """Where the catalog declares none, the built-in one."""
    return QualityPolicyOut.of(quality_read.show_policy(context, service, actor=actor))


@router.get(
    f"{QUALITY}/waivers", operation_id="listQualityWaivers", dependencies=[allowed(Operation.QUALITY_READ)],
    summary="List waivers, newest first",
)  # fmt: skip
def list_waivers(
    context: ContextDep,
    actor: ActorDep,
    service: Annotated[str | None, Text] = None,
    *,
    holding: Annotated[bool, Query(description="Only those that count now.")] = False,
    limit: paging.Limit = 50,
    after: paging.After = None,
) -> QualityWaiverPage:
    """What is borne, by whom and until when."""
    before = paging.decode_one(after)
    found = quality_read.list_waivers(context, service=service, holding=holding, before=before, limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda waiver: (waiver.id,))
    return QualityWaiverPage(items=[QualityWaiverOut.of(waiver) for waiver in page], next=following)


@router.post(
    f"{QUALITY}/waivers", operation_id="waiveQuality", dependencies=[allowed(Operation.QUALITY_WAIVE)], status_code=201,
    summary="Bear an objection for a time",
)  # fmt: skip
def waive(body: QualityWaiverBody, context: ContextDep, actor: ActorDep) -> QualityWaiverOut:
    """The newest run of the service is judged again at once. From `expires_at` on it counts again."""
    wish = WaiverWish(body.service, body.key, body.owner, body.reason, body.expires_at, body.gate)
    return QualityWaiverOut.of(quality_waivers.add_waiver(context, wish, actor=actor))


@router.post(
    f"{QUALITY}/waivers/{{waiver_id}}/end", operation_id="endQualityWaiver", dependencies=[allowed(Operation.QUALITY_WAIVE)],
    summary="Take a waiver back",
)  # fmt: skip
def end_waiver(
    waiver_id: Annotated[str, Path(max_length=64, description="Id of the waiver.")],
    body: WaiverEndBody,
    context: ContextDep,
    actor: ActorDep,
) -> QualityWaiverOut:
    """What it bore counts again at once."""
    return QualityWaiverOut.of(quality_waivers.end_waiver(context, waiver_id, reason=body.reason, actor=actor))


@router.post(
    f"{QUALITY}/sign-offs", operation_id="signOffQuality", dependencies=[allowed(Operation.QUALITY_SIGN_OFF)], status_code=201,
    summary="Vouch for one item of a checklist",
)  # fmt: skip
def sign_off(body: SignOffBody, context: ContextDep, actor: ActorDep) -> SignOffOut:
    """With the roles the caller holds in the venture; the policy says which one an item needs."""
    wish = SignWish(body.service, body.version, body.gate, body.item, body.commit, body.note)
    return SignOffOut.of(quality_waivers.sign_off(context, wish, actor=actor))
