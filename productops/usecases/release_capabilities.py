"""Before a release starts: can the router and the metric sources of this installation do what the rollout needs?"""

from __future__ import annotations

from productops.domain.capabilities import RouterNeeds, refuse_unsupported
from productops.domain.catalog import Service
from productops.domain.catalog_analysis import Analysis
from productops.domain.strategies import RolloutPlan
from productops.errors import UnsupportedError
from productops.usecases.context import Context


def refuse_unable(context: Context, service: Service, plan: RolloutPlan) -> None:
    """Raises: UnsupportedError naming everything that is missing, with what to set instead."""
    if context.router is not None:
        refuse_unsupported(context.router, needs_of(service, plan))
    if context.metric_sources is not None:
        asked = {metric.source for metric in plan.analysis.metrics if metric.source}
        unknown = sorted(asked - context.metric_sources)
        if unknown:
            known = ", ".join(sorted(context.metric_sources)) or "none"
            raise UnsupportedError(
                f"metrics of {service.name} are asked of {', '.join(unknown)}, which is no metric source here (known: {known}); "
                "name it in the file PRODUCTOPS_CONNECTIONS",
                missing=unknown,
            )


def needs_of(service: Service, plan: RolloutPlan) -> RouterNeeds:
    """What the steps ask of the router; those of a flag move no traffic, but somebody must see who was exposed."""
    steps = [step for step in plan.steps if step.flag_pct is None]
    exposing = [step for step in steps if step.weight_pct or step.segments]
    return RouterNeeds(
        weights_pct=tuple(sorted({float(step.weight_pct) for step in steps} | {float(s.pct) for step in steps for s in step.segments})),
        sticky=service.spec.route.sticky and any(0 < step.weight_pct < 100 for step in exposing),
        test_header=any(step.header_only for step in steps),
        mirror=any(step.mirror is not None for step in steps),
        segments=any(step.segments for step in steps),
        counters=bool(steps),
        exposures=any(step.flag_pct is not None for step in plan.steps),
        latency_quantiles=bool(steps) and _judges_latency(plan.analysis),
    )


def _judges_latency(analysis: Analysis) -> bool:
    if analysis.judge == "threshold":
        return any(name.startswith("latency") for name in analysis.thresholds.limits())
    weights = analysis.weights
    return analysis.judge == "kayenta" or any(weight > 0 for weight in (weights.p50, weights.p90, weights.p99))
