"""The steps of a train as Prefect tasks; each calls one use case in a thread."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from prefect import runtime, task
from prefect.artifacts import acreate_table_artifact

from blocks.installation import context
from productops.domain.release import Environment
from productops.domain.release_train import Train, TrainMode, TrainPhase, parse_members
from productops.usecases import release_train, release_train_advance
from productops.usecases.governance_approvals_release import check_train
from tasks.artifacts import publish
from tasks.callers import caller
from tasks.release import actor, retrying


@dataclass(frozen=True, slots=True)
class Told:
    """How a train ended, for the state of its run."""

    promoted: bool
    outcome: str
    sentence: str


@task(**retrying("board", "board {environment}"))
async def board(
    train_id: str | None, *, members: list[str], after: list[str], environment: Environment, mode: TrainMode, side_by_side: int, note: str
) -> Train:
    """The named train, or a new one when a person started this flow by hand.

    Raises: ProductOpsError; ApprovalNeededError while it waits for signatures.
    """
    if train_id is not None:
        await asyncio.to_thread(check_train, context(), train_id)
        return (await asyncio.to_thread(release_train.read_train, context(), train_id, actor=actor())).train
    wish = release_train.TrainWish(
        members=parse_members(members, after), environment=environment, mode=mode, side_by_side=side_by_side, note=note
    )
    placed = await asyncio.to_thread(
        release_train.place_train, context(), wish, actor=await caller(), idempotency_key=f"flow-run-{runtime.flow_run.id}"
    )
    await asyncio.to_thread(check_train, context(), placed.train.id)
    return placed.train


@task(**retrying("see through", "see {train.title} through"))
async def see_through(train: Train) -> Train:
    """Move it on every second until it has ended; to be repeated at any time."""
    while not train.ended:
        train = await asyncio.to_thread(release_train_advance.follow_train, context(), train, actor=actor())
        if not train.ended:
            await asyncio.sleep(release_train_advance.LOOK_EVERY_S)
    return train


@task(name="record", task_run_name="record", persist_result=False)
async def record(train: Train) -> Told:
    """A table of the members, and one sentence."""
    table = [
        {"service": m.service, "version": m.version, "after": ", ".join(m.depends_on), "ended": m.phase.value, "why": m.reason}
        for m in train.members
    ]
    await publish(acreate_table_artifact(key="train", table=table, description=f"{train.title}: {train.phase}"))
    why = f": {train.reason}" if train.reason else ""
    outcome = train.phase.value.title().replace("_", "")
    return Told(train.phase is TrainPhase.PROMOTED, outcome, f"train {train.id} is {train.phase.value.replace('_', ' ')}{why}")
