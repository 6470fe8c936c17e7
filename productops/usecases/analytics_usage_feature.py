"""One feature on one page, from daily figures: use, performance by version, what releases changed, and what was found out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from productops.domain.analytics_predict import SuccessPrediction
from productops.domain.analytics_usage import EVERYTHING, Dimension, PeriodUnit, UsageDay, UsagePeriod
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.release import Environment, Phase, Release
from productops.errors import ConflictError, InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.analytics_insights import AnalyticsInsightFilter
from productops.usecases.analytics_predict import stored_prediction
from productops.usecases.analytics_usage import begin
from productops.usecases.context import Actor, Context

DAYS_MAX = 400
AROUND = timedelta(days=7)
RELEASES_MAX = 20
INSIGHTS_MAX = 20
KNOWN_SHOWN = 20


@dataclass(frozen=True, slots=True)
class VersionUse:
    """Use of a version. ``mean_ms`` is exact; ``p95_ms`` is that of the worst day, for days do not add up to a quantile."""

    version: str
    first_day: date
    last_day: date
    events: int
    failures: int
    mean_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class ReleaseUse:
    """Use around a release: means of the 7 whole days before and after its day; None without 7 of them, or without figures."""

    release_id: str
    service: str
    version: str
    at: datetime
    people_before: float | None
    people_after: float | None
    failures_before: float | None
    failures_after: float | None


@dataclass(frozen=True, slots=True)
class FeatureUse:
    """What is known of the use of a feature. ``counted_at``: when figures were last made; ``everybody``: days of the whole venture;
    ``prediction``: the newest, of a feature that has a goal of use.
    """

    venture: str
    feature: str
    title: str
    since: date
    until: date
    counted_at: datetime | None
    days: Sequence[UsageDay]
    everybody: Sequence[UsageDay]
    weeks: Sequence[UsagePeriod]
    months: Sequence[UsagePeriod]
    versions: Sequence[VersionUse]
    releases: Sequence[ReleaseUse]
    insights: Sequence[dict[str, Any]]
    links: dict[str, str]
    prediction: SuccessPrediction | None

    @property
    def empty(self) -> bool:
        """Nobody used it in the range."""
        return not any(row.events for row in self.days)


def feature_use(
    context: Context, feature: str, *, venture: str | None = None, since: date | None = None, until: date | None = None, actor: Actor
) -> FeatureUse:  # fmt: skip
    """A feature by its key; days in [since, until), the last 30 when nothing is said.

    Raises: NotFoundError that names features in use, ConflictError when several ventures have one of that key, InvalidInputError for too
    wide a range, ForbiddenError.
    """
    last = until or context.clock.now().date() + timedelta(days=1)
    first = since or last - timedelta(days=30)
    if not first < last <= first + timedelta(days=DAYS_MAX):
        raise InvalidInputError(f"`until` is after `since`, by at most {DAYS_MAX} days; these are {(last - first).days}")
    with context.store.read() as unit:
        owner = _owner(unit, feature, venture, actor)
    begin(context, owner, actor)
    with context.store.read() as unit:
        usage = unit.analytics_usage
        days = usage.daily(owner, since=first, until=last, features=[feature])
        goal = next((each for each in unit.development_goals.all([owner]) if each.name == feature), None)
        versions = usage.daily(owner, since=first, until=last, features=[feature], dimension=Dimension.VERSION.value)
        services = goal.spec.services if goal else ()
        around = usage.daily(owner, since=first - AROUND, until=last + AROUND, features=[feature])
        return FeatureUse(
            owner, feature, goal.name if goal else feature, first, last, usage.last_counted(owner), days,
            usage.daily(owner, since=first, until=last, features=[EVERYTHING]),
            usage.periods(owner, PeriodUnit.WEEK, since=first - timedelta(days=6), until=last, features=[feature]),
            usage.periods(owner, PeriodUnit.MONTH, since=first.replace(day=1), until=last, features=[feature]),
            _versions(versions), _releases(unit, services, around, first, last), _insights(unit, owner, feature),
            _links(owner, feature, goal.spec.work if goal else (), goal.spec.flag if goal else None),
            stored_prediction(unit, owner, goal.name) if goal else None,
        )  # fmt: skip


def _owner(unit: Unit, feature: str, venture: str | None, actor: Actor) -> str:
    """The venture of a feature that is counted or declared."""
    seen = visible_ventures(actor.principal, Operation.ANALYTICS_READ)
    counted = set(unit.analytics_usage.ventures_of(feature)) if feature else set()
    declared = {goal.venture for goal in unit.development_goals.all() if goal.name == feature}
    found = sorted(name for name in counted | declared if (seen is None or name in seen) and venture in {None, name})
    if len(found) > 1:
        raise ConflictError(f"{len(found)} ventures have a feature {feature[:80]!r}: {', '.join(found)}; say which one you mean")
    if not found:
        raise NotFoundError(f"there is no feature {feature[:80]!r}; in use: {_known(unit, venture, seen)}")
    return found[0]


def _known(unit: Unit, venture: str | None, seen: Collection[str] | None) -> str:
    ventures = [name for name in unit.catalog.ventures() if (seen is None or name in seen) and venture in {None, name}]
    names = [row[0] for name in ventures for row in unit.analytics_usage.features(name, since=date.min, until=date.max)]
    return ", ".join(names[:KNOWN_SHOWN]) or "none yet; events name it as `feature`"


def _versions(rows: Sequence[UsageDay]) -> list[VersionUse]:
    by_version: dict[str, list[UsageDay]] = defaultdict(list)
    for row in rows:
        by_version[row.value].append(row)
    found = []
    for version, days in by_version.items():
        timed = sum(row.duration_count for row in days)
        mean = sum(row.duration_sum_ms for row in days) / timed if timed else None
        worst = max((row.duration_p95_ms for row in days if row.duration_p95_ms is not None), default=None)
        found.append(
            VersionUse(version, days[0].day, days[-1].day, sum(row.events for row in days), sum(row.failures for row in days), mean, worst)
        )
    return sorted(found, key=lambda each: (each.first_day, each.version), reverse=True)


def _releases(unit: Unit, services: Collection[str], days: Sequence[UsageDay], first: date, last: date) -> list[ReleaseUse]:
    by_day = {row.day: row for row in days}
    found: list[ReleaseUse] = []
    for service in sorted(services):
        newest = unit.releases.newest(service=service, environment=Environment.PRODUCTION, before=None, limit=RELEASES_MAX)
        promoted = [(each, each.ended_at) for each in newest if each.phase is Phase.PROMOTED and each.ended_at]
        found += [_around(each, at, by_day) for each, at in promoted if first <= at.astimezone(UTC).date() < last]
    return sorted(found, key=lambda each: each.at, reverse=True)


def _around(release: Release, at: datetime, by_day: dict[date, UsageDay]) -> ReleaseUse:
    day = at.astimezone(UTC).date()
    before = [by_day.get(day - timedelta(days=n)) for n in range(1, AROUND.days + 1)]
    after = [by_day.get(day + timedelta(days=n)) for n in range(1, AROUND.days + 1)]
    return ReleaseUse(
        release.id, release.service, release.version, at, _people(before), _people(after), _failures(before), _failures(after)
    )  # fmt: skip


def _people(days: Sequence[UsageDay | None]) -> float | None:
    there = [row for row in days if row is not None]
    return sum(row.people for row in there) / len(there) if len(there) == len(days) else None


def _failures(days: Sequence[UsageDay | None]) -> float | None:
    there = [row for row in days if row is not None]
    events = sum(row.events for row in there)
    return sum(row.failures for row in there) / events if events and len(there) == len(days) else None


def _insights(unit: Unit, venture: str, feature: str) -> list[dict[str, Any]]:
    page = unit.analytics_insights.page(AnalyticsInsightFilter(venture, feature), before=None, limit=INSIGHTS_MAX)
    return [
        {"id": each.id, "state": each.state.value, "title": each.finding.title, "day": each.seen_day.isoformat()} for each in page
    ]  # fmt: skip


def _links(venture: str, feature: str, work: Sequence[str], flag: str | None) -> dict[str, str]:
    base = "/api/v1/product-ops"
    found = {"usage": f"{base}/analytics/usage", "insights": f"{base}/insights?venture={venture}&feature={feature}"}
    if work:
        found["development"] = f"{base}/development/{work[0]}"
    if flag:
        found["flag"] = f"{base}/flags/{flag}"
    return found
