"""Operations of security. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.security_models import (CustodyList, EvidenceIn, EvidencePage, EvidenceShown, GovernanceSecurityEvidenceOut, HandOverIn, PostureOut, ProofOut, RuleId, SecurityFindingPage)
from productops.client.transport import ServerEvent, Transport, path_part


class SecurityOperations(Transport):
    """Operations of security."""

    def list_security_findings(self, *, limit: int | None = None, after: str | None = None, venture: str | None = None, rule: RuleId | None = None, every: bool | None = None) -> SecurityFindingPage:
        """What looks like an attack, or invites one."""
        found: SecurityFindingPage = self._ask('GET', '/api/v1/product-ops/security/findings', query={'limit': limit, 'after': after, 'venture': venture, 'rule': rule, 'every': every}).json()
        return found

    def get_security_posture(self, *, venture: str | None = None) -> PostureOut:
        """How well we are protected."""
        found: PostureOut = self._ask('GET', '/api/v1/product-ops/security/posture', query={'venture': venture}).json()
        return found

    def take_evidence(self, body: EvidenceIn, *, idempotency_key: str | None = None) -> GovernanceSecurityEvidenceOut:
        """Take evidence and seal it."""
        found: GovernanceSecurityEvidenceOut = self._ask('POST', '/api/v1/product-ops/security/evidence', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_evidence(self, *, limit: int | None = None, after: str | None = None, venture: str | None = None, incident: str | None = None) -> EvidencePage:
        """List evidence."""
        found: EvidencePage = self._ask('GET', '/api/v1/product-ops/security/evidence', query={'limit': limit, 'after': after, 'venture': venture, 'incident': incident}).json()
        return found

    def get_evidence(self, evidence_id: str) -> EvidenceShown:
        """What is in evidence, and who had it."""
        found: EvidenceShown = self._ask('GET', f'/api/v1/product-ops/security/evidence/{path_part(evidence_id)}').json()
        return found

    def verify_evidence(self, evidence_id: str) -> ProofOut:
        """Check that evidence is as it was taken."""
        found: ProofOut = self._ask('GET', f'/api/v1/product-ops/security/evidence/{path_part(evidence_id)}/verification').json()
        return found

    def read_evidence_item(self, evidence_id: str, position: int, *, reason: str | None = None) -> bytes:
        """Read one item."""
        return self._ask('GET', f'/api/v1/product-ops/security/evidence/{path_part(evidence_id)}/items/{path_part(position)}', query={'reason': reason}).content

    def export_evidence(self, evidence_id: str, *, reason: str | None = None) -> bytes:
        """Export evidence as one file."""
        return self._ask('GET', f'/api/v1/product-ops/security/evidence/{path_part(evidence_id)}/export', query={'reason': reason}).content

    def hand_over_evidence(self, evidence_id: str, body: HandOverIn, *, idempotency_key: str | None = None) -> CustodyList:
        """Note who has it now."""
        found: CustodyList = self._ask('POST', f'/api/v1/product-ops/security/evidence/{path_part(evidence_id)}/hand-over', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found
