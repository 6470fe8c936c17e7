"""The weekly report of a venture: made from the store, kept once the week is over, and shown to who may see all of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from productops.domain.analytics_report import (
    Kind,
    ReportFigure,
    ReportSection,
    WeeklyReport,
    headlines_of,
    report_document,
    report_of,
    span_of,
    week_named,
)
from productops.domain.governance_access import MACHINE, Operation, visible_ventures
from productops.domain.release import Environment
from productops.errors import InvalidInputError
from productops.store import Unit
from productops.store.analytics_reports import StoredReport
from productops.usecases import analytics_report_facts as facts
from productops.usecases.analytics_report_facts import API, Span
from productops.usecases.context import Actor, Context
from productops.usecases.development_dora import DoraReport, dora_report
from productops.usecases.governance_access_scope import venture_for

LATE = timedelta(hours=2)
"""Events of the last hours of a week are still counted so long after it."""
SHOWS = (
    Operation.RELEASE_READ, Operation.QUALITY_READ, Operation.INCIDENT_READ, Operation.DEVELOPMENT_READ, Operation.METRIC_READ,
)  # fmt: skip
SECTIONS: tuple[Callable[[Unit, Span], ReportSection], ...] = (
    facts.releases, facts.quality, facts.incidents, facts.dates, facts.risks, facts.usage, facts.experiments, facts.insights,
    facts.predictions, facts.performance,
)  # fmt: skip


def read_report(context: Context, venture: str, week: str, *, actor: Actor) -> WeeklyReport:
    """The kept one; for a week that is not over, or of which none was made, as it would be now, and nothing is kept.

    ``week`` like ``2026-W47``, ``last`` or ``current``. Raises: NotFoundError, ForbiddenError, InvalidInputError, StoreUnavailableError.
    """
    name = week_named(week, now=context.clock.now())
    _may_see(context, venture, actor)
    with context.store.read() as unit:
        stored = unit.analytics_reports.report(venture, name)
    if stored is not None and stored.whole:
        return report_of(stored.document)
    return _made(context, venture, name, actor)


def make_report(context: Context, venture: str, week: str, *, actor: Actor) -> StoredReport:
    """Make and keep it; one that was made after its week was over stays as it is, whoever asks again.

    Raises: as ``read_report``; ConflictError when two make the first one at the same moment.
    """
    now = context.clock.now()
    name = week_named(week, now=now)
    _may_see(context, venture, actor)
    actor.check(Operation.ANALYTICS_WRITE, venture=venture)
    with context.store.read() as unit:
        stored = unit.analytics_reports.report(venture, name)
    if stored is not None and stored.whole:
        return stored
    report = _made(context, venture, name, actor)
    with context.store.write() as unit:
        kept = unit.analytics_reports.put_report(venture, name, report_document(report), by=actor.name, whole=report.whole, now=now)
        unit.audit.add(
            "report.made", f"report/{venture}/{name}", actor=actor.name, origin=actor.origin, now=now,
            before={"made_at": stored.made_at.isoformat()} if stored else None, after={"made_at": now.isoformat(), "whole": report.whole},
        )  # fmt: skip
    return kept


def list_reports(context: Context, venture: str, *, actor: Actor) -> list[StoredReport]:
    """Kept ones, newest week first. Raises: NotFoundError, ForbiddenError, StoreUnavailableError."""
    _may_see(context, venture, actor)
    with context.store.read() as unit:
        return unit.analytics_reports.reports(venture)


def ventures_to_report(context: Context, *, actor: Actor) -> list[str]:
    """All that the caller may see, for the schedule."""
    seen = visible_ventures(actor.principal, Operation.ANALYTICS_READ)
    with context.store.read() as unit:
        return [each for each in unit.catalog.ventures() if seen is None or each in seen]


def _may_see(context: Context, venture: str, actor: Actor) -> None:
    """It shows something of every room, of production: who may not see one of them may not see the page."""
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.ANALYTICS_READ)
    for operation in SHOWS:
        actor.check(operation, venture=venture, environment=Environment.PRODUCTION)


def _made(context: Context, venture: str, week: str, actor: Actor) -> WeeklyReport:
    now = context.clock.now()
    begin, end = span_of(week)
    sections = []
    for section in SECTIONS:  # a view for each: none of them is open for long
        with context.store.read() as unit:
            sections.append(section(unit, Span(venture, begin, end)))
    sections.insert(1, _delivery(context, venture, begin, min(end, now), actor))
    whole = now >= end + LATE
    return WeeklyReport(venture, week, now, whole, headlines_of(sections), tuple(sections))


def _delivery(context: Context, venture: str, begin: datetime, end: datetime, actor: Actor) -> ReportSection:
    """DORA's figures of deployments in the week; the right to see the page is what counts, whatever a token was narrowed to."""
    ours = Actor(actor.name, actor.origin, MACHINE)
    try:
        now = dora_report(context, venture, since=begin, until=end, actor=ours)
        before = dora_report(context, venture, since=begin - timedelta(days=7), until=begin, actor=ours)
    except InvalidInputError:  # the week has just begun
        return ReportSection("Delivery (DORA)", gap="The week has just begun.")
    wanted = (
        ("lead time (median)", Kind.HOURS, "lead_time", "median_s", 3600.0),
        ("deployments", Kind.COUNT, "deployment_frequency", "count", 1.0),
        ("change failure rate", Kind.SHARE, "change_failure_rate", "share", 1.0),
        ("recovery from failed deployments (median)", Kind.HOURS, "failed_deployment_recovery_time", "median_s", 3600.0),
        ("rework rate", Kind.SHARE, "rework_rate", "share", 1.0),
    )  # fmt: skip
    link = f"{API}/development/dora?venture={venture}"
    figures = tuple(
        ReportFigure(name, kind, _figure(now, key, value, unit), _figure(before, key, value, unit), link)
        for name, kind, key, value, unit in wanted
    )
    if not any(each.value for each in figures) and not any(each.before for each in figures):
        return ReportSection("Delivery (DORA)", gap="No deployment reached users in these two weeks.")
    return ReportSection("Delivery (DORA)", figures)


def _figure(report: DoraReport, key: str, value: str, unit: float) -> float | None:
    found = next(each for each in report.people if each.name == key).values[value]
    return float(found) / unit if found is not None else None
