"""What many tests need: a context on a real database, and an agent made by hand behind the store."""

from __future__ import annotations

import atexit
import functools
import shutil
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.catalog import ServiceSpec
from productops.domain.governance_access import MACHINE
from productops.domain.release import Environment
from productops.domain.traffic import Instance, InstanceState
from productops.errors import StoreUnavailableError
from productops.store import Store
from productops.store.identity import new_id
from productops.store.migrate import current, upgrade
from productops.usecases.context import Actor, Context
from productops.usecases.release_rollback import finish_rollbacks, lapse_lease

SOMEBODY = Actor(name="tester", origin="cli", principal=MACHINE)
PRODUCTION = Environment.PRODUCTION


class Silent:
    """A doorbell nobody hears."""

    def ring(self) -> None:
        return None


def service_spec(**rollout: object) -> ServiceSpec:
    """A service of two instances whose versions are folders; a canary of two short steps unless told otherwise."""
    defaults: dict[str, object] = {
        "canary": {"steps": [{"weight_pct": 20, "hold_s": 2.5}, {"weight_pct": 50, "hold_s": 2.5}]},
        "analysis": {"requests_min": 10, "warm_up_s": 0},
        "validate_s": 0.2,
    }
    return ServiceSpec.model_validate(
        {
            "run": {"command": ["serve", "{port}"], "versions": {"kind": "folder", "path": "{version}"}, "instances": 2},
            "rollout": defaults | rollout,
        }
    )


