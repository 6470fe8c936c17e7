"""Documents of compliance. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class CheckBody(TypedDict):
    """What to check."""
    control: NotRequired[str | None]


class CheckList(TypedDict):
    """Checks, newest first."""
    items: list[GovernanceComplianceCheckOut]


class ComplianceOut(TypedDict):
    """All controls the caller may see."""
    items: list[ControlOut]


class ControlOut(TypedDict):
    """A control and how it stands."""
    name: str
    title: str
    venture: str | None
    check: str
    severity: GovernanceComplianceWordsSeverity
    owner: str
    references: list[str]
    outcome: GovernanceComplianceOutcome | None
    note: str
    checked_at: str | None
    open: int
    waived: int


class FindingDetail(TypedDict):
    """A finding with every waiver it ever had, newest first."""
    id: str
    fingerprint: str
    control: str
    subject: str
    venture: str | None
    environment: str | None
    severity: GovernanceComplianceWordsSeverity
    owner: str
    state: FindingState
    sentence: str
    remediation: str
    evidence: dict[str, Any]
    opened_at: str
    seen_at: str
    resolved_at: str | None
    waiver: WaiverOut | None
    waivers: list[WaiverOut]


class FindingOut(TypedDict):
    """Something that is not as a control wants it."""
    id: str
    fingerprint: str
    control: str
    subject: str
    venture: str | None
    environment: str | None
    severity: GovernanceComplianceWordsSeverity
    owner: str
    state: FindingState
    sentence: str
    remediation: str
    evidence: dict[str, Any]
    opened_at: str
    seen_at: str
    resolved_at: str | None
    waiver: WaiverOut | None


class FindingPage(TypedDict):
    """Findings, newest first; pass `next` as `after` for the following page."""
    items: list[FindingOut]
    next: str | None


FindingState = Literal['open', 'waived', 'resolved']


class GovernanceComplianceCheckOut(TypedDict):
    """One check."""
    id: str
    at: str
    by: str
    origin: str
    duration_s: float
    results: list[ResultOut]


GovernanceComplianceOutcome = Literal['kept', 'violated', 'unchecked']


GovernanceComplianceWordsSeverity = Literal['low', 'medium', 'high', 'critical']


class ResultOut(TypedDict):
    """One control in one check."""
    control: str
    outcome: GovernanceComplianceOutcome
    note: str
    looked_at: int
    opened: int
    still: int
    resolved: int
    waived: int
    remedied: list[str]


class WaiverBody(TypedDict):
    """Which finding is borne, by whom, why and until when."""
    finding_id: str
    owner: str
    reason: str
    expires_at: str


class WaiverOut(TypedDict):
    """Somebody's word that a finding is borne for a time."""
    id: str
    owner: str
    reason: str
    given_by: str
    given_at: str
    expires_at: str
    ended_at: str | None
