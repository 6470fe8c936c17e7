"""Begin the response to every incident that is open and has none, at once and without Prefect; carry on what nobody carries on."""

from __future__ import annotations

import functools
import os
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from productops.domain.incident import Incident
from productops.domain.incident_cause import CauseKind, Ledger
from productops.domain.incident_playbook import PAGE_A_PERSON, Response, ResponseState
from productops.domain.incident_state import IncidentStatus
from productops.domain.incident_updates import Moment
from productops.errors import ConflictError, OrchestratorError, ProductOpsError, StoreUnavailableError
from productops.ports import Orchestrator
from productops.store import Unit
from productops.usecases.context import OURSELVES, Context
from productops.usecases.incident_again import begun_at, came_back_at, of_this_time
from productops.usecases.incident_cause import find_cause
from productops.usecases.incident_cause_read import with_verdicts
from productops.usecases.incident_oncall_escalate import page
from productops.usecases.incident_respond import advance_response
from productops.usecases.incident_respond_conclude import conclude_response
from productops.usecases.incident_respond_doing import RESPONDER
from productops.usecases.incident_respond_plan import Wish, plan_response, would_choose
from productops.usecases.incident_tell import tell

log = structlog.get_logger(__name__)
PATIENCE = timedelta(seconds=12)
"""So long after an incident was seen a doubtful cause may still become clear; then a person is paged."""
LOOK_EVERY = timedelta(seconds=0.8)
"""So often the cause is looked for: more often says nothing new, and makes the machine busy when it can bear it least."""
OLD = timedelta(hours=1)
"""An incident of before that is a person's: a restart after a long night must not act on yesterday."""
RESPONSES_MAX = 3
COMMAND_S = 10.0
"""A command that may take longer is left to the flow, so that other incidents do not wait for it."""
ALONE_AFTER = timedelta(seconds=60)
"""By then a flow would have done it."""
FLOW_GRACE = timedelta(seconds=20)
_ANSWERED_BY_PEOPLE = frozenset({"security"})


@functools.cache
def _life(_pid: int) -> str:
    """Once in the life of a process, another after a fork."""
    return uuid.uuid4().hex[:8]


def holder() -> str:
    """A name for this process that no other one ever has."""
    return f"watch {os.uname().nodename} {os.getpid()} {_life(os.getpid())}"


def start_due_incidents(context: Context, orchestrator: Orchestrator | None) -> list[str]:
    """Ids of incidents whose response was begun or carried on by this call. Safe to call by anybody, at any time.

    What an incident needs at once is done here; the flow is started to follow it, and goes on from the journal. One incident that
    cannot be dealt with holds up no other. Raises: StoreUnavailableError.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        live = [(each, begun_at(unit, each)) for each in unit.incidents.any_live() if each.merged_into is None]
        turns = [_turn(unit, each, begun) for each, begun in live if now - begun < OLD]
    touched = []
    for turn in sorted(turns, key=lambda each: (each.incident.severity, each.begun)):
        incident = turn.incident
        try:
            if _one(context, turn, orchestrator, now=now):
                touched.append(incident.id)
        except StoreUnavailableError:
            raise
        except ProductOpsError as error:
            log.warning("incident not dealt with this time", incident_id=incident.id, reason=str(error))
    return touched


def attend_incident(context: Context, incident_id: str, flow_run_id: str) -> Response | None:
    """One look by a flow that was started by the event of an incident: begins its response if nobody has, as the watch process would.

    Returns the response once there is one, handed to this run unless another run follows it; None: look again in a moment.
    Raises: NotFoundError, StoreUnavailableError.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        incident = unit.incidents.get(incident_id)
        turn = _turn(unit, incident, begun_at(unit, incident))
    if turn.last is None and incident.live and incident.merged_into is None and now - turn.begun < OLD:
        _begun(context, turn, None, now=now)
    with context.store.write() as unit:
        found = of_this_time(unit.responses.of_incident(incident_id), begun_at(unit, incident))
        if not found:
            return None
        unit.responses.hand_to(found[-1].id, flow_run_id=flow_run_id)
        return unit.responses.get(found[-1].id)


@dataclass(frozen=True, slots=True)
class _Turn:
    """An incident with its responses since it ``begun``. ``back``: when it was opened again after the last one had ended, if it was.

    ``seen``: how many responses it had in all.
    """

    incident: Incident
    begun: datetime
    responses: tuple[Response, ...]
    back: datetime | None
    seen: int

    @property
    def last(self) -> Response | None:
        """The newest response."""
        return self.responses[-1] if self.responses else None

    @property
    def again(self) -> bool:
        """Whether another response may be tried: the last one failed, or what it answered came back, and no person has taken it up."""
        last = self.last
        if last is None:
            return False
        failed = last.state is ResponseState.FAILED or (self.back is not None and last.state is ResponseState.SUCCEEDED)
        return failed and len(self.responses) < RESPONSES_MAX and self.incident.acknowledged_by is None


def _turn(unit: Unit, incident: Incident, begun: datetime) -> _Turn:
    found = unit.responses.of_incident(incident.id)
    responses = of_this_time(found, begun)
    return _Turn(incident, begun, tuple(responses), came_back_at(unit, incident, responses[-1]) if responses else None, len(found))


def _one(context: Context, turn: _Turn, orchestrator: Orchestrator | None, *, now: datetime) -> bool:
    last = turn.last
    if last is None or turn.again:
        return _begun(context, turn, orchestrator, now=now)
    if last.state in {ResponseState.RUNNING, ResponseState.UNDOING}:
        alone = now - last.created_at > ALONE_AFTER
        advance_response(context, last.id, holder=holder(), keep=False, command_s=float("inf") if alone else COMMAND_S)
        follow(context, last, orchestrator)
        return True
    if last.ended and _unfollowed(last, now):
        conclude_response(context, last.id)
        return True
    return False


