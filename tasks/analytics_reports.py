"""The steps of weekly reports, predictions and looks at performance as Prefect tasks."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from blocks.installation import context, settings
from productops.domain.analytics_optimize import PerformanceRun
from productops.domain.analytics_report import recipients_for, report_of
from productops.domain.analytics_report_pages import as_markdown
from productops.domain.release import Environment
from productops.store.analytics_reports import ReportMail, StoredReport
from productops.usecases import analytics_optimize, analytics_optimize_act, analytics_predict, analytics_report, analytics_report_mail
from productops.usecases.analytics_optimize import OptimizeWish
from productops.usecases.analytics_predict import Predictions
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import retrying


@task(**retrying("ventures", "which ventures"))
async def ventures(venture: str) -> list[str]:
    """The named venture, or all the caller may see. Raises: StoreUnavailableError."""
    who = await caller()
    return [venture] if venture else await asyncio.to_thread(analytics_report.ventures_to_report, context(), actor=who)


@task(**retrying("report", "report {venture} {week}"))
async def report(venture: str, week: str) -> StoredReport:
    """Make it, or take the one that was made after the week. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    who = await caller()
    return await asyncio.to_thread(analytics_report.make_report, context(), venture, week, actor=who)


@task(**retrying("show-report", "show the report"))
async def show_report(stored: StoredReport) -> None:
    """The page for the Prefect UI."""
    page = as_markdown(report_of(stored.document), base=settings().public_url)
    await publish(acreate_markdown_artifact(markdown=page, key=f"report-{stored.venture}", description=f"week {stored.week}"))


@task(**retrying("mail", "mail {venture} {week}"))
async def mail(venture: str, week: str, *, to: str) -> list[ReportMail]:
    """To those who have not got it; nobody where no mail server is set or nobody is named. Raises: ForbiddenError, ConflictError."""
    wanted = recipients_for(to or settings().report_to, venture)
    if not wanted or context().mail is None:
        return []
    who = await caller()
    return await asyncio.to_thread(
        analytics_report_mail.send_report, context(), venture, week, wanted, base=settings().public_url, actor=who
    )


@task(**retrying("features", "which ventures have goals"))
async def ventures_with_goals(venture: str) -> list[str]:
    """The named venture, or all with features that have a goal of use. Raises: StoreUnavailableError."""
    who = await caller()
    return [venture] if venture else await asyncio.to_thread(analytics_predict.ventures_to_predict, context(), actor=who)


@task(**retrying("predict", "predict {venture}"))
async def predict(venture: str) -> Predictions:
    """One venture; of one day the last word is kept. Raises: NotFoundError, ForbiddenError."""
    who = await caller()
    return await asyncio.to_thread(analytics_predict.predict_success, context(), venture, actor=who)


@task(**retrying("show-predictions", "show predictions"))
async def show_predictions(found: list[Predictions]) -> None:
    """A table for the Prefect UI."""
    rows: list[dict[str, Any]] = [
        {
            "venture": each.venture, "feature": one.feature, "chance": f"{one.probability:.0%}", "target": f"{one.target:.1%}",
            "due": f"{one.due_at:%Y-%m-%d}", "why": "; ".join(one.reasons[:2]),
        }
        for each in found for one in each.items
    ]  # fmt: skip
    said = "; ".join(f"{each.venture}: {each.reliability.sentence}" for each in found) or "no feature has a goal of use"
    await publish(acreate_table_artifact(table=rows, key="predictions", description=said[:2000]))


@task(**retrying("subjects", "which services"))
async def services(service: str, environment: Environment) -> list[tuple[str, Environment]]:
    """The named service, or all with traffic in production. Raises: StoreUnavailableError."""
    return [(service, environment)] if service else await asyncio.to_thread(analytics_optimize.subjects_to_look_at, context())


@task(**retrying("look", "look at {service}"))
async def look(service: str, environment: Environment, *, days: float, act: bool, key: str) -> PerformanceRun:
    """One service; a repetition in the same flow run acts once. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    who = await caller()
    wish = OptimizeWish(service=service, environment=environment, days=days, act=act)
    return await asyncio.to_thread(analytics_optimize.optimize_performance, context(), wish, actor=who, key=key)


@task(**retrying("effects", "measure what was done"))
async def effects() -> list[PerformanceRun]:
    """What earlier steps brought, where enough was seen since. Raises: StoreUnavailableError."""
    return await asyncio.to_thread(analytics_optimize_act.measure_effects, context())


@task(**retrying("show-looks", "show what was found"))
async def show_looks(runs: list[PerformanceRun], measured: list[PerformanceRun]) -> None:
    """A table for the Prefect UI."""
    rows: list[dict[str, Any]] = [
        {"service": r.subject, "found": r.sentence, "do": r.recommendations[0].sentence, "state": r.state, "look": r.id} for r in runs
    ]
    rows += [{"service": r.subject, "found": r.effect["sentence"], "do": "", "state": "measured", "look": r.id} for r in measured]
    await publish(acreate_table_artifact(table=rows, key="performance", description=f"{len(runs)} services were looked at"))
