"""Documents of webhooks. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Environment)


class AlertMapping(TypedDict):
    """Where the parts of an alert stand in a body that we do not know: paths of JMESPath, from the alert on."""
    items: NotRequired[str]
    name: NotRequired[str]
    status: NotRequired[str]
    firing: NotRequired[list[str]]
    resolved: NotRequired[list[str]]
    fingerprint: NotRequired[str]
    severity: NotRequired[str]
    severities: NotRequired[dict[str, Literal['SEV1', 'SEV2', 'SEV3', 'SEV4']]]
    service: NotRequired[str]
    environment: NotRequired[str]
    starts_at: NotRequired[str]
    ends_at: NotRequired[str]
    summary: NotRequired[str]
    labels: NotRequired[str]
    url: NotRequired[str]


Auth = Literal['signature', 'token', 'bearer', 'basic', 'hmac', 'standard']


class DeliveryDetailOut(TypedDict):
    """A delivery with what happened."""
    id: str
    target: str
    event: str
    type: str
    subject: str
    venture: str | None
    status: OutboundState
    attempts: int
    next_at: str
    give_up_at: str
    last_status: int | None
    last_answer: str
    reason: str
    created_at: str
    tried_at: str | None
    ended_at: str | None
    data: dict[str, Any]
    at: str


class DeliveryOut(TypedDict):
    """One event for one target."""
    id: str
    target: str
    event: str
    type: str
    subject: str
    venture: str | None
    status: OutboundState
    attempts: int
    next_at: str
    give_up_at: str
    last_status: int | None
    last_answer: str
    reason: str
    created_at: str
    tried_at: str | None
    ended_at: str | None


class DeliveryPage(TypedDict):
    """Deliveries, newest first."""
    items: list[DeliveryOut]
    next: str | None


Format = Literal['cdevents', 'cloudevents', 'plain']


class GovernanceWebhooksTriedOut(TypedDict):
    """The test that was put into the outbox."""
    event: str


class GovernanceWebhooksWhyBody(TypedDict):
    """Why."""
    reason: NotRequired[str]


class InboundEventOut(TypedDict):
    """One thing that a request told, whoever sent it."""
    id: str
    delivery_id: str
    source: str
    venture: str
    kind: str
    at: str
    service: str | None
    environment: str | None
    version: str | None
    subject: str
    outcome: str
    url: str
    actor: str
    reason: str
    effect: str
    data: dict[str, Any]


class InboundEventPage(TypedDict):
    """What came in, newest first."""
    items: list[InboundEventOut]
    next: str | None


InboundState = Literal['received', 'done', 'unrecognised', 'dead', 'discarded']


OutboundState = Literal['pending', 'delivered', 'dead', 'discarded']


Provider = Literal['github', 'gitlab', 'bitbucket', 'jira', 'jenkins', 'alertmanager', 'cdevents', 'cloudevents', 'plain', 'grafana', 'datadog', 'newrelic', 'alerts']


class ReceivedDetailOut(TypedDict):
    """A request as it came, and what it meant."""
    id: str
    source: str
    venture: str
    received_at: str
    status: InboundState
    attempts: int
    repetitions: int
    reason: str
    bytes: int
    processed_at: str | None
    headers: dict[str, str]
    body: str
    events: list[InboundEventOut]


class ReceivedOut(TypedDict):
    """A request that came in."""
    id: str
    source: str
    venture: str
    received_at: str
    status: InboundState
    attempts: int
    repetitions: int
    reason: str
    bytes: int
    processed_at: str | None


class ReceivedPage(TypedDict):
    """Requests, newest first; pass `next` as `after` for the following page."""
    items: list[ReceivedOut]
    next: str | None


class RemovedOut(TypedDict):
    """What went with a target."""
    discarded: int


class SourceList(TypedDict):
    """All sources, by name."""
    items: list[SourceOut]


class SourceOut(TypedDict):
    """Somebody who may send."""
    name: str
    venture: str
    path: str
    spec: WebhookSourceSpec
    secrets_set: int
    counts: dict[str, int]


class StartRelease(TypedDict):
    """Start a release when the sender says that something is ready."""
    on: list[Literal['release.published', 'build.succeeded', 'deployment.requested', 'deployment.succeeded', 'service.deployed', 'service.upgraded', 'service.published', 'artifact.packaged', 'artifact.published', 'change.merged']]
    service: NotRequired[str | None]
    environment: NotRequired[Environment]
    tag_prefix: NotRequired[str]
    start: NotRequired[Literal['now', 'next-window']]


class TakenOut(TypedDict):
    """What became of the request."""
    id: str
    status: str


class TargetBody(TypedDict):
    """A target to be made or changed."""
    venture: NotRequired[str | None]
    spec: WebhookTargetSpec
    expected_revision: NotRequired[int | None]


class TargetDetailOut(TypedDict):
    """A target with its deliveries counted."""
    name: str
    venture: str | None
    declared: bool
    revision: int
    spec: WebhookTargetSpec
    secrets_set: int
    counts: dict[str, int]


class TargetList(TypedDict):
    """All targets, by name."""
    items: list[TargetDetailOut]


class TargetOut(TypedDict):
    """Somebody who is told."""
    name: str
    venture: str | None
    declared: bool
    revision: int
    spec: WebhookTargetSpec


class WebhookSourceSpec(TypedDict):
    """Somebody who may POST to /webhooks/{name}."""
    provider: Provider
    secrets: list[str]
    auth: NotRequired[Auth | None]
    signature_header: NotRequired[str]
    tolerance_s: NotRequired[int]
    repetition_window_s: NotRequired[int]
    services: NotRequired[dict[str, str]]
    service: NotRequired[str | None]
    service_label: NotRequired[str]
    environments: NotRequired[dict[str, Environment]]
    environment: NotRequired[Environment]
    release: NotRequired[StartRelease | None]
    alerts: NotRequired[AlertMapping | None]


class WebhookTargetSpec(TypedDict):
    """Somebody who is told."""
    url: str
    format: NotRequired[Format]
    mode: NotRequired[Literal['structured', 'binary']]
    types: NotRequired[list[str]]
    secrets: NotRequired[list[str]]
    token: NotRequired[str | None]
    timeout_s: NotRequired[float]
    attempts_max: NotRequired[int]
    give_up_after_s: NotRequired[int]
    paused: NotRequired[bool]
