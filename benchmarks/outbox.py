"""Webhooks: is anything lost when senders are killed, how soon is an event told, how soon is a webhook answered?

``python -m benchmarks.outbox [--quick] [--kills N] [--seed N] [--url postgresql+psycopg://…]``. Senders are processes that run what the API
runs, forked from one that has loaded the code, and killed with SIGKILL at random moments while the receiver fails now and then.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, percentile, show, write
from productops.domain.catalog_webhooks import WebhookTargetSpec
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.store import Store
from productops.store.migrate import upgrade
from productops.usecases.context import Context

ROOT = Path(__file__).resolve().parents[1]
KILLS = 100
EVENTS_PER_KILL = 6
SUBJECTS = 4
FAILING = 0.05
LONGEST_LIFE_S = 0.1
AWAKE_S = 3.0
SETTLE_S = 120.0
LATENCY_BAR_MS = 1_000.0
ANSWER_BAR_MS = 50.0


class Silent:
    """A doorbell nobody hears."""

    def ring(self) -> None:
        """Nothing."""


@dataclass
class Receiver:
    """What arrived, in order: (webhook-id, subject, number, when)."""

    url: str = ""
    got: list[tuple[str, str, int, float]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, subject: str) -> list[int]:
        """Numbers of a subject as they came first: a receiver drops repetitions by their id."""
        first: dict[str, int] = {}
        with self.lock:
            for delivery, about, number, _ in self.got:
                if about == subject:
                    first.setdefault(delivery, number)
        return list(first.values())


@contextmanager
def receiving(chance: random.Random | None = None) -> Iterator[Receiver]:
    """A receiver that refuses some requests; what it refuses it has not received."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with found.lock:
                refused = chance is not None and chance.random() < FAILING
                if not refused:
                    found.got.append((self.headers["webhook-id"], document["subject"], document["data"]["number"], time.time()))
            time.sleep(0.005 if chance is not None else 0.0)  # so that some are killed between the answer and the note of it
            with suppress(OSError):
                self.send_response(503 if refused else 204)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A killed sender resets its connections; that is no news here."""

    server = Quiet(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def nursery(url: str) -> Iterator[Callable[[], int]]:
    """A process that has loaded everything; each call makes it fork a sender and returns the sender's pid."""
    command = [sys.executable, "-m", "benchmarks.outbox", "--nursery", "--url", url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None and parent.stdout is not None  # noqa: PT018
        asked, told = parent.stdin, parent.stdout

        def fork() -> int:
            asked.write("fork\n")
            asked.flush()
            return int(told.readline())

        try:
            yield fork
        finally:
            asked.close()  # its children see that it has ended, and end, too
            parent.wait(20)


def _send_until_alone(context: Context, mother: int) -> None:
    from productops.adapters.webhook_sender import WebhookSender
    from productops.api.governance_webhooks_worker import WebhookWorker

    WebhookWorker(lambda: context, WebhookSender(allow_private=True), "https://ops.example.com", timedelta(days=1)).start()
    while os.getppid() == mother:
        time.sleep(0.1)
    os._exit(0)


def run_nursery(url: str) -> int:
    """Fork a sender for each line that comes."""
    import productops.api.governance_webhooks_worker  # noqa: F401 - loaded once, for all children

    set_up_logs(Settings(log_level="ERROR"), program="outbox")  # standard output is for pids
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    mother = os.getpid()
    for _ in sys.stdin:
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        child = Context(store=Store(url), doorbell=Silent(), lease_ttl_s=15.0)
        _send_until_alone(child, mother)
    return 0


def open_store(url: str, receiver: str) -> Context:
    """A migrated database with one target, told of everything."""
    upgrade(url)
    context = Context(store=Store(url), doorbell=Silent(), lease_ttl_s=15.0)
    spec = WebhookTargetSpec.model_validate({"url": receiver, "format": "plain", "timeout_s": 5, "attempts_max": 100})
    with context.store.write() as unit:
        unit.targets.put("receiver", venture=None, spec=spec, base="", now=context.clock.now())
    return context


def tell(context: Context, subject: str, number: int) -> None:
    """Put one event into the outbox."""
    with context.store.write() as unit:
        unit.outbox.add("flag.changed", subject, {"number": number}, now=context.clock.now())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found after the kills: events that never came, subjects out of order, events that came under two ids.

    ``holding``: how many of the killed had claimed something at that moment.
    """

    seed: int
    kills: int
    holding: int
    events: int
    arrivals: int
    lost: int
    disordered: int
    renamed: int


def kill_senders(url: str, *, kills: int, seed: int) -> Outcome:
    """Write events, start a sender, kill it at a random moment, again and again; then let one finish."""
    chance = random.Random(seed)
    with receiving(random.Random(seed + 1)) as receiver, nursery(url) as fork:
        context = open_store(url, receiver.url)
        written = dict.fromkeys((f"flag/{n}" for n in range(SUBJECTS)), 0)
        holding = 0
        for _ in range(kills):
            pid = fork()
            for _ in range(EVENTS_PER_KILL):
                subject = chance.choice(sorted(written))
                tell(context, subject, written[subject])
                written[subject] += 1
            had, patience = len(receiver.got), time.monotonic() + (AWAKE_S if chance.random() < 0.9 else 0.0)
            while len(receiver.got) == had and time.monotonic() < patience:
                time.sleep(0.001)
            time.sleep(chance.uniform(0.0, LONGEST_LIFE_S))
            os.kill(pid, signal.SIGKILL)
            with context.store.read() as unit:
                holding += bool(unit.outbox.holders())
        fork()
        deadline = time.monotonic() + SETTLE_S
        while any(len(receiver.of(s)) < count for s, count in written.items()) and time.monotonic() < deadline:
            time.sleep(0.05)
        context.store.close()
        arrived = {subject: receiver.of(subject) for subject in written}
        ids = {(delivery, subject, number) for delivery, subject, number, _ in receiver.got}
        return Outcome(
            seed=seed, kills=kills, holding=holding, events=sum(written.values()), arrivals=len(receiver.got),
            lost=sum(len(set(range(count)) - set(arrived[subject])) for subject, count in written.items()),
            disordered=sum(numbers != sorted(numbers) for numbers in arrived.values()),
            renamed=len(ids) - len({(subject, number) for _, subject, number in ids}),
        )  # fmt: skip


def time_to_tell(url: str, *, count: int) -> list[float]:
    """Milliseconds from the end of a transaction to the receiver, for events that come one at a time."""
    with receiving() as receiver, nursery(url) as fork:
        context = open_store(url, receiver.url)
        fork()
        took = []
        for number in range(count):
            time.sleep(random.uniform(0.05, 0.4))
            tell(context, f"flag/{number}", number)
            ended = time.time()
            while len(receiver.got) <= number and time.time() - ended < 30:
                time.sleep(0.001)
            took.append((receiver.got[-1][3] - ended) * 1000)
        context.store.close()
        return took


def throughput(url: str, *, count: int) -> float:
    """Deliveries a second to one target, all subjects different."""
    with receiving() as receiver, nursery(url) as fork:
        context = open_store(url, receiver.url)
        with context.store.write() as unit:
            for number in range(count):
                unit.outbox.add("flag.changed", f"flag/{number}", {"number": number}, now=context.clock.now())
        began = time.monotonic()
        fork()
        while len(receiver.got) < count and time.monotonic() - began < 120:
            time.sleep(0.01)
        context.store.close()
        return len(receiver.got) / (time.monotonic() - began)


def time_to_answer(url: str, *, count: int) -> list[float]:
    """Milliseconds from a webhook's arrival until the use case has kept it; HTTP adds what it adds to any request."""
    from productops.adapters.webhook_secrets import SecretFolder
    from productops.domain.catalog_webhooks import WebhookSourceSpec
    from productops.usecases.governance_webhooks import Refusals, receive

    upgrade(url)
    secrets = SecretFolder(Path("/nowhere"), {"PRODUCTOPS_SECRET_A": "a-webhook-secret"})
    context = Context(store=Store(url), doorbell=Silent(), lease_ttl_s=15.0, secrets=secrets)
    spec = WebhookSourceSpec.model_validate({"provider": "plain", "secrets": ["PRODUCTOPS_SECRET_A"]})
    with context.store.write() as unit:
        unit.catalog.put_venture("apollo", title="", description="", author="bench", now=context.clock.now())
        unit.sources.put("plain", venture="apollo", spec=spec, base="", now=context.clock.now())
    took, refusals = [], Refusals()
    for number in range(count):
        body = json.dumps({"kind": "build.succeeded", "version": str(number)}).encode()
        began = time.perf_counter()
        receive(context, "plain", [("Authorization", "Bearer a-webhook-secret")], body, refusals=refusals)
        took.append((time.perf_counter() - began) * 1000)
    context.store.close()
    return took


def run(*, quick: bool, kills: int | None = None, seed: int | None = None, url: str = "") -> list[Figure]:
    """Measure, print, write."""
    chosen = random.randrange(10**6) if seed is None else seed
    print(f"seed {chosen}", flush=True)
    with tempfile.TemporaryDirectory(prefix="po-outbox-") as folder:

        def fresh(name: str) -> str:
            return url or f"sqlite:///{Path(folder) / name}.db"

        found = kill_senders(fresh("kills"), kills=kills or (10 if quick else KILLS), seed=chosen)
        told = time_to_tell(fresh("latency"), count=10 if quick else 100)
        rate = throughput(fresh("rate"), count=100 if quick else 1_000)
        answered = time_to_answer(fresh("answer"), count=100 if quick else 1_000)
    how = f"{found.events} events, {found.kills} kills ({found.holding} with claims), seed {found.seed}, {found.arrivals} arrivals"
    figures = [
        Figure("events lost by kill -9 of the sender", found.lost, "", 0, detail=how),
        Figure("subjects out of order", found.disordered, "", 0, detail=f"of {SUBJECTS}"),
        Figure("events that came under two ids", found.renamed, "", 0),
        Figure("committed event to receiver, median", percentile(told, 0.5), "ms", LATENCY_BAR_MS),
        Figure("committed event to receiver, p99", percentile(told, 0.99), "ms", LATENCY_BAR_MS),
        Figure("webhook kept, median", percentile(answered, 0.5), "ms", ANSWER_BAR_MS),
        Figure("webhook kept, p99", percentile(answered, 0.99), "ms", ANSWER_BAR_MS),
        Figure("deliveries a second to one target", rate, "/s"),
    ]
    write("outbox", "webhooks", figures, [{"told_ms": told, "answered_ms": answered}])
    show("webhooks", figures)
    return figures


def main() -> int:
    """Exit status 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outbox", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--url", default="", help="an empty database of yours; default: SQLite in a temporary folder")
    parser.add_argument("--nursery", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.nursery:
        return run_nursery(given.url)
    figures = run(quick=given.quick, kills=given.kills, seed=given.seed, url=given.url)
    return 1 if any(figure.met is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
