"""What else happened about the time of a change: releases, flags, other changes of the feature, and what everything else did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from statistics import median

from productops.domain.analytics_insight import Finding, Insight, Measure, kind_of
from productops.domain.analytics_insight_find import Discovery, Watched
from productops.domain.analytics_insight_words import VERBS, Cause, VersionFigures
from productops.domain.analytics_usage import UsageDay
from productops.domain.release import Environment, Phase, Release
from productops.domain.release_flags.flag import Revision
from productops.store import Unit

BEFORE = timedelta(days=4)
AFTER = timedelta(days=1)
RELEASES_MAX = 500
SHARED_MIN = 0.1
VERSION_DAYS = 28


def causes_of(
    unit: Unit, venture: str, seen: Watched, found: Discovery, *, others: Sequence[Discovery], known: Sequence[Insight], shared: float
) -> list[Cause]:  # fmt: skip
    """All that came within four days before it or a day after, what concerns the feature itself first."""
    first = seen.day(found.change.first)
    goals = {goal.name: goal for goal in unit.development_goals.all([venture])}
    spec = goals[found.series.feature].spec if found.series.feature in goals else None
    services = frozenset(spec.services) if spec is not None else frozenset()
    flag = spec.flag if spec is not None else None
    causes = [
        *_flags(unit, venture, first, own=flag or found.series.feature),
        *_releases(unit, venture, first, services),
        *_other_changes(seen, found, others, known, first),
    ]
    if abs(shared) >= SHARED_MIN:
        causes.append(Cause("shared", f"all features together moved by {shared:+.0%} on that day", first))
    return causes


def _near(day: date, first: date) -> bool:
    return first - BEFORE <= day <= first + AFTER


def _releases(unit: Unit, venture: str, first: date, services: frozenset[str]) -> list[Cause]:
    places = {(venture, Environment.PRODUCTION.value)}
    newest = unit.releases.newest(service=None, environment=Environment.PRODUCTION, before=None, limit=RELEASES_MAX, places=places)
    found = [each for each in newest if _near((each.ended_at or each.created_at).date(), first) and each.phase is Phase.PROMOTED]
    own = [each for each in found if not services or each.service in services]
    return [_release(each) for each in own]


def _release(release: Release) -> Cause:
    at = (release.ended_at or release.created_at).date()
    title = f"{release.service} {release.version}"
    return Cause("release", f"{title} was released on {at.isoformat()}", at, {"release": release.id, "title": title})


def _flags(unit: Unit, venture: str, first: date, *, own: str) -> list[Cause]:
    found = []
    for flag in sorted(unit.flags.all(venture=venture), key=lambda each: each.key != own):
        for revision in unit.flags.history(flag.key, limit=20):
            if _near(revision.at.date(), first) and revision.before is not None:
                found += _moved(revision)
    return found[:5]


def _moved(revision: Revision) -> list[Cause]:
    """Environments in which a revision gave a variant to more or fewer people."""
    at = revision.at.date()
    causes = []
    for environment, live in revision.after.live.items():
        before = revision.before.live.get(environment) if revision.before is not None else None
        if environment is Environment.PRODUCTION and live != before:
            percent = 0.0 if live.killed or live.ramp is None else live.ramp.percent
            text = f"flag {revision.key}: {revision.summary} on {at.isoformat()}"
            detail: dict[str, str | float] = {"flag": revision.key, "environment": environment.value, "percent": percent}
            causes.append(Cause("flag", text, at, detail))
    return causes


def _other_changes(
    seen: Watched, found: Discovery, others: Sequence[Discovery], known: Sequence[Insight], first: date
) -> list[Cause]:  # fmt: skip
    causes = []
    for other in others:
        day = seen.day(other.change.first)
        if other is not found and other.series.feature == found.series.feature and _near(day, first):
            kind = kind_of(other.series.measure, other.effect.change)
            causes.append(Cause("other-change", f"it {VERBS[kind]} since {day.isoformat()} ({other.effect.change:+.0%})", day))
    for each in known:
        finding = each.finding
        if finding.feature == found.series.feature and finding.measure is not found.series.measure and _near(finding.first_day, first):
            causes.append(Cause("other-change", finding.title, finding.first_day, {"insight": each.id}))
    return causes


def versions_of(unit: Unit, venture: str, finding: Finding, *, day: date) -> list[VersionFigures]:
    """Each version's events, failures and latency since the change, the most used first; nothing for a change of use."""
    if finding.measure is Measure.USE:
        return []
    since = max(finding.first_day, day - timedelta(days=VERSION_DAYS))
    rows = unit.analytics_usage.daily(venture, since=since, until=day + timedelta(days=1), features=[finding.feature], dimension="version")
    by_version: dict[str, list[UsageDay]] = {}
    for row in rows:
        by_version.setdefault(row.value, []).append(row)
    found = [_version(version, days) for version, days in by_version.items()]
    return sorted(found, key=lambda each: -each.events)


def _version(version: str, days: list[UsageDay]) -> VersionFigures:
    late = [each.duration_p95_ms for each in days if each.duration_p95_ms is not None]
    return VersionFigures(
        version, sum(each.events for each in days), sum(each.failures for each in days), round(median(late), 1) if late else None
    )
