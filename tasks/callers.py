"""Who started the flow run that this process carries out."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx
from prefect import runtime
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException

from blocks.installation import context, settings
from productops.errors import OrchestratorError
from productops.usecases import governance_access_runs
from productops.usecases.context import Actor


async def caller() -> Actor:
    """Whoever decided what this run is about to begin. Raises: ForbiddenError, SettingsError, OrchestratorError, StoreUnavailableError."""
    run_id = str(runtime.flow_run.id)
    try:
        async with get_client() as client:
            scheduled = bool((await client.read_flow_run(UUID(run_id))).auto_scheduled)
    except (httpx.HTTPError, PrefectException) as error:
        raise OrchestratorError(f"Prefect does not say whether run {run_id} is one of its schedule") from error
    return await asyncio.to_thread(
        governance_access_runs.caller_of_run, context(), run_id, scheduled=scheduled, prefect_role=settings().role_in_prefect
    )


async def by_automation() -> bool:
    """Whether an automation of Prefect started this run. Raises: OrchestratorError."""
    run_id = str(runtime.flow_run.id)
    try:
        async with get_client() as client:
            made = (await client.read_flow_run(UUID(run_id))).created_by
    except (httpx.HTTPError, PrefectException) as error:
        raise OrchestratorError(f"Prefect does not say who started run {run_id}") from error
    return made is not None and made.type == "AUTOMATION"


async def check_roll_back(release_id: str) -> None:
    """Refuse a run that would begin a roll back which its caller may not. Raises: ForbiddenError, NotFoundError."""
    if not await asyncio.to_thread(governance_access_runs.is_roll_back_decided, context(), release_id):
        who = await caller()
        await asyncio.to_thread(governance_access_runs.may_roll_back, context(), release_id, actor=who)
