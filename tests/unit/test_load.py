"""The load generator against servers that do exactly what each test says."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from examples.load import Action, LoadConfig, LoadReport, Response, Spacing, TransportError, run_load

pytestmark = pytest.mark.alone  # it is told by the clock whether the generator kept its promise
ROOT = Path(__file__).resolve().parents[2]
PAGE = (Action("page", "/page"),)
Answer = Callable[[int, str], Awaitable[bytes | None]]


def reply(status: int = 200, *, version: str = "1.0.0", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: 2\r\nX-Shop-Version: {version}\r\n{extra}\r\nok".encode()


class Server:
    """Answers the n-th request (from 0) with ``answer(n, head)``; ``None`` resets the connection."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.heads: list[str] = []
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                data = await self._answer(len(self.heads) - 1, head)
                if data is None:
                    writer.transport.abort()
                    return
                writer.write(data)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(server.serve(reader, writer)))

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=512)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def run(answer: Answer, **settings: object) -> tuple[LoadReport, list[Response], Server]:
    """A run with the settings against a server with the answer."""

    async def inner() -> tuple[LoadReport, list[Response], Server]:
        responses: list[Response] = []
        async with serving(answer) as server:
            config = LoadConfig(**{"url": server.url, "mix": PAGE, "seed": 1, **settings})  # type: ignore[arg-type]
            return await run_load(config, responses.append), responses, server

    return asyncio.run(inner())


async def fine(_number: int, _head: str) -> bytes:
    return reply()


def test_the_report_counts_what_the_server_did() -> None:
    async def answer(number: int, _head: str) -> bytes:
        version = "2.0.0" if number % 5 == 0 else "1.0.0"
        status = 500 if number % 20 == 0 else 404 if number % 20 == 1 else 200
        return reply(status, version=version)

    report, responses, server = run(answer, rate=0, requests_max=400, connections=8)
    assert len(server.heads) == report.requests == len(responses) == 400
    assert report.statuses == {200: 360, 404: 20, 500: 20}
    assert report.transport_errors == {}
    assert (report.server_errors, report.client_errors, report.failures, report.unfinished) == (20, 20, 20, 0)
    new, old = report.versions["2.0.0"], report.versions["1.0.0"]
    assert (new.requests, new.server_errors, new.client_errors, new.failure_share) == (80, 20, 0, 0.25)
    assert (old.requests, old.server_errors, old.client_errors, old.failures) == (320, 0, 20, 0)
    assert server.connections == 8


def test_the_first_failure_of_a_version_is_the_one_its_users_saw() -> None:
    async def answer(number: int, _head: str) -> bytes:
        return reply(503 if number >= 50 else 200, version="2.0.0")

    began = time.time()
    report, responses, _ = run(answer, rate=0, requests_max=100, connections=1)
    first = next(response for response in responses if response.failed)
    assert report.first_failure_at("2.0.0") == first.ended_unix_s
    assert began <= first.arrived_unix_s <= first.ended_unix_s <= time.time()
    assert report.first_failure_at("1.0.0") is None


def test_latencies_are_those_of_the_server() -> None:
    async def answer(number: int, _head: str) -> bytes:
        await asyncio.sleep(0.2 if number % 10 == 0 else 0.02)
        return reply()

    report, _, _ = run(answer, rate=0, requests_max=200, connections=20)
    version = report.versions["1.0.0"]
    assert 20 <= version.latency_ms_p50 < 60
    assert 200 <= version.latency_ms_p99 < 300
    assert version.latency_ms_p99 <= version.latency_ms_max


def test_slow_answers_do_not_lower_the_rate_of_an_open_loop() -> None:
    async def answer(_number: int, _head: str) -> bytes:
        await asyncio.sleep(0.4)
        return reply()

    report, _, _ = run(answer, rate=200, duration_s=0.5, spacing=Spacing.EVEN)
    assert 97 <= report.requests <= 200 * max(0.5, report.duration_s) + 3
    assert report.unfinished == 0


def test_poisson_arrivals_keep_the_rate_on_average() -> None:
    report, responses, _ = run(fine, rate=500, duration_s=0.6)
    assert 230 <= report.requests <= 370
    arrivals = sorted(response.arrived_monotonic_s for response in responses)
    gaps_ms = [(b - a) * 1000 for a, b in pairwise(arrivals)]
    assert min(gaps_ms) < 0.5
    assert max(gaps_ms) > 6


def test_waiting_behind_a_stall_counts_as_latency() -> None:
    async def answer(number: int, _head: str) -> bytes:
        if number == 0:
            await asyncio.sleep(0.5)
        return reply()

    report, responses, server = run(answer, rate=50, duration_s=0.6, connections=1, spacing=Spacing.EVEN)
    # 25 users arrive during the stall, one every 20 ms; 20 of them wait longer than 100 ms for an answer that takes none.
    assert sum(response.latency_ms > 100 for response in responses) >= 19
    assert server.connections == 1
    assert report.versions["1.0.0"].latency_ms_max >= 500


