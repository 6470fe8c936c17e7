"""Drills: what is broken on purpose is written down first; what the product then did is scored from its own records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident import Incident, IncidentFilter
from productops.domain.incident_cause import Ledger
from productops.domain.incident_playbook import Drill, Response
from productops.domain.release import Environment
from productops.domain.traffic import Instance, InstanceState
from productops.errors import ConflictError
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, service_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_again import begun_at

LOOKS_MAX = 200
HUMAN_S = 900.0
"""Detection alone: so long a person takes to act on a page (the reference of the benchmark)."""


@dataclass(frozen=True, slots=True)
class DrillWish:
    """What is rehearsed where. ``fault`` empty: the playbook's. ``even_production``: somebody has said that users may be harmed."""

    playbook: str
    service: str
    environment: Environment
    fault: str = ""
    even_production: bool = False


@dataclass(frozen=True, slots=True)
class DrillPlace:
    """What a drill needs to know of where it takes place: the service, what it depends on, and the instances of both."""

    drill: Drill
    dependencies: tuple[str, ...]
    instances: tuple[Instance, ...]
    mend: tuple[Drill, ...] = field(default=())


def begin_drill(context: Context, wish: DrillWish, *, actor: Actor) -> DrillPlace:
    """Write a drill down; nothing is broken yet. ``mend`` are earlier ones that left something broken: they are to be undone first.

    Raises: NotFoundError, ForbiddenError, ConflictError for production without a word about it.
    """
    with context.store.write() as unit:
        service = service_for(unit, wish.service, actor, Operation.INCIDENT_DRILL, environment=wish.environment)
        if wish.environment is Environment.PRODUCTION and not wish.even_production:
            raise ConflictError("a drill in production harms users: say that you mean it (--production), or name another environment")
        playbook, now = unit.responses.playbook(wish.playbook), context.clock.now()
        fault = wish.fault or playbook.spec.drill
        if not fault:
            raise ConflictError(f"playbook {playbook.name} names no fault to drill it with: name one with --fault")
        drill = Drill(
            id=str(new_id()), playbook=playbook.name, fault=fault, venture=service.venture, service=service.name,
            environment=wish.environment, state="running", by=actor.name, begun_at=now, injected={},
        )  # fmt: skip
        left = tuple(each for each in unit.responses.unfinished_drills() if each.venture == service.venture and each.injected)
        unit.responses.add_drill(drill)
        after = {"playbook": drill.playbook, "fault": fault, "service": drill.service, "environment": drill.environment.value}
        note(unit, actor, "drill.begun", f"drill/{drill.id}", now=now, before=None, after=after)
        names = (service.name, *service.spec.depends_on)
        return DrillPlace(drill, service.spec.depends_on, _instances(unit, names, wish.environment), left)


