"""Work out what webhooks mean and do what the catalog says about it, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from productops.domain.governance_access import MACHINE
from productops.domain.governance_webhooks import ATTEMPTS_MAX, UNRECOGNISED, Inbound, InboundEvent, InboundState, WebhookSource, retry_in
from productops.domain.governance_webhooks_normalise import normalise
from productops.domain.incident_alert_formats import ALERTING
from productops.errors import InvalidInputError, NotFoundError, ProductOpsError
from productops.usecases.context import Actor, Context
from productops.usecases.development_sync_webhooks import take_work
from productops.usecases.incident_alerts_webhook import take_webhook_alerts
from productops.usecases.release_request import ReleaseWish, request_release, start_release

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=60)
KEEP_ALERTS = timedelta(days=90)
PROCESSOR = Actor(name="webhooks", origin="webhook", principal=MACHINE)


def process_due(context: Context, *, owner: str, limit: int = 20) -> int:
    """Process what waits; returns how many. Another program that does the same at this time takes others. Raises: StoreUnavailableError."""
    now = context.clock.now()
    with context.store.read() as unit:
        due = unit.received.due(now=now, limit=limit)
    return sum(_process_claimed(context, inbound, owner=owner) for inbound in due)


def _process_claimed(context: Context, inbound: Inbound, *, owner: str) -> bool:
    now = context.clock.now()
    with context.store.write() as unit:
        if not unit.received.claim(inbound, owner=owner, now=now, until=now + LEASE):
            return False
        source = unit.sources.find(inbound.source)
    inbound = replace(inbound, fence=inbound.fence + 1, attempts=inbound.attempts + 1)
    try:
        if source is None:
            raise NotFoundError(f"the source {inbound.source} is no longer declared")
        events = _events(context, source, inbound)
    except Exception as error:  # noqa: BLE001 - one request that cannot be processed must not keep the others waiting for ever
        _fail(context, inbound, error)
        return True
    _finish(context, inbound, events)
    return True


def _events(context: Context, source: WebhookSource, inbound: Inbound) -> list[InboundEvent]:
    """What it tells, with what was done about it. Raises: what may go better when it is tried again."""
    if source.spec.provider in ALERTING:
        return take_webhook_alerts(context, source, normalise(source, inbound))
    told = _with_work(normalise(source, inbound), take_work(context, source, inbound))
    return [_with_effect(context, source, inbound, position, event) for position, event in enumerate(told)]


def _with_work(events: list[InboundEvent], work: str) -> list[InboundEvent]:
    """The events, the first with what became of the work it tells; one that only tells of work is understood, too."""
    if not work:
        return events
    first = events[0]
    kind, reason = ("work.updated", "") if first.kind == UNRECOGNISED else (first.kind, first.reason)
    return [replace(first, kind=kind, reason=reason, effect=work), *events[1:]]


def _finish(context: Context, inbound: Inbound, events: list[InboundEvent]) -> None:
    unclear = [event for event in events if event.kind == UNRECOGNISED]
    status = InboundState.UNRECOGNISED if len(unclear) == len(events) else InboundState.DONE
    reason = unclear[0].reason if unclear else ""
    with context.store.write() as unit:
        now = context.clock.now()
        if not unit.received.end(inbound, status, reason=reason, now=now):
            return  # somebody else has it since the lease ended
        unit.received.meant(inbound, events)
        detail = {"kinds": sorted({e.kind for e in events})[:20], "effects": [e.effect for e in events if e.effect][:20]}
        unit.audit.add(
            f"webhook.{status.value}", f"webhook/{inbound.id}", actor=PROCESSOR.name, origin=PROCESSOR.origin, now=now, reason=reason,
            detail=detail,
        )  # fmt: skip


def _fail(context: Context, inbound: Inbound, error: Exception) -> None:
    reason = str(error) if isinstance(error, ProductOpsError) else f"unexpected {type(error).__name__}: {error}"
    final = inbound.attempts >= ATTEMPTS_MAX
    log.warning("webhook not processed", id=inbound.id, source=inbound.source, attempts=inbound.attempts, dead=final, reason=reason)
    with context.store.write() as unit:
        now = context.clock.now()
        if not final:
            unit.received.postpone(inbound, next_at=now + retry_in(inbound.attempts), reason=reason[:2000])
        elif unit.received.end(inbound, InboundState.DEAD, reason=reason[:2000], now=now):
            unit.audit.add(
                "webhook.dead", f"webhook/{inbound.id}", actor=PROCESSOR.name, origin=PROCESSOR.origin, now=now, reason=reason[:2000],
                detail={"source": inbound.source, "attempts": inbound.attempts},
            )  # fmt: skip


def _with_effect(context: Context, source: WebhookSource, inbound: Inbound, position: int, event: InboundEvent) -> InboundEvent:
    """The event with what was done about it. Raises: what may go better when it is tried again."""
    try:
        if source.spec.release is not None and event.kind in source.spec.release.on:
            return replace(event, effect=_release(context, source, f"webhook:{inbound.id}:{position}", event))
        return event
    except ProductOpsError as error:
        if error.retryable:
            raise
        return replace(event, effect=f"refused: {error}")


def _actor(source: WebhookSource) -> Actor:
    return Actor(name=source.principal.name, origin="webhook", principal=source.principal)


def _release(context: Context, source: WebhookSource, key: str, event: InboundEvent) -> str:
    """Start a release; the same delivery never starts a second one."""
    wanted = source.spec.release
    service = (wanted.service if wanted else None) or event.service
    if wanted is None or service is None:
        raise InvalidInputError("the event names no service that is mapped; add it to the source's services, or name one in release")
    if event.version is None:
        raise InvalidInputError("the event names no version")
    _check_owner(context, source, service)
    wish = ReleaseWish(
        service=service, version=event.version, environment=wanted.environment, venture=source.venture,
        note=f"{source.name}: {event.kind} {event.subject}"[:500], start=wanted.start,
    )  # fmt: skip
    release = request_release(context, wish, actor=_actor(source), idempotency_key=key)
    if context.orchestrator is not None and release.flow_run_id is None and not release.ended:
        start_release(context, release)
    return f"release {release.id}"


def _check_owner(context: Context, source: WebhookSource, service: str) -> None:
    with context.store.read() as unit:
        owner = unit.catalog.service(service).venture
    if owner != source.venture:
        raise InvalidInputError(f"service {service} is of venture {owner}, the source {source.name} of {source.venture}")


def free_dead_processors(context: Context, *, is_dead: Callable[[str], bool]) -> None:
    """Give back the leases of programs that are known to be dead. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        dead = [owner for owner in unit.received.holders() if is_dead(owner)]
    for owner in dead:
        with context.store.write() as unit:
            unit.received.free(owner)


def forget_received(context: Context, *, before: datetime) -> None:
    """Forget requests processed before, with what they meant. Raises: StoreUnavailableError."""
    with context.store.write() as unit:
        unit.received.prune(before=before, keep_alerts=KEEP_ALERTS)
