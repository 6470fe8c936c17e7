"""Hears of runs: events at once, a poll for what an event missed; claims each run exactly once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import httpx
import psutil
import structlog
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.exceptions import PrefectException
from prefect.states import Cancelled, Crashed

from engine.deployments import DECLARED, POOL, register
from productops.agent.election import machine_name
from productops.domain.governance_access import MACHINE
from productops.domain.monitoring_processes import process_name
from productops.domain.release import Release
from productops.errors import ProductOpsError, StoreUnavailableError
from productops.settings import Settings
from productops.store import Store
from productops.store.runs import OpenRun
from productops.usecases import run_claims
from productops.usecases.catalog import form_choices
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_processes import ProcessBeats
from productops.usecases.release_reconcile import unstarted
from productops.usecases.release_request import start_release
from productops.usecases.release_resume import resume_orphans
from tasks.claims import attempt_of, end_of, has_run, history, put_end_back

log = structlog.get_logger("dispatcher")
EVENTS = ["prefect.flow-run.Scheduled", "prefect.flow-run.AwaitingRetry", "prefect.flow-run.Cancelling", "prefect.flow-run.Cancelled"]
POLL_CONNECTED_S = 5.0
POLL_ALONE_S = 1.0
HORIZON_S = 12.0
CANCEL_PATIENCE_S = 15.0
READY_EVERY_S = 30.0
RESUME_EVERY_S = 1.0
UNSTARTED_AFTER = timedelta(seconds=5)
"""The API tries for a shorter time than that."""
ASK_AGAIN_S = 60.0
START_WITHIN_S = 30.0
STARTS_AT_ONCE = 3
LOOK_AGAIN_S = 10.0
"""A run that stays in the state in which it was considered is considered again after this long, not at every poll."""
WORKER_PATIENCE = timedelta(seconds=30)
"""A worker that has called a run pending may take this long until the run's process claims it."""
TRY_FOR = timedelta(minutes=10)
"""A run whose processes die before they do anything is tried again for this long."""
AT_ONCE = 8
URGENT = frozenset({"rollback"})
"""Flows that wait for nothing: neither their turn nor room."""
COUNT_EVERY_S = 0.5
FORK_WITHIN_S = 0.3
DISPATCHER = Actor(name="dispatcher", origin="prefect", principal=MACHINE)


