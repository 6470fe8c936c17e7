"""Documents of changes. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment, RiskLevel)


class ChangeApprovalOut(TypedDict):
    """The signatures behind a change."""
    id: str
    state: str
    policies: list[str]
    signatures: list[ChangeSignatureOut]


ChangeKind = Literal['release', 'train', 'flag', 'catalog', 'override']


class ChangePage(TypedDict):
    """Newest first; ``next`` goes on."""
    items: list[GovernanceChangesChangeOut]
    next: str | None


class ChangeSignatureOut(TypedDict):
    """Who signed."""
    person: str
    roles: list[str]
    at: str
    note: str


Form = Literal['csv', 'ndjson']


class GovernanceChangesChangeOut(TypedDict):
    """One change: what, who, how risky, who approved it, how it is undone, how it ended."""
    id: str
    number: str
    at: str
    kind: ChangeKind
    subject: str
    title: str
    venture: str | None
    environment: Environment | None
    requested_by: str
    origin: str
    reason: str
    risk: RiskOut
    windows: str
    rollback_plan: str
    detail: dict[str, Any]
    approval: ChangeApprovalOut | None
    outcome: str
    outcome_reason: str
    evidence: list[str]


class RiskOut(TypedDict):
    """How much can go wrong, and why."""
    level: RiskLevel
    reasons: list[str]
