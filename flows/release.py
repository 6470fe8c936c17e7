"""A release, told as the runbook: plan, deploy, shift and judge step by step, then promote, or give the baseline back."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from productops.domain.release import Cause, Environment, Release, Strategy
from productops.domain.strategies import Overrides
from productops.domain.strategies.plan import OnInconclusive, PromoteOn
from productops.errors import ApprovalNeededError, LeaseLostError, ProductOpsError, TakenOverError
from tasks import approvals, claims
from tasks import release as steps
from tasks import release_quality as quality
from tasks import release_report as report


@flow(
    name="release",
    description="Put a version on trial with real traffic; promote it, or give users the baseline back.",
    flow_run_name="{service} {version} → {environment}",
    retries=0,
    persist_result=False,
)
async def release(  # noqa: PLR0917 - Prefect makes the form from these
    service: Annotated[str, Field(title="Service", description="Name of the service in the catalog, e.g. storefront.")],
    version: Annotated[str, Field(title="Version", description="The version to release, e.g. 1.1.0.")],
    venture: Annotated[str, Field(title="Venture", description="Owner of the service; may be left empty.")] = "",
    environment: Annotated[Environment, Field(title="Environment")] = Environment.PRODUCTION,
    strategy: Annotated[Strategy | None, Field(title="Strategy", description="Empty: what the service's catalog entry says.")] = None,
    weights_pct: Annotated[
        list[int] | None, Field(title="Canary weights", description="Shares of traffic in percent, rising. Empty: the catalog's.")
    ] = None,
    hold_s: Annotated[float | None, Field(title="Hold", description="Seconds each step is held. Empty: the catalog's.")] = None,
    promote_on: Annotated[
        PromoteOn | None, Field(title="A step ends", description="As soon as it is certified, or after its full hold.")
    ] = None,
    on_inconclusive: Annotated[OnInconclusive | None, Field(title="When there is too little evidence")] = None,
    force_downgrade: Annotated[bool, Field(title="Allow an older version")] = False,  # noqa: FBT002
    lift_quarantine: Annotated[bool, Field(title="Allow a version that was rolled back before")] = False,  # noqa: FBT002
    note: Annotated[str, Field(title="Note", description="Why this release; kept in the audit.")] = "",
    release_id: Annotated[
        str | None, Field(title="Release id", description="Leave empty. Set by the API for a release it has already written down.")
    ] = None,
) -> State[Any]:
    """Release ``version`` of ``service``. The store holds the truth; this run's state only mirrors it."""
    await claims.enter()
    try:
        planned = await steps.plan(
            release_id,
            venture=venture,
            service=service,
            version=version,
            environment=environment,
            strategy=strategy,
            overrides=Overrides(
                weights_pct=tuple(weights_pct) if weights_pct else None,
                hold_s=hold_s,
                promote_on=promote_on,
                on_inconclusive=on_inconclusive,
            ),
            force_downgrade=force_downgrade,
            lift_quarantine=lift_quarantine,
            note=note,
        )
    except ApprovalNeededError as error:  # written down; whoever signs last has a new run started
        await approvals.show_page(error)
        return Completed(message=str(error), name="WaitingForApproval")
    except ProductOpsError as error:  # nothing was written, or somebody else carries it out: say why, without a traceback
        return Failed(message=str(error), name="Refused")
    try:
        ended = await _see_through(planned)
    except TakenOverError as error:  # this run was silent for so long that another one carries the release on
        return Failed(message=str(error), name="TakenOver")
    told = await report.record(ended)
    if told.promoted or told.outcome == "Passed":
        return Completed(message=told.sentence, name=told.outcome)
    return Failed(message=told.sentence, name=told.outcome)


async def _see_through(planned: Release) -> Release:
    """Roll out; whatever goes wrong on the way ends in the baseline."""
    try:
        return await _roll_out(planned)
    except TakenOverError:
        raise
    except LeaseLostError as error:  # somebody else gave the baseline back: a person, the agent, a cancellation
        return await steps.roll_back(planned, Cause.LEASE_LAPSED, str(error))
    except ProductOpsError as error:
        return await steps.roll_back(planned, Cause.ERROR, str(error))
    except BaseException as error:
        await steps.roll_back(planned, Cause.ERROR, f"the flow was interrupted: {type(error).__name__} {error}")
        raise


async def _roll_out(planned: Release) -> Release:
    """Deploy, then step by step; the first step that may not go on ends in the baseline."""
    await quality.pass_gates(planned)
    candidate = await steps.deploy_candidate(planned)
    for index, step in enumerate(planned.steps):
        shifted = await steps.shift(candidate, index, step.title)
        outcome = await steps.hold_and_judge(candidate, shifted, step.title)
        if not outcome.proceed:
            return await steps.roll_back(candidate, report.cause_of(outcome), outcome.reason, outcome.evidence)
    if planned.ends_in_report:
        return await steps.conclude(candidate)
    promoted = await steps.promote(candidate)
    validated = await steps.validate(promoted)
    if not validated.proceed:
        return await steps.roll_back(promoted, Cause.VALIDATION, validated.reason, validated.evidence)
    return await steps.settle_promotion(promoted)
