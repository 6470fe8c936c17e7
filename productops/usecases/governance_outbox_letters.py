"""Look at what was told, and decide about dead letters."""

from __future__ import annotations

from datetime import timedelta

from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.governance_outbox import OutboundState, OutboxDelivery
from productops.errors import ConflictError
from productops.usecases.context import Actor, Context


def list_deliveries(
    context: Context, *, actor: Actor, target: str | None = None, status: OutboundState | None = None, subject: str | None = None,
    before: str | None = None, limit: int = 50,
) -> list[OutboxDelivery]:  # fmt: skip
    """Deliveries about ventures the caller may see, newest first. Raises: StoreUnavailableError."""
    ventures = visible_ventures(actor.principal, Operation.WEBHOOK_READ)
    with context.store.read() as unit:
        return unit.outbox.newest(target=target, status=status, subject=subject, ventures=ventures, before=before, limit=limit)


def read_delivery(context: Context, delivery_id: str, *, actor: Actor) -> OutboxDelivery:
    """Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        found = unit.outbox.get(delivery_id)
    actor.check(Operation.WEBHOOK_READ, venture=found.event.venture)
    return found


def retry_delivery(context: Context, delivery_id: str, *, actor: Actor, reason: str = "") -> OutboxDelivery:
    """Send a dead or discarded delivery after all, under the id it had; later ones of its subject may have arrived before.

    Raises: NotFoundError, ConflictError when it is pending or was delivered, or its target is gone.
    """
    with context.store.write() as unit:
        found = unit.outbox.get(delivery_id)
        actor.check(Operation.WEBHOOK_RETRY, venture=found.event.venture)
        if found.status not in {OutboundState.DEAD, OutboundState.DISCARDED}:
            raise ConflictError(f"delivery {delivery_id} is {found.status}; only dead and discarded ones are sent again")
        target = unit.targets.find(found.target)
        if target is None:
            raise ConflictError(f"delivery {delivery_id} cannot be sent: the target {found.target} was removed")
        now = context.clock.now()
        if not unit.outbox.revive(found, now=now, give_up_at=now + timedelta(seconds=target.spec.give_up_after_s)):
            raise ConflictError(f"delivery {delivery_id} changed at the same moment; look at it and repeat")
        unit.audit.add(
            "webhook.retried", f"webhook-delivery/{delivery_id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            before={"status": found.status.value, "reason": found.reason}, after={"status": OutboundState.PENDING.value},
        )  # fmt: skip
        return unit.outbox.get(delivery_id)


def discard_delivery(context: Context, delivery_id: str, *, actor: Actor, reason: str) -> OutboxDelivery:
    """Never send it. A dead one only changes its name; one that is being sent at this moment cannot be held back.

    Raises: NotFoundError, ConflictError.
    """
    with context.store.write() as unit:
        found = unit.outbox.get(delivery_id)
        actor.check(Operation.WEBHOOK_RETRY, venture=found.event.venture)
        if found.status not in {OutboundState.DEAD, OutboundState.PENDING}:
            raise ConflictError(f"delivery {delivery_id} is {found.status}; only pending and dead ones can be discarded")
        now = context.clock.now()
        if not unit.outbox.discard(found, reason=reason, now=now):
            raise ConflictError(f"delivery {delivery_id} changed at the same moment; look at it and repeat")
        unit.audit.add(
            "webhook.discarded", f"webhook-delivery/{delivery_id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            before={"status": found.status.value, "reason": found.reason}, after={"status": OutboundState.DISCARDED.value},
        )  # fmt: skip
        return unit.outbox.get(delivery_id)
