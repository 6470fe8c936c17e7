"""Begin a response: find the cause, choose a playbook within its guard rails, write the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from productops.domain.catalog import Service
from productops.domain.governance_access import Operation
from productops.domain.incident import Incident
from productops.domain.incident_cause import CauseKind, Hypothesis, Ledger
from productops.domain.incident_playbook import PAGE_A_PERSON, Playbook, Response, ResponseState, StepRecord
from productops.domain.incident_playbook_choose import HOUR, PAGE_SPEC, Choice, Facts, choose, impossible, subject_of
from productops.domain.release import Environment, Phase, Release
from productops.errors import ConflictError, InvalidInputError, NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_again import begun_at
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_respond_doing import RESPONDER
from productops.usecases.incident_respond_words import would_do

ACT, DRY_RUN = "act", "dry-run"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. ``playbook`` None: the one that fits. A person who names one is not bound by the guard rails of programs.

    ``seen``: how many responses there were when it was found that one is needed; another one since, and it is needed no more.
    """

    incident_id: str
    playbook: str | None = None
    mode: str = ACT
    why: str = "a person chose it"
    seen: int | None = None


def plan_response(context: Context, wish: Wish, ledger: Ledger | None, *, actor: Actor) -> Response:
    """Choose and write down; nothing is done yet. A program that may not act pages a person instead.

    Raises: NotFoundError, ForbiddenError, ConflictError when one is under way or the incident is over, InvalidInputError for a playbook
        that cannot be done here.
    """
    with context.store.write() as unit:
        return plan_in(unit, wish, ledger, actor=actor, now=context.clock.now())


def plan_in(unit: Unit, wish: Wish, ledger: Ledger | None, *, actor: Actor, now: datetime) -> Response:
    """The same within somebody's transaction."""
    incident_for(unit, wish.incident_id, actor, Operation.INCIDENT_RESPOND)
    incident = unit.incidents.get(wish.incident_id)
    before = unit.responses.of_incident(incident.id, mode=wish.mode)
    if wish.seen is not None and len(before) != wish.seen:
        raise ConflictError(f"somebody else has begun response {len(before)} to incident {incident.id} meanwhile")
    _check_free(incident, _withdrawn(unit, incident, before, now=now), wish)
    service = _service(unit, incident, ledger)
    choice = _named(unit, wish, incident, ledger) if wish.playbook else _chosen(unit, incident, service, ledger, now=now)
    response = _response(incident, service, choice, wish, number=len(before) + 1, actor=actor, now=now)
    response = replace(response, since=_since(begun_at(unit, incident), ledger))
    response = replace(response, id=unit.responses.begin(response, _subjects(response, choice.hypothesis)))
    _tell(unit, response, choice, actor=actor, now=now)
    return response


