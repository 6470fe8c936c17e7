"""The processes of the stack: what runs, with which environment, how one sees that it works, in which order it ends."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from productops.adapters.prefect_auth import prefect_auth
from productops.cli.stack import prefect_database
from productops.cli.stack.environment import PROGRAM_FOLDER, bare_environment, our_environment, prefect_server_environment
from productops.cli.stack.prefect_environment import prefect_home
from productops.cli.stack.probes import Probe, file_probe, http_probe
from productops.errors import DependencyError
from productops.settings import Settings

if TYPE_CHECKING:
    from productops.adapters.connections import HAProxyConnection

# `python -m` with a patient garbage collector: what Prefect imports stays for good, and looking through it again and again is a quarter
# of the start (1.4 s of a core).
_PATIENT = "import gc, runpy; gc.set_threshold(100_000, 20, 20); runpy.run_module({!r}, run_name='__main__', alter_sys=True)"


class StopStage(IntEnum):
    """Stages of an orderly end, lowest first: who uses something ends before what it uses."""

    FLOWS = 0
    CONTROL = 1
    SERVERS = 2
    INSTANCES = 3
    DATABASE = 4


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits before a restart, in seconds: they double with each death in a row; ``stable_s`` of life ends the row."""

    first_s: float = 0.2
    longest_s: float = 10.0
    stable_s: float = 60.0
    at_once: bool = False

    def delay_s(self, deaths_in_row: int) -> float:
        """``deaths_in_row`` counts from 1; with ``at_once`` the first costs nothing."""
        doublings = deaths_in_row - (2 if self.at_once else 1)
        return 0.0 if doublings < 0 else min(self.longest_s, self.first_s * 2.0 ** min(doublings, 30))


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """One process. ``command`` is asked at each start; ``environment`` is all it gets; ``grace_s`` is between asking and killing.

    ``successor`` starts another one that takes over from the one that runs, where the program can do that.
    ``identity`` is (user id, group id) to run as, where that is not the caller's. ``early``: it does not use our database, and starts
    while that is being migrated.
    """

    name: str
    purpose: str
    command: Callable[[], Sequence[str]]
    environment: Mapping[str, str]
    folder: Path
    probe: Probe
    stop_stage: StopStage
    address: str = ""
    backoff: Backoff = field(default=Backoff())
    grace_s: float = 1.5
    stop_signal: signal.Signals = signal.SIGTERM
    identity: tuple[int, int] | None = None
    early: bool = False
    successor: Callable[[], Sequence[str]] | None = None


def stack_specs(settings: Settings) -> list[ProcessSpec]:
    """All of them; the slowest to start first."""
    ours = our_environment(settings)
    return [
        _prefect(settings),
        *_routers(settings),
        ProcessSpec(
            name="dispatcher",
            purpose="runs the flows",
            command=lambda: (sys.executable, "-c", _PATIENT.format("engine.dispatcher")),
            environment=ours,
            folder=PROGRAM_FOLDER,
            probe=file_probe(settings.home / "run" / "dispatcher.ready"),
            stop_stage=StopStage.FLOWS,
            grace_s=2.0,
        ),
        ProcessSpec(
            name="api",
            purpose="REST interface and console",
            command=_module("productops.api"),
            environment=ours,
            folder=PROGRAM_FOLDER,
            probe=http_probe(f"{settings.api_url}/healthz"),
            address=settings.api_url,
            stop_stage=StopStage.CONTROL,
        ),
        ProcessSpec(
            name="agent",
            purpose="moves traffic, keeps instances",
            command=_module("productops.agent"),
            environment=ours,
            folder=PROGRAM_FOLDER,
            probe=file_probe(settings.home / "run" / "agent.ready"),
            address=f"udp://127.0.0.1:{settings.doorbell_port}",
            stop_stage=StopStage.CONTROL,
        ),
        ProcessSpec(
            name="watch",
            purpose="looks for trouble, starts responses",
            command=_module("productops.agent.watch"),
            environment=ours,
            folder=PROGRAM_FOLDER,
            probe=file_probe(settings.home / "run" / "watch.ready"),
            stop_stage=StopStage.CONTROL,
            grace_s=3.0,
        ),
        ProcessSpec(
            name="logs",
            purpose="collects the output of instances",
            command=_module("productops.agent.monitoring_logs"),
            environment={name: value for name, value in ours.items() if prefect_auth(settings) not in value},  # it starts no flow
            folder=PROGRAM_FOLDER,
            probe=file_probe(settings.home / "run" / "logs.ready"),
            stop_stage=StopStage.CONTROL,
        ),
    ]


