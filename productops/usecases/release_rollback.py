"""Give users the baseline: begun by a verdict, a lapsed lease, a person or an error; finished when the router confirms."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from productops.domain.analysis import Verdict
from productops.domain.release import EXPOSED, Cause, Environment, Phase, Release
from productops.domain.traffic import InstanceState
from productops.errors import ConflictError, NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_audit_note import note
from productops.usecases.release_holder import held
from productops.usecases.release_summary import arm_summaries, release_summary
from productops.usecases.release_toggle import take_flag_back, toggles, undo_toggle
from productops.usecases.release_windows import is_planned, withdraw_planned

CONFIRM_WITHIN = timedelta(seconds=30)
# These say that the version is bad; a lost lease or a cancelled run only say that nobody watched it to the end.
_BLAMES_VERSION = frozenset({Cause.VERDICT, Cause.VALIDATION, Cause.PERSON, Cause.INCIDENT, Cause.UNHEALTHY})


def give_baseline_back(
    context: Context, release_id: str, *, cause: Cause, reason: str, actor: Actor, evidence: dict[str, Any] | None = None
) -> Release:
    """Take the candidate out of the traffic; safe to call by anybody, any number of times.

    A release that no user saw ends as failed at once; one that users saw becomes rolling_back until the router confirms.
    An ended release is returned as it is. Raises: NotFoundError, TakenOverError, StoreUnavailableError.
    """
    with context.store.write() as unit:
        release = held(unit, release_id, actor)
        if release.ended or release.phase is Phase.ROLLING_BACK:
            return release
        candidate_pct = unit.traffic.get(release.service, release.environment).candidate_pct
        release = _leave(unit, release, cause=cause, reason=reason, actor=actor, evidence=evidence or {}, context=context)
        if cause is Cause.LEASE_LAPSED and release.phase is Phase.ROLLING_BACK:
            _open_incident(unit, release, candidate_pct=candidate_pct, reason=reason, actor=actor, now=context.clock.now())
    context.doorbell.ring()
    return release


def _leave(unit: Unit, release: Release, *, cause: Cause, reason: str, actor: Actor, evidence: dict[str, Any], context: Context) -> Release:
    now = context.clock.now()
    target = Phase.ROLLING_BACK if release.phase in EXPOSED else Phase.FAILED
    moved = unit.releases.move(release.id, target, actor=actor.name, reason=reason, now=now, cause=cause, evidence=evidence)
    _close_step(unit, release, cause=cause, reason=reason, context=context)
    generation = unit.traffic.give_back(release.service, release.environment, release_id=release.id)
    if toggles(release):
        take_flag_back(unit, release, actor=actor, reason=reason, now=now)
    else:
        unit.fleets.want(release.service, release.environment, release.version, 0, now=now)
        _bring_baseline_back(unit, release, now=now)
    _quarantine(unit, moved, cause=cause, reason=reason, actor=actor, context=context)
    unit.deployments.record(moved, unit.catalog.venture_id(release.venture), summary=release_summary(unit, moved))
    detail = {"cause": cause.value, "generation": generation, "version": release.version, "baseline": release.baseline_version}
    unit.audit.add(
        f"release.{target.value}", f"release/{release.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason, detail=detail,
        before=release.phase.value, after=target.value,
    )  # fmt: skip
    return moved


def _bring_baseline_back(unit: Unit, release: Release, *, now: datetime) -> None:
    """All instances of the baseline again, where a rollout had begun to replace them."""
    version = release.baseline_version
    if version is None or not any(step.batch for step in release.steps):
        return
    fleet = unit.fleets.find(release.service, release.environment, version)
    instances = unit.catalog.service(release.service).spec.run.instances
    if fleet is None or fleet.desired < instances:
        unit.fleets.want(release.service, release.environment, version, instances, now=now)


def _open_incident(unit: Unit, release: Release, *, candidate_pct: int, reason: str, actor: Actor, now: datetime) -> None:
    """A lapsed lease is one whoever notices it first, the agent or the flow itself."""
    if toggles(release):
        candidate_pct = release.steps[release.step_index].weight_pct if release.step_index >= 0 else 0
    incident = unit.incidents.open(
        venture_id=unit.catalog.venture_id(release.venture), kind="deployment", severity="SEV3", title=f"Lease lapsed: {release.title}",
        description=f"The process that carried out release {release.id} stopped renewing its lease at {candidate_pct} % of the traffic. "
        f"Users were given {release.baseline_version} again.",
        services=[release.service], detection="lease", impact={"release_id": release.id, "candidate_pct": candidate_pct}, now=now,
    )  # fmt: skip
    unit.releases.tell(release.id, "incident", {"incident_id": incident, "reason": reason}, now=now)
    detail = {"release_id": release.id, "severity": "SEV3", "candidate_pct": candidate_pct}
    note(unit, actor, "incident.opened", f"incident/{incident}", now=now, reason=reason, after="open", detail=detail)


def _close_step(unit: Unit, release: Release, *, cause: Cause, reason: str, context: Context) -> None:
    """A step that was cut short has its counts, too; one that was judged to its end keeps its verdict."""
    now = context.clock.now()
    record = next((s for s in unit.releases.steps(release.id) if s.index == release.step_index and s.ended_at is None), None)
    if record is not None:
        arms = arm_summaries(unit, release, start=record.started_at, end=now)
        summary = {name: arm.to_dict() for name, arm in arms.items()}
        why = f"cut short ({cause.value.replace('_', ' ')}): {reason}"
        unit.releases.end_step(release.id, record.index, verdict=Verdict.INCONCLUSIVE.value, reason=why, summary=summary, now=now)


def _quarantine(unit: Unit, release: Release, *, cause: Cause, reason: str, actor: Actor, context: Context) -> None:
    if cause in _BLAMES_VERSION and release.plan.get("quarantine", True):
        now = context.clock.now()
        unit.quarantine.add(release.service, release.environment, release.version, release_id=release.id, reason=reason, now=now)
        detail = {"version": release.version, "release_id": release.id}
        note(
            unit, actor, "quarantine.added", f"quarantine/{release.service}/{release.environment}", now=now, reason=reason, detail=detail
        )  # fmt: skip


def lapse_lease(context: Context, service: str, environment: Environment, *, beat: int, actor: Actor) -> bool:
    """Write down that a lease lapsed: baseline, release, incident, audit, in one transaction.

    False when the lease was renewed or ended meanwhile. Raises: StoreUnavailableError.
    """
    with context.store.write() as unit:
        target = unit.traffic.find(service, environment)
        if target is None or target.lease is None or not unit.traffic.lapse(service, environment, beat=beat):
            return False
        now = context.clock.now()
        reason = f"nobody renewed the lease of {target.lease.holder} for {target.lease.ttl_s:g} s"
        before = {"candidate": target.candidate_version, "candidate_pct": target.candidate_pct, "holder": target.lease.holder}
        subject = f"traffic/{service}/{environment}"
        note(unit, actor, "lease.lapsed", subject, now=now, reason=reason, before=before, after={"candidate_pct": 0})
        if target.release_id is None:
            return True
        release = unit.releases.get(target.release_id)
        if not release.ended and release.phase is not Phase.ROLLING_BACK:
            release = _leave(unit, release, cause=Cause.LEASE_LAPSED, reason=reason, actor=actor, evidence={"beat": beat}, context=context)
        _open_incident(unit, release, candidate_pct=target.candidate_pct, reason=reason, actor=actor, now=now)
    return True


def finish_rollbacks(context: Context, *, actor: Actor) -> list[str]:
    """End every release in rolling_back whose baseline the router confirmed; returns their ids."""
    with context.store.read() as unit:
        waiting = [r for r in unit.releases.all_active() if r.phase is Phase.ROLLING_BACK]
    return [release.id for release in waiting if _finish(context, release.id, actor=actor)]


def _finish(context: Context, release_id: str, *, actor: Actor) -> bool:
    with context.store.write() as unit:
        release = unit.releases.get(release_id)
        target = unit.traffic.get(release.service, release.environment)
        if release.phase is not Phase.ROLLING_BACK or not target.confirmed:
            return False
        now = context.clock.now()
        confirmed_at = (target.applied_at or now).isoformat()
        evidence = {"generation": target.generation, "baseline_confirmed_at": confirmed_at}
        ended = unit.releases.move(
            release_id, Phase.ROLLED_BACK, actor=actor.name, reason=release.reason, now=now, cause=release.cause, evidence=evidence
        )
        unit.deployments.record(ended, unit.catalog.venture_id(ended.venture), summary=release_summary(unit, ended))
        unit.audit.add(
            "release.rolled_back", f"release/{release_id}", actor=actor.name, origin=actor.origin, now=now, detail=evidence,
            before=release.phase.value, after=ended.phase.value,
        )  # fmt: skip
    return True


def roll_back(context: Context, release_id: str, *, reason: str, actor: Actor, cause: Cause = Cause.PERSON) -> Release:
    """A person's word, or an incident's. In flight or promoted with a warm old fleet: at once. Cold: when the fleet is up again.

    Raises: ConflictError when the release ended otherwise or is no longer what users have, NotFoundError, StoreUnavailableError.
    """
    with context.store.read() as unit:
        release = unit.releases.get(release_id)
    if not release.ended:
        # A release that only waits for its time says nothing about its version.
        cause = Cause.CANCELLED if is_planned(release) else cause
        return give_baseline_back(context, release_id, cause=cause, reason=reason, actor=actor)
    if release.phase is not Phase.PROMOTED:
        raise ConflictError(f"release {release_id} is {release.phase}: there is nothing to roll back")
    return _restore_or_prepare(context, release, cause=cause, reason=reason, actor=actor)


def _restore_or_prepare(context: Context, release: Release, *, cause: Cause, reason: str, actor: Actor) -> Release:
    if toggles(release):
        return _restore_flag(context, release, cause=cause, reason=reason, actor=actor)
    if release.baseline_version is None:
        raise ConflictError(f"release {release.id} was the first of {release.service}: there is no earlier version to give back")
    previous, now = release.baseline_version, context.clock.now()
    with context.store.write() as unit:
        target = unit.traffic.get(release.service, release.environment)
        if target.baseline_version != release.version or target.release_id is not None:
            raise ConflictError(f"{release.version} is not what users of {release.service} have undisturbed; roll back the newest release")
        withdraw_planned(unit, release.service, release.environment, reason=f"{release.version} is rolled back", actor=actor, now=now)
        healthy = [i for i in unit.fleets.instances_of(release.service, release.environment, previous) if i.state is InstanceState.HEALTHY]
        _ask_for_fleet(unit, release, previous, cause=cause, reason=reason, actor=actor, now=now)
        if healthy:
            cause = _asked_cause(unit, release, cause)
            release = _restore(unit, release, previous, cause=cause, reason=reason, actor=actor, context=context)
    context.doorbell.ring()
    return release


def _restore_flag(context: Context, release: Release, *, cause: Cause, reason: str, actor: Actor) -> Release:
    """At once: no instance has to be started. The agent ends the release as it does others."""
    with context.store.write() as unit:
        now = context.clock.now()
        withdraw_planned(unit, release.service, release.environment, reason=f"{release.version} is rolled back", actor=actor, now=now)
        moved = unit.releases.move(release.id, Phase.ROLLING_BACK, actor=actor.name, reason=reason, now=now, cause=cause)
        undo_toggle(unit, release, actor=actor, reason=reason, now=now)
        _quarantine(unit, moved, cause=cause, reason=reason, actor=actor, context=context)
        unit.audit.add(
            "release.rolling_back", f"release/{release.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            detail={"cause": cause.value, "version": release.version, "baseline": release.baseline_version},
            before=release.phase.value, after=moved.phase.value,
        )  # fmt: skip
    context.doorbell.ring()
    return moved


def _ask_for_fleet(unit: Unit, release: Release, version: str, *, cause: Cause, reason: str, actor: Actor, now: datetime) -> None:
    """Want the earlier version's instances, once, without an end to their keeping. Raises: ConflictError when they cannot run."""
    wanted = unit.catalog.service(release.service).spec.run.instances
    fleet = unit.fleets.find(release.service, release.environment, version)
    if fleet is not None and fleet.desired >= wanted and fleet.failure:
        raise ConflictError(f"{version} cannot be brought back: {fleet.failure}; users keep {release.version}")
    if fleet is not None and fleet.desired >= wanted and fleet.keep_until is None:
        return
    unit.fleets.want(release.service, release.environment, version, wanted, now=now)
    payload = {"version": version, "reason": reason, "by": actor.name, "cause": cause.value}
    unit.releases.tell(release.id, "rollback_prepared", payload, now=now)
    note(
        unit, actor, "fleet.wanted", f"fleet/{release.service}/{release.environment}/{version}", now=now, reason=reason,
        before={"desired": fleet.desired if fleet else 0}, after={"desired": wanted}, detail={"release_id": release.id},
    )  # fmt: skip


