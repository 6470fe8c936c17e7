"""Tell others of incidents that were opened, or opened again, so that automations can act on them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from productops.domain.incident import Incident
from productops.errors import OrchestratorError
from productops.ports import EventSink
from productops.usecases.context import Context
from productops.usecases.incident_again import begun_at

log = structlog.get_logger(__name__)
OPENED = "productops.incident.opened"
AGAIN_S = 15.0
FRESH = timedelta(minutes=10)
"""An incident that nobody could be told of for so long is no news."""
_SPACE = uuid.UUID("6f0c1f0e-6b1f-4f0e-9a35-5b6a3f6a9d11")


@dataclass(slots=True)
class IncidentAnnouncer:
    """``turn`` once a second. What it told is kept in memory: after a restart it is told again, under the same key."""

    context: Context
    sink: EventSink
    _told: dict[tuple[str, datetime], datetime] = field(default_factory=dict)
    _not_before: float = float("-inf")

    def turn(self) -> int:
        """Returns how many incidents were told. Raises: StoreUnavailableError."""
        if self.context.clock.monotonic() < self._not_before:
            return 0
        now = self.context.clock.now()
        with self.context.store.read() as unit:
            live = [(each, begun_at(unit, each)) for each in unit.incidents.any_live() if each.merged_into is None]
        fresh = [(each, begun) for each, begun in live if now - begun < FRESH and (each.id, begun) not in self._told]
        told = 0
        for incident, begun in fresh:
            try:
                self._tell(incident, begun)
            except OrchestratorError as error:
                log.warning("Prefect was not told of an incident", incident_id=incident.id, reason=str(error))
                self._not_before = self.context.clock.monotonic() + AGAIN_S
                break
            self._told[(incident.id, begun)] = now
            told += 1
        self._told = {mark: at for mark, at in self._told.items() if now - at < 2 * FRESH}
        return told

    def _tell(self, incident: Incident, begun: datetime) -> None:
        payload = {
            "incident_id": incident.id, "title": incident.title, "severity": incident.severity, "kind": incident.kind,
            "venture": incident.venture, "services": list(incident.services)[:20], "reopened": incident.reopened,
            "environment": incident.environment.value if incident.environment else None,
        }  # fmt: skip
        key = uuid.uuid5(_SPACE, f"{incident.id} {begun.isoformat()}")
        about = f"productops.incident.{incident.id}"
        self.sink.emit(OPENED, about=about, name=incident.title, payload=payload, key=key, at=begun)
