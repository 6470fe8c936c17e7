"""After a response: mitigated, watched, resolved with a draft of the post-mortem; or opened again when it comes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from productops.domain.incident import Incident
from productops.domain.incident_playbook import Response, ResponseState
from productops.domain.incident_recovery import Recovery
from productops.domain.incident_state import IncidentStatus
from productops.errors import ConflictError, NotFoundError, ProductOpsError
from productops.store import Unit
from productops.usecases.context import OURSELVES, Context
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_again import came_back_at
from productops.usecases.incident_moves import move
from productops.usecases.incident_recover import recovery_of
from productops.usecases.incident_respond_doing import RESPONDER
from productops.usecases.incident_tell import tell

log = structlog.get_logger(__name__)
GOOD_S = 5.0
STAYS_S = 10.0
"""So long it has to stay well before the incident is resolved."""
UNTOLD_S = 120.0
_PERSONS = frozenset({ResponseState.FAILED, ResponseState.HANDED_OVER, ResponseState.STOPPED, ResponseState.PROPOSED})


@dataclass(frozen=True, slots=True)
class Conclusion:
    """``state``: watching (ask again), resolved, reopened, or person: somebody has to go on."""

    state: str
    reason: str

    @property
    def over(self) -> bool:
        """Whether asking again changes nothing."""
        return self.state != "watching"


def conclude_response(context: Context, response_id: str) -> Conclusion:
    """One look; to be repeated until it is over, by anybody. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        response = unit.responses.get(response_id)
        incident = unit.incidents.get(response.incident_id)
        back = came_back_at(unit, incident, response)
    if response.state in _PERSONS:
        return Conclusion("person", response.reason or f"the response is {response.state.value}")
    if not incident.live:
        return Conclusion("resolved", f"the incident is {incident.status.value}")
    if back is not None:
        return Conclusion("reopened", f"the incident was opened again at {back:%H:%M:%S} UTC, after this response")
    return _ended(context, response, incident) if response.ended else Conclusion("watching", "the response is under way")


def _ended(context: Context, response: Response, incident: Incident) -> Conclusion:
    try:
        if incident.status is not IncidentStatus.MITIGATED:
            return _mitigate(context, response)
        return _watch(context, response, incident)
    except ConflictError as error:  # somebody else moved it at this moment
        return Conclusion("watching", str(error))


def _mitigate(context: Context, response: Response) -> Conclusion:
    with context.store.write() as unit:
        now = context.clock.now()
        _trace(unit, response, now=now)
        found = unit.incidents.get(response.incident_id)
        move(unit, found, IncidentStatus.MITIGATED, reason=response.reason[:2000] or "users are served again", actor=RESPONDER, now=now)
    _told(context, response, "mitigated", text=_done(response))
    return Conclusion("watching", "mitigated; watching whether it stays well")


def _trace(unit: Unit, response: Response, *, now: datetime) -> None:
    """What it came from, where the response acted on it; a release that did it hears of it."""
    cause = response.cause
    if not cause or not response.acted:
        return
    release_id = (cause.get("remedy") or {}).get("release_id") if cause.get("kind") == "release" else None
    sentence = f"{cause['kind']} {cause['subject']}"
    impact: dict[str, object] = {"response": response.playbook, "cause_kind": cause["kind"]}
    if release_id:
        try:
            release = unit.releases.get(str(release_id))
        except NotFoundError:
            release_id = None
        else:
            sentence = f"release {release.id} ({release.title})"
            impact |= {"release_id": release.id}
            unit.releases.tell(release.id, "incident", {"incident_id": response.incident_id, "reason": response.playbook}, now=now)
    unit.incidents.trace(response.incident_id, cause=sentence, impact=impact)
    if release_id:  # after the state, which is the mover's to set
        unit.incidents.measure(response.incident_id, {"rolled_back": True})
    note(
        unit, RESPONDER, "incident.traced", f"incident/{response.incident_id}", now=now, before=None, after=sentence,
        detail={"response": response.id, "release_id": release_id, "probability": cause.get("probability")},
    )  # fmt: skip


def _watch(context: Context, response: Response, incident: Incident) -> Conclusion:
    now = context.clock.now()
    began = incident.mitigated_at or now
    found = recovery_of(
        context, response.harmed, response.environment, since=response.since, not_before=response.ended_at or began, good_s=GOOD_S,
        actor=OURSELVES,
    )  # fmt: skip
    watched = now - began
    if found.recovered and watched >= timedelta(seconds=STAYS_S):
        return _resolve(context, response, found)
    if found.recovered is False and watched >= timedelta(seconds=GOOD_S):
        return _reopen(context, response, found)
    if found.recovered is None and watched >= timedelta(seconds=UNTOLD_S):
        return Conclusion("person", f"nobody can tell whether it has recovered: {found.reason}")
    return Conclusion("watching", found.reason)


def _resolve(context: Context, response: Response, found: Recovery) -> Conclusion:
    steps = [f"{step.do}: {step.result}" for step in response.steps if step.state == "done"]
    with context.store.write() as unit:
        incident = unit.incidents.get(response.incident_id)
        move(
            unit, incident, IncidentStatus.RESOLVED, reason=f"recovered: {found.reason}"[:2000], actor=RESPONDER, now=context.clock.now(),
            resolution_steps=steps,
        )  # fmt: skip
    _told(context, response, "resolved", text=found.reason)
    draft(context, response.incident_id)
    return Conclusion("resolved", found.reason)


def _reopen(context: Context, response: Response, found: Recovery) -> Conclusion:
    with context.store.write() as unit:
        now = context.clock.now()
        incident = unit.incidents.get(response.incident_id)
        move(unit, incident, IncidentStatus.INVESTIGATING, reason=f"not recovered: {found.reason}"[:2000], actor=RESPONDER, now=now)
        unit.responses.decide(response, ResponseState.FAILED, reason=f"it came back: {found.reason}"[:2000], ended_at=response.ended_at)
        note(
            unit, RESPONDER, "response.ended", f"incident/{response.incident_id}", now=now, reason=found.reason,
            before=response.state.value, after=ResponseState.FAILED.value, detail={"response": response.id},
        )  # fmt: skip
    _told(context, response, "reopened", text=found.reason)
    return Conclusion("reopened", found.reason)


def _done(response: Response) -> str:
    return "; ".join(f"{step.do}: {step.result}" for step in response.acted)[:2000]


def _told(context: Context, response: Response, moment: str, *, text: str) -> None:
    """Words are no reason to stop: what cannot be told is in the log."""
    try:
        tell(context, response.incident_id, moment, actor=RESPONDER, text=text[:2000])
    except ProductOpsError as error:
        log.warning("not told", incident_id=response.incident_id, moment=moment, reason=str(error))


def draft(context: Context, incident_id: str) -> None:
    """The post-mortem from the log; people go on from there."""
    from productops.usecases.incident_postmortem import draft_postmortem  # only at the end of an incident

    try:
        draft_postmortem(context, incident_id, actor=RESPONDER)
    except ProductOpsError as error:
        log.warning("no draft of the post-mortem", incident_id=incident_id, reason=str(error))
