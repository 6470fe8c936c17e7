"""Usage events: how many a second the API takes in, how soon they are in the files of their day, and what kill -9 costs.

``python -m benchmarks.analytics_ingest [--quick] [--seconds N] [--kills N] [--seed N]``. The client is on the same machine and sends
batches of 500 events over kept connections, each event with an id of its own; what is not answered is sent again with the same ids, as
client libraries do. At the end every id is looked for in the files: none may miss, none may be there twice.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil

from benchmarks.api_stack import make_context
from benchmarks.figures import Figure, percentile, show, write
from benchmarks.flags import LOOPBACK, TOKEN
from benchmarks.release.stack import BenchError
from productops.adapters.analytics_events_segments import segments
from productops.usecases.analytics_events_read import read_events
from productops.usecases.context import Context

PATH = "/api/v1/product-ops/events"
BATCH = 500
CONNECTIONS = 4
RATE_BAR = 20_000.0
FRESH_BAR_S = 60.0
SECONDS = 30.0
KILLS = 50
VENTURE = "apollo"


@dataclass
class Sent:
    """What the client did: numbers of batches that were answered, and how long answers took, milliseconds."""

    began: int = 0
    answered: set[int] = field(default_factory=set)
    took_ms: list[float] = field(default_factory=list)
    again: int = 0


def body(number: int, at: str) -> bytes:
    """Batch ``number``: 500 events, some 330 bytes each, with ids that follow from it."""
    first = number * BATCH
    events = ",".join(
        f'{{"type":"track","messageId":"00000000-0000-4000-8000-{first + n:012x}","userId":"user-{(first + n) * 7919 % 100_003}",'
        f'"event":"{("checkout.started", "checkout.completed", "search.done")[n % 3]}","timestamp":"{at}",'
        f'"context":{{"app":{{"version":"1.4.{n % 5}"}},"device":{{"type":"ios"}},"location":{{"country":"NZ"}}}},'
        f'"properties":{{"feature":"checkout","total":{n}.5,"items":{n % 9},"plan":"free","duration_ms":{n % 400}}}}}'
        for n in range(BATCH)
    )
    return f'{{"venture":"{VENTURE}","batch":[{events}]}}'.encode()


async def post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes) -> int:
    """Send one batch; the status of its answer."""
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n"
    writer.write(head.encode() + f"content-length: {len(content)}\r\n\r\n".encode())
    writer.write(content)
    await writer.drain()
    answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(answer.split("content-length: ")[1].split("\r\n")[0])
    await reader.readexactly(length)
    return int(answer.split(" ", 2)[1])


async def send_for(port: int, sent: Sent, numbers: Iterator[int], *, seconds: float) -> None:
    """Batches over several connections for a time; batch by batch on each."""
    end = time.monotonic() + seconds

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            for number in numbers:
                content = body(number, datetime.now(UTC).isoformat())
                status = 0
                while status != 202:
                    began = time.perf_counter()
                    status = await post(reader, writer, content)
                    sent.took_ms.append((time.perf_counter() - began) * 1000)
                    if status in {429, 503}:
                        sent.again += 1
                        await asyncio.sleep(0.5)
                    elif status != 202:
                        raise BenchError(f"a batch was answered with {status}")
                sent.answered.add(number)
                if time.monotonic() > end:
                    return
        finally:
            writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


@contextmanager
def api(url: str, home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """An API process, from when it answers."""
    env = {
        "PRODUCTOPS_HOME": str(home), "PRODUCTOPS_PORT_BASE": str(port), "PRODUCTOPS_API_TOKEN": TOKEN, "PRODUCTOPS_DATABASE_URL": url,
        "PRODUCTOPS_LOG_LEVEL": "ERROR", "PRODUCTOPS_REQUESTS_PER_S": "100000", "PRODUCTOPS_REQUESTS_BURST": "100000",
    }  # fmt: skip
    with subprocess.Popen([sys.executable, "-m", "productops.api"], env=os.environ | env, stdout=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + 180
            while True:
                with suppress(httpx.HTTPError):
                    if httpx.get(f"http://{LOOPBACK}:{port}/healthz", timeout=5, trust_env=False).is_success:
                        break
                if running.poll() is not None or time.monotonic() > deadline:
                    raise BenchError(f"the API does not answer (exit code {running.returncode})")
                time.sleep(0.05)
            yield running
        finally:
            if running.poll() is None:
                running.terminate()
            running.wait(timeout=30)


def prepare(folder: Path) -> tuple[str, Context]:
    """A database with the venture, and a context that reads the folder of events."""
    url = f"sqlite:///{folder / 'bench.db'}"
    context = replace(make_context(url, folder), analytics_folder=folder / "analytics")
    with context.store.write() as unit:
        unit.catalog.put_venture(VENTURE, title="", description="", author="benchmark", now=context.clock.now())
    return url, context


def stored_numbers(context: Context) -> tuple[int, set[int]]:
    """How many events there are, and their numbers."""
    now = datetime.now(UTC)
    table = read_events(context, VENTURE, since=now - timedelta(days=2), until=now + timedelta(days=1), columns=["event_id"])
    ids = table.column("event_id").to_pylist()
    return len(ids), {int.from_bytes(each[10:], "big") for each in ids}


@dataclass
class Rate:
    """A run without kills."""

    events: int
    seconds: float
    lag_s: float
    sorted_s: float
    took_ms: list[float]
    lost: int
    doubled: int
    size_bytes: int
    again: int
    api_s: float
    child_s: float


def measure_rate(folder: Path, port: int, *, seconds: float) -> Rate:
    """Send as fast as it goes; then wait until all of it is in files."""
    url, context = prepare(folder)
    sent, lags = Sent(), [0.0]

    async def watch() -> None:
        while True:
            lags.append(_lag_s(context))
            await asyncio.sleep(0.5)

    async def both() -> None:
        watching = asyncio.create_task(watch())
        await send_for(port, sent, iter(range(10**9)), seconds=seconds)
        watching.cancel()

    with api(url, folder, port) as running:
        process = psutil.Process(running.pid)
        used = _cpu_s(process)
        began = time.monotonic()
        asyncio.run(both())
        took = time.monotonic() - began
        api_s = _cpu_s(process) - used
        while segments(folder / "analytics" / "_incoming") and time.monotonic() - began < took + 120:
            time.sleep(0.1)
        sorted_s = time.monotonic() - began - took
        child_s = sum(_cpu_s(each) for each in process.children())
    total, numbers = stored_numbers(context)
    wanted = {batch * BATCH + n for batch in sent.answered for n in range(BATCH)}
    with context.store.read() as unit:
        size = unit.analytics_events.totals(VENTURE)[2]
    context.store.close()
    return Rate(
        len(sent.answered) * BATCH, took, max(lags), sorted_s, sent.took_ms, len(wanted - numbers), total - len(numbers), size, sent.again,
        api_s, child_s,
    )  # fmt: skip


def _cpu_s(process: psutil.Process) -> float:
    """Seconds of processor time it has used itself."""
    found = process.cpu_times()
    return float(found.user + found.system)


def _lag_s(context: Context) -> float:
    """Age of the oldest events that are in no file."""
    assert context.analytics_folder is not None
    names = [path.name for path in segments(context.analytics_folder / "_incoming")]
    return time.time() - int(names[0].partition("-")[0]) / 1e9 if names else 0.0


@dataclass(frozen=True)
class Killed:
    """What was found after the kills."""

    kills: int
    in_child: int
    events: int
    lost: int
    doubled: int


def kill_again_and_again(folder: Path, port: int, *, kills: int, seed: int) -> Killed:
    """Send under SIGKILL at random moments, of the API, of its child that sorts in, or of both; resend what was not answered."""
    chance = random.Random(seed)
    url, context = prepare(folder)
    sent, left, children = Sent(), iter(range(10**9)), 0
    open_batches: set[int] = set()

    def numbers() -> Iterator[int]:
        while True:
            number = open_batches.pop() if open_batches else next(left)
            taken.add(number)
            yield number

    for turn in range(kills + 1):
        taken: set[int] = set()
        print(f"kill {turn} of {kills}, {len(sent.answered)} batches answered", flush=True)
        with api(url, folder, port) as running:
            seconds = 1.0 if turn == kills else 60.0
            # Batches go slower here: that the machine keeps up is measured elsewhere.
            killer = asyncio.run(_send_and_kill(port, sent, numbers(), running.pid if turn < kills else 0, chance, seconds))
            children += killer
            if turn == kills:
                deadline = time.monotonic() + 120
                while segments(folder / "analytics" / "_incoming") and time.monotonic() < deadline:
                    time.sleep(0.1)
        open_batches |= taken - sent.answered
    for number in sorted(open_batches):
        sent.answered.discard(number)
    total, found = stored_numbers(context)
    wanted = {batch * BATCH + n for batch in sent.answered for n in range(BATCH)}
    context.store.close()
    return Killed(kills, children, len(wanted), len(wanted - found), total - len(found))


async def _send_and_kill(port: int, sent: Sent, numbers: Iterator[int], pid: int, chance: random.Random, seconds: float) -> bool:
    """Whether a child was killed, too."""

    async def kill() -> bool:
        await asyncio.sleep(chance.uniform(0.1, 4.0))
        processes = psutil.Process(pid).children()
        both = bool(processes) and chance.random() < 0.7
        for each in processes if both else []:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        if not both or chance.random() < 0.8:
            os.kill(pid, signal.SIGKILL)
        else:  # the child alone; the API goes on and starts another
            await asyncio.sleep(1.5)
            os.kill(pid, signal.SIGKILL)
        return both

    killing = asyncio.create_task(kill()) if pid else None
    with suppress(OSError, asyncio.IncompleteReadError):
        await send_for(port, sent, numbers, seconds=seconds)
    return await killing if killing is not None else False


def run(*, quick: bool, seconds: float | None = None, kills: int | None = None, seed: int | None = None) -> list[Figure]:
    """Measure, print, write. Raises: BenchError."""
    chosen = random.randrange(10**6) if seed is None else seed
    print(f"seed {chosen}", flush=True)
    from tests.integration.test_api.support import free_ports

    with tempfile.TemporaryDirectory(prefix="po-events-") as name:
        folder = Path(name)
        rate = measure_rate(folder / "rate", free_ports(), seconds=seconds or (5.0 if quick else SECONDS))
        count = kills if kills is not None else (5 if quick else KILLS)
        killed = kill_again_and_again(folder / "kills", free_ports(), kills=count, seed=chosen)
    per_s = rate.events / rate.seconds
    how = f"{rate.events:,} events in batches of {BATCH}, {CONNECTIONS} connections, client on the same machine; {rate.again} asked to wait"
    after = f"all in files {rate.sorted_s:.1f} s after the end"
    figures = [
        Figure("events a second through the API", per_s, "/s", RATE_BAR, at_least=True, detail=how),
        Figure("a batch answered, median", percentile(rate.took_ms, 0.5), "ms", detail="on the disk by then"),
        Figure("a batch answered, p99", percentile(rate.took_ms, 0.99), "ms"),
        Figure("oldest event in no file yet, at most", rate.lag_s, "s", FRESH_BAR_S, detail=after),
        Figure("processor time an event, API", 1e6 * rate.api_s / max(1, rate.events), "µs"),
        Figure("processor time an event, sorting", 1e6 * rate.child_s / max(1, rate.events), "µs", detail="in a process of its own"),
        Figure("bytes an event in files", rate.size_bytes / max(1, rate.events), "B"),
        Figure("events lost without kills", rate.lost, "", 0),
        Figure("events doubled without kills", rate.doubled, "", 0),
        Figure("events lost over kills", killed.lost, "", 0, detail=f"{killed.events:,} events, {killed.kills} × SIGKILL, seed {chosen}"),
        Figure("events doubled over kills", killed.doubled, "", 0, detail=f"{killed.in_child} of the kills hit the sorting process, too"),
    ]
    write("analytics-ingest", "events", figures, [{"took_ms": rate.took_ms}])
    show("usage events", figures)
    return figures


def main() -> int:
    """Exit status 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analytics_ingest", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    figures = run(quick=given.quick, seconds=given.seconds, kills=given.kills, seed=given.seed)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
