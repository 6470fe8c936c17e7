"""The steps of planning development work as Prefect tasks."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass

from prefect import task
from prefect.artifacts import acreate_image_artifact, acreate_markdown_artifact

from blocks.installation import context, settings
from productops.adapters.calendar_sources import CalendarSources
from productops.domain.development_plan_facts_document import plan_from
from productops.domain.development_plan_facts_report import plan_markdown
from productops.domain.development_plan_facts_stored import PlanState, StoredForecast, StoredPlan
from productops.domain.development_plan_picture import draw_gantt
from productops.errors import InvalidInputError
from productops.usecases import development_forecast, development_plan
from productops.usecases.context import Actor
from productops.usecases.development_plan import PlanWish
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import retrying


@dataclass(frozen=True, slots=True)
class Wanted:
    """One plan to make."""

    wish: PlanWish
    actor: Actor

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.wish.venture} {self.wish.team}".strip()


@task(**retrying("plans", "which plans"))
async def plans(venture: str, team: str, features: str, *, draft: bool, level: bool, note: str) -> list[Wanted]:
    """The named one, or one for each venture with stored work or a plan. Raises: InvalidInputError, ForbiddenError."""
    who = await caller()
    if not venture and (team or features):
        raise InvalidInputError("say whose team and features these are: Venture is empty")
    named = [(venture, team)] if venture else await asyncio.to_thread(development_plan.planned_places, context(), actor=who)
    listed = tuple(part.strip() for part in features.split(",") if part.strip())
    wishes = [
        PlanWish(venture=v, team=t, features=listed, keep="draft" if draft else "current", level=level, forecast=draft, note=note)
        for v, t in named
    ]
    return [Wanted(wish, who) for wish in wishes]


@task(**retrying("sources", "which sources of {venture}"))
async def sources(venture: str) -> list[str]:
    """Names of the tools that know of a venture's work."""
    return await asyncio.to_thread(_sources, venture)


def _sources(venture: str) -> list[str]:
    with context().store.read() as unit:
        return [each.name for each in unit.development_sources.all(ventures=[venture]) if not each.spec.paused]


@task(**retrying("plan", "plan {title}"))
async def plan(wanted: Wanted, title: str) -> StoredPlan:  # noqa: ARG001 - the title is the run's name
    """Plan what is known now, near to the plan before. Raises: InvalidInputError, ImpossiblePlanError, ConflictError."""
    calendars = CalendarSources(allow_private=settings().calendar_allow_private)
    return await asyncio.to_thread(
        development_plan.make_development_plan, context(), wanted.wish, actor=wanted.actor, sources=calendars
    )  # fmt: skip


@task(**retrying("forecast", "forecast {title}"))
async def forecast(made: StoredPlan, wanted: Wanted, title: str) -> list[StoredForecast]:  # noqa: ARG001 - the title is the run's name
    """Say of earlier forecasts what came true, and make new ones; a draft has its own."""
    if made.state is not PlanState.CURRENT:
        return development_forecast.stored_documents(made, now=context().clock.now())
    await asyncio.to_thread(development_forecast.settle_forecasts, context(), made.venture, actor=wanted.actor)
    return await asyncio.to_thread(
        development_forecast.forecast_current, context(), made.venture, team=made.team, actor=wanted.actor
    )  # fmt: skip


@task(**retrying("show", "show {title}"))
async def show(made: StoredPlan, forecasts: list[StoredForecast], wanted: Wanted, title: str) -> None:
    """A Gantt chart, dates, use of time and moves, for the Prefect UI."""
    key = "-".join("".join(c if c.isalnum() else "-" for c in part.lower()) for part in (made.venture, made.team) if part)
    held = await asyncio.to_thread(development_forecast.calibration, context(), venture=made.venture, actor=wanted.actor)
    text = plan_markdown(made, forecasts, calibration=f"Whether forecasts held: {held.sentence}.")
    picture = draw_gantt(plan_from(made.plan), title=title, timezone=made.request["calendar"]["timezone"])
    url = f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}"
    await publish(acreate_markdown_artifact(markdown=text, key=f"plan-{key}", description=f"plan {made.id}"))
    await publish(acreate_image_artifact(image_url=url, key=f"gantt-{key}", description="who does what when"))


@task(**retrying("tell", "tell of {title}"))
async def tell(made: StoredPlan, forecasts: list[StoredForecast], wanted: Wanted, title: str) -> list[str]:  # noqa: ARG001
    """Tell whoever wants to know what is likely to be late; returns keys of features and sprints."""
    if made.state is not PlanState.CURRENT:
        return []
    return await asyncio.to_thread(development_forecast.tell_dates, context(), made, forecasts, actor=wanted.actor)
