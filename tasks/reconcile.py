"""The steps of the reconciler as Prefect tasks."""

from __future__ import annotations

import asyncio

from prefect import task

from blocks.installation import context, settings
from productops.usecases import release_backtest, release_reconcile, release_resume, release_train_advance
from tasks.release import actor, retrying


@task(**retrying("start unstarted", "start unstarted"))
async def start_unstarted() -> list[str]:
    """Ids of releases whose flow was started now."""
    return await asyncio.to_thread(release_reconcile.start_unstarted, context())


@task(**retrying("calendars", "read calendars"))
async def read_calendars() -> list[str]:
    """Names of the calendars whose events changed."""
    from productops.adapters.calendar_sources import CalendarSources  # its libraries take 0.2 s to load
    from productops.usecases.release_windows_refresh import refresh_calendars

    sources = CalendarSources(allow_private=settings().calendar_allow_private)
    found = await asyncio.to_thread(refresh_calendars, context(), sources, actor=actor())
    return [each.name for each in found if each.outcome == "changed"]


@task(**retrying("trains", "move trains"))
async def move_trains() -> list[str]:
    """Ids of trains that have not ended; each was moved on as far as it could be."""
    return await asyncio.to_thread(release_train_advance.advance_trains, context(), actor=actor())


@task(**retrying("end abandoned", "end abandoned"))
async def end_abandoned() -> list[str]:
    """Ids of releases that no process carries on and that were ended now."""
    await asyncio.to_thread(release_resume.resume_orphans, context(), actor=actor())
    return await asyncio.to_thread(release_reconcile.end_abandoned, context(), actor=actor())


@task(**retrying("incidents", "answer incidents"))
async def start_incidents() -> list[str]:
    """Ids of incidents whose response was begun or carried on now; the watch process does so every second, and is watched itself."""
    from productops.usecases.incident_start import start_due_incidents  # the judge's numerics take 0.2 s to load
    from productops.usecases.monitoring_processes import tell_silent_watch

    await asyncio.to_thread(tell_silent_watch, context())
    return await asyncio.to_thread(start_due_incidents, context(), context().orchestrator)


@task(**retrying("record", "record what was judged"))
async def record_ended() -> list[str]:
    """Ids of releases whose seconds were kept now."""
    return await asyncio.to_thread(release_backtest.record_ended, context())


@task(**retrying("flags", "flags"))
async def change_flags() -> list[str]:
    """Ids of scheduled changes of flags that took effect now."""
    return await asyncio.to_thread(release_reconcile.change_flags, context())


@task(**retrying("clean up", "clean up"))
async def clean_up(started: list[str], ended: list[str]) -> None:  # noqa: ARG001 - the edges of the graph
    """Forget what is past its keeping."""
    await asyncio.to_thread(release_reconcile.clean_up, context())
