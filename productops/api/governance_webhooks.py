"""Routes of webhooks: who sends and who is told, what came in, what went out, and what to do about what did not."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from productops.api.access import allowed
from productops.api.paging import After, Limit, cut, decode_one
from productops.api.release import BASE
from productops.api.release_schemas import Sent
from productops.api.wiring import ActorDep, ContextDep
from productops.domain.catalog_webhooks import EntryName, WebhookSourceSpec, WebhookTargetSpec
from productops.domain.governance_access import Operation
from productops.domain.governance_outbox import OutboundState, OutboxDelivery, WebhookTarget
from productops.domain.governance_webhooks import Inbound, InboundState, StoredEvent
from productops.usecases import governance_outbox_letters as letters
from productops.usecases import governance_webhooks, governance_webhooks_declared
from productops.usecases.governance_webhooks_declared import SourceView, TargetView

WEBHOOKS = f"{BASE}/webhooks"
BODY_SHOWN = 65_536
router = APIRouter(prefix=WEBHOOKS, tags=["webhooks"])
READS, MANAGES = [allowed(Operation.WEBHOOK_READ)], [allowed(Operation.WEBHOOK_MANAGE)]
RETRIES = [allowed(Operation.WEBHOOK_RETRY)]
Name = Annotated[str, Path(max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Id = Annotated[str, Path(max_length=64)]
Filter = Query(max_length=255, pattern=r"^[^\x00]*$")


class SourceOut(BaseModel):
    """Somebody who may send."""

    name: str
    venture: str
    path: str = Field(description="Where it posts to, behind the API's address.")
    spec: WebhookSourceSpec
    secrets_set: int = Field(description="How many of its secrets are set here; with none, everything is refused.")
    counts: dict[str, int] = Field(description="Requests by state.")

    @classmethod
    def of(cls, view: SourceView) -> SourceOut:
        """The source as callers see it."""
        source = view.source
        return cls(
            name=source.name, venture=source.venture, path=f"/webhooks/{source.name}", spec=source.spec, secrets_set=view.secrets_set,
            counts=view.counts,
        )  # fmt: skip


class SourceList(BaseModel):
    """All sources, by name."""

    items: list[SourceOut]


class TargetOut(BaseModel):
    """Somebody who is told."""

    name: str
    venture: str | None = Field(description="Null: told of all ventures.")
    declared: bool = Field(description="By the catalog, which then is the only one to change it.")
    revision: int
    spec: WebhookTargetSpec

    @classmethod
    def of(cls, target: WebhookTarget) -> TargetOut:
        """The target as callers see it."""
        return cls(name=target.name, venture=target.venture, declared=target.declared, revision=target.revision, spec=target.spec)


class TargetDetailOut(TargetOut):
    """A target with its deliveries counted."""

    secrets_set: int = Field(description="How many of its secrets are set here.")
    counts: dict[str, int] = Field(description="Deliveries by state.")

    @classmethod
    def of_view(cls, view: TargetView) -> TargetDetailOut:
        """The target as callers see it."""
        return cls(**TargetOut.of(view.target).model_dump(), secrets_set=view.secrets_set, counts=view.counts)


class TargetList(BaseModel):
    """All targets, by name."""

    items: list[TargetDetailOut]


class TargetBody(Sent):
    """A target to be made or changed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"venture": "apollo", "spec": {"url": "https://example.com/hooks"}}]}
    )
    venture: EntryName | None = None
    spec: WebhookTargetSpec
    expected_revision: int | None = Field(default=None, description="Refuse the change when the target is at another revision.")


class RemovedOut(BaseModel):
    """What went with a target."""

    discarded: int = Field(description="Deliveries that were still to be sent.")


class TriedOut(BaseModel):
    """The test that was put into the outbox."""

    event: str


class ReceivedOut(BaseModel):
    """A request that came in."""

    id: str
    source: str
    venture: str
    received_at: datetime
    status: InboundState
    attempts: int
    repetitions: int = Field(description="How often the same delivery came again; nothing was done then.")
    reason: str
    bytes: int
    processed_at: datetime | None

    @classmethod
    def of(cls, inbound: Inbound) -> ReceivedOut:
        """The request as callers see it."""
        same = {name: getattr(inbound, name) for name in cls.model_fields if name not in {"bytes", "headers", "body", "events"}}
        return cls.model_validate(same | {"bytes": len(inbound.body)})


