"""All parts of the quality benchmark."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Figure
from benchmarks.quality import flaky, inputs, performance

PARTS = ("inputs", "flaky", "performance")
SEEDS = (1, 2, 3, 4, 5)
SEEDS_QUICK = (1,)


def run(*, quick: bool, parts: Sequence[str] = PARTS, seeds: Sequence[int] = ()) -> list[Figure]:
    """Measure the parts, each with the same seeds; five, or one for a quick look."""
    used = tuple(seeds) or (SEEDS_QUICK if quick else SEEDS)
    figures: list[Figure] = []
    if "inputs" in parts:
        figures += inputs.run(quick=quick)
    if "flaky" in parts:
        figures += flaky.run(used, quick=quick)
    if "performance" in parts:
        figures += performance.run(used[:1] if quick else used[:2], quick=quick)
    return figures
