"""Operations of development. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.development_models import (AnswerOut, AttributionOut, AttributionPage, ComparisonOut, DevelopmentSourceList, DevelopmentSourceOut, DoraOut, FeaturePage, FeatureReportOut, ForecastPage, OverruleIn, PlanAcceptBody, PlanBody, PlanDetail, PlanPage, PlanState, PredictionPage, RiskModelsOut, RiskReportOut, Stage, Subject, SyncBody, TeamPage, WhatIfBody)
from productops.client.transport import ServerEvent, Transport, path_part


class DevelopmentOperations(Transport):
    """Operations of development."""

    def make_development_plan(self, body: PlanBody, *, idempotency_key: str | None = None) -> PlanDetail:
        """Plan the work of a venture."""
        found: PlanDetail = self._ask('POST', '/api/v1/product-ops/development/plans', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_development_plans(self, *, venture: str | None = None, team: str | None = None, state: PlanState | None = None, limit: int | None = None, after: str | None = None) -> PlanPage:
        """List plans, newest first."""
        found: PlanPage = self._ask('GET', '/api/v1/product-ops/development/plans', query={'venture': venture, 'team': team, 'state': state, 'limit': limit, 'after': after}).json()
        return found

    def compare_development_plans(self, body: WhatIfBody, *, idempotency_key: str | None = None) -> ComparisonOut:
        """Compare scenarios of a plan."""
        found: ComparisonOut = self._ask('POST', '/api/v1/product-ops/development/plans/what-if', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_current_development_plan(self, *, venture: str, team: str | None = None, work: bool | None = None) -> PlanDetail:
        """Read the plan people work by."""
        found: PlanDetail = self._ask('GET', '/api/v1/product-ops/development/plans/current', query={'venture': venture, 'team': team, 'work': work}).json()
        return found

    def get_development_plan(self, plan_id: str, *, work: bool | None = None) -> PlanDetail:
        """Read a plan."""
        found: PlanDetail = self._ask('GET', f'/api/v1/product-ops/development/plans/{path_part(plan_id)}', query={'work': work}).json()
        return found

    def draw_development_plan(self, plan_id: str) -> bytes:
        """Draw a plan."""
        return self._ask('GET', f'/api/v1/product-ops/development/plans/{path_part(plan_id)}/picture.svg').content

    def accept_development_plan(self, plan_id: str, body: PlanAcceptBody, *, idempotency_key: str | None = None) -> PlanDetail:
        """Let a draft be the plan people work by."""
        found: PlanDetail = self._ask('POST', f'/api/v1/product-ops/development/plans/{path_part(plan_id)}/accept', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_development_forecasts(self, *, venture: str | None = None, subject: Subject | None = None, key: str | None = None, limit: int | None = None, after: str | None = None) -> ForecastPage:
        """List forecasts, newest first."""
        found: ForecastPage = self._ask('GET', '/api/v1/product-ops/development/forecasts', query={'venture': venture, 'subject': subject, 'key': key, 'limit': limit, 'after': after}).json()
        return found

    def list_development_teams(self, *, venture: str | None = None) -> TeamPage:
        """List teams."""
        found: TeamPage = self._ask('GET', '/api/v1/product-ops/development/teams', query={'venture': venture}).json()
        return found

    def list_development_sources(self) -> DevelopmentSourceList:
        """List development sources."""
        found: DevelopmentSourceList = self._ask('GET', '/api/v1/product-ops/development-sources').json()
        return found

    def show_development_source(self, name: str) -> DevelopmentSourceOut:
        """Show a development source."""
        found: DevelopmentSourceOut = self._ask('GET', f'/api/v1/product-ops/development-sources/{path_part(name)}').json()
        return found

    def sync_development_source(self, name: str, body: SyncBody, *, idempotency_key: str | None = None) -> DevelopmentSourceOut:
        """Read a development source now."""
        found: DevelopmentSourceOut = self._ask('POST', f'/api/v1/product-ops/development-sources/{path_part(name)}/sync', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_dora(self, *, venture: str, service: str | None = None, from_: str | None = None, to: str | None = None) -> DoraOut:
        """Delivery figures (DORA)."""
        found: DoraOut = self._ask('GET', '/api/v1/product-ops/development/dora', query={'venture': venture, 'service': service, 'from': from_, 'to': to}).json()
        return found

    def list_attributions(self, *, venture: str | None = None, incident: str | None = None, replaced: bool | None = None, after: str | None = None, limit: int | None = None) -> AttributionPage:
        """List causes of incidents."""
        found: AttributionPage = self._ask('GET', '/api/v1/product-ops/development/attributions', query={'venture': venture, 'incident': incident, 'replaced': replaced, 'after': after, 'limit': limit}).json()
        return found

    def overrule_attribution(self, attribution_id: str, body: OverruleIn, *, idempotency_key: str | None = None) -> AttributionOut:
        """Say what really caused an incident."""
        found: AttributionOut = self._ask('POST', f'/api/v1/product-ops/development/attributions/{path_part(attribution_id)}/overrule', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_risk_predictions(self, *, venture: str | None = None, after: str | None = None, limit: int | None = None) -> PredictionPage:
        """List what was said of changes."""
        found: PredictionPage = self._ask('GET', '/api/v1/product-ops/development/risk', query={'venture': venture, 'after': after, 'limit': limit}).json()
        return found

    def list_risk_models(self, *, venture: str) -> RiskModelsOut:
        """What rates risk, and why."""
        found: RiskModelsOut = self._ask('GET', '/api/v1/product-ops/development/risk-models', query={'venture': venture}).json()
        return found

    def get_risk(self, subject: str) -> RiskReportOut:
        """How risky a change or release is."""
        found: RiskReportOut = self._ask('GET', f'/api/v1/product-ops/development/risk/{path_part(subject)}').json()
        return found

    def list_features(self, *, venture: str | None = None, source: str | None = None, stage: Stage | None = None, text: str | None = None, after: str | None = None, limit: int | None = None) -> FeaturePage:
        """List features, newest first."""
        found: FeaturePage = self._ask('GET', '/api/v1/product-ops/development/features', query={'venture': venture, 'source': source, 'stage': stage, 'text': text, 'after': after, 'limit': limit}).json()
        return found

    def get_feature(self, feature_id: str) -> FeatureReportOut:
        """How far a feature is."""
        found: FeatureReportOut = self._ask('GET', f'/api/v1/product-ops/development/{path_part(feature_id)}').json()
        return found

    def get_feature_readiness(self, feature_id: str) -> AnswerOut:
        """Is a feature ready?"""
        found: AnswerOut = self._ask('GET', f'/api/v1/product-ops/development/{path_part(feature_id)}/readiness').json()
        return found

    def get_feature_success(self, feature_id: str) -> AnswerOut:
        """Was a feature a success?"""
        found: AnswerOut = self._ask('GET', f'/api/v1/product-ops/development/{path_part(feature_id)}/success').json()
        return found
