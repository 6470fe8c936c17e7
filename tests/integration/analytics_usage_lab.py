"""Usage events for tests: real files, a real database, days that are easy to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from productops.usecases.analytics_events_read import put_events
from productops.usecases.context import Clock, Context

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday


@dataclass
class Frozen(Clock):
    """Stands still until it is moved."""

    at: datetime = BEGIN + timedelta(days=60)

    def now(self) -> datetime:
        return self.at


def usage_context(context: Context, folder: Path) -> Context:
    """With a folder of events, two months later."""
    return replace(context, analytics_folder=folder / "analytics", clock=Frozen())


def when(day: float, hour: float = 12) -> datetime:
    """Of the days from the first of June on."""
    return BEGIN + timedelta(days=day, hours=hour)


def happened(person: str, name: str, day: float, hour: float = 12, **more: Any) -> dict[str, Any]:
    """An event as a client sends it."""
    return {"event": name, "userId": person, "timestamp": when(day, hour).isoformat(), "properties": more}


def put(context: Context, events: Iterable[dict[str, Any]], venture: str = "apollo") -> None:
    """Keep them."""
    put_events(context, venture, list(events))
