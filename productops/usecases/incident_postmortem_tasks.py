"""Tasks that follow an incident: made, listed, done. They lie in the table of tasks that insights have, too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from typing import Any

from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident_postmortem import Task, TaskFilter
from productops.errors import ConflictError, InvalidInputError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, incident_for
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident

DUE_MAX = timedelta(days=3660)
TITLE_MAX = 500


@dataclass(frozen=True, slots=True)
class TaskWish:
    """What somebody has to do."""

    title: str
    owner: str | None = None
    due_day: date | None = None
    body: str = ""


@dataclass(frozen=True, slots=True)
class TaskChange:
    """What becomes of a task; None leaves as it is. ``state``: open or done."""

    state: str | None = None
    owner: str | None = None
    due_day: date | None = None


def add_task(context: Context, incident_id: str, wish: TaskWish, *, actor: Actor) -> Task:
    """Make a task of an incident. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    title = " ".join(wish.title.split())
    today = context.clock.now().astimezone(UTC).date()
    if not title or len(title) > TITLE_MAX:
        raise InvalidInputError(f"a task needs a title of at most {TITLE_MAX} characters")
    if wish.due_day is not None and not today - DUE_MAX < wish.due_day < today + DUE_MAX:
        raise InvalidInputError(f"{wish.due_day} is no day for a task; write one of the next years")
    with context.store.write() as unit:
        found = incident_for(unit, incident_id, actor, Operation.INCIDENT_RESPOND)
        now, venture = context.clock.now(), found["venture"] or ""
        task_id = unit.postmortems.add_task(
            incident_id, venture=venture, title=title, body=wish.body, owner=wish.owner, due_day=wish.due_day, by=actor.name, now=now
        )
        made = unit.postmortems.task(task_id)
        owner = wish.owner or "nobody yet"
        log_incident(unit, incident_id, "action", f"task: {title} ({owner}, due {wish.due_day or 'on no day'})", actor=actor, at=now,
                     detail={"task": task_id})  # fmt: skip
        note(unit, actor, "task.made", f"task/{task_id}", now=now, after=_told(made), detail={"venture": venture, "incident": incident_id})
        return made


def list_tasks(context: Context, wanted: TaskFilter, *, actor: Actor, overdue: bool = False, limit: int = 200) -> list[Task]:
    """Tasks of ventures the caller may see, those due first come first. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    ventures = wanted.ventures if seen is None else seen if wanted.ventures is None else wanted.ventures & seen
    today = context.clock.now().astimezone(UTC).date()
    with context.store.read() as unit:
        return unit.postmortems.tasks(replace(wanted, ventures=ventures, overdue_on=today if overdue else None), limit=limit)


def change_task(context: Context, task_id: str, change: TaskChange, *, actor: Actor) -> Task:
    """Finish it, open it again, give it to somebody, or to another day. Raises: NotFoundError, ForbiddenError, ConflictError."""
    with context.store.write() as unit:
        before = _task_for(unit, task_id, actor)
        now = context.clock.now()
        values: dict[str, Any] = {}
        if change.owner is not None:
            values["owner"] = change.owner or None
        if change.due_day is not None:
            values |= {"due_day": change.due_day, "reminded_on": None}
        if change.state is not None and change.state != before.state:
            values |= {"state": change.state, "done_at": now if change.state == "done" else None}
        if not values:
            return before
        if not unit.postmortems.change_task(before, values):
            raise ConflictError(f"task {task_id} changed at the same moment; look at it and repeat")
        after = unit.postmortems.task(task_id)
        if after.state != before.state:
            words = f"task {'done' if after.state == 'done' else 'opened again'}: {after.title}"
            log_incident(unit, before.incident_id, "action", words, actor=actor, at=now, detail={"task": task_id})
        note(
            unit, actor, "task.changed", f"task/{task_id}", now=now, before=_told(before), after=_told(after),
            detail={"venture": before.venture, "incident": before.incident_id},
        )  # fmt: skip
        return after


def _task_for(unit: Unit, task_id: str, actor: Actor) -> Task:
    """Raises: NotFoundError, ForbiddenError."""
    found = unit.postmortems.task(task_id)
    demand(
        actor, Operation.INCIDENT_RESPOND, seen_by=Operation.INCIDENT_READ, venture=found.venture,
        missing=f"there is no task {task_id[:80]!r} of an incident; list them with: productops postmortem actions",
    )  # fmt: skip
    return found


def _told(task: Task) -> dict[str, Any]:
    return {"title": task.title, "owner": task.owner, "due": str(task.due_day) if task.due_day else None, "state": task.state}
