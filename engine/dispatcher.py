"""``python -m engine.dispatcher``: runs flows in forks of a warm parent, a fifth of a second after they are scheduled.

Two processes: this one holds no thread and no connection, so that it can fork safely; its child, the listener, speaks to
Prefect and the store and passes on what it has claimed. A run goes on when either of them dies.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
from typing import Any

import structlog
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.logging.configuration import setup_logging
from prefect.logging.handlers import APILogWorker

from engine.deployments import load_flows
from engine.listener import listen
from productops.logs import set_up_logs
from productops.settings import Settings, load_settings

log = structlog.get_logger("dispatcher")


def main() -> int:
    """Load the flows, start the listener, then fork for each line it writes."""
    settings = load_settings()
    set_up_logs(settings, program="dispatcher")
    flows = load_flows()
    reading, writing = os.pipe()
    listener = os.fork()
    if listener == 0:
        os.close(reading)
        _die_with_parent()
        _listen(settings, writing)
        os._exit(70)
    os.close(writing)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; the listener watches the runs' processes itself
    signal.signal(signal.SIGTERM, lambda *_: _stop(listener))
    signal.signal(signal.SIGINT, lambda *_: _stop(listener))
    with os.fdopen(reading) as lines:
        for line in lines:
            flow_run_id, attempt = line.split()
            if os.fork() == 0:
                os.close(lines.fileno())
                _run_and_exit(flows, flow_run_id, int(attempt))
    log.error("the listener has gone; the supervisor starts both again")
    return 70


def _stop(listener: int) -> None:
    """End the listener and this process; runs in progress keep their own."""
    try:
        os.kill(listener, signal.SIGTERM)
    finally:
        os._exit(0)


def _die_with_parent() -> None:
    """On Linux the kernel ends the listener with its parent; elsewhere the broken pipe does at the next run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _listen(settings: Settings, pipe: int) -> None:
    (settings.home / "run").mkdir(parents=True, exist_ok=True)
    listen(
        database_url=settings.sqlalchemy_url,
        doorbell_port=settings.doorbell_port,
        lease_ttl_s=settings.lease_ttl_s,
        owner=f"{socket.gethostname()}:{settings.home}#{os.getppid()}"[-120:],
        pipe=pipe,
        ready_file=str(settings.home / "run" / "dispatcher.ready"),
    )


def _run_and_exit(flows: dict[str, Flow[..., Any]], flow_run_id: str, attempt: int) -> None:
    """Body of a run's process: never returns."""
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    code = 1
    try:
        os.environ["PREFECT__FLOW_RUN_ID"] = flow_run_id
        setup_logging()
        code = asyncio.run(_run(flows, flow_run_id, attempt))
        await_logs()
    except BaseException as error:  # noqa: BLE001 - the boundary of a process: say why it ends
        log.error("run ended with an error", flow_run_id=flow_run_id, reason=f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def await_logs() -> None:
    """Prefect sends logs from a thread; what is still queued goes out now."""
    APILogWorker.drain_all(timeout=3)


async def _run(flows: dict[str, Flow[..., Any]], flow_run_id: str, attempt: int) -> int:
    from uuid import UUID

    from blocks.installation import context
    from productops.usecases.run_claims import note_process

    await asyncio.to_thread(note_process, context(), flow_run_id, attempt, pid=os.getpid())
    structlog.contextvars.bind_contextvars(flow_run_id=flow_run_id)
    async with get_client() as client:
        run = await client.read_flow_run(UUID(flow_run_id))
        flow = await client.read_flow(run.flow_id)
    state: Any = run_flow(flows[flow.name], flow_run=run, parameters=run.parameters, return_type="state")
    if asyncio.iscoroutine(state):
        state = await state
    return 0 if state is not None and state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main())
