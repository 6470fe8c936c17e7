"""A train of releases, told as the runbook: check and write it down, see each member through, tell how it ended."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from productops.domain.release import Environment
from productops.domain.release_train import TrainMode
from productops.errors import ApprovalNeededError, ProductOpsError
from tasks import approvals
from tasks import train as steps


@flow(
    name="train",
    description="Release several services together, in the order of what depends on what; all of them, or as many as go well.",
    flow_run_name="train {title}",
    retries=0,
    persist_result=False,
)
async def train(
    members: Annotated[list[str] | None, Field(title="Members", description="One line each, service=version: storefront=1.1.0.")] = None,
    after: Annotated[
        list[str] | None,
        Field(title="Order", description="One line each, later:earlier: storefront:cart. Empty: the catalog's depends_on."),
    ] = None,
    environment: Annotated[Environment, Field(title="Environment")] = Environment.PRODUCTION,
    mode: Annotated[
        TrainMode, Field(title="When a member fails", description="all-or-nothing: the others are given back. best-effort: they go on.")
    ] = TrainMode.ALL_OR_NOTHING,
    side_by_side: Annotated[int, Field(title="Side by side", description="Most members on their way at the same time.")] = 4,
    note: Annotated[str, Field(title="Note", description="Why this train; kept in the audit.")] = "",
    title: Annotated[str, Field(title="Title", description="Name of this run; may be left empty.")] = "",  # noqa: ARG001 - the run's name
    train_id: Annotated[
        str | None, Field(title="Train id", description="Leave empty. Set by the API for a train it has already written down.")
    ] = None,
) -> State[Any]:
    """See a train through. The store holds the truth: a run that is killed changes nothing, the reconciler carries the train on."""
    try:
        planned = await steps.board(
            train_id, members=members or [], after=after or [], environment=environment, mode=mode, side_by_side=side_by_side, note=note
        )
    except ApprovalNeededError as error:  # written down; whoever signs last has a new run started
        await approvals.show_page(error)
        return Completed(message=str(error), name="WaitingForApproval")
    except ProductOpsError as error:
        return Failed(message=str(error), name="Refused")
    ended = await steps.see_through(planned)
    told = await steps.record(ended)
    return Completed(message=told.sentence, name=told.outcome) if told.promoted else Failed(message=told.sentence, name=told.outcome)
