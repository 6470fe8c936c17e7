"""How a source is read: streams, cursors, pages, and how each of them stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.development import System, Told

LEASE: Final = timedelta(seconds=60)
# So much of a scope may vanish between two looks before somebody has to say that it is right.
GONE_SHARE_MAX: Final = 0.5
GONE_ALWAYS: Final = 20
Cursor = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DevelopmentSource:
    """A tool that is read, as the catalog declares it."""

    name: str
    venture: str
    spec: DevelopmentSourceSpec

    @property
    def system(self) -> System:
        """Whose tool it is."""
        return self.spec.system


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a source: what it tells, where to go on, and whether that was all for now."""

    told: tuple[Told, ...]
    cursor: Cursor
    done: bool


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far one stream of a source was read. ``position`` counts pages: whoever moves the cursor must know it.

    ``combing_since``: a full look is under way, with ``comb`` as its cursor; what it does not see was deleted.
    """

    stream: str
    cursor: Cursor = field(default_factory=dict)
    position: int = 0
    filled: bool = False
    comb: Cursor = field(default_factory=dict)
    combing_since: datetime | None = None
    combed_at: datetime | None = None
    items: int = 0
    read_at: datetime | None = None
    reached_at: datetime | None = None
    error: str = ""

    @property
    def scope(self) -> str:
        """The repository or project: what stands behind the stream's kind."""
        return self.stream.partition(":")[2]

    @property
    def kind(self) -> str:
        """What is read, e.g. ``issues``."""
        return self.stream.partition(":")[0]


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source stands. ``last_error`` is empty after a run that went well."""

    source: DevelopmentSource
    run: str | None = None
    claimed_until: datetime | None = None
    run_started_at: datetime | None = None
    run_ended_at: datetime | None = None
    succeeded_at: datetime | None = None
    last_error: str = ""
    paused_until: datetime | None = None
    rate_left: int | None = None
    full_wanted: bool = False
    deletions_accepted: bool = False
    wanted_at: datetime | None = None
    streams: tuple[StreamState, ...] = ()

    def lag_s(self, now: datetime) -> float | None:
        """Seconds since all streams were read to their end; None: never."""
        return (now - self.succeeded_at).total_seconds() if self.succeeded_at else None
