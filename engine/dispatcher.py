"""``python -m engine.dispatcher``: runs flows in forks of a warm parent, a fifth of a second after they are scheduled.

Two processes: this one holds no thread and no connection, so that it can fork safely; its child, the listener, speaks to
Prefect and the store and passes on what it has claimed. A run goes on when either of them dies.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import importlib
import json
import os
import signal
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
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
from engine.deployments import DECLARED, load_flows
from engine.listener import listen
from engine.reporting import LATE, reporting_late
from engine.spans import record_run_spans, result_of, run_span
from productops import telemetry
from productops.errors import StoreUnavailableError
from productops.logs import set_up_logs
from productops.settings import Settings, load_settings
from productops.usecases.run_claims import note_process, owner_of
from tasks.claims import CLAIMED

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
    declared = _arguments().deployments
    settings = load_settings()
    set_up_logs(settings, program="dispatcher")
    owner = owner_of(settings.home, os.getpid())
    flows = load_flows(declared)
    for flow in flows.values():  # named here, so that no run asks the server where results go; ours persist none
        flow.result_storage = LocalFileSystem(basepath=str(settings.home / "prefect" / "results"))
    warm_up()
    reading, writing = os.pipe()
    listener = os.fork()
    if listener == 0:
        os.close(reading)
        _die_with_parent()
        _listen(settings, writing, owner=owner, declared=declared)
        os._exit(70)
    os.close(writing)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; the listener watches the runs' processes itself
    signal.signal(signal.SIGTERM, lambda *_: _stop(listener))
    signal.signal(signal.SIGINT, lambda *_: _stop(listener))
    with os.fdopen(reading) as lines:
        for line in lines:
            if os.fork() == 0:
                os.close(lines.fileno())
                _run_and_exit(flows, line, owner=owner)
    log.error("the listener has gone; the supervisor starts both again")
    return 70


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m engine.dispatcher", description="Runs the flows of the pool on this machine.")
    parser.add_argument("--deployments", type=Path, default=DECLARED, help="the file that declares them; default: our prefect.yaml")
    return parser.parse_args()


def warm_up() -> None:
    """Load what a run would load first, and keep the collector from touching (and so copying) it in every fork."""
    for name in _LATE_MODULES:
        importlib.import_module(name)
    setup_logging()
    _warm_store()
    gc.collect()
    gc.freeze()


def _warm_store() -> None:
    """What the first transaction of a process works out (mappings, statements, the server's version) is worked out here, once.

    No connection is left: a fork must not share one.
    """
    with suppress(StoreUnavailableError):  # it is needed in the forks only
        note_process(context(), "warm-up", 0, pid=os.getpid())
    context().store.close()


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


def _listen(settings: Settings, pipe: int, *, owner: str, declared: Path) -> None:
    (settings.home / "run").mkdir(parents=True, exist_ok=True)
    listen(settings, owner=owner, pipe=pipe, ready_file=str(settings.home / "run" / "dispatcher.ready"), declared=declared)


def _run_and_exit(flows: dict[str, Flow[..., Any]], line: str, *, owner: str) -> None:
    """Body of a run's process: never returns."""
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    code = 1
    try:
        order = json.loads(line)
        run = FlowRun.model_validate(order["run"])
        os.environ["PREFECT__FLOW_RUN_ID"] = os.environ[CLAIMED] = str(run.id)
        structlog.contextvars.bind_contextvars(flow_run_id=str(run.id))
        # Without its deployment Prefect does not watch this run for a suspension. A suspended process would let go of shifted traffic;
        # a release is paused and cancelled through our store, which it looks at all the time. It also saves a fifth of a second.
        run.deployment_id = None
        if not note_process(context(), str(run.id), order["attempt"], pid=os.getpid(), owner=owner):
            log.info("the claim of this run has passed to another process; this one ends")
            os._exit(0)
        record_run_spans()
        code = asyncio.run(_run(flows[order["flow"]], run))
        telemetry.flush()
        APILogWorker.drain_all(timeout=3)  # Prefect sends logs and the states of tasks from threads: what is queued goes out now
        EventsWorker.drain_all(timeout=10)
    except BaseException as error:  # noqa: BLE001 - the boundary of a process: say why it ends
        log.error("run ended with an error", reason=f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


async def _run(flow: Flow[..., Any], run: FlowRun) -> int:
    with run_span(flow.name, run) as span:
        async with reporting_late(run, flow.name) if flow.name in LATE else nullcontext():
            state: Any = run_flow(flow, flow_run=run, parameters=run.parameters, return_type="state")
            if asyncio.iscoroutine(state):
                state = await state
        span.put("cicd.pipeline.result", result_of(state))
        if state is None or not state.is_completed():
            span.fail(str(state.message or state.name) if state is not None else "no state")
    return 0 if state is not None and state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main())
