"""What a week of a venture was, room by room: each function gives one section, from the store only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median
from urllib.parse import quote

from productops.domain.analytics_experiment import ExperimentState
from productops.domain.analytics_report import Kind, ReportFigure, ReportSection
from productops.domain.analytics_usage import PeriodUnit, UsageDay
from productops.domain.development_plan_facts_stored import Subject
from productops.domain.quality_runs import QualityRun
from productops.domain.quality_verdict import GateState
from productops.domain.release import Phase
from productops.store import Unit
from productops.store.development_dora import KnownIncident, ReleaseMoves
from productops.store.quality_runs import QualityRunFilter

API = "/api/v1/product-ops"
RUNS_MAX, SHOWN = 500, 5


@dataclass(frozen=True, slots=True)
class Span:
    """A week, and the one before it."""

    venture: str
    begin: datetime
    end: datetime

    @property
    def before(self) -> datetime:
        """When the week before began."""
        return self.begin - (self.end - self.begin)

    def this(self, at: datetime | None) -> bool:
        """Whether it was in the week."""
        return at is not None and self.begin <= at < self.end

    def last(self, at: datetime | None) -> bool:
        """Whether it was in the week before."""
        return at is not None and self.before <= at < self.begin

    @property
    def query(self) -> str:
        """For links."""
        return f"venture={quote(self.venture, safe='')}"


def _count(name: str, now: int, before: int, link: str, note: str = "") -> ReportFigure:
    return ReportFigure(name, Kind.COUNT, float(now), float(before), link, note)


def releases(unit: Unit, span: Span) -> ReportSection:
    """Releases to production that ended in the week."""
    every = unit.development_dora.releases(span.venture)
    link = f"{API}/releases?{span.query}"

    def reached(phase: Phase) -> tuple[list[ReleaseMoves], list[ReleaseMoves]]:
        return ([m for m in every if span.this(m.reached.get(phase))], [m for m in every if span.last(m.reached.get(phase))])

    if not every:
        return ReportSection("Releases", gap="No release to production was ever made with ProductOps.")
    good, bad, never = reached(Phase.PROMOTED), reached(Phase.ROLLED_BACK), reached(Phase.FAILED)
    figures = (
        _count("to all users", len(good[0]), len(good[1]), link),
        _count("rolled back", len(bad[0]), len(bad[1]), link),
        _count("ended before users saw them", len(never[0]), len(never[1]), link),
    )
    said = tuple(f"{m.release.title} was rolled back: {m.release.reason or m.release.cause or 'no reason given'}" for m in bad[0][:SHOWN])
    return ReportSection("Releases", figures, said)


def quality(unit: Unit, span: Span) -> ReportSection:
    """Judged versions."""
    runs = unit.quality_runs.page(QualityRunFilter(venture=span.venture), limit=RUNS_MAX)
    now, before = [r for r in runs if span.this(r.at)], [r for r in runs if span.last(r.at)]
    link = f"{API}/quality/runs?{span.query}"

    def share(found: Sequence[QualityRun]) -> float | None:
        return sum(r.state is GateState.PASSED for r in found) / len(found) if found else None

    if not runs:
        return ReportSection("Quality", gap="No version was judged by quality gates yet.")
    figures = (
        _count("versions judged", len(now), len(before), link, "of the newest 500" if len(runs) == RUNS_MAX else ""),
        ReportFigure("passed all gates", Kind.SHARE, share(now), share(before), link),
    )
    return ReportSection("Quality", figures)


def incidents(unit: Unit, span: Span) -> ReportSection:
    """Opened in the week; each duplicate counts with its first."""
    every = [each for each in unit.development_dora.incidents(span.venture) if each.duplicate_of is None]
    link = "/api/v1/deployment-ops/incidents"
    now, before = [e for e in every if span.this(e.opened_at)], [e for e in every if span.last(e.opened_at)]
    open_now = [e for e in every if e.opened_at < span.end and (e.resolved_at is None or e.resolved_at >= span.end)]
    open_before = [e for e in every if e.opened_at < span.begin and (e.resolved_at is None or e.resolved_at >= span.begin)]
    hours = [_hours(e) for e in every if span.this(e.resolved_at)]
    hours_before = [_hours(e) for e in every if span.last(e.resolved_at)]
    grave = {"SEV1", "SEV2"}
    figures = (
        _count("opened", len(now), len(before), link),
        _count("of them SEV1 or SEV2", sum(e.severity in grave for e in now), sum(e.severity in grave for e in before), link),
        _count("open at the end of the week", len(open_now), len(open_before), link),
        ReportFigure(
            "time to resolve (median)", Kind.HOURS, median(hours) if hours else None, median(hours_before) if hours_before else None, link
        ),
    )  # fmt: skip
    return ReportSection("Incidents", figures, tuple(f"{e.severity} open: {e.title}" for e in open_now if e.severity in grave)[:SHOWN])


def _hours(incident: KnownIncident) -> float:
    ended = incident.resolved_at or incident.opened_at
    return (ended - incident.opened_at) / timedelta(hours=1)


def dates(unit: Unit, span: Span) -> ReportSection:
    """By when features are done, eight times of ten, and how that moved."""
    link = f"{API}/development/forecasts?{span.query}"
    figures, said = [], []
    for (subject, key), every in sorted(unit.development_forecasts.open(span.venture).items(), key=lambda each: each[0][1]):
        past = [each for each in every if each.made_at < span.end]
        if subject is not Subject.FEATURE or not past:
            continue
        newest, earlier = past[-1], [each for each in past if each.made_at < span.begin]
        note = f"deadline kept with {newest.chance:.0%}" if newest.chance is not None and newest.deadline is not None else ""
        then = _day(earlier[-1].p80_at) if earlier else None
        figures.append(ReportFigure(f"{key} {newest.title}"[:60], Kind.DATE, _day(newest.p80_at), then, link, note))
        if newest.chance is not None and newest.deadline is not None and newest.chance < 0.5:
            said.append(f"{key} keeps its deadline {newest.deadline:%Y-%m-%d} with {newest.chance:.0%} only.")
    gap = "No feature has a forecast; productops plan makes them."
    return ReportSection("Plans (done with a chance of 80 %)", tuple(figures[: 2 * SHOWN]), tuple(said[:SHOWN]), gap)


def _day(at: datetime) -> float:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(days=1)


def usage(unit: Unit, span: Span) -> ReportSection:
    """People of the week, exactly where weeks are counted."""
    days = unit.analytics_usage.daily(span.venture, since=span.before.date(), until=span.end.date())
    periods = unit.analytics_usage.periods(span.venture, PeriodUnit.WEEK, since=span.before.date(), until=span.end.date())
    people = {(each.begin, each.feature): each.people for each in periods}
    link = f"{API}/events/status?venture={quote(span.venture, safe='')}"

    def of(feature: str, begin: datetime) -> list[UsageDay]:
        end = begin + (span.end - span.begin)
        return [each for each in days if each.feature == feature and begin.date() <= each.day < end.date()]

    now, before = of("", span.begin), of("", span.before)
    if not now and not before:
        return ReportSection("Usage", gap="No usage event was counted in these two weeks.")
    names = sorted({each.feature for each in days if each.feature}, key=lambda name: -sum(d.events for d in of(name, span.begin)))
    figures = [
        _people("people", people, "", span, link),
        ReportFigure("new people", Kind.COUNT, _sum(now, "new_people"), _sum(before, "new_people"), link),
        ReportFigure("events", Kind.COUNT, _sum(now, "events"), _sum(before, "events"), link),
        ReportFigure("failed events", Kind.SHARE, _failed(now), _failed(before), link),
    ]
    for name in names[:SHOWN]:
        own = f"{API}/analytics/{quote(name, safe='')}?{span.query}"
        counted = _people(f"people using {name}"[:60], people, name, span, own)
        figures.append(counted if counted.value is not None else ReportFigure(
            f"uses of {name}"[:60], Kind.COUNT, _sum(of(name, span.begin), "events"), _sum(of(name, span.before), "events"), own
        ))  # fmt: skip
    return ReportSection("Usage", tuple(figures))


def _people(name: str, known: dict[tuple[date, str], int], feature: str, span: Span, link: str) -> ReportFigure:
    now, before = known.get((span.begin.date(), feature)), known.get((span.before.date(), feature))
    return ReportFigure(
        name, Kind.COUNT, float(now) if now is not None else None, float(before) if before is not None else None, link
    )  # fmt: skip


def _sum(days: Sequence[UsageDay], name: str) -> float | None:
    return float(sum(getattr(each, name) for each in days)) if days else None


def _failed(days: Sequence[UsageDay]) -> float | None:
    events = sum(each.events for each in days)
    return sum(each.failures for each in days) / events if events else None


def experiments(unit: Unit, span: Span) -> ReportSection:
    """Running, and what was decided."""
    every = unit.analytics_experiments.page(ventures=None, venture=span.venture, state=None, after=None, limit=RUNS_MAX)
    link = f"{API}/experiments?venture={quote(span.venture, safe='')}"
    if not every:
        return ReportSection("Experiments", gap="No experiment was ever declared.")
    begun = [each for each in every if each.started_at is not None and each.started_at < span.end]
    running = [each for each in begun if each.state is ExperimentState.RUNNING]
    decided = [each for each in every if each.decision is not None and span.this(each.decision.at)]
    decided_before = [each for each in every if each.decision is not None and span.last(each.decision.at)]
    figures = (
        ReportFigure("running now", Kind.COUNT, float(len(running)), None, link),
        _count("decided", len(decided), len(decided_before), link),
    )
    said = [f"{each.name}: {each.decision.choice}. {each.decision.sentence}" for each in decided if each.decision is not None]
    said += [f"{each.name}: guardrail broken, {each.breach.sentence}" for each in running if each.breach is not None]
    return ReportSection("Experiments", figures, tuple(said[:SHOWN]))


def insights(unit: Unit, span: Span) -> ReportSection:
    """Found, decided, and what accepted ones brought."""
    every = unit.analytics_insights.known(span.venture, since=span.before.date())
    whole = unit.analytics_insights.helped([span.venture])
    link = f"{API}/insights?venture={quote(span.venture, safe='')}"
    if not every and not whole.measured:
        return ReportSection("Insights", gap="No insight was found in these two weeks, or nobody looked for any.")
    found = [[e for e in every if begin <= e.found_day < begin + timedelta(days=7)] for begin in (span.begin.date(), span.before.date())]
    accepted = [sum(bool(e.follow) and inside(e.decided_at) for e in every) for inside in (span.this, span.last)]
    figures = (
        _count("found", len(found[0]), len(found[1]), link),
        _count("accepted", accepted[0], accepted[1], link),
        ReportFigure("helped, of all that were measured", Kind.SHARE, whole.helped / whole.measured if whole.measured else None, None, link,
                     f"{whole.measured} measured, {whole.waiting} wait"),
    )  # fmt: skip
    worst = sorted((e for e in found[0] if e.state == "open"), key=lambda each: -abs(each.finding.worth))
    return ReportSection("Insights", figures, tuple(each.finding.title for each in worst[:SHOWN]))


def performance(unit: Unit, span: Span) -> ReportSection:
    """Looks that found something to do, what was started, and what it brought."""
    runs = unit.analytics_reports.runs(ventures=[span.venture], since=span.before, until=span.end, limit=RUNS_MAX)
    if not runs:
        return ReportSection("Performance", gap="Nobody looked at performance in these two weeks; productops optimize SERVICE does.")
    link = f"{API}/performance/optimize"
    now, before = [r for r in runs if span.this(r.at)], [r for r in runs if span.last(r.at)]
    figures = (
        _count("looks", len(now), len(before), link),
        _count("steps started", sum(r.state == "acted" for r in now), sum(r.state == "acted" for r in before), link),
    )
    newest: dict[str, str] = {}
    for each in now:
        if any(f.kind == "regression" for f in each.findings):
            newest.setdefault(each.subject, f"{each.subject}: {each.sentence}")
    said = [*newest.values(), *(f"{r.subject}: {r.effect['sentence']}" for r in now if r.effect)]
    return ReportSection("Performance", figures, tuple(said[:SHOWN]))


def predictions(unit: Unit, span: Span) -> ReportSection:
    """With which chance features reach their goals of use."""
    known = unit.analytics_reports.predictions(span.venture, since=(span.before - timedelta(days=7)).date())
    figures, said = [], []
    for feature in sorted({each.feature for each in known}):
        own = [each for each in known if each.feature == feature and each.at < span.end]
        if not own or own[-1].at < span.begin:
            continue
        then = [each for each in own if each.at < span.begin]
        newest = own[-1]
        link = f"{API}/predictions/{quote(span.venture, safe='')}"
        figures.append(
            ReportFigure(f"{feature} reaches {newest.target:.1%}", Kind.SHARE, newest.probability, then[-1].probability if then else None,
                         link, f"by {newest.due_at:%Y-%m-%d}")
        )  # fmt: skip
        if newest.probability < 0.3:
            said.append(f"{feature} reaches its goal with {newest.probability:.0%} only: {newest.reasons[0] if newest.reasons else ''}")
    return ReportSection(
        "Will features succeed?",
        tuple(figures[: 2 * SHOWN]),
        tuple(said[:SHOWN]),
        "No feature with a goal of use was predicted in the week.",
    )


def risks(unit: Unit, span: Span) -> ReportSection:
    """Changes that were rated high, and what became of those of the week before."""
    known = [each for each in unit.risk_predictions.of(span.venture) if span.before <= each.at < span.end]
    link = f"{API}/development/risk?{span.query}"
    high = [each for each in known if each.level == "high"]
    if not known:
        return ReportSection("Risk of changes", gap="No change was rated in these two weeks.")
    figures = (
        _count("changes and releases rated", sum(span.this(e.at) for e in known), sum(span.last(e.at) for e in known), link),
        _count("rated high", sum(span.this(e.at) for e in high), sum(span.last(e.at) for e in high), link),
    )
    broke = [each for each in known if each.outcome == "broke" and span.this(each.outcome_at)]
    return ReportSection("Risk of changes", figures, tuple(f"{each.title} ({each.level}) broke something" for each in broke[:SHOWN]))
