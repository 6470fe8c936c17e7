"""The steps of a roll back as Prefect tasks."""

from __future__ import annotations

import asyncio

from prefect import task

from blocks.installation import context
from productops.domain.release import Environment, Release
from productops.usecases import release_rollback
from tasks.callers import check_roll_back
from tasks.release import actor, retrying


@task(**retrying("find release", "find release of {service}"))
async def find_release(release_id: str | None, service: str, environment: Environment) -> Release:
    """The named release, or the one in flight, or the newest promotion. Raises: NotFoundError."""
    return await asyncio.to_thread(release_rollback.find_to_roll_back, context(), release_id, service, environment)


@task(**retrying("give back", "give back {release.baseline_version}"))
async def begin(release: Release, reason: str) -> Release:
    """The baseline at once where it is warm; else its instances are asked for. Raises: ConflictError, ForbiddenError."""
    await check_roll_back(release.id)
    return await asyncio.to_thread(release_rollback.roll_back, context(), release.id, reason=reason, actor=actor())


@task(name="confirm", task_run_name="confirm {release.baseline_version}", persist_result=False)
async def finish(release: Release, reason: str) -> Release:
    """Wait for a cold fleet where there was none, then until the router confirms. Raises: ConflictError."""
    return await asyncio.to_thread(release_rollback.complete_roll_back, context(), release.id, reason=reason, actor=actor())
