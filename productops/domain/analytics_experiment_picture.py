"""An experiment as a picture, drawn by hand: each interval beside the line of no change, or how far days reach. No library needed."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from productops.domain.analytics_experiment import Contrast, LookResult, MetricResult, Standing
from productops.domain.analytics_experiment_words import percent

WIDTH, LEFT, RIGHT, ROW, TOP = 860, 250, 220, 30, 64
COLOURS = {Standing.BETTER: "#2f855a", Standing.WORSE: "#c53030", Standing.NO_DIFFERENCE: "#4a5568"}
OPEN, INK, GRID = "#2b6cb0", "#1a202c", "#cbd5e0"
BEYOND = 5.0
"""Changes beyond +500 % are drawn at the edge."""


def look_picture(title: str, look: LookResult) -> str:
    """SVG: one line by metric and variant; guardrails below, with what is borne."""
    rows = [(metric, found) for metric in (*look.metrics, *look.guardrails) for found in metric.contrasts]
    reach = max([0.05, *(min(abs(end), BEYOND) for _, c in rows for end in (c.low, c.high) if end is not None)]) * 1.05
    height = TOP + ROW * max(1, len(rows)) + 36
    parts = [_text(16, 26, title, size=16, weight="bold"), _text(16, 46, _cut(look.sentence, 120), size=11)]
    for value in (-reach, -reach / 2, 0.0, reach / 2, reach):
        x = _x(value, reach)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - 28}" stroke="{INK if value == 0 else GRID}"/>')
        parts.append(_text(x, height - 10, percent(value), size=11, anchor="middle"))
    for number, (metric, found) in enumerate(rows):
        parts += _row(metric, found, TOP + ROW * number + ROW / 2, reach)
    return _svg(title, height, parts)


def reach_picture(title: str, points: Sequence[tuple[float, float]], *, wanted: float) -> str:
    """SVG: the smallest effect that so many days show, falling with the days; ``wanted`` is a line."""
    height, bottom, top = 360, 310.0, 50.0
    parts = [_text(16, 26, title, size=16, weight="bold")]
    if points:
        most_days, most = max(days for days, _ in points), max([wanted, *(effect for _, effect in points)]) * 1.05
        places = [(60 + (WIDTH - 120) * days / most_days, bottom - (bottom - top) * effect / most) for days, effect in points]
        parts += [_text(x, bottom + 20, f"{days:g}", size=11, anchor="middle") for (x, _), (days, _) in zip(places, points, strict=True)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{OPEN}" stroke-width="2"/>')
        for (x, y), (_, effect) in zip(places, points, strict=True):
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{OPEN}"/>',
                _text(x, y - 8, percent(effect), size=10, anchor="middle"),
            ]
        level = bottom - (bottom - top) * wanted / most
        parts.append(
            f'<line x1="60" y1="{level:.1f}" x2="{WIDTH - 60}" y2="{level:.1f}" stroke="{COLOURS[Standing.WORSE]}" stroke-dasharray="5"/>'
        )
        parts.append(_text(WIDTH - 60, level - 6, f"worth knowing: {percent(wanted)}", size=11, anchor="end"))
    parts.append(f'<line x1="60" y1="{bottom}" x2="{WIDTH - 60}" y2="{bottom}" stroke="{INK}"/>')
    parts.append(_text(WIDTH / 2, bottom + 40, "days of people", size=12, anchor="middle"))
    return _svg(title, height, parts)


def _row(metric: MetricResult, found: Contrast, y: float, reach: float) -> list[str]:
    colour = COLOURS.get(found.standing, OPEN)
    label = f"{metric.name} · {found.variant}" + (" (guardrail)" if metric.guardrail is not None else "")
    parts = [_text(LEFT - 12, y + 4, _cut(label, 38), size=12, anchor="end")]
    if found.change is None or found.low is None or found.high is None:
        return [*parts, _text(_x(0.0, reach) + 8, y + 4, _cut(found.problem or "nothing yet", 60), size=11)]
    if metric.guardrail:
        borne = _x(metric.guardrail if metric.better == "lower" else -metric.guardrail, reach)
        parts.append(f'<line x1="{borne:.1f}" y1="{y - 10}" x2="{borne:.1f}" y2="{y + 10}" stroke="{COLOURS[Standing.WORSE]}"/>')
    low, high, at = _x(found.low, reach), _x(found.high, reach), _x(found.change, reach)
    parts.append(f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="{colour}" stroke-width="3"/>')
    parts.append(f'<circle cx="{at:.1f}" cy="{y}" r="4.5" fill="{colour}"/>')
    told = f"{percent(found.change)} ({percent(found.low)} to {percent(found.high)})"
    return [*parts, _text(WIDTH - RIGHT + 16, y + 4, told, size=12)]


def _x(value: float, reach: float) -> float:
    inside = max(-reach, min(reach, value))
    return LEFT + (WIDTH - LEFT - RIGHT) * (inside + reach) / (2.0 * reach)


def _text(x: float, y: float, text: str, *, size: int, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"'
    body = "\n".join(parts)
    style = 'font-family="system-ui, sans-serif"'
    return f'{head} {style}>\n<title>{escape(title)}</title>\n<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
