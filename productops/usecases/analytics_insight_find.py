"""Look at a day of a venture: what is new, what goes on, what is over. A day is looked at once; all it finds is one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from productops.domain.analytics_insight import AnalyticsInsightKind, AnalyticsInsightState, Finding, Insight, InsightNight
from productops.domain.analytics_insight_find import (
    HISTORY_DAYS,
    KNOWN_MIN,
    SEGMENTS,
    Discovery,
    Watched,
    discovery,
    is_over,
    search,
    watched,
)
from productops.domain.analytics_insight_words import finding_of, unused_finding, with_versions
from productops.domain.governance_access import Operation
from productops.errors import ConflictError, InvalidInputError
from productops.stats.analytics_insight_explain import used_at_most
from productops.stats.analytics_insight_fdr import Night
from productops.stats.analytics_insight_find import Change
from productops.store import Unit
from productops.usecases.analytics_insight_causes import causes_of, versions_of
from productops.usecases.analytics_insight_people import find_among_people
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import venture_for

SAME_DAYS = 60
"""A change of the same series so soon after is the same matter."""
FRESH_DAYS = 45
GONE = timedelta(days=28)
UNUSED_DAYS = 28
UNUSED_SHARE = 0.01
UNUSED_ACTIVE_MIN = 1000


@dataclass(frozen=True, slots=True)
class InsightReport:
    """What a day said. ``repeated``: it was looked at before, and nothing was done or spent."""

    night: InsightNight
    opened: tuple[Insight, ...]
    updated: int
    over: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be written."""

    opened: list[Finding]
    seen: list[tuple[Insight, Finding]]
    over: list[Insight]


def find_insights(context: Context, venture: str, day: date, *, actor: Actor) -> InsightReport:
    """Look at one day, with the days before it. The numbers are worked out outside of any transaction.

    Raises: NotFoundError, ForbiddenError, InvalidInputError for a day that is not over or older than the newest that was looked at,
        StoreUnavailableError.
    """
    begun = time.monotonic()
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.ANALYTICS_READ)
        actor.check(Operation.ANALYTICS_WRITE, venture=venture)
        done = unit.analytics_insights.night(venture, day)
        if done is not None:
            return _again(unit, done)
        _check_day(context, unit, venture, day)
        span = unit.analytics_insights.span(venture)
        since = max(day - timedelta(days=HISTORY_DAYS - 1), span[0] if span is not None else day)
        since = min(since, day)
        figures = unit.analytics_insights.figures(venture, since=since, until=day + timedelta(days=1), dimensions=SEGMENTS)
        known = unit.analytics_insights.known(venture, since=since)
        nights = unit.analytics_insights.nights(venture, before=day)
    seen = watched(figures)
    found, spent = search(seen, known, nights)
    people = find_among_people(context, venture, day, actor=actor)
    with context.store.read() as unit:
        plan = _plan(unit, venture, seen, found, known, day=day)
    _add_weekly(plan, people, known, day=day)
    return _write(context, venture, day, seen, plan, spent, seconds=time.monotonic() - begun, actor=actor)


def _check_day(context: Context, unit: Unit, venture: str, day: date) -> None:
    today = context.clock.now().date()
    if day >= today:
        raise InvalidInputError(f"{day.isoformat()} is not over in UTC yet; the newest day that can be looked at is the one before {today}")
    later = unit.analytics_insights.nights(venture, before=date.max, limit=1)
    if later and later[-1].day > day:
        raise InvalidInputError(
            f"{venture}: {later[-1].day} was looked at already, and {day.isoformat()} is before it; days go forward only"
        )


def _again(unit: Unit, night: InsightNight) -> InsightReport:
    opened = tuple(unit.analytics_insights.get(each) for each in night.insights)
    return InsightReport(night, opened, 0, 0, repeated=True)


