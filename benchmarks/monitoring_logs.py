"""Logs and traces: how many lines and spans a second does one core take in, are lines grouped rightly, how long does a search take?

``python -m benchmarks.monitoring_logs [--quick] [--lines N] [--url postgresql+psycopg://…]``. Lines are made up: 24 shapes with ids,
addresses and names filled in, one in fifty an error. Rates are of processor time of this process; with PostgreSQL its server works beside.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figures import Figure, percentile, show, write
from productops.domain.catalog import ServiceSpec
from productops.domain.governance_access import MACHINE
from productops.domain.monitoring_logs import LogLevel, LogLine, LogOrigin, LogQuery, read_terms
from productops.domain.monitoring_logs_parse import parse
from productops.domain.monitoring_traces import Span
from productops.domain.release import Environment
from productops.stats.log_templates import TemplateTree
from productops.store import Store
from productops.store.migrate import upgrade
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_logs import errors_of, search_logs, templates_of
from productops.usecases.monitoring_logs_intake import LogIntake
from productops.usecases.monitoring_logs_places import Places
from productops.usecases.monitoring_traces_intake import SpanIntake

LINES = 1_000_000
BATCH = 2_000
SEARCHES = 30
SOMEBODY = Actor("bench", "cli", MACHINE)
SHAPES = [
    "INFO order {N} paid by {NAME} in {F} ms", "INFO order {N} cancelled by {NAME}", "INFO connection from {IP} closed after {F} s",
    "WARNING connection from {IP} refused", "DEBUG cache miss for key {ID}", "DEBUG cache hit for key {ID}",
    "WARNING retry {N} of {N} for job {ID}", "INFO user {NAME} logged in from {IP}", "INFO user {NAME} logged out",
    "WARNING payment {ID} refused by bank: insufficient funds", "WARNING payment {ID} refused by bank: card expired",
    "INFO starting worker {N}", "INFO stopping worker {N}", "INFO flushed {N} rows to disk in {F} ms", "INFO health check ok",
    "WARNING health check failed: timeout after {F} ms", "INFO GET /api/orders/{N} 200 {F}", "INFO POST /api/orders 201 {F}",
    "INFO queue {NAME} has {N} messages", "INFO [pool-{N}] task {ID} done", "INFO mail to {NAME}@example.org sent",
    "INFO session {ID} expired after {N} s", "INFO config reloaded from /etc/shop/{NAME}.yaml", "INFO leader is {IP} since term {N}",
]  # fmt: skip
ERROR = (
    'ERROR request {ID} failed\nTraceback (most recent call last):\n  File "/srv/shop/app.py", line {N}, in handle\n    go()\n'
    '  File "/srv/shop/basket.py", line {N}, in total\n    return prices[item]\nKeyError: \'{ID}\''
)  # fmt: skip


def lines(count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Made-up lines with the number of their shape."""
    rng = random.Random(seed)
    fill: dict[str, Callable[[], str]] = {
        "{N}": lambda: str(rng.randrange(10**6)), "{ID}": lambda: f"{rng.randrange(2**64):016x}", "{F}": lambda: f"{rng.random() * 99:.2f}",
        "{IP}": lambda: f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}",
        "{NAME}": lambda: "".join(rng.choices("abdeiklmnost", k=5)),
    }  # fmt: skip
    began = datetime.now(UTC) - timedelta(seconds=count / 1_000)
    for n in range(count):
        number = rng.randrange(len(SHAPES)) if rng.random() > 0.02 else len(SHAPES)
        text = SHAPES[number] if number < len(SHAPES) else ERROR
        for mark, value in fill.items():
            while mark in text:
                text = text.replace(mark, value(), 1)
        yield f"{(began + timedelta(milliseconds=n)).isoformat()} {text}", number


def grouping(count: int) -> tuple[float, float, int]:
    """Share of lines whose shape is exactly one cluster (grouping accuracy), lines a second, clusters."""
    made = list(lines(count, seed=1))
    tree = TemplateTree()
    began = time.process_time()
    placed = [tree.learn(text)[0] for text, _ in made]
    took = time.process_time() - began
    clusters: dict[int, set[int]] = {}
    shapes: dict[int, set[int]] = {}
    final = []
    for cluster, (_, shape) in zip(placed, made, strict=True):
        found = cluster
        while found.merged_into is not None:
            found = found.merged_into
        final.append((found.number, shape))
        clusters.setdefault(found.number, set()).add(shape)
        shapes.setdefault(shape, set()).add(found.number)
    right = sum(len(clusters[number]) == 1 and len(shapes[shape]) == 1 for number, shape in final)
    return right / count, count / took, len(clusters)


