"""Operations of analytics. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.analytics_models import (AcceptInsightIn, AnalyticsExperimentsDecisionBody, AnalyticsExperimentsReasonBody, AnalyticsInsightDetail, AnalyticsInsightKind, AnalyticsInsightPage, AnalyticsInsightState, CohortOut, CohortQuery, CohortSpec, DefinitionOut, DefinitionPage, DismissInsightIn, DroppedOut, DroppedQuery, EraseBody, ErasureOut, ErasuresOut, EventImportOut, EventImportsOut, EventSchemaOut, EventsStatusOut, EventsTakenOut, ExperimentList, ExperimentLookList, ExperimentLookedOut, ExperimentOut, ExperimentPageOut, ExperimentSizeOut, ExperimentState, FeatureUseOut, FunnelOut, FunnelQuery, FunnelSpec, ImportBody, ImportMoveBody, InsightNightList, InsightReportOut, InsightTaskList, LookWish, OptimizeIn, PathsOut, PathsQuery, PerformancePage, PerformanceQuery, PerformanceRunOut, PerformanceRunPage, PredictionsOut, ReportMailsIn, ReportMailsOut, ReportPage, RetentionOut, RetentionQuery, SegmentQuery, SegmentsOut, TailOut, UsageOut, UsageQuery, WeeklyReportOut)
from productops.client.transport import ServerEvent, Transport, path_part


class AnalyticsOperations(Transport):
    """Operations of analytics."""

    def send_events(self, body: dict[str, Any] | list[dict[str, Any]], *, venture: str | None = None, idempotency_key: str | None = None) -> EventsTakenOut:
        """Send usage events."""
        found: EventsTakenOut = self._ask('POST', '/api/v1/product-ops/events', query={'venture': venture}, body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_events_status(self, *, venture: str) -> EventsStatusOut:
        """How the taking in of events is."""
        found: EventsStatusOut = self._ask('GET', '/api/v1/product-ops/events/status', query={'venture': venture}).json()
        return found

    def get_event_schema(self, *, venture: str, name: str | None = None, days: int | None = None) -> EventSchemaOut:
        """Names and properties of events."""
        found: EventSchemaOut = self._ask('GET', '/api/v1/product-ops/events/schema', query={'venture': venture, 'name': name, 'days': days}).json()
        return found

    def get_newest_events(self, *, venture: str, limit: int | None = None, name: str | None = None, person: str | None = None) -> TailOut:
        """The newest events."""
        found: TailOut = self._ask('GET', '/api/v1/product-ops/events/tail', query={'venture': venture, 'limit': limit, 'name': name, 'person': person}).json()
        return found

    def erase_events(self, body: EraseBody, *, idempotency_key: str | None = None) -> ErasureOut:
        """Remove a person's events."""
        found: ErasureOut = self._ask('POST', '/api/v1/product-ops/events/erasures', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_erasures(self, *, venture: str) -> ErasuresOut:
        """List erasures."""
        found: ErasuresOut = self._ask('GET', '/api/v1/product-ops/events/erasures', query={'venture': venture}).json()
        return found

    def get_erasure(self, erasure_id: str) -> ErasureOut:
        """How far an erasure is."""
        found: ErasureOut = self._ask('GET', f'/api/v1/product-ops/events/erasures/{path_part(erasure_id)}').json()
        return found

    def begin_event_import(self, body: ImportBody, *, idempotency_key: str | None = None) -> EventImportOut:
        """Begin or go on with an import."""
        found: EventImportOut = self._ask('POST', '/api/v1/product-ops/events/imports', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_event_imports(self, *, venture: str) -> EventImportsOut:
        """List imports."""
        found: EventImportsOut = self._ask('GET', '/api/v1/product-ops/events/imports', query={'venture': venture}).json()
        return found

    def move_event_import(self, import_id: str, body: ImportMoveBody, *, idempotency_key: str | None = None) -> EventImportOut:
        """Note how far an import is."""
        found: EventImportOut = self._ask('POST', f'/api/v1/product-ops/events/imports/{path_part(import_id)}', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_analytics_insights(self, *, venture: str | None = None, feature: str | None = None, kind: AnalyticsInsightKind | None = None, state: list[AnalyticsInsightState] | None = None, limit: int | None = None, after: str | None = None) -> AnalyticsInsightPage:
        """List insights, newest first."""
        found: AnalyticsInsightPage = self._ask('GET', '/api/v1/product-ops/insights', query={'venture': venture, 'feature': feature, 'kind': kind, 'state': state, 'limit': limit, 'after': after}).json()
        return found

    def get_analytics_insight(self, insight_id: str) -> AnalyticsInsightDetail:
        """Read an insight."""
        found: AnalyticsInsightDetail = self._ask('GET', f'/api/v1/product-ops/insights/{path_part(insight_id)}').json()
        return found

    def draw_analytics_insight(self, insight_id: str) -> bytes:
        """An insight as a picture."""
        return self._ask('GET', f'/api/v1/product-ops/insights/{path_part(insight_id)}/picture').content

    def accept_analytics_insight(self, insight_id: str, body: AcceptInsightIn, *, idempotency_key: str | None = None) -> AnalyticsInsightDetail:
        """Accept an insight."""
        found: AnalyticsInsightDetail = self._ask('POST', f'/api/v1/product-ops/insights/{path_part(insight_id)}/accept', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def dismiss_analytics_insight(self, insight_id: str, body: DismissInsightIn, *, idempotency_key: str | None = None) -> AnalyticsInsightDetail:
        """Dismiss an insight."""
        found: AnalyticsInsightDetail = self._ask('POST', f'/api/v1/product-ops/insights/{path_part(insight_id)}/dismiss', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def finish_analytics_insight(self, insight_id: str, *, idempotency_key: str | None = None) -> AnalyticsInsightDetail:
        """Its task is done."""
        found: AnalyticsInsightDetail = self._ask('POST', f'/api/v1/product-ops/insights/{path_part(insight_id)}/finish', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def look_for_insights(self, venture: str, body: LookWish, *, idempotency_key: str | None = None) -> InsightReportOut:
        """Look at a day now."""
        found: InsightReportOut = self._ask('POST', f'/api/v1/product-ops/insight-nights/{path_part(venture)}', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_insight_nights(self, venture: str, *, limit: int | None = None) -> InsightNightList:
        """What nights spent and found."""
        found: InsightNightList = self._ask('GET', f'/api/v1/product-ops/insight-nights/{path_part(venture)}', query={'limit': limit}).json()
        return found

    def list_insight_tasks(self, venture: str, *, state: str | None = None) -> InsightTaskList:
        """Tasks that came of insights."""
        found: InsightTaskList = self._ask('GET', f'/api/v1/product-ops/insight-tasks/{path_part(venture)}', query={'state': state}).json()
        return found

    def optimize_performance(self, body: OptimizeIn, *, idempotency_key: str | None = None) -> PerformanceRunOut:
        """Look at performance, and act where asked."""
        found: PerformanceRunOut = self._ask('POST', '/api/v1/product-ops/performance/optimize', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_performance_runs(self, *, subject: str | None = None, limit: int | None = None, after: str | None = None) -> PerformanceRunPage:
        """List looks at performance."""
        found: PerformanceRunPage = self._ask('GET', '/api/v1/product-ops/performance/optimize', query={'subject': subject, 'limit': limit, 'after': after}).json()
        return found

    def get_performance_run(self, run_id: str) -> PerformanceRunOut:
        """Read a look at performance."""
        found: PerformanceRunOut = self._ask('GET', f'/api/v1/product-ops/performance/optimize/{path_part(run_id)}').json()
        return found

    def list_reports(self, venture: str) -> ReportPage:
        """List kept reports."""
        found: ReportPage = self._ask('GET', f'/api/v1/product-ops/reports/{path_part(venture)}').json()
        return found

    def get_report(self, venture: str, week: str, *, format: Literal['json', 'html', 'markdown', 'text'] | None = None) -> WeeklyReportOut:
        """Read the report of a week."""
        found: WeeklyReportOut = self._ask('GET', f'/api/v1/product-ops/reports/{path_part(venture)}/{path_part(week)}', query={'format': format}).json()
        return found

    def send_report(self, venture: str, week: str, body: ReportMailsIn, *, idempotency_key: str | None = None) -> ReportMailsOut:
        """Send a report by mail."""
        found: ReportMailsOut = self._ask('POST', f'/api/v1/product-ops/reports/{path_part(venture)}/{path_part(week)}/mails', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_report_mails(self, venture: str, week: str) -> ReportMailsOut:
        """List to whom a report went."""
        found: ReportMailsOut = self._ask('GET', f'/api/v1/product-ops/reports/{path_part(venture)}/{path_part(week)}/mails').json()
        return found

    def get_predictions(self, venture: str) -> PredictionsOut:
        """Read predictions of success."""
        found: PredictionsOut = self._ask('GET', f'/api/v1/product-ops/predictions/{path_part(venture)}').json()
        return found

    def make_predictions(self, venture: str, *, idempotency_key: str | None = None) -> PredictionsOut:
        """Predict now."""
        found: PredictionsOut = self._ask('POST', f'/api/v1/product-ops/predictions/{path_part(venture)}', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_experiments(self, *, venture: str | None = None, state: ExperimentState | None = None, after: str | None = None, limit: int | None = None) -> ExperimentList:
        """List experiments."""
        found: ExperimentList = self._ask('GET', '/api/v1/product-ops/experiments', query={'venture': venture, 'state': state, 'after': after, 'limit': limit}).json()
        return found

    def get_experiment(self, name: str) -> ExperimentPageOut:
        """Show an experiment with its newest look."""
        found: ExperimentPageOut = self._ask('GET', f'/api/v1/product-ops/experiments/{path_part(name)}').json()
        return found

    def list_experiment_looks(self, name: str, *, run: int | None = None, limit: int | None = None) -> ExperimentLookList:
        """List the looks of a run."""
        found: ExperimentLookList = self._ask('GET', f'/api/v1/product-ops/experiments/{path_part(name)}/looks', query={'run': run, 'limit': limit}).json()
        return found

    def look_at_experiment(self, name: str, *, idempotency_key: str | None = None) -> ExperimentLookedOut:
        """Look at it now."""
        found: ExperimentLookedOut = self._ask('POST', f'/api/v1/product-ops/experiments/{path_part(name)}/looks', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def draw_experiment(self, name: str) -> bytes:
        """The newest look as a picture."""
        return self._ask('GET', f'/api/v1/product-ops/experiments/{path_part(name)}/picture').content

    def plan_experiment_size(self, name: str, *, mean: float | None = None, deviation: float | None = None, people_per_day: float | None = None, effect: float | None = None, learn_days: float | None = None) -> ExperimentSizeOut:
        """How many people it takes."""
        found: ExperimentSizeOut = self._ask('GET', f'/api/v1/product-ops/experiments/{path_part(name)}/size', query={'mean': mean, 'deviation': deviation, 'people_per_day': people_per_day, 'effect': effect, 'learn_days': learn_days}).json()
        return found

    def start_experiment(self, name: str, body: AnalyticsExperimentsReasonBody | None = None, *, idempotency_key: str | None = None) -> ExperimentOut:
        """Start a run."""
        found: ExperimentOut = self._ask('POST', f'/api/v1/product-ops/experiments/{path_part(name)}/start', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def stop_experiment(self, name: str, body: AnalyticsExperimentsReasonBody | None = None, *, idempotency_key: str | None = None) -> ExperimentOut:
        """Stop a run."""
        found: ExperimentOut = self._ask('POST', f'/api/v1/product-ops/experiments/{path_part(name)}/stop', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def decide_experiment(self, name: str, body: AnalyticsExperimentsDecisionBody, *, idempotency_key: str | None = None) -> ExperimentOut:
        """Decide an experiment."""
        found: ExperimentOut = self._ask('POST', f'/api/v1/product-ops/experiments/{path_part(name)}/decide', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def ask_funnel(self, body: FunnelQuery, *, idempotency_key: str | None = None) -> FunnelOut:
        """How far people came through a funnel."""
        found: FunnelOut = self._ask('POST', '/api/v1/product-ops/analytics/funnels', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_funnels(self, *, venture: str | None = None) -> DefinitionPage:
        """Saved funnels."""
        found: DefinitionPage = self._ask('GET', '/api/v1/product-ops/analytics/funnels', query={'venture': venture}).json()
        return found

    def list_dropped(self, body: DroppedQuery, *, idempotency_key: str | None = None) -> DroppedOut:
        """People who stopped at a step."""
        found: DroppedOut = self._ask('POST', '/api/v1/product-ops/analytics/funnels/dropped', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def read_funnel(self, name: str, *, venture: str, since: str | None = None, until: str | None = None) -> FunnelOut:
        """Ask a saved funnel."""
        found: FunnelOut = self._ask('GET', f'/api/v1/product-ops/analytics/funnels/{path_part(name)}', query={'venture': venture, 'since': since, 'until': until}).json()
        return found

    def save_funnel(self, name: str, body: FunnelSpec, *, venture: str) -> DefinitionOut:
        """Save a funnel."""
        found: DefinitionOut = self._ask('PUT', f'/api/v1/product-ops/analytics/funnels/{path_part(name)}', query={'venture': venture}, body=body).json()
        return found

    def remove_funnel(self, name: str, *, venture: str) -> bytes:
        """Forget a saved funnel."""
        return self._ask('DELETE', f'/api/v1/product-ops/analytics/funnels/{path_part(name)}', query={'venture': venture}).content

    def ask_retention(self, body: RetentionQuery, *, idempotency_key: str | None = None) -> RetentionOut:
        """Who came back."""
        found: RetentionOut = self._ask('POST', '/api/v1/product-ops/analytics/retention', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def ask_paths(self, body: PathsQuery, *, idempotency_key: str | None = None) -> PathsOut:
        """What people do after or before something."""
        found: PathsOut = self._ask('POST', '/api/v1/product-ops/analytics/paths', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def ask_usage(self, body: UsageQuery, *, idempotency_key: str | None = None) -> UsageOut:
        """Adoption of a feature or a venture."""
        found: UsageOut = self._ask('POST', '/api/v1/product-ops/analytics/usage', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def ask_segments(self, body: SegmentQuery, *, idempotency_key: str | None = None) -> SegmentsOut:
        """Use by a column or property."""
        found: SegmentsOut = self._ask('POST', '/api/v1/product-ops/analytics/segments', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def ask_feature_performance(self, body: PerformanceQuery, *, idempotency_key: str | None = None) -> PerformancePage:
        """Latency and failures by version."""
        found: PerformancePage = self._ask('POST', '/api/v1/product-ops/analytics/performance', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_cohorts(self, *, venture: str | None = None) -> DefinitionPage:
        """Saved cohorts."""
        found: DefinitionPage = self._ask('GET', '/api/v1/product-ops/analytics/cohorts', query={'venture': venture}).json()
        return found

    def ask_cohort(self, body: CohortQuery, *, idempotency_key: str | None = None) -> CohortOut:
        """Try a cohort without saving it."""
        found: CohortOut = self._ask('POST', '/api/v1/product-ops/analytics/cohorts', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def read_cohort(self, name: str, *, venture: str, at: str | None = None, limit: int | None = None) -> CohortOut:
        """Who is in a saved cohort."""
        found: CohortOut = self._ask('GET', f'/api/v1/product-ops/analytics/cohorts/{path_part(name)}', query={'venture': venture, 'at': at, 'limit': limit}).json()
        return found

    def save_cohort(self, name: str, body: CohortSpec, *, venture: str) -> DefinitionOut:
        """Save a cohort."""
        found: DefinitionOut = self._ask('PUT', f'/api/v1/product-ops/analytics/cohorts/{path_part(name)}', query={'venture': venture}, body=body).json()
        return found

    def remove_cohort(self, name: str, *, venture: str) -> bytes:
        """Forget a saved cohort."""
        return self._ask('DELETE', f'/api/v1/product-ops/analytics/cohorts/{path_part(name)}', query={'venture': venture}).content

    def read_feature_use(self, feature_id: str, *, venture: str | None = None, since: str | None = None, until: str | None = None) -> FeatureUseOut:
        """A feature on one page."""
        found: FeatureUseOut = self._ask('GET', f'/api/v1/product-ops/analytics/{path_part(feature_id)}', query={'venture': venture, 'since': since, 'until': until}).json()
        return found