@functools.cache
def _sqlite_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="po-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    upgrade(sqlite_url(folder))
    with closing(sqlite3.connect(folder / "productops.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the one file holds everything
    return folder / "productops.db"


@functools.cache
def _postgres_template(server: URL) -> str:
    name = f"template_{uuid.uuid4().hex[:12]}"
    with _admin(server) as admin:
        admin.execute(text(f"CREATE DATABASE {name}"))
    upgrade(server.set(database=name).render_as_string(hide_password=False))
    return name


@contextmanager
def _admin(server: URL) -> Iterator[Connection]:
    engine = create_engine(server.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def migrated(url: str) -> None:
    """Bring an empty database to the newest schema by copying one: all migrations one after the other take seconds. Else as ``upgrade``."""
    where = make_url(url)
    if where.get_backend_name() == "sqlite":
        if where.database and not Path(where.database).exists():
            shutil.copyfile(_sqlite_template(), where.database)
    elif current(url) is None:
        template = _postgres_template(where.set(database=None))
        with _admin(where) as admin:
            admin.execute(text(f"DROP DATABASE {where.database} WITH (FORCE)"))
            admin.execute(text(f"CREATE DATABASE {where.database} TEMPLATE {template}"))
    upgrade(url)


def make_context(url: str, *, lease_ttl_s: float = 15.0) -> Context:
    """A migrated database with venture ``apollo``.

    Tests that wait for the end of a lease make it shorter; all others outlast a busy machine.
    """
    migrated(url)
    context = Context(store=Store(url), doorbell=Silent(), lease_ttl_s=lease_ttl_s)
    with context.store.write() as unit:
        unit.catalog.put_venture("apollo", title="", description="", author="tester", now=context.clock.now())
    return context


def add_service(context: Context, name: str = "shop", spec: ServiceSpec | None = None, *, live: str | None = None) -> None:
    """Put a service into the catalog; ``live`` is what users have already."""
    with context.store.write() as unit:
        now = context.clock.now()
        unit.catalog.put_service(name, venture="apollo", spec=spec or service_spec(), base="/nowhere", author="tester", now=now)
        if live:
            fence = unit.traffic.take(name, PRODUCTION, str(new_id()))
            unit.traffic.promote(name, PRODUCTION, fence=fence, version=live)
            unit.fleets.want(name, PRODUCTION, live, 2, now=now)


@dataclass(slots=True)
class HandMadeAgent:
    """Does to the store what the agent does, without a router: confirms, starts instances, counts traffic as told.

    ``failure_share`` maps a version to its failures per request; ``rate`` is requests a second of the whole service.
    """

    context: Context
    service: str = "shop"
    rate: int = 400
    failure_share: dict[str, float] = field(default_factory=dict)
    unhealthy: frozenset[str] = frozenset()
    measuring: bool = True
    enforcing: bool = True
    seconds_per_tick: float = 0.1
    _stop: threading.Event = field(default_factory=threading.Event)
    _beats: dict[str, tuple[int, float]] = field(default_factory=dict)
    _second: int = 0

    def run(self) -> None:
        self._second = int(time.time())
        while not self._stop.wait(0.02):
            with suppress(StoreUnavailableError):  # the real one goes on, too
                self._tick()

    def _tick(self) -> None:
        self._confirm()
        self._start_instances()
        if self.enforcing:
            self._enforce()
        if self.measuring and time.time() >= self._second + 1:
            self._count()

    def _confirm(self) -> None:
        with self.context.store.write() as unit:
            for target in unit.traffic.all():
                unit.traffic.confirm(target.service, target.environment, generation=target.generation, now=self.context.clock.now())
        finish_rollbacks(self.context, actor=Actor("agent", "agent", MACHINE))

    def _start_instances(self) -> None:
        with self.context.store.write() as unit:
            now = self.context.clock.now()
            for fleet in unit.fleets.all():
                have = unit.fleets.instances_of(fleet.service, fleet.environment, fleet.version)
                for instance in have[fleet.desired :]:
                    unit.fleets.set_instance(instance.id, now=now, state=InstanceState.STOPPED)
                if fleet.version in self.unhealthy:
                    if not fleet.failure:
                        unit.fleets.fail(fleet, f"{fleet.version} did not answer /healthz within 1 s", now=now)
                    continue
                for number in range(len(have), fleet.desired):
                    unit.fleets.add_instance(
                        Instance(
                            str(new_id()), fleet.service, fleet.environment, fleet.version, 9000 + number,
                            InstanceState.HEALTHY, 1, 1.0, 0, "", "", now,
                        )
                    )  # fmt: skip

    def _enforce(self) -> None:
        with self.context.store.read() as unit:
            targets = unit.traffic.all()
        for target in targets:
            if target.lease is None or not target.held:
                continue
            beat, since = self._beats.get(target.service, (-1, 0.0))
            if beat != target.lease.beat:
                self._beats[target.service] = (target.lease.beat, time.monotonic())
            elif time.monotonic() - since > target.lease.ttl_s:
                lapse_lease(self.context, target.service, target.environment, beat=beat, actor=Actor("agent", "agent", MACHINE))

    def _count(self) -> None:
        """One second of traffic, deterministic: failures are the share times the requests, rounded."""
        with self.context.store.write() as unit:
            target = unit.traffic.get(self.service, PRODUCTION)
            shares = {target.baseline_version: 100 - target.candidate_pct, target.candidate_version: target.candidate_pct}
            arms = {}
            for version, pct in shares.items():
                if version:
                    requests = self.rate * pct // 100
                    failures = round(requests * self.failure_share.get(version, 0.005))
                    latency = LatencyHistogram((5.0, 50.0), (requests * 95 // 100, requests - requests * 95 // 100))
                    arms[self.service, PRODUCTION, version] = ArmSecond(requests, failures, latency)
            unit.seconds.add(self._second, arms)
        self._second += 1


@contextmanager
def running(agent: HandMadeAgent) -> Iterator[HandMadeAgent]:
    """Run the agent in a thread for as long as the block lasts."""
    thread = threading.Thread(target=agent.run, daemon=True)
    thread.start()
    try:
        yield agent
    finally:
        agent._stop.set()
        thread.join(timeout=5)


def sqlite_url(folder: Path) -> str:
    """A database file in ``folder``."""
    return f"sqlite:///{folder / 'productops.db'}"
