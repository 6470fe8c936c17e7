"""Tell others what happened: claim a delivery, try it, write down what came of it. Nothing is lost; order is kept for each subject."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from productops.adapters.webhook_formats import render, signed
from productops.domain.governance_access import MACHINE
from productops.domain.governance_outbox import OutboundState, OutboxDelivery, Posted, WebhookTarget, wait_before
from productops.errors import ProductOpsError
from productops.ports import Courier
from productops.usecases.context import Actor, Context

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=30)
"""Longer than any attempt takes: the time-out of a target is at most 15 s."""
SENDER = Actor(name="webhooks", origin="webhook", principal=MACHINE)
MISSING = "none of the target's secrets is set here; put them into the environment or the folder of secrets"


def claim_due(context: Context, *, owner: str, busy: Collection[str] = (), most: int = 16, per_target: int = 4) -> list[OutboxDelivery]:
    """Claim what may be sent now, oldest first: at most ``most``, and ``per_target`` of each target. ``busy`` ones get nothing.

    Raises: StoreUnavailableError.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        held_back = {target.name for target in unit.targets.all() if target.spec.paused}
        due = unit.outbox.due(now=now, busy={*busy, *held_back}, limit=most)
    chosen: list[OutboxDelivery] = []
    taken: dict[str, int] = {}
    for delivery in due:
        if len(chosen) < most and taken.get(delivery.target, 0) < per_target:
            taken[delivery.target] = taken.get(delivery.target, 0) + 1
            chosen.append(delivery)
    if not chosen:
        return []
    with context.store.write() as unit:
        return [
            replace(d, fence=d.fence + 1, attempts=d.attempts + 1, lease_owner=owner)
            for d in chosen if unit.outbox.claim(d, owner=owner, now=now, until=now + LEASE)
        ]  # fmt: skip


def send_claimed(context: Context, courier: Courier, delivery: OutboxDelivery, *, source: str) -> OutboundState:
    """Try a claimed delivery once; returns where it stands now. Raises: StoreUnavailableError; the lease then frees it."""
    with context.store.read() as unit:
        target = unit.targets.find(delivery.target)
    if target is None:
        return _end(context, delivery, OutboundState.DISCARDED, Posted(None, problem="the target was removed"))
    try:
        posted = _post(context, courier, target, delivery, source=source)
    except ProductOpsError as error:  # a secret that cannot be read
        posted = Posted(None, problem=str(error))
    if posted.ok:
        return _end(context, delivery, OutboundState.DELIVERED, posted)
    return _failed(context, target, delivery, posted)


def _post(context: Context, courier: Courier, target: WebhookTarget, delivery: OutboxDelivery, *, source: str) -> Posted:
    spec = target.spec
    secrets = context.secrets_of(spec.secrets)
    token = context.secrets_of((spec.token,)) if spec.token else ()
    if (spec.secrets and not secrets) or (spec.token and not token):
        return Posted(None, problem=MISSING)
    body, headers = render(delivery.event, spec, source=source)
    if token:
        headers["authorization"] = f"Bearer {token[0]}"
    stamp = int(context.clock.now().timestamp())
    sent = signed(headers, body, message_id=delivery.id, timestamp_s=stamp, secrets=secrets)
    return courier.post(spec.url, body, sent, timeout_s=spec.timeout_s)


def _failed(context: Context, target: WebhookTarget, delivery: OutboxDelivery, posted: Posted) -> OutboundState:
    now = context.clock.now()
    spread = random.random()  # noqa: S311 - spreads attempts, guards nothing
    next_at = now + wait_before(delivery.attempts, retry_after_s=posted.retry_after_s, spread=spread)
    why = _last_word(target, delivery, posted, next_at)
    if why:
        return _end(context, delivery, OutboundState.DEAD, replace(posted, problem=f"{posted.problem}; {why}"))
    log.info("webhook not delivered yet", id=delivery.id, target=target.name, attempts=delivery.attempts, reason=posted.problem)
    with context.store.write() as unit:
        unit.outbox.postpone(delivery, next_at=next_at, reason=posted.problem, http_status=posted.status, answer=posted.answer)
    return OutboundState.PENDING


def _last_word(target: WebhookTarget, delivery: OutboxDelivery, posted: Posted, next_at: datetime) -> str:
    """Why it is not tried again; empty when it is."""
    if posted.gone:
        return "the target wants nothing any more"
    if delivery.attempts >= target.spec.attempts_max:
        return f"given up after {delivery.attempts} attempts"
    if next_at > delivery.give_up_at:
        return f"given up at the end of {target.spec.give_up_after_s} s"
    return ""


def _end(context: Context, delivery: OutboxDelivery, status: OutboundState, posted: Posted) -> OutboundState:
    """Write the end of a delivery. A death is told: what comes after it is sent without it."""
    with context.store.write() as unit:
        now = context.clock.now()
        mine = unit.outbox.end(
            delivery, status, reason=posted.problem, now=now, http_status=posted.status, answer="" if posted.ok else posted.answer
        )
        if not mine or status is OutboundState.DELIVERED:
            return status
        behind = unit.outbox.waiting_behind(delivery)
        detail = {
            "target": delivery.target, "event": delivery.event.id, "type": delivery.event.type, "subject": delivery.event.subject,
            "attempts": delivery.attempts, "status": posted.status, "goes_on_without_it": behind,
        }  # fmt: skip
        unit.audit.add(
            f"webhook.{status.value}", f"webhook-delivery/{delivery.id}", actor=SENDER.name, origin=SENDER.origin, now=now,
            reason=posted.problem, detail=detail,
        )  # fmt: skip
    log.warning("webhook given up", id=delivery.id, target=delivery.target, reason=posted.problem, goes_on_without_it=behind)
    return status


def free_dead_senders(context: Context, *, is_dead: Callable[[str], bool]) -> int:
    """Give back the leases of senders that are known to be dead; returns how many deliveries that were. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        dead = [owner for owner in unit.outbox.holders() if is_dead(owner)]
    freed = 0
    for owner in dead:
        with context.store.write() as unit:
            freed += unit.outbox.free(owner)
    return freed


def forget_delivered(context: Context, *, before: datetime) -> None:
    """Forget what was delivered or discarded before. Raises: StoreUnavailableError."""
    with context.store.write() as unit:
        unit.outbox.prune(before=before)
