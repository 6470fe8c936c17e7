"""Operations of approvals. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.approvals_models import (Action, ApprovalOut, ApprovalPage, ApprovalState, CloseBody, GovernanceApprovalsReviewOut, LinkOut, OverrideBody, RefusalBody, ReviewPage, SignatureBody)
from productops.client.transport import ServerEvent, Transport, path_part


class ApprovalsOperations(Transport):
    """Operations of approvals."""

    def list_approvals(self, *, state: ApprovalState | None = None, action: Action | None = None, venture: str | None = None, subject: str | None = None, mine: bool | None = None, after: str | None = None, limit: int | None = None) -> ApprovalPage:
        """List requests for signatures."""
        found: ApprovalPage = self._ask('GET', '/api/v1/product-ops/approvals', query={'state': state, 'action': action, 'venture': venture, 'subject': subject, 'mine': mine, 'after': after, 'limit': limit}).json()
        return found

    def list_approval_reviews(self, *, closed: bool | None = None, after: str | None = None, limit: int | None = None) -> ReviewPage:
        """List overrides to be looked at."""
        found: ReviewPage = self._ask('GET', '/api/v1/product-ops/approvals/reviews', query={'closed': closed, 'after': after, 'limit': limit}).json()
        return found

    def close_approval_review(self, review_id: str, body: CloseBody, *, idempotency_key: str | None = None) -> GovernanceApprovalsReviewOut:
        """Say what you found of an override."""
        found: GovernanceApprovalsReviewOut = self._ask('POST', f'/api/v1/product-ops/approvals/reviews/{path_part(review_id)}/close', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_approval(self, approval_id: str) -> ApprovalOut:
        """Read a request for signatures."""
        found: ApprovalOut = self._ask('GET', f'/api/v1/product-ops/approvals/{path_part(approval_id)}').json()
        return found

    def sign_approval(self, approval_id: str, body: SignatureBody, *, idempotency_key: str | None = None) -> ApprovalOut:
        """Sign."""
        found: ApprovalOut = self._ask('POST', f'/api/v1/product-ops/approvals/{path_part(approval_id)}/signatures', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def refuse_approval(self, approval_id: str, body: RefusalBody, *, idempotency_key: str | None = None) -> ApprovalOut:
        """Refuse, or withdraw your own."""
        found: ApprovalOut = self._ask('POST', f'/api/v1/product-ops/approvals/{path_part(approval_id)}/refusals', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def override_approval(self, approval_id: str, body: OverrideBody, *, idempotency_key: str | None = None) -> ApprovalOut:
        """Go past the signatures."""
        found: ApprovalOut = self._ask('POST', f'/api/v1/product-ops/approvals/{path_part(approval_id)}/override', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def make_approval_link(self, approval_id: str, *, idempotency_key: str | None = None) -> LinkOut:
        """Make a link of your own to sign by."""
        found: LinkOut = self._ask('POST', f'/api/v1/product-ops/approvals/{path_part(approval_id)}/links', headers={'Idempotency-Key': idempotency_key}).json()
        return found
