"""What a look for causes has in front of it. Everything may be missing: then the hypotheses that need it are weaker, not wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from productops.domain.incident_alert import Alert
from productops.domain.release import Environment, Release
from productops.domain.traffic import Instance
from productops.stats.cause_graph import Blame

LOOK_BACK_S = 6 * 3600.0
"""Changes so long before the onset are looked at."""


class Symptom(StrEnum):
    """What users feel, as far as the traffic tells."""

    FAILURES = "failures"
    SLOWNESS = "slowness"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """Traffic of one arm (a version, or the users of a flag's variant) in a window. ``slow``: answers above the normal 95th percentile."""

    requests: int
    failures: int
    slow: int
    answered: int

    def ratio(self, symptom: Symptom) -> tuple[int, int]:
        """(bad, of how many) for a symptom."""
        return (self.slow, self.answered) if symptom is Symptom.SLOWNESS else (self.failures, self.requests)


NO_TRAFFIC = ArmFacts(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class OnsetFacts:
    """When it began, in Unix seconds. ``nats``: how sure it is that anything changed. ``series`` says in what it was seen."""

    at_s: float
    low_s: float
    high_s: float
    nats: float
    series: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """A release that may have done it. ``moves``: when its share of the traffic changed, with the share in percent then."""

    release: Release
    moves: tuple[tuple[datetime, int], ...]
    verdict: str | None
    verdict_reason: str = ""
    traced: bool = False


@dataclass(frozen=True, slots=True)
class FlagFacts:
    """One revision of a flag that changed what users get. ``arms``: traffic since the onset by variant, where exposures are counted.

    ``undone_at``: users have again what they had before it. ``restores``: it did that to an earlier one.
    """

    key: str
    revision: int
    at: datetime
    summary: str
    author: str
    arms: Mapping[str, ArmFacts] = field(default_factory=dict)
    undone_at: datetime | None = None
    restores: bool = False


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """A change of the catalog or of the size of a fleet, from the audit log.

    ``restores``: the fleet has as many instances as before it was made larger for a while.
    """

    seq: int
    at: datetime
    action: str
    subject: str
    summary: str
    of_service: bool
    fewer: bool = False
    restores: bool = False


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """One instance with what was measured of it around the onset; None: not measured."""

    instance: Instance
    cpu_pct: float | None = None
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class LevelFacts:
    """A level (percent, unless it says otherwise) before and since the onset, and when it rose (Unix seconds)."""

    place: str
    resource: str
    before: float | None
    after: float
    rose_s: float | None


@dataclass(frozen=True, slots=True)
class DependencyFacts:
    """Something the service calls. ``blame`` of its added time or failures; ``calls`` lately. ``ours``: a service of the catalog."""

    name: str
    kind: str
    ours: bool
    calls: int
    blame: Blame | None
    sentence: str
    alerts: tuple[Alert, ...] = ()
    rose_s: float | None = None


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """A kind of error in the logs. ``by_version``: lines since about the onset. ``again``: known from before, quiet, and back with it."""

    text: str
    first_seen: datetime
    count: int
    by_version: Mapping[str, int]
    link: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it, for one service. ``after`` and ``before`` by version; rates in requests a second."""

    incident_id: str
    venture: str | None
    service: str
    environment: Environment
    now: datetime
    anchor: datetime
    symptom: Symptom = Symptom.NONE
    onset: OnsetFacts | None = None
    after: Mapping[str, ArmFacts] = field(default_factory=dict)
    before: Mapping[str, ArmFacts] = field(default_factory=dict)
    rate_before: float | None = None
    rate_after: float | None = None
    alerts: tuple[Alert, ...] = ()
    releases: tuple[ReleaseFacts, ...] = ()
    flags: tuple[FlagFacts, ...] = ()
    changes: tuple[ChangeFacts, ...] = ()
    instances: tuple[InstanceFacts, ...] = ()
    levels: tuple[LevelFacts, ...] = ()
    dependencies: tuple[DependencyFacts, ...] = ()
    errors: tuple[ErrorFacts, ...] = ()
    confirmed: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def onset_s(self) -> tuple[float, float, float]:
        """(best, low, high) in Unix seconds; without a change in the traffic the alert's time, known to a minute."""
        if self.onset is not None:
            return (self.onset.at_s, self.onset.low_s, self.onset.high_s)
        anchor_s = self.anchor.timestamp()
        return (anchor_s - 5.0, anchor_s - 60.0, anchor_s)

    def link(self, what: str, name: Any) -> str:
        """Where to read more."""
        return f"/api/v1/product-ops/{what}/{name}"
