"""The judge that a service's catalog entry asks for."""

from __future__ import annotations

from productops.domain.analysis import Judge
from productops.domain.catalog_analysis import Analysis
from productops.domain.judge.judge import StratifiedJudge
from productops.domain.judge.kayenta import KayentaPolicy, MannWhitneyJudge
from productops.domain.judge.policy import AnalysisPolicy, MetricRule
from productops.domain.judge.threshold import Limit, ThresholdJudge, ThresholdPolicy


def make_judge(analysis: Analysis) -> Judge:
    """A fresh judge, ready to learn."""
    if analysis.judge == "kayenta":
        return MannWhitneyJudge(KayentaPolicy(**analysis.kayenta.model_dump()))
    if analysis.judge == "threshold":
        given = analysis.thresholds
        return ThresholdJudge(
            ThresholdPolicy(
                tuple(Limit(name, most) for name, most in given.limits().items()), interval_s=given.interval_s,
                count=given.count, failure_limit=given.failure_limit, consecutive=given.consecutive,
            )
        )  # fmt: skip
    return StratifiedJudge(policy_of(analysis))


def policy_of(analysis: Analysis) -> AnalysisPolicy:
    """The stratified judge's policy."""
    return AnalysisPolicy(
        alpha=analysis.alpha,
        error_tolerance=analysis.error_tolerance,
        latency_tolerance_p50=analysis.latency_tolerance_p50,
        latency_tolerance_p90=analysis.latency_tolerance_p90,
        latency_tolerance_p99=analysis.latency_tolerance_p99,
        promote_error_ratio=analysis.certificate_ratio,
        promote_slow_ratio=analysis.certificate_ratio,
        requests_min=analysis.requests_min,
        min_s=analysis.watch_min_s,
        warm_up_s=analysis.warm_up_s,
        latency_patience_s=analysis.latency_patience_s,
        weight_failures=analysis.weights.failures,
        weight_p50=analysis.weights.p50,
        weight_p90=analysis.weights.p90,
        weight_p99=analysis.weights.p99,
        metrics=tuple(MetricRule(**metric.model_dump(exclude={"source", "query", "query_total"})) for metric in analysis.metrics),
    )
