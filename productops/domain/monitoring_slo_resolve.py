"""From OpenSLO documents to objectives with everything they refer to filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from productops.domain.catalog_slo import (
    ENVIRONMENT,
    ON_SPENT,
    AlertConditionEntry,
    AlertConditionSpec,
    AlertPolicyEntry,
    AlertPolicySpec,
    DataSourceEntry,
    InlineSli,
    MetricHolder,
    OpenSloEntry,
    RatioMetric,
    SliEntry,
    SliSpec,
    SloEntry,
    SloMetadata,
    SloObjective,
)
from productops.domain.monitoring_slo import (
    DEFAULT_RULES,
    BurnRule,
    Indicator,
    Metric,
    Objective,
    OnSpent,
    RouterMetric,
    SeriesMetric,
    SourceMetric,
)
from productops.domain.monitoring_slo_window import Window, duration_s
from productops.domain.release import Environment

SHORT_PART = 12
"""The short window of a rule is this part of the long one (the Workbook's)."""
SEVERITIES = {
    "sev1": "SEV1", "critical": "SEV1", "sev2": "SEV2", "page": "SEV2", "high": "SEV2", "error": "SEV2", "sev3": "SEV3", "ticket": "SEV3",
    "warning": "SEV3", "medium": "SEV3", "sev4": "SEV4", "info": "SEV4", "low": "SEV4",
}  # fmt: skip
_OUTSIDE = {"prometheus": "prometheus", "datadog": "datadog", "newrelic": "newrelic", "new-relic": "newrelic", "new relic": "newrelic"}
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents there are, by kind and name."""

    by_name: Mapping[tuple[str, str], OpenSloEntry]

    def get(self, kind: str, name: str, wanted: type[Found]) -> Found:
        """Raises: ValueError for one that is not declared."""
        found = self.by_name.get((kind, name))
        if isinstance(found, wanted):
            return found
        known = ", ".join(sorted(n for k, n in self.by_name if k == kind)) or "none"
        raise ValueError(f"there is no {kind} {name!r}; known: {known}")


def resolve(entry: SloEntry, documents: Documents, *, venture: str) -> list[Objective]:
    """The objectives of an SLO. Raises: ValueError that says what is wrong."""
    spec, annotations = entry.spec, entry.metadata.annotations
    rules = tuple(_rule(*_policy(use.alertPolicyRef, use.metadata, use.spec, documents), documents) for use in spec.alertPolicies)
    found = []
    for number, declared in enumerate(spec.objectives):
        name = entry.metadata.name if len(spec.objectives) == 1 else f"{entry.metadata.name}.{number + 1}"
        sli = _sli(declared.indicator or spec.indicator, declared.indicatorRef or spec.indicatorRef, documents)
        indicator = _indicator(sli, declared, documents)
        if sli.thresholdMetric is not None and len(spec.objectives) > 1 and declared.indicator is None and declared.indicatorRef is None:
            raise ValueError("a thresholdMetric takes one objective only")
        found.append(
            Objective(
                name=name, slo=entry.metadata.name, title=declared.displayName or entry.metadata.displayName, venture=venture,
                description=spec.description, service=spec.service, environment=Environment(annotations.get(ENVIRONMENT, "production")),
                indicator=indicator, method=spec.budgetingMethod, target=declared.share, slice_s=declared.slice_s,
                slice_target=declared.timeSliceTarget, window=_window(entry), rules=rules or DEFAULT_RULES,
                on_spent=OnSpent(annotations.get(ON_SPENT, "refuse")), labels=_labels(entry.metadata),
            )
        )  # fmt: skip
    return found


def _labels(metadata: SloMetadata) -> dict[str, str]:
    return {key: value if isinstance(value, str) else ",".join(value) for key, value in metadata.labels.items()}


def _window(entry: SloEntry) -> Window:
    if not entry.spec.timeWindow:
        return Window()
    given = entry.spec.timeWindow[0]
    if given.calendar is None:
        return Window(duration=given.duration)
    return Window(duration=given.duration, start=given.calendar.startTime, timezone=given.calendar.timeZone)


def _sli(inline: InlineSli | None, reference: str | None, documents: Documents) -> SliSpec:
    if inline is not None:
        return inline.spec
    return documents.get("SLI", reference or "", SliEntry).spec


def _policy(
    reference: str | None, metadata: SloMetadata | None, spec: AlertPolicySpec | None, documents: Documents
) -> tuple[str, AlertPolicySpec]:
    if spec is not None:
        return (metadata.name if metadata else "inline"), spec
    entry = documents.get("AlertPolicy", reference or "", AlertPolicyEntry)
    return entry.metadata.name, entry.spec


def _rule(name: str, policy: AlertPolicySpec, documents: Documents) -> BurnRule:
    use = policy.conditions[0]
    spec: AlertConditionSpec = use.spec or documents.get("AlertCondition", use.conditionRef or "", AlertConditionEntry).spec
    severity = SEVERITIES.get(spec.severity.lower())
    if severity is None:
        raise ValueError(f"severity {spec.severity!r} of AlertPolicy {name!r} is not known; known are {', '.join(SEVERITIES)}")
    condition = spec.condition
    long_s = duration_s(condition.lookbackWindow)
    after_s = 0 if condition.alertAfter.startswith("0") else duration_s(condition.alertAfter)
    return BurnRule.model_validate(
        {
            "name": name, "long_s": long_s, "short_s": max(1, long_s // SHORT_PART), "burn": condition.threshold, "severity": severity,
            "after_s": after_s, "no_data": policy.alertWhenNoData, "firing": policy.alertWhenBreaching, "ceiling": 1.0,
        }
    )  # fmt: skip


def _indicator(sli: SliSpec, objective: SloObjective, documents: Documents) -> Indicator:
    if sli.thresholdMetric is not None:
        if objective.op is None or objective.value is None:
            raise ValueError("an objective with a thresholdMetric needs op and value")
        value = _metric(sli.thresholdMetric, documents)
        if isinstance(value, RouterMetric):
            raise ValueError("a thresholdMetric of type productops names a series, for example spec: {series: service.p99_ms}")
        return Indicator(form="threshold", value=value, compare=objective.op, limit=objective.value)
    ratio = sli.ratioMetric
    if ratio is None:
        raise ValueError("an SLI needs either a thresholdMetric or a ratioMetric")
    found = _ratio(ratio, documents)
    if len({_place(each) for each in found.metrics}) > 1:
        raise ValueError("the metrics of one indicator must come from one source")
    return found


def _ratio(ratio: RatioMetric, documents: Documents) -> Indicator:
    if ratio.raw is not None:
        value = _metric(ratio.raw, documents)
        if isinstance(value, RouterMetric):
            raise ValueError("raw of type productops names a series, for example spec: {series: service.error_ratio}")
        return Indicator(form="raw", value=value, failure_share=ratio.rawType == "failure")
    _check_sides(ratio)
    good, bad, total = (None if each is None else _metric(each, documents) for each in (ratio.good, ratio.bad, ratio.total))
    _check_own(good, bad, total)
    if isinstance(good, RouterMetric) and good.what == "failures":  # successes are what is no failure
        good, bad = None, good
    return Indicator(form="ratio", good=good, bad=bad, total=total, counter=ratio.counter)


def _check_own(good: Metric | None, bad: Metric | None, total: Metric | None) -> None:
    """What of the router can stand where. Raises: ValueError."""
    if isinstance(total, RouterMetric) and total.what != "requests":
        raise ValueError("total of type productops is {metric: requests}")
    if isinstance(good, RouterMetric) and good.what == "requests":
        raise ValueError("good of type productops is {metric: successes} or {metric: latency, belowMs: …}")
    if isinstance(bad, RouterMetric) and bad.what != "failures":
        raise ValueError("bad of type productops is {metric: failures}")


def _check_sides(ratio: RatioMetric) -> None:
    for holder, wrong in ((ratio.good, "failures"), (ratio.bad, "successes")):
        if holder is not None and holder.metricSource.spec.get("metric") == wrong:
            raise ValueError(f"metric: {wrong} stands on the wrong side of the ratio")


def _place(metric: Metric) -> str:
    return metric.source if isinstance(metric, SourceMetric) else metric.kind


def _metric(holder: MetricHolder, documents: Documents) -> Metric:
    source = holder.metricSource
    details: Mapping[str, Any] = {}
    kind, name = source.type, source.type
    if source.metricSourceRef is not None:
        declared = documents.get("DataSource", source.metricSourceRef, DataSourceEntry)
        kind, name, details = declared.spec.type, declared.metadata.name, declared.spec.connectionDetails
    kind = (kind or "").lower()
    if kind == "productops":
        return _own(source.spec)
    if kind not in _OUTSIDE:
        raise ValueError(f"metric sources of type {kind!r} are not supported; supported are productops, Prometheus, Datadog and NewRelic")
    query = next((source.spec[key] for key in ("query", "promql", "nrql") if isinstance(source.spec.get(key), str)), "")
    if not query:
        raise ValueError("metricSource.spec needs a query")
    connection = source.spec.get("connection") or details.get("connection") or (name if source.metricSourceRef else _OUTSIDE[kind])
    return SourceMetric(source=str(connection), query=query)


def _own(spec: Mapping[str, Any]) -> Metric:
    known = {"metric", "belowMs", "series", "component", "tags"}
    unknown = sorted(spec.keys() - known)
    if unknown:
        raise ValueError(f"metricSource.spec of type productops has no {unknown[0]!r}; known are {', '.join(sorted(known))}")
    try:
        if "series" in spec:
            return SeriesMetric(name=spec["series"], component=spec.get("component"), tags=dict(spec.get("tags") or {}))
        what = {"successes": "failures"}.get(spec.get("metric", ""), spec.get("metric"))
        metric = RouterMetric.model_validate({"what": what, "below_ms": spec.get("belowMs")})
    except (ValidationError, TypeError, ValueError) as error:
        raise ValueError(
            "metricSource.spec of type productops is {metric: requests | successes | failures}, {metric: latency, belowMs: 300} or "
            "{series: name, component: …, tags: {…}}"
        ) from error
    if (metric.what == "latency") is (metric.below_ms is None):
        raise ValueError("metric: latency needs belowMs, and only it")
    return metric
