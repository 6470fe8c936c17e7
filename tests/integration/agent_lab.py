"""A real agent process, a real Envoy and real instances around a SQLite file; the tests play the flow."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from productops.adapters.doorbell import Doorbell
from productops.adapters.envoy import EnvoyRouter
from productops.cli.stack.ports import is_free, stack_ports
from productops.domain.catalog import ServiceSpec
from productops.domain.governance_access import MACHINE
from productops.domain.release import Environment, Release, Strategy
from productops.domain.strategies import Overrides
from productops.domain.traffic import Instance, TrafficTarget
from productops.settings import Settings
from productops.store import Store
from productops.usecases.context import Actor, Context
from productops.usecases.release_request import ReleaseWish, request_release
from productops.usecases.release_resume import claim_release
from productops.usecases.release_run import deploy_candidate, promote_candidate, settle_promotion
from tests.integration.envoy_support import LOOPBACK, Load, LoopThread, eventually
from tests.support import migrated

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = Environment.PRODUCTION
SOMEBODY = Actor(name="tester", origin="cli", principal=MACHINE)

# An HTTP/1.1 server of a few lines. The file behaviour.json beside it says how it behaves: delay_s, status, price, broken_health.
SERVER = """
import asyncio, json, pathlib, random, signal, sys, time, urllib.parse
HERE = pathlib.Path(__file__).parent
def behaviour():
    try:
        return json.loads((HERE / "behaviour.json").read_text())
    except (OSError, ValueError):
        return {}
