"""Post-mortems, the texts they had, and the tasks that follow: rows in and out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from productops.domain.incident_postmortem import Draft, Postmortem, PostmortemState, PostmortemVersion, Task, TaskFilter
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.incident_people import parse_id
from productops.store.tables import AnalyticsTaskRow, PostmortemRow, PostmortemVersionRow


class Postmortems:
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, incident_id: str) -> Postmortem | None:
        """None when none was drafted."""
        row = self._session.get(PostmortemRow, parse_id(incident_id, "incident"), populate_existing=True)
        return None if row is None else _postmortem(row)

    def get(self, incident_id: str) -> Postmortem:
        """Raises: NotFoundError."""
        found = self.find(incident_id)
        if found is None:
            asked = incident_id[:80]
            raise NotFoundError(f"incident {asked} has no post-mortem yet; draft it: productops postmortem draft {asked}")
        return found

    def page(self, *, ventures: Collection[str] | None, state: str | None, limit: int) -> list[Postmortem]:
        """Newest first; ``ventures`` None: of all."""
        row = PostmortemRow
        query = select(row).order_by(row.drafted_at.desc(), row.incident_id.desc()).limit(limit)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if state is not None:
            query = query.where(row.state == state)
        return [_postmortem(each) for each in self._session.scalars(query)]

    def add(self, incident_id: str, draft: Draft, *, venture: str, by: str, now: datetime) -> None:
        """The first text of it."""
        self._session.add(
            PostmortemRow(
                incident_id=parse_id(incident_id, "incident"), venture=venture, state=PostmortemState.DRAFT.value, revision=1,
                title=draft.title, text=draft.text, facts=dict(draft.facts), updated_by=by, updated_at=now, drafted_at=now,
                published_at=None, published_by=None,
            )
        )  # fmt: skip
        self._session.flush()
        self._keep(incident_id, 1, draft.text, by=by, now=now)

    def change(self, before: Postmortem, *, by: str, now: datetime, **values: Any) -> bool:
        """Another text, title, facts or state; False when somebody was quicker. A new text is kept as a version."""
        row = PostmortemRow
        same = (row.incident_id == parse_id(before.incident_id, "incident"), row.revision == before.revision)
        changed = {"revision": before.revision + 1, "updated_by": by, "updated_at": now} | values
        done: Any = self._session.execute(update(row).where(*same).values(**changed).execution_options(synchronize_session=False))
        if done.rowcount != 1:
            return False
        self._keep(before.incident_id, before.revision + 1, str(values.get("text", before.text)), by=by, now=now)
        return True

    def _keep(self, incident_id: str, revision: int, text: str, *, by: str, now: datetime) -> None:
        self._session.add(PostmortemVersionRow(incident_id=parse_id(incident_id, "incident"), revision=revision, text=text, by=by, at=now))
        self._session.flush()

    def versions(self, incident_id: str) -> list[PostmortemVersion]:
        """Newest first."""
        row = PostmortemVersionRow
        query = select(row).where(row.incident_id == parse_id(incident_id, "incident")).order_by(row.revision.desc()).limit(500)
        return [PostmortemVersion(each.revision, each.text, each.by, each.at) for each in self._session.scalars(query)]

    def add_task(
        self, incident_id: str, *, venture: str, title: str, body: str, owner: str | None, due_day: date | None, by: str, now: datetime
    ) -> str:
        """A task of an incident; returns its id."""
        row = AnalyticsTaskRow(
            id=new_id(), venture=venture, insight_id=None, incident_id=parse_id(incident_id, "incident"), title=title, body=body,
            state="open", owner=owner, due_day=due_day, by=by, at=now, done_at=None, reminded_on=None, revision=1,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return str(row.id)

    def task(self, task_id: str) -> Task:
        """Raises: NotFoundError."""
        row = self._session.get(AnalyticsTaskRow, parse_id(task_id, "task"), populate_existing=True)
        if row is None or row.incident_id is None:
            raise NotFoundError(f"there is no task {task_id[:80]!r} of an incident; list them with: productops postmortem actions")
        return _task(row)

    def tasks(self, wanted: TaskFilter, *, limit: int) -> list[Task]:
        """Those due first come first; those without a day last."""
        row = AnalyticsTaskRow
        query = select(row).where(row.incident_id.is_not(None)).order_by(row.due_day.is_(None), row.due_day, row.id).limit(limit)
        if wanted.ventures is not None:
            query = query.where(row.venture.in_(sorted(wanted.ventures)))
        if wanted.incident_id is not None:
            query = query.where(row.incident_id == parse_id(wanted.incident_id, "incident"))
        if wanted.owner is not None:
            query = query.where(row.owner == wanted.owner)
        if wanted.state is not None:
            query = query.where(row.state == wanted.state)
        if wanted.overdue_on is not None:
            query = query.where(row.state == "open", row.due_day < wanted.overdue_on)
        return [_task(each) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def unreminded(self, *, today: date, limit: int = 100) -> list[Task]:
        """Open ones whose day is over and of which nobody was reminded today."""
        row = AnalyticsTaskRow
        query = (
            select(row)
            .where(
                row.incident_id.is_not(None), row.state == "open", row.due_day < today,
                row.reminded_on.is_(None) | (row.reminded_on < today),
            )
            .order_by(row.due_day, row.id)
            .limit(limit)
        )  # fmt: skip
        return [_task(each) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def change_task(self, before: Task, values: Mapping[str, Any]) -> bool:
        """Compare and set; False when somebody was quicker."""
        row = AnalyticsTaskRow
        same = (row.id == parse_id(before.id, "task"), row.revision == before.revision)
        changed = dict(values) | {"revision": before.revision + 1}
        done: Any = self._session.execute(update(row).where(*same).values(**changed).execution_options(synchronize_session=False))
        return bool(done.rowcount == 1)


def _postmortem(row: PostmortemRow) -> Postmortem:
    return Postmortem(
        str(row.incident_id), row.venture, PostmortemState(row.state), row.revision, row.title, row.text, row.facts, row.updated_by,
        row.updated_at, row.drafted_at, row.published_at, row.published_by,
    )  # fmt: skip


def _task(row: AnalyticsTaskRow) -> Task:
    return Task(
        str(row.id), row.venture, str(row.incident_id), row.title, row.body, row.state, row.owner, row.due_day, row.by, row.at,
        row.done_at, row.reminded_on, row.revision,
    )  # fmt: skip
