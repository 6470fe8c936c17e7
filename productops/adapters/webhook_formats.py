"""What a target is sent: body and headers of an event, the same for each attempt; and the signature of one attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from productops.adapters.cdevents import context_of, to_cdevent
from productops.adapters.webhook_signatures import STANDARD_ID, STANDARD_SIGNATURE, STANDARD_TIMESTAMP, standard_signature
from productops.domain.catalog_webhooks import Format, WebhookTargetSpec
from productops.domain.governance_outbox import OutboxEvent

_STRUCTURED = "application/cloudevents+json; charset=utf-8"
_JSON = "application/json"
# What CloudEvents' HTTP binding sends as it is; everything else is percent-encoded.
_PLAIN = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"


def render(event: OutboxEvent, spec: WebhookTargetSpec, *, source: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers. ``source`` is a URI that names this installation."""
    if spec.format is Format.PLAIN:
        document = {
            "id": event.id, "type": event.type, "subject": event.subject, "time": event.at.isoformat(), "venture": event.venture,
            "sequence": event.seq, "data": dict(event.data),
        }  # fmt: skip
        return _bytes(document), {"content-type": _JSON}
    attributes, data = _cloud_event(event, spec.format, source)
    if spec.mode == "structured":
        return _bytes(attributes | {"data": data}), {"content-type": _STRUCTURED}
    headers = {f"ce-{name}": quote(str(value), safe=_PLAIN) for name, value in attributes.items() if name != "datacontenttype"}
    return _bytes(data), {"content-type": _JSON, **headers}


def _cloud_event(event: OutboxEvent, wanted: Format, source: str) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Attributes and data of CloudEvents 1.0."""
    own: dict[str, Any] = {"specversion": "1.0", "datacontenttype": _JSON, "sequence": str(event.seq)}
    if event.venture:
        own["venture"] = event.venture
    if wanted is Format.CDEVENTS:
        data: Mapping[str, Any] = to_cdevent(event, source=source)
        same = {name: context_of(data, name) for name in ("id", "source", "type")}
        return own | same | {"subject": str(data["subject"]["id"]), "time": context_of(data, "timestamp")}, data
    named = {
        "id": event.id, "source": source, "type": f"dev.productops.{event.type}", "subject": event.subject, "time": event.at.isoformat(),
    }  # fmt: skip
    return own | named, dict(event.data)


def _bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, default=str, separators=(",", ":")).encode()


def signed(headers: Mapping[str, str], body: bytes, *, message_id: str, timestamp_s: int, secrets: Sequence[str]) -> dict[str, str]:
    """``headers`` with those of Standard Webhooks 1.0; one signature for each live secret."""
    own = {STANDARD_ID: message_id, STANDARD_TIMESTAMP: str(timestamp_s)}
    if secrets:
        each = (standard_signature(secret, message_id=message_id, timestamp_s=timestamp_s, body=body) for secret in secrets)
        own[STANDARD_SIGNATURE] = " ".join(each)
    return {**headers, **own}
