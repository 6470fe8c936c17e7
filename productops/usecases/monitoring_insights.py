"""getPerformanceInsights: how fast and how right a venture's services answer, what got worse, what is hot, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.domain.analysis import ArmSecond
from productops.domain.governance_access import Operation, Scope, may_see, visible_ventures
from productops.domain.monitoring_series import INSTALLATION, SeriesInfo
from productops.domain.monitoring_slo import Budget
from productops.domain.release import Environment
from productops.domain.routing import merge_histograms
from productops.domain.traffic_summary import ArmSummary, summarise
from productops.stats.burn_rate import surely_above
from productops.store import Unit
from productops.store.monitoring_series import SeriesFilter
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import venture_for
from productops.usecases.monitoring_slo import budget_in

LOOK_S = 600
"""Now is the last so many seconds, past the same length before them by ``PAST_S``."""
PAST_S = 3_600
REQUESTS_MIN = 200
SLOWER = 1.2
ALPHA = 0.001
HOT_PCT = 80.0
HOT_STALE_S = 300
HOT_NAMES = ("host.cpu_pct", "host.memory_pct", "host.disk_pct", "instance.cpu_pct")
SHOWN = 10


@dataclass(frozen=True, slots=True)
class VersionFigures:
    """One version of a service now and an hour before; no requests: it had none."""

    service: str
    environment: Environment
    version: str
    live: bool
    now: ArmSummary
    past: ArmSummary


@dataclass(frozen=True, slots=True)
class Regression:
    """Something that got worse. ``factor``: how many times. ``compared``: with what."""

    service: str
    environment: Environment
    version: str
    figure: str
    before: float
    after: float
    factor: float
    compared: str
    release_id: str | None


@dataclass(frozen=True, slots=True)
class HotResource:
    """A resource that has little left."""

    component: str
    name: str
    value: float
    status: str


@dataclass(frozen=True, slots=True)
class PerformanceInsights:
    """All of it, the worst first; ``advice`` says what to do."""

    venture: str
    at: datetime
    versions: tuple[VersionFigures, ...]
    regressions: tuple[Regression, ...]
    hot: tuple[HotResource, ...]
    budgets: tuple[Budget, ...]
    advice: tuple[str, ...]


def performance_insights(context: Context, venture: str, *, actor: Actor) -> PerformanceInsights:
    """Measured on the last ten minutes, against the same ten minutes an hour ago and against the baseline.

    Raises: NotFoundError for a venture that the caller may not see, StoreUnavailableError.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.METRIC_READ)
        seen = [e for e in Environment if may_see(actor.principal, Operation.METRIC_READ, Scope(venture, e))]
        services = [service.name for service in unit.catalog.services() if service.venture == venture]
        figures = [each for name in services for environment in seen for each in _figures(unit, name, environment, now=now)]
        regressions = [r for each in figures for r in _regressions(unit, each, figures)]
        installation = visible_ventures(actor.principal, Operation.METRIC_READ) is None
        hot = _hot(unit, [venture, INSTALLATION] if installation else [venture], now=now)
        objectives = [o for o in unit.objectives.all() if o.venture == venture and o.environment in seen]
        budgets = sorted((budget_in(unit, each, now=now) for each in objectives), key=_left)
        runs = unit.analytics_reports.runs(ventures=frozenset({venture}), subject=None, before=None, limit=SHOWN)
        known = [r.sentence for run in runs if Environment(run.environment) in seen for r in run.recommendations if r.possible]
    worst = tuple(sorted(regressions, key=lambda each: -each.factor)[:SHOWN])
    advice = _advice(worst, hot, budgets) + list(dict.fromkeys(known))[:SHOWN]
    return PerformanceInsights(venture, now, tuple(figures), worst, tuple(hot), tuple(budgets), tuple(advice))


def _left(budget: Budget) -> float:
    return 1.0 if budget.remaining_ratio is None else budget.remaining_ratio