class InboundEventOut(BaseModel):
    """One thing that a request told, whoever sent it."""

    id: str
    delivery_id: str
    source: str
    venture: str
    kind: str = Field(examples=["build.succeeded"])
    at: datetime
    service: str | None
    environment: str | None
    version: str | None
    subject: str
    outcome: str
    url: str
    actor: str
    reason: str = Field(description="Why it was not understood.")
    effect: str = Field(description="What was done about it: an incident, a release, or why none.")
    data: dict[str, Any]

    @classmethod
    def of(cls, stored: StoredEvent) -> InboundEventOut:
        """The event as callers see it."""
        own = {name: getattr(stored, name) for name in ("id", "delivery_id", "source", "venture")}
        return cls.model_validate(own | {n: getattr(stored.event, n) for n in cls.model_fields if n not in own})


class ReceivedDetailOut(ReceivedOut):
    """A request as it came, and what it meant."""

    headers: dict[str, str] = Field(description="Without what proves the sender.")
    body: str = Field(description="At most 64 KiB of it, as text.")
    events: list[InboundEventOut]


class ReceivedPage(BaseModel):
    """Requests, newest first; pass `next` as `after` for the following page."""

    items: list[ReceivedOut]
    next: str | None


class InboundEventPage(BaseModel):
    """What came in, newest first."""

    items: list[InboundEventOut]
    next: str | None


class DeliveryOut(BaseModel):
    """One event for one target."""

    id: str = Field(description="The same for each attempt; the target sees it as `webhook-id`.")
    target: str
    event: str = Field(description="Id of the event, the same for all targets.")
    type: str
    subject: str
    venture: str | None
    status: OutboundState
    attempts: int
    next_at: datetime
    give_up_at: datetime
    last_status: int | None = Field(description="HTTP status of the last answer.")
    last_answer: str = Field(description="Its beginning, without secrets.")
    reason: str
    created_at: datetime
    tried_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, delivery: OutboxDelivery) -> DeliveryOut:
        """The delivery as callers see it."""
        event = delivery.event
        own = {"event": event.id, "type": event.type, "subject": event.subject, "venture": event.venture}
        return cls.model_validate(own | {n: getattr(delivery, n) for n in DeliveryOut.model_fields if n not in own})


class DeliveryDetailOut(DeliveryOut):
    """A delivery with what happened."""

    data: dict[str, Any]
    at: datetime


class DeliveryPage(BaseModel):
    """Deliveries, newest first."""

    items: list[DeliveryOut]
    next: str | None


