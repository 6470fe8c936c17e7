"""A plan as text for a terminal, and as a document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from productops.domain.development_plan import Plan, PlannedTask
from productops.domain.development_plan_change import Outcome

BAR, CRITICAL, IDLE = "━", "█", "·"


def gantt(plan: Plan, *, width: int = 100, timezone: str = "UTC", rows: int = 60) -> str:
    """One line for each person, the critical chain filled; then the features. ``rows``: at most so many people, the busiest first."""
    zone = ZoneInfo(timezone)
    names = max([len(load.name) for load in plan.loads] + [len(landing.title) for landing in plan.landings] + [8])
    columns = max(20, width - names - 8)
    begins, ends = (at.astimezone(zone).strftime("%a %d %b %H:%M") for at in (plan.starts_at, plan.ends_at))
    lines = [f"{begins} – {ends} ({plan.length_h} working hours; {_sure(plan)})"]
    for load in sorted(plan.loads, key=lambda each: -each.share)[:rows]:
        own = [task for task in plan.tasks if task.person == load.person]
        lines.append(f"{load.name:<{names}} {_line(own, columns, max(1, plan.length_h))} {load.share:4.0%}")
    if len(plan.loads) > rows:
        lines.append(f"… and {len(plan.loads) - rows} more people")
    for landing in sorted(plan.landings, key=lambda each: each.lands_at):
        late = f", {landing.late_h} working hours late" if landing.late_h else ""
        lines.append(f"{landing.title:<{names}} lands {landing.lands_at.astimezone(zone):%a %d %b %H:%M}{late}")
    lines.append(f"critical chain ({CRITICAL}): {' → '.join(plan.critical)}")
    return "\n".join(lines) + "\n"


def _sure(plan: Plan) -> str:
    if plan.goal == "cost":
        return "proven: none is less late or moves less" if plan.proven else f"lateness and moves at most {plan.gap:.1%} above the best"
    return "proven: none is shorter" if plan.proven else f"none is more than {plan.gap:.1%} shorter"


def _line(tasks: Sequence[PlannedTask], columns: int, length: int) -> str:
    cells = [IDLE] * columns
    for task in tasks:
        first = min(columns - 1, task.slot_from * columns // length)
        last = max(first + 1, -(-task.slot_to * columns // length))
        for column in range(first, min(columns, last)):
            cells[column] = CRITICAL if task.critical or cells[column] == CRITICAL else BAR
    return "".join(cells)


def side_by_side(outcomes: Sequence[Outcome]) -> str:
    """One line for each case."""
    names = max(len(outcome.name) for outcome in outcomes)
    lines = [f"{'case':<{names}}  {'ends (UTC)':<16} {'hours':>6} {'saved':>6} {'late':>6}  late features"]
    for each in outcomes:
        late = ", ".join(each.late_features) or "none"
        lines.append(
            f"{each.name:<{names}}  {each.plan.ends_at:%Y-%m-%d %H:%M} {each.plan.length_h:>6} {each.saved_h:>6} {each.late_h:>6}  {late}"
        )
    return "\n".join(lines) + "\n"


def as_document(plan: Plan) -> dict[str, Any]:
    """The plan in JSON's types; times in ISO 8601, hours are working hours."""
    return {
        "starts_at": plan.starts_at.isoformat(),
        "ends_at": plan.ends_at.isoformat(),
        "length_h": plan.length_h,
        "proven": plan.proven,
        "gap": round(plan.gap, 6),
        "goal": plan.goal,
        "cost": plan.cost,
        "took_s": round(plan.took_s, 3),
        "critical": list(plan.critical),
        "tasks": [_task(task) for task in plan.tasks],
        "features": [
            {
                "feature": each.feature,
                "title": each.title,
                "lands_at": each.lands_at.isoformat(),
                "deadline": each.deadline.isoformat() if each.deadline is not None else None,
                "late_h": each.late_h,
            }
            for each in plan.landings
        ],
        "people": [
            {
                "person": each.person,
                "name": each.name,
                "busy_h": each.busy_h,
                "available_h": each.available_h,
                "share": round(each.share, 4),
            }
            for each in plan.loads
        ],
    }


def _task(task: PlannedTask) -> dict[str, Any]:
    return {
        "item": task.item,
        "title": task.title,
        "feature": task.feature,
        "person": task.person,
        "starts_at": task.starts_at.isoformat(),
        "ends_at": task.ends_at.isoformat(),
        "slack_h": task.slack_h,
        "critical": task.critical,
        "slot_from": task.slot_from,
        "slot_to": task.slot_to,
    }