@dataclass(slots=True)
class Listener:
    """One per dispatcher. ``pipe`` is where claimed runs go, one JSON a line; ``owner`` names this dispatcher in the claims.

    ``starting``: the context in which late releases are started; its orchestrator may take its time, since nobody waits for an answer.
    ``runs_max``: how many of the forks of ``parent`` (pid) may live at the same time.
    """

    context: Context
    owner: str
    pipe: int
    ready_file: str
    declared: Path
    parent: int
    runs_max: int
    deployments: dict[str, str] = field(default_factory=dict)
    starting: Context | None = None
    choices: dict[str, list[str]] = field(default_factory=dict)
    connected: bool = False
    _shown_at: float = -1e9
    _pending: set[asyncio.Task[None]] = field(default_factory=set)
    _scheduled: set[UUID] = field(default_factory=set)
    _looked: dict[UUID, float] = field(default_factory=dict)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _ask_again: dict[str, float] = field(default_factory=dict)
    _starts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STARTS_AT_ONCE))
    _reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _passed_on: list[float] = field(default_factory=list)
    _counted: int = 0
    _counted_at: float = -1e9
    _cancelling: dict[UUID, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Until the process ends."""
        await asyncio.to_thread(run_claims.forget_unstarted, self.context, self.owner)
        await self._register()
        async with self._client() as client:
            await asyncio.gather(self._poll_forever(client), self._listen_forever(client), self._resume_forever(), self._start_forever())

    async def _register(self) -> None:
        """Until it succeeds: Prefect's server may still be starting."""
        while True:
            try:
                self.choices = await asyncio.to_thread(form_choices, self.context)
                self.deployments = await register(self.choices, file=self.declared)
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
            async with self._reads:
                run = await client.read_flow_run(run_id)
            await self._consider(client, run)

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

    async def _resume_forever(self) -> None:
        """A release whose flow died goes on in another run while its lease still lives."""
        while True:
            await asyncio.sleep(RESUME_EVERY_S)
            try:
                for release_id in await asyncio.to_thread(resume_orphans, self.context, actor=DISPATCHER):
                    log.info("release resumed", release_id=release_id)
            except ProductOpsError as error:
                log.info("orphans not looked for", reason=str(error)[:200])

    async def _start_forever(self) -> None:
        """A release that Prefect was too busy to take when it was asked for begins as soon as Prefect takes it."""
        while True:
            await asyncio.sleep(RESUME_EVERY_S)
            try:
                waiting = await asyncio.to_thread(unstarted, self.context, after=UNSTARTED_AFTER)
                await asyncio.gather(*(self._start(release) for release in waiting))
            except ProductOpsError as error:
                log.info("releases not started", reason=str(error)[:200])

    async def _start(self, release: Release) -> None:
        """Prefect is asked once in a while: a run it has taken may need some time to begin, and asking costs it as much as a new one."""
        now = time.monotonic()
        if now < self._ask_again.get(release.id, now):
            return
        async with self._starts:  # here, not in threads: those are needed for claims
            run_id = await asyncio.to_thread(start_release, self.starting or self.context, release)
        log.info("release started late", release_id=release.id, flow_run_id=run_id)
        self._ask_again = {key: at for key, at in self._ask_again.items() if at > now}
        self._ask_again[release.id] = time.monotonic() + (RESUME_EVERY_S if run_id is None else ASK_AGAIN_S)

    async def _waiting_runs(self, client: PrefectClient) -> list[FlowRun]:
        """Runs that are due, and those that a worker has called pending, which have no time to start any more."""
        ours = FlowRunFilterDeploymentId(any_=[UUID(d) for d in self.deployments])
        horizon = FlowRunFilterNextScheduledStartTime(before_=datetime.now(UTC) + timedelta(seconds=HORIZON_S))
        due = FlowRunFilter(deployment_id=ours, state=_in_state(StateType.SCHEDULED), next_scheduled_start_time=horizon)
        pending = FlowRunFilter(deployment_id=ours, state=_in_state(StateType.PENDING))
        return [*await client.read_flow_runs(flow_run_filter=due), *await client.read_flow_runs(flow_run_filter=pending)]

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
            if delay > HORIZON_S or self._looked_lately(run):
                return  # a later poll sees it
            if delay > 0:
                await asyncio.sleep(delay)
                run = await client.read_flow_run(run.id)
            if self.deployments[str(run.deployment_id)] in URGENT:
                await self._take(client, run)
                return
            async with self._turns:
                if await self._await_room():
                    run = await client.read_flow_run(run.id)
                await self._take(client, run)
        except BaseException:
            self._looked.clear()  # it was not looked at after all
            raise
        finally:
            self._scheduled.discard(run.id)

    def _looked_lately(self, run: FlowRun) -> bool:
        """Whether this state of the run was considered a moment ago; remembers that it is now."""
        now = time.monotonic()
        self._looked = {state: at for state, at in self._looked.items() if now - at < LOOK_AGAIN_S}
        state = run.state.id if run.state else run.id
        return self._looked.setdefault(state, now) != now

    async def _await_room(self) -> bool:
        """Wait until another process fits on this machine; True when that took time."""
        waited = False
        while self._busy() >= self.runs_max:
            waited = True
            await asyncio.sleep(0.2)
        self._passed_on.append(time.monotonic())
        return waited

    def _busy(self) -> int:
        """Runs with a process, and those that get one just now."""
        now = time.monotonic()
        if now - self._counted_at > COUNT_EVERY_S:
            with suppress(psutil.Error):
                self._counted = len(psutil.Process(self.parent).children()) - 1
            self._counted_at = now
        self._passed_on = [at for at in self._passed_on if at > self._counted_at - FORK_WITHIN_S]
        return self._counted + len(self._passed_on)

    async def _take(self, client: PrefectClient, run: FlowRun) -> None:
        if run.state is None or not _waits(run.state, now=datetime.now(UTC)):
            if run.state is not None and run.state.is_pending() and run.run_count:
                await put_end_back(client, run.id, await history(client, run.id))
            return
        attempt = attempt_of(await history(client, run.id)) if run.run_count else 1
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
        for dead in await asyncio.to_thread(run_claims.dead_runs, self.context, self.owner):
            if await self._bury(client, dead):
                await asyncio.to_thread(run_claims.mark_buried, self.context, dead.flow_run_id, dead.attempt)
            else:
                await asyncio.to_thread(run_claims.give_up_claim, self.context, dead)
        for run_id, since in list(self._cancelling.items()):
            if time.monotonic() - since > CANCEL_PATIENCE_S:
                await asyncio.to_thread(run_claims.kill_run, self.context, str(run_id))

    async def _bury(self, client: PrefectClient, dead: OpenRun) -> bool:
        """Say how the execution ended. False: it ended before it began, and the run is to be started again."""
        run_id = UUID(dead.flow_run_id)
        states = await history(client, run_id)
        self._cancelling.pop(run_id, None)
        if not states or attempt_of(states) > dead.attempt:
            return True
        if not has_run(states) and not await asyncio.to_thread(run_claims.has_begun, self.context, dead.flow_run_id):
            await self._bury_unbegun(client, run_id, states)
            return False
        if end_of(states) is not None:
            await put_end_back(client, run_id, states)
        elif states[-1].is_cancelling():
            await client.set_flow_run_state(run_id, Cancelled(message="cancelled"), force=True)
        else:
            await client.set_flow_run_state(run_id, Crashed(message="its process ended without a word"), force=True)
        return True

    async def _bury_unbegun(self, client: PrefectClient, run_id: UUID, states: list[State]) -> None:
        """Its process ended before it did anything: the run stays scheduled, unless that has happened for too long."""
        if states[-1].is_cancelling():
            await client.set_flow_run_state(run_id, Cancelled(message="cancelled"), force=True)
        elif not states[-1].is_final() and datetime.now(UTC) - states[0].timestamp > TRY_FOR:
            await client.set_flow_run_state(run_id, Crashed(message="its processes end before they do anything"), force=True)


def _write_all(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


def _in_state(kind: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=[kind]))


def _waits(state: State, *, now: datetime) -> bool:
    """Whether a run is to be executed; what a worker has called pending is left to it for a while."""
    if state.is_pending():
        return now - state.timestamp > WORKER_PATIENCE
    return state.is_scheduled()


def _leave(beats: ProcessBeats) -> NoReturn:
    """A clean end: nobody is to miss this dispatcher."""
    beats.end(within_s=1.0)
    os._exit(0)


def listen(settings: Settings, *, owner: str, pipe: int, ready_file: str, declared: Path = DECLARED) -> None:
    """Body of the listener process."""
    from productops.adapters.doorbell import Doorbell
    from productops.adapters.prefect_api import connect_prefect

    context = Context(
        store=Store(settings.sqlalchemy_url),
        doorbell=Doorbell(settings.doorbell_port),
        lease_ttl_s=settings.lease_ttl_s,
        orchestrator=connect_prefect(settings),
    )
    patient = connect_prefect(settings, timeout_s=START_WITHIN_S, patience_s=START_WITHIN_S / 2, at_once=STARTS_AT_ONCE)
    listener = Listener(
        context=context, owner=owner, pipe=pipe, ready_file=ready_file, declared=declared, parent=os.getppid(),
        runs_max=settings.flow_runs_max, starting=replace(context, orchestrator=patient),
    )  # fmt: skip
    beats = ProcessBeats(context, "dispatcher", process_name("dispatcher", machine_name(), settings.port_base))
    beats.start()
    signal.signal(signal.SIGTERM, lambda *_: _leave(beats))
    try:
        asyncio.run(listener.run())
    except StoreUnavailableError as error:
        log.error("listener ends", reason=str(error))