def test_reset_connections_are_transport_errors_and_not_server_errors() -> None:
    async def answer(number: int, _head: str) -> bytes | None:
        return None if number % 10 == 9 else reply()

    report, _, _ = run(answer, rate=0, requests_max=100, connections=1)
    assert report.server_errors == 0
    assert sum(report.transport_errors.values()) == report.failures == 10
    assert set(report.transport_errors) <= {"reset", "closed"}
    assert report.versions["none"].transport_errors == 10
    assert report.versions["1.0.0"].failures == 0


def test_a_server_that_never_answers_gives_timeouts() -> None:
    async def answer(_number: int, _head: str) -> bytes:
        await asyncio.sleep(60)
        return reply()

    report, responses, _ = run(answer, rate=0, requests_max=8, connections=4, timeout_s=0.2)
    assert report.transport_errors == {"timeout": 8}
    assert all(190 < response.latency_ms < 900 for response in responses)


def test_a_port_nobody_listens_on_gives_refusals_and_no_crash() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    report = asyncio.run(run_load(LoadConfig(url=f"http://127.0.0.1:{port}", rate=100, duration_s=0.3, seed=1)))
    assert report.requests > 10
    assert set(report.transport_errors) == {"refused"}
    assert report.statuses == {}


def test_what_is_no_http_is_a_transport_error() -> None:
    async def answer(_number: int, _head: str) -> bytes:
        return b"hello\r\n\r\n"

    report, _, _ = run(answer, rate=0, requests_max=5, connections=1)
    assert report.transport_errors == {"malformed": 5}


def test_requests_in_flight_at_the_end_are_reported_as_unfinished() -> None:
    async def answer(_number: int, _head: str) -> bytes:
        await asyncio.sleep(60)
        return reply()

    report, responses, _ = run(answer, rate=0, duration_s=0.2, connections=3, drain_s=0.1)
    assert (report.unfinished, report.requests, responses) == (3, 0, [])


def test_every_user_keeps_the_sticky_cookie_of_its_first_answer() -> None:
    async def answer(number: int, head: str) -> bytes:
        return reply(extra="" if "po-uid=" in head else f"Set-Cookie: po-uid=u{number}; Path=/\r\n")

    _, responses, server = run(answer, rate=0, requests_max=300, connections=1, users=10)
    cookies = Counter(line for head in server.heads for line in head.split("\r\n") if line.startswith("Cookie: "))
    assert len({response.user for response in responses}) == 10
    assert len(cookies) == 10
    assert sum(cookies.values()) == 290


def test_connections_that_the_server_closes_are_replaced_without_loss() -> None:
    async def answer(_number: int, _head: str) -> bytes:
        return reply(extra="Connection: close\r\n")

    report, _, server = run(answer, rate=0, requests_max=50, connections=2)
    assert report.statuses == {200: 50}
    assert server.connections == 50


def test_a_stop_event_ends_the_run() -> None:
    async def inner() -> LoadReport:
        stop = asyncio.Event()
        async with serving(fine) as server:
            asyncio.get_running_loop().call_later(0.3, stop.set)
            return await run_load(LoadConfig(url=server.url, rate=50, duration_s=None, mix=PAGE), stop=stop)

    report = asyncio.run(inner())
    assert 0.25 < report.duration_s < 1
    assert report.requests > 3


def test_an_error_of_the_listener_ends_the_run_and_reaches_the_caller() -> None:
    def broken(_response: Response) -> None:
        raise RuntimeError("listener broke")

    async def inner() -> None:
        async with serving(fine) as server:
            await run_load(LoadConfig(url=server.url, rate=50, duration_s=30, mix=PAGE), broken)

    with pytest.raises(RuntimeError, match="listener broke"):
        asyncio.run(inner())


def test_a_response_carries_either_a_status_or_an_error() -> None:
    async def answer(number: int, _head: str) -> bytes | None:
        return None if number % 2 else reply()

    _, responses, _ = run(answer, rate=0, requests_max=20, connections=2)
    assert all((response.status is None) != (response.error is None) for response in responses)
    assert {response.version for response in responses if response.status} == {"1.0.0"}
    assert all(isinstance(response.error, TransportError) for response in responses if response.status is None)


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_prints_the_report_so_far(stop_signal: signal.Signals) -> None:
    async def inner() -> tuple[int | None, bytes, bytes]:
        async with serving(fine) as server:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "examples.load", "--url", server.url, "--rate", "200", "--duration", "0"),
                *("--json", "--progress", "--path", "/page", "--host", "storefront.localhost"),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            while len(server.heads) < 20:
                await asyncio.sleep(0.02)
            await asyncio.sleep(1.0)
            process.send_signal(stop_signal)
            out, err = await process.communicate()
            assert "Host: storefront.localhost" in server.heads[0]
            return process.returncode, out, err

    status, out, err = asyncio.run(inner())
    report = json.loads(out)
    assert status == 0
    assert report["versions"]["1.0.0"]["requests"] == report["requests"] >= 20
    assert b"1.0.0:" in err
