"""Remind people: that an update is due, and that a task is overdue. Driven by ticks; each reminder is put down once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from productops.domain.incident import Incident
from productops.domain.incident_oncall import Channel, Schedule
from productops.domain.incident_postmortem import Task
from productops.domain.incident_updates import Audience, Cadence, Moment, fill, message
from productops.store import Unit
from productops.usecases.context import OURSELVES, Context
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident
from productops.usecases.incident_oncall_duty import duty_of, people_reached
from productops.usecases.incident_tell import Words, cadence_of, telling_of, template_of, values_of, wants
from productops.usecases.incident_tell_public import still_told

SOONEST: Final = timedelta(minutes=5)
PART: Final = 3
_LEADERS: Final = ("communications", "commander")
MORNING_H: Final = 8


def remind_updates(context: Context, now: datetime | None = None) -> int:
    """Remind whoever leads that the next word of an incident is due, again and again until it comes. Returns how many were reminded.

    Who has the role communications or commander is told, else who is on call, else the engineers' channels.
    Raises: StoreUnavailableError.
    """
    at = now or context.clock.now()
    with context.store.read() as unit:
        due = unit.notices.cadences_due(now=at)
    return sum(_remind(context, each, at) for each in due)


def _remind(context: Context, cadence: Cadence, now: datetime) -> int:
    with context.store.write() as unit:
        incident = unit.incidents.get(cadence.incident_id)
        if incident.merged_into is not None or (not incident.live and not still_told(unit, incident.id)):
            unit.notices.remind(cadence, next_at=None)
            return 0
        minutes = cadence_of(telling_of(unit, cadence.venture)).get(incident.severity, 0)
        every = max(SOONEST, timedelta(minutes=minutes / PART))
        if not unit.notices.remind(cadence, next_at=now + every if minutes else None) or not minutes:
            return 0
        reached = _tell_leaders(unit, incident, cadence, now)
        late = f"{cadence.due_at:%Y-%m-%d %H:%M} UTC" if cadence.due_at else "now"
        words = f"an update was due at {late}; reminded: {', '.join(reached) or 'nobody, for no channel is declared'}"
        detail = {"reminded": cadence.reminded + 1, "people": reached, "venture": cadence.venture}
        log_incident(unit, incident.id, "update-due", words, actor=OURSELVES, at=now, detail=detail)
        note(unit, OURSELVES, "incident.update_due", f"incident/{incident.id}", now=now, detail=detail)
    return 1


def _tell_leaders(unit: Unit, incident: Incident, cadence: Cadence, now: datetime) -> list[str]:
    """Put the reminder down; returns who gets it."""
    telling = telling_of(unit, cadence.venture)
    template = template_of(telling, Audience.ENGINEERS, Moment.REMINDER) or ("{title}", "{link}")
    values = values_of(unit, incident, Words(), telling, now=now) | {
        "next_update": f"{cadence.due_at:%Y-%m-%d %H:%M}" if cadence.due_at else "now"
    }
    told = {}
    for person, name, channel in _leaders(unit, incident, cadence.venture, now):
        said = message(template, values | {"person": name})
        key = f"{incident.id}/due/{cadence.told_at.isoformat()}/{cadence.reminded}/{channel}/{person}"
        added = unit.notices.add(
            key, said, venture=cadence.venture, incident_id=incident.id, moment=Moment.REMINDER, audience=Audience.ENGINEERS,
            channel=channel, recipient=person, now=now,
        )  # fmt: skip
        if added:
            told[person] = True
    return list(told)


def _leaders(unit: Unit, incident: Incident, venture: str, now: datetime) -> Iterable[tuple[str, str, str]]:
    """Person, name and channel of who is to say something."""
    people = [incident.roles[role] for role in _LEADERS if incident.roles.get(role)]
    if not people and incident.acknowledged_by:
        people = [incident.acknowledged_by]
    if not people:
        on = [duty_of(unit, schedule, now).person for schedule in unit.oncall.all(Schedule, ventures={venture})]
        people = [person for person in on if person]
    found = _reach(unit, venture, people)
    if found:
        return found
    shared = [c for c in unit.oncall.all(Channel, ventures={venture}) if c.spec.audience is Audience.ENGINEERS]
    return [("all", "all", c.name) for c in shared if wants(c.spec, incident, Moment.REMINDER)]


def _reach(unit: Unit, venture: str, people: Iterable[str]) -> list[tuple[str, str, str]]:
    found = []
    for person in dict.fromkeys(people):
        name, channels = people_reached(unit, venture, person)
        found += [(person, name, channel) for channel in channels]
    return found


def remind_tasks(context: Context, now: datetime | None = None) -> int:
    """Remind owners of overdue tasks once a day, from eight in the morning (UTC) on. Returns how many were reminded of.

    Raises: StoreUnavailableError.
    """
    at = (now or context.clock.now()).astimezone(UTC)
    if at.hour < MORNING_H:
        return 0
    with context.store.read() as unit:
        due = unit.postmortems.unreminded(today=at.date())
    return sum(_remind_task(context, task, at) for task in due)


def _remind_task(context: Context, task: Task, now: datetime) -> int:
    with context.store.write() as unit:
        if not unit.postmortems.change_task(task, {"reminded_on": now.date()}):
            return 0
        telling = telling_of(unit, task.venture)
        template = template_of(telling, Audience.ENGINEERS, Moment.OVERDUE) or ("{title}", "{link}")
        reached = _reach(unit, task.venture, [task.owner] if task.owner else [])
        if not reached:
            shared = [c for c in unit.oncall.all(Channel, ventures={task.venture}) if c.spec.audience is Audience.ENGINEERS]
            reached = [("all", task.owner or "somebody", c.name) for c in shared if not c.spec.personal]
        values = {
            "title": task.title, "summary": f"it was due on {task.due_day}.", "incident": task.incident_id,
            "link": f"productops postmortem done {task.id}",
        }  # fmt: skip
        for person, name, channel in reached:
            said = message((fill(template[0], values | {"person": name}, characters_max=200), template[1]), values | {"person": name})
            unit.notices.add(
                f"task/{task.id}/{now.date()}/{channel}/{person}", said, venture=task.venture, incident_id=task.incident_id,
                moment=Moment.OVERDUE, audience=Audience.ENGINEERS, channel=channel, recipient=person, now=now,
            )  # fmt: skip
        detail = {"due": str(task.due_day), "owner": task.owner, "told": len(reached), "venture": task.venture}
        note(unit, OURSELVES, "task.overdue", f"task/{task.id}", now=now, detail=detail)
    return 1
