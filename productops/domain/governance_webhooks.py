"""What came in by webhook: who sent it, the request as it was, and what it meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from productops.domain.catalog_webhooks import Provider, WebhookSourceSpec
from productops.domain.governance_access import Grant, Operation, Principal, Role
from productops.domain.release import Environment

ATTEMPTS_MAX = 8
UNRECOGNISED = "unrecognised"
_TELL_ALERTS = frozenset({Provider.ALERTMANAGER, Provider.GRAFANA, Provider.DATADOG, Provider.NEWRELIC, Provider.ALERTS})
_FIRST_S = 1.0
_LONGEST_S = 300.0


class InboundState(StrEnum):
    """What became of a request."""

    RECEIVED = "received"
    DONE = "done"
    UNRECOGNISED = "unrecognised"
    DEAD = "dead"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """Somebody who may send."""

    name: str
    venture: str
    spec: WebhookSourceSpec

    @property
    def principal(self) -> Principal:
        """Who acts when its requests are carried out: its venture only, and only what such a sender is for."""
        may = {Operation.WEBHOOK_SEND}
        roles = [Role.DEVELOPER]
        if self.spec.provider in _TELL_ALERTS:
            may |= {Operation.INCIDENT_REPORT, Operation.INCIDENT_RESOLVE, Operation.INCIDENT_READ}
            roles.append(Role.INCIDENT_COMMANDER)
        if self.spec.release is not None:
            may |= {Operation.RELEASE_REQUEST, Operation.RELEASE_READ}
        grants = tuple(Grant(role, venture=self.venture) for role in roles)
        return Principal(f"webhook:{self.name}", grants, kind="service", operations=frozenset(may))

    def service_of(self, *names: str | None) -> str | None:
        """Our name of the first of the sender's names that is mapped, else the entry's own service."""
        return next((self.spec.services[name] for name in names if name and name in self.spec.services), self.spec.service)

    def environment_of(self, name: str | None) -> Environment | None:
        """Our environment of the sender's name; ``None`` for a name that is neither mapped nor one of ours."""
        if not name:
            return self.spec.environment
        if name in self.spec.environments:
            return self.spec.environments[name]
        return next((e for e in Environment if e.value == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Inbound:
    """One request as it came. ``headers`` are in lower case and hold no secrets."""

    id: str
    source: str
    venture: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    status: InboundState = InboundState.RECEIVED
    attempts: int = 0
    next_at: datetime | None = None
    fence: int = 0
    reason: str = ""
    repetitions: int = 0
    processed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InboundEvent:
    """One thing that a request told. ``kind`` is the subject and what happened to it: ``build.succeeded``; or ``unrecognised``.

    ``effect`` is what was done about it: an incident, a release, or why none.
    """

    kind: str
    at: datetime
    service: str | None = None
    environment: Environment | None = None
    version: str | None = None
    subject: str = ""
    outcome: str = ""
    url: str = ""
    actor: str = ""
    reason: str = ""
    effect: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An inbound event with where it came from."""

    id: str
    delivery_id: str
    source: str
    venture: str
    event: InboundEvent


def retry_in(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts (from 1): doubles from 1 s to 5 min."""
    return timedelta(seconds=min(_LONGEST_S, _FIRST_S * 2.0 ** min(attempts - 1, 30)))
