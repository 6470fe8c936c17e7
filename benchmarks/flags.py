"""Flags: what an evaluation takes under load, and how soon clients hear of a change. ``python -m benchmarks.flags``.

Requests come at a fixed rate whatever the answers take (their latency counts from when they were due), on kept connections, by turns to
the API (100 flags with rules, segments and shares) and to the reference: a bare FastAPI application, on the same server, whose one route
answers a constant. What else the machine does falls on both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, percentile, show, write
from benchmarks.release.stack import BenchError
from productops.domain.catalog_flags import FlagSpec
from productops.domain.governance_access import MACHINE
from productops.domain.release import Environment
from productops.store import Store
from productops.store.migrate import upgrade
from productops.usecases.context import Actor, Context
from productops.usecases.release_flags_change import create_flag, ramp_flag

LOOPBACK = "127.0.0.1"
TOKEN = "benchmark-token-benchmark"
RATE = 500
CONNECTIONS = 16
FLAGS = 100
EVALUATION_BAR_MS = 5.0
PUSH_BAR_MS = 250.0
PRODUCTION = Environment.PRODUCTION
ME = Actor(name="benchmark", origin="cli", principal=MACHINE)


class Silent:
    """A doorbell nobody hears."""

    def ring(self) -> None:
        return None


@dataclass(frozen=True)
class Target:
    """Where requests go, and how they look there. Latencies are in milliseconds."""

    name: str
    port: int
    path: str

    def request(self, number: int) -> bytes:
        """The bytes of one request: another user and another flag each time."""
        context = {"targetingKey": f"user-{number * 7919 % 100_003}", "country": ("NZ", "DE", "US")[number % 3], "plan": "free"}
        body = json.dumps({"context": context}).encode()
        path = self.path.replace("{flag}", f"flag-{number % FLAGS:03}")
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n"
        return head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body


def make_flags(context: Context) -> None:
    """A third with a share, a third with rules, a third with nothing."""
    rules = {"if": [{"and": [{"==": [{"var": "plan"}, "free"]}, {"in": [{"var": "country"}, ["NZ", "AU"]]}]}, "on", None]}
    with context.store.write() as unit:
        unit.catalog.put_venture("bench", title="", description="", author="benchmark", now=context.clock.now())
    for number in range(FLAGS):
        spec = FlagSpec(owner="bench", targeting=rules if number % 3 == 1 else {})
        create_flag(context, f"flag-{number:03}", venture="bench", spec=spec, actor=ME)
        if number % 3 == 0:
            ramp_flag(context, f"flag-{number:03}", PRODUCTION, percent=number % 100 or 1, actor=ME, reason="")


@contextmanager
def process(command: Sequence[str], env: dict[str, str], port: int) -> Iterator[None]:
    """A server of its own, from when it answers until the block ends."""
    with subprocess.Popen(command, env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + 30
            while True:
                if running.poll() is not None or time.monotonic() > deadline:
                    raise BenchError(f"{' '.join(command[1:])} does not answer (exit code {running.returncode})")
                try:
                    socket.create_connection((LOOPBACK, port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield
        finally:
            running.terminate()
            running.wait(timeout=20)


def serve_bare(port: int) -> None:
    """The reference: what FastAPI and the server cost before anything of ours."""
    import uvicorn
    from fastapi import FastAPI
    from starlette.responses import Response

    app = FastAPI(docs_url=None, redoc_url=None)

    @app.post("/constant")
    async def constant() -> Response:
        return Response(b'{"value":true}', media_type="application/json")

    config = uvicorn.Config(app, host=LOOPBACK, port=port, loop="asyncio", http="h11", ws="none", log_config=None, access_log=False)
    uvicorn.Server(config).run()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send one request and read its answer; the status."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    await reader.readexactly(length)
    return int(head[9:12])


async def load(target: Target, *, rate: int, seconds: float) -> list[float]:
    """Latencies of requests that come ``rate`` a second. Each is answered 200, or the benchmark is wrong."""
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    taken: list[float] = []

    async def work() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, target.port)
        while True:
            due, request = await waiting.get()
            status = await ask(reader, writer, request)
            assert status == 200, (target, status)
            taken.append((time.perf_counter() - due) * 1000)
            waiting.task_done()

    workers = [asyncio.create_task(work()) for _ in range(CONNECTIONS)]
    began, count = time.perf_counter(), int(rate * seconds)
    for number in range(count):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        waiting.put_nowait((due, target.request(number)))
    done, _ = await asyncio.wait([asyncio.create_task(waiting.join()), *workers], timeout=30, return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.cancel()
    for ended in done:
        ended.result()
    return taken


def pushes(context: Context, port: int, count: int) -> list[float]:
    """Milliseconds from the commit of a change, made by this process, to the event at a client of the API."""
    taken = []
    with socket.create_connection((LOOPBACK, port), timeout=5) as client:
        client.sendall(f"GET /ofrep/v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode())
        heard = b""
        while b"retry:" not in heard:
            heard += client.recv(4096)
        for number in range(count):
            ramp_flag(context, "flag-000", PRODUCTION, percent=50 + number / count, actor=ME, reason="")
            committed, heard = time.perf_counter(), b""
            while b"refetchEvaluation" not in heard:
                heard += client.recv(4096)
            taken.append((time.perf_counter() - committed) * 1000)
            time.sleep(0.05 + 0.0037 * (number % 23))
    return taken


def measure(*, seconds: float, rounds: int, changes: int) -> tuple[list[Figure], dict[str, list[float]]]:
    """All figures, and the raw samples in milliseconds by name."""
    samples: dict[str, list[float]] = {"evaluation": [], "bare FastAPI": [], "push": []}
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="po-flags-")))
        ours, bare = _free_port(), _free_port()
        url = f"sqlite:///{home / 'productops.db'}"
        upgrade(url)
        context = Context(store=Store(url), doorbell=Silent(), lease_ttl_s=15.0)
        stack.callback(context.store.close)
        make_flags(context)
        env = {"HOME": str(home), "PORT_BASE": str(ours), "API_TOKEN": TOKEN, "DATABASE_URL": url}
        api_env = {f"PRODUCTOPS_{name}": value for name, value in env.items()}
        stack.enter_context(process([sys.executable, "-m", "productops.api"], api_env, ours))
        stack.enter_context(process([sys.executable, "-m", "benchmarks.flags", "--serve", str(bare)], {}, bare))
        api, reference = Target("evaluation", ours, "/ofrep/v1/evaluate/flags/{flag}"), Target("bare FastAPI", bare, "/constant")
        for target in (api, reference):
            asyncio.run(load(target, rate=RATE // 2, seconds=2.0))  # warm
        for _ in range(rounds):
            for target in (api, reference):
                samples[target.name] += asyncio.run(load(target, rate=RATE, seconds=seconds))
        samples["push"] = pushes(context, ours, changes)
    return figures_of(samples), samples


def figures_of(samples: dict[str, list[float]]) -> list[Figure]:
    """What the samples say."""
    ours, bare, push = samples["evaluation"], samples["bare FastAPI"], samples["push"]
    ours_p99, bare_p99 = percentile(ours, 0.99), percentile(bare, 0.99)
    how = f"{len(ours):,} requests, {RATE}/s, {FLAGS} flags, {CONNECTIONS} connections"
    reference = f"a bare FastAPI route: {bare_p99:.2f} ms"
    ratio = statistics.median(ours) / statistics.median(bare)
    return [
        Figure("OFREP evaluation, p99", ours_p99, "ms", EVALUATION_BAR_MS, False, reference, how),
        Figure("OFREP evaluation, median", statistics.median(ours), "ms", None, False, f"{statistics.median(bare):.2f} ms", how),
        Figure("evaluation against a bare FastAPI route", ratio, "×", None, False, "", "ratio of the medians"),
        Figure("push of a change, slowest", max(push), "ms", PUSH_BAR_MS, False, "", f"{len(push)} changes committed by another process"),
        Figure("push of a change, median", statistics.median(push), "ms"),
    ]


def run(*, quick: bool) -> list[Figure]:
    """Measure, show and write ``bench-results/flags.json``."""
    figures, samples = measure(seconds=1.0 if quick else 2.0, rounds=4 if quick else 15, changes=20 if quick else 100)
    write("flags", "flags", figures, {name: [round(each, 3) for each in values] for name, values in samples.items()})
    show("flags", figures)
    return figures


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """1 with ``--strict`` when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve_bare(arguments.serve)
        return 0
    missed = [figure for figure in run(quick=arguments.quick) if figure.met is False]
    return 1 if arguments.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
