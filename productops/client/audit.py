"""Operations of audit. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.audit_models import (AnchorOut, AuditEntryOut, AuditPageOut)
from productops.client.transport import ServerEvent, Transport, path_part


class AuditOperations(Transport):
    """Operations of audit."""

    def list_audit(self, *, subject: str | None = None, actor: str | None = None, action: str | None = None, since: str | None = None, until: str | None = None, limit: int | None = None, after: str | None = None) -> AuditPageOut:
        """Read the audit log."""
        found: AuditPageOut = self._ask('GET', '/api/v1/product-ops/audit', query={'subject': subject, 'actor': actor, 'action': action, 'since': since, 'until': until, 'limit': limit, 'after': after}).json()
        return found

    def get_audit_anchor(self) -> AnchorOut:
        """Where the audit log stands, signed."""
        found: AnchorOut = self._ask('GET', '/api/v1/product-ops/audit/anchor').json()
        return found

    def get_audit_entry(self, seq: int) -> AuditEntryOut:
        """Read one entry of the audit log."""
        found: AuditEntryOut = self._ask('GET', f'/api/v1/product-ops/audit/{path_part(seq)}').json()
        return found