def _figures(unit: Unit, service: str, environment: Environment, *, now: datetime) -> list[VersionFigures]:
    target = unit.traffic.find(service, environment)
    versions = [v for v in (target.baseline_version, target.candidate_version) if v] if target else []
    if not versions or target is None:
        return []
    end_s = int(now.timestamp())
    recent = _sums(unit, service, environment, versions, end_s=end_s)
    earlier = _sums(unit, service, environment, versions, end_s=end_s - PAST_S)
    return [
        VersionFigures(service, environment, version, version == target.baseline_version, recent[version], earlier[version])
        for version in versions
    ]


def _sums(unit: Unit, service: str, environment: Environment, versions: Sequence[str], *, end_s: int) -> dict[str, ArmSummary]:
    seconds = unit.seconds.between(service, environment, list(versions), after_s=end_s - LOOK_S - 1, until_s=end_s)
    arms: dict[str, list[ArmSecond]] = {version: [] for version in versions}
    for second in seconds.values():
        for version, arm in second.items():
            if arm is not None:
                arms[version].append(arm)
    return {version: summarise(found, merge_histograms([arm.latency for arm in found])) for version, found in arms.items()}


def _regressions(unit: Unit, each: VersionFigures, all_of_them: Sequence[VersionFigures]) -> list[Regression]:
    """Worse than itself an hour ago, or for a version on trial than the baseline now."""
    place = (each.service, each.environment)
    compared, before = "an hour ago", each.past
    if not each.live:
        live = [f for f in all_of_them if (f.service, f.environment) == place and f.live]
        compared, before = ("the baseline", live[0].now) if live else (compared, before)
    if min(each.now.requests, before.requests) < REQUESTS_MIN:
        return []
    promoted = unit.releases.last_promoted(*place)
    release = promoted if each.live else unit.releases.active(*place)
    release_id = release.id if release is not None and release.version == each.version else None
    found = []
    usual = (before.failures + 1.0) / (before.requests + 2.0)  # a service that did not fail yet is not one that never fails
    if surely_above(each.now.failures, each.now.requests, ratio=usual * SLOWER, alpha=ALPHA):
        found.append(("error_ratio", usual, each.now.failures / each.now.requests))
    for name in ("p50_ms", "p99_ms"):
        earlier, later = getattr(before, name), getattr(each.now, name)
        if earlier and later and later > earlier * SLOWER:
            found.append((name, earlier, later))
    return [Regression(*place, each.version, name, old, new, new / old, compared, release_id) for name, old, new in found]


def _hot(unit: Unit, ventures: Sequence[str], *, now: datetime) -> list[HotResource]:
    infos = [info for venture in ventures for info in unit.series.find(SeriesFilter(venture, category="infrastructure"))]
    found = [info for info in infos if info.last_at is not None and now.timestamp() - info.last_at <= HOT_STALE_S and _is_hot(info)]
    found.sort(key=lambda info: -(info.last_value or 0.0))
    return [HotResource(i.key.component, i.key.name, float(i.last_value or 0.0), i.status.value) for i in found[:SHOWN]]


def _is_hot(info: SeriesInfo) -> bool:
    if info.status.value in {"warning", "critical"}:
        return True
    return info.key.name in HOT_NAMES and (info.last_value or 0.0) >= HOT_PCT


def _advice(regressions: Sequence[Regression], hot: Sequence[HotResource], budgets: Sequence[Budget]) -> list[str]:
    said = []
    for each in regressions:
        what = "fails more often" if each.figure == "error_ratio" else f"is slower ({each.figure})"
        do = f"productops rollback {each.release_id}" if each.release_id else f"productops slo list --service {each.service}"
        said.append(
            f"{each.service} {each.version} in {each.environment} {what}: {each.factor:.3g} times as much as {each.compared}; look into "
            f"it, or give users the earlier version back: {do}"
        )
    said += [
        f"the budget of {b.objective.service} is spent ({b.objective.name}): no more releases but those that mend it; "
        f"productops slo show {b.objective.name}"
        for b in budgets if b.spent
    ]  # fmt: skip
    said += [f"{h.component}: {h.name} is at {h.value:.3g}; add room or move load" for h in hot]
    return list(dict.fromkeys(said))
