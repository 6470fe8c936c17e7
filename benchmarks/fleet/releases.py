"""As many releases at the same moment as there are services: how long until each begins, and how all of them end."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.figures import console, percentile
from benchmarks.release.api import unix_s
from benchmarks.release.stack import PROJECT, BenchError, BenchStack
from productops.adapters.prefect_api import auth_header
from productops.adapters.prefect_auth import prefect_auth
from productops.settings import Settings

REQUESTS_PER_S = 4.0
LOOK_S = 2.0
WEIGH_S = 20.0
RECORDED_WITHIN_S = 300.0
ASK_AT_ONCE = 10
SERVICE = """---
apiVersion: productops/v1
kind: Service
metadata: {{name: {name}, venture: fleet}}
spec:
  description: One of many shops.
  run:
    command: ["{{python}}", server.py, --port, "{{port}}"]
    versions: {{kind: folder, path: "{versions}/{{version}}"}}
    instances: 1
    health: {{path: /healthz, timeout_s: 90}}
  rollout:
    strategy: canary
    canary:
      steps: [{{weight_pct: 50, hold_s: 8}}]
    analysis: {{alpha: 0.001, requests_min: 3, warm_up_s: 3600, on_inconclusive: extend}}
    validate_s: 0.5
"""
VENTURE = """apiVersion: productops/v1
kind: Venture
metadata: {name: fleet}
spec: {title: Fleet}
"""
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FleetStack(BenchStack):
    """The bench's stack with many services. ``databases``: settings of both databases; empty: SQLite."""

    databases: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Its own catalog, its own databases."""
        # Named, because a dataclass with slots is another class than the one ``super()`` means.
        ours = {"PRODUCTOPS_CATALOG": str(self.home / "catalog"), "PRODUCTOPS_INSTANCE_PORTS": "260"}
        return BenchStack.environment.__get__(self) | ours | dict(self.databases)

    def write_catalog(self, services: int) -> list[str]:
        """Names of the services it declares."""
        names = [f"shop{number:03}" for number in range(services)]
        versions = PROJECT / "examples" / "storefront" / "versions"
        (self.home / "catalog").mkdir(exist_ok=True)
        text = VENTURE + "".join(SERVICE.format(name=name, versions=versions) for name in names)
        (self.home / "catalog" / "fleet.yaml").write_text(text, encoding="utf-8")
        return names


@dataclass(frozen=True, slots=True)
class Wave:
    """One version of every service, released at once. Times in seconds from the common start; memory in MB, at its highest.

    ``first_step_s``: until the first task of the flow ran; ``deploying_s``: until the release had begun; by service.
    """

    phases: Counter[str]
    reasons: list[str]
    answered_s: list[float]
    first_step_s: list[float]
    deploying_s: list[float]
    took_s: float
    memory_mb: float
    processes: int


def release_all(stack: FleetStack, names: list[str], version: str, *, within_s: float) -> Wave:
    """Ask for ``version`` of all services at once and watch to the end. Raises: BenchError when some have not ended ``within_s``."""
    token = (stack.home / "token").read_text(encoding="utf-8").strip()
    bearer = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=stack.api_url, headers=bearer, timeout=60, trust_env=False) as http:

        def ask(name: str) -> tuple[str, float]:
            answer = http.post(f"/release/{version}", json={"service": name})
            if answer.status_code != 202:
                raise BenchError(f"{name} {version} was refused with {answer.status_code}: {answer.text[:300]}")
            return str(answer.json()["id"]), time.time() - began

        began = time.time()
        with ThreadPoolExecutor(max(ASK_AT_ONCE, len(names))) as pool:
            asked = list(pool.map(ask, names))
        ended, memory_mb, processes = _watch(stack, http, [release_id for release_id, _ in asked], within_s=within_s)
        took_s = time.time() - began
    steps = _first_steps(stack, [str(d["flow_run"]["id"]) for d in ended if d["flow_run"]])
    return Wave(
        phases=Counter(d["phase"] for d in ended),
        reasons=sorted({f"{d['service']} {d['phase']}: {d['reason']}" for d in ended if d["phase"] != "promoted"}),
        answered_s=[after for _, after in asked],
        first_step_s=[at - began for at in steps],
        deploying_s=[unix_s(m["at"]) - began for d in ended for m in d["transitions"] if m["to"] == "deploying"],
        took_s=took_s,
        memory_mb=memory_mb,
        processes=processes,
    )


def _watch(stack: FleetStack, http: httpx.Client, release_ids: list[str], *, within_s: float) -> tuple[list[Document], float, int]:
    """The ended releases, the most memory that all processes of the stack had, and how many those were."""
    deadline = time.monotonic() + within_s
    ended: dict[str, Document] = {}
    most, processes, weighed_at = 0.0, 0, time.monotonic()
    while len(ended) < len(release_ids):
        # One request for all, and memory seldom: watching closely took more of two cores than the releases did.
        newest = http.get("/releases", params={"limit": 200}).raise_for_status().json()["items"]
        over = {str(each["id"]) for each in newest if each["ended"] or each["phase"] == "paused"}
        for release_id in release_ids:
            if release_id in over and release_id not in ended:
                ended[release_id] = http.get(f"/releases/{release_id}").raise_for_status().json()
        if time.monotonic() - weighed_at >= WEIGH_S:
            weighed_at = time.monotonic()
            mb, number = memory(stack.home)
            most, processes = max(most, mb), max(processes, number)
        if time.monotonic() > deadline:
            left = Counter(http.get(f"/releases/{each}").json()["phase"] for each in release_ids if each not in ended)
            raise BenchError(f"{sum(left.values())} of {len(release_ids)} releases have not ended within {within_s:g} s: {dict(left)}")
        time.sleep(LOOK_S)
    return [ended[each] for each in release_ids], most, processes


def memory(home: Path) -> tuple[float, int]:
    """Proportional memory (MB) and number of the processes that carry the mark of a stack, its instances included."""
    total, number = 0, 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PRODUCTOPS_STACK_HOME") == str(home):
                total += process.memory_full_info().pss
                number += 1
    return total / 1e6, number


def _first_steps(stack: FleetStack, run_ids: list[str]) -> list[float]:
    """When the first task of each run started, Unix seconds, by Prefect's record, which is complete some time later."""
    deadline = time.monotonic() + RECORDED_WITHIN_S
    ours = auth_header(prefect_auth(Settings(home=stack.home)))
    while True:
        first: dict[str, float] = {}
        with httpx.Client(base_url=stack.prefect_url, timeout=60, trust_env=False, headers=ours) as http:
            client = str(uuid.uuid4())
            answer = http.get("/csrf-token", params={"client": client})
            headers = {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": answer.json()["token"]} if answer.is_success else {}
            for run_id in run_ids:
                body = {"flow_runs": {"id": {"any_": [run_id]}}}
                tasks = http.post("/task_runs/filter", json=body, headers=headers).raise_for_status().json()
                started = [unix_s(task["start_time"]) for task in tasks if task["start_time"]]
                if started:
                    first[run_id] = min(started)
        if len(first) == len(run_ids) or time.monotonic() > deadline:
            return list(first.values())
        time.sleep(LOOK_S)


@contextmanager
def visitors(stack: FleetStack, names: list[str]) -> Iterator[Counter[int]]:
    """A few requests a second for every service while the block lasts; answers by status (the shop's own: 200), 0 for none."""
    seen: Counter[int] = Counter()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_visit(stack, names, seen, stop.is_set)), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(15)


