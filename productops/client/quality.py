"""Operations of quality. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.quality_models import (DecideIn, FlakyOut, GateState, InsightKind, InsightOut, InsightPage, InsightState, OutcomeInput, QualityBacktestBody, QualityBacktestOut, QualityFindingPage, QualityFindingsSeverity, QualityLearningReviewOut, QualityLearningSeriesPage, QualityPolicyOut, QualityRunDetail, QualityRunPage, QualitySource, QualityTestPage, QualityWaiverBody, QualityWaiverOut, QualityWaiverPage, QuarantineIn, QuarantineOut, ReleaseTestIn, SignOffBody, SignOffOut, UploadOut, WaiverEndBody)
from productops.client.transport import ServerEvent, Transport, path_part


class QualityOperations(Transport):
    """Operations of quality."""

    def validate_quality(self, body: dict[str, Any], *, idempotency_key: str | None = None) -> QualityRunDetail:
        """Judge a version by its reports."""
        found: QualityRunDetail = self._ask('POST', '/api/v1/product-ops/quality/validate', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def get_quality_upload(self, upload_id: str) -> UploadOut:
        """Read how far an upload is."""
        found: UploadOut = self._ask('GET', f'/api/v1/product-ops/quality/uploads/{path_part(upload_id)}').json()
        return found

    def list_quality_runs(self, *, service: str | None = None, version: str | None = None, commit: str | None = None, branch: str | None = None, state: GateState | None = None, limit: int | None = None, after: str | None = None) -> QualityRunPage:
        """List runs, newest first."""
        found: QualityRunPage = self._ask('GET', '/api/v1/product-ops/quality/runs', query={'service': service, 'version': version, 'commit': commit, 'branch': branch, 'state': state, 'limit': limit, 'after': after}).json()
        return found

    def get_quality_run(self, run_id: str) -> QualityRunDetail:
        """Read a run."""
        found: QualityRunDetail = self._ask('GET', f'/api/v1/product-ops/quality/runs/{path_part(run_id)}').json()
        return found

    def list_quality_run_tests(self, run_id: str, *, outcome: OutcomeInput | None = None, limit: int | None = None, after: str | None = None) -> QualityTestPage:
        """List tests of a run."""
        found: QualityTestPage = self._ask('GET', f'/api/v1/product-ops/quality/runs/{path_part(run_id)}/tests', query={'outcome': outcome, 'limit': limit, 'after': after}).json()
        return found

    def list_quality_run_findings(self, run_id: str, *, severity: QualityFindingsSeverity | None = None, limit: int | None = None, after: str | None = None) -> QualityFindingPage:
        """List findings of a run."""
        found: QualityFindingPage = self._ask('GET', f'/api/v1/product-ops/quality/runs/{path_part(run_id)}/findings', query={'severity': severity, 'limit': limit, 'after': after}).json()
        return found

    def get_quality_policy(self, *, service: str) -> QualityPolicyOut:
        """Read the policy that holds for a service."""
        found: QualityPolicyOut = self._ask('GET', '/api/v1/product-ops/quality/policy', query={'service': service}).json()
        return found

    def list_quality_waivers(self, *, service: str | None = None, holding: bool | None = None, limit: int | None = None, after: str | None = None) -> QualityWaiverPage:
        """List waivers, newest first."""
        found: QualityWaiverPage = self._ask('GET', '/api/v1/product-ops/quality/waivers', query={'service': service, 'holding': holding, 'limit': limit, 'after': after}).json()
        return found

    def waive_quality(self, body: QualityWaiverBody, *, idempotency_key: str | None = None) -> QualityWaiverOut:
        """Bear an objection for a time."""
        found: QualityWaiverOut = self._ask('POST', '/api/v1/product-ops/quality/waivers', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def end_quality_waiver(self, waiver_id: str, body: WaiverEndBody, *, idempotency_key: str | None = None) -> QualityWaiverOut:
        """Take a waiver back."""
        found: QualityWaiverOut = self._ask('POST', f'/api/v1/product-ops/quality/waivers/{path_part(waiver_id)}/end', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def sign_off_quality(self, body: SignOffBody, *, idempotency_key: str | None = None) -> SignOffOut:
        """Vouch for one item of a checklist."""
        found: SignOffOut = self._ask('POST', '/api/v1/product-ops/quality/sign-offs', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def backtest_quality_policy(self, body: QualityBacktestBody, *, idempotency_key: str | None = None) -> QualityBacktestOut:
        """Judge stored runs by another policy."""
        found: QualityBacktestOut = self._ask('POST', '/api/v1/product-ops/quality/backtest', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def read_flaky_tests(self, service: str, *, sure: float | None = None, limit: int | None = None) -> FlakyOut:
        """How tests stand that failed."""
        found: FlakyOut = self._ask('GET', f'/api/v1/product-ops/quality/flaky/{path_part(service)}', query={'sure': sure, 'limit': limit}).json()
        return found

    def review_flaky_tests(self, service: str, *, idempotency_key: str | None = None) -> FlakyOut:
        """Review flaky tests now."""
        found: FlakyOut = self._ask('POST', f'/api/v1/product-ops/quality/flaky/{path_part(service)}/review', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def quarantine_test(self, body: QuarantineIn, *, idempotency_key: str | None = None) -> QuarantineOut:
        """Quarantine a test."""
        found: QuarantineOut = self._ask('POST', '/api/v1/product-ops/quality/quarantine', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def release_test(self, service: str, test_key: str, body: ReleaseTestIn, *, idempotency_key: str | None = None) -> QuarantineOut:
        """Let a quarantined test block again."""
        found: QuarantineOut = self._ask('POST', f'/api/v1/product-ops/quality/quarantine/{path_part(service)}/{path_part(test_key)}/release', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def read_performance(self, service: str, *, series: str | None = None, runner: str | None = None) -> QualityLearningSeriesPage:
        """Performance over the runs."""
        found: QualityLearningSeriesPage = self._ask('GET', f'/api/v1/product-ops/quality/performance/{path_part(service)}', query={'series': series, 'runner': runner}).json()
        return found

    def draw_performance(self, service: str, *, series: str | None = None, runner: str | None = None) -> bytes:
        """A series as a picture."""
        return self._ask('GET', f'/api/v1/product-ops/quality/performance/{path_part(service)}/picture', query={'series': series, 'runner': runner}).content

    def list_insights(self, *, service: str | None = None, kind: InsightKind | None = None, state: InsightState | None = None, gone: bool | None = None, limit: int | None = None, after: str | None = None) -> InsightPage:
        """List findings, newest first."""
        found: InsightPage = self._ask('GET', '/api/v1/product-ops/quality/insights', query={'service': service, 'kind': kind, 'state': state, 'gone': gone, 'limit': limit, 'after': after}).json()
        return found

    def get_insight(self, insight_id: str) -> InsightOut:
        """Read a finding."""
        found: InsightOut = self._ask('GET', f'/api/v1/product-ops/quality/insights/{path_part(insight_id)}').json()
        return found

    def review_quality(self, service: str, *, idempotency_key: str | None = None) -> QualityLearningReviewOut:
        """Look for findings now."""
        found: QualityLearningReviewOut = self._ask('POST', f'/api/v1/product-ops/quality/insights/review/{path_part(service)}', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def accept_insight(self, insight_id: str, body: DecideIn, *, idempotency_key: str | None = None) -> InsightOut:
        """Make it a task."""
        found: InsightOut = self._ask('POST', f'/api/v1/product-ops/quality/insights/{path_part(insight_id)}/accept', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def finish_insight(self, insight_id: str, body: DecideIn, *, idempotency_key: str | None = None) -> InsightOut:
        """The task is done."""
        found: InsightOut = self._ask('POST', f'/api/v1/product-ops/quality/insights/{path_part(insight_id)}/finish', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def dismiss_insight(self, insight_id: str, body: ReleaseTestIn, *, idempotency_key: str | None = None) -> InsightOut:
        """Not worth it."""
        found: InsightOut = self._ask('POST', f'/api/v1/product-ops/quality/insights/{path_part(insight_id)}/dismiss', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found
