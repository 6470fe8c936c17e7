"""Routes of compliance: what has to hold, what does not, waivers, and a check at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from productops.adapters.audit_anchors import AnchorFolder, read_or_make_key
from productops.api import paging
from productops.api.access import allowed
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.governance_compliance import ComplianceCheck, Finding, Outcome, Waiver
from productops.domain.governance_compliance_words import FindingState, Severity
from productops.store.governance_compliance import FindingFilter
from productops.usecases import governance_compliance
from productops.usecases.governance_compliance import ControlView, Remedies

COMPLIANCE = f"{BASE}/compliance"
router = APIRouter(tags=["compliance"])
Text = Query(max_length=255, pattern=r"^[^\x00]*$")
FindingId = Annotated[str, Path(max_length=64, description="Id of the finding.")]


class ControlOut(BaseModel):
    """A control and how it stands."""

    name: str = Field(examples=["production-four-eyes"])
    title: str
    venture: str | None
    check: str = Field(examples=["four-eyes"])
    severity: Severity
    owner: str
    references: list[str]
    outcome: Outcome | None = Field(description="Of the newest check; null: never checked. What could not be looked at is `unchecked`.")
    note: str = Field(description="Why it could not be looked at.")
    checked_at: datetime | None
    open: int = Field(description="Findings that are open.")
    waived: int = Field(description="Findings that are borne for a time.")

    @classmethod
    def of(cls, view: ControlView) -> ControlOut:
        """The control as callers see it."""
        spec = view.control.spec
        return cls(
            name=view.control.name, title=spec.title, venture=view.control.venture, check=spec.check.kind, severity=spec.severity,
            owner=spec.owner, references=list(spec.references), outcome=view.outcome, note=view.note, checked_at=view.checked_at,
            open=view.open, waived=view.waived,
        )  # fmt: skip


class ComplianceOut(BaseModel):
    """All controls the caller may see."""

    items: list[ControlOut]


class WaiverOut(BaseModel):
    """Somebody's word that a finding is borne for a time."""

    id: str
    owner: str
    reason: str
    given_by: str
    given_at: datetime
    expires_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, waiver: Waiver) -> WaiverOut:
        """The waiver as callers see it."""
        return cls.model_validate({name: getattr(waiver, name) for name in cls.model_fields})


class FindingOut(BaseModel):
    """Something that is not as a control wants it."""

    id: str
    fingerprint: str = Field(description="The same for the same thing at every check.")
    control: str
    subject: str = Field(examples=["release/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"])
    venture: str | None
    environment: str | None
    severity: Severity
    owner: str
    state: FindingState
    sentence: str
    remediation: str
    evidence: dict[str, Any]
    opened_at: datetime
    seen_at: datetime = Field(description="When a check found it last.")
    resolved_at: datetime | None
    waiver: WaiverOut | None

    @classmethod
    def of(cls, finding: Finding, now: datetime) -> FindingOut:
        """The finding as callers see it."""
        own = {"state", "waiver", "evidence"}
        same = {name: getattr(finding, name) for name in cls.model_fields if name not in own}
        waiver = WaiverOut.of(finding.waiver) if finding.waiver else None
        return cls.model_validate(same | {"state": finding.state(now), "waiver": waiver, "evidence": dict(finding.evidence)})


class FindingPage(BaseModel):
    """Findings, newest first; pass `next` as `after` for the following page."""

    items: list[FindingOut]
    next: str | None


class FindingDetail(FindingOut):
    """A finding with every waiver it ever had, newest first."""

    waivers: list[WaiverOut]


class ResultOut(BaseModel):
    """One control in one check."""

    control: str
    outcome: Outcome
    note: str
    looked_at: int = Field(description="How many releases, tokens, flags … were looked at.")
    opened: int
    still: int
    resolved: int
    waived: int
    remedied: list[str] = Field(description="What the check put right itself.")


class CheckOut(BaseModel):
    """One check."""

    id: str
    at: datetime
    by: str
    origin: str
    duration_s: float
    results: list[ResultOut]

    @classmethod
    def of(cls, check: ComplianceCheck) -> CheckOut:
        """The check as callers see it."""
        results = [ResultOut.model_validate(result.to_dict()) for result in check.results]
        return cls(id=check.id, at=check.at, by=check.by, origin=check.origin, duration_s=check.duration_s, results=results)


class CheckList(BaseModel):
    """Checks, newest first."""

    items: list[CheckOut]


class CheckBody(BaseModel):
    """What to check."""

    control: str | None = Field(default=None, max_length=63, description="One control; left out: all.")


