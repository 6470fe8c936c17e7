"""A release as a picture, by matplotlib (imported only here, when one is drawn)."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OPEN_LOW, OPEN_HIGH = 0.05, 50.0
NOTHING = -600.0
"""Below it stands for the logarithm of nothing."""
_BASELINE, _CANDIDATE, _LIMIT = "#2b6cb0", "#dd6b20", "#c53030"


@dataclass(frozen=True, slots=True)
class PicturePoint:
    """One second: share in percent, failures per request (0 to 1) and p99 in milliseconds of both versions, evidence as log e."""

    at_s: int
    weight_pct: float
    failure_ratio: tuple[float | None, float | None]
    p99_ms: tuple[float | None, float | None]
    log_e: float
    odds: tuple[float | None, float | None] | None = None
    """Confidence sequence of the failures' odds ratio, where one was taken."""

    @classmethod
    def from_look(cls, payload: Mapping[str, Any]) -> PicturePoint:
        """From a stored ``look`` event; baseline first, candidate second."""
        arms = [payload.get("baseline") or {}, payload.get("candidate") or {}]
        return cls(
            at_s=payload["at_s"],
            weight_pct=payload["weight_pct"],
            failure_ratio=(arms[0].get("failure_ratio"), arms[1].get("failure_ratio")),
            p99_ms=(arms[0].get("p99_ms"), arms[1].get("p99_ms")),
            log_e=payload["log_e"],
            odds=(payload["intervals"]["failures"]["low"], payload["intervals"]["failures"]["high"]) if "intervals" in payload else None,
        )


def draw_picture(points: Sequence[PicturePoint], *, title: str, candidate: str, baseline: str, alpha: float, outcome: str) -> bytes:
    """SVG with five panels above one time axis (seconds since the first look)."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 11), layout="constrained")
    axes = figure.subplots(5, 1, sharex=True)
    start = points[0].at_s if points else 0
    seconds = [p.at_s - start for p in points]
    axes[0].step(seconds, [p.weight_pct for p in points], where="post", color=_CANDIDATE, marker=_mark(points))
    axes[0].set(ylabel="share of users (%)", ylim=(0, 105))
    _pair(axes[1], seconds, points, lambda p: p.failure_ratio, "failures (%)", scale=100.0, names=(baseline, candidate))
    _pair(axes[2], seconds, points, lambda p: p.p99_ms, "p99 (ms)", scale=1.0, names=(baseline, candidate))
    limit = math.log(1 / alpha)
    axes[3].plot(seconds, [p.log_e if NOTHING < p.log_e < math.inf else math.nan for p in points], color=_CANDIDATE, marker=_mark(points))
    axes[3].axhline(limit, color=_LIMIT, linestyle="--", label="roll back above")
    axes[3].set(ylabel="evidence of harm (log e)")
    axes[3].legend(loc="upper left", fontsize=8)
    _interval(axes[4], start, points)
    for axis in axes:
        axis.grid(alpha=0.25)
    figure.suptitle(title + "\n" + "\n".join(textwrap.wrap(outcome, 100)), fontsize=10)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "productops", "text.parse_math": False}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _interval(axis: Any, start: int, points: Sequence[PicturePoint]) -> None:
    """How many times the odds of a failure may be, right at all times at once; open ends reach the panel's edge."""
    known = [(p.at_s - start, p.odds) for p in points if p.odds is not None]
    lows = [max(OPEN_LOW, odds[0] or OPEN_LOW) for _, odds in known]
    highs = [min(OPEN_HIGH, odds[1] or OPEN_HIGH) for _, odds in known]
    axis.fill_between([at for at, _ in known], lows, highs, color=_CANDIDATE, alpha=0.25, step="post")
    axis.axhline(1.0, color=_BASELINE, linestyle="--")
    axis.set(yscale="log", ylim=(OPEN_LOW, OPEN_HIGH), ylabel="failures: times the odds", xlabel="seconds")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # a power of ten would be a formula


def _mark(points: Sequence[PicturePoint]) -> str:
    """A line of one or two points is hardly there: few points are marked."""
    return "o" if len(points) < 10 else ""


def _pair(
    axis: Any, seconds: Sequence[int], points: Sequence[PicturePoint], pick: Callable[[PicturePoint], tuple[float | None, float | None]],
    label: str, *, scale: float, names: tuple[str, str],
) -> None:  # fmt: skip
    for arm, colour in ((0, _BASELINE), (1, _CANDIDATE)):
        values = [math.nan if (v := pick(p)[arm]) is None else v * scale for p in points]
        axis.plot(seconds, values, color=colour, label=names[arm], linewidth=1.2, marker=_mark(points))
    axis.set_ylabel(label)
    axis.set_ylim(bottom=0)
    axis.legend(loc="upper left", fontsize=8)
