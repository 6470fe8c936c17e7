"""``python -m engine.dispatcher``: runs flows in forks of a warm parent, a fifth of a second after they are scheduled.

Two processes: this one holds no thread and no connection, so that it can fork safely; its child, the listener, speaks to
Prefect and the store and passes on what it has claimed. A run goes on when either of them dies.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
from typing import Any

import structlog
from prefect.client.schemas.objects import FlowRun
from prefect.events.worker import EventsWorker
from prefect.filesystems import LocalFileSystem
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.logging.configuration import setup_logging
from prefect.logging.handlers import APILogWorker

from blocks.installation import context
from engine.deployments import load_flows
from engine.listener import listen
from productops.logs import set_up_logs
from productops.settings import Settings, load_settings
from productops.usecases.run_claims import note_process

log = structlog.get_logger("dispatcher")
# Imported late by Prefect, inside a run; a newer Prefect without one of them must be told here.
_LATE_MODULES = (
    "anyio._backends._asyncio",
    "encodings.idna",
    "prefect.concurrency.services",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "rich._emoji_codes",
)


def main() -> int:
    """Load the flows, start the listener, then fork for each line it writes."""
    settings = load_settings()
    set_up_logs(settings, program="dispatcher")
    flows = load_flows()
    for flow in flows.values():  # named here, so that no run asks the server where results go; ours persist none
        flow.result_storage = LocalFileSystem(basepath=str(settings.home / "prefect" / "results"))
    warm_up()
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
            if os.fork() == 0:
                os.close(lines.fileno())
                _run_and_exit(flows, line)
    log.error("the listener has gone; the supervisor starts both again")
    return 70


def warm_up() -> None:
    """Load what a run would load first, and keep the collector from touching (and so copying) it in every fork."""
    for name in _LATE_MODULES:
        importlib.import_module(name)
    setup_logging()
    context()  # opens no connection before it is used
    gc.collect()
    gc.freeze()


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


def _run_and_exit(flows: dict[str, Flow[..., Any]], line: str) -> None:
    """Body of a run's process: never returns."""
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    code = 1
    try:
        order = json.loads(line)
        run = FlowRun.model_validate(order["run"])
        os.environ["PREFECT__FLOW_RUN_ID"] = str(run.id)
        structlog.contextvars.bind_contextvars(flow_run_id=str(run.id))
        # Without its deployment Prefect does not watch this run for a suspension. A suspended process would let go of shifted traffic;
        # a release is paused and cancelled through our store, which it looks at all the time. It also saves a fifth of a second.
        run.deployment_id = None
        code = asyncio.run(_run(flows[order["flow"]], run, order["attempt"]))
        APILogWorker.drain_all(timeout=3)  # Prefect sends logs and the states of tasks from threads: what is queued goes out now
        EventsWorker.drain_all(timeout=10)
    except BaseException as error:  # noqa: BLE001 - the boundary of a process: say why it ends
        log.error("run ended with an error", reason=f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


async def _run(flow: Flow[..., Any], run: FlowRun, attempt: int) -> int:
    noted = asyncio.create_task(asyncio.to_thread(note_process, context(), str(run.id), attempt, pid=os.getpid()))
    state: Any = run_flow(flow, flow_run=run, parameters=run.parameters, return_type="state")
    if asyncio.iscoroutine(state):
        state = await state
    await noted
    return 0 if state is not None and state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main())
