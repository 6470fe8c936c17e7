"""Alerts as others send them: Alertmanager, Grafana, Datadog, New Relic, and JSON with a declared mapping. Nothing here fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from productops.domain.catalog_webhooks import AlertMapping, Provider
from productops.domain.governance_webhooks import UNRECOGNISED, InboundEvent, WebhookSource
from productops.domain.governance_webhooks_json import dig
from productops.domain.governance_webhooks_reading import Reading
from productops.domain.incident_alert import LABEL_MAX, LABELS_MAX, NAME_MAX, SUMMARY_MAX, Alert, fingerprint_of
from productops.domain.release import Environment

ALERTS_MAX = 5_000
SEVERITY = {
    "critical": "SEV1", "page": "SEV1", "p1": "SEV1", "error": "SEV2", "high": "SEV2", "p2": "SEV2", "warning": "SEV3", "warn": "SEV3",
    "medium": "SEV3", "p3": "SEV3", "info": "SEV4", "low": "SEV4", "none": "SEV4", "p4": "SEV4", "p5": "SEV4",
    "sev1": "SEV1", "sev2": "SEV2", "sev3": "SEV3", "sev4": "SEV4",
}  # fmt: skip
ALERTING = frozenset({Provider.ALERTMANAGER, Provider.GRAFANA, Provider.DATADOG, Provider.NEWRELIC, Provider.ALERTS})
_FIRING = {"triggered", "re-triggered", "renotify", "warn", "re-warn", "no data", "firing", "alerting", "created", "activated",
           "acknowledged", "open", "active", "critical", "true", "1", "alarm", "problem"}  # fmt: skip
_OVER = {"recovered", "warn recovered", "resolved", "ok", "closed", "inactive", "normal", "false", "0", "no data recovered"}
MAPPED_MAX = 500


def read_alerts(reading: Reading) -> list[InboundEvent]:
    """One event for each alert of a body, ``alert.firing`` or ``alert.resolved``; what is no alert is kept with its reason."""
    return _READERS[reading.source.spec.provider](reading)


def _grafana(reading: Reading) -> list[InboundEvent]:
    alerts = dig(reading.data, "alerts")
    if not isinstance(alerts, list):
        return [reading.unrecognised("this is no webhook of Grafana's alerting: it has no list of alerts")]
    found = [_labelled(replace(reading, data=each)) for each in alerts[:ALERTS_MAX]]
    return found + left_out(reading)


def left_out(reading: Reading) -> list[InboundEvent]:
    """What the sender says it has not told, as a thing that somebody should see."""
    count = dig(reading.data, "truncatedAlerts")
    if not isinstance(count, int) or count <= 0:
        return []
    return [reading.unrecognised(f"the sender left {count} alerts out of this message (truncatedAlerts); raise its max_alerts")]


def _labelled(reading: Reading) -> InboundEvent:
    labels = dig(reading.data, "labels")
    status, fingerprint = reading.text("status"), reading.text("fingerprint", limit=100)
    if status not in {"firing", "resolved"} or not fingerprint or not isinstance(labels, dict):
        return reading.unrecognised("an alert without status, labels or fingerprint")
    return _event(
        reading, status, key=fingerprint, name=reading.text("labels", "alertname"), at=reading.text("startsAt", limit=60),
        ends_at=reading.text("endsAt", limit=60), labels=labels, annotations=dig(reading.data, "annotations"),
        service=reading.text("labels", reading.source.spec.service_label), url=reading.text("generatorURL"),
        environment=reading.text("labels", "environment") or reading.text("labels", "env"),
    )  # fmt: skip


def _datadog(reading: Reading) -> list[InboundEvent]:
    """The body that docs/how-to/alerts.md says to enter in Datadog's Webhooks integration; tags name service and env."""
    tags = dict(each.split(":", 1) for each in reading.text("tags", limit=5000).split(",") if ":" in each)
    status = _status(reading.text("alert_transition"))
    key = reading.text("alert_cycle_key") or reading.text("aggreg_key") or reading.text("alert_id")
    if status is None or not key:
        return [reading.unrecognised("a message of Datadog needs alert_transition and alert_cycle_key, aggreg_key or alert_id")]
    notes = {"summary": reading.text("title"), "description": reading.text("body", limit=2000)}
    named = tags.get("service", "").strip()
    labels = {name.strip(): value.strip() for name, value in tags.items()} | {"severity": reading.text("priority") or "warning"}
    return [
        _event(
            reading, status, key=key, name=reading.text("alert_title") or reading.text("title"), labels=labels, annotations=notes,
            service=named, environment=tags.get("env", "").strip(), url=reading.text("link"),
            at=_written(dig(reading.data, "alert_started") or dig(reading.data, "date")),
        )
    ]  # fmt: skip


def _new_relic(reading: Reading) -> list[InboundEvent]:
    """The default body of New Relic's workflows; its impacted entities are mapped to services."""
    status, key = _status(reading.text("state")), reading.text("id") or reading.text("issueId")
    if status is None or not key:
        return [reading.unrecognised("a message of New Relic needs id and state")]
    entities = dig(reading.data, "impactedEntities")
    names = [each for each in entities if isinstance(each, str)] if isinstance(entities, list) else []
    services = reading.source.spec.services
    named = next((each for each in names if each in services), names[0] if names else "")
    labels = {"severity": reading.text("priority") or "warning", "entity": named}
    closed = dig(reading.data, "closedAt") or dig(reading.data, "updatedAt") if status == "resolved" else ""
    return [
        _event(
            reading, status, key=key, name=reading.text("alertConditionNames", 0) or reading.text("title"), labels=labels,
            annotations={"summary": reading.text("title")}, service=named if named in services else "", environment="",
            url=reading.text("issueUrl"), at=_written(dig(reading.data, "createdAt")), ends_at=_written(closed),
        )
    ]  # fmt: skip