def _begun(context: Context, turn: _Turn, orchestrator: Orchestrator | None, *, now: datetime) -> bool:
    begun = begin_response(context, turn, now=now)
    if begun is None:
        return False
    carry_out_at_once(context, begun, orchestrator)
    return True


def carry_out_at_once(context: Context, begun: Response, orchestrator: Orchestrator | None) -> Response:
    """What can be done now of a response that was just written down; a flow follows it. Raises: NotFoundError, StoreUnavailableError."""
    if begun.state is ResponseState.PROPOSED:
        _ask_somebody(context, begun)
        return begun
    found = advance_response(context, begun.id, holder=holder(), keep=False, command_s=COMMAND_S)
    follow(context, found, orchestrator)
    return found


def _unfollowed(last: Response, now: datetime) -> bool:
    """Whether no flow run sees to what comes after: there is none, or it has had time enough."""
    return last.flow_run_id is None or (last.ended_at is not None and now - last.ended_at > FLOW_GRACE)


def begin_response(context: Context, turn: _Turn, *, now: datetime) -> Response | None:
    """Find the cause, choose, and write the journal; None while it is better to look again in a moment.

    Raises: ProductOpsError.
    """
    incident, last = turn.incident, turn.last
    if incident.kind in _ANSWERED_BY_PEOPLE or incident.status not in {IncidentStatus.OPEN, IncidentStatus.INVESTIGATING}:
        return None
    tell_opened(context, incident)
    ledger = cause_of(context, incident.id, since=turn.begun)
    if last is not None:
        wish = _next(context, turn, last, ledger, now=now)
    elif now - turn.begun < PATIENCE and not _is_clear(context, incident, ledger, now=now):
        return None
    else:
        wish = Wish(incident.id, seen=turn.seen)
    try:
        return plan_response(context, wish, ledger, actor=RESPONDER) if wish is not None else None
    except ConflictError as error:  # another process was first
        log.info("response begun elsewhere", incident_id=incident.id, reason=str(error))
        return None


def _is_clear(context: Context, incident: Incident, ledger: Ledger | None, *, now: datetime) -> bool:
    """Whether some playbook fits what is known already."""
    if ledger is None or ledger.top.kind is CauseKind.UNKNOWN:
        return False
    return would_choose(context, incident.id, ledger, now=now).playbook is not None


def _next(context: Context, turn: _Turn, last: Response, ledger: Ledger | None, *, now: datetime) -> Wish | None:
    """After a response that did not work: only for another cause than it acted on.

    One that failed has paged somebody; where one had worked and it came back, somebody is paged now.
    """
    if ledger is not None and _is_other(last, ledger) and _is_clear(context, turn.incident, ledger, now=now):
        return Wish(turn.incident.id, seen=turn.seen)
    if turn.back is None or last.state is ResponseState.FAILED or now - turn.back < PATIENCE:
        return None
    why = f"{last.playbook} seemed to help, and it came back at {turn.back:%H:%M:%S} UTC"
    return Wish(turn.incident.id, PAGE_A_PERSON, why=why, seen=turn.seen)


def _ask_somebody(context: Context, response: Response) -> None:
    """Who is on call has to say go; a proposal that nobody hears of helps nobody."""
    try:
        page(context, response.incident_id, actor=RESPONDER)
    except StoreUnavailableError:
        raise
    except ProductOpsError as error:
        log.warning("nobody was paged about a proposal", response_id=response.id, reason=str(error))


def _is_other(last: Response, ledger: Ledger) -> bool:
    top = ledger.top
    return top.kind is not CauseKind.UNKNOWN and (top.kind.value, top.subject) != (last.cause.get("kind"), last.cause.get("subject"))


def cause_of(context: Context, incident_id: str, *, since: datetime | None = None) -> Ledger | None:
    """A fresh look, or the one that another process had just now; without any, a person is paged. Raises: StoreUnavailableError.

    ``since``: no look of before.
    """
    with context.store.read() as unit:
        latest = unit.causes.latest(incident_id)
        if latest is not None and _is_fresh(latest, since, context.clock.now()):
            return with_verdicts(unit, latest)
    try:
        return find_cause(context, incident_id, actor=OURSELVES)
    except StoreUnavailableError:
        raise
    except ProductOpsError as error:
        log.warning("no cause found", incident_id=incident_id, reason=str(error))
        return None


def _is_fresh(latest: Ledger, since: datetime | None, now: datetime) -> bool:
    return timedelta(0) <= now - latest.at < LOOK_EVERY and (since is None or latest.at >= since)


def follow(context: Context, response: Response, orchestrator: Orchestrator | None) -> str | None:
    """Start the flow that follows a response, once; what is to be done is done without it, too. Returns the run's id."""
    if orchestrator is None or response.flow_run_id is not None or response.playbook == PAGE_A_PERSON:
        return response.flow_run_id
    try:
        run = orchestrator.start_incident({"incident_id": response.incident_id}, key=f"incident-{response.id}")
    except OrchestratorError as error:
        log.warning("no flow follows the response yet", response_id=response.id, reason=str(error))
        return None
    with context.store.write() as unit:
        return unit.responses.hand_to(response.id, flow_run_id=run)


def tell_opened(context: Context, incident: Incident) -> None:
    """Once for an incident, however often it is asked."""
    try:
        tell(context, incident.id, Moment.OPENED, actor=RESPONDER)
    except StoreUnavailableError:
        raise
    except ProductOpsError as error:
        log.warning("not told", incident_id=incident.id, reason=str(error))
