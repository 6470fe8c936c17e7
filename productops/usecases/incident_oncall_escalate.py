"""Call people until somebody acknowledges: rows with due times, driven by a tick that any process may make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from productops.domain.catalog_oncall import Target
from productops.domain.governance_access import Operation
from productops.domain.incident import Incident
from productops.domain.incident_escalation import Page, PageState, Step, next_step, policy_for
from productops.domain.incident_oncall import Escalation, Schedule
from productops.domain.incident_updates import Audience, Message, Moment, message
from productops.errors import ConflictError, NotFoundError
from productops.store import Unit
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_access_scope import incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_oncall_duty import duty_of, people_reached
from productops.usecases.incident_tell import Words, tell_channels, telling_of, template_of, values_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """Somebody to be called over one channel."""

    person: str
    name: str
    channel: str
    via: str


def page(context: Context, incident_id: str, *, actor: Actor) -> Page | None:
    """Call who is responsible, level after level, until somebody acknowledges. Calling again while people are called changes nothing.

    None: no escalation of the venture is for such an incident, or somebody acknowledged it already, or it is over.
    Raises: NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    with context.store.write() as unit:
        incident_for(unit, incident_id, actor, Operation.INCIDENT_RESPOND)
        incident, now = unit.incidents.get(incident_id), context.clock.now()
        running = unit.oncall.page_of(incident_id)
        if running is not None and running.state is PageState.CALLING:
            return running
        if not incident.live or incident.acknowledged_at is not None or incident.merged_into is not None or incident.venture is None:
            return running
        policy = policy_for(
            unit.oncall.all(Escalation, ventures={incident.venture}), services=incident.services, severity=incident.severity
        )  # fmt: skip
        if policy is None:
            return None
        started = unit.oncall.start_page(incident_id, venture=incident.venture, policy=policy.name, now=now)
        detail = {"escalation": policy.name, "number": started.number, "venture": incident.venture}
        note(unit, actor, "oncall.paged", f"incident/{incident_id}", now=now, detail=detail)
        _advance(unit, incident, started, policy, now=now)
        return unit.oncall.page_of(incident_id)


