"""Operations of changes. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.changes_models import (ChangeKind, ChangePage, Form, GovernanceChangesChangeOut)
from productops.client.transport import ServerEvent, Transport, path_part


class ChangesOperations(Transport):
    """Operations of changes."""

    def list_changes(self, *, since: str | None = None, until: str | None = None, venture: str | None = None, kind: ChangeKind | None = None, after: str | None = None, limit: int | None = None) -> ChangePage:
        """List changes."""
        found: ChangePage = self._ask('GET', '/api/v1/product-ops/changes', query={'since': since, 'until': until, 'venture': venture, 'kind': kind, 'after': after, 'limit': limit}).json()
        return found

    def export_changes(self, *, form: Form | None = None, since: str | None = None, until: str | None = None, venture: str | None = None, kind: ChangeKind | None = None) -> bytes:
        """Export changes."""
        return self._ask('GET', '/api/v1/product-ops/changes/export', query={'form': form, 'since': since, 'until': until, 'venture': venture, 'kind': kind}).content

    def get_change(self, change_id: str) -> GovernanceChangesChangeOut:
        """Read a change."""
        found: GovernanceChangesChangeOut = self._ask('GET', f'/api/v1/product-ops/changes/{path_part(change_id)}').json()
        return found
