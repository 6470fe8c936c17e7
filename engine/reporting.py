"""Tells Prefect of a release beside the work, never before it: nothing that our store holds waits for what Prefect shows."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import httpx
import structlog
from prefect.client.base import ServerType
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.objects import Flow, FlowRun, State
from prefect.client.schemas.responses import SetStateStatus, StateAcceptDetails
from prefect.context import AsyncClientContext
from prefect.events import related
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

from tasks.rush import calm

log = structlog.get_logger("dispatcher")
LATE = frozenset({"release"})
"""Flows whose truth is in our store from their first step on: killed before Prefect heard of them, they are started again without harm."""
PATIENCE_S = 60.0
AGAIN_S = 1.0
Report = Callable[[], Awaitable[Any]]


class LateClient(PrefectClient):
    """What the engine asks and says of its own run: answered here at once, passed on in order once Prefect has time.

    Prefect's answers to what is passed on change nothing: who may carry a run out was settled by our claim.
    """

    def __init__(self, run: FlowRun) -> None:
        super().__init__(
            PREFECT_API_URL.value(), auth_string=PREFECT_API_AUTH_STRING.value(), httpx_settings=_light(), server_type=ServerType.SERVER
        )  # fmt: skip
        self._run = run
        self._reports: list[Report] = []
        self._reporter: asyncio.Task[None] | None = None

    async def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        """Its own run as it was passed on by the listener; any other from the server."""
        return self._run if flow_run_id == self._run.id else await super().read_flow_run(flow_run_id)

    async def update_flow_run(self, flow_run_id: UUID, *_: Any, **__: Any) -> httpx.Response:
        """The engine repeats here what the server knows from the deployment."""
        return httpx.Response(204, request=httpx.Request("PATCH", f"{self.api_url}flow_runs/{flow_run_id}"))

    async def set_flow_run_name(self, flow_run_id: UUID, name: str) -> httpx.Response:
        """Passed on later."""
        name_it = super().set_flow_run_name
        self._report(lambda: name_it(flow_run_id, name))
        return await self.update_flow_run(flow_run_id)

    async def set_flow_run_state(self, flow_run_id: UUID | str, state: State[Any], force: bool = False) -> OrchestrationResult[Any]:  # noqa: FBT001, FBT002 - as Prefect's own
        """Accepted; passed on later."""
        pass_on = super().set_flow_run_state
        told = state.model_copy(update={"timestamp": datetime.now(UTC)})
        self._report(lambda: pass_on(flow_run_id, told, force=force))
        return OrchestrationResult(state=told, status=SetStateStatus.ACCEPT, details=StateAcceptDetails())

    def _report(self, report: Report) -> None:
        self._reports.append(report)
        if self._reporter is None or self._reporter.done():
            self._reporter = asyncio.get_running_loop().create_task(self._pass_on())

    async def _pass_on(self) -> None:
        await calm()
        while self._reports:
            await _insist(self._reports[0])
            self._reports.pop(0)

    async def settle(self) -> None:
        """Let everything reach Prefect, or give up after a minute each."""
        while self._reporter is not None and not self._reporter.done():
            await self._reporter


def _light() -> dict[str, Any]:
    """Certificates take a twentieth of a second to load; a context without any trusts nobody, which plain HTTP does not need."""
    return {} if PREFECT_API_URL.value().startswith("https") else {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}


async def _insist(report: Report) -> None:
    """Until Prefect takes it; a server that is away for longer than a minute never hears of it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            await report()
            return
        except (httpx.HTTPError, PrefectException, OSError) as error:
            refused = isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500
            if refused or time.monotonic() > deadline:
                log.warning("Prefect was not told", reason=f"{type(error).__name__}: {error}"[:300])
                return
        await asyncio.sleep(AGAIN_S)


@asynccontextmanager
async def reporting_late(run: FlowRun, flow_name: str) -> AsyncIterator[None]:
    """Prefect's engine within the block waits for nothing but our store; afterwards Prefect has been told everything."""
    # What every event of a task names beside its run: known here, and so not asked of the server by each process.
    run.work_queue_id = run.work_pool_name = None
    flow = Flow(id=run.flow_id, name=flow_name, labels={})
    related.RESOURCE_CACHE[f"flow.{run.flow_id}"] = ({"kind": "flow", "role": "flow", "object": flow}, cast("Any", datetime.now(UTC)))
    client = LateClient(run)
    context = AsyncClientContext(_light())
    context.client = client
    context._httpx_settings = None  # noqa: SLF001 - whoever asks for a client without settings of its own is to get this one
    async with context:
        try:
            yield
        finally:
            await client.settle()