async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode("latin-1")
            method, target, _ = head.split(" ", 2)
            url = urllib.parse.urlsplit(target)
            query = dict(urllib.parse.parse_qsl(url.query))
            now = behaviour()
            if url.path == "/healthz":
                status, body = (503 if now.get("broken_health") else 200), b"ok"
            else:
                await asyncio.sleep(float(query.get("delay", 0)) + now.get("delay_s", 0))
                status = now.get("status", 200)
                item = {"price": now.get("price", 10), "token": "t"}
                body = json.dumps({"item": item, "at": time.time(), "id": random.random()}).encode()
            lines = (f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(body)}", "", "")
            writer.write("\\r\\n".join(lines).encode() + (b"" if method == "HEAD" else body))
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()
asyncio.run(main())
"""


def free_settings(home: Path, **values: Any) -> Settings:
    """Settings on ports nobody uses."""
    while True:
        settings = Settings(
            home=home, catalog=home / "catalog", port_base=random.randrange(20_000, 31_000, 100), instance_ports=40, **values
        )
        ports = [settings.comparator_port, *range(settings.port_base + 10, settings.port_base + 40)]
        if all(is_free(port) for port in stack_ports(settings)) and all(_is_free(port) for port in ports):
            return settings


def _is_free(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) != 0


@dataclass
class AgentLab:
    """``start`` brings Envoy and an agent up; ``close`` ends every process it started, by its pid."""

    home: Path
    lease_ttl_s: float = 3.0
    region: str = ""
    settings: Settings = field(init=False)
    context: Context = field(init=False)
    router: EnvoyRouter = field(init=False)
    thread: LoopThread = field(init=False)
    envoy: subprocess.Popen[bytes] | None = None
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = free_settings(self.home, drain_timeout_s=10.0, stop_grace_s=1.0, lease_ttl_s=self.lease_ttl_s)
        migrated(self.settings.sqlalchemy_url)
        store = Store(self.settings.sqlalchemy_url)
        self.context = Context(store=store, doorbell=Doorbell(self.settings.doorbell_port), lease_ttl_s=self.lease_ttl_s)
        with store.write() as unit:
            unit.catalog.put_venture("apollo", title="", description="", author="tester", now=self.context.clock.now())
        self.router = EnvoyRouter(self.home / "router", port=self.settings.router_port, admin_port=self.settings.router_admin_port)
        self.thread = LoopThread()

    def start(self) -> None:
        """Envoy, then an agent."""
        self.router.write_bootstrap()
        with (self.home / "envoy.log").open("ab") as log:
            self.envoy = subprocess.Popen(self.router.command(), stdout=log, stderr=log)
        assert eventually(self.router.ready, within_s=20)
        self.start_agent()

    def start_agent(self, *, ready: bool = True) -> subprocess.Popen[bytes]:
        """Another agent; waits until it leads unless told otherwise."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PRODUCTOPS_", "PREFECT_"))}
        ours = {
            "HOME": str(self.home), "CATALOG": str(self.home / "catalog"), "PORT_BASE": str(self.settings.port_base),
            "INSTANCE_PORTS": "40", "LEASE_TTL_S": str(self.lease_ttl_s), "STOP_GRACE_S": "1", "REGION": self.region,
        }  # fmt: skip
        with self.log.open("ab") as log:
            agent = subprocess.Popen(
                [sys.executable, "-m", "productops.agent"], cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=environment | {f"PRODUCTOPS_{name}": value for name, value in ours.items()},
            )  # fmt: skip
        self.agents.append(agent)
        if ready:
            assert eventually(lambda: self.leader() == agent.pid, within_s=20), self.log.read_text()[-3000:]
        return agent

    @property
    def log(self) -> Path:
        """What the agents said."""
        return self.home / "agent.log"

    def leader(self) -> int:
        """Process id of the agent that says it is ready."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.home / "run" / "agent.ready").read_text())
        return 0

    def add_version(self, version: str, **behaviour: object) -> None:
        """A folder with a server; ``behaviour`` as its file says."""
        folder = self.home / "versions" / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "server.py").write_text(SERVER)
        self.behave(version, **behaviour)

    def behave(self, version: str, **behaviour: object) -> None:
        """Change how every instance of a version answers from now on."""
        import json

        folder = self.home / "versions" / version
        (folder / "behaviour.new").write_text(json.dumps(behaviour))
        (folder / "behaviour.new").replace(folder / "behaviour.json")

    def add_service(self, *, live: str = "1.0", instances: int = 2, route: Mapping[str, object] | None = None, **rollout: object) -> None:
        """Service ``shop`` with ``live`` serving users."""
        spec = ServiceSpec.model_validate(
            {
                "run": {
                    "command": ["{python}", "-S", "server.py", "{port}"],
                    "versions": {"kind": "folder", "path": str(self.home / "versions" / "{version}")},
                    "instances": instances,
                    "health": {"timeout_s": 10},
                },
                "route": dict(route or {}),
                "rollout": {"analysis": {"requests_min": 5, "warm_up_s": 0}, "validate_s": 0.2} | rollout,
            }
        )
        with self.context.store.write() as unit:
            now = self.context.clock.now()
            unit.catalog.put_service("shop", venture="apollo", spec=spec, base=str(self.home), author="tester", now=now)
        release = self.request(live, strategy=Strategy.CANARY)
        self.deploy(release)
        promote_candidate(self.context, release.id, actor=SOMEBODY)
        with self.context.store.write() as unit:
            from productops.domain.release import Phase

            unit.releases.move(release.id, Phase.VALIDATING, actor="tester", reason="", now=self.context.clock.now())
        settle_promotion(self.context, release.id, actor=SOMEBODY)
        assert eventually(lambda: self.target().confirmed, within_s=10)

    def request(self, version: str, *, strategy: Strategy | None = None, overrides: Overrides | None = None) -> Release:
        """A release of ``shop``, claimed."""
        wish = ReleaseWish(service="shop", version=version, strategy=strategy, overrides=overrides or Overrides())
        release = request_release(self.context, wish, actor=SOMEBODY)
        return claim_release(self.context, release.id, f"run-{release.id}")

    def deploy(self, release: Release) -> Release:
        """Its instances."""
        return deploy_candidate(self.context, release.id, actor=SOMEBODY)

    def target(self) -> TrafficTarget:
        """Desired traffic of ``shop``."""
        with self.context.store.read() as unit:
            return unit.traffic.get("shop", PRODUCTION)

    def instances(self, version: str) -> list[Instance]:
        """Instances of a version that have not stopped."""
        with self.context.store.read() as unit:
            return unit.fleets.instances_of("shop", PRODUCTION, version)

    def load(self, *, connections: int = 8, path: str = "/", pause_s: float = 0.0) -> Load:
        """Users of ``shop``."""
        return Load(self.thread, self.settings.router_port, host="shop.localhost", connections=connections, path=path, pause_s=pause_s)

    def close(self) -> None:
        """End the agents, Envoy and every instance."""
        for agent in self.agents:
            if agent.poll() is None:
                agent.send_signal(signal.SIGCONT)
                agent.terminate()
        for agent in self.agents:
            with contextlib.suppress(subprocess.TimeoutExpired):
                agent.wait(10)
            if agent.poll() is None:
                agent.kill()
                agent.wait()
        with self.context.store.read() as unit:
            pids = [i.pid for i in unit.fleets.instances() if i.pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.envoy is not None:
            self.envoy.kill()
            self.envoy.wait()
        self.router.close()
        self.context.store.close()
        self.thread.close()


@contextlib.contextmanager
def running_lab(home: Path, **values: Any) -> Iterator[AgentLab]:
    """A lab whose agent leads."""
    lab = AgentLab(home, **values)
    try:
        lab.start()
        yield lab
    finally:
        lab.close()
        time.sleep(0)
