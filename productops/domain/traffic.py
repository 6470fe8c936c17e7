"""Desired traffic of one service in one environment, and the lease that keeps a candidate in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from productops.domain.release import Environment
from productops.domain.strategies.step import Mirror, Segment

TEST_HEADER = "x-productops-candidate"
SHADOW_HEADER = "x-productops-shadow"
"""On a copied request, so that the version can tell it from a user's."""
COMPARE_HEADER = "x-productops-compare"
"""On a copy for the comparator: ``service|environment``."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The time-limited right to keep traffic on a candidate.

    ``beat`` rises with every renewal: who watches it counts its own monotonic seconds since the last rise, so a step of any
    wall clock neither extends nor cuts a lease. ``deadline`` (UTC) only serves a watcher that has just started.
    """

    holder: str
    ttl_s: float
    deadline: datetime
    beat: int


@dataclass(frozen=True, slots=True)
class TrafficTarget:
    """What users of a service should get. ``generation`` rises with every change; ``applied_generation`` is what the router confirmed.

    ``fence`` rises when somebody takes the traffic over; a writer with an older fence is refused. ``segments`` get the candidate whatever
    ``candidate_pct`` of all others; with ``mirror`` it gets copies of requests.
    """

    service: str
    environment: Environment
    generation: int
    applied_generation: int
    baseline_version: str | None
    candidate_version: str | None
    candidate_pct: int
    header_only: bool
    release_id: str | None
    fence: int
    lease: Lease | None
    applied_at: datetime | None = None
    segments: tuple[Segment, ...] = ()
    mirror: Mirror | None = None

    @property
    def key(self) -> tuple[str, Environment]:
        """Identity: service and environment."""
        return (self.service, self.environment)

    @property
    def exposed(self) -> bool:
        """Whether any request, or a copy of one, may reach the candidate."""
        chosen = self.candidate_pct > 0 or self.header_only or bool(self.segments) or self.mirror is not None
        return self.candidate_version is not None and chosen

    @property
    def held(self) -> bool:
        """Whether a lease keeps something from users' usual: a candidate that they may reach, or a flag that a release ramps."""
        return self.lease is not None and (self.exposed or self.candidate_version is None)

    @property
    def confirmed(self) -> bool:
        """Whether the router serves exactly this."""
        return self.applied_generation >= self.generation


@dataclass(frozen=True, slots=True)
class AgentTerm:
    """Which agent writes a router. ``term`` rises with every change of ``holder`` (empty: nobody), ``beat`` while the holder lives."""

    router: str
    holder: str
    term: int
    beat: int


class InstanceState(StrEnum):
    """Life of one instance of a version."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    CRASHED = "crashed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a version. ``started`` is the process's creation time (Unix seconds): with the pid it is the identity."""

    id: str
    service: str
    environment: Environment
    version: str
    port: int
    state: InstanceState
    pid: int | None
    started: float | None
    restarts: int
    log_path: str
    last_output: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many instances of a version should run. ``keep_until``: a warm old fleet is stopped after it."""

    service: str
    environment: Environment
    version: str
    desired: int
    keep_until: datetime | None
    failure: str
    failed_at: datetime | None

    @property
    def key(self) -> tuple[str, Environment, str]:
        """Identity: service, environment and version."""
        return (self.service, self.environment, self.version)
