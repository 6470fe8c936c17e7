"""A version and its gates: collect what was measured, judge it, say whether it may go out."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from productops.domain.quality_runs import QualityRun
from productops.domain.quality_verdict import GateState
from tasks import quality as steps
from tasks import quality_learning as learning

NAMES = {GateState.FAILED: "GatesFailed", GateState.INCONCLUSIVE: "Inconclusive", GateState.ERROR: "NotJudged"}


@flow(
    name="quality",
    description="Runs the tests a policy names, judges all reports, says whether a version may go out.",
    persist_result=False,
)
async def quality(
    service: Annotated[str, Field(title="Service", description="Empty: every service whose policy names commands.")] = "",
    version: Annotated[str, Field(title="Version", description="Empty: the one that users in production have.")] = "",
    commit: Annotated[str, Field(title="Commit", description="What the reports are of.")] = "",
    branch: Annotated[
        str, Field(title="Branch", description="Where it is from; runs of the main branch are what others compare with.")
    ] = "",
    commands: Annotated[str, Field(title="Commands", description="Of the policy, with commas. Empty: all of them; -: none.")] = "",
    reports: Annotated[
        str, Field(title="Reports", description="With commas: files below the folder of reports, or https:// addresses.")
    ] = "",
    policy: Annotated[str, Field(title="Policy", description="Its name. Empty: the service's.")] = "",
    improve: Annotated[bool, Field(title="Improve", description="Look for flaky tests and idle gates.")] = True,  # noqa: FBT002
) -> State[Any]:
    """Only a pass completes the run; what could not be judged has not passed."""
    wanted = await steps.plan(service, version, commit, branch, commands, reports, policy)
    runs = [await one(each) for each in wanted]
    if improve:
        for name in sorted({run.service for run in runs}):
            await learning.improve(name)
    return _told(runs)


async def one(wanted: steps.Wanted) -> QualityRun:
    """One version."""
    evidence = await steps.collect(wanted, wanted.title)
    run = await steps.judge(wanted, evidence, wanted.title)
    await steps.show(run, evidence, wanted.title)
    return run


def _told(runs: list[QualityRun]) -> State[Any]:
    against = [run for run in runs if run.state is not GateState.PASSED]
    if not runs:
        return Completed(message="no policy names a command, so there is nothing to run", name="NothingToDo")
    if not against:
        return Completed(message="; ".join(f"{run.title}: {run.verdict.sentence}" for run in runs), name="Passed")
    return Failed(message="; ".join(f"{run.title}: {run.verdict.sentence}" for run in against), name=NAMES[against[0].state])
