"""Events of many releases: which of them are wanted, and where each belongs."""

from __future__ import annotations

from dataclasses import dataclass

from productops.domain.release import ReleaseEvent


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a reader wants; ``None`` is everything. An empty set is nothing.

    ``places``: pairs of venture and environment that the reader may see, each perhaps ``*``.
    """

    types: frozenset[str] | None = None
    places: frozenset[tuple[str, str]] | None = None
    ventures: frozenset[str] | None = None
    services: frozenset[str] | None = None
    environments: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """An event with what its release is of."""

    event: ReleaseEvent
    venture: str
    service: str
    environment: str
    version: str