def _asked_cause(unit: Unit, release: Release, cause: Cause) -> Cause:
    """Why the roll back was asked for first: the flow that finishes a cold one does not know."""
    prepared = unit.releases.events(release.id, after=0, kind="rollback_prepared")
    return Cause(prepared[-1].payload.get("cause", cause.value)) if prepared else cause


def _restore(unit: Unit, release: Release, previous: str, *, cause: Cause, reason: str, actor: Actor, context: Context) -> Release:
    now = context.clock.now()
    moved = unit.releases.move(release.id, Phase.ROLLING_BACK, actor=actor.name, reason=reason, now=now, cause=cause)
    generation = unit.traffic.restore(release.service, release.environment, expected=release.version, version=previous)
    unit.fleets.want(release.service, release.environment, release.version, 0, now=now)
    _quarantine(unit, moved, cause=cause, reason=reason, actor=actor, context=context)
    unit.audit.add(
        "release.rolling_back", f"release/{release.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
        detail={"cause": cause.value, "generation": generation, "version": release.version, "baseline": previous},
        before={"phase": release.phase.value, "baseline": release.version}, after={"phase": moved.phase.value, "baseline": previous},
    )  # fmt: skip
    return moved


def await_rolled_back(context: Context, release_id: str, *, timeout: timedelta) -> Release:
    """Wait until a roll back is confirmed by the router. Raises: ConflictError when it is not in time."""
    deadline = context.clock.monotonic() + timeout.total_seconds()
    while True:
        with context.store.read() as unit:
            release = unit.releases.get(release_id)
        if release.ended:
            return release
        if context.clock.monotonic() > deadline:
            raise ConflictError(f"release {release_id} is still {release.phase}: the router has not confirmed the baseline yet")
        context.clock.sleep(0.05)


