"""Root causes: how often the true one is first, or among the first three; ours beside what anybody can write down in an hour.

``PRODUCTOPS_BENCH_DATA=<folder> python -m benchmarks.cause``. The weights of ``productops/stats/cause_nodes.py`` are the same for both
data sets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.cause_data import Case, nezha, petshop
from benchmarks.cause_methods import METHODS
from benchmarks.figures import Figure, console, show, write
from benchmarks.release.stack import BenchError

SETS: dict[str, tuple[Callable[[], Iterator[Case]], float, float, str]] = {
    "petshop": (petshop, 0.70, 0.95, "best published call-graph baseline 0.44 / 0.83"),
    "nezha": (nezha, 0.80, 0.95, "Nezha, FSE 2023: 0.867 / 0.978"),
}
SECONDS_MAX = 10.0


def measure(name: str) -> list[Figure]:
    """Every method on every incident of a data set."""
    load, first_bar, three_bar, reference = SETS[name]
    ranks: dict[str, list[int]] = {method: [] for method in METHODS}
    sure: list[tuple[float, bool]] = []
    slowest = 0.0
    for case in load():
        for method, rank in METHODS.items():
            began = time.perf_counter()
            ranking = rank(case)
            names = [node for node, _ in ranking]
            place = names.index(case.cause) + 1 if case.cause in names else len(names) + 1
            ranks[method].append(place)
            if method == "ours":
                slowest = max(slowest, time.perf_counter() - began)
                sure.append((ranking[0][1], place == 1))
    figures = []
    for method, places in ranks.items():
        count, ours = len(places), method == "ours"
        first, three = sum(place == 1 for place in places) / count, sum(place <= 3 for place in places) / count
        figures += [
            Figure(f"{name}: {method}, first", first, "", first_bar if ours else None, at_least=True, reference=reference if ours else ""),
            Figure(f"{name}: {method}, first three", three, "", three_bar if ours else None, at_least=True, detail=f"{count} incidents"),
        ]
    figures.append(Figure(f"{name}: slowest incident", slowest, "s", SECONDS_MAX))
    said, right = sum(share for share, _ in sure) / len(sure), sum(hit for _, hit in sure) / len(sure)
    figures.append(Figure(f"{name}: probability it gives to its first", said, "", detail=f"it is right in {right:.3f}"))
    return figures


def main() -> int:
    """Exit status 1 when a bar is missed or the data is not there."""
    try:
        figures = run(sys.argv[1:])
    except BenchError as error:
        console.print(f"[bold red]{error}")
        return 1
    return 1 if any(figure.met is False for figure in figures) else 0


def run(names: Sequence[str] = ()) -> list[Figure]:
    """Measure the sets named, or all. Raises: BenchError where the data is not there."""
    figures = [figure for name in names or SETS for figure in measure(name)]
    show("root causes", figures)
    write("cause", "root causes", figures, [])
    return figures


if __name__ == "__main__":
    sys.exit(main())