def _mapped(reading: Reading) -> list[InboundEvent]:
    mapping = reading.source.spec.alerts or AlertMapping()
    items = _search(mapping.items, reading.data) if mapping.items else reading.data
    each = items if isinstance(items, list) else [items]
    if items is None or not each:
        return [reading.unrecognised(f"alerts.items ({mapping.items}) finds nothing in the body")]
    return [_by_mapping(replace(reading, data=one), mapping) for one in each[:MAPPED_MAX]]


def _by_mapping(reading: Reading, mapping: AlertMapping) -> InboundEvent:
    def at(path: str) -> str:
        return _written(_search(path, reading.data)) if path else ""

    written = at(mapping.status)
    status = "firing" if written in mapping.firing else "resolved" if written in mapping.resolved else _status(written or "firing")
    if status is None:
        return reading.unrecognised(f"the status {written[:60]!r} is neither among alerts.firing nor alerts.resolved")
    name = at(mapping.name)
    if not name:
        return reading.unrecognised(f"alerts.name ({mapping.name}) finds nothing in the alert")
    found = _search(mapping.labels, reading.data) if mapping.labels else None
    labels = {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
    word = at(mapping.severity)
    labels["severity"] = mapping.severities.get(word, word)
    key = at(mapping.fingerprint) or fingerprint_of("webhook", name, labels | {" service": at(mapping.service)})
    return _event(
        reading, status, key=key, name=name, labels=labels, annotations={"summary": at(mapping.summary)}, service=at(mapping.service),
        environment=at(mapping.environment), at=at(mapping.starts_at), ends_at=at(mapping.ends_at), url=at(mapping.url),
    )  # fmt: skip


def _search(path: str, data: Any) -> Any:
    import jmespath  # only where somebody declared a mapping

    try:
        return jmespath.search(path, data)
    except (jmespath.exceptions.JMESPathError, RecursionError, TypeError, ValueError):
        return None


def _event(
    reading: Reading, status: str, *, key: str, name: str, labels: Mapping[str, Any], annotations: Any, service: str, environment: str,
    at: str, url: str = "", ends_at: str = "",
) -> InboundEvent:  # fmt: skip
    spec = reading.source.spec
    found = reading.event(
        f"alert.{status}", environment=environment, version=str(labels.get("version", "")), at=at, subject=name, outcome=status, url=url,
        data={"alert_key": f"{key}/{at}", "labels": dict(labels), "annotations": annotations, "ends_at": ends_at},
    )  # fmt: skip
    return replace(found, service=spec.services.get(service, service) or spec.service)


def _status(written: str) -> str | None:
    word = written.strip().lower()
    return "firing" if word in _FIRING else "resolved" if word in _OVER else None


def _written(value: Any) -> str:
    """A text; a number that is a time in seconds or milliseconds of Unix becomes ISO 8601."""
    if isinstance(value, bool) or value is None:
        return str(value).lower() if isinstance(value, bool) else ""
    number = float(value) if isinstance(value, int | float) or (isinstance(value, str) and value.isdecimal() and len(value) < 15) else 0.0
    if number > 1e9:
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC).isoformat()
    return str(value)[:2000] if isinstance(value, str | int | float) else ""


_READERS: dict[Provider, Callable[[Reading], list[InboundEvent]]] = {
    Provider.GRAFANA: _grafana, Provider.DATADOG: _datadog, Provider.NEWRELIC: _new_relic, Provider.ALERTS: _mapped,
}  # fmt: skip


def alert_of(source: WebhookSource, event: InboundEvent) -> Alert | str:
    """The alert that an event tells, or why it tells none."""
    if event.kind == UNRECOGNISED:
        return event.reason
    labels = {str(k)[:LABEL_MAX]: _label(v) for k, v in list(dict(event.data.get("labels") or {}).items())[:LABELS_MAX]}
    notes = event.data.get("annotations")
    notes = notes if isinstance(notes, dict) else {}
    key = str(event.data["alert_key"]).rpartition("/")[0]
    name = event.subject or labels.get("alertname") or "alert"
    origin = "alertmanager" if source.spec.provider is Provider.ALERTMANAGER else "webhook"
    firing = event.kind == "alert.firing"
    ends_at = _time(str(event.data.get("ends_at") or ""))
    return Alert(
        source=origin, name=name[:NAME_MAX], venture=source.venture, starts_at=event.at,
        fingerprint=fingerprint_of(origin, source.name, {"fingerprint": key}), status="firing" if firing else "resolved",
        severity=SEVERITY.get(labels.get("severity", "").lower(), "SEV2"), service=event.service, environment=event.environment,
        labels=labels, summary=str(notes.get("summary") or notes.get("title") or name)[:SUMMARY_MAX],
        evidence={"source": source.name, "annotations": {str(k): str(v)[:2000] for k, v in list(notes.items())[:50]}, "url": event.url},
        ends_at=None if firing else ends_at, component=labels.get("component", "")[:255],
    )  # fmt: skip


def _label(value: Any) -> str:
    return str(value)[:LABEL_MAX]


def _time(written: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(written)
    except (ValueError, OverflowError):
        return None
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return aware.astimezone(UTC) if aware.year > 1 else None


def source_of_caller(name: str, venture: str, provider: Provider, *, environment: Environment) -> WebhookSource:
    """What a caller with a token of ours is for the readers: a source that nobody declared."""
    from productops.domain.catalog_webhooks import WebhookSourceSpec

    spec = WebhookSourceSpec(provider=provider, secrets=("PRODUCTOPS_SECRET_NONE",), environment=environment)
    return WebhookSource(f"token:{name}", venture, spec)
