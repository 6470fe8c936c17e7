"""Steps that give users something else: roll back, disable a flag, fail over."""

from __future__ import annotations

from productops.domain.release import Cause, Phase, Release
from productops.domain.traffic import InstanceState
from productops.errors import ConflictError
from productops.store import Unit
from productops.usecases.context import Context
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_respond_doing import RESPONDER, Doing, StepTurn, done, nothing_to_do, waiting
from productops.usecases.release_flags_change import kill_flag
from productops.usecases.release_rollback import roll_back as give_back

_UNDER_WAY = frozenset({Phase.ROLLING_BACK, Phase.PROMOTED})


def roll_back(context: Context, doing: Doing) -> StepTurn:
    """The version before, by the machinery of releases; asking again for what is under way changes nothing.

    Raises: NotFoundError, ConflictError, StoreUnavailableError.
    """
    release_id = str(doing.remedy.get("release_id") or "")
    with context.store.read() as unit:
        release = unit.releases.get(release_id)
    # Also after a crash between the two writes: the release itself says who asked for it.
    ours = release.reason == doing.reason
    if _is_over(release):
        said = f"{release.title} is {release.phase.value.replace('_', ' ')}; users have {release.baseline_version}"
        return done(said, doing.memory) if ours else nothing_to_do(said, doing.memory)
    if release.phase is Phase.ROLLING_BACK:
        return waiting("the router has not confirmed yet", doing.memory)
    give_back(context, release_id, reason=doing.reason, actor=RESPONDER, cause=Cause.INCIDENT)
    return waiting(f"{release.baseline_version} is being given back", dict(doing.memory) | {"from": release.version})


def _is_over(release: Release) -> bool:
    return release.ended and release.phase not in _UNDER_WAY


def disable_flag(context: Context, doing: Doing) -> StepTurn:
    """The off variant for everybody there. Raises: NotFoundError, StoreUnavailableError."""
    key = str(doing.step.spec.get("flag") or doing.remedy.get("flag") or "")
    place = doing.response.environment
    with context.store.read() as unit:
        killed = unit.flags.get(key).state.live_in(place).killed
    if killed:
        said = f"flag {key} is off in {place}"
        return done(said, doing.memory) if doing.memory.get("asked") else nothing_to_do(f"{said} already", doing.memory)
    if not doing.memory.get("asked"):
        return waiting(f"switching {key} off", {"asked": True, "flag": key})
    kill_flag(context, key, environments=(place,), actor=RESPONDER, reason=doing.reason)
    return waiting(f"switching {key} off", doing.memory)


def fail_over(context: Context, doing: Doing) -> StepTurn:
    """Another version's instances, then all traffic to them. Raises: ConflictError, NotFoundError, StoreUnavailableError."""
    memory = dict(doing.memory)
    service, place = doing.response.service, doing.response.environment
    with context.store.write() as unit:
        target = unit.traffic.get(service, place)
        if target.release_id is not None:
            raise ConflictError(f"a rollout of {service} is under way; fail-over would cross it")
        if not memory.get("to"):
            memory |= {"from": target.baseline_version, "to": _other(unit, doing)}
            if memory["from"] == memory["to"]:
                return nothing_to_do(f"users of {service} have {memory['to']} already", memory)
            return waiting(f"from {memory['from']} to {memory['to']}", memory)  # written down before anything is done
        to = str(memory["to"])
        if target.baseline_version == to:
            return (
                done(f"users of {service} have {to}", memory) if target.confirmed else waiting("the router has not confirmed yet", memory)
            )
        wanted = unit.catalog.service(service).spec.run.instances
        fleet = unit.fleets.find(service, place, to)
        if fleet is None or fleet.desired < wanted or fleet.keep_until is not None:
            unit.fleets.want(service, place, to, wanted, now=doing.now)
            note(
                unit, RESPONDER, "fleet.wanted", f"fleet/{service}/{place}/{to}", now=doing.now, reason=doing.reason,
                before={"desired": fleet.desired if fleet else 0}, after={"desired": wanted},
            )  # fmt: skip
        elif fleet.failure:
            raise ConflictError(f"{to} cannot run: {fleet.failure}")
        healthy = sum(each.state is InstanceState.HEALTHY for each in unit.fleets.instances_of(service, place, to))
        if healthy >= wanted:
            generation = unit.traffic.restore(service, place, expected=str(memory["from"]), version=to)
            note(
                unit, RESPONDER, "traffic.failed_over", f"traffic/{service}/{place}", now=doing.now, reason=doing.reason,
                before={"baseline": memory["from"]}, after={"baseline": to}, detail={"generation": generation},
            )  # fmt: skip
    context.doorbell.ring()
    return waiting(f"{healthy} of {wanted} instances of {to} answer", memory)


def _other(unit: Unit, doing: Doing) -> str:
    """The version to go to. Raises: ConflictError when none is known."""
    named = str(doing.step.spec.get("version") or "previous")
    if named != "previous":
        return named
    earlier = [each for each in doing.response.steps if each.do == "fail-over" and each.role == "step" and each.memory.get("from")]
    if doing.step.role == "undo" and earlier:
        return str(earlier[-1].memory["from"])
    promoted = unit.releases.last_promoted(doing.response.service, doing.response.environment)
    if promoted is None or promoted.baseline_version is None:
        raise ConflictError(f"{doing.response.service} has no earlier version to fail over to")
    return promoted.baseline_version