def drill_instances(context: Context, drill_id: str, *, actor: Actor) -> tuple[Instance, ...]:
    """Living instances of what users have there, now. Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        drill = _for(unit, drill_id, actor, Operation.INCIDENT_DRILL)
        service = unit.catalog.service(drill.service)
        return _instances(unit, (service.name, *service.spec.depends_on), drill.environment)


def _instances(unit: Unit, services: tuple[str, ...], environment: Environment) -> tuple[Instance, ...]:
    """Of the version that users of each service have."""
    live = {each.service: each.baseline_version for each in unit.traffic.of_services(services) if each.environment is environment}
    found = unit.fleets.instances_of_services(services)
    here = [each for each in found if each.environment is environment and each.pid and each.state is not InstanceState.STOPPED]
    return tuple(each for each in here if each.version == live.get(each.service))


def plan_injection(context: Context, drill_id: str, injected: Mapping[str, Any], *, actor: Actor, done: bool) -> Drill:
    """Keep what will be broken (``done`` false) before it is, and once it is. Raises: NotFoundError, ForbiddenError, ConflictError."""
    with context.store.write() as unit:
        drill, now = _for(unit, drill_id, actor, Operation.INCIDENT_DRILL), context.clock.now()
        if drill.state != "running":
            raise ConflictError(f"drill {drill_id} is {drill.state}")
        kept = dict(drill.injected) | dict(injected)
        unit.responses.set_drill(drill_id, injected=kept, **({"injected_at": now} if done else {}))
        action = "drill.injected" if done else "drill.planned"
        note(unit, actor, action, f"drill/{drill_id}", now=now, before=dict(drill.injected), after=kept)
        return unit.responses.drill(drill_id)


def mended(context: Context, drill_id: str, *, actor: Actor, note_text: str = "") -> Drill:
    """All of it is whole again; a drill that was still running was cut short. Raises: NotFoundError, ForbiddenError."""
    with context.store.write() as unit:
        drill, now = _for(unit, drill_id, actor, Operation.INCIDENT_DRILL), context.clock.now()
        if drill.undone_at is None:
            values: dict[str, Any] = {"undone_at": now}
            if drill.state == "running" and note_text:
                values |= {"state": "aborted", "ended_at": now, "note": note_text[:2000]}
            unit.responses.set_drill(drill_id, **values)
            note(unit, actor, "drill.mended", f"drill/{drill_id}", now=now, reason=note_text, before="broken", after="whole")
        return unit.responses.drill(drill_id)


def score_drill(context: Context, drill_id: str, *, actor: Actor, last: bool) -> Drill:
    """What is known by now, from the records: seconds since it was broken. ``last``: it is over, passed or failed.

    Raises: NotFoundError, ForbiddenError.
    """
    with context.store.write() as unit:
        drill, now = _for(unit, drill_id, actor, Operation.INCIDENT_DRILL), context.clock.now()
        if drill.state != "running" or drill.injected_at is None:
            return drill
        incident = _incident(unit, drill)
        scores = _scores(unit, drill, incident) if incident else {}
        values: dict[str, Any] = {"scores": scores} | ({"incident_id": incident.id} if incident else {})
        if last:
            passed = bool(scores.get("right_cause_s") is not None and scores.get("mitigated_s") is not None) or _only_told(drill, scores)
            values |= {"state": "passed" if passed else "failed", "ended_at": now}
            note(unit, actor, "drill.ended", f"drill/{drill_id}", now=now, before="running", after=values["state"], detail=scores)
        unit.responses.set_drill(drill_id, **values)
        return unit.responses.drill(drill_id)


def _only_told(drill: Drill, scores: Mapping[str, Any]) -> bool:
    """A reported harm exercises people: somebody has to be called, nothing is mended."""
    return drill.fault == "report" and scores.get("responded_s") is not None


def _incident(unit: Unit, drill: Drill) -> Incident | None:
    """The first one of the service, or of what it depends on, that was seen after it was broken."""
    named = drill.injected.get("incident_id")
    if named:
        return unit.incidents.get(str(named))
    service = unit.catalog.service(drill.service)
    wanted = IncidentFilter(environment=drill.environment, ventures=frozenset({drill.venture}), since=drill.injected_at)
    found = unit.incidents.search(wanted, before=None, limit=50)
    names = {drill.service, *service.spec.depends_on}
    back = [each for each in unit.incidents.live(drill.venture) if _again(unit, drill, each)]
    mine = (each for each in (*reversed(found), *back) if names & set(each.services) and each.merged_into is None)
    return next(mine, None)


def _again(unit: Unit, drill: Drill, incident: Incident) -> bool:
    """Whether an incident of before was opened again by what was broken."""
    if not incident.reopened or drill.injected_at is None or incident.environment not in {drill.environment, None}:
        return False
    return begun_at(unit, incident) >= drill.injected_at


def _scores(unit: Unit, drill: Drill, incident: Incident) -> dict[str, Any]:
    broken = drill.injected_at or drill.begun_at
    looks = [each for each in reversed(unit.causes.looks(incident.id, limit=LOOKS_MAX)) if each.at >= broken]
    responses = [each for each in unit.responses.of_incident(incident.id) if each.created_at >= broken]
    first = _first_right(looks, drill)
    acted = [step for each in responses for step in each.acted]
    mitigated = _mitigated(incident, responses, broken)
    opened = [each for each in unit.incident_log.read(incident.id, after=0) if each.at >= broken][:1]

    def since(at: datetime | None) -> float | None:
        return None if at is None or drill.injected_at is None else round((at - drill.injected_at).total_seconds(), 3)

    return {
        "detected_s": since(opened[0].at if opened else incident.detected_at),
        "right_cause_s": since(first.at if first else None),
        "cause": f"{looks[-1].top.kind.value} {looks[-1].top.subject}" if looks else None,
        "probability": round(looks[-1].top.probability, 3) if looks else None,
        "responded_s": since(responses[0].created_at if responses else None),
        "playbook": responses[0].playbook if responses else None,
        "mitigated_s": since(mitigated),
        "resolved_s": since(incident.resolved_at),
        "actions": [f"{step.do}" for step in acted],
        "wrong_actions": _wrong(drill, responses),
        "against_person": None if since(mitigated) is None else round((since(mitigated) or 0.0) / HUMAN_S, 4),
    }  # fmt: skip


def _first_right(looks: list[Ledger], drill: Drill) -> Ledger | None:
    return next((each for each in looks if is_right(drill, each)), None)


def is_right(drill: Drill, ledger: Ledger) -> bool:
    """Whether the likeliest hypothesis is what was broken."""
    cause, subject = drill.injected.get("cause"), str(drill.injected.get("subject") or "")
    top = ledger.top
    return top.kind.value == cause and (cause == "host" or not subject or subject in top.subject or subject in str(top.remedy.values()))


def _mitigated(incident: Incident, responses: list[Response], broken: datetime) -> datetime | None:
    """When recovery was seen first."""
    seen = [step.ended_at for each in responses for step in each.steps if step.do == "wait-for-recovery" and step.state == "done"]
    return min((at for at in (*seen, incident.mitigated_at) if at is not None and at >= broken), default=None)


def _wrong(drill: Drill, responses: list[Response]) -> int:
    """Automatic actions on a cause that was not what was broken."""
    wrong = [each for each in responses if each.by == "productops" and each.cause.get("kind") != drill.injected.get("cause")]
    return sum(len(each.acted) for each in wrong)


def list_drills(context: Context, *, before: str | None, limit: int, actor: Actor) -> list[Drill]:
    """The newest first, of ventures that the caller may see. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    with context.store.read() as unit:
        return unit.responses.drills(ventures=seen, before=before, limit=limit)


def read_drill(context: Context, drill_id: str, *, actor: Actor) -> Drill:
    """Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        return _for(unit, drill_id, actor, Operation.INCIDENT_READ)


def _for(unit: Unit, drill_id: str, actor: Actor, operation: Operation) -> Drill:
    drill = unit.responses.drill(drill_id)
    demand(
        actor, operation, seen_by=Operation.INCIDENT_READ, venture=drill.venture, environment=drill.environment,
        missing=f"there is no drill {drill_id[:80]!r}",
    )  # fmt: skip
    return drill
