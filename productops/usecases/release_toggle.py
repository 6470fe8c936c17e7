"""What a feature-toggle release does to its flag: ramps it under the release's lease, takes it back, or leaves it with everybody.

The flag's own revisions say what it was before the release and what the release did last, so that nothing is undone that a person
has changed since, and a run that takes over needs no memory of the one before it.
"""

from __future__ import annotations

from datetime import datetime

from productops.domain.catalog import Service
from productops.domain.catalog_flags import Ramp
from productops.domain.catalog_flags import Segment as FlagSegment
from productops.domain.release import Environment, Phase, Release, Step, Strategy
from productops.domain.release_flags.changes import RampTo, TakeBack
from productops.domain.release_flags.flag import Flag, default_variant
from productops.domain.strategies.feature_toggle import MARK, FlagTarget, flag_target
from productops.domain.strategies.plan import FlagScene
from productops.domain.traffic import InstanceState
from productops.domain.versions import check_version
from productops.errors import (
    AlreadyLiveError,
    ConflictError,
    FlagKilledError,
    InvalidInputError,
    LeaseLostError,
    NotFoundError,
    ReleaseInFlightError,
)
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_audit_note import lift_bars, note
from productops.usecases.release_flags_change import written
from productops.usecases.release_holder import held
from productops.usecases.release_summary import release_summary


def check_wished(version: str) -> str:
    """A version, or a flag's variant as ``<flag>@<variant>``, unchanged. Raises: InvalidInputError."""
    return flag_target(version).title if MARK in version else check_version(version)


def toggles(release: Release) -> bool:
    """Whether the release ramps a flag and leaves the versions alone."""
    return release.strategy is Strategy.FEATURE_TOGGLE


def wishes_flag(service: Service, strategy: Strategy | None, version: str) -> bool:
    """Whether a wish is for a flag. Raises: InvalidInputError when its strategy and what it names do not fit."""
    chosen = strategy or service.spec.rollout.strategy
    if chosen is Strategy.FEATURE_TOGGLE:
        flag_target(version)
        return True
    if MARK in version:
        raise InvalidInputError(f"{version} names a flag, which the strategy {chosen} cannot release; ask for feature-toggle")
    return False


def flag_scene(unit: Unit, service: Service, version: str, environment: Environment) -> FlagScene:
    """The flag as a release finds it.

    Raises: NotFoundError, FlagKilledError, AlreadyLiveError when everybody has the variant, InvalidInputError, ReleaseInFlightError,
        ConflictError when another variant of it is being ramped.
    """
    target = flag_target(version)
    flag = unit.flags.locked(target.flag)
    _check_free(unit, target, environment)
    if flag.venture != service.venture:
        raise InvalidInputError(f"flag {flag.key!r} belongs to venture {flag.venture}, not {service.venture}, which owns {service.name}")
    if flag.spec.approval_required:
        raise InvalidInputError(f"flag {flag.key!r} wants every change approved, so no release can ramp it; unset approval_required")
    return _scene(flag, target, environment)


def _check_free(unit: Unit, target: FlagTarget, environment: Environment) -> None:
    """Several services may evaluate one flag, but only one release moves it. Raises: ReleaseInFlightError."""
    for other in unit.releases.all_active():
        if toggles(other) and other.environment is environment and flag_target(other.version).flag == target.flag:
            raise ReleaseInFlightError(
                f"release {other.id} ({other.title}) is {other.phase} and moves flag {target.flag!r}; wait for it or roll it back first",
                release_id=other.id,
            )


def _scene(flag: Flag, target: FlagTarget, environment: Environment) -> FlagScene:
    if flag.state.archived or environment not in flag.spec.environments:
        raise NotFoundError(f"there is no flag {flag.key!r} in {environment}")
    if target.variant not in flag.spec.variants:
        raise InvalidInputError(f"flag {flag.key!r} has no variant {target.variant!r}; it has {', '.join(flag.spec.variants)}")
    live, default = flag.state.live_in(environment), default_variant(flag.spec, environment)
    if live.killed:
        raise FlagKilledError(f"flag {flag.key!r} is killed in {environment}, so nobody would get anything of it; revive it first")
    percent = _percent(live.ramp, target, flag.key, environment)
    if target.variant == default or percent >= 100:
        raise AlreadyLiveError(f"{target.title} is what everybody in {environment} has already")
    return FlagScene(flag.key, target.variant, default, percent)


def _percent(ramp: Ramp | None, target: FlagTarget, key: str, environment: Environment) -> float:
    if ramp is None or ramp.variant == target.variant:
        return ramp.percent if ramp else 0.0
    if ramp.percent > 0 or ramp.segments:
        raise ConflictError(f"flag {key!r} is being ramped to {ramp.variant!r} in {environment}; finish that, or ramp it to 0 % first")
    return 0.0


def begin_toggle(unit: Unit, release: Release) -> None:
    """Make sure, before anything moves, that the flag can still be ramped. Raises: as ``flag_scene``."""
    target = flag_target(release.version)
    _scene(unit.flags.get(target.flag), target, release.environment)


