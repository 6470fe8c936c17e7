"""Steps on the instances of what users have: scale, restart one after the other, drain. The agent does it; this says what is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from productops.domain.traffic import Fleet, Instance, InstanceState
from productops.errors import ConflictError
from productops.store import Unit
from productops.usecases.context import Context
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_respond_doing import RESPONDER, Doing, StepTurn, done, failed, nothing_to_do, waiting

FAILURES_MAX = 3
"""A version that cannot be started so often is no substitute."""
_LIVING = frozenset({InstanceState.STARTING, InstanceState.HEALTHY, InstanceState.UNHEALTHY, InstanceState.CRASHED})


def scale(context: Context, doing: Doing) -> StepTurn:
    """So many more (or fewer) than there were when it began. Raises: ConflictError, StoreUnavailableError."""
    memory = dict(doing.memory)
    with context.store.write() as unit:
        fleet, members = _live_fleet(unit, doing)
        if "to" not in memory:
            wanted = min(int(doing.step.spec["instances_max"]), fleet.desired + int(doing.step.spec["add"]))
            if wanted < 1 or wanted == fleet.desired or (wanted < fleet.desired) != (int(doing.step.spec["add"]) < 0):
                return nothing_to_do(f"{fleet.desired} instances is as far as it may go", memory)
            # Written down before anything is done: whoever goes on with it means the same number.
            return waiting(f"from {fleet.desired} to {wanted} instances", memory | {"from": fleet.desired, "to": wanted})
        if not memory.get("asked"):
            _want(unit, doing, fleet, int(memory["to"]))
            memory |= {"asked": True}
        elif fleet.failure:
            return failed(f"{fleet.version}: {fleet.failure}", memory)
        healthy = _healthy(members)
    context.doorbell.ring()
    said = f"{healthy} of {memory['to']} instances of {fleet.version} answer"
    return done(said, memory) if healthy == memory["to"] == len(members) else waiting(said, memory)


def restart(context: Context, doing: Doing) -> StepTurn:
    """A new instance beside each one that is to go, then that one is drained. Raises: ConflictError, StoreUnavailableError."""
    memory = dict(doing.memory)
    with context.store.write() as unit:
        fleet, members = _live_fleet(unit, doing)
        if "queue" not in memory:
            ailing = _ailing(doing, members)
            return waiting(f"{len(ailing)} are to be replaced", memory | {"queue": ailing, "desired": fleet.desired, "replaced": 0})
        queue = list(memory["queue"])
        if not queue:
            if memory["replaced"]:
                return done(f"{memory['replaced']} instances of {fleet.version} were replaced", memory)
            return nothing_to_do(f"all instances of {fleet.version} answer", memory)
        if fleet.failure and int(memory.get("failures", 0)) >= FAILURES_MAX:
            _want(unit, doing, fleet, int(memory["desired"]))
            return failed(f"{fleet.version}: {fleet.failure}", memory)
        if fleet.failure:  # often the very instance that is to go: wanting it anew forgets that, and a substitute is started
            _want(unit, doing, fleet, fleet.desired)
            memory |= {"failures": int(memory.get("failures", 0)) + 1}
        memory = _replace(unit, doing, fleet, members, memory, queue)
    context.doorbell.ring()
    return waiting(f"replacing {queue[0]}", memory)


def _replace(unit: Unit, doing: Doing, fleet: Fleet, members: list[Instance], memory: dict[str, Any], queue: list[str]) -> dict[str, Any]:
    """One step further with the first of the queue: a substitute, then the end of the old one, then the next."""
    going = next((each for each in members if each.id == queue[0]), None)
    desired = int(memory["desired"])
    if going is None:
        if fleet.desired > desired:
            _want(unit, doing, fleet, desired)
        return memory | {"queue": queue[1:], "retired": False, "replaced": int(memory["replaced"]) + 1}
    if memory.get("retired"):
        return memory
    others = [each for each in members if each.id != going.id]
    if fleet.desired <= desired:
        _want(unit, doing, fleet, desired + 1)
    elif _healthy(others) >= desired:
        _retire(unit, doing, going)
        _want(unit, doing, fleet, desired)
        return memory | {"retired": True}
    return memory


def drain(context: Context, doing: Doing) -> StepTurn:
    """The named instance goes and is not replaced; never the last that answers. Raises: ConflictError, StoreUnavailableError."""
    memory, named = dict(doing.memory), str(doing.remedy.get("instance") or "")
    with context.store.write() as unit:
        fleet, members = _live_fleet(unit, doing)
        going = next((each for each in members if each.id == named), None)
        if going is None:
            return done(f"{named} is gone", memory) if "from" in memory else nothing_to_do(f"{named} is gone already", memory)
        if "from" not in memory:
            return waiting(f"{named} of {fleet.desired} is to go", memory | {"from": fleet.desired})
        if not memory.get("retired"):
            if _healthy([each for each in members if each.id != named]) < 1:
                raise ConflictError(f"{named} is the last instance of {fleet.version} that answers: it is not drained")
            memory |= {"retired": True}
            _retire(unit, doing, going)
            _want(unit, doing, fleet, int(memory["from"]) - 1)
    context.doorbell.ring()
    return waiting(f"{named} is being drained", memory)


def _live_fleet(unit: Unit, doing: Doing) -> tuple[Fleet, list[Instance]]:
    """What users have, and its instances. Raises: ConflictError when they have nothing."""
    service, place = doing.response.service, doing.response.environment
    target = unit.traffic.find(service, place)
    version = target.baseline_version if target else None
    fleet = unit.fleets.find(service, place, version) if version else None
    if fleet is None or version is None:
        raise ConflictError(f"users of {service} in {place} have no version whose instances we keep")
    return fleet, [each for each in unit.fleets.instances_of(service, place, version) if each.state is not InstanceState.STOPPED]


def _ailing(doing: Doing, members: list[Instance]) -> list[str]:
    living = [each for each in members if each.state in _LIVING]
    if doing.step.spec.get("which") == "all":
        return [each.id for each in living]
    named = str(doing.remedy.get("instance") or "")
    found = [each.id for each in living if each.id == named]
    return found or [each.id for each in living if each.state in {InstanceState.UNHEALTHY, InstanceState.CRASHED}]


def _healthy(members: list[Instance]) -> int:
    return sum(each.state is InstanceState.HEALTHY for each in members)


def _want(unit: Unit, doing: Doing, fleet: Fleet, desired: int) -> None:
    unit.fleets.want(fleet.service, fleet.environment, fleet.version, desired, now=doing.now, keep_until=fleet.keep_until)
    _note(unit, doing, "fleet.scaled", f"fleet/{fleet.service}/{fleet.environment}/{fleet.version}", fleet.desired, desired)


def _retire(unit: Unit, doing: Doing, instance: Instance) -> None:
    """The agent ends what ails first: with one too many, that is this one."""
    unit.fleets.set_instance(instance.id, now=doing.now, state=InstanceState.UNHEALTHY)
    subject = f"fleet/{instance.service}/{instance.environment}/{instance.version}"
    detail = {"instance": instance.id, "port": instance.port}
    note(
        unit, RESPONDER, "instance.retired", subject, now=doing.now, reason=doing.reason, before=instance.state.value,
        after=InstanceState.UNHEALTHY.value, detail=detail,
    )  # fmt: skip


def _note(unit: Unit, doing: Doing, action: str, subject: str, before: int, after: int) -> None:
    counts: tuple[Mapping[str, int], Mapping[str, int]] = ({"desired": before}, {"desired": after})
    note(unit, RESPONDER, action, subject, now=doing.now, reason=doing.reason, before=counts[0], after=counts[1])
