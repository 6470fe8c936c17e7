"""Incidents with known causes: PetShop (CLeaR 2024, CC-BY-4.0) and Nezha's Train Ticket (FSE 2023, MIT). Neither is part of this project.

``PRODUCTOPS_BENCH_DATA`` names the folder with ``rca-petshop`` (``common/<scenario>/{noissue_metrics.csv.gz,graph.csv}`` and
``dev/<scenario>/<split>/<issue>/{metrics.csv,target.json}``) and ``rca-nezha`` (``common/trainticket/<day>_…parquet`` and
``dev/<case>/{truth.json,trace.parquet,log.parquet}``).
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.release.stack import BenchError
from productops.stats.cause_traces import TraceLine, TraceSpan

DATA = "PRODUCTOPS_BENCH_DATA"
Floats = NDArray[np.float64]
STEP_S = 300
SYSTEM = "trainticket"
WINDOW_S = 210
CPU, CPU_LIMIT = "CpuUsageRate(%)", 100.0
METRICS = (
    CPU, "MemoryUsageRate(%)", "PodServerLatencyP90(s)", "PodClientLatencyP90(s)", "NetworkReceiveBytes", "NetworkTransmitBytes"
)  # fmt: skip
_LOCATION = re.compile(r"(TRACE|DEBUG|INFO|WARN|ERROR)\s+(\S+#\d+)")
_DIGITS = re.compile(r"\d+")
_LEVELS = {"ERROR": "error", "WARN": "warning"}


@dataclass(frozen=True, slots=True)
class Case:
    """One incident. ``normal`` and ``window`` by node and metric; ``during`` are the steps of the window that belong to it.

    ``limits`` of metrics that have one. Spans and lines are of normal times and of the incident; ``calls``: who calls whom.
    """

    name: str
    system: str
    kind: str
    cause: str
    symptom: str
    target: str
    normal: Mapping[str, Mapping[str, Floats]]
    window: Mapping[str, Mapping[str, Floats]]
    during: slice
    calls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    normal_spans: tuple[TraceSpan, ...] = ()
    normal_lines: tuple[TraceLine, ...] = ()
    spans: tuple[TraceSpan, ...] = ()
    lines: tuple[TraceLine, ...] = ()
    began_s: float = 0.0


def folder(name: str) -> Path:
    """Where a data set is. Raises: BenchError."""
    named = os.environ.get(DATA)
    if not named or not (Path(named) / name).is_dir():
        raise BenchError(f"name the folder that has {name} in {DATA}")
    return Path(named) / name


# ---- PetShop


def petshop() -> Iterator[Case]:
    """All issues that are there."""
    home = folder("rca-petshop")
    for path in sorted(home.glob("dev/*/*/*/target.json")):
        scenario = path.parents[2].name
        target = json.loads(path.read_text(encoding="utf-8"))
        table = _table(path.parent / "metrics.csv")
        at, kind = float(target["target"]["timestamp"]), str(target["target"]["metric"])
        first = next(number for number, begin in enumerate(table[0]) if begin >= at - 10)
        normal = _nodes(_normal_table(home, scenario))
        yield Case(
            f"{scenario}/{path.parents[1].name}/{path.parent.name}", "petshop", kind, str(target["root_cause"]["node"]),
            "failures" if kind == "availability" else "slowness", str(target["target"]["node"]), normal, _nodes(table),
            slice(first, min(first + 2, len(table[0]))), _graph(home, scenario), began_s=at,
        )  # fmt: skip


Table = tuple[list[float], dict[tuple[str, str, str], Floats]]


def _table(path: Path) -> Table:
    packed = path.read_bytes()
    rows = list(csv.reader((gzip.decompress(packed) if path.suffix == ".gz" else packed).decode().splitlines()))
    keys = list(zip(rows[0][1:], rows[1][1:], rows[2][1:], strict=True))
    body = [row for row in rows[3:] if row and _number(row[0]) == _number(row[0])]
    columns = {key: np.array([_number(row[place + 1]) for row in body]) for place, key in enumerate(keys)}
    return [float(row[0]) for row in body], columns


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


@cache
def _normal_table(home: Path, scenario: str) -> Table:
    return _table(home / "common" / scenario / "noissue_metrics.csv.gz")


@cache
def _graph(home: Path, scenario: str) -> dict[str, tuple[str, ...]]:
    with (home / "common" / scenario / "graph.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return {row[0]: tuple(name for name, cell in zip(rows[0][1:], row[1:], strict=True) if _number(cell) > 0) for row in rows[1:]}


def _nodes(table: Table) -> dict[str, dict[str, Floats]]:
    """By node: ``slowness`` in seconds waited and ``failures`` in each step, ``requests``, and each metric as it is."""
    found: dict[str, dict[str, Floats]] = {}
    for (node, metric, statistic), values in table[1].items():
        found.setdefault(node, {})[f"{metric}.{statistic}"] = values
    for metrics in found.values():
        requests = np.nan_to_num(metrics.get("requests.Sum", np.zeros(len(table[0]))))
        metrics["requests"] = requests
        if "latency.Average" in metrics:
            metrics["slowness"] = requests * np.nan_to_num(metrics["latency.Average"])
        if "availability.Average" in metrics:
            metrics["failures"] = requests * (100 - np.nan_to_num(metrics["availability.Average"], nan=100.0)) / 100
    return found


# ---- Nezha


def nezha() -> Iterator[Case]:
    """Faults of Train Ticket that are there, with metrics, traces and logs."""
    home = folder("rca-nezha")
    for path in sorted(home.glob(f"dev/{SYSTEM}_*/truth.json")):
        truth = json.loads(path.read_text(encoding="utf-8"))
        began_s = datetime.fromisoformat(truth["inject_time"]).replace(tzinfo=UTC).timestamp()
        day = str(truth["day"])
        normal, window, during = _pods(home, day, began_s)
        common = home / "common" / SYSTEM
        spans, lines = _spans(path.parent / "trace.parquet"), _lines(path.parent / "log.parquet")
        yield Case(
            path.parent.name, "nezha", str(truth["inject_type"]), str(truth["inject_pod"]), "any", "", normal, window, during,
            normal_spans=_spans(common / f"{day}_faultfree_trace.parquet"), normal_lines=_lines(common / f"{day}_faultfree_log.parquet"),
            spans=spans, lines=lines, began_s=began_s,
        )  # fmt: skip


@cache
def _spans(path: Path) -> tuple[TraceSpan, ...]:
    from pyarrow import parquet

    columns = parquet.read_table(path).to_pydict()
    names = ("TraceID", "SpanID", "ParentID", "PodName", "OperationName", "StartTimeUnixNano", "EndTimeUnixNano")
    return tuple(
        TraceSpan(trace, span, "" if parent == "root" else parent, pod, operation, int(start) / 1e9, int(end) / 1e9)
        for trace, span, parent, pod, operation, start, end in zip(*(columns[name] for name in names), strict=True)
    )


@cache
def _lines(path: Path) -> tuple[TraceLine, ...]:
    """Level and source location stand for a line: that is what its writer left out nothing of, and what does not vary."""
    from pyarrow import parquet

    columns = parquet.read_table(path).to_pydict()
    found = []
    for text, at, span in zip(columns["Log"], columns["TimeUnixNano"], columns["SpanID"], strict=True):
        place = _LOCATION.search(text)
        template = f"{place[1]} {place[2]}" if place else _DIGITS.sub("#", text)[8:48]
        found.append(TraceLine(int(at) / 1e9, span, template, _LEVELS.get(place[1] if place else "", "info")))
    return tuple(found)


@cache
def _metrics(home: Path, day: str) -> dict[str, dict[str, Floats]]:
    from pyarrow import parquet

    columns = parquet.read_table(home / "common" / SYSTEM / f"{day}_faultday_metrics.parquet").to_pydict()
    pods = np.array(columns["PodName"])
    arrays = {name: np.array(columns[name], dtype=np.float64) for name in ("TimeStamp", *METRICS)}
    found = {}
    for pod in np.unique(pods):
        mine = np.flatnonzero(pods == pod)
        order = mine[np.argsort(arrays["TimeStamp"][mine], kind="stable")]
        found[str(pod)] = {name: values[order] for name, values in arrays.items()}
    return found


def _pods(home: Path, day: str, began_s: float) -> tuple[dict[str, dict[str, Floats]], dict[str, dict[str, Floats]], slice]:
    """Only what was before the incident is normal: nothing of later faults is looked at."""
    normal: dict[str, dict[str, Floats]] = {}
    window: dict[str, dict[str, Floats]] = {}
    for pod, columns in _metrics(home, day).items():
        at = columns["TimeStamp"]
        past, since = at < began_s - 60, (at >= began_s) & (at < began_s + WINDOW_S)
        normal[pod] = {name: columns[name][past] for name in METRICS}
        window[pod] = {name: columns[name][since] for name in METRICS}
    return normal, window, slice(0, None)
