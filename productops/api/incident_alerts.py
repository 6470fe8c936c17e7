"""Alerts over HTTP: taken in whoever sends them, listed with what became of them, silenced with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Path, Query, Request
from pydantic import AwareDatetime

from productops.api import incident_alerts_examples as shown
from productops.api import paging
from productops.api.access import allowed
from productops.api.conventions import BYTES_MAX
from productops.api.incident_alerts_together import Together
from productops.api.incident_schemas import (
    AlertBatch,
    AlertOut,
    AlertPage,
    AlertsTakenOut,
    SilenceIn,
    SilenceOut,
    SilencePage,
)
from productops.api.release import BASE
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.catalog_webhooks import Provider
from productops.domain.governance_access import Operation
from productops.domain.incident_alert import AlertState
from productops.domain.release import Environment
from productops.store.incident_alerts import AlertFilter
from productops.usecases.incident_alerts_webhook import Sent, read_sent_alerts
from productops.usecases.incident_read import find_alerts, look_at_alert
from productops.usecases.incident_silence import end_silence, list_silences, silence_alerts

ALERTS = f"{BASE}/alerts"
SILENCES = f"{BASE}/alert-silences"
ALERTS_BYTES = 8_388_608
router = APIRouter(tags=["incidents"])
READ = [allowed(Operation.INCIDENT_READ)]
REPORT = [allowed(Operation.INCIDENT_REPORT)]
SILENCE = [allowed(Operation.ALERT_SILENCE)]
AlertId = Annotated[str, Path(max_length=64, description="Id of the alert.")]
SilenceId = Annotated[str, Path(max_length=64, description="Id of the silence.")]
Text = Query(max_length=255, pattern=r"^[^\x00]*$")
Venture = Annotated[str | None, Query(max_length=63, pattern=r"^[^\x00]*$", description="Whose alerts; else each alert's service says it.")]
Severities = Annotated[list[str] | None, Query(max_length=4, description="Any of these: SEV1 to SEV4.")]
Large: dict[str, Any] = {BYTES_MAX: ALERTS_BYTES}
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who sends, and what takes it in."""

    context: ContextDep
    actor: ActorDep
    together: Together


async def _sender(request: Request, context: ContextDep, actor: ActorDep) -> _Sender:  # async, because others are called in a thread
    return _Sender(context, actor, request.app.state.alerts_together)


SenderDep = Annotated[_Sender, Depends(_sender)]


async def _send(provider: Provider, body: Document, sender: _Sender, venture: str | None) -> AlertsTakenOut:
    read = await to_thread.run_sync(
        lambda: read_sent_alerts(sender.context, Sent(provider, body, venture), actor=sender.actor)
    )  # fmt: skip
    return AlertsTakenOut.of(read.answer(await sender.together.take(sender.context, read.alerts, actor=sender.actor)))


@router.post(
    ALERTS, operation_id="sendAlerts", dependencies=REPORT, summary="Send alerts", status_code=202, openapi_extra=Large
)  # fmt: skip
async def send(body: AlertBatch, sender: SenderDep) -> AlertsTakenOut:
    """In our own form, at most 5,000. What is wrong with one is told by its place; the others are taken. To send one again is harmless."""
    alerts, refused = body.read()
    taken = await sender.together.take(sender.context, [alert for _, alert in alerts], actor=sender.actor)
    return AlertsTakenOut.of(taken, places=[place for place, _ in alerts], more=refused)


@router.post(
    f"{ALERTS}/alertmanager", operation_id="sendAlertmanagerAlerts", dependencies=REPORT, summary="Webhook of Alertmanager",
    status_code=202, openapi_extra=Large,
)  # fmt: skip
async def send_alertmanager(
    body: Annotated[Document, Body(examples=[shown.ALERTMANAGER])], sender: SenderDep, venture: Venture = None
) -> AlertsTakenOut:  # fmt: skip
    """Version 4, as Alertmanager sends it: `http_config.authorization` carries the token. Labels `service`, `environment`, `severity`."""
    return await _send(Provider.ALERTMANAGER, body, sender, venture)


@router.post(
    f"{ALERTS}/grafana", operation_id="sendGrafanaAlerts", dependencies=REPORT, summary="Webhook of Grafana", status_code=202,
    openapi_extra=Large,
)  # fmt: skip
async def send_grafana(
    body: Annotated[Document, Body(examples=[shown.GRAFANA])], sender: SenderDep, venture: Venture = None
) -> AlertsTakenOut:  # fmt: skip
    """The webhook contact point of Grafana's alerting."""
    return await _send(Provider.GRAFANA, body, sender, venture)


