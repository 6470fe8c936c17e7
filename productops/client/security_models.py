"""Documents of security. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment)


class CustodyList(TypedDict):
    """The chain, in order."""
    items: list[CustodyOut]


class CustodyOut(TypedDict):
    """Who had it."""
    number: int
    at: str
    action: Literal['taken', 'read', 'exported', 'handed-on']
    who: str
    to: str
    reason: str
    hash: str


class EvidenceFileIn(TypedDict):
    """A copy of a file."""
    name: str
    content_base64: str


class EvidenceIn(TypedDict):
    """What is to be kept."""
    reason: str
    title: NotRequired[str]
    incident_id: NotRequired[str | None]
    venture: NotRequired[str | None]
    since: NotRequired[str | None]
    until: NotRequired[str | None]
    people: NotRequired[list[str]]
    services: NotRequired[list[str]]
    files: NotRequired[list[EvidenceFileIn]]


class EvidenceItemOut(TypedDict):
    """One thing in a bundle."""
    position: int
    name: str
    kind: str
    bytes: int
    sha256: str


class EvidencePage(TypedDict):
    """Bundles, newest first."""
    items: list[GovernanceSecurityEvidenceOut]
    next: str | None


class EvidenceShown(TypedDict):
    """A bundle with its chain of custody."""
    evidence: GovernanceSecurityEvidenceOut
    custody: list[CustodyOut]


class GovernanceSecurityEvidenceOut(TypedDict):
    """A sealed bundle."""
    id: str
    incident_id: str | None
    venture: str | None
    title: str
    taken_by: str
    taken_at: str
    manifest_hash: str
    items: list[EvidenceItemOut]


class HandOverIn(TypedDict):
    """Who gets it."""
    to: str
    reason: str


class PostureArea(TypedDict):
    """One area."""
    name: str
    score: int | None
    reasons: list[PostureReason]


class PostureOut(TypedDict):
    """How well the installation is protected."""
    at: str
    score: int | None
    areas: list[PostureArea]
    open_findings: int


class PostureReason(TypedDict):
    """Points that are missing."""
    points: int
    text: str
    remedy: str


class ProofOut(TypedDict):
    """What a check found."""
    bundle_id: str
    fits: bool
    items: int
    manifest_hash: str
    anchored: bool
    problems: list[str]


RuleId = Literal['failed-logins-address', 'failed-logins-user', 'revoked-token-used', 'expired-token-used', 'token-many-addresses', 'refused-operations', 'access-at-odd-hours', 'unusual-release', 'own-approval', 'audit-broken', 'vulnerable-version-live']


class SecurityFindingOut(TypedDict):
    """What a rule saw."""
    id: str
    rule: RuleId
    subject: str
    severity: Literal['SEV1', 'SEV2', 'SEV3', 'SEV4']
    summary: str
    venture: str | None
    service: str | None
    environment: Environment | None
    names: list[str]
    evidence: list[dict[str, Any]]
    value: float | None
    began_at: str
    seen_at: str
    ended_at: str | None


class SecurityFindingPage(TypedDict):
    """Findings, newest first."""
    items: list[SecurityFindingOut]
    next: str | None