class WhyBody(Sent):
    """Why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "the receiver was repaired"}]})
    reason: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""


@router.get("/sources", operation_id="listWebhookSources", dependencies=READS, summary="List who may send webhooks")
def show_sources(context: ContextDep, actor: ActorDep) -> SourceList:
    """Sources are declared in the catalog, `kind: WebhookSource`."""
    return SourceList(items=[SourceOut.of(view) for view in governance_webhooks_declared.list_sources(context, actor=actor)])


@router.get("/received", operation_id="listReceivedWebhooks", dependencies=READS, summary="List webhooks that came in, newest first")
def show_received(
    context: ContextDep, actor: ActorDep, source: Annotated[str | None, Filter] = None, status: InboundState | None = None,
    after: After = None, limit: Limit = 50,
) -> ReceivedPage:  # fmt: skip
    """Requests without their bodies."""
    found = governance_webhooks.list_received(context, actor=actor, source=source, status=status, before=decode_one(after), limit=limit + 1)
    page, following = cut(found, limit, lambda each: [each.id])
    return ReceivedPage(items=[ReceivedOut.of(each) for each in page], next=following)


@router.get("/received/{delivery_id}", operation_id="getReceivedWebhook", dependencies=READS, summary="Read a webhook that came in")
def show_one_received(delivery_id: Id, context: ContextDep, actor: ActorDep) -> ReceivedDetailOut:
    """The request as it came, and what it meant."""
    view = governance_webhooks.read_received(context, delivery_id, actor=actor)
    body = view.inbound.body[:BODY_SHOWN].decode("utf-8", "replace")
    events = [InboundEventOut.of(each) for each in view.events]
    return ReceivedDetailOut(**ReceivedOut.of(view.inbound).model_dump(), headers=dict(view.inbound.headers), body=body, events=events)


@router.post(
    "/received/{delivery_id}/replay", operation_id="replayWebhook", dependencies=RETRIES, status_code=202,
    summary="Work out a webhook once more",
)  # fmt: skip
def replay(delivery_id: Id, body: WhyBody, context: ContextDep, actor: ActorDep) -> ReceivedOut:
    """For instance after the catalog was put right. What it started before is not started twice."""
    return ReceivedOut.of(governance_webhooks.replay_received(context, delivery_id, actor=actor, reason=body.reason))


@router.get("/events", operation_id="listInboundEvents", dependencies=READS, summary="List what other systems told, newest first")
def show_events(
    context: ContextDep, actor: ActorDep,
    kind: Annotated[str | None, Query(max_length=60, pattern=r"^[a-z.*-]*$", description="Exact, or all of a subject: `build.*`.")] = None,
    service: Annotated[str | None, Filter] = None, after: After = None, limit: Limit = 50,
) -> InboundEventPage:  # fmt: skip
    """Builds, deployments, releases, changes, tickets and alerts in one form, whoever sent them."""
    found = governance_webhooks.list_events(context, actor=actor, kind=kind, service=service, before=decode_one(after), limit=limit + 1)
    page, following = cut(found, limit, lambda each: [each.id])
    return InboundEventPage(items=[InboundEventOut.of(each) for each in page], next=following)


@router.get("/targets", operation_id="listWebhookTargets", dependencies=READS, summary="List who is told by webhook")
def show_targets(context: ContextDep, actor: ActorDep) -> TargetList:
    """With how many deliveries each has in each state."""
    return TargetList(items=[TargetDetailOut.of_view(v) for v in governance_webhooks_declared.list_targets(context, actor=actor)])


@router.put("/targets/{name}", operation_id="putWebhookTarget", dependencies=MANAGES, summary="Make or change a target")
def put_target(name: Name, body: TargetBody, context: ContextDep, actor: ActorDep) -> TargetOut:
    """It is told of what happens from now on. Targets of the catalog are changed there."""
    made = governance_webhooks_declared.put_target(
        context, name, venture=body.venture, spec=body.spec, actor=actor, expected_revision=body.expected_revision
    )
    return TargetOut.of(made)


@router.delete("/targets/{name}", operation_id="removeWebhookTarget", dependencies=MANAGES, summary="Take a target away")
def remove_target(name: Name, context: ContextDep, actor: ActorDep) -> RemovedOut:
    """What was still to be sent to it is discarded."""
    return RemovedOut(discarded=governance_webhooks_declared.remove_target(context, name, actor=actor))


@router.post("/targets/{name}/test", operation_id="tryWebhookTarget", dependencies=MANAGES, status_code=202, summary="Try a target out")
def try_target(name: Name, context: ContextDep, actor: ActorDep) -> TriedOut:
    """Send it an event of type `webhook.test`, the way all others go."""
    return TriedOut(event=governance_webhooks_declared.try_target(context, name, actor=actor))


@router.get("/deliveries", operation_id="listWebhookDeliveries", dependencies=READS, summary="List deliveries, newest first")
def show_deliveries(
    context: ContextDep, actor: ActorDep, target: Annotated[str | None, Filter] = None,
    status: Annotated[OutboundState | None, Query(description="`dead`: the dead letters.")] = None,
    subject: Annotated[str | None, Filter] = None, after: After = None, limit: Limit = 50,
) -> DeliveryPage:  # fmt: skip
    """What is told, was told, or could not be told."""
    found = letters.list_deliveries(
        context, actor=actor, target=target, status=status, subject=subject, before=decode_one(after), limit=limit + 1
    )
    page, following = cut(found, limit, lambda each: [each.id])
    return DeliveryPage(items=[DeliveryOut.of(each) for each in page], next=following)


@router.get("/deliveries/{delivery_id}", operation_id="getWebhookDelivery", dependencies=READS, summary="Read a delivery")
def show_delivery(delivery_id: Id, context: ContextDep, actor: ActorDep) -> DeliveryDetailOut:
    """One delivery with what it tells."""
    found = letters.read_delivery(context, delivery_id, actor=actor)
    return DeliveryDetailOut(**DeliveryOut.of(found).model_dump(), data=dict(found.event.data), at=found.event.at)


@router.post(
    "/deliveries/{delivery_id}/retry", operation_id="retryWebhookDelivery", dependencies=RETRIES, status_code=202,
    summary="Send a dead letter after all",
)  # fmt: skip
def retry(delivery_id: Id, body: WhyBody, context: ContextDep, actor: ActorDep) -> DeliveryOut:
    """Under the id it had. Later ones of the same subject may have arrived before it."""
    return DeliveryOut.of(letters.retry_delivery(context, delivery_id, actor=actor, reason=body.reason))


@router.post(
    "/deliveries/{delivery_id}/discard", operation_id="discardWebhookDelivery", dependencies=RETRIES, summary="Never send a delivery"
)
def discard(delivery_id: Id, body: WhyBody, context: ContextDep, actor: ActorDep) -> DeliveryOut:
    """What comes after it of the same subject goes on without it."""
    return DeliveryOut.of(letters.discard_delivery(context, delivery_id, actor=actor, reason=body.reason))
