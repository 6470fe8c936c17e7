"""The thread that owns the router: enforce leases first, apply what is wanted, note what is confirmed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import structlog

from productops import telemetry
from productops.agent.leases import Key
from productops.agent.routes import Snapshot, make_routes
from productops.agent.state import ACTOR, AgentState
from productops.domain.routing import ServiceRoute
from productops.domain.traffic import TrafficTarget
from productops.errors import RouterError, StoreUnavailableError
from productops.usecases.governance_audit_note import note
from productops.usecases.release_rollback import finish_rollbacks, lapse_lease

log = structlog.get_logger(__name__)
TICK_S = 0.1
IDLE_TICK_S = 1.0
REAPPLY_S = 2.0


@dataclass(slots=True)
class TrafficLoop:
    """Applies desired traffic. Nothing here waits for the database before the router has what users need."""

    state: AgentState
    _applied: list[ServiceRoute] = field(default_factory=list)
    _applied_at: float = -1e9
    _to_record: tuple[Snapshot, dict[Key, int]] | None = None
    _recording: threading.Event = field(default_factory=threading.Event)
    _took_us: int = 0

    def run(self) -> None:
        """Until the agent stops."""
        self.state.fresh.wait()
        while not self.state.stopping.is_set():
            self.state.news.wait(TICK_S if self.state.busy else IDLE_TICK_S)
            self.state.news.clear()
            self.turn()

    def turn(self) -> None:
        """One round: the router first; the records follow."""
        snapshot, lapsed = self.state.present()
        if self._apply(make_routes(snapshot, lapsed=lapsed, place=self.state.place)):
            self._to_record = (snapshot, lapsed)
            self._recording.set()

    def record(self) -> None:
        """Write down what the router has, in a thread of its own: a locked database must not hold up the next lease."""
        while not self.state.stopping.is_set():
            self._recording.wait(IDLE_TICK_S)
            self._recording.clear()
            if self._to_record is None:
                continue
            (snapshot, lapsed), self._to_record = self._to_record, None
            try:
                changed = self._record_lapses(lapsed)
                changed |= self._record_confirmed(snapshot, lapsed)
            except StoreUnavailableError as error:
                log.warning("store unavailable; leases are kept from memory", reason=str(error))
                continue
            if changed:
                self.state.look.set()

    def _apply(self, routes: list[ServiceRoute]) -> bool:
        now = self.state.context.clock.monotonic()
        if routes == self._applied and now - self._applied_at < REAPPLY_S:
            return True
        began = time.perf_counter()
        try:
            self.state.router.apply(routes)
        except RouterError as error:
            log.warning("router did not confirm", reason=str(error))
            self._applied = []
            return False
        self._applied, self._applied_at = routes, now
        self._took_us = int((time.perf_counter() - began) * 1e6)
        self.state.draining = frozenset(
            ((r.service, r.environment, version), endpoint.port)
            for r in routes for version, fleet in r.fleets.items() for endpoint in fleet if endpoint.draining
        )  # fmt: skip
        return True

    def _record_lapses(self, lapsed: dict[Key, int]) -> bool:
        """Lapsed leases are in the router already; write them down."""
        changed = False
        for (service, environment), beat in lapsed.items():
            log.warning("lease lapsed, baseline given back", service=service, environment=str(environment))
            changed |= lapse_lease(self.state.context, service, environment, beat=beat, actor=ACTOR)
        return changed

    def _record_confirmed(self, snapshot: Snapshot, lapsed: dict[Key, int]) -> bool:
        pending = [t for t in snapshot.targets if not t.confirmed and t.key not in lapsed]
        if pending:
            with self.state.context.store.write() as unit:
                now = self.state.context.clock.now()
                for target in pending:
                    if unit.traffic.confirm(target.service, target.environment, generation=target.generation, now=now):
                        shares = {"candidate": target.candidate_version, "candidate_pct": target.candidate_pct}
                        note(
                            unit, ACTOR, "traffic.applied", f"traffic/{target.service}/{target.environment}", now=now,
                            before={"generation": target.applied_generation},
                            after={"generation": target.generation, "baseline": target.baseline_version, **shares},
                            detail={"release_id": target.release_id},
                        )  # fmt: skip
                        _trace(target, self._took_us)
        return bool(finish_rollbacks(self.state.context, actor=ACTOR) or pending)


def _trace(target: TrafficTarget, took_us: int) -> None:
    """The router has what a release asked for: part of the release's trace. ``took_us`` is how long the router took to confirm it."""
    if target.release_id is None:
        return
    telemetry.emit(
        "shift traffic", started_us=time.time_ns() // 1_000 - took_us, duration_us=took_us, subject=f"release/{target.release_id}",
        environment=target.environment,
        attributes={
            "deployment.environment.name": target.environment.value, "productops.service": target.service,
            "productops.candidate.version": target.candidate_version, "productops.candidate.percent": target.candidate_pct,
            "productops.generation": target.generation,
        },
    )  # fmt: skip
