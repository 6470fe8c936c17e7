"""Take a webhook in: prove who sent it, keep it as it is, answer at once. What it means is worked out later."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from productops.adapters.webhook_signatures import SECRET_HEADERS, check_signature, covers_body_only, delivery_key, id_is_signed
from productops.domain.catalog_webhooks import Auth
from productops.domain.governance_access import MACHINE, Operation, visible_ventures
from productops.domain.governance_webhooks import Inbound, InboundState, StoredEvent, WebhookSource
from productops.domain.governance_webhooks_json import clean
from productops.errors import ConflictError, WebhookRefusedError
from productops.usecases.context import Actor, Context

log = structlog.get_logger(__name__)
HEADERS_MAX = 100
HEADER_CHARACTERS_MAX = 2_000
HEADERS_CHARACTERS_MAX = 16_000
TELL_EVERY_S = 60.0
DOOR = Actor(name="webhooks", origin="webhook", principal=MACHINE)


@dataclass(slots=True)
class Refusals:
    """Refused requests by source: the first is told at once, the others once a minute with their number, whoever knocks how often."""

    _counts: dict[str, int] = field(default_factory=dict)
    _told_at: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, source: str, *, monotonic_s: float) -> int:
        """Count one; returns how many are to be told now, 0 for none."""
        with self._lock:
            self._counts[source] = self._counts.get(source, 0) + 1
            return self._take(source, monotonic_s)

    def overdue(self, *, monotonic_s: float) -> dict[str, int]:
        """What was counted since it was told, and is to be told now."""
        with self._lock:
            return {source: found for source in list(self._counts) if (found := self._take(source, monotonic_s))}

    def _take(self, source: str, monotonic_s: float) -> int:
        if monotonic_s - self._told_at.get(source, -TELL_EVERY_S) < TELL_EVERY_S:
            return 0
        self._told_at[source] = monotonic_s
        return self._counts.pop(source, 0)


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer: the delivery, and whether it had come before."""

    id: str
    repeated: bool


def receive(context: Context, name: str, headers: Iterable[tuple[str, str]], body: bytes, *, refusals: Refusals) -> Taken:
    """Keep a request of a source, once.

    Raises: NotFoundError for an unknown source, WebhookRefusedError (nothing is stored then), StoreUnavailableError.
    """
    known = _lower(headers)
    with context.store.read() as unit:
        source = unit.sources.get(name)
    now = context.clock.now()
    wrong = check_signature(source, context.secrets_of(source.spec.secrets), known, body, now=now)
    if wrong is not None:
        _tell_refused(context, source.name, refusals.count(source.name, monotonic_s=context.clock.monotonic()), wrong)
        raise WebhookRefusedError(f"{source.name}: {wrong}")
    actor = Actor(name=source.principal.name, origin="webhook", principal=source.principal)
    actor.check(Operation.WEBHOOK_SEND, venture=source.venture)
    return _store(context, source, known, body, actor=actor)


def _store(context: Context, source: WebhookSource, headers: Mapping[str, str], body: bytes, *, actor: Actor) -> Taken:
    digest, given = hashlib.sha256(body).hexdigest(), delivery_key(source, headers, body)
    now = context.clock.now()
    window = timedelta(seconds=source.spec.repetition_window_s)
    by_body = given is None or (covers_body_only(source, headers) and not id_is_signed(source, headers))
    key = given or f"body:{digest}:{int(now.timestamp()) // source.spec.repetition_window_s}"
    for _ in range(2):
        with context.store.write() as unit:
            before = unit.received.known(source.name, key=key, body_sha256=digest, body_since=now - window if by_body else None)
            if before is not None:
                unit.received.repeated(before.id)
                return Taken(before.id, repeated=True)
            hidden = SECRET_HEADERS | ({source.spec.signature_header.lower()} if source.spec.way is Auth.HMAC else frozenset())
            made = unit.received.add(source, key=key, body_sha256=digest, headers=_kept(headers, hidden), body=body, now=now)
            if made is not None:
                detail = {"delivery": made, "bytes": len(body), "sha256": digest}
                unit.audit.add(
                    "webhook.received", f"webhook-source/{source.name}", actor=actor.name, origin=actor.origin, now=now, detail=detail
                )
                return Taken(made, repeated=False)
            unit.undo()
    raise ConflictError(f"{source.name}: the same webhook comes in several times at this moment; send it again")


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first of each name; a second one might be meant to be seen by somebody else."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value)
    return found


