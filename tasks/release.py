"""The steps of a release as Prefect tasks; each calls one use case in a thread."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import runtime, task
from prefect.artifacts import acreate_link_artifact, acreate_progress_artifact, aupdate_progress_artifact

from blocks.installation import api_token, context, settings
from productops.domain.analysis import Look
from productops.domain.evidence_link import evidence_url
from productops.domain.governance_access import MACHINE
from productops.domain.release import Cause, Environment, Release, Strategy
from productops.domain.release_hold import StepOutcome
from productops.domain.strategies import Overrides
from productops.usecases import release_judge, release_request, release_resume, release_rollback, release_run, release_trial
from productops.usecases.context import Actor
from tasks.artifacts import publish, publish_soon
from tasks.callers import caller
from tasks.retries import BACKOFF, JITTER, RETRIES, may_succeed_later
from tasks.rush import calm


def actor() -> Actor:
    """Who acts in this process: the flow run by its name."""
    return Actor(name=f"flow run {runtime.flow_run.name or 'unnamed'}", origin="prefect", principal=MACHINE)


def holder() -> Actor:
    """The flow run that carries a release out: what it does is refused once another run has taken the release over."""
    return Actor(name=f"flow run {runtime.flow_run.name or 'unnamed'}", origin="prefect", principal=MACHINE, run=str(runtime.flow_run.id))


def retrying(name: str, run_name: str) -> dict[str, Any]:
    """The options of a task that may be repeated."""
    return {
        "name": name, "task_run_name": run_name, "retries": RETRIES, "retry_delay_seconds": BACKOFF,
        "retry_jitter_factor": JITTER, "retry_condition_fn": may_succeed_later, "persist_result": False,
    }  # fmt: skip


@task(**retrying("plan", "plan {service} {version}"))
async def plan(
    release_id: str | None, *, venture: str | None, service: str, version: str, environment: Environment, strategy: Strategy | None,
    overrides: Overrides, force_downgrade: bool, lift_quarantine: bool, note: str,
) -> Release:  # fmt: skip
    """Claim the named release, or request one first when a person started this flow by hand. Raises: ProductOpsError."""
    run_id = str(runtime.flow_run.id)
    if release_id is None:
        wish = release_request.ReleaseWish(
            service=service, version=version, environment=environment, venture=venture or None, strategy=strategy,
            overrides=overrides, force_downgrade=force_downgrade, lift_quarantine=lift_quarantine, note=note,
        )  # fmt: skip
        requested = await asyncio.to_thread(
            release_request.request_release, context(), wish, actor=await caller(), idempotency_key=f"flow-run-{run_id}"
        )
        release_id = requested.id
    claimed = await asyncio.to_thread(release_resume.claim_release, context(), release_id, run_id)
    link = evidence_url(settings().api_url, api_token(), release_id)
    publish_soon(acreate_link_artifact(link=link, link_text="evidence", key="release-evidence", description=claimed.title))
    return claimed


@task(**retrying("deploy candidate", "deploy {release.service} {release.version}"))
async def deploy_candidate(release: Release) -> Release:
    """Start the candidate's instances and wait for their health. Raises: CandidateUnhealthyError."""
    await calm()  # instances take seconds of processor time: who only has to begin goes first
    return await asyncio.to_thread(release_run.deploy_candidate, context(), release.id, actor=holder())


@task(**retrying("shift", "shift to {title}"))
async def shift(release: Release, index: int, title: str) -> int:  # noqa: ARG001 - the title is the run's name
    """Put a step's share of traffic on the candidate; returns the step's index once the router confirms."""
    await asyncio.to_thread(release_run.shift_traffic, context(), release.id, index, actor=holder())
    return index


@task(name="hold and judge", task_run_name="hold and judge {title}", persist_result=False)
async def hold_and_judge(release: Release, index: int, title: str) -> StepOutcome:
    """Hold a step and judge it; never repeated: a second try would hold again without a lease."""
    loop = asyncio.get_running_loop()
    # Beside the work: a Prefect server that is away would otherwise cost the lease, which nobody renews before the hold begins.
    creating = asyncio.create_task(
        publish(acreate_progress_artifact(progress=0.0, key=f"step-{index + 1}", description=f"{release.title}: {title}"))
    )
    hold_s = release.steps[index].hold_s
    looks_seen = 0

    def on_looks(looks: list[Look]) -> None:
        nonlocal looks_seen
        looks_seen += len(looks)
        progress = creating.result() if creating.done() else None
        if progress is not None and looks_seen % 5 == 0:
            done = min(99.0, 100.0 * looks_seen / hold_s)
            loop.call_soon_threadsafe(lambda: publish_soon(aupdate_progress_artifact(progress, progress=done)))

    outcome = await asyncio.to_thread(release_judge.hold_step, context(), release.id, index, actor=holder(), on_looks=on_looks)
    publish_soon(_complete(creating, f"{title}: {outcome.verdict}, {outcome.reason}"))
    return outcome


async def _complete(creating: asyncio.Task[Any], description: str) -> None:
    progress = await creating
    if progress is not None:
        await aupdate_progress_artifact(progress, progress=100.0, description=description)


@task(**retrying("promote", "promote {release.version}"))
async def promote(release: Release) -> Release:
    """Give all users the candidate, under the lease still."""
    return await asyncio.to_thread(release_run.promote_candidate, context(), release.id, actor=holder())


@task(name="validate", task_run_name="validate {release.version}", persist_result=False)
async def validate(release: Release) -> StepOutcome:
    """Watch the promoted version before the old one goes."""
    return await asyncio.to_thread(release_judge.validate_promotion, context(), release.id, actor=holder())


@task(**retrying("conclude", "conclude the trial of {release.version}"))
async def conclude(release: Release) -> Release:
    """The trial went well and is over; users keep the baseline."""
    return await asyncio.to_thread(release_trial.conclude_trial, context(), release.id, actor=actor())


@task(**retrying("settle", "make {release.version} the baseline"))
async def settle_promotion(release: Release) -> Release:
    """The validated candidate is the baseline from now on."""
    return await asyncio.to_thread(release_run.settle_promotion, context(), release.id, actor=holder())


@task(**retrying("roll back", "roll back to {release.baseline_version}"))
async def roll_back(release: Release, cause: Cause, reason: str, evidence: dict[str, Any] | None = None) -> Release:
    """Give users the baseline and wait until the router confirms; a release that was rolled back already is fine."""
    await asyncio.to_thread(
        release_rollback.give_baseline_back, context(), release.id, cause=cause, reason=reason, actor=holder(), evidence=evidence
    )
    return await asyncio.to_thread(release_rollback.await_rolled_back, context(), release.id, timeout=release_rollback.CONFIRM_WITHIN)
