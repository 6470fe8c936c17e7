"""How the watch is, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from productops.domain.governance_access import Operation, Scope, may_see
from productops.errors import ForbiddenError
from productops.usecases.context import Actor, Context

FRESH: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What a watch process said of itself, and whether that is not long ago."""

    holder: str
    data: Mapping[str, Any]
    at: datetime
    fresh: bool


def list_watches(context: Context, *, actor: Actor) -> list[WatchReport]:
    """The newest first. Nothing in it belongs to a venture. Raises: ForbiddenError, StoreUnavailableError."""
    if not may_see(actor.principal, Operation.METRIC_READ, Scope()):
        raise ForbiddenError("reading how the watch is needs the right to read metrics of some venture", operation="metric.read")
    now = context.clock.now()
    with context.store.read() as unit:
        return [WatchReport(holder, data, at, now - at < FRESH) for holder, data, at in unit.detectors.reports()]