def find_to_roll_back(context: Context, release_id: str | None, service: str, environment: Environment) -> Release:
    """The named release; without an id the one in flight, else the promotion users have. Raises: NotFoundError."""
    with context.store.read() as unit:
        if release_id:
            return unit.releases.get(release_id)
        unit.catalog.service(service)
        active, promoted = unit.releases.active(service, environment), unit.releases.last_promoted(service, environment)
        found = promoted if promoted and active and is_planned(active) else active or promoted
    if found is None:
        raise NotFoundError(f"{service} has no release in {environment} that could be rolled back")
    return found


def complete_roll_back(context: Context, release_id: str, *, reason: str, actor: Actor) -> Release:
    """Bring a roll back to its end: wait for a cold fleet, restore it, wait for the router.

    Raises: ConflictError when the earlier version never became healthy, or the router does not confirm within 30 s.
    """
    with context.store.read() as unit:
        release = unit.releases.get(release_id)
        timeout_s = unit.catalog.service(release.service).spec.run.health.timeout_s
    deadline = context.clock.monotonic() + timeout_s
    while release.phase is Phase.PROMOTED:
        release = roll_back(context, release_id, reason=reason, actor=actor)
        if release.phase is Phase.PROMOTED:
            if context.clock.monotonic() > deadline:
                raise ConflictError(
                    f"{release.baseline_version} did not become healthy within {timeout_s:g} s; users keep {release.version}"
                )
            context.clock.sleep(0.2)
    return await_rolled_back(context, release_id, timeout=CONFIRM_WITHIN)