def read_page(context: Context, incident_id: str, *, actor: Actor) -> Page:
    """Who was called, and who is next. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        found = unit.oncall.page_of(incident_id)
    if found is None:
        raise NotFoundError(f"nobody was called because of incident {incident_id}")
    return found


def stop_page(context: Context, incident_id: str, *, actor: Actor) -> Page:
    """Call nobody any more, without acknowledging. Raises: NotFoundError, ForbiddenError, ConflictError when nobody is called."""
    with context.store.write() as unit:
        incident_for(unit, incident_id, actor, Operation.INCIDENT_RESPOND)
        running, now = unit.oncall.page_of(incident_id), context.clock.now()
        if running is None or not _end(unit, running, PageState.ENDED, actor=actor, now=now, why=f"stopped by {actor.name}"):
            raise ConflictError(f"nobody is called because of incident {incident_id}")
        return unit.oncall.page_of(incident_id) or running


def escalate_due(context: Context, now: datetime | None = None) -> int:
    """One tick: whoever is acknowledged is left alone, whoever is due is called. Returns how many runs moved.

    Each run moves in a transaction of its own, by compare and set, together with what is told: after a crash at any point the next
    tick goes on, and no level is called twice. Raises: StoreUnavailableError.
    """
    at = now or context.clock.now()
    with context.store.read() as unit:
        waiting = [each for each in unit.oncall.calling() if _needs(unit, each, at)]
    return sum(_tick(context, each, at) for each in waiting)


def _needs(unit: Unit, running: Page, now: datetime) -> bool:
    return (running.due_at is not None and running.due_at <= now) or _over(unit.incidents.get(running.incident_id)) is not None


def _over(incident: Incident) -> tuple[PageState, str, str] | None:
    """Why nobody needs to be called any more: state, who, in words."""
    if incident.merged_into is not None:
        return PageState.ENDED, "productops", f"it is part of incident {incident.merged_into}"
    if not incident.live:
        return PageState.ENDED, "productops", f"it is {incident.status}"
    if incident.acknowledged_at is not None:
        who = incident.acknowledged_by or "somebody"
        return PageState.ACKNOWLEDGED, who, f"acknowledged by {who}"
    return None


def _tick(context: Context, seen: Page, now: datetime) -> int:
    with context.store.write() as unit:
        running = unit.oncall.page_of(seen.incident_id)
        if running is None or running.id != seen.id or running.state is not PageState.CALLING:
            return 0
        incident = unit.incidents.get(running.incident_id)
        over = _over(incident)
        if over is not None:
            state, _, why = over
            return int(_end(unit, running, state, actor=OURSELVES, now=now, why=why, by=over[1]))
        if running.due_at is None or running.due_at > now:
            return 0
        policy = unit.oncall.find(Escalation, running.policy)
        if policy is None:
            why = f"the escalation {running.policy} is not declared any more"
            return int(_end(unit, running, PageState.ENDED, actor=OURSELVES, now=now, why=why))
        return int(_advance(unit, incident, running, policy, now=now))


def _end(
    unit: Unit, running: Page, state: PageState, *, actor: Actor, now: datetime, why: str, by: str | None = None
) -> bool:  # fmt: skip
    if not unit.oncall.end_page(running, state, by=by or actor.name, now=now):
        return False
    unit.notices.drop_of(running.incident_id, (Moment.PAGED, Moment.ESCALATED), why=why)
    log_incident(unit, running.incident_id, "page-ended", f"nobody more is called: {why}", actor=actor, at=now)
    detail = {"venture": running.venture, "why": why}
    note(unit, actor, "oncall.page_ended", f"incident/{running.incident_id}", now=now, before="calling", after=state.value, detail=detail)
    return True


def _advance(unit: Unit, incident: Incident, running: Page, policy: Escalation, *, now: datetime) -> bool:
    """Call the next level. The move of the run comes first: who loses that race writes nothing."""
    step = next_step(policy.spec, running)
    calls, problems = _calls(unit, incident.venture or "", step.targets, now)
    if not calls and not step.last:
        more, others = _calls(unit, incident.venture or "", policy.spec.fallback, now)
        calls, problems = more, [*problems, *others]
    called: list[dict[str, Any]] = [
        {"at": now.isoformat(), "round": step.round, "level": step.level, "person": c.person, "channel": c.channel, "via": c.via}
        for c in calls
    ] + [{"at": now.isoformat(), "round": step.round, "level": step.level, "problem": each} for each in problems]
    if step.last:
        moved = unit.oncall.end_page(running, PageState.EXHAUSTED, by=None, now=now, called=called)
    else:
        moved = unit.oncall.advance(running, called=called, round_=step.round, level=step.level, due_at=now + step.wait)
    if not moved:
        return False
    _put_down(unit, incident, running, step, calls, now)
    _write(unit, incident, running, step, calls, problems, now)
    return True


def _calls(unit: Unit, venture: str, targets: tuple[Target, ...], now: datetime) -> tuple[list[_Call], list[str]]:
    """Whom to call over which channels, each channel once; and what stands in the way."""
    found: dict[tuple[str, str], _Call] = {}
    problems = []
    for target in targets:
        some = list(_resolved(unit, venture, target, now))
        if not some:
            problems.append(f"{target} reaches nobody")
        for each in some:
            found.setdefault((each.person, each.channel), each)
    return list(found.values()), problems


def _resolved(unit: Unit, venture: str, target: Target, now: datetime) -> Iterator[_Call]:
    if target.channel is not None:
        yield _Call("all", "all", target.channel, str(target))
        return
    person = target.person
    if target.schedule is not None:
        schedule = unit.oncall.find(Schedule, target.schedule)
        person = duty_of(unit, schedule, now).person if schedule else None
    if person is not None:
        name, channels = people_reached(unit, venture, person)
        for channel in channels:
            yield _Call(person, name, channel, str(target))


def _put_down(unit: Unit, incident: Incident, running: Page, step: Step, calls: list[_Call], now: datetime) -> None:
    telling = telling_of(unit, running.venture)
    level = "the last resort" if step.last else f"{step.level + 1}" + (f", again ({step.round + 1})" if step.round else "")
    values = values_of(unit, incident, Words(level=level), telling, now=now)
    template = template_of(telling, Audience.ENGINEERS, Moment.PAGED) or ("{title}", "{link}")
    for call in calls:
        said: Message = message(template, values | {"person": call.name})
        unit.notices.add(
            f"page/{running.id}/{step.round}/{step.level}/{int(step.last)}/{call.channel}/{call.person}", said, venture=running.venture,
            incident_id=incident.id, moment=Moment.PAGED, audience=Audience.ENGINEERS, channel=call.channel, recipient=call.person,
            now=now,
        )  # fmt: skip
    if step.last or step.level or step.round:
        key = f"escalated/{running.id}/{step.round}/{step.level}/{int(step.last)}"
        tell_channels(unit, incident, Moment.ESCALATED, Words(key=key, level=level), now=now)


def _write(
    unit: Unit, incident: Incident, running: Page, step: Step, calls: list[_Call], problems: list[str], now: datetime
) -> None:  # fmt: skip
    """The log of the incident, and the audit."""
    who = ", ".join(f"{call.person} by {call.channel}" for call in calls) or "nobody"
    where = "the last resort" if step.last else f"level {step.level + 1}, round {step.round + 1}"
    words = "; ".join([f"{where} of {running.policy}: {who} is called", *problems])
    detail = {"round": step.round, "level": step.level, "last": step.last, "people": [call.person for call in calls], "problems": problems}
    log_incident(unit, incident.id, "paged", words, actor=OURSELVES, at=now, detail=detail)
    action = "oncall.exhausted" if step.last else "oncall.called"
    note(unit, OURSELVES, action, f"incident/{incident.id}", now=now, detail=detail | {"venture": running.venture})
    if not calls:
        log.error("an escalation reaches nobody", incident_id=incident.id, escalation=running.policy, problems=problems)
