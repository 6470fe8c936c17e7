"""Coverage and performance of a version as a picture, by matplotlib (imported only here, when one is drawn)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from productops.domain.quality import Coverage, Series

FILES_SHOWN = 20
SERIES_SHOWN = 12
RUNS_SHOWN = 40
_GOOD, _POOR, _LIMIT, _NEW = "#2b6cb0", "#dd6b20", "#c53030", "#dd6b20"
_NAME_CHARACTERS = 45


@dataclass(frozen=True, slots=True)
class SeriesStory:
    """One series with the runs before it, oldest first; each run is its values."""

    name: str
    unit: str
    before: tuple[tuple[float, ...], ...]
    now: tuple[float, ...]

    @classmethod
    def of(cls, series: Series, before: Sequence[Sequence[float]] = ()) -> SeriesStory:
        """A series of this run with the values of earlier ones."""
        return cls(series.name, series.unit, tuple(tuple(run) for run in before if run), series.values)


def draw_coverage(coverage: Coverage, *, title: str, wanted_pct: float | None = None) -> bytes:
    """SVG: a bar for all lines, and one for each of the 20 files with most lines that no test ran."""
    worst = sorted(coverage.files.values(), key=lambda file: (file.lines_covered - file.lines_total, file.path))[:FILES_SHOWN]
    rows = [("all files", coverage.lines_covered, coverage.lines_total)]
    rows += [(_short(file.path), file.lines_covered, file.lines_total) for file in worst if file.lines_covered < file.lines_total]
    figure, axis = _figure(height=1.4 + 0.28 * len(rows))
    shares = [100 * covered / total if total else 0.0 for _, covered, total in rows]
    places = list(range(len(rows)))[::-1]
    colours = [_GOOD if wanted_pct is None or share >= wanted_pct else _POOR for share in shares]
    axis.barh(places, shares, color=colours, height=0.7)
    for place, share, (_, covered, total) in zip(places, shares, rows, strict=True):
        axis.text(min(share, 99) + 0.5, place, f"{share:.1f} %, {total - covered:,} missed", va="center", fontsize=7)
    axis.set_yticks(places, [name for name, _, _ in rows], fontsize=7)
    if wanted_pct is not None:
        axis.axvline(wanted_pct, color=_LIMIT, linestyle="--")
    axis.set(xlim=(0, 128), xlabel="lines that ran in tests (%)")
    axis.set_xticks(range(0, 101, 20))
    return _svg(figure, title)


def draw_performance(stories: Sequence[SeriesStory], *, title: str) -> bytes:
    """SVG: for each of the first 12 series the median and the middle 80 % of each run, this one last."""
    shown = [story for story in stories if story.now][:SERIES_SHOWN]
    rows = max(1, -(-len(shown) // 2))
    figure, _ = _figure(height=0.6 + 1.9 * rows, axis=False)
    panels = figure.subplots(rows, 2, squeeze=False).flat
    for panel, story in zip(panels, shown, strict=False):
        _panel(panel, story)
    for panel in list(panels):
        panel.set_axis_off()
    return _svg(figure, title)


def _panel(panel: Any, story: SeriesStory) -> None:
    import numpy as np

    runs = [*story.before[-RUNS_SHOWN:], story.now]
    low, middle, high = (np.array([np.quantile(run, share) for run in runs]) for share in (0.1, 0.5, 0.9))
    at = np.arange(1 - len(runs), 1)
    panel.vlines(at, low, high, color=_GOOD, alpha=0.4, linewidth=2)
    panel.plot(at[:-1], middle[:-1], "o", color=_GOOD, markersize=3)
    panel.vlines(at[-1:], low[-1:], high[-1:], color=_NEW, linewidth=2)
    panel.plot(at[-1:], middle[-1:], "o", color=_NEW, markersize=5)
    panel.set_title(_short(story.name), fontsize=8)
    panel.set_ylabel(story.unit or "value", fontsize=7)
    panel.set_xlabel("runs; 0 is this one" if len(runs) > 1 else "this run; no earlier one to compare with", fontsize=7)
    panel.tick_params(labelsize=7)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.grid(alpha=0.25)


def _figure(*, height: float, axis: bool = True) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained")
    return figure, figure.subplots() if axis else None


def _svg(figure: Any, title: str) -> bytes:
    import matplotlib as mpl

    figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "productops", "text.parse_math": False}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _short(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else f"…{name[1 - _NAME_CHARACTERS :]}"
