"""What the agent's threads share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from productops.agent.leases import Key, LeaseWatch
from productops.agent.routes import Snapshot
from productops.domain.routing import VersionKey
from productops.domain.traffic import Instance
from productops.ports import InstanceTarget, Router
from productops.usecases.context import Actor, Context

ACTOR = Actor(name="agent", origin="agent")


@dataclass(slots=True)
class AgentState:
    """One agent. ``news`` wakes the traffic thread, ``look`` the reader; ``fresh`` is set once the store has been read."""

    context: Context
    router: Router
    target: InstanceTarget
    snapshot: Snapshot = field(default_factory=Snapshot)
    watch: LeaseWatch = field(default_factory=LeaseWatch)
    lock: threading.Lock = field(default_factory=threading.Lock)
    news: threading.Event = field(default_factory=threading.Event)
    look: threading.Event = field(default_factory=threading.Event)
    fleet_work: threading.Event = field(default_factory=threading.Event)
    fresh: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    draining: frozenset[tuple[VersionKey, int]] = frozenset()

    def drained(self, instance: Instance) -> bool:
        """Whether the router has confirmed the drain and no request is in flight there. Raises: RouterError."""
        place = ((instance.service, instance.environment, instance.version), instance.port)
        return place in self.draining and self.router.requests_in_flight().get(place, 0) == 0

    def read_store(self) -> Snapshot:
        """Take a new snapshot and share it. Raises: StoreUnavailableError; the old one stays then."""
        read_at = self.context.clock.monotonic()
        with self.context.store.read() as unit:
            snapshot = Snapshot(
                targets=tuple(unit.traffic.all()),
                services=tuple(unit.catalog.services()),
                instances=tuple(unit.fleets.instances()),
                fleets=tuple(unit.fleets.all()),
            )
        with self.lock:
            self.snapshot = snapshot
            self.watch.observe(snapshot.targets, read_at=read_at, now=self.context.clock.now())
        self.fresh.set()
        self.news.set()
        return snapshot

    def present(self) -> tuple[Snapshot, dict[Key, int]]:
        """The newest snapshot and the leases that have lapsed by now (key → beat)."""
        with self.lock:
            return self.snapshot, dict(self.watch.lapsed(monotonic=self.context.clock.monotonic()))
