"""What other systems' alerts look like when they arrive: shown in the API's document, one example for each system."""

from __future__ import annotations

from typing import Any

_LABELS = {"alertname": "SlowAnswers", "service": "storefront", "environment": "production", "severity": "critical"}
_ONE = {
    "status": "firing", "labels": _LABELS, "annotations": {"summary": "half of the answers take longer than a second"},
    "startsAt": "2026-11-21T03:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "c3ab8ff13720e8ad",
}  # fmt: skip
ALERTMANAGER: dict[str, Any] = {
    "version": "4", "groupKey": '{}:{alertname="SlowAnswers"}', "truncatedAlerts": 0, "status": "firing", "receiver": "productops",
    "groupLabels": {"alertname": "SlowAnswers"}, "commonLabels": _LABELS, "commonAnnotations": {},
    "externalURL": "https://alertmanager.example.com", "alerts": [_ONE | {"generatorURL": "https://prometheus.example.com/graph"}],
}  # fmt: skip
GRAFANA: dict[str, Any] = {
    "receiver": "productops", "status": "firing", "orgId": 1, "alerts": [_ONE | {"dashboardURL": "https://grafana.example.com/d/shop"}],
}  # fmt: skip
DATADOG: dict[str, Any] = {
    "alert_transition": "Triggered", "alert_cycle_key": "5483211", "alert_title": "Slow answers", "alert_priority": "P2",
    "tags": "service:storefront,env:production", "date": "1795230000000",
}  # fmt: skip
NEWRELIC: dict[str, Any] = {
    "id": "i-8f1c", "state": "ACTIVATED", "title": "Slow answers", "priority": "CRITICAL", "impactedEntities": ["storefront"],
    "createdAt": 1795230000000, "issueUrl": "https://one.newrelic.com/issue/i-8f1c",
}  # fmt: skip
