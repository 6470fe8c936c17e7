"""A plan as an SVG picture: a line for each person, a bar for each task, a diamond where a feature lands."""

from __future__ import annotations

from html import escape
from zoneinfo import ZoneInfo

from productops.domain.development_plan import Landing, Plan, PlannedTask

ROW, NAMES, TOP, WIDTH = 22, 150, 40, 1100
_TASK, _CRITICAL, _LATE, _GOOD, _TEXT, _GRID = "#90cdf4", "#dd6b20", "#c53030", "#2f855a", "#1a202c", "#e2e8f0"


def draw_gantt(plan: Plan, *, title: str, timezone: str = "UTC") -> str:
    """SVG text. Time runs in working hours, so nights and weekends take no room; every bar says on hover what it is."""
    scale = (WIDTH - NAMES - 20) / max(1, plan.length_h)
    rows = {load.person: TOP + place * ROW for place, load in enumerate(plan.loads)}
    bottom = TOP + (len(rows) + len(plan.landings)) * ROW + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" font-family="sans-serif" font-size="11" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{bottom}" fill="#ffffff"/>',
        _text(8, 18, title, weight="bold"),
        *_days(plan, scale, bottom, ZoneInfo(timezone)),
    ]
    parts += [_text(8, rows[load.person] + 15, f"{load.name} ({load.share:.0%})") for load in plan.loads]
    parts += [_bar(task, rows[task.person], scale, ZoneInfo(timezone)) for task in plan.tasks if task.person in rows]
    ends: dict[str, int] = {}
    for task in plan.tasks:
        ends[task.feature] = max(ends.get(task.feature, 0), task.slot_to)
    for place, landing in enumerate(plan.landings):
        parts += _diamond(landing, TOP + (len(rows) + place) * ROW, NAMES + ends.get(landing.feature, 0) * scale, ZoneInfo(timezone))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, words: str, *, weight: str = "normal", colour: str = _TEXT) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-weight="{weight}">{escape(words)}</text>'


def _days(plan: Plan, scale: float, bottom: float, zone: ZoneInfo) -> list[str]:
    """A line where a day begins on which a task begins; dates only where there is room."""
    parts, seen, free = [], set(), 0.0
    for task in plan.tasks:
        day = task.starts_at.astimezone(zone).date()
        if not task.person or day in seen:
            continue
        seen.add(day)
        x = NAMES + task.slot_from * scale
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom - 6:.1f}" stroke="{_GRID}"/>')
        if x >= free:
            parts.append(_text(x + 2, TOP - 8, f"{day:%d %b}", colour="#718096"))
            free = x + 48
    return parts


def _bar(task: PlannedTask, y: float, scale: float, zone: ZoneInfo) -> str:
    x, width = NAMES + task.slot_from * scale, max(1.0, (task.slot_to - task.slot_from) * scale - 1)
    begin, end = (f"{at.astimezone(zone):%a %d %b %H:%M}" for at in (task.starts_at, task.ends_at))
    words = escape(f"{task.item}: {task.title}, {begin} – {end}, slack {task.slack_h} h")
    colour = _CRITICAL if task.critical else _TASK
    bar = f'<rect x="{x:.1f}" y="{y + 3:.1f}" width="{width:.1f}" height="{ROW - 6}" rx="2" fill="{colour}"><title>{words}</title></rect>'
    return bar + (_text(x + 3, y + 15, task.item) if width > 7 * len(task.item) + 6 else "")


def _diamond(landing: Landing, y: float, x: float, zone: ZoneInfo) -> list[str]:
    colour = _LATE if landing.late_h else _GOOD
    late = f", {landing.late_h} h late" if landing.late_h else ""
    middle = y + ROW / 2
    points = f"{x - 6:.1f},{middle:.1f} {x:.1f},{middle - 6:.1f} {x + 6:.1f},{middle:.1f} {x:.1f},{middle + 6:.1f}"
    words = escape(f"{landing.title} lands {landing.lands_at.astimezone(zone):%a %d %b %H:%M}{late}")
    return [_text(8, y + 15, landing.title), f'<polygon points="{points}" fill="{colour}"><title>{words}</title></polygon>']
