"""What the agent's threads share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from productops.agent.leases import Key, LeaseWatch
from productops.agent.routes import Place, Snapshot
from productops.domain.catalog import Service
from productops.domain.governance_access import MACHINE
from productops.domain.routing import VersionKey
from productops.domain.traffic import Instance, InstanceState
from productops.ports import InstanceTarget, Router
from productops.store import Unit
from productops.usecases.context import Actor, Context

ACTOR = Actor(name="agent", origin="agent", principal=MACHINE)


@dataclass(slots=True)
class AgentState:
    """One agent. ``news`` wakes the traffic thread, ``look`` the reader; ``fresh`` is set once the store has been read."""

    context: Context
    router: Router
    target: InstanceTarget
    place: Place = field(default_factory=Place)
    snapshot: Snapshot = field(default_factory=Snapshot)
    watch: LeaseWatch = field(default_factory=LeaseWatch)
    lock: threading.Lock = field(default_factory=threading.Lock)
    news: threading.Event = field(default_factory=threading.Event)
    look: threading.Event = field(default_factory=threading.Event)
    fleet_work: threading.Event = field(default_factory=threading.Event)
    fresh: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    draining: frozenset[tuple[VersionKey, int]] = frozenset()

    _services: tuple[Service, ...] = ()
    _revisions: dict[str, int] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether something is under way: then the loops turn fast, else they wait for the doorbell and look once a second."""
        now = self.snapshot
        wanted = sum(f.desired for f in now.fleets if not f.failure)
        unsettled = any(i.state is not InstanceState.HEALTHY for i in now.instances)
        return unsettled or wanted != len(now.instances) or any(t.exposed or t.held or not t.confirmed for t in now.targets)

    def drained(self, instance: Instance) -> bool:
        """Whether the router has confirmed the drain and no request is in flight there. Raises: RouterError."""
        place = ((instance.service, instance.environment, instance.version), instance.port)
        return place in self.draining and self.router.requests_in_flight().get(place, 0) == 0

    def read_store(self) -> Snapshot:
        """Take a new snapshot and share it. Raises: StoreUnavailableError; the old one stays then."""
        read_at = self.context.clock.monotonic()
        with self.context.store.read() as unit:
            if (revisions := unit.catalog.revisions()) != self._revisions:  # reading YAML anew costs more than all the rest
                self._services, self._revisions = tuple(unit.catalog.services()), revisions
            snapshot = Snapshot(
                targets=tuple(unit.traffic.all()),
                services=self._services,
                instances=tuple(unit.fleets.instances()),
                fleets=tuple(unit.fleets.all()),
            )
            snapshot = replace(snapshot, flag_arms=_flag_arms(unit, snapshot))
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


def _flag_arms(unit: Unit, snapshot: Snapshot) -> tuple[VersionKey, ...]:
    """What the counters call users with and without the flags that are being ramped."""
    ramping = [t for t in snapshot.targets if t.held and t.candidate_version is None and t.release_id is not None]
    return tuple((t.service, t.environment, arm) for t in ramping for arm in unit.releases.get(t.release_id or "").arms if arm)
