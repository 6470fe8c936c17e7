"""The steps of the reconciler as Prefect tasks."""

from __future__ import annotations

import asyncio

from prefect import task

from blocks.installation import context
from productops.usecases import release_reconcile
from tasks.release import actor, retrying


@task(**retrying("start unstarted", "start unstarted"))
async def start_unstarted() -> list[str]:
    """Ids of releases whose flow was started now."""
    return await asyncio.to_thread(release_reconcile.start_unstarted, context())


@task(**retrying("end abandoned", "end abandoned"))
async def end_abandoned() -> list[str]:
    """Ids of releases that no process carries on and that were ended now."""
    return await asyncio.to_thread(release_reconcile.end_abandoned, context(), actor=actor())


@task(**retrying("clean up", "clean up"))
async def clean_up(started: list[str], ended: list[str]) -> None:  # noqa: ARG001 - the edges of the graph
    """Forget what is past its keeping."""
    await asyncio.to_thread(release_reconcile.clean_up, context())
