"""A look for a cause as a picture: failures and waiting by version around the onset, and what happened when. SVG, nothing is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from productops.domain.analysis import ArmSecond
from productops.domain.incident_cause import Ledger

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 900, 130, 70, 20, 62, 34
COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b7791f")
_INK, _ONSET, _MARK = "#1a202c", "#c53030", "#718096"
ARMS_MAX = 5
SMOOTH_S = 3
LABEL_MAX = 90
LINE = 15


def draw_cause(
    ledger: Ledger, *, title: str, first_s: int, length: int, arms: Mapping[str, Mapping[int, ArmSecond | None]],
    marks: Sequence[tuple[datetime, str]],
) -> bytes:  # fmt: skip
    """SVG of [first_s, first_s + length): two panels (share of failures, mean waiting time), then the marks by number."""
    names = sorted(arms)[:ARMS_MAX]
    height = TOP + 2 * (PANEL + GAP) + LINE * (len(marks) + 1) + 10
    top = ledger.top
    head = f"{title}: {top.kind.value} {top.subject}".rstrip() + f" ({top.probability:.0%})"
    parts = [_text(LEFT, 22, head[:LABEL_MAX], size=15, weight="bold"), *_legend(names)]
    panels = ((_failed, "failed", "%"), (_waited, "mean", "ms"))
    for number, (measure, word, unit) in enumerate(panels):
        parts += _panel(TOP + number * (PANEL + GAP), [_course(arms[name], first_s, length, measure) for name in names], f"{word}, {unit}")
    parts += _marks(first_s, length, marks, ledger)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img">'
    label = escape(ledger.onset.sentence if ledger.onset is not None else head)
    return "\n".join([svg, f"<title>{label}</title>", f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', *parts, "</svg>"]).encode()


def _failed(seconds: Sequence[ArmSecond]) -> float | None:
    requests = sum(each.requests for each in seconds)
    return 100 * sum(each.failures for each in seconds) / requests if requests else None


def _waited(seconds: Sequence[ArmSecond]) -> float | None:
    pairs = [(upper, count) for each in seconds for upper, count in zip(each.latency.upper_ms, each.latency.counts, strict=True)]
    total = sum(count for _, count in pairs)
    return sum(upper * count for upper, count in pairs) / total if total else None


def _course(
    seconds: Mapping[int, ArmSecond | None], first_s: int, length: int, measure: Callable[[Sequence[ArmSecond]], float | None]
) -> list[float | None]:  # fmt: skip
    """One value a second, over the last three."""
    values = []
    for at_s in range(first_s, first_s + length):
        near = [known for back in range(SMOOTH_S) if (known := seconds.get(at_s - back)) is not None]
        values.append(measure(near) if near else None)
    return values


def _x(place: float, length: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * place / max(length - 1, 1)


def _text(x: float, y: float, text: str, *, size: int, weight: str = "normal", anchor: str = "start", colour: str = _INK) -> str:
    style = f'font-family="sans-serif" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _legend(names: Sequence[str]) -> list[str]:
    return [_text(LEFT + 150 * number, 42, name[:20], size=11, colour=COLOURS[number]) for number, name in enumerate(names)]


def _panel(y: float, courses: Sequence[Sequence[float | None]], label: str) -> list[str]:
    known = [value for course in courses for value in course if value is not None]
    top = max([*known, 1.0]) * 1.08
    frame = f'<rect x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL}" fill="none" stroke="#e2e8f0"/>'
    parts = [frame, _text(LEFT - 8, y + 10, f"{top:,.0f}", size=10, anchor="end"), _text(LEFT - 8, y + PANEL, "0", size=10, anchor="end")]
    parts.append(_text(LEFT, y - 6, label, size=11))
    return parts + [_line(course, y, top, COLOURS[number]) for number, course in enumerate(courses)]


def _line(course: Sequence[float | None], y: float, top: float, colour: str) -> str:
    commands, pen = [], "M"
    for place, value in enumerate(course):
        if value is None:
            pen = "M"
            continue
        commands.append(f"{pen}{_x(place, len(course)):.1f} {y + PANEL - PANEL * min(value, top) / top:.1f}")
        pen = "L"
    return f'<path d="{" ".join(commands)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _marks(first_s: int, length: int, marks: Sequence[tuple[datetime, str]], ledger: Ledger) -> list[str]:
    bottom = TOP + 2 * PANEL + GAP
    parts = []
    onset_s = ledger.onset.at.timestamp() if ledger.onset is not None else None
    for number, (at, text) in enumerate(sorted(marks), 1):
        x = _x(at.timestamp() - first_s, length)
        colour = _ONSET if onset_s is not None and at.timestamp() == onset_s else _MARK
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="{colour}" stroke-dasharray="3 3"/>')
        parts.append(_text(x, bottom + 12, str(number), size=10, anchor="middle", colour=colour))
        line = f"{number}  {at.astimezone(UTC):%H:%M:%S}  {text}"
        parts.append(_text(LEFT, bottom + 16 + LINE * number, line[:130], size=11, colour=colour))
    return parts
