"""``python -m productops.agent``: the only writer of the router."""

# ruff: noqa: E402 - the collector is told first

from __future__ import annotations

import gc

# What is imported stays for good, and looking through it again and again is a fifth of the start; so is a batch of events, later.
gc.set_threshold(100_000, 20, 20)

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import structlog

from productops.adapters.connections import Connections, build_router, build_sources, build_target, load_connections
from productops.adapters.doorbell import Doorbell, ring_receiver
from productops.adapters.envoy import exposure_log
from productops.agent.comparator import Comparator
from productops.agent.election import Election, Identity, TermLoop, end_deposed, router_name
from productops.agent.exposures import ExposureTail
from productops.agent.fleets import FleetLoop
from productops.agent.meter import MeterLoop
from productops.agent.routes import Place
from productops.agent.state import AgentState
from productops.agent.traffic import TrafficLoop
from productops.errors import AgentDeposedError, ProductOpsError, StoreUnavailableError
from productops.logs import set_up_logs
from productops.ports import FencedRouter
from productops.settings import Settings, load_settings
from productops.store import Store
from productops.store.fenced import FencedStore
from productops.usecases.context import Context
from productops.usecases.monitoring_sources import source_threads
from productops.usecases.monitoring_traces_own import record_own_spans

log = structlog.get_logger("agent")
READ_S = 0.25
IDLE_READ_S = 1.0


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
        except AgentDeposedError:
            end_deposed()
        except Exception:
            log.exception("agent thread died", thread=name)
            os._exit(70)

    return run


def build(settings: Settings, connections: Connections, store: Store, router: FencedRouter) -> AgentState:
    """Wire an agent whose every write goes to ``store``."""
    target = build_target(settings, connections)
    context = Context(store=store, doorbell=Doorbell(settings.doorbell_port), lease_ttl_s=settings.lease_ttl_s, target=target)
    place = Place(region=settings.region, compare_port=settings.comparator_port)
    return AgentState(context=context, router=router, target=target, place=place)


def main() -> int:
    """Be elected, then run until SIGTERM, SIGINT or another agent's term."""
    settings = load_settings()
    set_up_logs(settings, program="agent")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        return serve(settings, stopping)
    except (ProductOpsError, OSError) as error:
        log.error("agent cannot start", reason=str(error))
        sys.stderr.write(f"error: {error}\n")
        return 75


def serve(settings: Settings, stopping: threading.Event) -> int:
    """One term, from the election to its end. Raises: RouterError when the router's folder cannot be written, SettingsError."""
    folder = settings.home / "router"
    connections = load_connections(settings)
    router = build_router(settings, connections)
    store = Store(settings.sqlalchemy_url)  # without a fence: the election itself
    record_own_spans("agent", lambda: store)
    mine = Election(store, router_name(folder), Identity.here(), latest_term=router.latest_term).campaign(stopping)
    if mine is None:
        return 0
    term = TermLoop(store, mine, stopping, on_deposed=end_deposed)
    threading.Thread(target=guard("term", term.run), name="term", daemon=True).start()
    router.claim(mine.term)
    state = build(settings, connections, FencedStore(settings.sqlalchemy_url, mine), router)
    state.stopping = stopping
    run_threads(state, settings, connections)
    term.resign()
    return 0


def run_threads(state: AgentState, settings: Settings, connections: Connections) -> None:
    """Enforce leases, start the threads, and sleep until told to stop."""
    comparator = Comparator(state, state.place.compare_port)
    fleets = FleetLoop(
        state, port_first=settings.port_base + 10, port_count=settings.instance_ports,
        drain_timeout_s=settings.drain_timeout_s, stop_grace_s=settings.stop_grace_s,
    )  # fmt: skip
    traffic = TrafficLoop(state)
    exposures = ExposureTail(settings.home / "router" / exposure_log.FILE)
    loops: dict[str, Callable[[], None]] = {
        "read": lambda: read_loop(state),
        "traffic": traffic.run,
        "records": traffic.record,
        "fleets": fleets.run,
        "meter": MeterLoop(state, retention_s=settings.metrics_retention_s, comparator=comparator, exposures=exposures).run,
        "comparator": comparator.run,
        "doorbell": lambda: hear_rings(state, settings.doorbell_port),
    }
    loops |= source_threads(state.context, build_sources(connections), state.stopping)
    with suppress(StoreUnavailableError):  # the threads wait for the store as long as it takes
        state.read_store()
        traffic.turn()  # a lease that lapsed while no agent was there ends before anything else begins
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


def hear_rings(state: AgentState, port: int) -> None:
    """A datagram means: read the store now. Its content does not matter. Without the port the store is read by the clock alone."""
    receiver = None
    while not state.stopping.is_set():
        if receiver is None:
            try:
                receiver = ring_receiver(port)
            except OSError as error:  # a former agent may hold it for another moment
                log.warning("nobody can ring", port=port, reason=str(error))
                state.stopping.wait(READ_S * 4)
                continue
            receiver.settimeout(0.5)
        with suppress(TimeoutError):
            receiver.recv(64)
            state.look.set()


if __name__ == "__main__":
    sys.exit(main())
