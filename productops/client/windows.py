"""Operations of windows. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.common_models import (Environment)
from productops.client.windows_models import (ApprovalBody, BypassBody, BypassList, BypassOut, FeedOut, OpeningOut, RefreshedList, WindowsOut)
from productops.client.transport import ServerEvent, Transport, path_part


class WindowsOperations(Transport):
    """Operations of windows."""

    def list_windows(self, *, venture: str | None = None, service: str | None = None, environment: Environment | None = None, label: str | None = None, ahead_days: int | None = None) -> WindowsOut:
        """List freezes and change windows."""
        found: WindowsOut = self._ask('GET', '/api/v1/product-ops/windows', query={'venture': venture, 'service': service, 'environment': environment, 'label': label, 'ahead_days': ahead_days}).json()
        return found

    def get_calendar(self, name: str, *, ahead_days: int | None = None) -> WindowsOut:
        """Read a calendar."""
        found: WindowsOut = self._ask('GET', f'/api/v1/product-ops/windows/calendars/{path_part(name)}', query={'ahead_days': ahead_days}).json()
        return found

    def get_next_opening(self, *, service: str, environment: Environment | None = None) -> OpeningOut:
        """Ask when a release may start."""
        found: OpeningOut = self._ask('GET', '/api/v1/product-ops/windows/next', query={'service': service, 'environment': environment}).json()
        return found

    def refresh_calendars(self, *, idempotency_key: str | None = None) -> RefreshedList:
        """Read all calendars now."""
        found: RefreshedList = self._ask('POST', '/api/v1/product-ops/windows/refresh', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_bypasses(self, *, service: str | None = None, after: str | None = None, limit: int | None = None) -> BypassList:
        """List bypasses, newest first."""
        found: BypassList = self._ask('GET', '/api/v1/product-ops/windows/bypasses', query={'service': service, 'after': after, 'limit': limit}).json()
        return found

    def request_bypass(self, body: BypassBody, *, idempotency_key: str | None = None) -> BypassOut:
        """Ask to release during a freeze."""
        found: BypassOut = self._ask('POST', '/api/v1/product-ops/windows/bypasses', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_bypass(self, bypass_id: str) -> BypassOut:
        """Read a bypass."""
        found: BypassOut = self._ask('GET', f'/api/v1/product-ops/windows/bypasses/{path_part(bypass_id)}').json()
        return found

    def approve_bypass(self, bypass_id: str, body: ApprovalBody, *, idempotency_key: str | None = None) -> BypassOut:
        """Approve what somebody else asked for."""
        found: BypassOut = self._ask('POST', f'/api/v1/product-ops/windows/bypasses/{path_part(bypass_id)}/approve', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_calendar_feed(self, *, venture: str, environment: Environment | None = None) -> FeedOut:
        """Where to subscribe to a calendar of changes."""
        found: FeedOut = self._ask('GET', '/api/v1/product-ops/windows/feed', query={'venture': venture, 'environment': environment}).json()
        return found
