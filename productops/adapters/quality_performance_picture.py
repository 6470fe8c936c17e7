"""A performance series over its runs as a picture, by matplotlib (imported only here, when one is drawn)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from productops.domain.quality_performance import HistoryStep

_RUN, _LEVEL, _WORSE, _BETTER = "#718096", "#2b6cb0", "#c53030", "#2f855a"


def draw(title: str, unit: str, medians: Sequence[float], steps: Sequence[HistoryStep]) -> bytes:
    """SVG: each run's median, the level between steps, and the steps with their size."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axis = figure.subplots()
    axis.plot(range(len(medians)), medians, ".", color=_RUN, markersize=4, label="median of a run")
    for number, (begin, end) in enumerate(pairwise([0, *(step.index for step in steps), len(medians)])):
        level = float(np.median(medians[begin:end]))
        axis.plot([begin, end], [level, level], color=_LEVEL, linewidth=2, label=None if number else "level")
    for step in steps:
        text = f"run {step.index}: {step.change:+.1%} (sure: {step.low:+.1%} to {step.high:+.1%})"
        axis.axvline(step.index, color=_WORSE if step.worse else _BETTER, linestyle=":", label=text)
    axis.set(xlabel="run, oldest first", ylabel=unit or "value")
    axis.grid(alpha=0.25)
    axis.legend(loc="best", fontsize=8)
    figure.suptitle(title, fontsize=10, parse_math=False)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "productops"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
