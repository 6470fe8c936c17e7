"""Readers of events: one for each venture, with its tracking plan as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from productops.adapters.analytics_events_json import dumps
from productops.domain.analytics_events import Row, microseconds
from productops.domain.analytics_events_intake import FIRST_US, EventReader
from productops.domain.analytics_events_plan import ReadyPlan, RefusedEventError
from productops.store import Unit
from productops.usecases.context import Context

log = structlog.get_logger(__name__)
NO_SECRET = b"productops"


def reader_of(unit: Unit, venture: str, *, secret: bytes, oldest_us: int = FIRST_US) -> EventReader:
    """The reader of a venture's events."""
    found = unit.analytics_events.plans.find(venture)
    plan = ReadyPlan.of(found[1]) if found else ReadyPlan()
    return EventReader(venture, plan, secret=secret, dumps=dumps, oldest_us=oldest_us)


class PlainReader:
    """Reads events for programs: what is refused is left out and told to the log."""

    def __init__(self, context: Context, venture: str, secret: bytes) -> None:
        with context.store.read() as unit:
            self._reader = reader_of(unit, venture, secret=secret)
        self._now = microseconds(context.clock.now())

    def read(self, raw: Mapping[str, Any]) -> Row | None:
        """The row, or None."""
        try:
            return self._reader.read(dict(raw), received_us=self._now)
        except RefusedEventError as error:
            log.warning("an event was left out", reason=str(error))
            return None


def default_reader(context: Context, venture: str) -> PlainReader:
    """A reader of a venture's events, for examples and tests: with a key for hashes that is no secret."""
    return PlainReader(context, venture, NO_SECRET)