def would_choose(context: Context, incident_id: str, ledger: Ledger, *, now: datetime) -> Choice:
    """What would be chosen now, with all guard rails. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        incident = unit.incidents.get(incident_id)
        return _chosen(unit, incident, _service(unit, incident, ledger), ledger, now=now)


def _withdrawn(unit: Unit, incident: Incident, before: Sequence[Response], *, now: datetime) -> list[Response]:
    """Those that are still to be reckoned with: a proposal to what was over since is none any more."""
    begun = begun_at(unit, incident)
    old = [each for each in before if each.state is ResponseState.PROPOSED and each.created_at < begun]
    for each in old:
        reason = "the incident was over before anybody said go"
        unit.responses.decide(each, ResponseState.STOPPED, reason=reason, ended_at=now)
        log_incident(unit, incident.id, "response", f"response {each.playbook}: withdrawn ({reason})", actor=RESPONDER, at=now)
        note(
            unit, RESPONDER, "response.stopped", f"incident/{incident.id}", now=now, reason=reason, before=each.state.value,
            after=ResponseState.STOPPED.value, detail={"response": each.id},
        )  # fmt: skip
    return [each for each in before if each not in old]


def _check_free(incident: Incident, before: Sequence[Response], wish: Wish) -> None:
    """Raises: ConflictError."""
    if wish.mode == DRY_RUN:
        return
    if not incident.live:
        raise ConflictError(f"incident {incident.id} is {incident.status}: there is nothing to respond to")
    busy = next((each for each in before if not each.ended), None)
    if busy is not None:
        raise ConflictError(f"response {busy.id} ({busy.playbook}) to incident {incident.id} is {busy.state.value}; stop it first")


def _since(noticed: datetime, ledger: Ledger | None) -> datetime:
    """When it began: recovery is compared with the time before that."""
    onset = ledger.onset.at if ledger and ledger.onset else noticed
    return min(onset, noticed)


def _service(unit: Unit, incident: Incident, ledger: Ledger | None) -> Service | None:
    """What the likeliest hypothesis is about, else the first service of the incident."""
    top = ledger.top if ledger and ledger.hypotheses else None
    # A dependency is acted on itself, not on who asks it.
    named = [top.subject] if top is not None and top.kind is CauseKind.DEPENDENCY else []
    found = (unit.catalog.find_service(name) for name in (*named, *([top.service] if top and top.service else []), *incident.services))
    return next((each for each in found if each is not None), None)


def _facts(incident: Incident, service: Service | None) -> Facts:
    return Facts(
        incident_id=incident.id, kind=incident.kind, severity=incident.severity, status=incident.status.value,
        service=service.name if service else (incident.services[0] if incident.services else ""),
        environment=incident.environment or Environment.PRODUCTION, title=incident.title,
    )  # fmt: skip


def _chosen(unit: Unit, incident: Incident, service: Service | None, ledger: Ledger | None, *, now: datetime) -> Choice:
    facts = _facts(incident, service)
    place = ledger.top.environment if ledger and ledger.hypotheses else facts.environment
    venture = incident.venture or (service.venture if service else None)
    choice = choose(
        unit.responses.playbooks(venture=venture), facts, ledger,
        holds=unit.responses.holds(ventures=[venture] if venture else None, now=now),
        actions=unit.responses.actions_since(facts.service, place, since=now - HOUR), now=now,
    )  # fmt: skip
    barred = _barred_by_release(unit, service, choice, now=now)
    if barred:
        return Choice(None, choice.hypothesis, automatic=False, why=(*choice.why, f"{choice.name}: {barred}"))
    return choice


def _barred_by_release(unit: Unit, service: Service | None, choice: Choice, *, now: datetime) -> str:
    """The service's own word about roll backs, and how far back they go; empty when nothing speaks against it."""
    if service is None or choice.playbook is None or not any(step.do == "roll-back" for step in choice.spec.steps):
        return ""
    rollout = service.spec.rollout
    if rollout.on_incident != "roll-back":
        return f"{service.name} wants incidents told, not acted on (on_incident: tell)"
    named = str(choice.hypothesis.remedy.get("release_id") or "") if choice.hypothesis else ""
    try:
        release = unit.releases.get(named)
    except NotFoundError:
        return f"there is no release {named!r}"
    return _too_late(unit, release, window_s=rollout.rollback_window_s, now=now)


def _too_late(unit: Unit, release: Release, *, window_s: float, now: datetime) -> str:
    """Why a release cannot be given back by a program any more; empty when it can."""
    if release.phase is not Phase.PROMOTED:
        return ""
    if release.ended_at is not None and now - release.ended_at > timedelta(seconds=window_s):
        return f"{release.title} ended more than {window_s:g} s ago (rollback_window_s)"
    target = unit.traffic.find(release.service, release.environment)
    if release.baseline_version is None:
        return f"{release.title} was the first version: there is nothing to give back"
    if target is None or target.baseline_version != release.version or target.release_id is not None:
        return f"{release.version} is not what users have undisturbed"
    return ""


