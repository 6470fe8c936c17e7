"""A plan and its forecasts as Markdown, for pages that show no charts of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from productops.domain.development_plan import Plan
from productops.domain.development_plan_facts_document import moves_from, plan_from
from productops.domain.development_plan_facts_stored import StoredForecast, StoredPlan
from productops.domain.development_plan_text import gantt

MOVES_SHOWN = 30
GAPS_SHOWN = 20


def plan_markdown(plan: StoredPlan, forecasts: Sequence[StoredForecast], *, calibration: str) -> str:
    """Chart, dates with chances, use of people's time, what moved, what was assumed."""
    made = plan_from(plan.plan)
    zone = plan.request["calendar"]["timezone"]
    parts = [f"# {_cell(plan.venture)}{f', {_cell(plan.team)}' if plan.team else ''}", _sentence(made), "```text"]
    parts += [gantt(made, timezone=zone).rstrip("\n"), "```", *_dates(forecasts), calibration, *_people(made), *_moved(plan), *_gaps(plan)]
    return "\n".join([*parts, ""])


def _sentence(plan: Plan) -> str:
    late = [landing.title for landing in plan.landings if landing.late_h]
    told = f"; late: {_cell(', '.join(late))}" if late else "; every deadline is kept"
    sure = "no plan is shorter" if plan.proven else f"none is more than {plan.gap:.1%} shorter"
    return f"All is done by {_day(plan.ends_at)}, after {plan.length_h} working hours ({sure}){told}.\n"


def _dates(forecasts: Sequence[StoredForecast]) -> list[str]:
    if not forecasts:
        return []
    head = ["\n## Dates\n", "| what | planned | P50 | P80 | P95 | due | chance |", "|---|---|---|---|---|---|---|"]
    return [
        *head,
        *(
            f"| {_cell(f.title)} | {_day(f.planned_at)} | {_day(f.p50_at)} | {_day(f.p80_at)} | {_day(f.p95_at)} | {_day(f.deadline)} "
            f"| {'–' if f.chance is None else f'{f.chance:.0%}'} |"
            for f in forecasts
        ),
        "",
    ]


def _people(plan: Plan) -> list[str]:
    head = ["\n## People\n", "| who | planned hours | of | share |", "|---|---|---|---|"]
    ordered = sorted(plan.loads, key=lambda load: -load.share)
    return [*head, *(f"| {_cell(load.name)} | {load.busy_h} | {load.available_h} | {load.share:.0%} |" for load in ordered)]


def _moved(plan: StoredPlan) -> list[str]:
    moves = moves_from(plan.changed)
    if not moves:
        return ["\nNothing moved since the plan before." if plan.changed else "\nThis is the first plan of this work."]
    head = [f"\n## Moved since the plan before ({len(moves)})\n", "| item | from | to | why |", "|---|---|---|---|"]
    rows = []
    for move in moves[:MOVES_SHOWN]:
        begin, end = f"{_day(move.starts_before)} {_cell(move.person_before)}", f"{_day(move.starts_after)} {_cell(move.person_after)}"
        rows.append(f"| {_cell(move.item)} | {begin} | {end} | {_cell(move.why)} |")
    return [*head, *rows]


def _gaps(plan: StoredPlan) -> list[str]:
    if not plan.gaps:
        return []
    lines = [
        f"- {_cell(gap['missing'])} ({gap['count']}); assumed: {_cell(gap['assumed'])}; to do: {_cell(gap['to_do'])}"
        for gap in plan.gaps[:GAPS_SHOWN]
    ]
    return ["\n## What was assumed\n", *lines]


def _day(at: datetime | None) -> str:
    return f"{at:%a %d %b %Y}" if at is not None else "–"


def _cell(text: str) -> str:
    """Titles are other people's text: no markup of theirs, one line."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>|#" else c for c in " ".join(text.split()))
