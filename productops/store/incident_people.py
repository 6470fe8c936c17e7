"""What is declared about people in incidents, who stands in for whom, and runs through escalations: rows in and out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from productops.domain.catalog_oncall import EscalationSpec, OnCallSpec
from productops.domain.catalog_oncall_telling import ChannelSpec, StatusPageSpec, TellingSpec
from productops.domain.incident_escalation import Page, PageState
from productops.domain.incident_oncall import Channel, Escalation, Override, Schedule, StatusPage, Telling
from productops.errors import ConflictError, NotFoundError
from productops.store.identity import new_id
from productops.store.tables import IncidentPageRow, OnCallOverrideRow, PeopleDeclaredRow

Declared = Schedule | Escalation | Channel | Telling | StatusPage
D = TypeVar("D", Schedule, Escalation, Channel, Telling, StatusPage)
KINDS: dict[type[Any], tuple[str, type[BaseModel]]] = {
    Schedule: ("OnCall", OnCallSpec), Escalation: ("Escalation", EscalationSpec), Channel: ("Channel", ChannelSpec),
    Telling: ("Telling", TellingSpec), StatusPage: ("StatusPage", StatusPageSpec),
}  # fmt: skip
_CALLING = PageState.CALLING.value


class OnCall:
    """Repository of what is declared, of overrides and of pages within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self, wanted: type[D], *, ventures: Collection[str] | None = None) -> list[D]:
        """Of one kind, by name; ``ventures`` None: of all."""
        row = PeopleDeclaredRow
        query = select(row).where(row.kind == KINDS[wanted][0]).order_by(row.name).execution_options(populate_existing=True)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        return [_declared(wanted, each) for each in self._session.scalars(query)]

    def find(self, wanted: type[D], name: str) -> D | None:
        """None when there is none of that name."""
        row = self._session.get(PeopleDeclaredRow, (KINDS[wanted][0], name), populate_existing=True)
        return None if row is None else _declared(wanted, row)

    def get(self, wanted: type[D], name: str) -> D:
        """Raises: NotFoundError."""
        found = self.find(wanted, name)
        if found is None:
            kind = KINDS[wanted][0]
            raise NotFoundError(f"there is no {kind} {name[:80]!r}; declare it in the catalog (kind: {kind}) and apply it")
        return found

    def declared_in(self, bases: Collection[str]) -> list[tuple[str, str]]:
        """Kind and name of what catalog files of these folders declared."""
        row = PeopleDeclaredRow
        query = select(row.kind, row.name).where(row.base.in_(sorted(bases))).order_by(row.kind, row.name)
        return [(kind, name) for kind, name in self._session.execute(query)]

    def document(self, kind: str, name: str) -> dict[str, Any] | None:
        """As it is declared now; None for nothing."""
        row = self._session.get(PeopleDeclaredRow, (kind, name), populate_existing=True)
        return None if row is None else {"venture": row.venture} | row.spec

    def put(self, kind: str, name: str, *, venture: str, spec: BaseModel, base: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'."""
        document = spec.model_dump(mode="json")
        row = self._session.get(PeopleDeclaredRow, (kind, name))
        if row is None:
            self._session.add(
                PeopleDeclaredRow(kind=kind, name=name, venture=venture, spec=document, base=base, revision=1, updated_at=now)
            )
            self._session.flush()
            return "created"
        if (row.venture, row.spec, row.base) == (venture, document, base):
            return "unchanged"
        row.venture, row.spec, row.base, row.revision, row.updated_at = venture, document, base, row.revision + 1, now
        self._session.flush()
        return "changed"

    def remove(self, kind: str, name: str) -> None:
        """What was told and who was called stays on record."""
        row = PeopleDeclaredRow
        self._session.execute(delete(row).where(row.kind == kind, row.name == name))

    def overrides(self, schedule: str, *, since: datetime, until: datetime) -> list[Override]:
        """Those of a schedule that reach into [since, until), in the order they were made."""
        row = OnCallOverrideRow
        query = select(row).where(
            row.schedule == schedule, row.removed_at.is_(None), row.ends_at > since, row.starts_at < until
        )  # fmt: skip
        return [_override(each) for each in self._session.scalars(query.order_by(row.at, row.id))]

    def override(self, override_id: str) -> Override:
        """Raises: NotFoundError, also for one that was taken back."""
        row = self._session.get(OnCallOverrideRow, parse_id(override_id, "override"), populate_existing=True)
        if row is None or row.removed_at is not None:
            raise NotFoundError(f"there is no override {override_id[:80]!r}; list them with: productops oncall show SCHEDULE")
        return _override(row)

    def add_override(self, made: Override, *, source: str | None = None) -> str:
        """Write it down; one of the same ``source`` (an event of a calendar) is replaced. Returns its id."""
        row = OnCallOverrideRow
        known = None
        if source is not None:
            known = self._session.scalars(select(row).where(row.schedule == made.schedule, row.source == source)).first()
        if known is None:
            known = row(id=new_id(), schedule=made.schedule, source=source)
            self._session.add(known)
        known.person, known.starts_at, known.ends_at, known.removed_at = made.person, made.starts_at, made.ends_at, None
        known.reason, known.by, known.at = made.reason, made.by, made.at
        self._session.flush()
        return str(known.id)

    def remove_override(self, override_id: str, *, now: datetime) -> bool:
        """Take it back; False when somebody did."""
        row = OnCallOverrideRow
        query = update(row).where(row.id == parse_id(override_id, "override"), row.removed_at.is_(None)).values(removed_at=now)
        done: Any = self._session.execute(query.execution_options(synchronize_session="fetch"))
        return bool(done.rowcount == 1)

    def page_of(self, incident_id: str) -> Page | None:
        """The latest run through an escalation; None when nobody was called."""
        row = IncidentPageRow
        query = select(row).where(row.incident_id == parse_id(incident_id, "incident")).order_by(row.number.desc()).limit(1)
        found = self._session.scalars(query.execution_options(populate_existing=True)).first()
        return None if found is None else _page(found)

    def start_page(self, incident_id: str, *, venture: str, policy: str, now: datetime) -> Page:
        """Begin a run. Raises: ConflictError while one goes on."""
        before = self.page_of(incident_id)
        if before is not None and before.state is PageState.CALLING:
            raise ConflictError(f"incident {incident_id} calls people already, by {before.policy}")
        row = IncidentPageRow(
            id=new_id(), incident_id=parse_id(incident_id, "incident"), number=1 if before is None else before.number + 1,
            venture=venture, policy=policy, state=_CALLING, round=0, level=-1, called=[], due_at=now, started_at=now, ended_at=None,
            by=None,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return _page(row)

    def calling(self, *, due_by: datetime | None = None, limit: int = 500) -> list[Page]:
        """Runs that go on, those due first; ``due_by``: only those due by then."""
        row = IncidentPageRow
        query = select(row).where(row.state == _CALLING).order_by(row.due_at, row.id).limit(limit)
        if due_by is not None:
            query = query.where(row.due_at <= due_by)
        return [_page(each) for each in self._session.scalars(query.execution_options(populate_existing=True))]

    def next_due(self) -> datetime | None:
        """When the next level is called; None when nobody is waited for."""
        row = IncidentPageRow
        return self._session.scalar(select(func.min(row.due_at)).where(row.state == _CALLING))

    def advance(self, page: Page, *, called: Sequence[dict[str, Any]], round_: int, level: int, due_at: datetime) -> bool:
        """The next level was called; False when another process did that, or it ended."""
        values = {"round": round_, "level": level, "due_at": due_at, "called": [*page.called, *called]}
        return self._move(page, values)

    def end_page(self, page: Page, state: PageState, *, by: str | None, now: datetime, called: Sequence[dict[str, Any]] = ()) -> bool:
        """Nobody is called any more; False when another process was quicker."""
        ended = {"state": state.value, "due_at": None, "ended_at": now, "by": by, "called": [*page.called, *called]}
        return self._move(page, ended)

    def _move(self, page: Page, values: dict[str, Any]) -> bool:
        row = IncidentPageRow
        same = (row.id == uuid.UUID(page.id), row.state == _CALLING, row.round == page.round, row.level == page.level)
        done: Any = self._session.execute(update(row).where(*same).values(**values).execution_options(synchronize_session=False))
        return bool(done.rowcount == 1)


def parse_id(text: str, what: str) -> uuid.UUID:
    """Raises: NotFoundError for what is no id."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFoundError(f"there is no {what} {text[:80]!r}") from error


def _declared(wanted: type[D], row: PeopleDeclaredRow) -> D:
    spec: Any = KINDS[wanted][1].model_validate(row.spec)
    return wanted(row.name, row.venture, spec, row.revision)


def _override(row: OnCallOverrideRow) -> Override:
    return Override(str(row.id), row.schedule, row.person, row.starts_at, row.ends_at, row.reason, row.by, row.at)


def _page(row: IncidentPageRow) -> Page:
    return Page(
        str(row.id), str(row.incident_id), row.number, row.venture, row.policy, PageState(row.state), row.round, row.level,
        tuple(row.called), row.due_at, row.started_at, row.ended_at, row.by,
    )  # fmt: skip
