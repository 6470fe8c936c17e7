"""Webhooks that came in: who may send, the requests as they were, what they meant."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from productops.domain.catalog_webhooks import WebhookSourceSpec
from productops.domain.governance_webhooks import Inbound, InboundEvent, InboundState, StoredEvent, WebhookSource
from productops.domain.release import Environment
from productops.errors import NotFoundError
from productops.store.identity import new_id
from productops.store.tables import InboundDeliveryRow, InboundEventRow, WebhookAlertRow, WebhookSourceRow

RECEIVED = InboundState.RECEIVED.value


def _parse(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise NotFoundError(f"there is no received webhook {text[:80]!r}") from error


def _source(row: WebhookSourceRow) -> WebhookSource:
    return WebhookSource(row.name, row.venture, WebhookSourceSpec.model_validate(row.spec))


def _inbound(row: InboundDeliveryRow) -> Inbound:
    return Inbound(
        id=str(row.id), source=row.source, venture=row.venture, headers=row.headers, body=row.body, received_at=row.received_at,
        status=InboundState(row.status), attempts=row.attempts, next_at=row.next_at, fence=row.fence, reason=row.reason,
        repetitions=row.repetitions, processed_at=row.processed_at,
    )  # fmt: skip


def _stored(row: InboundEventRow) -> StoredEvent:
    event = InboundEvent(
        kind=row.kind, at=row.at, service=row.service, environment=Environment(row.environment) if row.environment else None,
        version=row.version, subject=row.subject, outcome=row.outcome, url=row.url, actor=row.actor, reason=row.reason, effect=row.effect,
        data=row.data,
    )  # fmt: skip
    return StoredEvent(str(row.id), str(row.delivery_id), row.source, row.venture, event)


class Sources:
    """Repository of who may send, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> list[WebhookSource]:
        """By name."""
        return [_source(row) for row in self._session.scalars(select(WebhookSourceRow).order_by(WebhookSourceRow.name))]

    def find(self, name: str) -> WebhookSource | None:
        """``None`` when there is none of that name."""
        row = self._session.get(WebhookSourceRow, name)
        return _source(row) if row else None

    def get(self, name: str) -> WebhookSource:
        """Raises: NotFoundError."""
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"there is no webhook source {name[:80]!r}; declare it in the catalog (kind: WebhookSource)")
        return found

    def declared_in(self, bases: Collection[str]) -> list[str]:
        """Names of those that catalog files of these folders declared."""
        return list(self._session.scalars(select(WebhookSourceRow.name).where(WebhookSourceRow.base.in_(sorted(bases)))))

    def put(self, name: str, *, venture: str, spec: WebhookSourceSpec, base: str, now: datetime) -> str:
        """Insert or update; returns 'created', 'changed' or 'unchanged'."""
        document = spec.model_dump(mode="json")
        row = self._session.get(WebhookSourceRow, name)
        if row is None:
            self._session.add(WebhookSourceRow(name=name, venture=venture, spec=document, base=base, updated_at=now))
            return "created"
        if (row.venture, row.spec, row.base) == (venture, document, base):
            return "unchanged"
        row.venture, row.spec, row.base, row.updated_at = venture, document, base, now
        return "changed"

    def remove(self, name: str) -> None:
        """It may send no more; what it sent stays."""
        self._session.execute(delete(WebhookSourceRow).where(WebhookSourceRow.name == name))


