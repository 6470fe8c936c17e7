"""Carry a release out: deploy the candidate, shift traffic, promote. Claiming is in release_resume, judging in release_judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from productops.adapters.release_bundle_artifact import artifact_digest
from productops.domain.release import EXPOSED, Cause, Phase, Release, Step, StepRecord
from productops.domain.traffic import InstanceState
from productops.errors import CandidateUnhealthyError, ConflictError, LeaseLostError, RouterError, StoreUnavailableError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_audit_note import lift_bars, note
from productops.usecases.release_batches import complete_candidate, grow_candidate, shrink_baseline
from productops.usecases.release_holder import held
from productops.usecases.release_rollback import give_baseline_back
from productops.usecases.release_summary import release_summary
from productops.usecases.release_toggle import deploy_toggle, settle_toggle, shift_flag, toggles

CONFIRM_TIMEOUT_S = 10.0


@dataclass(slots=True)
class LeaseKeeper:
    """Renews a release's lease from the loop that does the work, so that a hung loop loses it.

    A database that does not answer is tolerated until the lease would have lapsed.
    """

    context: Context
    release: Release
    _due_at: float = 0.0
    _valid_until: float = 0.0

    def opened(self) -> None:
        """The lease was just opened, or a new keeper goes on with one."""
        now, ttl = self.context.clock.monotonic(), self.context.lease_ttl_s
        self._due_at, self._valid_until = now + ttl / 4, now + ttl

    def beat(self) -> None:
        """Renew when due. Raises: LeaseLostError when somebody else has the traffic, or the time ran out."""
        clock, ttl = self.context.clock, self.context.lease_ttl_s
        started = clock.monotonic()
        if started < self._due_at:
            return
        try:
            with self.context.store.write() as unit:
                now = clock.now()
                unit.traffic.renew(self.release.service, self.release.environment, fence=self.release.fence, ttl_s=ttl, now=now)
                unit.releases.note(self.release.id, heartbeat_at=now)
        except StoreUnavailableError:
            if clock.monotonic() >= self._valid_until:
                raise LeaseLostError(f"the database took no renewal of the lease of {self.release.title} for {ttl:g} s") from None
            return
        self._due_at, self._valid_until = started + ttl / 4, started + ttl


def deploy_candidate(context: Context, release_id: str, *, actor: Actor) -> Release:
    """Ask for the candidate's instances and wait until all are healthy. Users notice nothing.

    Raises: CandidateUnhealthyError (the release is ended then, with the reason and the last log lines), ConflictError when it
        was ended by somebody else meanwhile.
    """
    with context.store.read() as unit:
        known = unit.releases.get(release_id)
        toggled, declared = toggles(known), unit.catalog.service(known.service)
    if toggled:
        return deploy_toggle(context, release_id, actor=actor)
    artifact = artifact_digest(declared, known.version)
    with context.store.write() as unit:
        now = context.clock.now()
        release = held(unit, release_id, actor)
        if release.phase in EXPOSED:  # the run before this one had come further
            return release
        if release.phase is not Phase.DEPLOYING:  # a retry of this task goes on waiting
            reason = "starting the candidate's instances"
            release = unit.releases.move(release_id, Phase.DEPLOYING, actor=actor.name, reason=reason, now=now)
            note(
                unit, actor, "release.deploying", f"release/{release_id}", now=now, reason=reason, before=Phase.REQUESTED.value,
                after=Phase.DEPLOYING.value, detail={"version": release.version, "artifact": artifact},
            )  # fmt: skip
        service = unit.catalog.service(release.service)
        wanted = int(release.plan.get("instances") or service.spec.run.instances)
        fence = unit.traffic.take(release.service, release.environment, release_id)
        unit.releases.note(release_id, fence=fence, heartbeat_at=now)
        batch = release.steps[0].batch if release.steps else None
        if batch is None:
            unit.fleets.want(release.service, release.environment, release.version, wanted, now=now)
        unit.deployments.record(release, unit.catalog.venture_id(release.venture))
    context.doorbell.ring()
    if batch is not None:
        grow_candidate(context, release, batch, actor=actor, beat=_Heartbeat(context, release_id))
        return release
    return _await_candidate(context, release_id, wanted=wanted, timeout_s=service.spec.run.health.timeout_s, actor=actor)


@dataclass(slots=True)
class _Heartbeat:
    """Tells now and then that the process lives which carries a release out that has no lease yet."""

    context: Context
    release_id: str
    _due_at: float = 0.0

    def __call__(self) -> None:
        if (now := self.context.clock.monotonic()) >= self._due_at:
            self._due_at = now + 5.0
            with self.context.store.write() as unit:
                unit.releases.note(self.release_id, heartbeat_at=self.context.clock.now())


def _await_candidate(context: Context, release_id: str, *, wanted: int, timeout_s: float, actor: Actor) -> Release:
    began = context.clock.monotonic()
    deadline = began + timeout_s + 5.0  # the agent judges the health itself; this only bounds a dead agent
    heartbeat = began + 5.0
    while True:
        with context.store.read() as unit:
            release = unit.releases.get(release_id)
            fleet = unit.fleets.find(release.service, release.environment, release.version)
            instances = unit.fleets.instances_of(release.service, release.environment, release.version)
        if release.phase is not Phase.DEPLOYING:
            raise ConflictError(f"release {release_id} was ended while its candidate started: {release.reason or release.phase}")
        if sum(i.state is InstanceState.HEALTHY for i in instances) >= wanted:
            return release
        failure = fleet.failure if fleet else ""
        if failure or context.clock.monotonic() > deadline:
            reason = failure or f"no agent started {wanted} instances of {release.version} within {timeout_s:g} s"
            output = next((i.last_output for i in instances if i.last_output), "")
            give_baseline_back(
                context, release_id, cause=Cause.UNHEALTHY, reason=reason, actor=actor, evidence={"last_output": output[-4000:]}
            )
            raise CandidateUnhealthyError(reason, last_output=output)
        if context.clock.monotonic() > heartbeat:
            heartbeat = context.clock.monotonic() + 5.0
            with context.store.write() as unit:
                unit.releases.note(release_id, heartbeat_at=context.clock.now())
        # The longer it takes the less a moment matters, and the more others wait at the same time.
        context.clock.sleep(min(0.4, 0.05 + 0.05 * (context.clock.monotonic() - began)))


def shift_traffic(context: Context, release_id: str, index: int, *, actor: Actor) -> Release:
    """Put a step's share on the candidate under the lease and wait until the router confirms.

    A step with a batch starts the candidate's next instances before, and ends those it replaces after, the lease alive all the while.
    Raises: LeaseLostError, RouterError when the router does not confirm within 10 s, CandidateUnhealthyError.
    """
    with context.store.read() as unit:
        release = unit.releases.get(release_id)
    keeper = LeaseKeeper(context, release)
    keeper.opened()
    batch = release.steps[index].batch
    if batch is not None and index > 0:  # the first one was started before any traffic
        grow_candidate(context, release, batch, actor=actor, beat=keeper.beat)
    release = _shift(context, release_id, index, actor=actor)
    if batch is not None:
        keeper.opened()
        shrink_baseline(context, release, batch.baseline_after, actor=actor, beat=keeper.beat)
    return release


def _shift(context: Context, release_id: str, index: int, *, actor: Actor) -> Release:
    with context.store.write() as unit:
        now = context.clock.now()
        release = held(unit, release_id, actor)
        if release.phase is not Phase.DEPLOYING and release.phase not in EXPOSED:
            raise LeaseLostError(f"release {release_id} is {release.phase}: no traffic may be shifted")
        if _was_left(unit, release, index):
            return release
        step = release.steps[index]
        if release.phase is Phase.PAUSED and release.step_index == index:  # goes on waiting for a person where it was
            return release
        if release.phase is Phase.DEPLOYING:
            release = unit.releases.move(release_id, Phase.ROLLING_OUT, actor=actor.name, reason="first traffic", now=now)
        before = unit.traffic.get(release.service, release.environment)
        generation = _put_traffic(unit, release, step, context, actor=actor)
        note(
            unit, actor, "release.shifted", f"release/{release_id}", now=now, reason=step.title,
            before=_share(before.candidate_version, before.candidate_pct), after=_share(release.version, step.weight_pct),
            detail={"step": index, "generation": generation, "hold_s": step.hold_s},
        )  # fmt: skip
        unit.releases.note(release_id, step_index=index, heartbeat_at=now)
        record = StepRecord(index=index, weight_pct=step.weight_pct, hold_s=step.hold_s, header_only=step.header_only, started_at=now)
        unit.releases.start_step(release_id, record)
        payload = {"step": index, "title": step.title, "weight_pct": step.weight_pct, "hold_s": step.hold_s, "generation": generation}
        unit.releases.tell(release_id, "shift", payload, now=now)
    await_confirmed(context, release, generation=generation)
    return release


def _share(version: str | None, pct: int) -> dict[str, object]:
    return {"candidate": version, "candidate_pct": pct}


def _was_left(unit: Unit, release: Release, index: int) -> bool:
    """Whether the rollout is past a step: an earlier run of it held the step to its end, or promoted."""
    if release.step_index > index or release.phase in {Phase.PROMOTING, Phase.VALIDATING}:
        return True
    return any(step.index == index and step.ended_at is not None for step in unit.releases.steps(release.id))


def _put_traffic(unit: Unit, release: Release, step: Step, context: Context, *, actor: Actor) -> int:
    if toggles(release):
        return shift_flag(unit, release, step, ttl_s=context.lease_ttl_s, actor=actor, now=context.clock.now())
    return unit.traffic.shift(
        release.service, release.environment, fence=release.fence, candidate_version=release.version,
        candidate_pct=step.weight_pct, header_only=step.header_only, holder=f"release {release.id}",
        ttl_s=context.lease_ttl_s, now=context.clock.now(), segments=step.segments, mirror=step.mirror,
    )  # fmt: skip


def await_confirmed(context: Context, release: Release, *, generation: int) -> None:
    """Wait, with the lease alive, until the router serves ``generation``. Raises: RouterError after 10 s, LeaseLostError."""
    context.doorbell.ring()
    keeper = LeaseKeeper(context, release)
    keeper.opened()
    started = context.clock.monotonic()
    while True:
        with context.store.read() as unit:
            target = unit.traffic.get(release.service, release.environment)
        if target.applied_generation >= generation:
            return
        waited = context.clock.monotonic() - started
        if waited > CONFIRM_TIMEOUT_S:
            raise RouterError(
                f"the router did not confirm the traffic of {release.service} within {CONFIRM_TIMEOUT_S:g} s; is the agent up?"
            )
        keeper.beat()
        context.clock.sleep(0.004 if waited < 0.2 else 0.05)


def promote_candidate(context: Context, release_id: str, *, actor: Actor) -> Release:
    """Give all traffic to the candidate, still under the lease, and wait until the router confirms.

    Raises: LeaseLostError, RouterError, IllegalTransitionError.
    """
    with context.store.write() as unit:
        release = held(unit, release_id, actor)
        if release.phase is Phase.VALIDATING:
            return release
        if release.phase not in {Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.PROMOTING}:
            raise LeaseLostError(f"release {release_id} is {release.phase}: it cannot be promoted")
        reason = "all steps passed" if release.steps else "the first version of this service: nothing to compare with"
        if release.phase is not Phase.PROMOTING:
            before, now = release.phase.value, context.clock.now()
            release = unit.releases.move(release_id, Phase.PROMOTING, actor=actor.name, reason=reason, now=now)
            note(unit, actor, "release.promoting", f"release/{release_id}", now=now, reason=reason, before=before, after="promoting")
        everybody = Step(weight_pct=100, hold_s=0, flag_pct=100 if toggles(release) else None)
        generation = _put_traffic(unit, release, everybody, context, actor=actor)
    await_confirmed(context, release, generation=generation)
    return release


def settle_promotion(context: Context, release_id: str, *, actor: Actor) -> Release:
    """The validated candidate becomes the baseline; the old fleet is kept warm for the plan's time, then stopped.

    Raises: LeaseLostError, IllegalTransitionError.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        release = held(unit, release_id, actor)
        if release.phase is Phase.PROMOTED:
            return release
        if toggles(release):
            return settle_toggle(unit, release, actor=actor, now=now)
        generation = unit.traffic.promote(release.service, release.environment, fence=release.fence, version=release.version)
        release = unit.releases.move(release_id, Phase.PROMOTED, actor=actor.name, reason="validated", now=now)
        if release.baseline_version:
            _retire(unit, release, release.baseline_version, context)
        complete_candidate(unit, release, context, actor=actor)
        because = f"{release.version} was promoted"
        lift_bars(unit, release.service, release.environment, None, actor, because=because, now=now)
        unit.deployments.record(release, unit.catalog.venture_id(release.venture), summary=release_summary(unit, release))
        unit.audit.add(
            "release.promoted", f"release/{release_id}", actor=actor.name, origin=actor.origin, now=now,
            detail={"version": release.version, "previous": release.baseline_version, "generation": generation},
            before={"baseline": release.baseline_version}, after={"baseline": release.version},
        )  # fmt: skip
    context.doorbell.ring()
    return release


def _retire(unit: Unit, release: Release, version: str, context: Context) -> None:
    now, warm_s = context.clock.now(), float(release.plan.get("keep_warm_s", 0.0))
    if warm_s <= 0:
        unit.fleets.want(release.service, release.environment, version, 0, now=now)
        return
    instances = unit.catalog.service(release.service).spec.run.instances
    unit.fleets.want(release.service, release.environment, version, instances, now=now, keep_until=now + timedelta(seconds=warm_s))
