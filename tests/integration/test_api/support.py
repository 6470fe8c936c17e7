"""A served API, an orchestrator made by hand, and releases carried out without Prefect."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from productops.adapters.local_process import LocalProcessTarget
from productops.api.app import create_app
from productops.api.server import listen, make_server
from productops.api.streams import Streams
from productops.domain.analysis import Verdict
from productops.domain.catalog import ServiceSpec
from productops.domain.governance_access import Grant
from productops.domain.release import Cause, Phase, Release
from productops.errors import ConflictError, OrchestratorError
from productops.settings import Settings
from productops.store import Store
from productops.usecases import release_judge, release_resume, release_rollback, release_run
from productops.usecases.context import Context
from productops.usecases.governance_access import Holder, give
from productops.usecases.governance_access_tokens import TokenWish, create_token
from tests.support import PRODUCTION, SOMEBODY, Silent, make_context, service_spec, sqlite_url

OPS = "/api/v1/product-ops"
DEPLOYMENTS = "/api/v1/deployment-ops/deployments"
VERSIONS = ("0.9", "1.0", "2.0", "3.0")
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loads no certificates, which takes 0.1 s for each client
TOKEN = "a-token-for-tests-only"


@dataclass
class HandMadeOrchestrator:
    """Gives every release one run, as the real one does; ``away`` makes it fail."""

    away: bool = False
    broken: bool = False
    releases: dict[str, Mapping[str, object]] = field(default_factory=dict)
    rollbacks: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def start_release(self, release_id: str, parameters: Mapping[str, object], *, attempt: int = 0) -> str:
        self._check()
        self.releases[release_id] = parameters
        return f"run-of-{release_id}" + (f"-{attempt}" if attempt else "")

    def start_rollback(self, parameters: Mapping[str, object], *, key: str) -> str:
        self._check()
        self.rollbacks[key] = parameters
        return f"run-of-{key}"

    def run_url(self, flow_run_id: str) -> str:
        return f"http://prefect.test/runs/flow-run/{flow_run_id}"

    def _check(self) -> None:
        if self.away:
            raise OrchestratorError("Prefect did not answer")
        if self.broken:
            raise RuntimeError("the inside, which nobody may see")


@dataclass(frozen=True)
class Served:
    """A running API with the context behind it and a client that carries the token."""

    context: Context
    settings: Settings
    orchestrator: HandMadeOrchestrator
    client: httpx.Client
    versions: Path
    streams: Streams

    @property
    def url(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def ask(self, version: str = "2.0", *, key: str | None = None, **body: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.client.post(f"{OPS}/release/{version}", json={"service": "shop"} | body, headers=headers)

    def asked(self, version: str = "2.0", **body: Any) -> str:
        """The id of a release that was asked for."""
        answer = self.ask(version, **body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def stored(self, release_id: str) -> Release:
        with self.context.store.read() as unit:
            return unit.releases.get(release_id)

    def move(self, release_id: str, *phases: Phase) -> None:
        """Move a release along the way, as its flow would."""
        for phase in phases:
            with self.context.store.write() as unit:
                unit.releases.move(release_id, phase, actor="flow", reason=f"became {phase}", now=self.context.clock.now())


def free_ports(count: int = 8) -> int:
    """The first of ``count`` ports in a row that nobody listens on."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        if first < 65_000 and all(_is_free(port) for port in range(first, first + count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def make_template(folder: Path) -> Path:
    """A migrated database with service ``shop`` (versions 0.9 to 3.0 exist as folders), live with 1.0; copied for each test."""
    context = make_context(sqlite_url(folder))
    for version in VERSIONS:
        (folder / "versions" / version).mkdir(parents=True)
    put_service(context, folder / "versions", live="1.0")
    context.store.close()
    with closing(sqlite3.connect(folder / "productops.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the one file holds everything
    return folder


def prepare(template: Path, folder: Path) -> tuple[Context, Settings, HandMadeOrchestrator]:
    """A context on a copy of the template's database."""
    home = folder / "home"
    home.mkdir()
    shutil.copy(template / "productops.db", folder / "productops.db")
    settings = Settings(home=home, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder))  # type: ignore[arg-type]
    orchestrator = HandMadeOrchestrator()
    context = Context(
        store=Store(settings.sqlalchemy_url), doorbell=Silent(), lease_ttl_s=3.0, target=LocalProcessTarget(home),
        orchestrator=orchestrator, analytics_folder=settings.analytics_folder,
    )  # fmt: skip
    return context, settings, orchestrator


def put_service(context: Context, base: Path, *, name: str = "shop", spec: ServiceSpec | None = None, live: str | None = None) -> None:
    with context.store.write() as unit:
        now = context.clock.now()
        unit.catalog.put_service(name, venture="apollo", spec=spec or service_spec(), base=str(base), author="tester", now=now)
        if live:
            fence = unit.traffic.take(name, PRODUCTION, "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11")
            unit.traffic.promote(name, PRODUCTION, fence=fence, version=live)
            unit.fleets.want(name, PRODUCTION, live, 2, now=now)


@contextmanager
def serving(context: Context, settings: Settings) -> Iterator[FastAPI]:
    """Run the real server in a thread for as long as the block lasts."""
    app = create_app(context, settings)
    server = make_server(app)
    listening = listen(settings.host, settings.api_port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    try:
        yield app
    finally:
        server.should_exit = True
        thread.join(timeout=30)  # the process that sorts events in may take ten to end
        listening.close()
        assert not thread.is_alive()


def wait_until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def client_of(settings: Settings, token: str | None = TOKEN) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=settings.api_url, headers=headers, timeout=20, trust_env=False, verify=NO_TLS)


def carry_out(context: Context, release_id: str) -> Release:
    """What flows/release.py tells, without Prefect; needs a running HandMadeAgent."""
    release = release_resume.claim_release(context, release_id, f"run-of-{release_id}")
    release_run.deploy_candidate(context, release.id, actor=SOMEBODY)
    for index in range(len(release.steps)):
        release_run.shift_traffic(context, release.id, index, actor=SOMEBODY)
        outcome = release_judge.hold_step(context, release.id, index, actor=SOMEBODY)
        if not outcome.proceed:
            cause = Cause.VERDICT if outcome.verdict is Verdict.FAILED else Cause.INCONCLUSIVE
            release_rollback.give_baseline_back(context, release.id, cause=cause, reason=outcome.reason, actor=SOMEBODY)
            return release_rollback.await_rolled_back(context, release.id, timeout=timedelta(seconds=10))
    release_run.promote_candidate(context, release.id, actor=SOMEBODY)
    release_judge.validate_promotion(context, release.id, actor=SOMEBODY)
    return release_run.settle_promotion(context, release.id, actor=SOMEBODY)


def person_token(context: Context, name: str, *grants: Grant, kind: str = "person", **wish: Any) -> str:
    """A token of somebody who was granted this, and who is made when there is nobody of that name."""
    for grant in grants:
        with suppress(ConflictError):  # granted before
            give(context, Holder(name, kind), grant, actor=SOMEBODY)
    return create_token(context, TokenWish("for a test", owner=name, **wish), actor=SOMEBODY).secret


def events_in(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The events of a stream; comments come as ``{"comment": …}``."""
    event: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line == "" and "data" in event:
            yield event | json.loads(event["data"])
            event = {}
        elif line.startswith(":"):
            yield {"comment": line}
        elif name in {"id", "event", "data"}:
            event[name] = value
