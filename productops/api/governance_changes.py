"""Routes of change records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field

from productops.api import paging
from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.catalog_approvals import RiskLevel
from productops.domain.governance_access import Operation
from productops.domain.governance_changes import ChangeFilter, ChangeKind
from productops.domain.release import Environment
from productops.usecases import governance_changes

CHANGES = f"{BASE}/changes"
router = APIRouter(tags=["changes"])
Since = Annotated[AwareDatetime | None, Query(description="From then on.")]
Until = Annotated[AwareDatetime | None, Query(description="Before then.")]
VentureName = Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$", description="Name of a venture.")]


class Form(StrEnum):
    """Forms of an export."""

    CSV = "csv"
    NDJSON = "ndjson"


class RiskOut(BaseModel):
    """How much can go wrong, and why."""

    level: RiskLevel
    reasons: list[str]


class ChangeSignatureOut(BaseModel):
    """Who signed."""

    person: str
    roles: list[str]
    at: datetime
    note: str


class ChangeApprovalOut(BaseModel):
    """The signatures behind a change."""

    id: str
    state: str
    policies: list[str]
    signatures: list[ChangeSignatureOut]


class ChangeOut(BaseModel):
    """One change: what, who, how risky, who approved it, how it is undone, how it ended."""

    id: str
    number: str = Field(description="What the outside change system calls it; empty where there is none.")
    at: datetime
    kind: ChangeKind
    subject: str
    title: str
    venture: str | None
    environment: Environment | None
    requested_by: str
    origin: str
    reason: str
    risk: RiskOut
    windows: str = Field(description="What the change windows said when it was asked for.")
    rollback_plan: str = Field(description="How it is undone, and what users get then.")
    detail: dict[str, Any]
    approval: ChangeApprovalOut | None = Field(description="Null: nobody had to sign.")
    outcome: str = Field(description="Of the thing itself, as it is now: promoted, rolled_back, applied, to be reviewed, ….")
    outcome_reason: str
    evidence: list[str] = Field(description="Where to read more.")


class ChangePage(BaseModel):
    """Newest first; ``next`` goes on."""

    items: list[ChangeOut]
    next: str | None


@router.get(CHANGES, operation_id="listChanges", summary="List changes", dependencies=[allowed(Operation.CHANGE_READ)])
def show_changes(
    context: ContextDep,
    actor: ActorDep,
    since: Since = None,
    until: Until = None,
    venture: VentureName = None,
    kind: ChangeKind | None = None,
    after: paging.After = None,
    limit: paging.Limit = 50,
) -> ChangePage:
    """Releases, trains, changes of flags, applications of the catalog, and overrides; newest first."""
    wanted = ChangeFilter(since=since, until=until, venture=venture, kind=kind)
    found, following = governance_changes.list_changes(context, wanted, actor=actor, after=paging.decode_one(after), limit=limit)
    items = [ChangeOut.model_validate(governance_changes.document(view)) for view in found]
    return ChangePage(items=items, next=paging.encode(following) if following else None)


@router.get(
    f"{CHANGES}/export", operation_id="exportChanges", summary="Export changes", dependencies=[allowed(Operation.CHANGE_READ)],
    response_class=Response, responses={200: {"content": {"text/csv": {}, "application/x-ndjson": {}}}},
)  # fmt: skip
def export_changes(
    context: ContextDep,
    actor: ActorDep,
    form: Annotated[Form, Query(description="Of the file.")] = Form.CSV,
    since: Since = None,
    until: Until = None,
    venture: VentureName = None,
    kind: ChangeKind | None = None,
) -> StreamingResponse:
    """All of them, newest first, as a file."""
    wanted = ChangeFilter(since=since, until=until, venture=venture, kind=kind)
    pieces: Iterator[str] = governance_changes.export_changes(context, wanted, actor=actor, form=form.value)
    media = "text/csv; charset=utf-8" if form is Form.CSV else "application/x-ndjson"
    headers = {"Content-Disposition": f'attachment; filename="changes.{form.value}"'}
    return StreamingResponse(pieces, media_type=media, headers=headers)


@router.get(f"{CHANGES}/{{change_id}}", operation_id="getChange", summary="Read a change", dependencies=[allowed(Operation.CHANGE_READ)])
def show_change(change_id: Annotated[str, Path(max_length=64)], context: ContextDep, actor: ActorDep) -> ChangeOut:
    """What was changed, by whom, how risky it was, who approved it, and how it ended."""
    return ChangeOut.model_validate(governance_changes.document(governance_changes.read_change(context, change_id, actor=actor)))