def _plan(
    unit: Unit, venture: str, seen: Watched, found: Sequence[Discovery], known: Sequence[Insight], *, day: date
) -> _Plan:  # fmt: skip
    plan = _Plan([], [], [])
    touched: set[str] = set()
    for each in found:
        same = _same(seen, each, known)
        others = [other for other in found if other is not each]
        shared = _shared(seen, each)
        if same is not None:
            touched.add(same.id)
            each = _from_start(seen, each, same)  # noqa: PLW2901 - the same matter, since when it began
        finding = finding_of(seen, each, causes_of(unit, venture, seen, each, others=others, known=known, shared=shared))
        finding = with_versions(finding, versions_of(unit, venture, finding, day=day))
        if same is None:
            plan.opened.append(finding)
        else:
            plan.seen.append((same, finding))
    for insight in known:
        if insight.id in touched or insight.state is not AnalyticsInsightState.OPEN:
            continue
        if insight.finding.kind.of_series and is_over(seen, insight):
            plan.over.append(insight)
        elif (fresh := _refreshed(unit, venture, seen, insight, known, day=day)) is not None:
            plan.seen.append((insight, fresh))
    _unused(unit, venture, known, plan, day=day)
    return plan


def _same(seen: Watched, found: Discovery, known: Sequence[Insight]) -> Insight | None:
    """What is known of this series and lives, or was dismissed, and began not long before."""
    living = {AnalyticsInsightState.OPEN, AnalyticsInsightState.ACCEPTED, AnalyticsInsightState.DISMISSED}
    first = seen.day(found.change.first)
    for each in reversed(known):
        finding = each.finding
        close = abs(first - finding.first_day) <= timedelta(days=SAME_DAYS)
        same = (finding.feature, finding.measure) == (found.series.feature, found.series.measure)
        if same and close and each.state in living and finding.kind.of_series:
            return each
    return None


def _from_start(seen: Watched, found: Discovery, insight: Insight) -> Discovery:
    first = seen.column(insight.finding.first_day)
    if first < KNOWN_MIN:
        return found
    return discovery(seen, replace(found.change, first=first))


def _refreshed(
    unit: Unit, venture: str, seen: Watched, insight: Insight, known: Sequence[Insight], *, day: date
) -> Finding | None:  # fmt: skip
    """The figures of a young insight anew, with what the newest days add; old ones stay as they were told."""
    old = insight.finding
    row, first = seen.row(old.feature, old.measure, old.dimension, old.value), seen.column(old.first_day)
    if row is None or first < KNOWN_MIN or day - old.first_day > timedelta(days=FRESH_DAYS) or not old.kind.of_series:
        return None
    rows = seen.rows(old.feature, old.measure)
    change = Change(row, rows, first, seen.days - 1, int(old.evidence["span_days"]), old.change, float(old.evidence["score"]), old.p,
                    seen.column(old.quiet_until))  # fmt: skip
    found = discovery(seen, change)
    if found.effect.change * old.change <= 0:
        return None
    fresh = finding_of(seen, found, causes_of(unit, venture, seen, found, others=(), known=known, shared=_shared(seen, found)))
    return with_versions(fresh, versions_of(unit, venture, fresh, day=day))


def _shared(seen: Watched, found: Discovery) -> float:
    """What the wholes of the same measure did on the day it began, against the same weekday of four weeks before: a median."""
    import numpy as np

    first = found.change.first
    rows = np.flatnonzero((seen.panel.parent < 0) & (seen.panel.measure == seen.panel.measure[found.change.row]))
    if first < 28 or len(rows) < 8:
        return 0.0
    values = seen.panel.values[rows]
    with np.errstate(all="ignore"):
        ratio = values[:, first] / np.median(values[:, [first - 7, first - 14, first - 21, first - 28]], axis=1)
    ratio = ratio[np.isfinite(ratio)]
    return float(np.median(ratio) - 1) if len(ratio) >= 8 else 0.0


def _unused(unit: Unit, venture: str, known: Sequence[Insight], plan: _Plan, *, day: date) -> None:
    """Features of the catalog that everybody could use and almost nobody does."""
    since = day - timedelta(days=UNUSED_DAYS - 1)
    rows = unit.analytics_usage.daily(venture, since=since, until=day + timedelta(days=1))
    active = {each.day: each.people for each in rows if each.feature == ""}
    total = sum(active.values())
    goals = [goal for goal in unit.development_goals.all([venture]) if _is_shown(unit, goal.spec.flag)]
    if total < UNUSED_ACTIVE_MIN or len(active) < UNUSED_DAYS - 3 or not goals:
        return
    before = {each.finding.feature: each for each in known if each.finding.kind is AnalyticsInsightKind.UNUSED}
    for goal in goals:
        used = {each.day: each.people for each in rows if each.feature == goal.name}
        people = sum(used.values())
        at_most = used_at_most(people, total, confidence=1 - 0.05 / len(goals))
        if at_most >= UNUSED_SHARE:
            continue
        shown = [[each.isoformat(), used.get(each, 0), active[each]] for each in sorted(active)]
        finding = unused_finding(goal.name, people=people, active=total, at_most=at_most, day=day, days=UNUSED_DAYS, rows=shown)
        if goal.name not in before or before[goal.name].state is AnalyticsInsightState.OVER:
            plan.opened.append(finding)
        elif before[goal.name].state is AnalyticsInsightState.OPEN:
            plan.seen.append((before[goal.name], finding))