def _kept(headers: Mapping[str, str], hidden: Iterable[str]) -> dict[str, str]:
    """What is stored: no secrets, and no more than is reasonable."""
    kept: dict[str, str] = {}
    room = HEADERS_CHARACTERS_MAX
    for name, value in list(headers.items())[:HEADERS_MAX]:
        shown = clean(value)[:HEADER_CHARACTERS_MAX]
        room -= len(name) + len(shown)
        if room < 0:
            break
        if name not in hidden:
            kept[clean(name)[:200]] = shown
    return kept


def tell_refusals(context: Context, refusals: Refusals) -> None:
    """Tell what was counted and is due. Raises: StoreUnavailableError."""
    for source, count in refusals.overdue(monotonic_s=context.clock.monotonic()).items():
        _tell_refused(context, source, count, "")


def _tell_refused(context: Context, source: str, count: int, wrong: str) -> None:
    if not count:
        return
    log.warning("webhooks refused", source=source, count=count, reason=wrong)
    with context.store.write() as unit:
        unit.audit.add(
            "webhook.refused", f"webhook-source/{source}", actor=DOOR.name, origin=DOOR.origin, now=context.clock.now(), reason=wrong,
            detail={"count": count},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReceivedView:
    """A request and what it meant."""

    inbound: Inbound
    events: tuple[StoredEvent, ...]


def list_received(
    context: Context, *, actor: Actor, source: str | None = None, status: InboundState | None = None, before: str | None = None,
    limit: int = 50,
) -> list[Inbound]:  # fmt: skip
    """Requests of ventures the caller may see, newest first. Raises: StoreUnavailableError."""
    ventures = visible_ventures(actor.principal, Operation.WEBHOOK_READ)
    with context.store.read() as unit:
        return unit.received.newest(source=source, status=status, ventures=ventures, before=before, limit=limit)


def read_received(context: Context, delivery_id: str, *, actor: Actor) -> ReceivedView:
    """Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        found = unit.received.get(delivery_id)
        actor.check(Operation.WEBHOOK_READ, venture=found.venture)
        return ReceivedView(found, tuple(unit.received.events_of(delivery_id)))


def list_events(
    context: Context, *, actor: Actor, kind: str | None = None, service: str | None = None, before: str | None = None, limit: int = 50
) -> list[StoredEvent]:
    """What came in, whoever sent it, newest first; ``kind`` exact or ``build.*``. Raises: StoreUnavailableError."""
    ventures = visible_ventures(actor.principal, Operation.WEBHOOK_READ)
    with context.store.read() as unit:
        return unit.received.events(kind=kind, service=service, ventures=ventures, before=before, limit=limit)


def replay_received(context: Context, delivery_id: str, *, actor: Actor, reason: str = "") -> Inbound:
    """Work out once more what a request means; what it started before is not started twice.

    Raises: NotFoundError, ConflictError when it is being processed or changed at this moment.
    """
    with context.store.write() as unit:
        found = unit.received.get(delivery_id)
        actor.check(Operation.WEBHOOK_RETRY, venture=found.venture)
        now = context.clock.now()
        if not unit.received.revive(found, now=now):
            raise ConflictError(f"webhook {delivery_id} changed at the same moment; look at it and repeat")
        unit.audit.add(
            "webhook.replayed", f"webhook/{delivery_id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            before={"status": found.status.value, "reason": found.reason}, after={"status": InboundState.RECEIVED.value},
        )  # fmt: skip
        return unit.received.get(delivery_id)
