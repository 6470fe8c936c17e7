"""The steps of the nightly look at usage as Prefect tasks."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, replace
from datetime import date, timedelta

from prefect import task
from prefect.artifacts import acreate_image_artifact, acreate_markdown_artifact, acreate_table_artifact

from blocks.installation import context
from productops.adapters.analytics_insight_picture import draw_insight
from productops.domain.analytics_insight import Insight
from productops.errors import InvalidInputError, ProductOpsError
from productops.usecases import analytics_insight_effect, analytics_insight_find, analytics_insight_read
from productops.usecases.analytics_usage_refresh import refresh_daily
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import retrying

KEY = "analytics"
PICTURES = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one venture. ``trouble``: why it could not be looked at; empty: it was."""

    venture: str
    day: str
    counted: int
    opened: tuple[Insight, ...] = ()
    updated: int = 0
    over: int = 0
    repeated: bool = False
    series: int = 0
    seconds: float = 0.0
    measured: tuple[Insight, ...] = ()
    trouble: str = ""

    @property
    def sentence(self) -> str:
        """In one line."""
        if self.trouble:
            return f"{self.venture}: {self.trouble}"
        if self.repeated:
            return f"{self.venture}: {self.day} was looked at before ({len(self.opened)} insights)"
        return f"{self.venture}: {len(self.opened)} new insights in {self.series} series, {self.updated} go on, {self.over} over"


@task(**retrying("chosen-day", "which day"))
async def chosen_day(day: str) -> str:
    """The named day, or yesterday. Raises: InvalidInputError."""
    if not day:
        return (context().clock.now().date() - timedelta(days=1)).isoformat()
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError as error:
        raise InvalidInputError(f"{day[:40]!r} is no day; write it like 2026-01-31") from error


@task(**retrying("ventures", "which ventures"))
async def ventures(venture: str) -> list[str]:
    """The named venture, or all with usage events or figures. Raises: StoreUnavailableError."""
    return [venture] if venture else await asyncio.to_thread(_ventures)


def _ventures() -> list[str]:
    found = context()
    with found.store.read() as unit:
        named, with_events = set(unit.catalog.ventures()), unit.analytics_events.ventures()
    return sorted({*analytics_insight_read.ventures_with_figures(found), *(each for each in with_events if each in named)})


@task(**retrying("refresh", "count {venture}"))
async def refresh(venture: str) -> int:
    """Days counted anew; what was counted stays. Where no events are kept there is nothing to count."""
    if context().analytics_folder is None:
        return 0
    done = await asyncio.to_thread(refresh_daily, context(), venture)
    return len(done.days)


@task(**retrying("look", "look at {venture}"))
async def look(venture: str, day: str, counted: int) -> Told:
    """Find what is new; a day that was looked at is not looked at again."""
    who = await caller()
    try:
        found = await asyncio.to_thread(
            analytics_insight_find.find_insights, context(), venture, date.fromisoformat(day), actor=who
        )  # fmt: skip
    except ProductOpsError as error:
        if error.retryable:
            raise
        return Told(venture, day, counted, trouble=str(error))
    return Told(
        venture, day, counted, found.opened, found.updated, found.over, found.repeated, found.night.series, found.night.seconds
    )  # fmt: skip


@task(**retrying("measure", "measure what was accepted"))
async def measure(told: Told) -> Told:
    """Whether accepted insights helped, where their day has come."""
    who = await caller()
    try:
        done = await asyncio.to_thread(
            analytics_insight_effect.measure_effects, context(), told.venture, date.fromisoformat(told.day), actor=who
        )  # fmt: skip
    except ProductOpsError as error:
        if error.retryable:
            raise
        return replace(told, trouble=told.trouble or str(error))
    return replace(told, measured=tuple(done))


@task(**retrying("show", "show insights"))
async def show(told: Told) -> None:
    """A table of one venture and pictures of its dearest insights, for the Prefect UI."""
    key = "".join(c if c.isalnum() else "-" for c in told.venture.lower())
    dearest = sorted(told.opened, key=lambda each: -each.finding.worth)
    await publish(acreate_markdown_artifact(markdown=insights_markdown(told), key=f"insights-{key}", description=told.sentence[:500]))
    for number, insight in enumerate(dearest[:PICTURES], start=1):
        picture = f"data:image/svg+xml;base64,{base64.b64encode(draw_insight(insight)).decode()}"
        await publish(acreate_image_artifact(image_url=picture, key=f"insight-{key}-{number}", description=insight.finding.title))


@task(**retrying("show-all", "show all ventures"))
async def show_all(told: list[Told]) -> None:
    """One row a venture."""
    rows = [
        {
            "venture": t.venture, "day": t.day, "days counted": t.counted, "series": t.series, "seconds": round(t.seconds, 1),
            "new": len(t.opened), "go on": t.updated, "over": t.over, "measured": len(t.measured), "trouble": t.trouble,
        }
        for t in told
    ]  # fmt: skip
    said = "; ".join(each.sentence for each in told) or "no venture has usage events"
    await publish(acreate_table_artifact(table=rows, key=KEY, description=said[:2000]))


def insights_markdown(told: Told) -> str:
    """New insights by worth, and what became of accepted ones."""
    lines = [f"# {told.venture}, {told.day}", "", told.sentence, ""]
    if told.opened:
        lines += ["| insight | what | since | worth a day | to do |", "|---|---|---|---|---|"]
        for each in sorted(told.opened, key=lambda one: -one.finding.worth):
            finding = each.finding
            cells = [each.id, finding.title, finding.first_day.isoformat(), f"{finding.worth:,.1f}", finding.action.text]
            lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    lines += ["", *(f"- {each.finding.title}: {each.effect.get('sentence', '')}" for each in told.measured)]
    return "\n".join(lines)
