"""A small server beside the router: it takes copies of requests, asks both versions again, and counts where their answers differ.

Nobody waits for it. A copy is answered as soon as there is time for the next comparison; what the router cannot hand over until then it
leaves out. The instances are asked directly, so that no counter of the router knows of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import queue
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from productops.agent.routes import HOST
from productops.agent.state import AgentState
from productops.domain.analysis import RatioCount
from productops.domain.release import Environment
from productops.domain.routing import VersionKey
from productops.domain.strategies.differences import Comparer, Comparison, Reply, safe_target
from productops.domain.traffic import COMPARE_HEADER, SHADOW_HEADER, InstanceState, TrafficTarget

log = structlog.get_logger(__name__)
QUEUE_MAX = 16
WORKERS = 2
HEAD_MAX = 32_768
BODY_MAX = 262_144
REPLAY_TIMEOUT_S = 5.0
EXAMPLES_MAX = 20
RELEASES_MAX = 50
BIND_AGAIN_S = 2.0
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "expect",
        "accept-encoding",
        COMPARE_HEADER,
    }
)


@dataclass(frozen=True, slots=True)
class Copy:
    """One request of a user, to be asked again."""

    target: TrafficTarget
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Examples:
    """Which kinds of difference of a release were kept; bounded, in releases and in kinds."""

    _kinds: OrderedDict[str, set[str]] = field(default_factory=OrderedDict)

    def is_new(self, release_id: str, kind: str) -> bool:
        """Whether this is the first of its kind, and there is room for it."""
        kinds = self._kinds.setdefault(release_id, set())
        if len(self._kinds) > RELEASES_MAX:
            self._kinds.popitem(last=False)
        if kind in kinds or len(kinds) >= EXAMPLES_MAX:
            return False
        kinds.add(kind)
        return True


@dataclass(slots=True)
class Found:
    """What was compared since the last ``take``: ratios by version, and examples by release."""

    ratios: dict[VersionKey, RatioCount] = field(default_factory=dict)
    examples: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@dataclass(slots=True)
class Comparator:
    """``port`` is on loopback; the agent's threads share it. ``dropped`` counts copies there was no room for."""

    state: AgentState
    port: int
    dropped: int = 0
    _queue: queue.Queue[Copy] = field(default_factory=lambda: queue.Queue(QUEUE_MAX))
    _comparer: Comparer = field(default_factory=Comparer)
    _examples: Examples = field(default_factory=Examples)
    _found: Found = field(default_factory=Found)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next_at: dict[tuple[str, Environment], float] = field(default_factory=dict)

    def run(self) -> None:
        """Until the agent stops. Another program on the port only means that nothing is compared."""
        workers = [threading.Thread(target=self._work, name=f"compare-{n}", daemon=True) for n in range(WORKERS)]
        for worker in workers:
            worker.start()
        asyncio.run(self._serve())

    def take(self) -> Found:
        """What was found since the last call."""
        with self._lock:
            found, self._found = self._found, Found()
        return found

    # ---- the server

    async def _serve(self) -> None:
        server = None
        complained = False
        while server is None and not self.state.stopping.is_set():
            try:
                server = await asyncio.start_server(self._connection, HOST, self.port, limit=HEAD_MAX)
            except OSError as error:
                if not complained:
                    log.warning("answers are not compared: the comparator has no port", port=self.port, reason=str(error))
                complained = True
                await asyncio.sleep(BIND_AGAIN_S)
        if server is None:
            return
        await asyncio.to_thread(self.state.stopping.wait)
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The router closes connections as it likes, and what does not look like its HTTP is no request.
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while True:
                await self._one(reader, writer)
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        length = int(headers.get("content-length", 0))
        if length > BODY_MAX or "transfer-encoding" in headers:
            raise ValueError("too large to be kept, or of unknown length")
        body = await reader.readexactly(length)
        target = self._target(headers.get(COMPARE_HEADER, ""))
        if target is not None and target.mirror is not None:
            await asyncio.sleep(self._wait_s(target, target.mirror.compare_per_s))
            self._keep(Copy(target, method, path, headers, body))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    def _target(self, place: str) -> TrafficTarget | None:
        service, _, environment = place.partition("|")
        targets = self.state.snapshot.targets
        found = next((t for t in targets if t.service == service and t.environment.value == environment), None)
        return found if found is not None and found.mirror is not None and found.mirror.compare_per_s > 0 else None

    def _wait_s(self, target: TrafficTarget, per_s: float) -> float:
        """How long until the next comparison is due: the answer to the copy waits for it."""
        now = time.monotonic()
        due = max(now, self._next_at.get(target.key, 0.0))
        self._next_at[target.key] = due + 1.0 / per_s
        return due - now

    def _keep(self, copy: Copy) -> None:
        try:
            self._queue.put_nowait(copy)
        except queue.Full:
            self.dropped += 1

    # ---- the workers

    def _work(self) -> None:
        while not self.state.stopping.is_set():
            try:
                copy = self._queue.get(timeout=0.5)
            except queue.Empty:
                continue
            try:
                self._compare(copy)
            except Exception:  # answers come from programs on trial; none of them may end the agent
                log.warning("answers could not be compared", service=copy.target.service, path=safe_target(copy.path), exc_info=True)

    def _compare(self, copy: Copy) -> None:
        target = copy.target
        ports = {version: self._port(target, version) for version in (target.baseline_version, target.candidate_version)}
        baseline, candidate = ports[target.baseline_version], ports[target.candidate_version]
        if baseline is None or candidate is None:
            return
        first = ask(copy, baseline)
        new = ask(copy, candidate)
        second = ask(copy, baseline)
        if first.status == 0 or second.status == 0:
            return  # without an answer of the baseline there is nothing to compare with
        endpoint = f"{copy.method} {copy.path.partition('?')[0]}"
        with self._lock:
            self._count(copy, endpoint, self._comparer.compare(f"{target.service} {endpoint}", first, second, new))

    def _count(self, copy: Copy, endpoint: str, result: Comparison) -> None:
        target = copy.target
        for version, differs in ((target.baseline_version, result.noisy), (target.candidate_version, bool(result.differences))):
            if version is not None:
                key = (target.service, target.environment, version)
                known = self._found.ratios.get(key, RatioCount(0, 0))
                self._found.ratios[key] = RatioCount(known.events + differs, known.total + 1)
        for difference in result.differences:
            if target.release_id is not None and self._examples.is_new(target.release_id, f"{endpoint} {difference.path}"):
                example = {"method": copy.method, "target": safe_target(copy.path), **asdict(difference)}
                self._found.examples.append((target.release_id, example))

    def _port(self, target: TrafficTarget, version: str | None) -> int | None:
        """A healthy instance of a version, any of them."""
        ports = [
            i.port for i in self.state.snapshot.instances
            if (i.service, i.environment, i.version) == (*target.key, version) and i.state is InstanceState.HEALTHY
        ]  # fmt: skip
        return random.choice(ports) if ports else None  # noqa: S311 - any will do


def ask(copy: Copy, port: int) -> Reply:
    """One answer of an instance; status 0 when there was none."""
    headers = {name: value for name, value in copy.headers.items() if name not in _HOP_BY_HOP}
    connection = http.client.HTTPConnection(HOST, port, timeout=REPLAY_TIMEOUT_S)
    try:
        connection.request(copy.method, copy.path, body=copy.body or None, headers={**headers, SHADOW_HEADER: "1", "connection": "close"})
        response = connection.getresponse()
        return Reply(response.status, response.getheader("content-type", ""), response.read(BODY_MAX))
    except (OSError, http.client.HTTPException) as error:
        return Reply(0, "text/plain", type(error).__name__.encode())
    finally:
        connection.close()
