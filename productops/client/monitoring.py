"""Operations of monitoring. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.common_models import (Environment)
from productops.client.monitoring_models import (AlertRuleList, AlertRuleOut, AllowanceBody, AllowanceOut, CallGraphOut, HealthOut, HeartbeatList, HeartbeatOut, LevelName, LogErrorsOut, LogServicesOut, LogsOut, MonitoringSeriesSeriesOut, MonitoringSeriesSeriesPage, ObjectiveDetail, ObjectiveList, PointsBody, PointsOut, PreviewOut, ReleaseBudget, RuleBody, ScrapeTargetList, SeriesAnswer, SeriesStatus, Statistic, TemplateJumpsOut, TemplatesOut, ThresholdsBody, TraceOut, TracesOut, WatchList)
from productops.client.transport import ServerEvent, Transport, path_part


class MonitoringOperations(Transport):
    """Operations of monitoring."""

    def get_health(self) -> HealthOut:
        """Is it alive?"""
        found: HealthOut = self._ask('GET', '/healthz').json()
        return found

    def get_readiness(self) -> HealthOut:
        """Can it work?"""
        found: HealthOut = self._ask('GET', '/readyz').json()
        return found

    def search_logs(self, *, since: str | None = None, until: str | None = None, after: str | None = None, limit: int | None = None, venture: str | None = None, service: str | None = None, environment: Environment | None = None, version: str | None = None, instance: str | None = None, level: LevelName | None = None, text: str | None = None, template: int | None = None, trace_id: str | None = None) -> LogsOut:
        """Search logs."""
        found: LogsOut = self._ask('GET', '/api/v1/product-ops/logs', query={'since': since, 'until': until, 'after': after, 'limit': limit, 'venture': venture, 'service': service, 'environment': environment, 'version': version, 'instance': instance, 'level': level, 'text': text, 'template': template, 'trace_id': trace_id}).json()
        return found

    def list_log_services(self) -> LogServicesOut:
        """Services that log."""
        found: LogServicesOut = self._ask('GET', '/api/v1/product-ops/logs/services').json()
        return found

    def list_log_templates(self, *, service: str, environment: Environment | None = None, since: str | None = None, until: str | None = None) -> TemplatesOut:
        """Shapes of a service's lines."""
        found: TemplatesOut = self._ask('GET', '/api/v1/product-ops/logs/templates', query={'service': service, 'environment': environment, 'since': since, 'until': until}).json()
        return found

    def list_log_jumps(self, *, service: str, environment: Environment | None = None, since: str | None = None, until: str | None = None) -> TemplateJumpsOut:
        """Lines that come more, or less, often than before."""
        found: TemplateJumpsOut = self._ask('GET', '/api/v1/product-ops/logs/jumps', query={'service': service, 'environment': environment, 'since': since, 'until': until}).json()
        return found

    def list_log_errors(self, *, service: str, environment: Environment | None = None, since: str | None = None, until: str | None = None, new_in: str | None = None) -> LogErrorsOut:
        """Errors of a service."""
        found: LogErrorsOut = self._ask('GET', '/api/v1/product-ops/logs/errors', query={'service': service, 'environment': environment, 'since': since, 'until': until, 'new_in': new_in}).json()
        return found

    def follow_logs(self, *, venture: str | None = None, service: str | None = None, environment: Environment | None = None, version: str | None = None, instance: str | None = None, level: LevelName | None = None, text: str | None = None, template: int | None = None, trace_id: str | None = None, last_event_id: str | None = None) -> Iterator[ServerEvent]:
        """Follow logs."""
        return self._follow('/api/v1/product-ops/logs/tail', query={'venture': venture, 'service': service, 'environment': environment, 'version': version, 'instance': instance, 'level': level, 'text': text, 'template': template, 'trace_id': trace_id}, last_event_id=last_event_id)

    def send_otlp_logs(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send log records (OTLP)."""
        found: dict[str, Any] = self._ask('POST', '/v1/logs', body=body).json()
        return found

    def send_otlp_traces(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send spans (OTLP)."""
        found: dict[str, Any] = self._ask('POST', '/v1/traces', body=body).json()
        return found

    def list_traces(self, *, after: str | None = None, limit: int | None = None, service: str | None = None, environment: Environment | None = None, since: str | None = None, until: str | None = None, error: bool | None = None, duration_min_ms: float | None = None, name: str | None = None) -> TracesOut:
        """List traces."""
        found: TracesOut = self._ask('GET', '/api/v1/product-ops/traces', query={'after': after, 'limit': limit, 'service': service, 'environment': environment, 'since': since, 'until': until, 'error': error, 'duration_min_ms': duration_min_ms, 'name': name}).json()
        return found

    def get_trace(self, trace_id: str) -> TraceOut:
        """Read a trace."""
        found: TraceOut = self._ask('GET', f'/api/v1/product-ops/traces/{path_part(trace_id)}').json()
        return found

    def get_release_trace(self, release_id: str) -> TraceOut:
        """Read the trace of a release."""
        found: TraceOut = self._ask('GET', f'/api/v1/product-ops/releases/{path_part(release_id)}/trace').json()
        return found

    def get_call_graph(self, *, venture: str | None = None, since: str | None = None, until: str | None = None) -> CallGraphOut:
        """Who calls whom."""
        found: CallGraphOut = self._ask('GET', '/api/v1/product-ops/call-graph', query={'venture': venture, 'since': since, 'until': until}).json()
        return found

    def list_heartbeats(self) -> HeartbeatList:
        """Who has to report, and when it last did."""
        found: HeartbeatList = self._ask('GET', '/api/v1/product-ops/heartbeats').json()
        return found

    def send_heartbeat(self, name: str, *, idempotency_key: str | None = None) -> HeartbeatOut:
        """A sign of life."""
        found: HeartbeatOut = self._ask('POST', f'/api/v1/product-ops/heartbeats/{path_part(name)}', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_watches(self) -> WatchList:
        """How the watch is."""
        found: WatchList = self._ask('GET', '/api/v1/product-ops/watch').json()
        return found

    def send_otlp_metrics(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send metrics (OTLP)."""
        found: dict[str, Any] = self._ask('POST', '/v1/metrics', body=body).json()
        return found

    def send_series_points(self, body: PointsBody, *, idempotency_key: str | None = None) -> PointsOut:
        """Send points of series."""
        found: PointsOut = self._ask('POST', '/api/v1/product-ops/metrics', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def read_series(self, *, venture: str | None = None, component: str | None = None, name: str | None = None, tag: list[str] | None = None, since: str | None = None, until: str | None = None, step_s: int | None = None, statistic: Statistic | None = None) -> SeriesAnswer:
        """Read series back."""
        found: SeriesAnswer = self._ask('GET', '/api/v1/product-ops/metrics', query={'venture': venture, 'component': component, 'name': name, 'tag': tag, 'since': since, 'until': until, 'step_s': step_s, 'statistic': statistic}).json()
        return found

    def list_series(self, *, venture: str | None = None, component: str | None = None, name: str | None = None, category: Literal['infrastructure', 'application', 'business'] | None = None, status: SeriesStatus | None = None, tag: list[str] | None = None, after: str | None = None, limit: int | None = None) -> MonitoringSeriesSeriesPage:
        """List series."""
        found: MonitoringSeriesSeriesPage = self._ask('GET', '/api/v1/product-ops/series', query={'venture': venture, 'component': component, 'name': name, 'category': category, 'status': status, 'tag': tag, 'after': after, 'limit': limit}).json()
        return found

    def get_series(self, number: int) -> MonitoringSeriesSeriesOut:
        """Read what a series is."""
        found: MonitoringSeriesSeriesOut = self._ask('GET', f'/api/v1/product-ops/series/{path_part(number)}').json()
        return found

    def set_series_thresholds(self, number: int, body: ThresholdsBody, *, idempotency_key: str | None = None) -> MonitoringSeriesSeriesOut:
        """Set thresholds of a series."""
        found: MonitoringSeriesSeriesOut = self._ask('POST', f'/api/v1/product-ops/series/{path_part(number)}/thresholds', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_scrape_targets(self) -> ScrapeTargetList:
        """List scrape targets."""
        found: ScrapeTargetList = self._ask('GET', '/api/v1/product-ops/scrape-targets').json()
        return found

    def set_alert(self, body: RuleBody, *, idempotency_key: str | None = None) -> AlertRuleOut:
        """Set an alert rule."""
        found: AlertRuleOut = self._ask('POST', '/api/v1/deployment-ops/alerts', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def preview_alert(self, body: RuleBody, *, hours: float | None = None, idempotency_key: str | None = None) -> PreviewOut:
        """Try an alert rule on what was measured."""
        found: PreviewOut = self._ask('POST', '/api/v1/deployment-ops/alert-rules/preview', query={'hours': hours}, body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_alert_rules(self, *, venture: str | None = None) -> AlertRuleList:
        """List alert rules."""
        found: AlertRuleList = self._ask('GET', '/api/v1/deployment-ops/alert-rules', query={'venture': venture}).json()
        return found

    def get_alert_rule(self, rule_id: str) -> AlertRuleOut:
        """Read an alert rule."""
        found: AlertRuleOut = self._ask('GET', f'/api/v1/deployment-ops/alert-rules/{path_part(rule_id)}').json()
        return found

    def change_alert_rule(self, rule_id: str, body: RuleBody, *, if_match: str | None = None) -> AlertRuleOut:
        """Replace an alert rule."""
        found: AlertRuleOut = self._ask('PUT', f'/api/v1/deployment-ops/alert-rules/{path_part(rule_id)}', body=body, headers={'if-match': if_match}).json()
        return found

    def delete_alert_rule(self, rule_id: str) -> AlertRuleOut:
        """Delete an alert rule."""
        found: AlertRuleOut = self._ask('DELETE', f'/api/v1/deployment-ops/alert-rules/{path_part(rule_id)}').json()
        return found

    def list_objectives(self, *, venture: str | None = None, service: str | None = None, environment: Environment | None = None) -> ObjectiveList:
        """List objectives with their error budgets."""
        found: ObjectiveList = self._ask('GET', '/api/v1/deployment-ops/slos', query={'venture': venture, 'service': service, 'environment': environment}).json()
        return found

    def get_objective(self, objective: str) -> ObjectiveDetail:
        """Read an objective."""
        found: ObjectiveDetail = self._ask('GET', f'/api/v1/deployment-ops/slos/{path_part(objective)}').json()
        return found

    def allow_spent_budget(self, objective: str, body: AllowanceBody, *, idempotency_key: str | None = None) -> AllowanceOut:
        """Let releases out though the budget is spent."""
        found: AllowanceOut = self._ask('POST', f'/api/v1/deployment-ops/slos/{path_part(objective)}/allowances', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_release_budget(self, release_id: str) -> ReleaseBudget:
        """What a release burned of error budgets."""
        found: ReleaseBudget = self._ask('GET', f'/api/v1/product-ops/releases/{path_part(release_id)}/budget').json()
        return found
