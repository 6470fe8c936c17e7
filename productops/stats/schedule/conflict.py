"""Why a problem has no solution: a smallest set of constraints that cannot hold together.

Source: Chinneck 2008, "Feasibility and Infeasibility in Optimization", the deletion filter.
"""

from __future__ import annotations

import time

from ortools.sat.python import cp_model

from productops.stats.schedule.exact import Box, build, solver
from productops.stats.schedule.model import Problem
from productops.stats.schedule.packed import Packed

PROBE_S = 2.0


def labels(problem: Problem) -> list[str]:
    """What can be left out, most particular first: that is what a person changes first, and so it is kept to the last."""
    names = [a.label for a in problem.activities]
    capacity = [f"capacity of {r.label}" for r in problem.resources]
    links = [f"{names[link.before]} before {names[link.after]}" for link in problem.links]
    releases = [f"release of {a.label}" for a in problem.activities if a.release]
    fixed = [f"start of {a.label}" for a in problem.activities if a.fixed_start is not None]
    deadlines = [f"deadline of {a.label}" for a in problem.activities if a.deadline is not None]
    return [*capacity, *links, *releases, *fixed, *deadlines]


def conflict(problem: Problem, p: Packed, *, seconds: float) -> tuple[str, ...]:
    """Labels of constraints that cannot hold together, of which none can be left out; empty when it is not shown within ``seconds``."""
    ends_at = time.monotonic() + seconds
    if not _impossible(problem, p, set(), ends_at):
        return ()
    needed = labels(problem)
    gone: set[str] = set()
    # By halves: what is not needed at all goes in large pieces.
    size = max(1, len(needed) // 2)
    while size >= 1:
        place = 0
        while place < len(needed) and time.monotonic() < ends_at:
            piece = set(needed[place : place + size])
            if _impossible(problem, p, gone | piece, ends_at):
                gone |= piece
                needed = [label for label in needed if label not in piece]
            else:
                place += size
        size //= 2
    return tuple(needed)


def _impossible(problem: Problem, p: Packed, relax: set[str], ends_at: float) -> bool:
    nothing = [0] * p.activities
    heads = [0 if f"release of {a.label}" in relax else a.release for a in problem.activities]
    model = build(problem, p, Box(len(p.capacity), goal=None, relax=relax), heads=heads, tails=nothing)
    solved = solver(min(PROBE_S, ends_at - time.monotonic()), 1)
    return solved.solve(model.cp) == cp_model.INFEASIBLE
