"""Operations of deployment-ops. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.common_models import (Environment, ReleaseReasonBody)
from productops.client.deployment_ops_models import (DeploymentBody, DeploymentOut, DeploymentPage, HealthReportOut, IncidentBody, IncidentDetailOut, IncidentPage, MetricSeriesOut, PerformanceInsightsOut, ReportedOut, ResolutionBody)
from productops.client.transport import ServerEvent, Transport, path_part


class DeploymentOpsOperations(Transport):
    """Operations of deployment-ops."""

    def initiate_deployment(self, body: DeploymentBody, *, idempotency_key: str | None = None) -> DeploymentOut:
        """Start a deployment."""
        found: DeploymentOut = self._ask('POST', '/api/v1/deployment-ops/deployments', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_deployments(self, *, venture: str | None = None, service: str | None = None, environment: Environment | None = None, status: Literal['pending', 'running', 'succeeded', 'failed', 'rolled_back'] | None = None, after: str | None = None, limit: int | None = None) -> DeploymentPage:
        """Read the history of deployments."""
        found: DeploymentPage = self._ask('GET', '/api/v1/deployment-ops/deployments', query={'venture': venture, 'service': service, 'environment': environment, 'status': status, 'after': after, 'limit': limit}).json()
        return found

    def monitor_deployment(self, release_id: str) -> DeploymentOut:
        """Read a deployment."""
        found: DeploymentOut = self._ask('GET', f'/api/v1/deployment-ops/deployments/{path_part(release_id)}').json()
        return found

    def rollback_deployment(self, release_id: str, body: ReleaseReasonBody, *, idempotency_key: str | None = None) -> DeploymentOut:
        """Roll a deployment back."""
        found: DeploymentOut = self._ask('POST', f'/api/v1/deployment-ops/deployments/{path_part(release_id)}/rollback', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_infrastructure_health(self, venture: str) -> HealthReportOut:
        """Ask how a venture's services are."""
        found: HealthReportOut = self._ask('GET', f'/api/v1/deployment-ops/infrastructure/{path_part(venture)}/health').json()
        return found

    def get_metrics(self, *, service: str, environment: Environment | None = None, version: list[str] | None = None, since: str | None = None, until: str | None = None, step_s: int | None = None, metric: list[str] | None = None) -> MetricSeriesOut:
        """Read measured traffic and metrics."""
        found: MetricSeriesOut = self._ask('GET', '/api/v1/deployment-ops/metrics', query={'service': service, 'environment': environment, 'version': version, 'since': since, 'until': until, 'step_s': step_s, 'metric': metric}).json()
        return found

    def list_incidents(self, *, status: list[Literal['open', 'investigating', 'mitigated', 'resolved', 'closed']] | None = None, venture: str | None = None, after: str | None = None, limit: int | None = None) -> IncidentPage:
        """List incidents, newest first."""
        found: IncidentPage = self._ask('GET', '/api/v1/deployment-ops/incidents', query={'status': status, 'venture': venture, 'after': after, 'limit': limit}).json()
        return found

    def report_incident(self, body: IncidentBody, *, idempotency_key: str | None = None) -> ReportedOut:
        """Report an incident."""
        found: ReportedOut = self._ask('POST', '/api/v1/deployment-ops/incidents', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_incident_status(self, incident_id: str) -> IncidentDetailOut:
        """Read an incident."""
        found: IncidentDetailOut = self._ask('GET', f'/api/v1/deployment-ops/incidents/{path_part(incident_id)}').json()
        return found

    def resolve_incident(self, incident_id: str, body: ResolutionBody, *, idempotency_key: str | None = None) -> IncidentDetailOut:
        """Resolve an incident."""
        found: IncidentDetailOut = self._ask('POST', f'/api/v1/deployment-ops/incidents/{path_part(incident_id)}/resolution', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_performance_insights(self, venture: str) -> PerformanceInsightsOut:
        """Ask how well a venture's services perform."""
        found: PerformanceInsightsOut = self._ask('GET', f'/api/v1/deployment-ops/performance/{path_part(venture)}/insights').json()
        return found
