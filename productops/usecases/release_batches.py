"""Replace instances batch by batch: the candidate's first, then traffic, then the baseline's, each confirmed before the next."""

from __future__ import annotations

from collections.abc import Callable

from productops.domain.release import ENDED, Cause, Phase, Release
from productops.domain.strategies.step import Batch
from productops.domain.traffic import Fleet, Instance, InstanceState
from productops.errors import CandidateUnhealthyError, LeaseLostError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_audit_note import note
from productops.usecases.release_rollback import give_baseline_back

PATIENCE_S = 60.0
"""Beyond the health check's own time: for the agent to drain and stop what is replaced."""
Beat = Callable[[], None]


def grow_candidate(context: Context, release: Release, batch: Batch, *, actor: Actor, beat: Beat) -> None:
    """Make room where the surge is spent, start the candidate's next instances, and wait until they are healthy.

    Raises: CandidateUnhealthyError (users have the baseline then), LeaseLostError when the release was ended meanwhile.
    """
    shrink_baseline(context, release, batch.baseline_before, actor=actor, beat=beat)
    with context.store.write() as unit:
        _want_at_least(unit, release, release.version, batch.candidate, context, actor=actor)
        health_s = unit.catalog.service(release.service).spec.run.health.timeout_s
    context.doorbell.ring()
    deadline = context.clock.monotonic() + health_s + PATIENCE_S
    while True:
        fleet, instances = _look(context, release, release.version)
        if sum(i.state is InstanceState.HEALTHY for i in instances) >= batch.candidate:
            return
        failure = fleet.failure if fleet else ""
        if failure or context.clock.monotonic() > deadline:
            reason = failure or f"no agent started {batch.candidate} instances of {release.version} in time"
            _give_up(context, release, reason, instances, actor=actor)
        beat()
        context.clock.sleep(0.05)


def shrink_baseline(context: Context, release: Release, left: int, *, actor: Actor, beat: Beat) -> None:
    """Drain and stop the baseline's instances until ``left`` run; returns when the others are gone.

    The agent stops an instance only when the router sends it nothing and no request is in flight there. Raises: LeaseLostError.
    """
    version = release.baseline_version
    if version is None:
        return
    with context.store.write() as unit:
        fleet = unit.fleets.find(release.service, release.environment, version)
        if fleet is not None and fleet.desired > left:
            unit.fleets.want(release.service, release.environment, version, left, now=context.clock.now())
            _say(unit, release, version, fleet.desired, left, actor=actor, context=context)
    context.doorbell.ring()
    deadline = context.clock.monotonic() + PATIENCE_S
    while len(_look(context, release, version)[1]) > left:
        if context.clock.monotonic() > deadline:
            raise LeaseLostError(f"instances of {release.service} {version} did not end within {PATIENCE_S:g} s; is the agent up?")
        beat()
        context.clock.sleep(0.05)


def complete_candidate(unit: Unit, release: Release, context: Context, *, actor: Actor) -> None:
    """Want all of the promoted candidate's instances, where the last batch left some out."""
    if any(step.batch for step in release.steps):
        _want_at_least(unit, release, release.version, unit.catalog.service(release.service).spec.run.instances, context, actor=actor)


def _want_at_least(unit: Unit, release: Release, version: str, instances: int, context: Context, *, actor: Actor) -> None:
    fleet = unit.fleets.find(release.service, release.environment, version)
    if fleet is None or fleet.desired < instances:
        unit.fleets.want(release.service, release.environment, version, instances, now=context.clock.now())
        _say(unit, release, version, fleet.desired if fleet else 0, instances, actor=actor, context=context)


def _say(unit: Unit, release: Release, version: str, before: int, after: int, *, actor: Actor, context: Context) -> None:
    note(
        unit, actor, "fleet.wanted", f"fleet/{release.service}/{release.environment}/{version}", now=context.clock.now(),
        before={"desired": before}, after={"desired": after}, detail={"release_id": release.id},
    )  # fmt: skip


def _look(context: Context, release: Release, version: str) -> tuple[Fleet | None, list[Instance]]:
    """A version's fleet and the instances that have not stopped. Raises: LeaseLostError when the release goes no further."""
    with context.store.read() as unit:
        now = unit.releases.get(release.id)
        if now.phase in ENDED or now.phase is Phase.ROLLING_BACK:
            raise LeaseLostError(f"release {release.id} became {now.phase} while instances were replaced")
        fleet = unit.fleets.find(release.service, release.environment, version)
        return fleet, unit.fleets.instances_of(release.service, release.environment, version)


def _give_up(context: Context, release: Release, reason: str, instances: list[Instance], *, actor: Actor) -> None:
    output = next((i.last_output for i in instances if i.last_output), "")
    evidence = {"last_output": output[-4000:]}
    give_baseline_back(context, release.id, cause=Cause.UNHEALTHY, reason=reason, actor=actor, evidence=evidence)
    raise CandidateUnhealthyError(reason, last_output=output)