def take_lines(context: Context, count: int) -> tuple[float, float, list[float]]:
    """Lines a second from raw text to the database, without making them up; longest time of a batch and all of them, in ms."""
    intake = LogIntake(context, lines_per_s=10**9)
    origin = LogOrigin("apollo", "shop", Environment.PRODUCTION, "1.1.0", "i-1")
    spent, batches, waiting = 0.0, [], []
    for text, _ in lines(count, seed=2):
        waiting.append(text)
        if len(waiting) == BATCH:
            began, wall = time.process_time(), time.perf_counter()
            received_us = time.time_ns() // 1_000
            read = [parse(each, received_us=received_us) for each in waiting]
            intake.take([LogLine(origin, p.at_us, p.level, p.text, p.trace_id) for p in read])
            spent += time.process_time() - began
            batches.append((time.perf_counter() - wall) * 1_000)
            waiting = []
    intake.take([LogLine(origin, time.time_ns() // 1_000, LogLevel.ERROR, "ERROR the needle4711 in the haystack")])
    return count / spent, max(batches), batches


def take_spans(context: Context, count: int, *, per_s: int) -> float:
    """Spans a second: matched into edges, sampled, stored."""
    intake = SpanIntake(context, Places(context), spans_per_s=per_s)
    now_us, spent = time.time_ns() // 1_000, 0.0
    attributes = {"http.request.method": "GET", "url.path": "/basket", "http.response.status_code": 200, "server.address": "cart"}
    for _ in range(count // 500):
        batch = []
        for _pair in range(250):
            trace, caller, callee = secrets.token_hex(16), secrets.token_hex(8), secrets.token_hex(8)
            places = (("shop", "client", caller, ""), ("cart", "server", callee, caller))
            batch += [
                Span(
                    trace,
                    own,
                    parent,
                    "apollo",
                    service,
                    Environment.PRODUCTION,
                    "GET /basket",
                    now_us,
                    12_000,
                    kind,
                    attributes=attributes,
                )
                for service, kind, own, parent in places
            ]
        began = time.process_time()
        intake.take(batch)
        spent += time.process_time() - began
    return count / spent


def searches(context: Context) -> dict[str, list[float]]:
    """Milliseconds of each kind of search, again and again."""
    now = datetime.now(UTC) + timedelta(minutes=5)
    last = LogQuery(service="shop")
    kinds: dict[str, Callable[[], object]] = {
        "newest 100 lines of a service": lambda: search_logs(context, last, actor=SOMEBODY),
        "one line by a rare word": lambda: search_logs(context, LogQuery(terms=read_terms("needle4711")), actor=SOMEBODY),
        "a word that no line has": lambda: search_logs(context, LogQuery(terms=read_terms("nothinglikeit")), actor=SOMEBODY),
        "100 errors with a phrase": lambda: search_logs(
            context, LogQuery(level=LogLevel.ERROR, terms=read_terms('"in handle" keyerr')), actor=SOMEBODY
        ),
        "templates of the whole time": lambda: templates_of(
            context, service="shop", environment=Environment.PRODUCTION, since=now - timedelta(days=1), until=now, actor=SOMEBODY
        ),
        "errors of the whole time": lambda: errors_of(
            context, service="shop", environment=Environment.PRODUCTION, since=now - timedelta(days=1), until=now, actor=SOMEBODY
        ),
    }
    took: dict[str, list[float]] = {}
    for name, search in kinds.items():
        for _ in range(SEARCHES):
            began = time.perf_counter()
            search()
            took.setdefault(name, []).append((time.perf_counter() - began) * 1_000)
    return took


class Silent:
    """A doorbell nobody hears."""

    def ring(self) -> None:
        """Nothing."""


def house(url: str) -> Context:
    """A database with two services."""
    upgrade(url)
    context = Context(store=Store(url), doorbell=Silent(), lease_ttl_s=15.0)
    run = {"command": ["x"], "versions": {"kind": "folder", "path": "{version}"}}
    spec = ServiceSpec.model_validate({"run": run})
    with context.store.write() as unit:
        unit.catalog.put_venture("apollo", title="", description="", author="bench", now=context.clock.now())
        for name in ("shop", "cart"):
            unit.catalog.put_service(name, venture="apollo", spec=spec, base="/", author="bench", now=context.clock.now())
    return context


def run(*, quick: bool, count: int | None = None, url: str = "") -> list[Figure]:
    """Measure, print, write."""
    wanted = count or (50_000 if quick else LINES)
    with tempfile.TemporaryDirectory(prefix="po-logs-") as folder:
        context = house(url or f"sqlite:///{Path(folder) / 'logs.db'}")
        accuracy, learned, clusters = grouping(min(wanted, 100_000))
        rate, longest, batches = take_lines(context, wanted)
        took = searches(context)
        with context.store.read() as unit:
            chunks, stored, size = unit.logs.totals()
        on_disk = (Path(folder) / "logs.db").stat().st_size if not url else 0
        spans_all = take_spans(context, 5_000 if quick else 50_000, per_s=10**9)
        spans_few = take_spans(context, 5_000 if quick else 100_000, per_s=200)
        context.store.close()
    figures = [
        Figure("lines a second of one core, from text to database", rate, "/s", detail=f"{wanted:,} lines, batches of {BATCH:,}"),
        Figure("longest batch", longest, "ms", detail=f"median {percentile(batches, 0.5):.0f} ms, wall clock"),
        Figure("lines a second put into templates alone", learned, "/s"),
        Figure("grouping accuracy", accuracy, "", detail=f"{len(SHAPES) + 1} shapes, {clusters} clusters"),
        Figure("bytes on disk a line", on_disk / stored if on_disk else None, "B", detail=f"{size / stored:.0f} packed, {chunks:,} chunks"),
        *(Figure(f"search: {name}, p95", percentile(ms, 0.95), "ms", detail=f"of {stored:,} lines") for name, ms in took.items()),
        Figure("spans a second of one core, all kept", spans_all, "/s"),
        Figure("spans a second of one core, 200 a second kept", spans_few, "/s", detail="all of them counted in the call graph"),
    ]
    write("monitoring", "logs", figures, [{"searches_ms": took}])
    show("logs and traces", figures)
    return figures


def main() -> int:
    """Exit status 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring_logs", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--lines", type=int)
    parser.add_argument("--url", default="", help="an empty database of yours; default: SQLite in a temporary folder")
    given = parser.parse_args()
    return 1 if any(figure.met is False for figure in run(quick=given.quick, count=given.lines, url=given.url)) else 0


if __name__ == "__main__":
    sys.exit(main())
