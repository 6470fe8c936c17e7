"""A planned rollout as a picture, by matplotlib (imported only here, when one is drawn)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

_SHARE, _HARM, _GOOD = "#dd6b20", "#c53030", "#2f855a"


def draw_plan(steps: Sequence[tuple[float, float]], outlook: Mapping[str, Any] | None, *, title: str) -> bytes:
    """SVG: the candidate's share over time, and when which harm is found. ``steps`` are (share in percent, hold in seconds)."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axis = figure.subplots()
    ends = [0.0]
    for _, hold_s in steps:
        ends.append(ends[-1] + hold_s)
    axis.step(ends, [pct for pct, _ in steps] + [100.0], where="post", color=_SHARE, linewidth=2, label="share of users on the candidate")
    for row, harm in enumerate(outlook["harms"] if outlook else ()):
        _mark(axis, harm["detected_s"], ends[-1], f"{harm['name']}: {_when(harm['detected_s'])}, {harm['failures']:.0f} failures", row)
    if outlook and outlook["certified_s"] is not None:
        axis.axvline(outlook["certified_s"], color=_GOOD, linestyle=":", label=f"a good version certified: {outlook['certified_s']:.0f} s")
    axis.set(xlabel="seconds of rollout", ylabel="share of users (%)", ylim=(0, 105), xlim=(0, max(1.0, ends[-1] * 1.02)))
    axis.grid(alpha=0.25)
    axis.legend(loc="center right", fontsize=8)
    figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "productops", "text.parse_math": False}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _when(detected_s: float | None) -> str:
    return "not within the plan" if detected_s is None else f"{detected_s:.0f} s"


def _mark(axis: Any, detected_s: float | None, end_s: float, text: str, row: int) -> None:
    """A harm that is not found is listed, too: at the end of the plan, hollow."""
    found = detected_s is not None
    at = detected_s if detected_s is not None else end_s
    axis.plot([at], [8 + 9 * row], marker="v", color=_HARM, markerfacecolor=_HARM if found else "none", linestyle="none", label=text)
