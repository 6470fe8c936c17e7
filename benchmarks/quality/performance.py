"""Steps in the noise of cloud benchmarks, and bends in the Turing set; with Apache Otava on the same series beside it.

The data is named by ``PRODUCTOPS_BENCH_DATA``: a folder with ``series.npz`` (one array per benchmark, in the order of its runs) and
``tcpd/`` (one JSON document per series, with the places that people marked).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, console, percentile, show, write
from benchmarks.quality import otava
from productops.domain.quality_improve import wilson
from productops.stats.change_points import find_bends, find_steps

DATA = "PRODUCTOPS_BENCH_DATA"
WINDOW = 200
SERIES_MIN = 400
EACH = 4
STEP = 0.10
MARGIN = 5
RECALL_BAR = 0.90
FALSE_BAR = 0.05
TIME_BAR_MS = 5.0
F1_BAR = 0.76
Floats = NDArray[np.float64]
Find = Callable[[Floats], list[int]]


@dataclass(slots=True)
class Windows:
    """Clean windows of real noise, the same with a step, and where it is."""

    clean: list[Floats] = field(default_factory=list)
    moved: list[Floats] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


def windows(folder: Path, seeds: Sequence[int], each: int) -> Windows:
    """``each`` windows of every long series for each seed; the step is up or down by ``STEP``, not within 30 runs of an end."""
    found = Windows()
    with np.load(folder / "series.npz") as every:
        long = [series for name in every.files if len(series := every[name].astype(np.float64)) >= SERIES_MIN]
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for series in long:
            for _ in range(each):
                begin = int(rng.integers(0, len(series) - WINDOW + 1))
                window = series[begin : begin + WINDOW]
                at, sign = int(rng.integers(30, 171)), int(rng.choice([-1, 1]))
                if np.isfinite(window).all() and np.median(window) > 0:
                    moved = window.copy()
                    moved[at:] *= 1 + sign * STEP
                    found.clean.append(window)
                    found.moved.append(moved)
                    found.places.append(at)
    return found


@dataclass(slots=True)
class Steps:
    """What a search found: false alarms in clean windows, hits in the others, and what each search took."""

    windows: int
    false: int
    hits: int
    taken_ms: list[float]

    @property
    def recall(self) -> float:
        """Share of steps found within the margin."""
        return self.hits / self.windows


def our_steps(data: Windows) -> Steps:
    """``find_steps`` on all windows."""
    taken: list[float] = []

    def timed(series: Floats) -> list[int]:
        began = time.process_time()  # of the processor, so that others on the machine do not count
        found = [step.index for step in find_steps(series)]
        taken.append((time.process_time() - began) * 1000)
        return found

    return _counted(data, [timed(each) for each in data.clean], [timed(each) for each in data.moved], taken)


def _counted(data: Windows, clean: Sequence[Sequence[int]], moved: Sequence[Sequence[int]], taken: list[float]) -> Steps:
    hits = sum(any(abs(index - at) <= MARGIN for index in found) for found, at in zip(moved, data.places, strict=True))
    return Steps(len(data.clean), sum(len(found) for found in clean), hits, taken)


def turing(folder: Path) -> Iterator[tuple[str, Floats, list[list[int]]]]:
    """Name, values (NaN: missing) and each person's places, of every series."""
    for path in sorted((folder / "tcpd").glob("*.json")):
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        raw = document["series"][0]["raw"] if isinstance(document.get("series"), list) else document.get("series") or document["values"]
        values = np.array([np.nan if value is None else value for value in raw], dtype=np.float64)
        yield path.stem, values, [list(places) for places in document["annotations"].values()]


def f1(people: Sequence[Sequence[int]], found: Sequence[int]) -> float:
    """Source: van den Burg and Williams 2020, "An evaluation of change point detection algorithms", section 4.2: precision against what
    anybody marked, recall as the mean over people, index 0 in every set.
    """
    ours, theirs = sorted({0, *found}), [sorted({0, *places}) for places in people]
    anybody = sorted(set().union(*theirs))
    precision = _matched(anybody, ours) / len(ours)
    recall = float(np.mean([_matched(places, ours) / len(places) for places in theirs]))
    return 2 * precision * recall / (precision + recall)


