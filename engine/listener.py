"""Hears of runs: events at once, a poll for what an event missed; claims each run exactly once."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import structlog
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.exceptions import PrefectException
from prefect.states import Cancelled, Crashed

from engine.deployments import POOL, register
from productops.errors import ProductOpsError, StoreUnavailableError
from productops.store import Store
from productops.usecases import run_claims
from productops.usecases.catalog import form_choices
from productops.usecases.context import Context

log = structlog.get_logger("dispatcher")
EVENTS = ["prefect.flow-run.Scheduled", "prefect.flow-run.AwaitingRetry", "prefect.flow-run.Cancelling", "prefect.flow-run.Cancelled"]
POLL_CONNECTED_S = 5.0
POLL_ALONE_S = 1.0
HORIZON_S = 12.0
CANCEL_PATIENCE_S = 15.0
READY_EVERY_S = 30.0


@dataclass(slots=True)
class Listener:
    """One per dispatcher. ``pipe`` is where claimed runs go, one JSON a line; ``owner`` names this dispatcher in the claims."""

    context: Context
    owner: str
    pipe: int
    ready_file: str
    deployments: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    connected: bool = False
    _shown_at: float = -1e9
    _pending: set[asyncio.Task[None]] = field(default_factory=set)
    _scheduled: set[UUID] = field(default_factory=set)
    _cancelling: dict[UUID, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Until the process ends."""
        await asyncio.to_thread(run_claims.forget_unstarted, self.context, self.owner)
        await self._register()
        async with self._client() as client:
            await asyncio.gather(self._poll_forever(client), self._listen_forever(client))

    async def _register(self) -> None:
        """Until it succeeds: Prefect's server may still be starting."""
        while True:
            try:
                self.choices = await asyncio.to_thread(form_choices, self.context)
                self.deployments = await register(self.choices)
                return
            except (httpx.HTTPError, PrefectException) as error:
                log.info("waiting for the Prefect server", reason=f"{type(error).__name__}: {error}"[:200])
                await asyncio.sleep(0.3)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[PrefectClient]:
        async with get_client() as client:
            yield client

    # ---- hearing

    async def _listen_forever(self, client: PrefectClient) -> None:
        while True:
            try:
                async with get_events_subscriber(filter=EventFilter(event=EventNameFilter(name=EVENTS)), reconnection_attempts=0) as events:
                    self.connected = True
                    self._say_ready()
                    async for event in events:
                        self._spawn(self._on_event(client, event))
            except Exception as error:  # noqa: BLE001 - a boundary: the websocket library's errors are many, and all mean: again
                log.info("events away, polling", reason=f"{type(error).__name__}: {error}"[:200])
            self.connected = False
            await asyncio.sleep(0.5)

    def _say_ready(self) -> None:
        with open(self.ready_file, "w", encoding="utf-8") as handle:
            handle.write(str(os.getpid()))

    async def _on_event(self, client: PrefectClient, event: Any) -> None:
        run_id = UUID(event.resource.id.rsplit(".", 1)[-1])
        ours = {f"prefect.deployment.{d}" for d in self.deployments}
        if not any(related.id in ours for related in event.related):
            return
        if event.event.endswith((".Cancelling", ".Cancelled")):
            await self._cancel(client, run_id)
        else:
            await self._consider(client, await client.read_flow_run(run_id))

    async def _poll_forever(self, client: PrefectClient) -> None:
        while True:
            try:
                for run in await self._waiting_runs(client):
                    self._spawn(self._consider(client, run))
                await self._bury_dead(client)
                await self._show_ready(client)
                if await asyncio.to_thread(form_choices, self.context) != self.choices:
                    await self._register()
            except (httpx.HTTPError, PrefectException, ProductOpsError) as error:
                log.info("poll failed", reason=f"{type(error).__name__}: {error}"[:200])
            await asyncio.sleep(POLL_CONNECTED_S if self.connected else POLL_ALONE_S)

    async def _waiting_runs(self, client: PrefectClient) -> list[FlowRun]:
        horizon = datetime.now(UTC).timestamp() + HORIZON_S
        return await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[UUID(d) for d in self.deployments]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING])),
                next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=datetime.fromtimestamp(horizon, UTC)),
            )
        )

    async def _show_ready(self, client: PrefectClient) -> None:
        """Tell Prefect twice a minute that somebody works the pool; else its UI calls every deployment not ready."""
        if time.monotonic() - self._shown_at < READY_EVERY_S:
            return
        self._shown_at = time.monotonic()
        await client.send_worker_heartbeat(POOL, worker_name=self.owner, heartbeat_interval_seconds=READY_EVERY_S)
        await client.get_scheduled_flow_runs_for_deployments([UUID(d) for d in self.deployments], limit=1)

    def _spawn(self, work: Any) -> None:
        async def guarded() -> None:
            try:
                await work
            except (httpx.HTTPError, PrefectException, ProductOpsError) as error:
                log.warning("run not handled now; the next poll will", reason=f"{type(error).__name__}: {error}"[:300])

        task = asyncio.get_running_loop().create_task(guarded())
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    # ---- taking

    async def _consider(self, client: PrefectClient, run: FlowRun) -> None:
        """Wait until a run is due, then claim it and pass it on."""
        if run.id in self._scheduled or str(run.deployment_id) not in self.deployments:
            return
        self._scheduled.add(run.id)
        try:
            due = run.next_scheduled_start_time or run.expected_start_time
            delay = due.timestamp() - time.time() if due else 0.0
            if delay > HORIZON_S:
                return  # a later poll sees it
            if delay > 0:
                await asyncio.sleep(delay)
                run = await client.read_flow_run(run.id)
            await self._take(run)
        finally:
            self._scheduled.discard(run.id)

    async def _take(self, run: FlowRun) -> None:
        if run.state is None or run.state.type not in {StateType.SCHEDULED, StateType.PENDING}:
            return
        attempt = run.run_count or 0
        if not await asyncio.to_thread(run_claims.claim_run, self.context, str(run.id), attempt, owner=self.owner):
            return
        line = json.dumps({"flow": self.deployments[str(run.deployment_id)], "attempt": attempt, "run": run.model_dump(mode="json")})
        _write_all(self.pipe, f"{line}\n".encode())

    # ---- ending

    async def _cancel(self, client: PrefectClient, run_id: UUID) -> None:
        """A cancelled release gives the baseline back at once; its process sees that and ends by itself."""
        run = await client.read_flow_run(run_id)
        release_id = run.parameters.get("release_id")
        await asyncio.to_thread(run_claims.cancel_release, self.context, str(run_id), str(release_id) if release_id else None)
        if run.state is not None and run.state.type is StateType.CANCELLING:
            self._cancelling.setdefault(run_id, time.monotonic())

    async def _bury_dead(self, client: PrefectClient) -> None:
        """Prefect keeps a run RUNNING for ever when its process is killed: tell it the truth."""
        dead = await asyncio.to_thread(run_claims.dead_runs, self.context, self.owner)
        for flow_run_id in dead:
            run = await client.read_flow_run(UUID(flow_run_id))
            kind = run.state.type if run.state else None
            if kind is StateType.CANCELLING:
                await client.set_flow_run_state(run.id, Cancelled(message="cancelled"), force=True)
            elif kind in {StateType.RUNNING, StateType.PENDING}:
                await client.set_flow_run_state(run.id, Crashed(message="its process ended without a word"), force=True)
            self._cancelling.pop(run.id, None)
            await asyncio.to_thread(run_claims.mark_buried, self.context, flow_run_id)
        for run_id, since in list(self._cancelling.items()):
            if time.monotonic() - since > CANCEL_PATIENCE_S:
                await asyncio.to_thread(run_claims.kill_run, self.context, str(run_id))


def _write_all(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


def listen(*, database_url: str, doorbell_port: int, lease_ttl_s: float, owner: str, pipe: int, ready_file: str) -> None:
    """Body of the listener process."""
    from productops.adapters.doorbell import Doorbell

    context = Context(store=Store(database_url), doorbell=Doorbell(doorbell_port), lease_ttl_s=lease_ttl_s)
    try:
        asyncio.run(Listener(context=context, owner=owner, pipe=pipe, ready_file=ready_file).run())
    except StoreUnavailableError as error:
        log.error("listener ends", reason=str(error))
