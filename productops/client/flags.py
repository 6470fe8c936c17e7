"""Operations of flags. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.common_models import (Environment)
from productops.client.flags_models import (ChangeBody, ChangeList, EvaluateBody, EvaluationOut, ExposureOut, FlagBody, FlagDetailOut, FlagList, FlagPatchBody, HistoryPage, KillBody, NewFlagBody, OutcomeOut, RampBody, ReleaseFlagsChangeOut, ReleaseFlagsDecisionBody, RestoreBody, StaleList)
from productops.client.transport import ServerEvent, Transport, path_part


class FlagsOperations(Transport):
    """Operations of flags."""

    def evaluate_flag(self, key: str, body: dict[str, Any], *, environment: Literal['development', 'staging', 'production'] | None = None) -> dict[str, Any]:
        """Evaluate one flag."""
        found: dict[str, Any] = self._ask('POST', f'/ofrep/v1/evaluate/flags/{path_part(key)}', query={'environment': environment}, body=body).json()
        return found

    def evaluate_flags(self, body: dict[str, Any], *, environment: Literal['development', 'staging', 'production'] | None = None, venture: str | None = None) -> dict[str, Any]:
        """Evaluate all flags."""
        found: dict[str, Any] = self._ask('POST', '/ofrep/v1/evaluate/flags', query={'environment': environment, 'venture': venture}, body=body).json()
        return found

    def list_flags(self, *, venture: str | None = None, archived: bool | None = None, after: str | None = None, limit: int | None = None) -> FlagList:
        """List flags."""
        found: FlagList = self._ask('GET', '/api/v1/product-ops/flags', query={'venture': venture, 'archived': archived, 'after': after, 'limit': limit}).json()
        return found

    def create_flag(self, body: NewFlagBody, *, idempotency_key: str | None = None) -> OutcomeOut:
        """Make a flag."""
        found: OutcomeOut = self._ask('POST', '/api/v1/product-ops/flags', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_flag(self, key: str) -> FlagDetailOut:
        """Read a flag."""
        found: FlagDetailOut = self._ask('GET', f'/api/v1/product-ops/flags/{path_part(key)}').json()
        return found

    def put_flag(self, key: str, body: FlagBody, *, if_match: str | None = None) -> OutcomeOut:
        """Make a flag, or replace its definition."""
        found: OutcomeOut = self._ask('PUT', f'/api/v1/product-ops/flags/{path_part(key)}', body=body, headers={'if-match': if_match}).json()
        return found

    def patch_flag(self, key: str, body: FlagPatchBody, *, if_match: str | None = None) -> OutcomeOut:
        """Change fields of a flag's definition."""
        found: OutcomeOut = self._ask('PATCH', f'/api/v1/product-ops/flags/{path_part(key)}', body=body, headers={'if-match': if_match}).json()
        return found

    def ramp_flag(self, key: str, body: RampBody, *, idempotency_key: str | None = None) -> OutcomeOut:
        """Give a variant to a share of users."""
        found: OutcomeOut = self._ask('POST', f'/api/v1/product-ops/flags/{path_part(key)}/ramp', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def kill_flag(self, key: str, body: KillBody, *, idempotency_key: str | None = None) -> OutcomeOut:
        """Off for everybody, at once."""
        found: OutcomeOut = self._ask('POST', f'/api/v1/product-ops/flags/{path_part(key)}/kill', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def revive_flag(self, key: str, body: KillBody, *, idempotency_key: str | None = None) -> OutcomeOut:
        """Undo a kill."""
        found: OutcomeOut = self._ask('POST', f'/api/v1/product-ops/flags/{path_part(key)}/revive', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def restore_flag(self, key: str, body: RestoreBody, *, idempotency_key: str | None = None) -> OutcomeOut:
        """Go back to an earlier revision."""
        found: OutcomeOut = self._ask('POST', f'/api/v1/product-ops/flags/{path_part(key)}/restore', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def change_flag(self, key: str, body: ChangeBody, *, idempotency_key: str | None = None) -> OutcomeOut:
        """Change a flag, at once or at a time."""
        found: OutcomeOut = self._ask('POST', f'/api/v1/product-ops/flags/{path_part(key)}/changes', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_flag_changes(self, key: str, *, waiting: bool | None = None, after: str | None = None, limit: int | None = None) -> ChangeList:
        """Read proposed and scheduled changes."""
        found: ChangeList = self._ask('GET', f'/api/v1/product-ops/flags/{path_part(key)}/changes', query={'waiting': waiting, 'after': after, 'limit': limit}).json()
        return found

    def list_all_flag_changes(self, *, waiting: bool | None = None, after: str | None = None, limit: int | None = None) -> ChangeList:
        """Read the changes of all flags."""
        found: ChangeList = self._ask('GET', '/api/v1/product-ops/flag-changes', query={'waiting': waiting, 'after': after, 'limit': limit}).json()
        return found

    def approve_flag_change(self, key: str, change_id: str, body: ReleaseFlagsDecisionBody | None = None, *, idempotency_key: str | None = None) -> OutcomeOut:
        """Approve a proposed change."""
        found: OutcomeOut = self._ask('POST', f'/api/v1/product-ops/flags/{path_part(key)}/changes/{path_part(change_id)}/approve', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def reject_flag_change(self, key: str, change_id: str, body: ReleaseFlagsDecisionBody, *, idempotency_key: str | None = None) -> ReleaseFlagsChangeOut:
        """Refuse a proposed change."""
        found: ReleaseFlagsChangeOut = self._ask('POST', f'/api/v1/product-ops/flags/{path_part(key)}/changes/{path_part(change_id)}/reject', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def cancel_flag_change(self, key: str, change_id: str, body: ReleaseFlagsDecisionBody, *, idempotency_key: str | None = None) -> ReleaseFlagsChangeOut:
        """Call off a waiting change."""
        found: ReleaseFlagsChangeOut = self._ask('POST', f'/api/v1/product-ops/flags/{path_part(key)}/changes/{path_part(change_id)}/cancel', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_flag_history(self, key: str, *, limit: int | None = None, before: int | None = None) -> HistoryPage:
        """Read a flag's revisions."""
        found: HistoryPage = self._ask('GET', f'/api/v1/product-ops/flags/{path_part(key)}/history', query={'limit': limit, 'before': before}).json()
        return found

    def get_flag_exposure(self, key: str, *, environment: Environment | None = None, since: str | None = None) -> ExposureOut:
        """Read who got what."""
        found: ExposureOut = self._ask('GET', f'/api/v1/product-ops/flags/{path_part(key)}/exposure', query={'environment': environment, 'since': since}).json()
        return found

    def explain_flag(self, key: str, body: EvaluateBody, *, idempotency_key: str | None = None) -> EvaluationOut:
        """Try a flag for a context."""
        found: EvaluationOut = self._ask('POST', f'/api/v1/product-ops/flags/{path_part(key)}/evaluate', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_stale_flags(self, *, environment: Environment | None = None, venture: str | None = None, unused_days: int | None = None, settled_days: int | None = None, after: str | None = None, limit: int | None = None) -> StaleList:
        """List flags that should go."""
        found: StaleList = self._ask('GET', '/api/v1/product-ops/stale-flags', query={'environment': environment, 'venture': venture, 'unused_days': unused_days, 'settled_days': settled_days, 'after': after, 'limit': limit}).json()
        return found

    def stream_flag_events(self, *, environment: Environment | None = None, since: int | None = None, key: str | None = None, last_event_id: str | None = None) -> Iterator[ServerEvent]:
        """Hear of changed flags."""
        return self._follow('/ofrep/v1/events', query={'environment': environment, 'since': since, 'key': key}, last_event_id=last_event_id)