async def _visit(stack: FleetStack, names: list[str], seen: Counter[int], stopped: Callable[[], bool]) -> None:
    async def one(name: str) -> None:
        while not stopped():
            with suppress(OSError, asyncio.IncompleteReadError, ValueError, IndexError):
                await _keep_asking(stack.port_base + 2, f"{name}.localhost", seen, stopped)
            if not stopped():
                seen[0] += 1
                await asyncio.sleep(0.5)

    await asyncio.gather(*(one(name) for name in names))


async def _keep_asking(port: int, host: str, seen: Counter[int], stopped: Callable[[], bool]) -> None:
    """One kept connection, so that the load costs the machine next to nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while not stopped():
            writer.write(f"GET / HTTP/1.1\r\nhost: {host}\r\nx-request-id: {uuid.uuid4()}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = next((int(line.partition(":")[2]) for line in head.split("\r\n") if line.startswith("content-length:")), None)
            if length is None:
                raise ValueError("an answer without a length ends the connection")
            await reader.readexactly(length)
            # One answer in two hundred of the shop is a failure of its own, by design: it has arrived all the same.
            seen[200 if "\r\nx-shop-version:" in head else int(head.split()[1])] += 1
            await asyncio.sleep(1 / REQUESTS_PER_S)
    finally:
        writer.close()


def tell(title: str, wave: Wave) -> None:
    """One line for whoever watches."""
    phases = ", ".join(f"{count} {phase}" for phase, count in wave.phases.items())
    steps = wave.first_step_s
    console.print(
        f"  {title}: {phases}; first step after {statistics.median(steps):.2f} s (median), {percentile(steps, 0.95) or 0:.2f} s (p95);"
        f" all ended after {wave.took_s:.1f} s; {wave.processes} processes, {wave.memory_mb:,.0f} MB",
        soft_wrap=True,
    )
    for reason in wave.reasons[:5]:
        console.print(f"    {reason}", soft_wrap=True)
