"""The router: how fast a switch of weights is confirmed, and what it adds to a request. ``python -m benchmarks.router``.

Requests run on kept connections, by turns to the instance itself (the reference, ``direct``), through an Envoy that only passes them on
(``bare Envoy``) and through the router, so that whatever else the machine does falls on all alike: at a fixed rate, where processes
sleep in between and each hop pays for waking up with cold caches, and without a pause, where only the work is left.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from productops.adapters.envoy import EnvoyRouter
from productops.adapters.envoy.router import find_envoy
from productops.domain.release import Environment
from productops.domain.routing import Endpoint, ServiceRoute

LOOPBACK = "127.0.0.1"
SWITCH = "weight change confirmed, 1 service"
SWITCH_BAR_MS = 25.0
OVERHEAD_BAR_US = 150.0


@dataclass(frozen=True)
class Row:
    """One line of the table: latencies in milliseconds; ``ratio_to`` names the line this one is compared with."""

    name: str
    samples_ms: Sequence[float]
    ratio_to: str = ""

    def percentile(self, share: float) -> float:
        """Latency below which ``share`` of the samples lie."""
        ordered = sorted(self.samples_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class _Instance(asyncio.Protocol):
    """Answers every request at once, health checks too."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" * data.count(b"\r\n\r\n"))


async def serve(port: int) -> None:
    """An instance, until the process is ended."""
    server = await asyncio.get_running_loop().create_server(_Instance, LOOPBACK, port)
    await server.serve_forever()


class Connection:
    """One kept connection that asks and waits for the answer."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask_ms(self) -> float:
        """Milliseconds until the answer was complete."""
        started = time.perf_counter()
        self._socket.sendall(b"GET / HTTP/1.1\r\nhost: bench0.localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\nok"):
            answer += self._socket.recv(4096)
        taken_ms = (time.perf_counter() - started) * 1000
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return taken_ms

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def routes(services: int, port: int, pct: int, generation: int) -> list[ServiceRoute]:
    """``services`` services, the first with a candidate at ``pct`` percent."""
    fleets = {version: (Endpoint(LOOPBACK, port),) for version in ("1.0.0", "1.1.0")}
    return [
        ServiceRoute(
            service=f"bench{i}",
            environment=Environment.PRODUCTION,
            hosts=(f"bench{i}.localhost",),
            generation=generation if i == 0 else 1,
            baseline_version="1.0.0",
            candidate_version="1.1.0",
            candidate_pct=pct if i == 0 else 0,
            header_only=False,
            fleets=dict(fleets),
        )
        for i in range(services)
    ]


def switches(router: EnvoyRouter, port: int, *, services: int, count: int) -> list[float]:
    """Milliseconds from ``apply`` to Envoy's confirmation, for ``count`` weight changes at 50 a second."""
    router.apply(routes(services, port, 1, 1))
    router.apply(routes(services, port, 1, 1))
    samples = []
    for number in range(count):
        wanted = routes(services, port, 2 + number % 98, number + 2)
        samples.append(_timed_ms(functools.partial(router.apply, wanted)))
        time.sleep(0.02)
    return samples


