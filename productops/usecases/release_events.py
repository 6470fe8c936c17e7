"""Events of all releases that a reader may see, in the order they were committed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from productops.domain.governance_access import Operation, visible_places
from productops.domain.release_events import EventFilter, PlacedEvent
from productops.usecases.context import Actor, Context


@dataclass(frozen=True, slots=True)
class EventPart:
    """The next events that fit, and the number that was read up to: the next part begins after it. ``more``: it may begin at once."""

    events: list[PlacedEvent]
    seen: int
    more: bool


def read_events(context: Context, wanted: EventFilter, *, after: int, limit: int, actor: Actor) -> EventPart:
    """Events after a number that fit and that the caller may see. Raises: StoreUnavailableError."""
    allowed = replace(wanted, places=visible_places(actor.principal, Operation.RELEASE_READ))
    with context.store.read() as unit:
        found, seen = unit.events.following(allowed, after=after, limit=limit)
    return EventPart(found, seen, more=seen > after)


def newest_event(context: Context) -> int:
    """Number of the newest event; 0 when there is none. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return unit.events.last()
