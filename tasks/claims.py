"""Exactly once: whoever carries out a flow run has claimed it first; a second execution ends before it does anything.

Prefect lets any number of processes run the same flow run. A dispatcher claims before it forks; a worker's process claims in
``engine.execute`` before Prefect's engine hears of it; any other process, here, as the first thing the flow does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from uuid import UUID

import structlog
from prefect import runtime
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State, StateType

from blocks.installation import context, settings
from productops.usecases import run_claims

log = structlog.get_logger(__name__)
CLAIMED = "PRODUCTOPS_CLAIMED_RUN"
"""Environment variable: the flow run that this process has claimed already."""


def attempt_of(states: Sequence[State]) -> int:
    """Which attempt of a run is due or under way: one more than it was scheduled again after it had run. ``states`` oldest first.

    Neither being late nor a second execution makes another attempt, so both executions count alike; a retry does.
    A run that Prefect has counted no execution of (``run_count`` 0) is at its first attempt.
    """
    return len(_beginnings(states)) + 1


def end_of(states: Sequence[State]) -> State | None:
    """The first end of the newest attempt, ``None`` while it has none. ``states`` oldest first."""
    return next((state for state in _newest_attempt(states) if state.is_final()), None)


def has_run(states: Sequence[State]) -> bool:
    """Whether the newest attempt was ever running. ``states`` oldest first."""
    return any(state.is_running() for state in _newest_attempt(states))


def _newest_attempt(states: Sequence[State]) -> Sequence[State]:
    beginnings = _beginnings(states)
    return states[beginnings[-1] :] if beginnings else states


def _beginnings(states: Sequence[State]) -> list[int]:
    """Where each attempt but the first begins: at the first SCHEDULED after a RUNNING."""
    found, has_run = [], False
    for index, state in enumerate(states):
        if state.type is StateType.SCHEDULED and has_run:
            found.append(index)
        has_run = state.is_running() or (has_run and state.type is not StateType.SCHEDULED)
    return found


async def history(client: PrefectClient, flow_run_id: UUID) -> list[State]:
    """Every state of a run, oldest first. Raises: httpx.HTTPError, PrefectException."""
    return sorted(await client.read_flow_run_states(flow_run_id), key=lambda state: state.timestamp)


async def put_end_back(client: PrefectClient, flow_run_id: UUID, states: Sequence[State]) -> None:
    """A worker that came late has called an ended run pending, or running: say again how it ended.

    The state a run is in is the one that arrived last, which need not bear the latest time.
    """
    ended = end_of(states)
    if ended is None:
        return
    now = (await client.read_flow_run(flow_run_id)).state
    if now is None or now.is_final() or (now.is_scheduled() and now.timestamp > ended.timestamp):
        return
    again: State = State(type=ended.type, name=ended.name, message=ended.message)
    await client.set_flow_run_state(flow_run_id, again, force=True)


async def claim(flow_run_id: UUID) -> bool:
    """Claim the newest attempt of a run for this process; when it is another's, leave Prefect's record as that one wrote it.

    Raises: ProductOpsError, httpx.HTTPError, PrefectException.
    """
    pid, run = os.getpid(), str(flow_run_id)
    owner = run_claims.owner_of(settings().home, pid)
    async with get_client() as client:
        attempt = attempt_of(await history(client, flow_run_id))
        if await asyncio.to_thread(run_claims.claim_patiently, context(), run, attempt, owner=owner, pid=pid):
            os.environ[CLAIMED] = run
            return True
        log.info("another process carries this run out; this one ends", flow_run_id=run, attempt=attempt)
        await put_end_back(client, flow_run_id, await history(client, flow_run_id))
    return False


async def enter() -> None:
    """First line of every flow: goes on in one process per attempt; a second one ends here, silently for Prefect.

    Raises: ProductOpsError when the store does not answer.
    """
    flow_run_id = runtime.flow_run.id
    if flow_run_id is None or os.environ.get(CLAIMED) == str(flow_run_id):
        return
    if not await claim(UUID(str(flow_run_id))):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
