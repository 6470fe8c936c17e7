"""Operations of compliance. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.compliance_models import (CheckBody, CheckList, ComplianceOut, FindingDetail, FindingOut, FindingPage, FindingState, GovernanceComplianceCheckOut, GovernanceComplianceWordsSeverity, WaiverBody)
from productops.client.transport import ServerEvent, Transport, path_part


class ComplianceOperations(Transport):
    """Operations of compliance."""

    def list_controls(self) -> ComplianceOut:
        """List the controls."""
        found: ComplianceOut = self._ask('GET', '/api/v1/product-ops/compliance').json()
        return found

    def list_compliance_checks(self, *, limit: int | None = None) -> CheckList:
        """List checks of the controls, newest first."""
        found: CheckList = self._ask('GET', '/api/v1/product-ops/compliance/checks', query={'limit': limit}).json()
        return found

    def check_controls(self, body: CheckBody, *, idempotency_key: str | None = None) -> GovernanceComplianceCheckOut:
        """Check the controls now."""
        found: GovernanceComplianceCheckOut = self._ask('POST', '/api/v1/product-ops/compliance/check', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_findings(self, *, state: FindingState | None = None, control: str | None = None, severity: GovernanceComplianceWordsSeverity | None = None, venture: str | None = None, owner: str | None = None, limit: int | None = None, after: str | None = None) -> FindingPage:
        """List findings, newest first."""
        found: FindingPage = self._ask('GET', '/api/v1/product-ops/compliance/findings', query={'state': state, 'control': control, 'severity': severity, 'venture': venture, 'owner': owner, 'limit': limit, 'after': after}).json()
        return found

    def get_finding(self, finding_id: str) -> FindingDetail:
        """Read a finding."""
        found: FindingDetail = self._ask('GET', f'/api/v1/product-ops/compliance/findings/{path_part(finding_id)}').json()
        return found

    def waive_finding(self, body: WaiverBody, *, idempotency_key: str | None = None) -> FindingOut:
        """Bear a finding for a time."""
        found: FindingOut = self._ask('POST', '/api/v1/product-ops/compliance/waivers', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def end_waiver(self, finding_id: str, *, reason: str | None = None) -> FindingOut:
        """Take a waiver back."""
        found: FindingOut = self._ask('DELETE', f'/api/v1/product-ops/compliance/findings/{path_part(finding_id)}/waiver', query={'reason': reason}).json()
        return found
