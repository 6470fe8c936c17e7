"""What a benchmark says: a figure, the bar it should stay under, and what others reach."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).resolve().parents[1] / "bench-results"
console = Console(width=170)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line. ``value`` is None when it could not be measured. The ``bar`` is the largest value that is good, or, with ``at_least``, the
    smallest; None: there is no bar. ``reference`` says what it is compared with, ``detail`` how it was come by.
    """

    name: str
    value: float | None
    unit: str
    bar: float | None = None
    at_least: bool = False
    reference: str = ""
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one. A figure that could not be measured meets none."""
        if self.bar is None:
            return None
        if self.value is None:
            return False
        return self.value >= self.bar if self.at_least else self.value <= self.bar


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` (0 to 1] of ``values`` do not exceed; None of nothing.

    Source: nearest-rank definition, Hyndman and Fan 1996, definition 1.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)] if ordered else None


def show(title: str, figures: Sequence[Figure], *, note: str = "") -> None:
    """Print the lines as a table, and under it what must be known to read it."""
    table = Table(title=title, title_justify="left", caption=note or None, caption_justify="left")
    for column in ("figure", "measured", "bar", "reference", "how"):
        table.add_column(column, justify="right" if column in {"measured", "bar"} else "left", overflow="fold")
    for figure in figures:
        colour = {True: "green", False: "bold red", None: "none"}[figure.met]
        value = number(figure.value, figure.unit)
        table.add_row(figure.name, f"[{colour}]{value}[/]" if colour != "none" else value, _bar(figure), figure.reference, figure.detail)
    console.print(table)


def _bar(figure: Figure) -> str:
    if figure.bar is None:
        return "–"
    sign = "≥" if figure.at_least else "≤"
    return f"{sign} {number(figure.bar, figure.unit)}" + ("" if figure.met else " MISSED")


def number(value: float | None, unit: str) -> str:
    """A value with its unit, in three digits or whole."""
    if value is None:
        return "none"
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def write(suite: str, part: str, figures: Sequence[Figure], raw: object) -> None:
    """Put one part's figures and raw samples into ``bench-results/<suite>.json``, beside the other parts."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{suite}.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    lines = [asdict(figure) | {"met": figure.met} for figure in figures]
    document[part] = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "figures": lines, "raw": raw}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(path)
