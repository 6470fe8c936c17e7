"""Operations of webhooks. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from productops.client.webhooks_models import (DeliveryDetailOut, DeliveryOut, DeliveryPage, GovernanceWebhooksTriedOut, GovernanceWebhooksWhyBody, InboundEventPage, InboundState, OutboundState, ReceivedDetailOut, ReceivedOut, ReceivedPage, RemovedOut, SourceList, TakenOut, TargetBody, TargetList, TargetOut)
from productops.client.transport import ServerEvent, Transport, path_part


class WebhooksOperations(Transport):
    """Operations of webhooks."""

    def receive_webhook(self, source: str, body: Any) -> TakenOut:
        """Send a webhook."""
        found: TakenOut = self._ask('POST', f'/webhooks/{path_part(source)}', body=body).json()
        return found

    def list_webhook_sources(self) -> SourceList:
        """List who may send webhooks."""
        found: SourceList = self._ask('GET', '/api/v1/product-ops/webhooks/sources').json()
        return found

    def list_received_webhooks(self, *, source: str | None = None, status: InboundState | None = None, after: str | None = None, limit: int | None = None) -> ReceivedPage:
        """List webhooks that came in, newest first."""
        found: ReceivedPage = self._ask('GET', '/api/v1/product-ops/webhooks/received', query={'source': source, 'status': status, 'after': after, 'limit': limit}).json()
        return found

    def get_received_webhook(self, delivery_id: str) -> ReceivedDetailOut:
        """Read a webhook that came in."""
        found: ReceivedDetailOut = self._ask('GET', f'/api/v1/product-ops/webhooks/received/{path_part(delivery_id)}').json()
        return found

    def replay_webhook(self, delivery_id: str, body: GovernanceWebhooksWhyBody, *, idempotency_key: str | None = None) -> ReceivedOut:
        """Work out a webhook once more."""
        found: ReceivedOut = self._ask('POST', f'/api/v1/product-ops/webhooks/received/{path_part(delivery_id)}/replay', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_inbound_events(self, *, kind: str | None = None, service: str | None = None, after: str | None = None, limit: int | None = None) -> InboundEventPage:
        """List what other systems told, newest first."""
        found: InboundEventPage = self._ask('GET', '/api/v1/product-ops/webhooks/events', query={'kind': kind, 'service': service, 'after': after, 'limit': limit}).json()
        return found

    def list_webhook_targets(self) -> TargetList:
        """List who is told by webhook."""
        found: TargetList = self._ask('GET', '/api/v1/product-ops/webhooks/targets').json()
        return found

    def put_webhook_target(self, name: str, body: TargetBody) -> TargetOut:
        """Make or change a target."""
        found: TargetOut = self._ask('PUT', f'/api/v1/product-ops/webhooks/targets/{path_part(name)}', body=body).json()
        return found

    def remove_webhook_target(self, name: str) -> RemovedOut:
        """Take a target away."""
        found: RemovedOut = self._ask('DELETE', f'/api/v1/product-ops/webhooks/targets/{path_part(name)}').json()
        return found

    def try_webhook_target(self, name: str, *, idempotency_key: str | None = None) -> GovernanceWebhooksTriedOut:
        """Try a target out."""
        found: GovernanceWebhooksTriedOut = self._ask('POST', f'/api/v1/product-ops/webhooks/targets/{path_part(name)}/test', headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def list_webhook_deliveries(self, *, target: str | None = None, status: OutboundState | None = None, subject: str | None = None, after: str | None = None, limit: int | None = None) -> DeliveryPage:
        """List deliveries, newest first."""
        found: DeliveryPage = self._ask('GET', '/api/v1/product-ops/webhooks/deliveries', query={'target': target, 'status': status, 'subject': subject, 'after': after, 'limit': limit}).json()
        return found

    def get_webhook_delivery(self, delivery_id: str) -> DeliveryDetailOut:
        """Read a delivery."""
        found: DeliveryDetailOut = self._ask('GET', f'/api/v1/product-ops/webhooks/deliveries/{path_part(delivery_id)}').json()
        return found

    def retry_webhook_delivery(self, delivery_id: str, body: GovernanceWebhooksWhyBody, *, idempotency_key: str | None = None) -> DeliveryOut:
        """Send a dead letter after all."""
        found: DeliveryOut = self._ask('POST', f'/api/v1/product-ops/webhooks/deliveries/{path_part(delivery_id)}/retry', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found

    def discard_webhook_delivery(self, delivery_id: str, body: GovernanceWebhooksWhyBody, *, idempotency_key: str | None = None) -> DeliveryOut:
        """Never send a delivery."""
        found: DeliveryOut = self._ask('POST', f'/api/v1/product-ops/webhooks/deliveries/{path_part(delivery_id)}/discard', body=body, headers={'Idempotency-Key': idempotency_key}).json()
        return found
