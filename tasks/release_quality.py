"""The quality gates of a release as a Prefect task."""

from __future__ import annotations

import asyncio

from prefect import task

from blocks.installation import context, settings
from productops.domain.release import Release
from productops.usecases import quality_release
from tasks.release import holder


async def pass_gates(release: Release) -> None:
    """Nothing where the gates are off: a task would cost the release time. Raises: QualityGateError."""
    if release.plan.get(quality_release.NOTE):
        await ask_gates(release)


@task(name="quality gates", task_run_name="quality gates of {release.service} {release.version}", persist_result=False)
async def ask_gates(release: Release) -> None:
    """Run the policy's commands where nothing was judged yet. Never repeated: a second run of a test hides a flaky one."""
    root = settings().home / "quality-runs"
    await asyncio.to_thread(quality_release.pass_gates, context(), release, root=root, actor=holder())
