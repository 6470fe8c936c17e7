"""Which venture and service something that was sent in belongs to, and whether its sender may send it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from productops.domain.governance_access import Operation, Scope, decide
from productops.domain.monitoring_logs import LogOrigin
from productops.domain.monitoring_logs_resource import Resource
from productops.errors import NotFoundError
from productops.usecases.context import Actor, Context

REFRESH_S = 5.0


@dataclass(slots=True)
class Places:
    """The services of the catalog, read anew every five seconds. Safe for many threads."""

    context: Context
    _services: Mapping[str, str] = field(default_factory=dict)
    _ventures: frozenset[str] = frozenset()
    _read_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of_service(self, service: str) -> str | None:
        """The venture of a service; None for one that the catalog does not have. Raises: StoreUnavailableError."""
        self._refresh()
        return self._services.get(service)

    def origin(self, resource: Resource, actor: Actor) -> LogOrigin:
        """Where it belongs. Raises: NotFoundError for an unknown service and venture, ForbiddenError, StoreUnavailableError."""
        self._refresh()
        venture = self._services.get(resource.service)
        if venture is None and resource.venture in self._ventures and resource.service:
            venture = resource.venture  # a database, a queue: no service of ours, but of a venture that is
        if venture is None or not decide(actor.principal, Operation.TELEMETRY_WRITE, Scope(venture, resource.environment)).allowed:
            self._refuse(resource, venture, actor)
        return LogOrigin(str(venture), resource.service, resource.environment, resource.version, resource.instance)

    def _refuse(self, resource: Resource, venture: str | None, actor: Actor) -> None:
        if venture is not None:
            actor.check(Operation.TELEMETRY_WRITE, venture=venture, environment=resource.environment)
        raise NotFoundError(
            f"service.name {resource.service[:80]!r} is no service of the catalog; apply it there first, or name its venture "
            "with the resource attribute productops.venture"
        )

    def _refresh(self) -> None:
        now = self.context.clock.monotonic()
        if now - self._read_at < REFRESH_S:
            return
        with self._lock:
            if now - self._read_at < REFRESH_S:
                return
            with self.context.store.read() as unit:
                self._services = {service.name: service.venture for service in unit.catalog.services()}
                self._ventures = frozenset(unit.catalog.ventures())
            self._read_at = self.context.clock.monotonic()
