"""Trains and their members: rows in and out, moves by compare-and-set."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from productops.domain.release import Environment, Strategy
from productops.domain.release_train import (
    TRAIN_ENDED,
    Member,
    MemberPhase,
    Train,
    TrainMode,
    TrainPhase,
    check_member_move,
    check_train_move,
)
from productops.errors import ConflictError, NotFoundError
from productops.store.governance_access import within
from productops.store.tables import TrainMemberRow, TrainRow


def _member(row: TrainMemberRow) -> Member:
    return Member(
        service=row.service,
        version=row.version,
        depends_on=tuple(row.depends_on),
        strategy=Strategy(row.strategy) if row.strategy else None,
        phase=MemberPhase(row.phase),
        release_id=str(row.release_id) if row.release_id else None,
        reason=row.reason,
        updated_at=row.updated_at,
    )


def _train(row: TrainRow, members: Sequence[TrainMemberRow]) -> Train:
    return Train(
        id=str(row.id), venture=row.venture, environment=Environment(row.environment), mode=TrainMode(row.mode),
        side_by_side=row.side_by_side, phase=TrainPhase(row.phase), members=tuple(_member(m) for m in members), note=row.note,
        reason=row.reason, requested_by=row.requested_by, origin=row.origin, flow_run_id=row.flow_run_id, created_at=row.created_at,
        updated_at=row.updated_at, ended_at=row.ended_at,
        followed_at=row.followed_at,
    )  # fmt: skip


class Trains:
    """Repository of trains within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, train: Train) -> None:
        """Insert a new train with its members."""
        row = TrainRow(
            id=uuid.UUID(train.id), venture=train.venture, environment=train.environment.value, mode=train.mode.value,
            side_by_side=train.side_by_side, phase=train.phase.value, note=train.note, reason=train.reason,
            requested_by=train.requested_by, origin=train.origin, created_at=train.created_at, updated_at=train.updated_at,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        self._session.add_all(
            TrainMemberRow(
                train_id=row.id,
                service=m.service,
                position=position,
                version=m.version,
                strategy=m.strategy.value if m.strategy else None,
                depends_on=list(m.depends_on),
                phase=m.phase.value,
                reason=m.reason,
                updated_at=train.created_at,
            )
            for position, m in enumerate(train.members)
        )
        self._session.flush()

    def get(self, train_id: str) -> Train:
        """Raises: NotFoundError."""
        try:
            row = self._session.get(TrainRow, uuid.UUID(train_id), populate_existing=True)
        except ValueError:
            row = None
        if row is None:
            raise NotFoundError(f"there is no train {train_id[:80]!r}")
        return _train(row, self._members(row.id))

    def _members(self, train_id: uuid.UUID) -> Sequence[TrainMemberRow]:
        query = select(TrainMemberRow).where(TrainMemberRow.train_id == train_id).order_by(TrainMemberRow.position)
        return self._session.scalars(query.execution_options(populate_existing=True)).all()

    def newest(
        self, *, before: str | None = None, limit: int = 50, places: Collection[tuple[str, str]] | None = None
    ) -> list[Train]:  # fmt: skip
        """Newest first; ``before`` is the id of the last one seen. ``places``: only what lies there."""
        query = select(TrainRow).order_by(TrainRow.id.desc()).limit(limit)
        if places is not None:
            query = query.where(within(places, TrainRow.venture, TrainRow.environment))
        if before:
            query = query.where(TrainRow.id < uuid.UUID(before))
        return [_train(row, self._members(row.id)) for row in self._session.scalars(query)]

    def under_way(self) -> list[str]:
        """Ids of all trains that have not ended, oldest first."""
        query = select(TrainRow.id).where(TrainRow.phase.not_in([phase.value for phase in TRAIN_ENDED])).order_by(TrainRow.id)
        return [str(found) for found in self._session.scalars(query)]

    def turn(self, train_id: str, source: TrainPhase, target: TrainPhase, *, reason: str, now: datetime) -> bool:
        """Move a train on; false when somebody else moved it. Raises: IllegalTransitionError."""
        check_train_move(train_id, source, target)
        values: dict[str, Any] = {"phase": target.value, "updated_at": now, "reason": reason}
        if target in TRAIN_ENDED:
            values["ended_at"] = now
        return self._update_train(train_id, source, **values)

    def _update_train(self, train_id: str, source: TrainPhase, **values: Any) -> bool:
        changed = self._session.execute(
            update(TrainRow)
            .where(TrainRow.id == uuid.UUID(train_id), TrainRow.phase == source.value)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def settle(self, train_id: str, member: Member, target: MemberPhase, *, reason: str, now: datetime, **values: Any) -> bool:
        """Move a member on; false when somebody else moved it. Raises: IllegalTransitionError."""
        check_member_move(member.service, member.phase, target)
        changed = self._session.execute(
            update(TrainMemberRow)
            .where(
                TrainMemberRow.train_id == uuid.UUID(train_id),
                TrainMemberRow.service == member.service,
                TrainMemberRow.phase == member.phase.value,
            )
            .values(phase=target.value, reason=reason, updated_at=now, **values)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def board(self, train_id: str, service: str, release_id: str, *, now: datetime) -> None:
        """Make a release that is being written the member's, while the train runs and the member waits.

        The train's row is locked by this, so that a train that is turned around gets no further member.
        Raises: ConflictError when the train no longer runs or the member no longer waits; NotFoundError.
        """
        if not self._update_train(train_id, TrainPhase.RUNNING, updated_at=now):
            raise ConflictError(f"train {train_id} no longer runs; {service} is not released by it")
        member = next((m for m in self.get(train_id).members if m.service == service), None)
        if member is None or member.phase is not MemberPhase.WAITING:
            raise ConflictError(f"{service} no longer waits in train {train_id}")
        if not self.settle(train_id, member, MemberPhase.RELEASING, reason="", now=now, release_id=uuid.UUID(release_id)):
            raise ConflictError(f"{service} no longer waits in train {train_id}")

    def explain(self, train_id: str, service: str, reason: str) -> None:
        """Say why a member still waits; nothing hangs on it."""
        self._session.execute(
            update(TrainMemberRow)
            .where(
                TrainMemberRow.train_id == uuid.UUID(train_id),
                TrainMemberRow.service == service,
                TrainMemberRow.phase == MemberPhase.WAITING.value,
            )
            .values(reason=reason)
            .execution_options(synchronize_session=False)
        )

    def followed(self, train_id: str, *, now: datetime) -> None:
        """A flow looks after it at this moment."""
        self._session.execute(
            update(TrainRow).where(TrainRow.id == uuid.UUID(train_id)).values(followed_at=now).execution_options(synchronize_session=False)
        )

    def carried_by(self, train_id: str, flow_run_id: str) -> None:
        """Note the flow run that follows the train; nothing hangs on it."""
        self._session.execute(
            update(TrainRow)
            .where(TrainRow.id == uuid.UUID(train_id))
            .values(flow_run_id=flow_run_id)
            .execution_options(synchronize_session=False)
        )