def _named(unit: Unit, wish: Wish, incident: Incident, ledger: Ledger | None) -> Choice:
    """A person's choice. Raises: NotFoundError, InvalidInputError when the hypothesis does not say what it would need."""
    name = str(wish.playbook)
    playbook = None if name == PAGE_A_PERSON else unit.responses.playbook(name)
    if playbook is not None and playbook.venture not in {None, incident.venture}:
        raise NotFoundError(f"playbook {name} is not of venture {incident.venture}")
    top = ledger.top if ledger and ledger.hypotheses else None
    if playbook is not None:
        lacks = impossible(playbook.spec, top) if top else _lacks(playbook)
        if lacks:
            raise InvalidInputError(f"playbook {name} cannot be done here: {lacks}")
    return Choice(playbook, top, automatic=True, why=(wish.why,))


def _lacks(playbook: Playbook) -> str:
    needy = [step.do for step in playbook.spec.steps if step.do in {"roll-back", "drain"} or (step.do == "disable-flag" and not step.flag)]
    return f"no cause is known, and {needy[0]} needs one" if needy else ""


def _response(
    incident: Incident, service: Service | None, choice: Choice, wish: Wish, *, number: int, actor: Actor, now: datetime
) -> Response:
    facts, top = _facts(incident, service), choice.hypothesis
    state = ResponseState.RUNNING if choice.automatic or choice.playbook is None else ResponseState.PROPOSED
    steps = tuple(
        StepRecord(index, "step", step.do, step.model_dump(mode="json")) for index, step in enumerate(choice.spec.steps)
    )  # fmt: skip
    response = Response(
        id="", incident_id=incident.id, number=number, playbook=choice.name, spec=choice.spec,
        base=choice.playbook.base if choice.playbook else "", venture=incident.venture or (service.venture if service else ""),
        service=facts.service, environment=top.environment if top else facts.environment,
        cause=cause_document(top, harmed=incident.services), mode=wish.mode,
        state=state, why="\n".join(choice.why), reason="", by=RESPONDER.name if actor is RESPONDER else actor.name,
        since=incident.detected_at, created_at=now, steps=steps,
    )  # fmt: skip
    if wish.mode == DRY_RUN:
        told = tuple(replace(step, state="skipped", ended_at=now, result=would_do(step, response)) for step in steps)
        return replace(response, state=ResponseState.STOPPED, reason="a dry run: nothing was done", ended_at=now, steps=told)
    return response


def cause_document(top: Hypothesis | None, *, harmed: Sequence[str]) -> dict[str, Any]:
    """What a response keeps of the hypothesis that it acts on, with the services whose users suffer."""
    if top is None:
        return {}
    return {
        "kind": top.kind.value, "subject": top.subject, "service": top.service, "environment": top.environment.value,
        "probability": round(top.probability, 4), "remedy": dict(top.remedy),
        "supporting": [each.text for each in top.supporting[:5]], "refuting": [each.text for each in top.refuting[:5]],
        "harmed": list(harmed)[:10],
    }  # fmt: skip


def _subjects(response: Response, top: Hypothesis | None) -> list[str]:
    return [subject_of(step, top) if top else response.service for step in response.spec.steps]


def _tell(unit: Unit, response: Response, choice: Choice, *, actor: Actor, now: datetime) -> None:
    said = {
        DRY_RUN: f"dry run of {response.playbook}: nothing is done",
        ACT: f"response {response.number}: {response.playbook}, {response.state.value}",
    }[response.mode]
    detail = {"response": response.id, "playbook": response.playbook, "why": list(choice.why), "cause": dict(response.cause)}
    log_incident(unit, response.incident_id, "response", f"{said} ({choice.why[-1]})"[:4000], actor=actor, detail=detail, at=now)
    action = "response.dry_run" if response.mode == DRY_RUN else "response.begun"
    note(
        unit, actor, action, f"incident/{response.incident_id}", now=now, reason=choice.why[-1][:2000], before=None,
        after=response.state.value, detail=detail,
    )  # fmt: skip


def paging(response: Response) -> bool:
    """Whether all it does is call a person."""
    return response.spec == PAGE_SPEC
