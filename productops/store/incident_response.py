"""Playbooks, responses with their journal, holds of people, drills: rows in and out. Every change of a response is fenced."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.catalog_playbook import PlaybookEntry, PlaybookSpec, plain
from productops.domain.incident_playbook import ACTIONS, Action, Playbook, Response, ResponseState, StepRecord
from productops.domain.release import Environment
from productops.errors import ConflictError, NotFoundError, TakenOverError
from productops.store.identity import new_id
from productops.store.incident_drills import IncidentDrills
from productops.store.tables import CatalogRevision, IncidentDrillRow, IncidentPlaybookRow, IncidentResponseRow, IncidentStepRow

KIND = "Playbook"
LIVE = ("running", "undoing")


class Responses(IncidentDrills):
    """Repository within one transaction."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)

    # ---- playbooks

    def put_playbook(self, entry: PlaybookEntry, *, base: str, author: str, now: datetime) -> tuple[str, dict[str, Any] | None]:
        """Insert or update what is declared. Returns created, changed or unchanged, and the spec before."""
        name, spec = entry.metadata.name, plain(entry.spec)
        row = self._session.get(IncidentPlaybookRow, name)
        if row is not None and (row.spec, row.venture) == (spec, entry.metadata.venture):
            row.base = base
            return "unchanged", None
        before = dict(row.spec) if row is not None else None
        revision = self._revise(name, spec, author=author, now=now)
        if row is None:
            row = IncidentPlaybookRow(name=name)
            self._session.add(row)
        row.venture, row.spec, row.base, row.revision, row.updated_at = entry.metadata.venture, spec, base, revision, now
        self._session.flush()
        return ("created" if before is None else "changed"), before

    def playbooks(self, *, venture: str | None = None) -> list[Playbook]:
        """By name; with ``venture`` those that are for it, or for all."""
        query = select(IncidentPlaybookRow).order_by(IncidentPlaybookRow.name)
        if venture is not None:
            query = query.where(or_(IncidentPlaybookRow.venture.is_(None), IncidentPlaybookRow.venture == venture))
        return [_playbook(row) for row in self._session.scalars(query)]

    def playbook(self, name: str) -> Playbook:
        """Raises: NotFoundError."""
        row = self._session.get(IncidentPlaybookRow, name)
        if row is None:
            raise NotFoundError(f"there is no playbook {name[:80]!r}; list them with: productops playbook list")
        return _playbook(row)

    def playbooks_in(self, bases: Collection[str]) -> list[str]:
        """Names of those that were declared in these folders."""
        return list(self._session.scalars(select(IncidentPlaybookRow.name).where(IncidentPlaybookRow.base.in_(sorted(bases)))))

    def remove_playbook(self, name: str) -> None:
        """Forget one; its revisions stay, and so do responses, which keep a copy."""
        self._session.execute(delete(IncidentPlaybookRow).where(IncidentPlaybookRow.name == name))

    def _revise(self, name: str, spec: dict[str, Any], *, author: str, now: datetime) -> int:
        last = select(func.max(CatalogRevision.revision)).where(CatalogRevision.kind == KIND, CatalogRevision.name == name)
        revision = (self._session.scalar(last) or 0) + 1
        self._session.add(CatalogRevision(kind=KIND, name=name, revision=revision, spec=spec, author=author, applied_at=now))
        return revision

    # ---- responses

    def begin(self, response: Response, subjects: Collection[str]) -> str:
        """Write a response with its journal; ``subjects`` names for each step what it acts on. Returns its id.

        Raises: ConflictError when somebody else began this one.
        """
        found = new_id()
        self._session.add(
            IncidentResponseRow(
                id=found, incident_id=_id(response.incident_id), number=response.number, playbook=response.playbook,
                spec=plain(response.spec), base=response.base, venture=response.venture, service=response.service,
                environment=response.environment.value, cause=dict(response.cause), mode=response.mode, state=response.state.value,
                why=response.why, reason=response.reason, by=response.by, since=response.since, created_at=response.created_at,
                ended_at=response.ended_at, holder="", held_until=None, fence=0, flow_run_id=None,
            )
        )  # fmt: skip
        try:
            self._session.flush()
        except IntegrityError as error:
            raise ConflictError(f"incident {response.incident_id} has a response {response.number} already") from error
        for step, subject in zip(response.steps, subjects, strict=True):
            self.add_step(str(found), step, subject=subject)
        return str(found)

    def add_step(self, response_id: str, step: StepRecord, *, subject: str) -> None:
        """A line of the journal, before anything of it is done."""
        self._session.add(
            IncidentStepRow(
                response_id=_id(response_id), role=step.role, index=step.index, do=step.do, spec=dict(step.spec), subject=subject[:255],
                state=step.state, attempts=step.attempts, started_at=step.started_at, ended_at=step.ended_at, not_before=step.not_before,
                memory=dict(step.memory), result=step.result,
            )
        )  # fmt: skip
        self._session.flush()

    def find(self, response_id: str) -> Response | None:
        """One response with its journal."""
        row = self._session.get(IncidentResponseRow, _id(response_id), populate_existing=True)
        return self._response(row) if row is not None else None

    def get(self, response_id: str) -> Response:
        """Raises: NotFoundError."""
        found = self.find(response_id)
        if found is None:
            raise NotFoundError(f"there is no response {response_id[:80]!r}")
        return found

    def of_incident(self, incident_id: str, *, mode: str = "act") -> list[Response]:
        """All responses to an incident, the first one first."""
        query = select(IncidentResponseRow).where(IncidentResponseRow.incident_id == _id(incident_id), IncidentResponseRow.mode == mode)
        return [self._response(row) for row in self._session.scalars(query.order_by(IncidentResponseRow.number))]

    def live(self, *, limit: int = 200) -> list[Response]:
        """Those that are under way, the oldest first."""
        query = select(IncidentResponseRow).where(IncidentResponseRow.state.in_(LIVE)).order_by(IncidentResponseRow.id).limit(limit)
        return [self._response(row) for row in self._session.scalars(query)]

    def take(self, response_id: str, *, holder: str, now: datetime, ttl: timedelta) -> Response | None:
        """Become its holder, or stay it; None while somebody else is, or once it has ended."""
        row = IncidentResponseRow
        free = or_(row.holder == holder, row.holder == "", row.held_until.is_(None), row.held_until < now)
        changed = self._run(
            update(row)
            .where(row.id == _id(response_id), row.state.in_(LIVE), free)
            .values(holder=holder, held_until=now + ttl, fence=row.fence + 1)
        )
        return self.find(response_id) if changed else None

    def renew(self, response: Response, *, now: datetime, ttl: timedelta) -> None:
        """Hold it for longer. Raises: TakenOverError."""
        self._fenced(response, held_until=now + ttl)

    def let_go(self, response: Response) -> None:
        """Let the next one carry it on at once. Nothing happens when somebody has it already."""
        row = IncidentResponseRow
        self._run(update(row).where(row.id == _id(response.id), row.fence == response.fence).values(holder="", held_until=None))

    def hand_to(self, response_id: str, *, flow_run_id: str) -> str:
        """Note which flow run follows it, unless one does already; returns the one that does."""
        row = IncidentResponseRow
        self._run(update(row).where(row.id == _id(response_id), row.flow_run_id.is_(None)).values(flow_run_id=flow_run_id))
        return self._session.scalar(select(row.flow_run_id).where(row.id == _id(response_id))) or flow_run_id

    def turn(self, response: Response, state: ResponseState, *, reason: str = "", ended_at: datetime | None = None) -> None:
        """Move it, as its holder. Raises: TakenOverError."""
        self._fenced(response, state=state.value, reason=reason, ended_at=ended_at)

    def decide(self, response: Response, state: ResponseState, *, reason: str, ended_at: datetime | None = None) -> None:
        """Move it by a person's word, whoever holds it: whoever does is fenced out. Raises: ConflictError when it moved meanwhile."""
        row = IncidentResponseRow
        changed = self._run(
            update(row)
            .where(row.id == _id(response.id), row.state == response.state.value)
            .values(state=state.value, reason=reason, ended_at=ended_at, holder="", held_until=None, fence=row.fence + 1)
        )
        if not changed:
            raise ConflictError(f"response {response.id} is no longer {response.state}; look at it again")

    def set_step(self, response: Response, step: StepRecord, **values: Any) -> None:
        """Write a line of the journal, as the response's holder. Raises: TakenOverError."""
        self._fenced(response)
        row = IncidentStepRow
        self._run(
            update(row)
            .where(row.response_id == _id(response.id), row.role == step.role, row.index == step.index)
            .values(**values)
        )  # fmt: skip

    def actions_since(self, service: str, environment: Environment, *, since: datetime) -> list[Action]:
        """What playbooks did there since; steps under way count, too. Not what a person began, nor what there was nothing to do for.

        Nor what was done while a drill went on that is over: a rehearsal must not use up what the next night needs, whichever incident took
        its alerts in.
        """
        step, response, drill = IncidentStepRow, IncidentResponseRow, IncidentDrillRow
        rehearsed = exists().where(
            drill.venture == response.venture, drill.environment == response.environment, drill.begun_at <= response.created_at,
            drill.ended_at >= response.created_at,
        )  # fmt: skip
        query = (
            select(step.do, step.subject, step.started_at, step.memory)
            .join(response, response.id == step.response_id)
            .where(
                response.service == service, response.environment == environment.value, response.mode == "act",
                step.started_at >= since, step.do.in_(sorted(ACTIONS)), response.by == "productops", step.role == "step", ~rehearsed,
            )
        )  # fmt: skip
        return [
            Action(do, subject, at) for do, subject, at, memory in self._session.execute(query) if not (memory or {}).get("nothing_to_do")
        ]

    def _fenced(self, response: Response, **values: Any) -> None:
        """Raises: TakenOverError."""
        row = IncidentResponseRow
        changed = self._run(
            update(row).where(row.id == _id(response.id), row.fence == response.fence).values(**{"fence": row.fence, **values})
        )
        if not changed:
            raise TakenOverError(f"response {response.id} is carried on by somebody else; this one does nothing more")

    def _run(self, statement: Any) -> int:
        done = self._session.execute(statement.execution_options(synchronize_session=False))
        return cast("CursorResult[Any]", done).rowcount

    def _response(self, row: IncidentResponseRow) -> Response:
        steps = select(IncidentStepRow).where(IncidentStepRow.response_id == row.id)
        ordered = self._session.scalars(
            steps.order_by(IncidentStepRow.role, IncidentStepRow.index).execution_options(populate_existing=True)
        )
        return Response(
            id=str(row.id), incident_id=str(row.incident_id), number=row.number, playbook=row.playbook,
            spec=PlaybookSpec.model_validate(row.spec), base=row.base, venture=row.venture, service=row.service,
            environment=Environment(row.environment), cause=_frozen(row.cause), mode=row.mode, state=ResponseState(row.state),
            why=row.why, reason=row.reason, by=row.by, since=row.since, created_at=row.created_at, ended_at=row.ended_at,
            holder=row.holder, held_until=row.held_until, fence=row.fence, flow_run_id=row.flow_run_id,
            steps=tuple(_step(each) for each in ordered),
        )  # fmt: skip


def _id(text: str) -> uuid.UUID:
    """Raises: NotFoundError for a text that is no id."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFoundError(f"there is no response or incident {text[:80]!r}") from error


def _frozen(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict(found)


def _playbook(row: IncidentPlaybookRow) -> Playbook:
    return Playbook(row.name, row.venture, PlaybookSpec.model_validate(row.spec), row.base, row.revision)


def _step(row: IncidentStepRow) -> StepRecord:
    return StepRecord(
        index=row.index, role=row.role, do=row.do, spec=dict(row.spec), state=row.state, attempts=row.attempts, started_at=row.started_at,
        ended_at=row.ended_at, not_before=row.not_before, memory=dict(row.memory), result=row.result,
    )  # fmt: skip