class Received:
    """Repository of requests and what they meant, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def known(self, source: str, *, key: str | None, body_sha256: str, body_since: datetime | None) -> Inbound | None:
        """The delivery this one repeats: of the same key, or of the same body since a time."""
        row = InboundDeliveryRow
        ways = [row.dedup_key == key] if key else []
        if body_since is not None:
            ways.append((row.body_sha256 == body_sha256) & (row.received_at > body_since))
        found = self._session.scalar(select(row).where(row.source == source, or_(*ways)).order_by(row.id.desc()).limit(1))
        return _inbound(found) if found else None

    def repeated(self, delivery_id: str) -> None:
        """Count a repetition."""
        row = InboundDeliveryRow
        self._session.execute(update(row).where(row.id == _parse(delivery_id)).values(repetitions=row.repetitions + 1))

    def add(
        self, source: WebhookSource, *, key: str, body_sha256: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> str | None:
        """Store a request; returns its id, or ``None`` when the same one was stored at this very moment."""
        row = InboundDeliveryRow(
            id=new_id(), source=source.name, venture=source.venture, dedup_key=key, body_sha256=body_sha256, headers=dict(headers),
            body=body, received_at=now, status=RECEIVED, next_at=now, attempts=0, fence=0, reason="", repetitions=0,
        )  # fmt: skip
        self._session.add(row)
        try:
            self._session.flush()
        except IntegrityError:
            return None
        return str(row.id)

    def due(self, *, now: datetime, limit: int = 20) -> list[Inbound]:
        """What waits to be processed, oldest first."""
        row = InboundDeliveryRow
        free = or_(row.lease_until.is_(None), row.lease_until <= now)
        query = select(row).where(row.status == RECEIVED, row.next_at <= now, free).order_by(row.next_at, row.id).limit(limit)
        return [_inbound(found) for found in self._session.scalars(query)]

    def claim(self, inbound: Inbound, *, owner: str, now: datetime, until: datetime) -> bool:
        """Make it this owner's to process; counts as an attempt. False when another was quicker."""
        row = InboundDeliveryRow
        free = or_(row.lease_until.is_(None), row.lease_until <= now)
        return self._set(inbound, free, lease_owner=owner, lease_until=until, fence=inbound.fence + 1, attempts=inbound.attempts + 1)

    def end(self, inbound: Inbound, status: InboundState, *, reason: str, now: datetime) -> bool:
        """``inbound.fence`` is that of the claim. False: it was overtaken."""
        return self._set(
            inbound, status=status.value, reason=reason, processed_at=now, lease_owner=None, lease_until=None, fence=inbound.fence + 1
        )

    def postpone(self, inbound: Inbound, *, next_at: datetime, reason: str) -> bool:
        """Try again later. False: it was overtaken."""
        return self._set(inbound, next_at=next_at, reason=reason, lease_owner=None, lease_until=None, fence=inbound.fence + 1)

    def _set(self, inbound: Inbound, *conditions: Any, **values: Any) -> bool:
        row = InboundDeliveryRow
        changed = self._session.execute(
            update(row)
            .where(row.id == _parse(inbound.id), row.fence == inbound.fence, row.status == RECEIVED, *conditions)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def revive(self, inbound: Inbound, *, now: datetime) -> bool:
        """Process it once more. False when it changed meanwhile."""
        row = InboundDeliveryRow
        changed = self._session.execute(
            update(row)
            .where(row.id == _parse(inbound.id), row.fence == inbound.fence)
            .values(status=RECEIVED, attempts=0, next_at=now, reason="", fence=inbound.fence + 1, lease_owner=None, lease_until=None)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1  # type: ignore[attr-defined, no-any-return]

    def holders(self) -> list[str]:
        """Owners of the leases there are."""
        row = InboundDeliveryRow
        query = select(row.lease_owner).where(row.status == RECEIVED, row.lease_owner.is_not(None)).distinct()
        return [owner for owner in self._session.scalars(query) if owner]

    def free(self, owner: str) -> int:
        """Give back the leases of an owner that is dead; returns how many."""
        row = InboundDeliveryRow
        changed = self._session.execute(
            update(row)
            .where(row.status == RECEIVED, row.lease_owner == owner)
            .values(lease_owner=None, lease_until=None, fence=row.fence + 1)
            .execution_options(synchronize_session=False)
        )
        return int(changed.rowcount)  # type: ignore[attr-defined]

    def meant(self, inbound: Inbound, events: Sequence[InboundEvent]) -> None:
        """Write what a request meant, instead of what an earlier look found."""
        delivery = _parse(inbound.id)
        self._session.execute(delete(InboundEventRow).where(InboundEventRow.delivery_id == delivery))
        self._session.add_all(
            InboundEventRow(
                id=new_id(), delivery_id=delivery, position=position, source=inbound.source, venture=inbound.venture, kind=e.kind[:60],
                service=e.service[:63] if e.service else None, environment=e.environment.value if e.environment else None,
                version=e.version, subject=e.subject[:500], outcome=e.outcome[:40], url=e.url, actor=e.actor[:255], at=e.at,
                reason=e.reason, effect=e.effect, data=dict(e.data),
            )
            for position, e in enumerate(events)
        )  # fmt: skip
        self._session.flush()

    def get(self, delivery_id: str) -> Inbound:
        """Raises: NotFoundError."""
        row = self._session.get(InboundDeliveryRow, _parse(delivery_id), populate_existing=True)
        if row is None:
            raise NotFoundError(f"there is no received webhook {delivery_id}")
        return _inbound(row)

    def events_of(self, delivery_id: str) -> list[StoredEvent]:
        """What a request meant, in order."""
        row = InboundEventRow
        return [_stored(r) for r in self._session.scalars(select(row).where(row.delivery_id == _parse(delivery_id)).order_by(row.position))]

    def newest(
        self, *, source: str | None = None, status: InboundState | None = None, ventures: Collection[str] | None = None,
        before: str | None = None, limit: int = 50,
    ) -> list[Inbound]:  # fmt: skip
        """Newest first; ``before`` is the id of the last one seen."""
        row = InboundDeliveryRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        for column, value in ((row.source, source), (row.status, status.value if status else None)):
            query = query if value is None else query.where(column == value)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if before:
            query = query.where(row.id < _parse(before))
        return [_inbound(found) for found in self._session.scalars(query)]

    def events(
        self, *, kind: str | None = None, service: str | None = None, ventures: Collection[str] | None = None,
        before: str | None = None, limit: int = 50,
    ) -> list[StoredEvent]:  # fmt: skip
        """What came in, newest first. ``kind``: exact, or all of a subject: ``build.*``."""
        row = InboundEventRow
        query = select(row).order_by(row.id.desc()).limit(limit)
        if kind:
            query = query.where(row.kind.startswith(kind[:-1], autoescape=True) if kind.endswith(".*") else row.kind == kind)
        if service:
            query = query.where(row.service == service)
        if ventures is not None:
            query = query.where(row.venture.in_(sorted(ventures)))
        if before:
            query = query.where(row.id < _parse(before))
        return [_stored(found) for found in self._session.scalars(query)]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many requests of each source are in each state."""
        row = InboundDeliveryRow
        found: dict[str, dict[str, int]] = {}
        for source, status, count in self._session.execute(select(row.source, row.status, func.count()).group_by(row.source, row.status)):
            found.setdefault(source, {})[status] = count
        return found

    def alert(self, source: str, key: str) -> tuple[bool, str | None]:
        """Whether an alert is known, and the incident it opened."""
        row = self._session.get(WebhookAlertRow, (source, key), populate_existing=True)
        return row is not None, str(row.incident_id) if row and row.incident_id else None

    def note_alert(self, source: str, key: str, incident_id: str | None, *, now: datetime) -> None:
        """Remember an alert before its incident is opened, and the incident after that."""
        row = self._session.get(WebhookAlertRow, (source, key))
        if row is None:
            self._session.add(WebhookAlertRow(source=source, alert_key=key, incident_id=None, since=now))
        if row is not None and incident_id:
            row.incident_id = uuid.UUID(incident_id)
        self._session.flush()

    def prune(self, *, before: datetime, keep_alerts: timedelta) -> None:
        """Forget requests that were processed before, with what they meant, and old alerts. Dead ones stay until somebody decides."""
        row, event = InboundDeliveryRow, InboundEventRow
        ended = (InboundState.DONE.value, InboundState.UNRECOGNISED.value, InboundState.DISCARDED.value)
        old = select(row.id).where(row.status.in_(ended), row.processed_at < before)
        self._session.execute(delete(event).where(event.delivery_id.in_(old)))
        self._session.execute(delete(row).where(row.status.in_(ended), row.processed_at < before))
        self._session.execute(delete(WebhookAlertRow).where(WebhookAlertRow.since < before - keep_alerts))
