"""Documents of approvals. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment, Role)


Action = Literal['release', 'train', 'flag', 'bypass', 'playbook', 'override', 'policy']


class ApprovalOut(TypedDict):
    """A request for signatures, who has signed, and what is still missing."""
    id: str
    subject: str
    action: Action
    title: str
    venture: str | None
    environment: Environment | None
    requested_by: str
    reason: str
    state: ApprovalState
    still_missing: str
    missing: list[Role]
    policies: list[str]
    needs: list[NeedOut]
    signatures: list[SignatureOut]
    content: dict[str, Any]
    content_hash: str
    created_at: str
    expires_at: str
    decided_at: str | None
    decided_by: str
    outcome: str
    page: str
    reviews: NotRequired[list[GovernanceApprovalsReviewOut]]


class ApprovalPage(TypedDict):
    """Newest first; ``next`` goes on."""
    items: list[ApprovalOut]
    next: str | None


ApprovalState = Literal['waiting', 'approved', 'overridden', 'refused', 'expired', 'withdrawn']


class CloseBody(TypedDict):
    """What the one who looked at an override found."""
    note: str


class GovernanceApprovalsReviewOut(TypedDict):
    """The look that somebody else takes at an override."""
    id: str
    approval_id: str
    subject: str
    overridden_by: str
    reason: str
    opened_at: str
    due_at: str
    overdue: bool
    closed_by: str | None
    closed_at: str | None
    note: str


class LinkOut(TypedDict):
    """A link that signs for its holder, once, within a day. It is shown here only."""
    path: str
    url: str


class NeedOut(TypedDict):
    """So many signatures of a role, by one version of one policy."""
    policy: str
    version: int
    role: Role
    count: int
    valid_s: int
    hours: str | None


class OverrideBody(TypedDict):
    """Why it cannot wait."""
    reason: str


class RefusalBody(TypedDict):
    """A veto."""
    reason: str
    content_hash: NotRequired[str | None]


class ReviewPage(TypedDict):
    """Newest first; ``next`` goes on."""
    items: list[GovernanceApprovalsReviewOut]
    next: str | None


class SignatureBody(TypedDict):
    """A signature."""
    note: NotRequired[str]
    content_hash: NotRequired[str | None]


class SignatureOut(TypedDict):
    """One person's word."""
    person: str
    roles: list[Role]
    note: str
    origin: str
    at: str
    counts: bool
