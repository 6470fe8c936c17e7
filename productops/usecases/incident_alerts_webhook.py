"""Alerts that came as webhooks: each request is worked in once, and each of its alerts says what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from productops.domain.catalog_webhooks import Provider
from productops.domain.governance_access import Operation
from productops.domain.governance_webhooks import InboundEvent, WebhookSource
from productops.domain.governance_webhooks_normalise import normalise_data
from productops.domain.incident_alert import Alert, AlertState, RefusedAlert, StoredAlert, Taken
from productops.domain.incident_alert_formats import alert_of, source_of_caller
from productops.domain.release import Environment
from productops.errors import InvalidInputError, NotFoundError
from productops.usecases.context import Actor, Context
from productops.usecases.incident_alerts import take_alerts


def take_webhook_alerts(context: Context, source: WebhookSource, events: Sequence[InboundEvent]) -> list[InboundEvent]:
    """Take the alerts that a request tells; returns its events with what became of each.

    Raises: ForbiddenError, StoreUnavailableError: then the request is worked in again later.
    """
    actor = Actor(name=source.principal.name, origin="webhook", principal=source.principal)
    read = [alert_of(source, event) if event.kind.startswith("alert.") else None for event in events]
    alerts = [each for each in read if isinstance(each, Alert)]
    taken = take_alerts(context, alerts, actor=actor)
    refused = {alerts[each.index].fingerprint: each.reason for each in taken.refused}
    with context.store.read() as unit:
        known = unit.alerts.latest(source.venture, {each.fingerprint for each in alerts})
    told = {name: refused[name] if name in refused else _effect(known[name].stored) for name in known.keys() | refused.keys()}
    return [
        replace(event, effect=told.get(each.fingerprint, "")) if isinstance(each, Alert) else event
        for event, each in zip(events, read, strict=True)
    ]  # fmt: skip


def _effect(stored: StoredAlert) -> str:
    if stored.state is AlertState.GROUPED:
        over = "" if stored.alert.firing else ", over"
        return f"incident {stored.incident_id}{over}"
    return f"{stored.state.value}: {stored.reason}"


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that a caller with a token sent. ``venture`` None: that of the alerts' services, or their label ``venture``."""

    provider: Provider
    data: Any
    venture: str | None = None
    environment: Environment = Environment.PRODUCTION


@dataclass(frozen=True, slots=True)
class ReadAlerts:
    """The alerts of a body with their places in it, and what is wrong with the others."""

    alerts: tuple[Alert, ...]
    places: tuple[int, ...]
    refused: tuple[RefusedAlert, ...]

    def answer(self, taken: Taken) -> Taken:
        """What became of the body, by the places in it."""
        refused = [*self.refused, *(RefusedAlert(self.places[each.index], each.reason) for each in taken.refused)]
        return replace(taken, refused=tuple(sorted(refused, key=lambda each: each.index)))


def take_sent_alerts(context: Context, sent: Sent, *, actor: Actor) -> Taken:
    """Take the alerts of a body in another system's form. Raises: as ``read_sent_alerts`` and ``take_alerts``."""
    read = read_sent_alerts(context, sent, actor=actor)
    return read.answer(take_alerts(context, read.alerts, actor=actor))


def read_sent_alerts(context: Context, sent: Sent, *, actor: Actor) -> ReadAlerts:
    """The alerts of a body in another system's form.

    Raises: InvalidInputError for a body that tells no alert, NotFoundError for a venture that does not exist.
    """
    with context.store.read() as unit:
        ventures = unit.catalog.ventures()
        if sent.venture is not None and sent.venture not in ventures:
            raise NotFoundError(f"there is no venture {sent.venture[:80]!r}")
        source = source_of_caller(actor.name, sent.venture or "", sent.provider, environment=sent.environment)
        events = normalise_data(source, sent.data, now=context.clock.now())
        owners = unit.incident_policies.owners({event.service for event in events if event.service})
    visible = [each for each in ventures if _may(actor, each)]
    alerts: list[Alert] = []
    places: list[int] = []
    refused: list[RefusedAlert] = []
    for index, event in enumerate(events):
        read = alert_of(replace(source, venture=sent.venture or _venture(event, owners, visible)), event)
        if isinstance(read, Alert):
            alerts.append(read)
            places.append(index)
        else:
            refused.append(RefusedAlert(index, read))
    if not alerts and refused:
        raise InvalidInputError(f"the body tells no alert: {refused[0].reason}")
    return ReadAlerts(tuple(alerts), tuple(places), tuple(refused))


def _may(actor: Actor, venture: str) -> bool:
    from productops.domain.governance_access import Scope, may_see

    return may_see(actor.principal, Operation.INCIDENT_REPORT, Scope(venture))


def _venture(event: InboundEvent, owners: dict[str, str], visible: list[str]) -> str:
    """Whose alert it is: the label says it, or the service, or there is only one that the caller may report for."""
    labels = event.data.get("labels") or {}
    named = labels.get("venture") if isinstance(labels, dict) else None
    if isinstance(named, str) and named:
        return named
    return owners.get(event.service or "", visible[0] if len(visible) == 1 else "")
