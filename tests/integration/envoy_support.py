"""A real Envoy, HTTP servers that do as they are told, and a load: what the router's tests and benchmarks stand on."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from productops.adapters.envoy import EnvoyRouter
from productops.domain.release import Environment
from productops.domain.routing import Endpoint, ServiceRoute

T = TypeVar("T")
LOOPBACK = "127.0.0.1"
PRODUCTION = Environment.PRODUCTION


def free_port() -> int:
    """A TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def eventually(question: Any, *, within_s: float = 5.0) -> bool:
    """Ask until the answer is true; false when it never is. ``within_s`` says when to give up on a machine with nothing else to do;
    others get four times as long. What must be quick is measured by the test itself.
    """
    deadline = time.monotonic() + 4 * within_s
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.005)
    return bool(question())


class LoopThread:
    """An event loop in a thread of its own, for servers and load beside a synchronous test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work`` (at most 30 s)."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        """Cancel what runs and end the thread."""

        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()


class Backend:
    """An HTTP/1.1 server that answers its name.

    The query decides: ``code`` (status), ``delay`` (seconds), ``reset`` (no answer), ``half`` (an answer cut short). ``code`` of the
    object is the default status, ``health`` the status of ``/healthz``; ``requests`` counts all but health checks.
    """

    def __init__(self, thread: LoopThread, name: str) -> None:
        self.name, self.thread = name, thread
        self.code, self.health = 200, 200
        self.delay_s = 0.0
        self.requests = self.health_checks = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = thread.run(asyncio.start_server(self._serve, LOOPBACK, 0))
        self.port = int(self._server.sockets[0].getsockname()[1])

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint(LOOPBACK, self.port)

    @property
    def draining(self) -> Endpoint:
        """Where it listens, taking nothing new."""
        return Endpoint(LOOPBACK, self.port, draining=True)

    def close(self) -> None:
        """Stop at once, requests in flight or not."""

        async def end() -> None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.transport.abort()

        self.thread.run(end())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        target = urlsplit(head.split(b" ", 2)[1].decode())
        if target.path == "/healthz":
            self.health_checks += 1
            code, query = self.health, {}
        else:
            self.requests += 1
            query = dict(parse_qsl(target.query))
            code = int(query.get("code", self.code))
            await asyncio.sleep(self.delay_s)
        if "delay" in query:
            await asyncio.sleep(float(query["delay"]))
        if "reset" in query:
            writer.transport.abort()
            return False
        body = self.name.encode()
        length = len(body) + (50 if "half" in query else 0)
        writer.write(f"HTTP/1.1 {code} X\r\ncontent-length: {length}\r\nserver: app\r\n\r\n".encode() + body)
        await writer.drain()
        return "half" not in query


@dataclass
class Answer:
    """What a client got."""

    status: int
    body: str
    headers: dict[str, str]

    @property
    def version(self) -> str:
        """Which version answered."""
        return self.headers.get("x-productops-version", "")


@dataclass
class Tally:
    """What a load saw: answers by (status, version); status 0 is a broken connection."""

    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All requests."""
        return self.answers.total()

    @property
    def failed(self) -> int:
        """Requests without a 200."""
        return sum(count for (status, _), count in self.answers.items() if status != 200)

    def by_version(self, version: str) -> int:
        """Answers of one version."""
        return sum(count for (_, arm), count in self.answers.items() if arm == version)


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, host: str, path: str, headers: Mapping[str, str]
) -> tuple[int, str]:
    """One request on an open connection: status and version."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    await reader.readexactly(int(fields.get("content-length", 0)))
    return int(head.split(" ", 2)[1]), fields.get("x-productops-version", "")


class Load:
    """Keep-alive connections that ask one after the other until ``stop`` (or ``requests`` in all)."""

    def __init__(self, thread: LoopThread, port: int, *, host: str, connections: int = 8, path: str = "/", pause_s: float = 0.0) -> None:
        self.tally = Tally()
        self._running = True
        self._work = [
            asyncio.run_coroutine_threadsafe(self._connection(port, host, path, pause_s), thread.loop) for _ in range(connections)
        ]

    def stop(self) -> Tally:
        """End every connection after its answer."""
        self._running = False
        for work in self._work:
            work.result(30)
        return self.tally

    async def _connection(self, port: int, host: str, path: str, pause_s: float) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        while self._running:
            started = time.perf_counter()
            try:
                answer = await ask(reader, writer, host=host, path=path, headers={})
            except (OSError, asyncio.IncompleteReadError):
                answer = (0, "")
                writer.close()
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
            self.tally.answers[answer] += 1
            self.tally.seconds.append(time.perf_counter() - started)
            await asyncio.sleep(pause_s)
        writer.close()


class Site:
    """A router with its Envoy process, backends and clients; everything ends with ``close``."""

    def __init__(self, folder: Path, *, confirm_s: float = 5.0) -> None:
        self.thread = LoopThread()
        self.port, self.admin_port = free_port(), free_port()
        self.router = EnvoyRouter(folder, port=self.port, admin_port=self.admin_port, confirm_s=confirm_s)
        self.folder = folder
        self.log = folder.parent / "envoy.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._backends: list[Backend] = []

    def start(self) -> None:
        """Start Envoy and wait until it takes requests."""
        self.router.write_bootstrap()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.router.command(), stdout=log, stderr=log)
        assert eventually(self.router.ready, within_s=20), self.log.read_text()[-2000:]

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def backend(self, name: str) -> Backend:
        """Another server."""
        self._backends.append(Backend(self.thread, name))
        return self._backends[-1]

    def get(self, path: str = "/", *, host: str = "storefront.localhost", headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=20)
        try:
            connection.request("GET", path, headers={"Host": host, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), {k.lower(): v for k, v in response.getheaders()})
        finally:
            connection.close()

    def strangers(self, count: int, *, host: str = "storefront.localhost", headers: Mapping[str, str] | None = None) -> Tally:
        """``count`` requests of clients without a cookie."""

        async def part(number: int) -> None:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
            for _ in range(number):
                tally.answers[await ask(reader, writer, host=host, path="/", headers=headers or {})] += 1
            writer.close()

        async def everybody() -> None:
            await asyncio.gather(*(part(count // 8 + (i < count % 8)) for i in range(8)))

        tally = Tally()
        self.thread.run(everybody())
        return tally

    def load(self, *, host: str = "storefront.localhost", connections: int = 8, path: str = "/", pause_s: float = 0.0) -> Load:
        """A load that goes on until it is stopped."""
        return Load(self.thread, self.port, host=host, connections=connections, path=path, pause_s=pause_s)

    def close(self) -> None:
        """End Envoy, the servers and the thread."""
        self.router.close()
        self.kill()
        for backend in self._backends:
            with contextlib.suppress(OSError):
                backend.close()
        self.thread.close()


@contextlib.contextmanager
def running_site(folder: Path, *, confirm_s: float = 5.0) -> Iterator[Site]:
    """A site whose Envoy runs."""
    site = Site(folder / "envoy", confirm_s=confirm_s)
    try:
        site.start()
        yield site
    finally:
        site.close()


def canary(
    baseline: Backend | None,
    candidate: Backend | None,
    pct: int,
    *,
    service: str = "storefront",
    generation: int = 1,
    header_only: bool = False,
    sticky: bool = True,
    timeout_s: float = 5.0,
    hosts: tuple[str, ...] | None = None,
) -> ServiceRoute:
    """A service with baseline 1.4.2 and candidate 1.5.0, one instance each."""
    fleets = {"1.4.2": baseline, "1.5.0": candidate}
    return ServiceRoute(
        service=service,
        environment=PRODUCTION,
        hosts=hosts or (f"{service}.localhost",),
        generation=generation,
        baseline_version="1.4.2" if baseline else None,
        candidate_version="1.5.0" if candidate else None,
        candidate_pct=pct,
        header_only=header_only,
        fleets={version: (backend.endpoint,) for version, backend in fleets.items() if backend is not None},
        timeout_s=timeout_s,
        sticky=sticky,
    )
