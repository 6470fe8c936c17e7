"""Send what was put down: claimed by one sender at a time, in parallel, tried again, given up after a while, and all of it on record.

A sender that dies after the message left and before its note is the one way to tell somebody twice; it is tried once more, and then
the notice says that it may have arrived twice.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

import structlog

from productops.domain.analytics_report import Letter
from productops.domain.incident_oncall import Channel
from productops.domain.incident_updates import Moment, Notice, wait_after
from productops.errors import DependencyError, ProductOpsError, SettingsError
from productops.store import Unit
from productops.usecases.context import OURSELVES, Context
from productops.usecases.governance_audit_note import note
from productops.usecases.incident_log import log_incident

log = structlog.get_logger(__name__)

AT_ONCE: Final = 8
DOUBTFUL_MAX: Final = 1
_GRACE: Final = timedelta(seconds=30)
_URGENT: Final = {Moment.PAGED: 0, Moment.ESCALATED: 1, Moment.OPENED: 2}


def send_due(context: Context, now: datetime | None = None, *, limit: int = 64) -> int:
    """Send what waits, calls first; returns how many were sent. One channel that hangs keeps no other waiting for longer than its limit.

    Raises: StoreUnavailableError.
    """
    at = now or context.clock.now()
    with context.store.read() as unit:
        due = unit.notices.due(now=at, limit=limit)
    if not due:
        return 0
    ordered = sorted(due, key=lambda n: (_URGENT.get(n.moment, 9), n.next_at))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="notice") as pool:
        return sum(pool.map(lambda each: _guarded(context, each, at), ordered))


def _guarded(context: Context, notice: Notice, now: datetime) -> int:
    try:
        return _send(context, notice, now)
    except ProductOpsError as error:  # the row stays claimed, and is taken up again when the claim runs out
        log.warning("a notice was not sent", notice=notice.id, channel=notice.channel, reason=error.detail)
        return 0


def _send(context: Context, notice: Notice, now: datetime) -> int:
    """Claim, send, note."""
    with context.store.write() as unit:
        channel = unit.oncall.find(Channel, notice.channel)
        timeout = timedelta(seconds=channel.spec.timeout_s if channel else 0)
        claimed = unit.notices.claim(notice, until=now + timeout + _GRACE)
        if claimed is None:
            return 0
        if channel is None:
            unit.notices.end(claimed, "failed", now=now, error=f"the channel {notice.channel} is not declared any more")
            return 0
        if claimed.doubtful > DOUBTFUL_MAX:
            unit.notices.end(claimed, "failed", now=now, error="two attempts ended without a word; it may have arrived")
            return 0
        if channel.spec.webhook is not None:
            return _hand_over(unit, claimed, channel.spec.webhook, now)
    return _deliver(context, claimed, channel, now)


def _hand_over(unit: Unit, claimed: Notice, target: str, now: datetime) -> int:
    """Give it to the outbox of webhooks, which sends it on its own; both in one transaction."""
    if unit.targets.find(target) is None:
        unit.notices.end(claimed, "failed", now=now, error=f"there is no WebhookTarget {target!r}")
        return 0
    data = {
        "moment": claimed.moment.value, "audience": claimed.audience.value, "subject": claimed.subject, "text": claimed.text,
        "incident_id": claimed.incident_id, "venture": claimed.venture, "recipient": claimed.recipient,
    }  # fmt: skip
    subject = f"incident/{claimed.incident_id}" if claimed.incident_id else f"notice/{claimed.id}"
    unit.outbox.add("incident.told", subject, data, now=now, venture=claimed.venture, only=target)
    return int(unit.notices.end(claimed, "sent", now=now, error="handed over to the outbox of webhooks"))


def _deliver(context: Context, claimed: Notice, channel: Channel, now: datetime) -> int:
    try:
        _way(context, channel, claimed)()
    except (DependencyError, SettingsError) as error:
        _failed(context, claimed, channel, error, now)
        return 0
    with context.store.write() as unit:
        said = "an earlier attempt ended without a word: it may have arrived twice" if claimed.doubtful else ""
        return int(unit.notices.end(claimed, "sent", now=context.clock.now(), error=said))


def _way(context: Context, channel: Channel, claimed: Notice) -> Callable[[], None]:
    """How a channel is reached. Raises: SettingsError for what is not set here."""
    spec = channel.spec
    if spec.mail is not None:
        letter = Letter(spec.mail, claimed.subject, claimed.text, _as_html(claimed), f"<{claimed.id}@productops.invalid>")
        mail = context.need_mail()
        return lambda: mail.send(letter)
    secrets = context.secrets_of([spec.secret or ""])
    if not secrets:
        raise SettingsError(f"the secret {spec.secret} of channel {channel.name} is not set: put it into the folder of secrets")
    notifier = context.notifier
    if notifier is None:
        raise SettingsError("this program cannot send messages; the watch process can")
    return lambda: notifier.notify(secrets[0], claimed.subject, claimed.text, timeout_s=spec.timeout_s)


def _as_html(notice: Notice) -> str:
    paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in notice.text.splitlines())
    return f'<!doctype html><html lang="en"><body>{paragraphs}</body></html>'


def _failed(context: Context, claimed: Notice, channel: Channel, error: ProductOpsError, now: datetime) -> None:
    """Try again later, or give up: that is told in the log of the incident, for somebody may wait for that message."""
    after = context.clock.now()
    with context.store.write() as unit:
        if claimed.attempts < channel.spec.attempts_max:
            unit.notices.postpone(claimed, next_at=max(after, now) + wait_after(claimed.attempts), error=error.detail)
            return
        if not unit.notices.end(claimed, "failed", now=after, error=error.detail):
            return
        words = f"{claimed.moment} was not delivered to {claimed.recipient} by {channel.name}: {error.detail}"
        if claimed.incident_id is not None:
            log_incident(unit, claimed.incident_id, "not-told", words, actor=OURSELVES, at=after, detail={"notice": claimed.id})
        detail = {"channel": channel.name, "attempts": claimed.attempts, "venture": claimed.venture}
        note(unit, OURSELVES, "incident.not_told", f"notice/{claimed.id}", now=after, reason=error.detail, detail=detail)
    log.error("a notice was given up", notice=claimed.id, channel=channel.name, reason=error.detail)
