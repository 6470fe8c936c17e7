"""The outbox: what is told outside is written with what happened; each delivery is claimed, tried and ended by compare-and-set."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from productops.domain.catalog_webhooks import WebhookTargetSpec
from productops.domain.governance_outbox import OutboundState, OutboxDelivery, OutboxEvent, WebhookTarget
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.tables import OutboxDeliveryRow, OutboxEventRow, WebhookTargetRow

PENDING = OutboundState.PENDING.value
_SUBJECT_MAX = 255


def parse_delivery_id(text: str) -> uuid.UUID:
    """Raises: NotFoundError for a text that is no id."""
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFoundError(f"there is no delivery {text[:80]!r}") from error


def _target(row: WebhookTargetRow) -> WebhookTarget:
    return WebhookTarget(row.name, row.venture, WebhookTargetSpec.model_validate(row.spec), bool(row.base), row.revision)


def _event(row: OutboxEventRow) -> OutboxEvent:
    return OutboxEvent(row.seq, str(row.id), row.type, row.subject, row.venture, row.data, row.at)


def _delivery(row: OutboxDeliveryRow, event: OutboxEventRow) -> OutboxDelivery:
    return OutboxDelivery(
        id=str(row.id), event=_event(event), target=row.target, status=OutboundState(row.status), attempts=row.attempts,
        next_at=row.next_at, give_up_at=row.give_up_at, fence=row.fence, lease_owner=row.lease_owner, last_status=row.last_status,
        last_answer=row.last_answer, reason=row.reason, created_at=row.created_at, tried_at=row.tried_at, ended_at=row.ended_at,
    )  # fmt: skip


class Targets:
    """Repository of who is told, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[WebhookTarget]:
        """By name."""
        return [_target(row) for row in self._session.scalars(select(WebhookTargetRow).order_by(WebhookTargetRow.name))]

    def find(self, name: str) -> WebhookTarget | None:
        """``None`` when there is none of that name."""
        row = self._session.get(WebhookTargetRow, name)
        return _target(row) if row else None

    def get(self, name: str) -> WebhookTarget:
        """Raises: NotFoundError."""
        found = self.find(name)
        if found is None:
            known = ", ".join(t.name for t in self.all()) or "none"
            raise NotFoundError(f"there is no webhook target {name[:80]!r}; known: {known}")
        return found

    def declared_in(self, bases: Collection[str]) -> list[str]:
        """Names of those that catalog files of these folders declared."""
        return list(self._session.scalars(select(WebhookTargetRow.name).where(WebhookTargetRow.base.in_(sorted(bases)))))

    def put(self, name: str, *, venture: str | None, spec: WebhookTargetSpec, base: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'."""
        document = spec.model_dump(mode="json")
        row = self._session.get(WebhookTargetRow, name)
        if row is None:
            self._session.add(WebhookTargetRow(name=name, venture=venture, spec=document, base=base, revision=1, updated_at=now))
            self._session.flush()
            return "created"
        if (row.venture, row.spec, row.base) == (venture, document, base):
            return "unchanged"
        row.venture, row.spec, row.base, row.updated_at = venture, document, base, now
        row.revision += 1
        self._session.flush()
        return "changed"

    def remove(self, name: str, *, now: datetime) -> int:
        """Take it away; what was still to be told is discarded. Returns how many deliveries that were."""
        changed = self._session.execute(
            update(OutboxDeliveryRow)
            .where(OutboxDeliveryRow.target == name, OutboxDeliveryRow.status == PENDING)
            .values(status=OutboundState.DISCARDED.value, reason="the target was removed", ended_at=now, lease_owner=None, lease_until=None)
            .execution_options(synchronize_session=False)
        )
        self._session.execute(delete(WebhookTargetRow).where(WebhookTargetRow.name == name))
        return int(changed.rowcount)  # type: ignore[attr-defined]


class Outbox:
    """Repository of what is told outside, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pending: list[OutboxEventRow] = []
        self._only: dict[uuid.UUID, str] = {}

    def add(
        self, type: str, subject: str, data: Mapping[str, Any], *, now: datetime, venture: str | None = None, only: str | None = None  # noqa: A002
    ) -> str:  # fmt: skip
        """Tell outside that something happened; returns the event's id. It is written when the transaction ends, or not at all.

        ``type``: ``flag.changed``; ``subject``: what it is about, ``flag/checkout``; events of one subject arrive in order. ``venture``
        may stand in ``data`` instead. ``only``: for the target of that name, whatever it asks for.
        """
        row = OutboxEventRow(
            id=new_id(), type=type[:60], subject=subject[:_SUBJECT_MAX], venture=venture or data.get("venture"), data=dict(data), at=now
        )
        self._pending.append(row)
        if only is not None:
            self._only[row.id] = only
        return str(row.id)

    def forget(self) -> None:
        """Drop what was added and not written yet."""
        self._pending.clear()

    def seal(self) -> None:
        """Write what was added, with a delivery for each target that wants it."""
        if not self._pending:
            return
        self._session.flush()
        targets = Targets(self._session).all()
        for event in self._pending:
            self._session.add(event)
            self._session.flush()  # one by one: their numbers are their order
            self._session.add_all(self._deliveries(event, targets))
        self._session.flush()
        self._pending.clear()

    def _deliveries(self, event: OutboxEventRow, targets: Sequence[WebhookTarget]) -> list[OutboxDeliveryRow]:
        only = self._only.pop(event.id, None)
        wanting = [t for t in targets if (t.name == only if only is not None else t.wants(event.type, event.venture))]
        return [
            OutboxDeliveryRow(
                id=new_id(), event_seq=event.seq, target=t.name, subject=event.subject, venture=event.venture, status=PENDING, attempts=0,
                next_at=event.at, give_up_at=event.at + timedelta(seconds=t.spec.give_up_after_s), fence=0, last_answer="", reason="",
                created_at=event.at,
            )
            for t in wanting
        ]  # fmt: skip

    def due(self, *, now: datetime, busy: Collection[str] = (), limit: int = 64) -> list[OutboxDelivery]:
        """What may be sent now, oldest first: nothing that has a pending forerunner of the same subject and target."""
        row, earlier = OutboxDeliveryRow, aliased(OutboxDeliveryRow)
        forerunner = exists().where(
            earlier.target == row.target, earlier.subject == row.subject, earlier.status == PENDING, earlier.event_seq < row.event_seq
        )
        query = _joined().where(
            row.status == PENDING, row.next_at <= now, or_(row.lease_until.is_(None), row.lease_until <= now), ~forerunner
        )
        if busy:
            query = query.where(row.target.not_in(sorted(busy)))
        return [_delivery(*found) for found in self._session.execute(query.order_by(row.event_seq, row.target).limit(limit))]

    def claim(self, delivery: OutboxDelivery, *, owner: str, now: datetime, until: datetime) -> bool:
        """Make it this owner's to send. False when another was quicker.

        What counts as an attempt is written when it ends: a sender that is killed says nothing about the target.
        """
        row = OutboxDeliveryRow
        free = or_(row.lease_until.is_(None), row.lease_until <= now)
        return self._set(delivery, free, lease_owner=owner, lease_until=until, fence=delivery.fence + 1, tried_at=now)

    def end(
        self, delivery: OutboxDelivery, status: OutboundState, *, reason: str, now: datetime, http_status: int | None = None,
        answer: str = "",
    ) -> bool:  # fmt: skip
        """Delivered, dead or discarded. ``delivery.fence`` is that of the claim. False: it was overtaken, nothing is changed."""
        return self._set(
            delivery, status=status.value, attempts=delivery.attempts, reason=reason, last_status=http_status, last_answer=answer,
            ended_at=now, lease_owner=None, lease_until=None, fence=delivery.fence + 1,
        )  # fmt: skip

    def postpone(
        self, delivery: OutboxDelivery, *, next_at: datetime, reason: str, http_status: int | None, answer: str
    ) -> bool:  # fmt: skip
        """Try again later. False: it was overtaken."""
        return self._set(
            delivery, next_at=next_at, attempts=delivery.attempts, reason=reason, last_status=http_status, last_answer=answer,
            lease_owner=None, lease_until=None, fence=delivery.fence + 1,
        )  # fmt: skip

    def _set(self, delivery: OutboxDelivery, *conditions: Any, **values: Any) -> bool:
        row = OutboxDeliveryRow
        changed = self._session.execute(
            update(row)
            .where(row.id == parse_delivery_id(delivery.id), row.fence == delivery.fence, row.status == PENDING, *conditions)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def revive(self, delivery: OutboxDelivery, *, now: datetime, give_up_at: datetime) -> bool:
        """Send a dead or discarded one after all. False when it changed meanwhile."""
        row = OutboxDeliveryRow
        changed = self._session.execute(
            update(row)
            .where(row.id == parse_delivery_id(delivery.id), row.fence == delivery.fence, row.status == delivery.status.value)
            .values(
                status=PENDING, next_at=now, give_up_at=give_up_at, attempts=0, ended_at=None, fence=delivery.fence + 1, lease_owner=None,
                lease_until=None,
            )
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def discard(self, delivery: OutboxDelivery, *, reason: str, now: datetime) -> bool:
        """Never send it, pending or dead. False when it changed meanwhile."""
        row = OutboxDeliveryRow
        changed = self._session.execute(
            update(row)
            .where(row.id == parse_delivery_id(delivery.id), row.fence == delivery.fence, row.status == delivery.status.value)
            .values(
                status=OutboundState.DISCARDED.value, reason=reason, ended_at=now, fence=delivery.fence + 1, lease_owner=None,
                lease_until=None,
            )
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def holders(self) -> list[str]:
        """Owners of the leases there are."""
        row = OutboxDeliveryRow
        query = select(row.lease_owner).where(row.status == PENDING, row.lease_owner.is_not(None)).distinct()
        return [owner for owner in self._session.scalars(query) if owner]

    def free(self, owner: str) -> int:
        """Give back the leases of an owner that is dead; returns how many."""
        row = OutboxDeliveryRow
        changed = self._session.execute(
            update(row)
            .where(row.status == PENDING, row.lease_owner == owner)
            .values(lease_owner=None, lease_until=None, fence=row.fence + 1)
            .execution_options(synchronize_session=False)
        )
        return int(changed.rowcount)  # type: ignore[attr-defined]

    def get(self, delivery_id: str) -> OutboxDelivery:
        """Raises: NotFoundError."""
        query = _joined().where(OutboxDeliveryRow.id == parse_delivery_id(delivery_id))
        found = self._session.execute(query.execution_options(populate_existing=True)).first()
        if found is None:
            raise NotFoundError(f"there is no delivery {delivery_id}")
        return _delivery(*found)

    def newest(
        self, *, target: str | None = None, status: OutboundState | None = None, subject: str | None = None,
        ventures: Collection[str] | None = None, before: str | None = None, limit: int = 50,
    ) -> list[OutboxDelivery]:  # fmt: skip
        """Newest first; ``before`` is the id of the last one seen. ``ventures``: of these only."""
        row = OutboxDeliveryRow
        query = _joined().order_by(row.id.desc()).limit(limit)
        for column, value in ((row.target, target), (row.status, status.value if status else None), (row.subject, subject)):
            query = query if value is None else query.where(column == value)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if before:
            query = query.where(row.id < parse_delivery_id(before))
        return [_delivery(*found) for found in self._session.execute(query)]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many deliveries each target has in each state."""
        row = OutboxDeliveryRow
        found: dict[str, dict[str, int]] = {}
        for target, status, count in self._session.execute(select(row.target, row.status, func.count()).group_by(row.target, row.status)):
            found.setdefault(target, {})[status] = count
        return found

    def waiting_behind(self, delivery: OutboxDelivery) -> int:
        """How many of the same subject and target come after it."""
        row = OutboxDeliveryRow
        query = select(func.count()).where(
            row.target == delivery.target, row.subject == delivery.event.subject, row.status == PENDING, row.event_seq > delivery.event.seq
        )
        return self._session.scalar(query) or 0

    def prune(self, *, before: datetime) -> None:
        """Forget what was delivered or discarded before, and events nobody waits for; dead letters stay until somebody decides."""
        row, event = OutboxDeliveryRow, OutboxEventRow
        ended = (OutboundState.DELIVERED.value, OutboundState.DISCARDED.value)
        self._session.execute(delete(row).where(row.status.in_(ended), row.ended_at < before))
        self._session.execute(delete(event).where(event.at < before, ~exists().where(row.event_seq == event.seq)))


def _joined() -> Select[tuple[OutboxDeliveryRow, OutboxEventRow]]:
    return select(OutboxDeliveryRow, OutboxEventRow).join(OutboxEventRow, OutboxEventRow.seq == OutboxDeliveryRow.event_seq)
