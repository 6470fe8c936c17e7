"""``python -m productops.agent``: the only writer of the router."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import structlog

from productops.adapters.doorbell import Doorbell, ring_receiver
from productops.adapters.envoy import EnvoyRouter
from productops.adapters.local_process import LocalProcessTarget
from productops.agent.fleets import FleetLoop
from productops.agent.meter import MeterLoop
from productops.agent.state import AgentState
from productops.agent.traffic import TrafficLoop
from productops.errors import ConflictError, ProductOpsError, StoreUnavailableError
from productops.logs import set_up_logs
from productops.settings import Settings, load_settings
from productops.store import Store
from productops.usecases.context import Context

log = structlog.get_logger("agent")
READ_S = 0.25
IDLE_READ_S = 1.0


def take_lock(folder: Path) -> IO[str]:
    """Be the one agent of a router's folder. Raises: ConflictError when another lives."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = (folder / "agent.lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise ConflictError(f"another agent writes the router in {folder}; two would undo each other's work") from error
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle


def read_loop(state: AgentState) -> None:
    """Read the store whenever somebody rings, and up to four times a second anyway."""
    while not state.stopping.is_set():
        try:
            state.read_store()
            state.fleet_work.set()
        except StoreUnavailableError as error:
            log.warning("store unreadable", reason=str(error))
            state.news.set()
            state.stopping.wait(0.2)
        state.look.wait(READ_S if state.busy else IDLE_READ_S)
        state.look.clear()


def guard(name: str, work: Callable[[], None]) -> Callable[[], None]:
    """A thread that dies ends the process: the supervisor starts a whole agent again, and half of one is worse than none."""

    def run() -> None:
        try:
            work()
        except Exception:
            log.exception("agent thread died", thread=name)
            os._exit(70)

    return run


def build(settings: Settings) -> AgentState:
    """Wire an agent."""
    router = EnvoyRouter(settings.home / "router", port=settings.router_port, admin_port=settings.router_admin_port)
    target = LocalProcessTarget(settings.home)
    context = Context(
        store=Store(settings.sqlalchemy_url), doorbell=Doorbell(settings.doorbell_port), lease_ttl_s=settings.lease_ttl_s, target=target
    )
    return AgentState(context=context, router=router, target=target)


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    settings = load_settings()
    set_up_logs(settings, program="agent")
    try:
        lock = take_lock(settings.home / "router")
        receiver = ring_receiver(settings.doorbell_port)
    except (ProductOpsError, OSError) as error:
        log.error("agent cannot start", reason=str(error))
        sys.stderr.write(f"error: {error}\n")
        return 75
    state = build(settings)
    run_threads(state, settings, receiver)
    lock.close()
    return 0


def run_threads(state: AgentState, settings: Settings, receiver: socket.socket) -> None:
    """Start the threads and sleep until told to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: state.stopping.set())
    fleets = FleetLoop(
        state, port_first=settings.port_base + 10, port_count=settings.instance_ports,
        drain_timeout_s=settings.drain_timeout_s, stop_grace_s=settings.stop_grace_s,
    )  # fmt: skip
    traffic = TrafficLoop(state)
    loops: dict[str, Callable[[], None]] = {
        "read": lambda: read_loop(state),
        "traffic": traffic.run,
        "records": traffic.record,
        "fleets": fleets.run,
        "meter": MeterLoop(state, retention_s=settings.metrics_retention_s).run,
        "doorbell": lambda: hear_rings(state, receiver),
    }
    threads = [threading.Thread(target=guard(name, work), name=name, daemon=True) for name, work in loops.items()]
    for thread in threads:
        thread.start()
    if state.fresh.wait(30):
        (settings.home / "run").mkdir(parents=True, exist_ok=True)
        (settings.home / "run" / "agent.ready").write_text(str(os.getpid()))
    log.info("agent ready", router=settings.router_port)
    state.stopping.wait()
    for event in (state.news, state.look, state.fleet_work, state.fresh):
        event.set()
    for thread in threads:
        thread.join(timeout=2)


def hear_rings(state: AgentState, receiver: socket.socket) -> None:
    """A datagram means: read the store now. Its content does not matter."""
    receiver.settimeout(0.5)
    while not state.stopping.is_set():
        try:
            receiver.recv(64)
        except TimeoutError:
            continue
        state.look.set()


if __name__ == "__main__":
    sys.exit(main())
