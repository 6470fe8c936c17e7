"""Routes of security operations: findings, posture, evidence and who had it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from productops.adapters.audit_anchors import read_or_make_key
from productops.adapters.governance_evidence_archive import write_evidence
from productops.api import paging
from productops.api.access import allowed
from productops.api.conventions import BYTES_MAX
from productops.api.governance_security_schemas import (
    CustodyList,
    CustodyOut,
    EvidenceIn,
    EvidenceOut,
    EvidencePage,
    EvidenceShown,
    HandOverIn,
    PostureOut,
    ProofOut,
    SecurityFindingOut,
    SecurityFindingPage,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.governance_access import Operation
from productops.domain.governance_security import FindingFilter, RuleId
from productops.domain.governance_security_posture import Exposure
from productops.settings import Settings, is_loopback
from productops.usecases import governance_security, governance_security_evidence
from productops.usecases.governance_security_posture import read_posture

SECURITY = f"{BASE}/security"
EVIDENCE = f"{SECURITY}/evidence"
MEDIA_TYPE = "application/gzip"
BODY_BYTES = 1_048_576
router = APIRouter(tags=["security"])
READ = [allowed(Operation.SECURITY_READ)]
RESPOND = [allowed(Operation.SECURITY_RESPOND)]
EvidenceId = Annotated[str, Path(max_length=80, description="Id of the evidence.")]
Venture = Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$", description="Only of this venture.")]
Why = Annotated[str, Query(max_length=2000, pattern=r"^[^\x00]*$", description="Why; it stands in the chain of custody. Needed.")]
BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    f"{SECURITY}/findings", operation_id="listSecurityFindings", dependencies=READ, summary="What looks like an attack, or invites one"
)
def findings(
    context: ContextDep, actor: ActorDep, limit: paging.Limit = 50, after: paging.After = None, venture: Venture = None,
    rule: Annotated[RuleId | None, Query(description="Only of this rule.")] = None,
    every: Annotated[bool, Query(description="Also what holds no more.")] = False,  # noqa: FBT002 - a query
) -> SecurityFindingPage:  # fmt: skip
    """Newest first. Findings of the whole installation are shown to who may read the security of all ventures."""
    wanted = FindingFilter(rule, open_only=not every)
    before = paging.decode_id(after)
    found = governance_security.list_findings(context, wanted, venture=venture, before=before, limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda each: (each.id,))
    return SecurityFindingPage(items=[SecurityFindingOut.of(each) for each in page], next=following)


@router.get(f"{SECURITY}/posture", operation_id="getSecurityPosture", dependencies=READ, summary="How well we are protected")
def posture(request: Request, context: ContextDep, actor: ActorDep, venture: Venture = None) -> PostureOut:
    """A score for each area, with the reason and the remedy for every point that is missing. The score of all is that of the worst."""
    exposure = exposure_of(request.app.state.settings)
    return PostureOut.of(read_posture(context, exposure, venture=venture, actor=actor))


def exposure_of(settings: Settings) -> Exposure:
    """How this program can be reached."""
    return Exposure(
        loopback=is_loopback(settings.host), tls=settings.tls_certificate is not None, behind_proxy=bool(settings.behind_proxy.strip()),
        installation_token=settings.installation_token, status_pages=settings.status_pages, private_webhooks=settings.webhook_allow_private,
    )  # fmt: skip


@router.post(
    EVIDENCE, operation_id="takeEvidence", dependencies=RESPOND, status_code=201, summary="Take evidence and seal it",
    openapi_extra={BYTES_MAX: BODY_BYTES},
)  # fmt: skip
def take(body: EvidenceIn, context: ContextDep, actor: ActorDep) -> EvidenceOut:
    """Copies of audit entries, sessions, facts about tokens, findings, the log of the incident, log lines and files that are sent."""
    return EvidenceOut.of(governance_security_evidence.take_evidence(context, body.wish(), actor=actor))


@router.get(EVIDENCE, operation_id="listEvidence", dependencies=READ, summary="List evidence")
def list_(
    context: ContextDep, actor: ActorDep, limit: paging.Limit = 50, after: paging.After = None, venture: Venture = None,
    incident: Annotated[str | None, Query(max_length=80, pattern=r"^[^\x00]*$", description="Only of this incident.")] = None,
) -> EvidencePage:  # fmt: skip
    """Newest first, without content."""
    found = governance_security_evidence.list_evidence(
        context, incident_id=incident, venture=venture, before=paging.decode_id(after), limit=limit + 1, actor=actor
    )  # fmt: skip
    page, following = paging.cut(found, limit, lambda each: (each.id,))
    return EvidencePage(items=[EvidenceOut.of(each) for each in page], next=following)


@router.get(f"{EVIDENCE}/{{evidence_id}}", operation_id="getEvidence", dependencies=READ, summary="What is in evidence, and who had it")
def show(evidence_id: EvidenceId, context: ContextDep, actor: ActorDep) -> EvidenceShown:
    """Names, sizes and hashes, and the chain of custody. No content, so nobody is noted to have read it."""
    bundle, custody = governance_security_evidence.show_evidence(context, evidence_id, actor=actor)
    return EvidenceShown(evidence=EvidenceOut.of(bundle), custody=[CustodyOut.model_validate(each) for each in custody])


@router.get(
    f"{EVIDENCE}/{{evidence_id}}/verification",
    operation_id="verifyEvidence",
    dependencies=READ,
    summary="Check that evidence is as it was taken",
)
def verify(evidence_id: EvidenceId, context: ContextDep, actor: ActorDep) -> ProofOut:
    """Every item against the manifest, the manifest and the chain of custody against the audit log."""
    return ProofOut.of(governance_security_evidence.verify_evidence(context, evidence_id, actor=actor))


@router.get(
    f"{EVIDENCE}/{{evidence_id}}/items/{{position}}", operation_id="readEvidenceItem", dependencies=RESPOND, summary="Read one item",
    response_class=Response, responses={200: {"content": {"application/octet-stream": BINARY}}},
)  # fmt: skip
def item(
    evidence_id: EvidenceId, position: Annotated[int, Path(ge=0, le=9999, description="Its place, from 0.")], context: ContextDep,
    actor: ActorDep, reason: Why = "",
) -> Response:  # fmt: skip
    """Who reads it, and why, becomes a line of the chain of custody."""
    name, content = governance_security_evidence.read_item(context, evidence_id, position, reason=reason, actor=actor)
    return _file(content, name, "application/octet-stream")


@router.get(
    f"{EVIDENCE}/{{evidence_id}}/export", operation_id="exportEvidence", dependencies=RESPOND, summary="Export evidence as one file",
    response_class=Response, responses={200: {"content": {MEDIA_TYPE: BINARY}}},
)  # fmt: skip
def export(evidence_id: EvidenceId, request: Request, context: ContextDep, actor: ActorDep, reason: Why = "") -> Response:
    """A tar.gz with manifest, chain of custody and all items, signed. `productops security evidence verify --export` checks it."""
    held = governance_security_evidence.export_evidence(context, evidence_id, reason=reason, actor=actor)
    content = write_evidence(held.bundle, held.contents, held.custody, read_or_make_key(request.app.state.audit_key))
    return _file(content, f"evidence-{held.bundle.id}.tar.gz", MEDIA_TYPE)


@router.post(f"{EVIDENCE}/{{evidence_id}}/hand-over", operation_id="handOverEvidence", dependencies=RESPOND, summary="Note who has it now")
def hand_over(evidence_id: EvidenceId, body: HandOverIn, context: ContextDep, actor: ActorDep) -> CustodyList:
    """A line of the chain of custody; the answer is the whole chain."""
    return CustodyList.of(governance_security_evidence.hand_over(context, evidence_id, to=body.to, reason=body.reason, actor=actor))


def _file(content: bytes, name: str, media_type: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=media_type, headers=headers)
