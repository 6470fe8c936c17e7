"""Every five minutes: what became of the work since the last look?"""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from tasks import development_sync as steps


@flow(
    name="development-sync",
    description="Reads GitHub, GitLab and Jira: the work, its changes, builds and deployments.",
    persist_result=False,
)
async def development_sync(
    source: Annotated[str, Field(title="Source", description="Name of one development source; empty: all of them.")] = "",
    full: Annotated[bool, Field(title="Full look", description="Look at all there is: finds what was deleted.")] = False,  # noqa: FBT002
) -> State[Any]:
    """One source after the other. A source that fails keeps its cursor and fails the run; the others are read all the same."""
    names = await steps.sources(source)
    reports = [report for name in names if (report := await steps.read(name, full=full)) is not None]
    await steps.show(reports)
    failed = [f"{report.source}: {report.error}" for report in reports if report.error and report.paused_until is None]
    waits = [report.source for report in reports if report.paused_until is not None]
    if failed:
        return Failed(message="; ".join(failed)[:2000], name="Incomplete")
    said = f"{len(reports)} read, {sum(report.moved for report in reports)} things new or changed"
    return Completed(message=f"{said}; {', '.join(waits)} asked for peace, the next run goes on there" if waits else said)