class WaiverBody(BaseModel):
    """Which finding is borne, by whom, why and until when."""

    finding_id: str = Field(max_length=64)
    owner: str = Field(min_length=1, max_length=255, description="Who bears the risk.")
    reason: str = Field(min_length=1, max_length=4000, description="Why; at least 10 characters.")
    expires_at: AwareDatetime = Field(description="When it is open again; at most 366 days from now.")


@router.get(COMPLIANCE, operation_id="listControls", dependencies=[allowed(Operation.COMPLIANCE_READ)], summary="List the controls")
def list_controls(context: ContextDep, actor: ActorDep) -> ComplianceOut:
    """What has to hold, and how it stands."""
    return ComplianceOut(items=[ControlOut.of(view) for view in governance_compliance.list_controls(context, actor=actor)])


@router.get(
    f"{COMPLIANCE}/checks", operation_id="listComplianceChecks", dependencies=[allowed(Operation.COMPLIANCE_READ)],
    summary="List checks of the controls, newest first",
)  # fmt: skip
def list_checks(context: ContextDep, actor: ActorDep, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> CheckList:
    """Who had the controls checked, and what became of each."""
    return CheckList(items=[CheckOut.of(check) for check in governance_compliance.list_checks(context, actor=actor, limit=limit)])


@router.post(
    f"{COMPLIANCE}/check",
    operation_id="checkControls",
    dependencies=[allowed(Operation.COMPLIANCE_CHECK)],
    summary="Check the controls now",
)
def check(body: CheckBody, request: Request, context: ContextDep, actor: ActorDep) -> CheckOut:
    """Looks at once and answers when it has; the flow `compliance` does it every day."""
    state = request.app.state
    remedies = Remedies(read_or_make_key(state.audit_key), AnchorFolder(state.anchor_folder))
    return CheckOut.of(governance_compliance.check_controls(context, actor=actor, remedies=remedies, only=body.control))


@router.get(
    f"{COMPLIANCE}/findings", operation_id="listFindings", dependencies=[allowed(Operation.COMPLIANCE_READ)],
    summary="List findings, newest first",
)  # fmt: skip
def list_findings(
    context: ContextDep,
    actor: ActorDep,
    state: FindingState | None = None,
    control: Annotated[str | None, Text] = None,
    severity: Severity | None = None,
    venture: Annotated[str | None, Text] = None,
    owner: Annotated[str | None, Text] = None,
    limit: paging.Limit = 50,
    after: paging.After = None,
) -> FindingPage:
    """Filters are exact and can be combined."""
    wanted = FindingFilter(state=state, control=control, severity=severity, venture=venture, owner=owner)
    found = governance_compliance.list_findings(context, wanted, actor=actor, before=paging.decode_one(after), limit=limit + 1)
    page, following = paging.cut(found, limit, lambda finding: (finding.id,))
    now = context.clock.now()
    return FindingPage(items=[FindingOut.of(finding, now) for finding in page], next=following)


@router.get(
    f"{COMPLIANCE}/findings/{{finding_id}}", operation_id="getFinding", dependencies=[allowed(Operation.COMPLIANCE_READ)],
    summary="Read a finding",
)  # fmt: skip
def show_finding(finding_id: FindingId, context: ContextDep, actor: ActorDep) -> FindingDetail:
    """With its evidence and all its waivers."""
    finding, waivers = governance_compliance.read_finding(context, finding_id, actor=actor)
    shown = FindingOut.of(finding, context.clock.now()).model_dump()
    return FindingDetail.model_validate(shown | {"waivers": [WaiverOut.of(waiver).model_dump() for waiver in waivers]})


@router.post(
    f"{COMPLIANCE}/waivers", operation_id="waiveFinding", dependencies=[allowed(Operation.COMPLIANCE_WAIVE)], status_code=201,
    summary="Bear a finding for a time",
)  # fmt: skip
def waive(body: WaiverBody, context: ContextDep, actor: ActorDep) -> FindingOut:
    """From `expires_at` on it is open again. A waiver takes the place of an earlier one."""
    found = governance_compliance.waive_finding(
        context, body.finding_id, owner=body.owner, reason=body.reason, expires_at=body.expires_at, actor=actor
    )
    return FindingOut.of(found, context.clock.now())


@router.delete(
    f"{COMPLIANCE}/findings/{{finding_id}}/waiver", operation_id="endWaiver", dependencies=[allowed(Operation.COMPLIANCE_WAIVE)],
    summary="Take a waiver back",
)  # fmt: skip
def end_waiver(
    finding_id: FindingId, context: ContextDep, actor: ActorDep, reason: Annotated[str, Query(max_length=2000, description="Why.")] = ""
) -> FindingOut:
    """The finding is open at once."""
    return FindingOut.of(governance_compliance.end_waiver(context, finding_id, reason=reason, actor=actor), context.clock.now())
