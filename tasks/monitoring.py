"""The steps of the round over objectives as Prefect tasks."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack

from prefect import task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from blocks.installation import context, settings
from productops.adapters.connections import build_sources, load_connections
from productops.usecases import monitoring_slo_report
from productops.usecases.context import Actor
from productops.usecases.monitoring_slo_report import ObjectivesRound
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import retrying

TABLE_KEY, SILENCE_KEY = "objectives", "silence-report"


@task(**retrying("round", "objectives"))
async def objectives_round() -> ObjectivesRound:
    """Count, tidy, and say how things stand. Raises: ForbiddenError, SettingsError, StoreUnavailableError."""
    who = await caller()
    return await asyncio.to_thread(_round, who)


def _round(who: Actor) -> ObjectivesRound:
    sources = build_sources(load_connections(settings()))
    with ExitStack() as stack:
        for source in sources:
            close = getattr(source, "close", None)
            if close is not None:
                stack.callback(close)
        return monitoring_slo_report.round_of_objectives(context(), {source.name: source for source in sources}, actor=who)


@task(**retrying("show-objectives", "show objectives"))
async def show(found: ObjectivesRound) -> None:
    """A table of objectives and a page about what was held back, for the Prefect UI."""
    await publish(acreate_table_artifact(table=objective_rows(found), key=TABLE_KEY, description=found.sentence))
    page = silence_markdown(found)
    await publish(acreate_markdown_artifact(markdown=page, key=SILENCE_KEY, description=f"alerts of the day before {_time(found)}"))


def objective_rows(found: ObjectivesRound) -> list[dict[str, object]]:
    """What has least left first."""
    order = sorted(found.views, key=lambda v: 2.0 if v.budget.remaining_ratio is None else v.budget.remaining_ratio)
    return [
        {
            "objective": v.objective.name, "service": v.objective.service, "environment": v.objective.environment.value,
            "target": v.objective.target, "measured": v.budget.sli, "left": v.budget.remaining_ratio,
            "minutes burned": round(v.budget.burned_minutes, 2), "budget minutes": round(v.budget.budget_minutes, 2),
            "burns too fast": ", ".join(v.firing), "not measured": found.failed.get(v.objective.name, ""),
        }
        for v in order
    ]  # fmt: skip


def silence_markdown(found: ObjectivesRound) -> str:
    """What was not told, and why; nothing is dropped without a word."""
    lines = ["# Alerts that were held back", "", f"{found.silence.told} alerts of the last day became part of incidents.", ""]
    if found.silence.held:
        lines += ["| what became of it | why | alerts |", "|---|---|---|"]
        lines += [f"| {state} | {reason.replace('|', '/')} | {count} |" for state, reason, count in found.silence.held]
    else:
        lines.append("None was held back.")
    lines += ["", *(f"- not measured: {name}: {why}" for name, why in sorted(found.failed.items()))]
    return "\n".join(lines)


def _time(found: ObjectivesRound) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", found.at.utctimetuple())
