"""Whether a webhook is from whom it says: each provider's signature, compared in constant time over the bytes as they came."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from productops.domain.catalog_webhooks import Auth, Provider
from productops.domain.governance_webhooks import WebhookSource
from productops.domain.governance_webhooks_json import cloud_event_id

STANDARD_ID, STANDARD_TIMESTAMP, STANDARD_SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_HUB = {Provider.GITHUB: "x-hub-signature-256", Provider.BITBUCKET: "x-hub-signature", Provider.JIRA: "x-hub-signature"}
_SIGNATURES_MAX = 10
# What proves the sender is not kept with a request.
SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-gitlab-token", "x-hub-signature", "x-hub-signature-256", STANDARD_SIGNATURE}
)
_DELIVERY_ID = {
    Provider.GITHUB: "x-github-delivery",
    Provider.BITBUCKET: "x-request-uuid",
    Provider.JIRA: "x-atlassian-webhook-identifier",
}


def standard_key(secret: str) -> bytes:
    """The key of a Standard Webhooks secret: what ``whsec_`` encodes, else the text itself."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            return secret.encode()
    return secret.encode()


def standard_signature(secret: str, *, message_id: str, timestamp_s: int, body: bytes) -> str:
    """``v1,…`` of Standard Webhooks 1.0: base64 of HMAC-SHA256 over ``id.timestamp.body``."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(standard_key(secret), signed, hashlib.sha256).digest()).decode()


def check_signature(source: WebhookSource, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: datetime) -> str | None:
    """``None`` when one of ``secrets`` fits; else what was wrong, without any secret. ``headers`` are in lower case."""
    if not secrets:
        return "none of the source's secrets is set here"
    return _CHECKS[source.spec.way](source, secrets, headers, body, now)


def _any_same(wanted: Sequence[str], given: str) -> bool:
    """Compares with each, so that the time tells neither which fits nor how much of one."""
    presented = given.encode("utf-8", "surrogateescape")
    return sum(hmac.compare_digest(each.encode(), presented) for each in wanted) > 0  # a sum compares with each


def _hub(source: WebhookSource, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, _now: datetime) -> str | None:
    header = _HUB.get(source.spec.provider, source.spec.signature_header.lower())
    given = headers.get(header, "")
    if not given:
        return f"the header {header} is missing"
    wanted = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
    return None if _any_same(wanted, given.removeprefix("sha256=").lower()) else f"the signature in {header} fits no live secret"


def _gitlab(source: WebhookSource, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
    """A token; GitLab's newer webhooks are signed instead, and then the signature counts."""
    if STANDARD_SIGNATURE in headers:
        return _standard(source, secrets, headers, body, now)
    given = headers.get("x-gitlab-token", "")
    return None if given and _any_same(secrets, given) else "the token in x-gitlab-token is missing or fits no live secret"


def _bearer(_source: WebhookSource, secrets: Sequence[str], headers: Mapping[str, str], _body: bytes, _now: datetime) -> str | None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    same = _any_same(secrets, given.strip())
    return None if same and scheme.lower() == "bearer" else "the header `Authorization: Bearer <secret>` is missing or fits no live secret"


def _basic(_source: WebhookSource, secrets: Sequence[str], headers: Mapping[str, str], _body: bytes, _now: datetime) -> str | None:
    """The secret is ``user:password``."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    wanted = [base64.b64encode(secret.encode()).decode() for secret in secrets]
    same = _any_same(wanted, given.strip())
    return None if same and scheme.lower() == "basic" else "the header `Authorization: Basic …` is missing or fits no live secret"


def _standard(source: WebhookSource, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
    message_id, timestamp = headers.get(STANDARD_ID, ""), headers.get(STANDARD_TIMESTAMP, "")
    given = headers.get(STANDARD_SIGNATURE, "").split()
    if not message_id or not given or not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return f"{STANDARD_ID}, {STANDARD_TIMESTAMP} or {STANDARD_SIGNATURE} is missing or malformed"
    apart_s = abs(now.timestamp() - int(timestamp))
    wanted = [standard_signature(secret, message_id=message_id, timestamp_s=int(timestamp), body=body) for secret in secrets]
    if not sum(_any_same(wanted, each) for each in given[:_SIGNATURES_MAX]):
        return f"the signature in {STANDARD_SIGNATURE} fits no live secret"
    if apart_s > source.spec.tolerance_s:
        return f"{STANDARD_TIMESTAMP} is {apart_s:.0f} s away from our clock; {source.spec.tolerance_s} s are allowed"
    return None


_Check = Callable[[WebhookSource, Sequence[str], Mapping[str, str], bytes, datetime], str | None]
_CHECKS: dict[Auth, _Check] = {
    Auth.SIGNATURE: _hub, Auth.HMAC: _hub, Auth.TOKEN: _gitlab, Auth.BEARER: _bearer, Auth.BASIC: _basic, Auth.STANDARD: _standard,
}  # fmt: skip


def delivery_key(source: WebhookSource, headers: Mapping[str, str], body: bytes) -> str | None:
    """What tells a repetition from another delivery; ``None`` where only the body can."""
    given = _given_id(source, headers, body)
    return f"id:{hashlib.sha256(given.encode('utf-8', 'surrogateescape')).hexdigest()}" if given else None


def id_is_signed(source: WebhookSource, headers: Mapping[str, str]) -> bool:
    """Whether somebody who has seen a request could not send it again under another id."""
    return source.spec.way is Auth.STANDARD or (source.spec.way is Auth.TOKEN and STANDARD_SIGNATURE in headers)


def covers_body_only(source: WebhookSource, headers: Mapping[str, str]) -> bool:
    """Whether the proof is a signature of the body, so that the body is what a repetition is known by, whatever its id says."""
    return source.spec.way in {Auth.SIGNATURE, Auth.HMAC} and not id_is_signed(source, headers)


def _given_id(source: WebhookSource, headers: Mapping[str, str], body: bytes) -> str:
    provider = source.spec.provider
    if provider in _DELIVERY_ID:
        return headers.get(_DELIVERY_ID[provider], "")
    if headers.get(STANDARD_ID):
        return headers[STANDARD_ID]
    if provider is Provider.GITLAB:
        # The event's UUID is shared by the events it causes in turn, so the body belongs to it.
        uuid = headers.get("x-gitlab-event-uuid", "")
        return headers.get("idempotency-key", "") or (f"{uuid} {hashlib.sha256(body).hexdigest()}" if uuid else "")
    if provider in {Provider.CDEVENTS, Provider.CLOUDEVENTS}:
        return cloud_event_id(headers, body)
    return headers.get("idempotency-key", "") if provider is Provider.PLAIN else ""
