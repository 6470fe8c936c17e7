"""What routes of security operations take and give."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from productops.api.release_schemas import Sent
from productops.domain.governance_security import RuleId, StoredFinding
from productops.domain.governance_security_evidence import Bundle, Custody, EvidenceItem, Proof
from productops.domain.governance_security_posture import Area, Posture
from productops.domain.release import Environment
from productops.errors import InvalidInputError
from productops.usecases.governance_security_evidence import EvidenceWish

Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
Words = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]


class SecurityFindingOut(BaseModel):
    """What a rule saw."""

    id: str
    rule: RuleId
    subject: str = Field(description="An address, a person, a token's id, an entry or a part.", examples=["203.0.113.7"])
    severity: Literal["SEV1", "SEV2", "SEV3", "SEV4"]
    summary: str = Field(examples=["24 failed authentications from 203.0.113.7 within 5 minutes"])
    venture: str | None = Field(description="Nothing: it is of the whole installation.")
    service: str | None
    environment: Environment | None
    names: list[str] = Field(description="What exceptions of a policy can name, too: people, addresses, advisories.")
    evidence: list[dict[str, Any]] = Field(description="The rows it rests on, at most fifty.")
    value: float | None
    began_at: datetime
    seen_at: datetime
    ended_at: datetime | None = Field(description="Nothing: it holds.")

    @classmethod
    def of(cls, each: StoredFinding) -> Self:
        """For the wire."""
        found = each.finding
        return cls(
            id=each.id, rule=found.rule, subject=found.subject, severity=found.severity, summary=found.summary, venture=found.venture,
            service=found.service, environment=found.environment, names=list(found.names), evidence=[dict(row) for row in found.evidence],
            value=found.value, began_at=each.began_at, seen_at=each.seen_at, ended_at=each.ended_at,
        )  # fmt: skip


class SecurityFindingPage(BaseModel):
    """Findings, newest first."""

    items: list[SecurityFindingOut]
    next: str | None = Field(description="Where the next page begins; nothing at the end.")


class PostureReason(BaseModel):
    """Points that are missing."""

    model_config = ConfigDict(from_attributes=True)
    points: int
    text: str
    remedy: str = Field(description="What to do about it.")


class PostureArea(BaseModel):
    """One area."""

    name: str = Field(examples=["tokens"])
    score: int | None = Field(description="0 to 100; nothing: it could not be looked at.")
    reasons: list[PostureReason]

    @classmethod
    def of(cls, area: Area) -> Self:
        """For the wire."""
        return cls(name=area.name, score=area.score, reasons=[PostureReason.model_validate(each) for each in area.reasons])


class PostureOut(BaseModel):
    """How well the installation is protected."""

    at: datetime
    score: int | None = Field(description="That of the worst area.")
    areas: list[PostureArea]
    open_findings: int

    @classmethod
    def of(cls, found: Posture) -> Self:
        """For the wire."""
        return cls(at=found.at, score=found.score, areas=[PostureArea.of(each) for each in found.areas], open_findings=found.open_findings)


class EvidenceFileIn(Sent):
    """A copy of a file."""

    name: Name = Field(examples=["nginx-access.log"])
    content_base64: Annotated[str, Field(max_length=1_400_000)] = Field(description="Its bytes, as base64.", examples=["Z2V0IC8K"])

    def item(self) -> EvidenceItem:
        """Raises: InvalidInputError for what is no base64."""
        try:
            return EvidenceItem(self.name, "file", base64.b64decode(self.content_base64, validate=True))
        except (ValueError, binascii.Error) as error:
            raise InvalidInputError(f"file {self.name[:80]!r}: its content is no base64: {error}") from error


class EvidenceIn(Sent):
    """What is to be kept."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": "a token was stolen", "venture": "apollo", "people": ["mia"]}]},
    )
    reason: Words
    title: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""
    incident_id: Annotated[str, Field(max_length=80, pattern=r"^[^\x00]*$")] | None = Field(
        default=None, description="Of this incident: its venture, services, findings and time."
    )
    venture: Name | None = Field(default=None, description="Without an incident: of this venture; nothing: of the whole installation.")
    since: AwareDatetime | None = Field(default=None, description="Default: an hour before the incident, or before now.")
    until: AwareDatetime | None = Field(default=None, description="Default: now.")
    people: Annotated[list[Name], Field(max_length=50)] = Field(default=[], description="Whose sessions, tokens and entries, too.")
    services: Annotated[list[Name], Field(max_length=50)] = Field(default=[], description="Whose log lines, too.")
    files: Annotated[list[EvidenceFileIn], Field(max_length=50)] = Field(default=[], description="Copies of files, 1 MiB in all.")

    def wish(self) -> EvidenceWish:
        """For the use case. Raises: InvalidInputError."""
        return EvidenceWish(
            reason=self.reason, title=self.title, incident_id=self.incident_id, venture=self.venture, since=self.since, until=self.until,
            people=tuple(self.people), services=tuple(self.services), files=tuple(each.item() for each in self.files),
        )  # fmt: skip


class EvidenceItemOut(BaseModel):
    """One thing in a bundle."""

    position: int
    name: str
    kind: str = Field(examples=["audit"])
    bytes: int
    sha256: str


class CustodyOut(BaseModel):
    """Who had it."""

    model_config = ConfigDict(from_attributes=True)
    number: int
    at: datetime
    action: Literal["taken", "read", "exported", "handed-on"]
    who: str
    to: str = Field(description="Who got it, where it was handed on.")
    reason: str
    hash: str = Field(description="Covers this line and the one before.")


class EvidenceOut(BaseModel):
    """A sealed bundle."""

    id: str
    incident_id: str | None
    venture: str | None
    title: str
    taken_by: str
    taken_at: datetime
    manifest_hash: str = Field(description="SHA-256 of the manifest; the audit log has it, too.")
    items: list[EvidenceItemOut]

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """For the wire."""
        return cls(
            id=bundle.id, incident_id=bundle.incident_id, venture=bundle.venture, title=bundle.title, taken_by=bundle.taken_by,
            taken_at=bundle.taken_at, manifest_hash=bundle.manifest_hash, items=[EvidenceItemOut(**each) for each in bundle.items],
        )  # fmt: skip


class EvidenceShown(BaseModel):
    """A bundle with its chain of custody."""

    evidence: EvidenceOut
    custody: list[CustodyOut]


class EvidencePage(BaseModel):
    """Bundles, newest first."""

    items: list[EvidenceOut]
    next: str | None = Field(description="Where the next page begins; nothing at the end.")


class HandOverIn(Sent):
    """Who gets it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"to": "Sam Lee, forensics", "reason": "analysis, case 2026-114"}]}
    )
    to: Name
    reason: Words


class CustodyList(BaseModel):
    """The chain, in order."""

    items: list[CustodyOut]

    @classmethod
    def of(cls, custody: list[Custody]) -> Self:
        """For the wire."""
        return cls(items=[CustodyOut.model_validate(each) for each in custody])


class ProofOut(BaseModel):
    """What a check found."""

    bundle_id: str
    fits: bool = Field(description="Nothing was changed.")
    items: int
    manifest_hash: str
    anchored: bool = Field(description="The audit log says the same.")
    problems: list[str]

    @classmethod
    def of(cls, proof: Proof) -> Self:
        """For the wire."""
        return cls(
            bundle_id=proof.bundle_id, fits=proof.fits, items=proof.items, manifest_hash=proof.manifest_hash, anchored=proof.anchored,
            problems=list(proof.problems),
        )  # fmt: skip