def _module(name: str) -> Callable[[], Sequence[str]]:
    return lambda: (sys.executable, "-m", name)


def _prefect(settings: Settings) -> ProcessSpec:
    def command() -> Sequence[str]:
        if importlib.util.find_spec("prefect") is None:
            raise DependencyError("Prefect is not installed: pip install 'productops[all]'")
        prefect_database.prepare(settings)
        where = ("--host", "127.0.0.1", "--port", str(settings.prefect_port))
        return (sys.executable, "-c", _PATIENT.format("prefect"), "server", "start", *where)

    return ProcessSpec(
        name="prefect",
        purpose="schedules and records flow runs, UI",
        command=command,
        environment=prefect_server_environment(settings),
        # Prefect reads .env, prefect.toml and pyproject.toml of the folder it runs in: there are none in its home.
        folder=prefect_home(settings),
        probe=http_probe(f"{settings.prefect_api_url}/health"),
        address=settings.prefect_ui_url,
        early=True,
        stop_stage=StopStage.SERVERS,
    )


def _routers(settings: Settings) -> list[ProcessSpec]:
    """The router that runs beside the stack; none where it is somebody else's. Raises: SettingsError."""
    chosen = settings.connections
    if chosen is None or not str(chosen).strip(". "):  # nothing chosen: the embedded Envoy, without loading what knows the others
        return [_router(settings)]
    from productops.adapters.connections import EnvoyConnection, HAProxyConnection, load_connections

    router = load_connections(settings).router
    if isinstance(router, EnvoyConnection):
        return [_router(settings)]
    return [_haproxy(settings, router)] if isinstance(router, HAProxyConnection) else []


def _haproxy(settings: Settings, chosen: HAProxyConnection) -> ProcessSpec:
    def command() -> Sequence[str]:
        from productops.adapters.haproxy import HAProxyRouter

        folder = chosen.folder or settings.home / "haproxy"
        router = HAProxyRouter(folder, port=settings.router_port, host=chosen.host, threads=chosen.threads, binary=chosen.binary)
        router.write_configuration()
        return router.command()

    return ProcessSpec(
        name="router",
        purpose="users' requests enter here",
        command=command,
        environment=bare_environment(settings),
        folder=settings.home,
        probe=file_probe((chosen.folder or settings.home / "haproxy") / "worker.sock"),
        address=f"http://127.0.0.1:{settings.router_port}",
        backoff=Backoff(first_s=0.02, longest_s=2.0, stable_s=5.0, at_once=True),
        early=True,
        stop_stage=StopStage.SERVERS,
    )


def _router(settings: Settings) -> ProcessSpec:
    def command() -> Sequence[str]:
        from productops.adapters.envoy import EnvoyRouter  # here: status and down need no router

        router = EnvoyRouter(settings.home / "router", port=settings.router_port, admin_port=settings.router_admin_port)
        router.write_bootstrap()
        return router.replaceable_command()

    def successor() -> Sequence[str]:
        from productops.adapters.envoy import EnvoyRouter

        return EnvoyRouter(settings.home / "router", port=settings.router_port, admin_port=settings.router_admin_port).successor_command()

    return ProcessSpec(
        name="router",
        purpose="users' requests enter here",
        command=command,
        environment=bare_environment(settings),
        folder=settings.home,
        probe=http_probe(f"http://127.0.0.1:{settings.router_admin_port}/ready"),
        address=f"http://127.0.0.1:{settings.router_port}",
        # Users wait while it is away: at once, again after 20 ms, and calmer only while it cannot start at all.
        backoff=Backoff(first_s=0.02, longest_s=2.0, stable_s=5.0, at_once=True),
        early=True,
        stop_stage=StopStage.SERVERS,
        successor=successor,
    )