@router.post(
    f"{ALERTS}/datadog", operation_id="sendDatadogAlerts", dependencies=REPORT, summary="Webhook of Datadog", status_code=202,
    openapi_extra=Large,
)  # fmt: skip
async def send_datadog(
    body: Annotated[Document, Body(examples=[shown.DATADOG])], sender: SenderDep, venture: Venture = None
) -> AlertsTakenOut:  # fmt: skip
    """The body that the guide of alerts says to enter; its tags name `service` and `env`."""
    return await _send(Provider.DATADOG, body, sender, venture)


@router.post(
    f"{ALERTS}/newrelic", operation_id="sendNewRelicAlerts", dependencies=REPORT, summary="Webhook of New Relic", status_code=202,
    openapi_extra=Large,
)  # fmt: skip
async def send_new_relic(
    body: Annotated[Document, Body(examples=[shown.NEWRELIC])], sender: SenderDep, venture: Venture = None
) -> AlertsTakenOut:  # fmt: skip
    """The default body of a workflow's webhook."""
    return await _send(Provider.NEWRELIC, body, sender, venture)


@router.get(ALERTS, operation_id="listAlerts", dependencies=READ, summary="List alerts, newest first")
def list_alerts(
    context: ContextDep, actor: ActorDep, *,
    venture: Annotated[str | None, Text] = None,
    service: Annotated[str | None, Text] = None,
    environment: Environment | None = None,
    state: Annotated[list[AlertState] | None, Query(max_length=7, description="Any of these; nothing: all.")] = None,
    status: Annotated[str | None, Query(pattern="^(firing|resolved)$", description="firing or resolved.")] = None,
    severity: Severities = None,
    source: Annotated[str | None, Text] = None,
    incident_id: Annotated[str | None, Query(max_length=64)] = None,
    fingerprint: Annotated[str | None, Query(max_length=128, pattern=r"^[^\x00]*$")] = None,
    since: AwareDatetime | None = None,
    limit: paging.ManyLimit = 100, after: paging.After = None,
) -> AlertPage:  # fmt: skip
    """Every alert there was, with what became of it and why: grouped into an incident, listed, or held back."""
    wanted = AlertFilter(
        states=tuple(state or ()), status=status, source=source, severities=tuple(severity or ()), service=service,
        environment=environment, incident_id=incident_id, fingerprint=fingerprint, since=since,
    )  # fmt: skip
    before = paging.decode_id(after)
    found = find_alerts(context, wanted, venture=venture, before=before, limit=limit + 1, actor=actor)
    page, following = paging.cut(found, limit, lambda alert: (alert.id,))
    return AlertPage(items=[AlertOut.of(each) for each in page], next=following)


@router.get(f"{ALERTS}/{{alert_id}}", operation_id="getAlert", dependencies=READ, summary="Read an alert")
def read_alert(alert_id: AlertId, context: ContextDep, actor: ActorDep) -> AlertOut:
    """With its labels and evidence."""
    return AlertOut.of(look_at_alert(context, alert_id, actor=actor))


@router.post(SILENCES, operation_id="silenceAlerts", dependencies=SILENCE, status_code=201, summary="Silence alerts")
def silence(body: SilenceIn, context: ContextDep, actor: ActorDep) -> SilenceOut:
    """Hold back what fits all matchers, until its end. Held back alerts are kept and found, with this reason."""
    ends_at: datetime = body.until(context.clock.now())
    made = silence_alerts(context, body.venture, body.matchers, reason=body.reason, starts_at=body.starts_at, ends_at=ends_at, actor=actor)
    return SilenceOut.of(made, now=context.clock.now())


@router.get(SILENCES, operation_id="listSilences", dependencies=READ, summary="List silences, newest first")
def silences(
    context: ContextDep, actor: ActorDep, *,
    venture: Annotated[str | None, Text] = None,
    all_of_them: Annotated[bool, Query(alias="all", description="Those too that have ended.")] = False,
    limit: paging.Limit = 50, after: paging.After = None,
) -> SilencePage:  # fmt: skip
    """Those that hold or will hold."""
    found = list_silences(
        context, venture=venture, current_only=not all_of_them, before=paging.decode_id(after), limit=limit + 1, actor=actor
    )
    page, following = paging.cut(found, limit, lambda silence: (silence.id,))
    return SilencePage(items=[SilenceOut.of(each, now=context.clock.now()) for each in page], next=following)


@router.post(f"{SILENCES}/{{silence_id}}/end", operation_id="endSilence", dependencies=SILENCE, summary="End a silence")
def unsilence(silence_id: SilenceId, context: ContextDep, actor: ActorDep) -> SilenceOut:
    """Alerts that still fire become incidents within a second or two."""
    return SilenceOut.of(end_silence(context, silence_id, actor=actor), now=context.clock.now())
