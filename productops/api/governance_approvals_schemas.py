"""Wire form of requests for signatures."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from productops.api.release_schemas import Reason, Sent, Text
from productops.domain.catalog_approvals import Action
from productops.domain.governance_access import Role
from productops.domain.governance_approvals import (
    REASON_CHARACTERS_MIN,
    ApprovalRequest,
    ApprovalState,
    Review,
    assigned,
    missing,
    still_missing,
)
from productops.domain.governance_approvals_hours import describe
from productops.domain.release import Environment

ContentHash = Annotated[
    str | None,
    Field(
        default=None, pattern=r"^[0-9a-f]{64}$",
        description="`content_hash` of what you were shown; when it is another thing now, nothing is signed (409).",
    ),
]  # fmt: skip


class NeedOut(BaseModel):
    """So many signatures of a role, by one version of one policy."""

    policy: str
    version: int
    role: Role
    count: int
    valid_s: int = Field(description="A signature counts for so long while it waits for the others.")
    hours: str | None = Field(description="When signing counts; null: always.")


class SignatureOut(BaseModel):
    """One person's word."""

    person: str
    roles: list[Role] = Field(description="What they held there at that moment.")
    note: str
    origin: str
    at: datetime
    counts: bool = Field(description="Whether it takes a place now: not one for an earlier content, too old, or of an extra person.")


class ReviewOut(BaseModel):
    """The look that somebody else takes at an override."""

    id: str
    approval_id: str
    subject: str
    overridden_by: str
    reason: str
    opened_at: datetime
    due_at: datetime
    overdue: bool
    closed_by: str | None
    closed_at: datetime | None
    note: str

    @classmethod
    def of(cls, review: Review, *, now: datetime) -> ReviewOut:
        """The review as callers see it."""
        values = {name: getattr(review, name) for name in cls.model_fields if name != "overdue"}
        return cls.model_validate(values | {"overdue": review.overdue(now)})


class ApprovalOut(BaseModel):
    """A request for signatures, who has signed, and what is still missing."""

    id: str
    subject: str = Field(description="What waits: release/…, train/…, flag-change/…, bypass/…, catalog/…, override/….")
    action: Action
    title: str
    venture: str | None
    environment: Environment | None
    requested_by: str
    reason: str
    state: ApprovalState
    still_missing: str = Field(description="A sentence.")
    missing: list[Role] = Field(description="One for each signature that is missing.")
    policies: list[str] = Field(description="The policy versions it was made under, name@version; stricter newer ones are added.")
    needs: list[NeedOut]
    signatures: list[SignatureOut]
    content: dict[str, Any] = Field(description="What is signed.")
    content_hash: str
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str
    outcome: str
    page: str = Field(description="Where people read and sign it.")
    reviews: list[ReviewOut] = Field(default_factory=list, description="Of an override.")

    @classmethod
    def of(cls, request: ApprovalRequest, *, now: datetime, reviews: tuple[Review, ...] = ()) -> ApprovalOut:
        """The request as callers see it."""
        counting = {signature.id for signature in assigned(request, now=now).values()}
        same = (
            "id", "subject", "action", "title", "venture", "environment", "requested_by", "reason", "state", "content", "content_hash",
            "created_at", "expires_at", "decided_at", "decided_by", "outcome",
        )  # fmt: skip
        values: dict[str, Any] = {name: getattr(request, name) for name in same} | {
            "still_missing": still_missing(request, now=now),
            "missing": [slot.role for slot in missing(request, now=now)] if request.waiting else [],
            "policies": list(request.policies),
            "needs": [
                NeedOut(
                    policy=n.policy, version=n.version, role=n.role, count=n.count, valid_s=n.valid_s,
                    hours=describe(n.hours) if n.hours else None,
                )
                for n in request.needs
            ],
            "signatures": [
                SignatureOut(person=s.person, roles=sorted(s.roles), note=s.note, origin=s.origin, at=s.at, counts=s.id in counting)
                for s in request.signatures
            ],
            "page": f"/approvals/{request.id}",
            "reviews": [ReviewOut.of(review, now=now) for review in reviews],
        }  # fmt: skip
        return cls.model_validate(values)


class ApprovalPage(BaseModel):
    """Newest first; ``next`` goes on."""

    items: list[ApprovalOut]
    next: str | None


class ReviewPage(BaseModel):
    """Newest first; ``next`` goes on."""

    items: list[ReviewOut]
    next: str | None


class SignatureBody(Sent):
    """A signature."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "read the plan, go"}]})
    note: Text = ""
    content_hash: ContentHash


class RefusalBody(Sent):
    """A veto."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "the database is being moved"}]})
    reason: Reason
    content_hash: ContentHash


class OverrideBody(Sent):
    """Why it cannot wait."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "customers cannot pay"}]})
    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=REASON_CHARACTERS_MIN, max_length=2000, pattern=r"^[^\x00]*$"),
        Field(description="Why it cannot wait; others will read it."),
    ]


class CloseBody(Sent):
    """What the one who looked at an override found."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "it was right; the payment provider was down"}]})
    note: Reason


class LinkOut(BaseModel):
    """A link that signs for its holder, once, within a day. It is shown here only."""

    path: str
    url: str
