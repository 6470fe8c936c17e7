"""Operations of release. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.common_models import (Environment, ReleaseOut, ReleaseReasonBody)
from productops.client.release_models import (AnalysisPage, BacktestBody, BacktestPage, MetricsBody, MetricsOut, ReleaseBody, ReleaseDetailOut, ReleasePage, ReleasePlanOut, ServiceList, ServiceOut, ServiceRollbackBody, TrainBody, TrainOut, TrainPage)
from productops.client.transport import ServerEvent, Transport, path_part


class ReleaseOperations(Transport):
    """Operations of release."""

    def backtest_releases(self, body: BacktestBody, *, idempotency_key: str | None = None) -> BacktestPage:
        """Judge past releases with another policy."""
        found: BacktestPage = self._ask('POST', '/api/v1/product-ops/releases/backtest', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def send_metrics(self, service: str, environment: Environment, body: MetricsBody, *, idempotency_key: str | None = None) -> MetricsOut:
        """Send metrics of your own."""
        found: MetricsOut = self._ask('POST', f'/api/v1/product-ops/services/{path_part(service)}/environments/{path_part(environment)}/metrics', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def request_release(self, version: str, body: ReleaseBody, *, idempotency_key: str | None = None) -> ReleaseOut:
        """Ask for a release."""
        found: ReleaseOut = self._ask('POST', f'/api/v1/product-ops/release/{path_part(version)}', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def plan_release(self, version: str, body: ReleaseBody, *, idempotency_key: str | None = None) -> ReleasePlanOut:
        """Show what a release would do."""
        found: ReleasePlanOut = self._ask('POST', f'/api/v1/product-ops/release/{path_part(version)}/plan', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def draw_release_plan(self, version: str, body: ReleaseBody, *, idempotency_key: str | None = None) -> bytes:
        """Draw what a release would do."""
        return self._ask('POST', f'/api/v1/product-ops/release/{path_part(version)}/plan/picture', body=body, headers={'Idempotency-Key': idempotency_key}).content

    def list_releases(self, *, service: str | None = None, environment: Environment | None = None, after: str | None = None, limit: int | None = None) -> ReleasePage:
        """List releases, newest first."""
        found: ReleasePage = self._ask('GET', '/api/v1/product-ops/releases', query={'service': service, 'environment': environment, 'after': after, 'limit': limit}).json()
        return found

    def get_release(self, release_id: str) -> ReleaseDetailOut:
        """Read a release."""
        found: ReleaseDetailOut = self._ask('GET', f'/api/v1/product-ops/releases/{path_part(release_id)}').json()
        return found

    def get_release_analysis(self, release_id: str, *, after_s: int | None = None, limit: int | None = None) -> AnalysisPage:
        """Read the judge's evidence."""
        found: AnalysisPage = self._ask('GET', f'/api/v1/product-ops/releases/{path_part(release_id)}/analysis', query={'after_s': after_s, 'limit': limit}).json()
        return found

    def roll_back_release(self, release_id: str, body: ReleaseReasonBody, *, idempotency_key: str | None = None) -> ReleaseOut:
        """Give users the baseline again."""
        found: ReleaseOut = self._ask('POST', f'/api/v1/product-ops/releases/{path_part(release_id)}/rollback', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def pause_release(self, release_id: str, body: ReleaseReasonBody, *, idempotency_key: str | None = None) -> ReleaseOut:
        """Stop a rollout where it is."""
        found: ReleaseOut = self._ask('POST', f'/api/v1/product-ops/releases/{path_part(release_id)}/pause', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def resume_release(self, release_id: str, body: ReleaseReasonBody, *, idempotency_key: str | None = None) -> ReleaseOut:
        """Let a paused release go on."""
        found: ReleaseOut = self._ask('POST', f'/api/v1/product-ops/releases/{path_part(release_id)}/resume', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def stream_release_events(self, release_id: str, *, after: int | None = None, last_event_id: str | None = None) -> Iterator[ServerEvent]:
        """Follow a release."""
        return self._follow(f'/api/v1/product-ops/releases/{path_part(release_id)}/events', query={'after': after}, last_event_id=last_event_id)

    def stream_events(self, *, after: int | None = None, type: list[str] | None = None, venture: list[str] | None = None, service: list[str] | None = None, environment: list[Environment] | None = None, last_event_id: str | None = None) -> Iterator[ServerEvent]:
        """Follow everything that happens to releases."""
        return self._follow('/api/v1/product-ops/events/stream', query={'after': after, 'type': type, 'venture': venture, 'service': service, 'environment': environment}, last_event_id=last_event_id)

    def list_services(self, *, after: str | None = None, limit: int | None = None) -> ServiceList:
        """List services with their live versions."""
        found: ServiceList = self._ask('GET', '/api/v1/product-ops/services', query={'after': after, 'limit': limit}).json()
        return found

    def get_service(self, name: str) -> ServiceOut:
        """Read a service."""
        found: ServiceOut = self._ask('GET', f'/api/v1/product-ops/services/{path_part(name)}').json()
        return found

    def roll_back_service(self, name: str, body: ServiceRollbackBody, *, idempotency_key: str | None = None) -> ReleaseOut:
        """Give users of a service the version before."""
        found: ReleaseOut = self._ask('POST', f'/api/v1/product-ops/services/{path_part(name)}/rollback', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_release_bundle(self, release_id: str) -> bytes:
        """Get the evidence of a release."""
        return self._ask('GET', f'/api/v1/product-ops/releases/{path_part(release_id)}/bundle').content

    def request_train(self, body: TrainBody, *, idempotency_key: str | None = None) -> TrainOut:
        """Ask for a train of releases."""
        found: TrainOut = self._ask('POST', '/api/v1/product-ops/trains', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_trains(self, *, after: str | None = None, limit: int | None = None) -> TrainPage:
        """List trains, newest first."""
        found: TrainPage = self._ask('GET', '/api/v1/product-ops/trains', query={'after': after, 'limit': limit}).json()
        return found

    def plan_train(self, body: TrainBody, *, idempotency_key: str | None = None) -> TrainOut:
        """Show what a train would do."""
        found: TrainOut = self._ask('POST', '/api/v1/product-ops/trains/plan', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_train(self, train_id: str) -> TrainOut:
        """Read a train."""
        found: TrainOut = self._ask('GET', f'/api/v1/product-ops/trains/{path_part(train_id)}').json()
        return found

    def abort_train(self, train_id: str, body: ReleaseReasonBody, *, idempotency_key: str | None = None) -> TrainOut:
        """Turn a train around."""
        found: TrainOut = self._ask('POST', f'/api/v1/product-ops/trains/{path_part(train_id)}/abort', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found