def shift_flag(unit: Unit, release: Release, step: Step, *, ttl_s: float, actor: Actor, now: datetime) -> int:
    """A step's users get the variant, under a lease as traffic is; returns the generation the agent confirms.

    Users who have it keep it: neither the share nor the segments ever shrink. The router is told nothing of it but the generation: its
    confirmation says that an agent lives which would take the flag back. Raises: LeaseLostError, FlagKilledError, ConflictError when
    somebody else changed the ramp since the release did.
    """
    target = flag_target(release.version)
    generation = unit.traffic.shift(
        release.service, release.environment, fence=release.fence, candidate_version=None, candidate_pct=0, header_only=False,
        holder=f"release {release.id}", ttl_s=ttl_s, now=now,
    )  # fmt: skip
    flag = unit.flags.locked(target.flag)
    ramp = flag.state.live_in(release.environment).ramp
    if _is_changed(unit, release, target, ramp):
        raise ConflictError(f"somebody changed how far flag {flag.key!r} is ramped in {release.environment} while this release did")
    kept = ramp if ramp is not None and ramp.variant == target.variant else None
    percent = max(step.flag_pct or 0.0, kept.percent if kept else 0.0)
    known = kept.segments if kept else ()
    wanted = tuple(FlagSegment(attribute=s.name, values=s.values) for s in step.segments)
    segments = (*known, *(s for s in wanted if s not in known))
    operation = RampTo(environment=release.environment, percent=percent, variant=target.variant, segments=segments)
    written(unit, flag, operation, actor=actor, reason=f"release {release.id}: {step.title}", release_id=release.id, now=now)
    return generation


def _is_changed(unit: Unit, release: Release, target: FlagTarget, ramp: Ramp | None) -> bool:
    """Whether somebody else had the last word on the flag's ramp."""
    done = unit.flags.of_release(target.flag, release.id)
    return bool(done) and done[-1].after.live_in(release.environment).ramp != ramp


def take_flag_back(unit: Unit, release: Release, *, actor: Actor, reason: str, now: datetime) -> None:
    """The flag's ramp as it was before the release, killed or not; a second call changes nothing.

    Where a person has changed the ramp since, that stays, and the release's story says so.
    """
    target = flag_target(release.version)
    done = unit.flags.of_release(target.flag, release.id)
    if not done:
        return
    flag = unit.flags.locked(target.flag)
    ramp = flag.state.live_in(release.environment).ramp
    if _is_changed(unit, release, target, ramp):
        left = {"flag": flag.key, "percent": ramp.percent if ramp else 0.0, "revision": flag.revision}
        unit.releases.tell(release.id, "flag_left", left, now=now)
        return
    first = done[0].before
    before = first.live_in(release.environment).ramp if first is not None else None
    operation = TakeBack(environment=release.environment, ramp=before)
    after = written(unit, flag, operation, actor=actor, reason=reason, release_id=release.id, now=now)
    payload = {"flag": flag.key, "percent": before.percent if before else 0.0, "revision": after.revision}
    unit.releases.tell(release.id, "flag_taken_back", payload, now=now)


def settle_toggle(unit: Unit, release: Release, *, actor: Actor, now: datetime) -> Release:
    """The flag stays with everybody; the lease ends. Raises: LeaseLostError when somebody else has ended the release."""
    generation = unit.traffic.give_back(release.service, release.environment, release_id=release.id)
    if generation is None:
        raise LeaseLostError(f"release {release.id} no longer has the lease on {release.service}")
    moved = unit.releases.move(release.id, Phase.PROMOTED, actor=actor.name, reason="validated", now=now)
    because = f"{release.version} was promoted"
    lift_bars(unit, release.service, release.environment, release.version, actor, because=because, now=now)
    unit.deployments.record(moved, unit.catalog.venture_id(release.venture), summary=release_summary(unit, moved))
    unit.audit.add(
        "release.promoted", f"release/{release.id}", actor=actor.name, origin=actor.origin, now=now,
        detail={"version": release.version, "previous": release.baseline_version, "generation": generation},
        before=release.phase.value, after=moved.phase.value,
    )  # fmt: skip
    return moved


def deploy_toggle(context: Context, release_id: str, *, actor: Actor) -> Release:
    """Nothing is started: the version that users have evaluates the flag. Takes the service's one rollout at a time.

    Raises: as ``flag_scene`` (nothing is written then), ConflictError when another release has the traffic.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        release = held(unit, release_id, actor)
        if release.phase is Phase.REQUESTED:
            begin_toggle(unit, release)
            reason = f"{release.version} needs no instances of its own"
            release = unit.releases.move(release_id, Phase.DEPLOYING, actor=actor.name, reason=reason, now=now)
            note(
                unit, actor, "release.deploying", f"release/{release_id}", now=now, reason=reason, before=Phase.REQUESTED.value,
                after=Phase.DEPLOYING.value,
            )  # fmt: skip
        if release.phase is Phase.DEPLOYING:
            fence = unit.traffic.take(release.service, release.environment, release_id)
            unit.releases.note(release_id, fence=fence, heartbeat_at=now)
            unit.deployments.record(release, unit.catalog.venture_id(release.venture))
        return unit.releases.get(release_id)


def serving_version(unit: Unit, release: Release) -> str:
    """The version whose instances answer the candidate's users: with a flag, the one that all users have."""
    if not toggles(release):
        return release.version
    return unit.traffic.get(release.service, release.environment).baseline_version or ""


def undo_toggle(unit: Unit, release: Release, *, actor: Actor, reason: str, now: datetime) -> None:
    """Take a promoted flag back. Raises: ConflictError when a release is in flight, or the flag was changed since."""
    target = flag_target(release.version)
    if unit.traffic.get(release.service, release.environment).release_id is not None:
        raise ConflictError(f"a release of {release.service} is in flight in {release.environment}; roll that back first")
    flag = unit.flags.locked(target.flag)
    if _is_changed(unit, release, target, flag.state.live_in(release.environment).ramp):
        raise ConflictError(f"flag {flag.key!r} was changed since {release.version} was promoted; kill it, or ramp it by hand")
    take_flag_back(unit, release, actor=actor, reason=reason, now=now)


def healthy(unit: Unit, release: Release) -> int:
    """Healthy instances that answer the candidate's users."""
    instances = unit.fleets.instances_of(release.service, release.environment, serving_version(unit, release))
    return sum(i.state is InstanceState.HEALTHY for i in instances)
