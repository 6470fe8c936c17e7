"""An insight as a picture: the days, what was expected of them, and since when they are apart. SVG by hand, nothing is imported."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from productops.domain.analytics_insight import Insight

WIDTH, HEIGHT = 900, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 56, 40
_LINE, _EXPECTED, _CHANGE, _INK = "#2b6cb0", "#718096", "#c53030", "#1a202c"
GRID_LINES = 4


def draw_insight(insight: Insight) -> bytes:
    """SVG of the figures in its evidence."""
    finding = insight.finding
    ahead: Sequence[Sequence[Any]] = finding.evidence.get("forecast", {}).get("days", [])
    days: Sequence[Sequence[Any]] = [*finding.evidence.get("days", []), *([row[0], None, None] for row in ahead)]
    unit = str(finding.evidence.get("columns", ["day", ""])[1])
    top = max([1.0, *(float(v) for row in days for v in row[1:3] if v is not None), *(float(row[1] or 0) for row in ahead)]) * 1.08
    parts = [
        _text(LEFT, 22, finding.title, size=15, weight="bold"),
        _text(LEFT, 41, f"{unit} a day; dashed: expected; shaded: forecast", size=11),
    ]
    parts += [_grid(top, line) for line in range(GRID_LINES + 1)]
    parts += [*_band(ahead, len(days), top), *_marks(days, finding.first_day.isoformat())]
    parts += [_course(days, 2, top, _EXPECTED, dashed=True), _course(days, 1, top, _LINE, dashed=False)]
    label = escape(f"{finding.title}. {finding.sentence}")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    return "\n".join([head, f"<title>{label}</title>", f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *parts, "</svg>"]).encode()


def _x(at: int, count: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (at / max(count - 1, 1))


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _text(x: float, y: float, text: str, *, size: int, weight: str = "normal", anchor: str = "start") -> str:
    style = f'font-family="sans-serif" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{_INK}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _grid(top: float, line: int) -> str:
    value = top * line / GRID_LINES
    y = _y(value, top)
    rule = f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#e2e8f0"/>'
    return rule + _text(LEFT - 8, y + 4, f"{value:,.0f}" if top >= 10 else f"{value:.1f}", size=10, anchor="end")


def _marks(days: Sequence[Sequence[Any]], first: str) -> list[str]:
    """The day it began, and the first and last day."""
    found = []
    names = [str(row[0]) for row in days]
    if first in names:
        x = _x(names.index(first), len(names))
        found.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="{_CHANGE}" stroke-dasharray="2 3"/>')
        found.append(_text(x, HEIGHT - BOTTOM + 28, f"since {first}", size=10, anchor="middle"))
    if names:
        found.append(_text(LEFT, HEIGHT - BOTTOM + 15, names[0], size=10))
        found.append(_text(WIDTH - RIGHT, HEIGHT - BOTTOM + 15, names[-1], size=10, anchor="end"))
    return found


def _band(ahead: Sequence[Sequence[Any]], count: int, top: float) -> list[str]:
    """What is to be expected of the days to come: a range with its middle."""
    if not ahead or any(value is None for row in ahead for value in row):
        return []
    xs = [_x(count - len(ahead) + at, count) for at in range(len(ahead))]
    low, high, middle = ([_y(min(float(row[column]), top), top) for row in ahead] for column in (2, 3, 1))
    edge = [f"{x:.1f},{y:.1f}" for x, y in [*zip(xs, high, strict=True), *zip(reversed(xs), reversed(low), strict=True)]]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, middle, strict=True))
    return [
        f'<polygon points="{" ".join(edge)}" fill="{_LINE}" fill-opacity="0.15"/>',
        f'<polyline points="{line}" fill="none" stroke="{_LINE}" stroke-width="1.4" stroke-dasharray="2 3"/>',
    ]


def _course(days: Sequence[Sequence[Any]], column: int, top: float, colour: str, *, dashed: bool) -> str:
    """One line, with a gap where a day is not known."""
    commands, pen = [], "M"
    for at, row in enumerate(days):
        value = row[column]
        if value is None:
            pen = "M"
            continue
        commands.append(f"{pen}{_x(at, len(days)):.1f} {_y(min(float(value), top), top):.1f}")
        pen = "L"
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<path d="{" ".join(commands)}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>'
