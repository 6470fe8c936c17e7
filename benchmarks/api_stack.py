"""An API of its own for measurements: a database with a venture, services, a flag, an incident and some releases, and its server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.flags import LOOPBACK, TOKEN, Silent
from benchmarks.release.stack import BenchError
from productops.adapters.local_process import LocalProcessTarget
from productops.domain.catalog import ServiceSpec
from productops.domain.catalog_flags import FlagSpec
from productops.domain.governance_access import MACHINE
from productops.domain.release import Environment, Phase
from productops.store import Store
from productops.store.identity import new_id
from productops.store.migrate import upgrade
from productops.usecases.context import Actor, Context
from productops.usecases.incident import IncidentReport, report_incident
from productops.usecases.release_flags_change import create_flag
from productops.usecases.release_request import ReleaseWish, request_release

ME = Actor(name="benchmark", origin="cli", principal=MACHINE)
VERSIONS = ("0.9.0", "1.0.0", "1.1.0", "1.2.0", "2.0.0")
PRODUCTION = Environment.PRODUCTION


@dataclass(frozen=True)
class Served:
    """A running API."""

    url: str
    port: int
    context: Context


def service_spec() -> ServiceSpec:
    """A service whose versions are folders."""
    return ServiceSpec.model_validate(
        {"run": {"command": ["serve", "{port}"], "versions": {"kind": "folder", "path": "{version}"}, "instances": 2}}
    )


def make_context(url: str, home: Path) -> Context:
    """A context as the API's own, on a database that is brought up to date."""
    upgrade(url)
    home.mkdir(parents=True, exist_ok=True)
    return Context(store=Store(url), doorbell=Silent(), lease_ttl_s=15.0, target=LocalProcessTarget(home))


def furnish(context: Context, home: Path, *, services: tuple[str, ...] = ("storefront", "cart")) -> None:
    """The things that requests are about."""
    for version in VERSIONS:
        (home / "versions" / version).mkdir(parents=True, exist_ok=True)
    with context.store.write() as unit:
        now = context.clock.now()
        unit.catalog.put_venture("apollo", title="Apollo", description="", author="benchmark", now=now)
        for name in services:
            unit.catalog.put_service(name, venture="apollo", spec=service_spec(), base=str(home / "versions"), author="benchmark", now=now)
            fence = unit.traffic.take(name, PRODUCTION, str(new_id()))
            unit.traffic.promote(name, PRODUCTION, fence=fence, version="1.0.0")
            unit.fleets.want(name, PRODUCTION, "1.0.0", 2, now=now)
    create_flag(context, "new-checkout", venture="apollo", spec=FlagSpec(owner="benchmark"), actor=ME)
    report_incident(context, IncidentReport(title="Customers cannot pay", service=services[0]), actor=ME)
    ended = request_release(context, ReleaseWish(service=services[0], version="1.1.0"), actor=ME)
    with context.store.write() as unit:
        unit.releases.move(ended.id, Phase.FAILED, actor="benchmark", reason="an example", now=context.clock.now())
    request_release(context, ReleaseWish(service=services[-1], version="1.1.0"), actor=ME)


@contextmanager
def served(url: str, home: Path, port: int, **settings: str) -> Iterator[int]:
    """``python -m productops.api`` on a database, until the block ends; its process id."""
    env = {
        "PRODUCTOPS_HOME": str(home), "PRODUCTOPS_PORT_BASE": str(port), "PRODUCTOPS_API_TOKEN": TOKEN, "PRODUCTOPS_DATABASE_URL": url,
        "PRODUCTOPS_LOG_LEVEL": "ERROR", "PRODUCTOPS_REQUESTS_PER_S": "100000", "PRODUCTOPS_REQUESTS_BURST": "100000",
        "PRODUCTOPS_FAILED_AUTHENTICATIONS_PER_MIN": "1000000",
    } | settings  # fmt: skip
    with subprocess.Popen([sys.executable, "-m", "productops.api"], env=os.environ | env, stdout=subprocess.DEVNULL) as running:
        try:
            _await(running, f"http://{LOOPBACK}:{port}/readyz")
            httpx.get(f"http://{LOOPBACK}:{port}/openapi.json", timeout=60, trust_env=False)  # made once, at the first request
            yield running.pid
        finally:
            running.terminate()
            running.wait(timeout=30)


def _await(running: subprocess.Popen[bytes], url: str) -> None:
    """Raises: BenchError when it ended, or is not ready within two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise BenchError(f"the API ended with {running.returncode}")
        try:
            if httpx.get(url, timeout=10, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise BenchError(f"the API is not ready at {url}")