def _add_weekly(plan: _Plan, people: Sequence[Finding], known: Sequence[Insight], *, day: date) -> None:
    """What a week said about people: anew, or once more of what is known and not decided; dismissed matters stay so for a while."""
    found = {(each.kind, each.feature) for each in people} | {(each.kind, each.feature) for _, each in plan.seen}
    for insight in known:
        gone = day - insight.seen_day >= GONE and (insight.finding.kind, insight.finding.feature) not in found
        if gone and insight.state is AnalyticsInsightState.OPEN and not insight.finding.kind.of_series:
            plan.over.append(insight)
    before = {(each.finding.kind, each.finding.feature): each for each in known if not each.finding.kind.of_series}
    for finding in people:
        same = before.get((finding.kind, finding.feature))
        over = same is not None and same.state is AnalyticsInsightState.OVER
        if same is None or over or finding.first_day - same.seen_day > timedelta(days=SAME_DAYS):
            plan.opened.append(finding)
        elif same.state is AnalyticsInsightState.OPEN:
            plan.seen.append((same, finding))


def _is_shown(unit: Unit, flag: str | None) -> bool:
    """A feature behind a flag that is off, or on its way, is used by nobody for another reason."""
    found = unit.flags.find(flag) if flag is not None else None
    if found is None:
        return flag is None
    return any(not live.killed and live.ramp is not None and live.ramp.percent >= 50 for live in found.state.live.values())


def _write(
    context: Context, venture: str, day: date, seen: Watched, plan: _Plan, spent: Night, *, seconds: float, actor: Actor
) -> InsightReport:  # fmt: skip
    """Everything in one short transaction; who comes second finds the day looked at."""
    try:
        with context.store.write() as unit:
            now = context.clock.now()
            ids = tuple(unit.analytics_insights.add(venture, finding, day=day) for finding in plan.opened)
            night = InsightNight(
                venture, day, len(seen.series), spent.tests, spent.level, spent.rejected, spent.rejected_most, ids, seconds, now
            )
            unit.analytics_insights.add_night(night)
            for insight, finding in plan.seen:
                unit.analytics_insights.see(insight.id, finding, day=day)
                _reopen(unit, insight, finding)
            over = sum(_end(unit, each, day=day) for each in plan.over)
            detail = {
                "day": day.isoformat(), "opened": list(ids)[:100], "updated": len(plan.seen), "over": over, "series": len(seen.series),
                "level": spent.level, "rejected": spent.rejected,
            }  # fmt: skip
            unit.audit.add("insights.found", f"venture/{venture}", actor=actor.name, origin=actor.origin, now=now, detail=detail)
            opened = tuple(unit.analytics_insights.get(each) for each in ids)
    except ConflictError:
        with context.store.read() as unit:
            done = unit.analytics_insights.night(venture, day)
            if done is None:
                raise
            return _again(unit, done)
    return InsightReport(night, opened, len(plan.seen), over, repeated=False)


def _reopen(unit: Unit, insight: Insight, finding: Finding) -> None:
    """What was dismissed is open again when it has become twice as large."""
    if insight.state is AnalyticsInsightState.DISMISSED and abs(finding.change) >= 2 * abs(insight.decided_change):
        reason = f"twice as large as when it was dismissed: {insight.reason}"[:2000]
        unit.analytics_insights.move(insight.id, AnalyticsInsightState.DISMISSED, AnalyticsInsightState.OPEN, reason=reason)


def _end(unit: Unit, insight: Insight, *, day: date) -> bool:
    reason = "it is back where it would have been" if insight.finding.kind.of_series else "four weeks have not shown it again"
    return unit.analytics_insights.move(
        insight.id, AnalyticsInsightState.OPEN, AnalyticsInsightState.OVER, reason=reason, over_day=day, seen_day=day
    )
