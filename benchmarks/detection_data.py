"""NAB and AIOPS: where they lie, and how they score. The data is not ours to ship.

``PRODUCTOPS_BENCH_DATA`` names a folder with ``nab/<part>`` (series as ``<group>/<name>.csv.gz`` and ``combined_windows.json``) and
``tsbench-aiops/<part>`` (``AIOPS.npz``, ``meta.json``); ``part`` is ``dev`` unless ``PRODUCTOPS_BENCH_PART`` says otherwise.
Sources: Lavin and Ahmad 2015 (NAB, profile "standard"); Si et al. 2024 (TimeSeriesBench, event-based F1 with logarithmic weight, base 3).
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Alarms = NDArray[np.bool_]
DELAY = 7
FALSE_COST = 0.11


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One series. ``faults``: first and last index of each; ``scored_from``: index before which nothing counts."""

    name: str
    at: Floats
    value: Floats
    step_s: float
    faults: tuple[tuple[int, int], ...]
    scored_from: int


def folder() -> Path | None:
    """Where the data lies; None when it is not named."""
    named = os.environ.get("PRODUCTOPS_BENCH_DATA")
    return Path(named) if named else None


def part() -> str:
    """Which part of it."""
    return os.environ.get("PRODUCTOPS_BENCH_PART", "dev")


def nab(root: Path) -> list[Curve]:
    """The series of NAB that are there."""
    base = root / "nab" / part()
    windows = json.loads((base / "combined_windows.json").read_text())
    return [_nab_curve(base, name, spans) for name, spans in sorted(windows.items())]


def _nab_curve(base: Path, name: str, spans: list[list[str]]) -> Curve:
    with gzip.open(base / f"{name}.gz", "rt") as lines:
        rows = list(csv.reader(lines))[1:]
    at = np.array([_unix(row[0]) for row in rows])
    value = np.array([float(row[1]) for row in rows])
    faults = tuple((int(np.flatnonzero(at == _unix(a))[0]), int(np.flatnonzero(at == _unix(b))[0])) for a, b in spans)
    return Curve(name, at, value, float(np.median(np.diff(at))), faults, min(int(0.15 * len(at)), 750))


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def aiops(root: Path) -> list[Curve]:
    """Curves of AIOPS: the training half without its labels to warm up, then the half that is scored."""
    base = root / "tsbench-aiops" / part()
    meta = json.loads((base / "meta.json").read_text())
    with np.load(base / "AIOPS.npz") as data:
        names = sorted({key.split("|")[0] for key in data.files})
        return [_aiops_curve(name, meta[name], data[f"{name}|train"], data[f"{name}|test"], data[f"{name}|test_label"]) for name in names]


def _aiops_curve(name: str, meta: dict[str, float], train: Floats, test: Floats, label: NDArray[np.uint8]) -> Curve:
    value = np.concatenate([train, test]).astype(np.float64)
    at = meta["t0"] + meta["step"] * np.arange(len(value))
    edges = np.diff(np.concatenate([[0], label.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(edges == 1) + len(train), np.flatnonzero(edges == -1) + len(train) - 1
    return Curve(name, at, value, float(meta["step"]), tuple(zip(begins.tolist(), ends.tolist(), strict=True)), len(train))


def _sigmoid(position: float) -> float:
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def nab_points(curve: Curve, alarms: Alarms) -> float:
    """Raw points of the standard profile: 1 for each window seen at its very begin, -1 for each missed, less for false alarms."""
    best: dict[int, float] = {}
    lost = 0.0
    for index in np.flatnonzero(alarms):
        if index < curve.scored_from:
            continue
        inside = next((n for n, (a, b) in enumerate(curve.faults) if a <= index <= b), None)
        if inside is not None:
            a, b = curve.faults[inside]
            best[inside] = max(best.get(inside, -9.0), _sigmoid(-(b - index + 1) / (b - a + 1)) / _sigmoid(-1.0))
            continue
        before = [(a, b) for a, b in curve.faults if b < index]
        lost += FALSE_COST * (_sigmoid((index - before[-1][1]) / (before[-1][1] - before[-1][0])) if before else -1.0)
    return sum(best.get(n, -1.0) for n in range(len(curve.faults))) + lost


def nab_score(curves: list[Curve], alarms: list[Alarms]) -> float:
    """0: as good as silence; 100: every window at its first point and no false alarm."""
    windows = sum(len(curve.faults) for curve in curves)
    points = sum(nab_points(curve, each) for curve, each in zip(curves, alarms, strict=True))
    return 100.0 * (points + windows) / (2.0 * windows)


def weight(length: int) -> int:
    """Of an event of so many points."""
    return math.floor(math.log(length + 3, 3) + 1e-12)


def event_counts(curve: Curve, alarms: Alarms) -> tuple[int, int, int]:
    """(weight of events seen within ``DELAY`` points, false alarms, weight of all events)."""
    total = sum(weight(b - a + 1) for a, b in curve.faults)
    seen = sum(weight(b - a + 1) for a, b in curve.faults if alarms[a : min(b, a + DELAY) + 1].any())
    labelled = np.zeros(len(alarms), np.bool_)
    for a, b in curve.faults:
        labelled[a : b + 1] = True
    return seen, int((alarms & ~labelled)[curve.scored_from :].sum()), total


def event_f1(curves: list[Curve], alarms: list[Alarms]) -> tuple[float, float]:
    """Over all curves together, and the mean of the curves'."""
    counts = [event_counts(curve, each) for curve, each in zip(curves, alarms, strict=True)]
    seen, false, total = (sum(column) for column in zip(*counts, strict=True))
    each = [2 * s / (s + f + t) for s, f, t in counts if t]
    return 2 * seen / (seen + false + total), float(np.mean(each))
