"""The thread that keeps instances: start, adopt, watch, restart, drain, stop."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from productops.agent.routes import HOST, Snapshot
from productops.agent.state import ACTOR, AgentState
from productops.domain.catalog import Service
from productops.domain.routing import Endpoint
from productops.domain.traffic import Fleet, Instance, InstanceState
from productops.errors import ProductOpsError, RouterError, StoreUnavailableError
from productops.ports import Process
from productops.store.identity import new_id
from productops.usecases.governance_audit_note import note

log = structlog.get_logger(__name__)
TICK_S = 0.25
IDLE_TICK_S = 2.0
BACKOFF_MAX_S = 30.0
QUICK_DEATHS = 3
"""So often what ends before it was healthy is started again soon; then its fleet is known to fail, and it is tried slowly."""
STABLE_S = 60.0
TRIM_EVERY_S = 30.0
LOG_MAX_BYTES = 20_000_000
_KEEP_FIRST = {
    InstanceState.HEALTHY: 0, InstanceState.STARTING: 1, InstanceState.UNHEALTHY: 2, InstanceState.CRASHED: 3, InstanceState.DRAINING: 4,
    InstanceState.STOPPED: 5,
}  # fmt: skip


def _subject(of: Fleet | Instance) -> str:
    """What the audit log calls a fleet, and the instances in it."""
    return f"fleet/{of.service}/{of.environment}/{of.version}"


@dataclass(slots=True)
class Life:
    """What the agent remembers of an instance beyond its row; losing it only restarts the timers."""

    since: float
    healthy_since: float | None = None
    misses: int = 0
    checked_at: float = -1e9
    retry_at: float = 0.0
    stop_at: float | None = None
    terminated_at: float | None = None


@dataclass(slots=True)
class FleetLoop:
    """Brings the instances to what the fleets want. Slow work (git, pip) is done in a pool, never in the loop."""

    state: AgentState
    port_first: int
    port_count: int
    drain_timeout_s: float
    stop_grace_s: float
    _lives: dict[str, Life] = field(default_factory=dict)
    _preparing: set[tuple[str, str]] = field(default_factory=set)
    _prepared: dict[tuple[str, str], str] = field(default_factory=dict)
    _trimmed_at: float = 0.0
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=8, thread_name_prefix="fleet"))

    def run(self) -> None:
        """Until the agent stops; instances go on without it and are adopted by the next one."""
        self.state.fresh.wait()
        self._adopt()
        while not self.state.stopping.is_set():
            self.state.fleet_work.wait(TICK_S if self.state.busy else IDLE_TICK_S)
            self.state.fleet_work.clear()
            try:
                self.turn()
                self._trim_logs()
            except StoreUnavailableError as error:
                log.warning("store unavailable; instances stay as they are", reason=str(error))
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _trim_logs(self) -> None:
        now = self.state.context.clock.monotonic()
        if now - self._trimmed_at > TRIM_EVERY_S:
            self._trimmed_at = now
            self.state.target.trim_logs(LOG_MAX_BYTES)

    def turn(self) -> None:
        """One round over all fleets."""
        snapshot = self.state.read_store()  # this thread alone writes instances: what it reads now is not older than what it did
        self._expire_warm(snapshot)
        services = {s.name: s for s in snapshot.services}
        by_fleet: dict[tuple[str, str, str], list[Instance]] = {}
        for instance in snapshot.instances:
            by_fleet.setdefault((instance.service, instance.environment.value, instance.version), []).append(instance)
        changed = False
        for fleet in snapshot.fleets:
            service = services.get(fleet.service)
            members = by_fleet.get((fleet.service, fleet.environment.value, fleet.version), [])
            if service is not None:
                changed |= self._keep(service, fleet, members)
        if changed:
            self.state.look.set()

    def _keep(self, service: Service, fleet: Fleet, members: list[Instance]) -> bool:
        changed = False
        ranked = sorted(members, key=lambda each: _KEEP_FIRST[each.state])  # what serves is kept, what ails goes first
        wanted, surplus = ranked[: fleet.desired], ranked[fleet.desired :]
        for instance in wanted:
            changed |= self._tend(service, fleet, instance)
        for instance in surplus:
            changed |= self._end(instance) if self._out_of_traffic(fleet) else False
        if len(members) < fleet.desired and not fleet.failure:
            changed |= self._grow(service, fleet, fleet.desired - len(members))
        if fleet.desired == 0 and not members:
            with self.state.context.store.write() as unit:
                unit.fleets.forget(fleet)
                before = {"desired": 0, "failure": fleet.failure}
                note(unit, ACTOR, "fleet.forgotten", _subject(fleet), now=self.state.context.clock.now(), before=before)
            changed = True
        return changed

    # ---- start

    def _grow(self, service: Service, fleet: Fleet, missing: int) -> bool:
        key = (service.name, fleet.version)
        if key not in self._prepared:
            self._prepare(service, fleet)
            return False
        for _ in range(missing):
            self._launch(service, fleet)
        return True

    def _prepare(self, service: Service, fleet: Fleet) -> None:
        key = (service.name, fleet.version)
        if key in self._preparing:
            return
        self._preparing.add(key)

        def work() -> None:
            try:
                self._prepared[key] = str(self.state.target.prepare(service, fleet.version))
            except ProductOpsError as error:
                self._fail(fleet, f"version {fleet.version} could not be prepared: {error}")
            finally:
                self._preparing.discard(key)
                self.state.look.set()

        self._pool.submit(work)

    def _launch(self, service: Service, fleet: Fleet) -> None:
        """Write the intent first: a crash between the two lines leaves a row that the next round starts or adopts."""
        now = self.state.context.clock.now()
        instance_id = str(new_id())
        path = self.state.target.log_path(service.name, fleet.environment, fleet.version, instance_id)
        with self.state.context.store.write() as unit:
            port = self._free_port({i.port for i in unit.fleets.instances()})
            instance = Instance(
                id=instance_id, service=service.name, environment=fleet.environment, version=fleet.version, port=port,
                state=InstanceState.STARTING, pid=None, started=None, restarts=0, log_path=str(path), last_output="", updated_at=now,
            )  # fmt: skip
            unit.fleets.add_instance(instance)
            detail = {"instance": instance_id, "port": port}
            note(unit, ACTOR, "instance.starting", _subject(fleet), now=now, after=InstanceState.STARTING.value, detail=detail)
        self._spawn(service, fleet, instance)

    def _spawn(self, service: Service, fleet: Fleet, instance: Instance) -> None:
        now = self.state.context.clock.monotonic()
        life = self._lives.setdefault(instance.id, Life(since=now))
        life.since, life.healthy_since, life.misses = now, None, 0
        try:
            process = self.state.target.start(service, fleet.environment, fleet.version, instance_id=instance.id, port=instance.port)
        except ProductOpsError as error:
            self._fail(fleet, str(error))
            return
        self._set(instance, pid=process.pid, started=process.started, state=InstanceState.STARTING)

    def _free_port(self, taken: set[int]) -> int:
        return self.state.target.free_port(self.port_first, self.port_count, taken)

    # ---- watch

    def _tend(self, service: Service, fleet: Fleet, instance: Instance) -> bool:
        life = self._lives.setdefault(instance.id, Life(since=self.state.context.clock.monotonic()))
        if instance.state is InstanceState.DRAINING:  # wanted again before it was stopped
            self._set(instance, state=InstanceState.HEALTHY)
            life.stop_at = None
            return True
        if instance.pid is None or instance.started is None or not self.state.target.alive(instance.pid, instance.started):
            return self._revive(service, fleet, instance, life)
        return self._check(service, fleet, instance, life)

    def _check(self, service: Service, fleet: Fleet, instance: Instance, life: Life) -> bool:
        now = self.state.context.clock.monotonic()
        health = service.spec.run.health
        pace = health.interval_s if instance.state is not InstanceState.HEALTHY else max(health.interval_s, 2.0)
        if instance.state is InstanceState.STARTING:
            pace = min(pace, 0.1)
        if now - life.checked_at < pace:
            return False
        life.checked_at = now
        if self.state.target.healthy(service, Endpoint(HOST, instance.port)):
            return self._found_healthy(fleet, instance, life, now)
        life.misses += 1
        if instance.state is InstanceState.STARTING and now - life.since > health.timeout_s:
            return self._never_healthy(service, fleet, instance)
        if instance.state is InstanceState.HEALTHY and life.misses >= 3:
            self._set(instance, state=InstanceState.UNHEALTHY, last_output=self._output(instance))
            return True
        return False

    def _found_healthy(self, fleet: Fleet, instance: Instance, life: Life, now: float) -> bool:
        life.misses = 0
        life.healthy_since = life.healthy_since or now
        if instance.restarts and now - life.healthy_since > STABLE_S:
            self._set(instance, restarts=0)
            self._works_again(fleet)
        if instance.state is InstanceState.HEALTHY:
            return False
        self._set(instance, state=InstanceState.HEALTHY)
        return True

    def _works_again(self, fleet: Fleet) -> None:
        """What was said of its version when it ended again and again does not hold any more."""
        if fleet.failure:
            log.info("fleet works again", service=fleet.service, version=fleet.version, failed=fleet.failure)
            with self.state.context.store.write() as unit:
                now = self.state.context.clock.now()
                unit.fleets.works(fleet, now=now)
                note(unit, ACTOR, "fleet.works", _subject(fleet), now=now, before={"failure": fleet.failure}, after={"failure": ""})

    def _never_healthy(self, service: Service, fleet: Fleet, instance: Instance) -> bool:
        if fleet.failure:
            return False
        health = service.spec.run.health
        self._set(instance, last_output=self._output(instance))
        self._fail(fleet, f"{service.name} {fleet.version} did not answer {health.path} within {health.timeout_s:g} s")
        return True

    def _revive(self, service: Service, fleet: Fleet, instance: Instance, life: Life) -> bool:
        """A dead instance is started again with growing pauses; one that never lives long enough fails its fleet, and is still tried."""
        now = self.state.context.clock.monotonic()
        hopeless = life.healthy_since is None and instance.restarts >= QUICK_DEATHS
        if instance.state is not InstanceState.CRASHED:
            self._sweep(instance)
            pause = BACKOFF_MAX_S if hopeless else min(BACKOFF_MAX_S, 0.5 * 2 ** min(instance.restarts, 8)) * random.uniform(0.8, 1.2)  # noqa: S311
            life.retry_at = now + (pause if hopeless or instance.pid is not None else 0.0)
            self._set(instance, state=InstanceState.CRASHED, last_output=self._output(instance))
            log.warning(
                "instance ended by itself", service=service.name, version=fleet.version, instance=instance.id,
                restarts=instance.restarts, again_in_s=round(pause, 1),
            )  # fmt: skip
            if hopeless and not fleet.failure:
                ended = f"{service.name} {fleet.version} ended {instance.restarts + 1} times before it was healthy"
                self._fail(fleet, f"{ended}; it is tried again every {BACKOFF_MAX_S:.0f} s")
            return True
        if now < life.retry_at:
            return False
        self._set(instance, restarts=instance.restarts + 1)
        self._spawn(service, fleet, instance)
        return True

    # ---- end

    def _end(self, instance: Instance) -> bool:
        """Drain, wait for the requests in flight, SIGTERM, SIGKILL; each round does what is due."""
        now = self.state.context.clock.monotonic()
        life = self._lives.setdefault(instance.id, Life(since=now))
        if instance.pid is None or instance.started is None or not self.state.target.alive(instance.pid, instance.started):
            self._sweep(instance)
            self._set(instance, state=InstanceState.STOPPED)
            self._lives.pop(instance.id, None)
            return True
        if instance.state is not InstanceState.DRAINING:
            self._set(instance, state=InstanceState.DRAINING)
            life.stop_at = now + self.drain_timeout_s
            return True
        if life.stop_at is None:
            life.stop_at = now + self.drain_timeout_s
        if life.terminated_at is not None:
            if now - life.terminated_at > self.stop_grace_s:
                self.state.target.stop(instance.pid, instance.started, kill=True)
            return False
        if now < life.stop_at and not self._drained(instance):
            return False
        self.state.target.stop(instance.pid, instance.started)
        life.terminated_at = now
        return False

    def _out_of_traffic(self, fleet: Fleet) -> bool:
        """Instances are drained only after the router confirmed a configuration that sends their version nothing."""
        target = next((t for t in self.state.snapshot.targets if t.key == (fleet.service, fleet.environment)), None)
        return target is None or target.confirmed

    def _drained(self, instance: Instance) -> bool:
        """Whether the router sends it nothing any more: the drain is applied and no request is in flight."""
        try:
            return self.state.drained(instance)
        except RouterError:
            return False

    def _sweep(self, instance: Instance) -> None:
        """End children that outlived the instance: they may still hold its port."""
        if instance.pid is not None and instance.started is not None:
            self.state.target.stop(instance.pid, instance.started, kill=True)

    # ---- records

    def _expire_warm(self, snapshot: Snapshot) -> None:
        now = self.state.context.clock.now()
        due = [f for f in snapshot.fleets if f.keep_until is not None and f.keep_until < now]
        if due:
            with self.state.context.store.write() as unit:
                for fleet in due:
                    unit.fleets.expire(fleet, now=now)
                    reason = "it was to be kept warm until now"
                    note(
                        unit, ACTOR, "fleet.expired", _subject(fleet), now=now, reason=reason, before={"desired": fleet.desired},
                        after={"desired": 0},
                    )  # fmt: skip
            self.state.look.set()

    def _fail(self, fleet: Fleet, reason: str) -> None:
        log.warning("fleet failed", service=fleet.service, version=fleet.version, reason=reason)
        with self.state.context.store.write() as unit:
            now = self.state.context.clock.now()
            unit.fleets.fail(fleet, reason, now=now)
            note(unit, ACTOR, "fleet.failed", _subject(fleet), now=now, reason=reason[:2000])
        self.state.look.set()

    def _set(self, instance: Instance, **values: object) -> None:
        with self.state.context.store.write() as unit:
            now = self.state.context.clock.now()
            unit.fleets.set_instance(instance.id, now=now, **values)
            state = values.get("state", instance.state)
            if isinstance(state, InstanceState) and state is not instance.state:
                detail = {"instance": instance.id, "port": instance.port, "restarts": instance.restarts}
                note(
                    unit, ACTOR, f"instance.{state.value}", _subject(instance), now=now, before=instance.state.value, after=state.value,
                    detail=detail,
                )  # fmt: skip
        self.state.look.set()

    def _output(self, instance: Instance) -> str:
        return self.state.target.last_output(Path(instance.log_path))

    def _adopt(self) -> None:
        """Find instances that an earlier agent started, also those whose pid it did not live to write down."""
        living = self.state.target.find()
        snapshot: Snapshot = self.state.snapshot
        known = {i.id: i for i in snapshot.instances}
        for instance_id, process in living.items():
            if instance_id in known:
                self._adopt_one(known[instance_id], process)
            else:
                log.warning("stopping an instance that no row knows", instance=instance_id, pid=process.pid)
                self.state.target.stop(process.pid, process.started, kill=True)

    def _adopt_one(self, instance: Instance, process: Process) -> None:
        if (instance.pid, instance.started) != (process.pid, process.started):
            self._set(instance, pid=process.pid, started=process.started)
        log.info("adopted", service=instance.service, version=instance.version, pid=process.pid)
