"""Metrics of one's own, second by second, for the judge and for people."""

from __future__ import annotations

import math
from collections.abc import Mapping

from productops.domain.analysis import RatioCount
from productops.domain.governance_access import Operation
from productops.domain.release import Environment
from productops.errors import InvalidInputError
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import service_for

MetricValue = tuple[int, int] | float
"""(events, trials), or a level."""
EARLY_S, LATE_S = 60, 3600


def take_metrics(
    context: Context, service: str, environment: Environment, version: str, *, at_s: int, values: Mapping[str, MetricValue], actor: Actor
) -> int:
    """Keep one second's values of a version; the same second and name again replaces. Returns how many were kept.

    Raises: NotFoundError for an unknown service, InvalidInputError for a second more than an hour old or a minute ahead, or a level
        that is no finite number.
    """
    with context.store.read() as unit:
        service_for(unit, service, actor, Operation.METRIC_WRITE, environment=environment)
    now_s = int(context.clock.now().timestamp())
    if not now_s - LATE_S <= at_s <= now_s + EARLY_S:
        raise InvalidInputError(
            f"at_s {at_s} is {at_s - now_s:+d} s from now: send seconds of the last hour, in Unix seconds (not milliseconds)"
        )
    kept = {name: RatioCount(*value) if isinstance(value, tuple) else value for name, value in values.items()}
    bad = [name for name, value in kept.items() if isinstance(value, float) and not math.isfinite(value)]
    if bad:
        raise InvalidInputError(f"{', '.join(bad)}: a level must be a finite number")
    with context.store.write() as unit:
        unit.seconds.add_metrics((service, environment, version), at_s, kept)
    return len(kept)
