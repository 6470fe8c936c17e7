"""Schedules: activities, modes, links and resources in; starts, ends, a bound and a proof out."""

from __future__ import annotations

from productops.stats.schedule.model import Activity, Goal, Link, Mode, Problem, ProblemError, Resource, Schedule, Status, check, violations

__all__ = ["Activity", "Goal", "Link", "Mode", "Problem", "ProblemError", "Resource", "Schedule", "Status", "check", "violations"]
