"""What is told at the end of a release: the record, a table, a picture, a summary."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass

from prefect import task
from prefect.artifacts import acreate_image_artifact, acreate_markdown_artifact, acreate_table_artifact

from blocks.installation import context
from productops.domain.analysis import Verdict
from productops.domain.release import Cause, Phase, Release
from productops.domain.release_hold import StepOutcome
from productops.usecases import release_backtest, release_report
from tasks.artifacts import publish, settle
from tasks.release import retrying


@dataclass(frozen=True, slots=True)
class Told:
    """The end of a release in words; ``outcome`` is the name of the run's last state."""

    promoted: bool
    rolled_back: bool
    outcome: str
    sentence: str


def cause_of(outcome: StepOutcome) -> Cause:
    """Why a step that may not go on ends its rollout."""
    return Cause.VERDICT if outcome.verdict is Verdict.FAILED else Cause.INCONCLUSIVE


@task(**retrying("record", "record {release.version}"))
async def record(release: Release) -> Told:
    """Publish the artifacts and say how it ended; the store has had everything before."""
    report = await asyncio.to_thread(release_report.make_report, context(), release.id)
    key = f"{report.release.service}-{report.release.environment}".lower()
    await publish(acreate_markdown_artifact(markdown=report.markdown, key=f"summary-{key}", description=report.sentence))
    if report.table:
        await publish(acreate_table_artifact(table=report.table, key=f"steps-{key}", description=report.release.title))
        picture = await asyncio.to_thread(release_report.draw, context(), release.id)
        url = f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"
        await publish(acreate_image_artifact(image_url=url, key=f"picture-{key}", description="share, errors, latency, evidence"))
    await asyncio.to_thread(release_backtest.record_release, context(), release.id)
    await settle()
    phase = report.release.phase
    names = {Phase.PROMOTED: "Promoted", Phase.PASSED: "Passed", Phase.ROLLED_BACK: "RolledBack", Phase.FAILED: "FailedBeforeTraffic"}
    return Told(phase is Phase.PROMOTED, phase is Phase.ROLLED_BACK, names.get(phase, str(phase)), report.sentence)
