"""Routes of the audit log: pages of it, one entry, and where it stands now, signed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from productops.adapters.audit_anchors import read_or_make_key
from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.governance_audit import TOMBSTONE, Anchor, AuditEntry, AuditFilter
from productops.errors import InvalidInputError
from productops.usecases import governance_audit

AUDIT = f"{BASE}/audit"
SEQ_MAX = 2**62
router = APIRouter(tags=["audit"])
Text = Query(max_length=255, pattern=r"^[^\x00]*$")


class AuditEntryOut(BaseModel):
    """One entry of the audit log. `[erased]` stands where personal data was."""

    seq: int
    at: datetime
    actor: str
    origin: str = Field(description="The door the actor came through: `api`, `cli`, `prefect`, `agent`.")
    action: str = Field(examples=["release.promoted"])
    subject: str = Field(examples=["release/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"])
    reason: str
    detail: dict[str, Any] = Field(description="`before` and `after` are the state around a change, where it was kept.")
    erased: list[str] = Field(description="What of this entry was erased: `actor`, `subject`, `reason`, `detail`.")
    previous_hash: str
    hash: str

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditEntryOut:
        """The entry as callers see it."""
        erased = (["actor"] if not entry.actor_salt and entry.actor == TOMBSTONE else []) + sorted(entry.erased_texts)
        same = {name: getattr(entry, name) for name in cls.model_fields if name not in {"detail", "erased"}}
        return cls.model_validate(same | {"detail": entry.content, "erased": erased})


class AuditPageOut(BaseModel):
    """Entries, newest first; pass `next` as `after` for the following page."""

    items: list[AuditEntryOut]
    next: str | None


class AnchorOut(BaseModel):
    """The newest entry's number and hash, signed by this installation (Ed25519)."""

    seq: int
    hash: str
    at: str
    key: str = Field(description="Public key, hexadecimal.")
    signature: str = Field(description="Hexadecimal; of `productops audit anchor 1`, `seq`, `hash` and `at`, one a line, no line end.")

    @classmethod
    def of(cls, anchor: Anchor) -> AnchorOut:
        """The anchor as callers see it."""
        return cls.model_validate(anchor.document())


@router.get(AUDIT, operation_id="listAudit", dependencies=[allowed(Operation.AUDIT_READ)], summary="Read the audit log")
def list_audit(
    context: ContextDep,
    caller: ActorDep,
    subject: Annotated[str | None, Text] = None,
    actor: Annotated[str | None, Text] = None,
    action: Annotated[str | None, Text] = None,
    since: Annotated[AwareDatetime | None, Query(description="Not before this time.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this time.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str | None, Query(max_length=80, description="`next` of the page before.")] = None,
) -> AuditPageOut:
    """Newest first by time. Filters are exact and can be combined; `since` and `until` need a zone, e.g. `2026-11-21T03:00:00Z`."""
    wanted = AuditFilter(subject=subject, actor=actor, action=action, since=since, until=until)
    page = governance_audit.list_entries(context, wanted, limit=limit, after=_place(after) if after else None, actor=caller)
    following = f"{page.after[0].astimezone(UTC).strftime('%Y%m%dT%H%M%S.%fZ')}-{page.after[1]}" if page.after else None
    return AuditPageOut(items=[AuditEntryOut.of(entry) for entry in page.items], next=following)


def _place(after: str) -> tuple[datetime, int]:
    """Raises: InvalidInputError for what no page gave."""
    at, _, seq = after.partition("-")
    try:
        place = datetime.strptime(at, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC), int(seq)
    except ValueError as error:
        raise InvalidInputError("after is the `next` of an earlier page, to the letter") from error
    if not 0 <= place[1] <= SEQ_MAX:
        raise InvalidInputError("after is the `next` of an earlier page, to the letter")
    return place


@router.get(
    f"{AUDIT}/anchor", operation_id="getAuditAnchor", dependencies=[allowed(Operation.AUDIT_READ)],
    summary="Where the audit log stands, signed",
)  # fmt: skip
def show_anchor(context: ContextDep, request: Request) -> AnchorOut:
    """Keep it somewhere this machine cannot write to: with it, a log that was cut or written anew is found out."""
    return AnchorOut.of(governance_audit.present_anchor(context, read_or_make_key(request.app.state.audit_key)))


@router.get(
    f"{AUDIT}/{{seq}}", operation_id="getAuditEntry", dependencies=[allowed(Operation.AUDIT_READ)],
    summary="Read one entry of the audit log",
)  # fmt: skip
def show_entry(seq: Annotated[int, Path(ge=1, le=SEQ_MAX)], context: ContextDep, caller: ActorDep) -> AuditEntryOut:
    """One entry with its hash and the hash it continues."""
    return AuditEntryOut.of(governance_audit.read_entry(context, seq, actor=caller))