def _matched(truth: Sequence[int], found: Sequence[int]) -> int:
    """How many places have a find of their own within the margin."""
    left, count = set(found), 0
    for place in truth:
        near = [index for index in left if abs(index - place) <= MARGIN]
        if near:
            left.remove(min(near, key=lambda index: abs(index - place)))
            count += 1
    return count


def run(seeds: Sequence[int], *, quick: bool) -> list[Figure]:
    """Measure, show and write ``bench-results/quality.json``; nothing without the data."""
    folder = Path(os.environ.get(DATA, ""))
    if not os.environ.get(DATA) or not (folder / "series.npz").is_file():
        console.print(f"performance: skipped; name the folder of the data by {DATA}")
        return []
    data, sets = windows(folder, seeds, 1 if quick else EACH), list(turing(folder))
    ours = our_steps(data)
    bends = [f1(people, find_bends(values)) for _, values, people in sets]
    other = _reference(data, sets)
    figures = [*_step_figures(ours, other), *_bend_figures(bends, other)]
    raw = {
        "seeds": list(seeds), "windows": ours.windows, "hits": ours.hits, "false": ours.false,
        "taken_ms": [round(ms, 3) for ms in ours.taken_ms],
        "f1": dict(zip((name for name, _, _ in sets), (round(value, 4) for value in bends), strict=True)),
    }  # fmt: skip
    write("quality", "performance", figures, raw)
    show("performance", figures, note=other.note)
    return figures


@dataclass(frozen=True, slots=True)
class Reference:
    """What Apache Otava made of the same series, or why it could not be asked."""

    note: str
    steps: Steps | None = None
    f1: float | None = None


def _reference(data: Windows, sets: Sequence[tuple[str, Floats, list[list[int]]]]) -> Reference:
    filled = [np.interp(np.arange(len(v)), np.flatnonzero(np.isfinite(v)), v[np.isfinite(v)]) for _, v, _ in sets]
    try:
        version, answers, taken = otava.ask([*data.clean, *data.moved, *filled])
    except otava.OtavaError as error:
        return Reference(f"Apache Otava was not asked: {error}")
    count = len(data.clean)
    steps = _counted(data, answers[:count], answers[count : 2 * count], taken[: 2 * count])
    score = float(np.mean([f1(people, found) for (_, _, people), found in zip(sets, answers[2 * count :], strict=True)]))
    return Reference(
        f"Apache Otava {version} with its defaults, and moves of 5 % or more (its min_magnitude), on the same series.", steps, score
    )


def _step_figures(ours: Steps, other: Reference) -> list[Figure]:
    theirs = other.steps
    low, high = wilson(ours.hits, ours.windows)
    rate = ours.false / ours.windows
    wide = 1.96 * float(np.sqrt(max(ours.false, 1))) / ours.windows
    what = f"{ours.windows} windows of {WINDOW} runs, steps of {STEP:.0%}"
    tell = {
        "recall": f"otava {theirs.recall:.3f}" if theirs else "",
        "false": f"otava {theirs.false / theirs.windows:.3f}" if theirs else "",
        "time": f"otava {float(np.median(theirs.taken_ms)):.1f} ms" if theirs else "",
    }
    return [
        Figure(
            f"steps: recall within ±{MARGIN} runs", ours.recall, "", RECALL_BAR, True, tell["recall"], f"[{low:.3f}, {high:.3f}]; {what}"
        ),
        Figure(f"steps: false alarms in {WINDOW} clean runs", rate, "", FALSE_BAR, False, tell["false"], f"± {wide:.3f}; {what}"),
        Figure("steps: one series, median", float(np.median(ours.taken_ms)), "ms", TIME_BAR_MS, False, tell["time"], what),
        Figure("steps: one series, p99", percentile(ours.taken_ms, 0.99), "ms"),
    ]


def _bend_figures(bends: Sequence[float], other: Reference) -> list[Figure]:
    spread = float(np.std(bends, ddof=1) / np.sqrt(len(bends)))
    told = f"otava {other.f1:.3f}" if other.f1 is not None else ""
    how = f"± {1.96 * spread:.3f}; {len(bends)} series, margin {MARGIN}"
    return [Figure("bends: F1 on the Turing set", float(np.mean(bends)), "", F1_BAR, True, told, how)]