def requests(ports: Sequence[int], *, rate: int, count: int) -> list[list[float]]:
    """Latencies in milliseconds of ``count`` requests to each port, ``rate`` a second each (0: no pause)."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(contextlib.closing(Connection(port))) for port in ports]
        samples: list[list[float]] = [[] for _ in ports]
        for connection in connections:
            for _ in range(100):
                connection.ask_ms()
        turns = list(zip(connections, samples, strict=True))
        if rate == 0:
            for connection, into in turns * 10:
                into += [connection.ask_ms() for _ in range(count // 10)]
            return samples
        step_s = 1 / rate / len(ports)
        due = time.perf_counter()
        for connection, into in turns * count:
            due = max(due + step_s, time.perf_counter() - step_s)
            time.sleep(max(0.0, due - time.perf_counter()))
            into.append(connection.ask_ms())
        return samples


@dataclass(frozen=True)
class UnderLoad:
    """What users saw while weights changed: ``changes`` confirmed, each in ``samples_ms``; of ``requests`` so many ``failed``."""

    samples_ms: Sequence[float]
    requests: int
    failed: int
    seconds: float


def under_load(router: EnvoyRouter, instance: int, listen: int, *, changes: int, total: int, users: int = 4) -> UnderLoad:
    """Change weights all the while ``users`` processes ask without a pause, until both ``changes`` and ``total`` requests are reached."""
    command = [sys.executable, "-m", "benchmarks.router", "--ask", str(listen), "--requests", str(-(-total // users))]
    began = time.perf_counter()
    askers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(users)]
    samples: list[float] = []
    while len(samples) < changes or any(asker.poll() is None for asker in askers):
        wanted = routes(1, instance, 1 + len(samples) % 99, len(samples) + 10_000)
        samples.append(_timed_ms(functools.partial(router.apply, wanted)))
        time.sleep(0.02)
    told = [json.loads(asker.communicate()[0]) for asker in askers]
    requests_made = sum(each["requests"] for each in told)
    return UnderLoad(samples, requests_made, sum(each["failed"] for each in told), time.perf_counter() - began)


def ask_on(port: int, count: int) -> dict[str, int]:
    """Be one user: 16 requests at a time on a kept connection each, ``count`` in all; a failure is anything but 200."""

    async def user(share: int) -> int:
        failed = 0
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        for _ in range(share):
            try:
                writer.write(b"GET / HTTP/1.1\r\nhost: bench0.localhost\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(length)
                failed += not head.startswith(b"HTTP/1.1 200")
            except (OSError, asyncio.IncompleteReadError):
                failed += 1
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.close()
        return failed

    async def everybody() -> int:
        return sum(await asyncio.gather(*(user(count // 16) for _ in range(16))))

    return {"requests": count // 16 * 16, "failed": asyncio.run(everybody())}


def bare_envoy(listen: int, to: int) -> str:
    """The smallest configuration with which Envoy passes HTTP on: what the router costs before we ask anything of it."""
    package = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{package}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "all"}}]}]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": f"{package}.http.router.v3.Router"}}],
    }

    def address(port: int) -> dict[str, object]:
        return {"address": {"socket_address": {"address": LOOPBACK, "port_value": port}}}

    assignment = {"cluster_name": "all", "endpoints": [{"lb_endpoints": [{"endpoint": address(to)}]}]}
    listener = {**address(listen), "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [{"name": "all", "load_assignment": assignment}]}})


def _timed_ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def measure_under_load(*, changes: int, total: int) -> bool:
    """Weights that change under load; prints what users saw, and whether none of them lost a request."""
    instance, listen, admin = _free_ports(3)
    with tempfile.TemporaryDirectory(prefix="po-bench-") as folder, contextlib.ExitStack() as stack:
        stack.enter_context(_running([sys.executable, "-m", "benchmarks.router", "--serve", str(instance)]))
        router = EnvoyRouter(Path(folder), port=listen, admin_port=admin)
        router.write_bootstrap()
        stack.enter_context(_running(router.command()))
        stack.callback(router.close)
        _wait(router.ready)
        _wait(lambda: _listens(instance))
        router.apply(routes(1, instance, 1, 1))
        seen = under_load(router, instance, listen, changes=changes, total=total)
    row = Row("weight change confirmed under load", seen.samples_ms)
    print(
        f"{len(seen.samples_ms)} weight changes under {seen.requests / seen.seconds:,.0f} requests/s for {seen.seconds:.0f} s: "
        f"{seen.failed} of {seen.requests:,} requests failed; confirmed in {row.percentile(0.5):.1f} ms at the median, "
        f"{row.percentile(0.99):.1f} ms at p99, {row.percentile(1.0):.1f} ms at most"
    )
    return seen.failed == 0


def measure(*, count: int, rate: int) -> list[Row]:
    """All lines of the table."""
    instance, listen, admin, bare = _free_ports(4)
    with tempfile.TemporaryDirectory(prefix="po-bench-") as folder, contextlib.ExitStack() as stack:
        stack.enter_context(_running([sys.executable, "-m", "benchmarks.router", "--serve", str(instance)]))
        router = EnvoyRouter(Path(folder), port=listen, admin_port=admin)
        router.write_bootstrap()
        stack.enter_context(_running(router.command()))
        stack.callback(router.close)
        quiet = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        stack.enter_context(_running([str(find_envoy()), "--config-yaml", bare_envoy(bare, instance), *quiet]))
        _wait(router.ready)
        _wait(lambda: _listens(instance) and _listens(bare))
        one = switches(router, instance, services=1, count=count)
        ten = switches(router, instance, services=10, count=count)
        scrapes = [_timed_ms(router.read) for _ in range(count)]
        paced = requests([instance, bare, listen], rate=rate, count=count * 10)
        busy = requests([instance, bare, listen], rate=0, count=count * 10)
    rows = [Row(SWITCH, one), Row("weight change confirmed, 10 services", ten, SWITCH)]
    rows.append(Row("counters of 10 services read", scrapes))
    for pace, samples in (("no pause", busy), (f"{rate}/s", paced)):
        direct = f"direct, {pace}"
        rows += [Row(direct, samples[0]), Row(f"bare Envoy, {pace}", samples[1], direct), Row(f"router, {pace}", samples[2], direct)]
    return rows


def report(rows: Sequence[Row]) -> bool:
    """Print the table; whether the bars are met."""
    by_name = {row.name: row for row in rows}
    print(f"{'':42}{'n':>6}{'p50 ms':>10}{'p95 ms':>10}{'p99 ms':>10}{'max ms':>10}  ratio of p50")
    for row in rows:
        figures = "".join(f"{row.percentile(share):>10.3f}" for share in (0.5, 0.95, 0.99, 1.0))
        ratio = f"{row.percentile(0.5) / by_name[row.ratio_to].percentile(0.5):.2f} × {row.ratio_to}" if row.ratio_to else ""
        print(f"{row.name:42}{len(row.samples_ms):>6}{figures}  {ratio}")
    direct, bare, routed = rows[-3:]
    added_us = {share: (routed.percentile(share) - direct.percentile(share)) * 1000 for share in (0.5, 0.99)}
    own_us = (routed.percentile(0.5) - bare.percentile(0.5)) * 1000
    switch_ms = max(row.percentile(0.5) for row in rows[:2])
    print(f"\na weight change is confirmed in {switch_ms:.1f} ms at the median: {_bar(switch_ms, SWITCH_BAR_MS, 'ms')}")
    print(f"the router adds {added_us[0.5]:.0f} µs at p50 and {added_us[0.99]:.0f} µs at p99: {_bar(added_us[0.5], OVERHEAD_BAR_US, 'µs')}")
    print(f"of these, what we ask of Envoy beyond passing requests on costs {own_us:.0f} µs")
    return switch_ms <= SWITCH_BAR_MS and added_us[0.5] <= OVERHEAD_BAR_US


def _bar(value: float, bar: float, unit: str) -> str:
    return f"bar of {bar:g} {unit} {'met' if value <= bar else 'MISSED here'}"


@contextlib.contextmanager
def _running(command: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _wait(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not question():
        if time.monotonic() > deadline:
            raise SystemExit("Envoy or the instance did not start")
        time.sleep(0.02)


def main() -> int:
    """Measure and print. Returns 1 when a bar is missed and ``--strict`` was asked for, or a request failed under load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="weight changes per line; ten times as many requests")
    parser.add_argument("--rate", type=int, default=200, help="requests a second, each way")
    parser.add_argument("--strict", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--changes", type=int, default=500, help="with --requests: weight changes while they are made, at least")
    parser.add_argument("--requests", type=int, default=0, help="so many requests while weights change; nothing else is measured")
    parser.add_argument("--ask", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve))
        return 0
    if arguments.ask:
        print(json.dumps(ask_on(arguments.ask, arguments.requests)))
        return 0
    if arguments.requests:
        return 0 if measure_under_load(changes=arguments.changes, total=arguments.requests) else 1
    met = report(measure(count=arguments.count, rate=arguments.rate))
    return 1 if arguments.strict and not met else 0


if __name__ == "__main__":
    sys.exit(main())
