"""Heartbeats: what has to report now and then, so that its silence is a signal. ``kind: Heartbeat`` of the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from productops.domain.catalog_webhooks import EntryName
from productops.domain.incident_alert import Alert
from productops.domain.release import Environment


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HeartbeatSpec(_Strict):
    """How often, and what silence means."""

    interval_s: int = Field(ge=5, le=32 * 86_400, description="It reports at least this often.")
    grace_s: int = Field(default=0, ge=0, le=86_400, description="So much later is still no alert.")
    service: EntryName | None = Field(default=None, description="Service it belongs to; left out: to none.")
    environment: Environment | None = Field(default=None, description="Environment it belongs to.")
    severity: Literal["SEV1", "SEV2", "SEV3", "SEV4"] = Field(default="SEV3", description="Severity of the alert.")
    description: str = Field(default="", max_length=500, description="What it is, for whoever is woken.")


class HeartbeatMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class HeartbeatEntry(_Strict):
    """``kind: Heartbeat``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Heartbeat"]
    metadata: HeartbeatMetadata
    spec: HeartbeatSpec


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One of them as it stands. ``last_at`` None: it has never reported; it is waited for since ``declared_at``."""

    name: str
    venture: str
    spec: HeartbeatSpec
    base: str
    declared_at: datetime
    last_at: datetime | None
    beats: int

    @property
    def due_at(self) -> datetime:
        """Silence beyond it is an alert."""
        return (self.last_at or self.declared_at) + timedelta(seconds=self.spec.interval_s + self.spec.grace_s)

    def is_silent(self, *, now: datetime) -> bool:
        """Whether it should have reported."""
        return now > self.due_at

    def alert(self) -> Alert:
        """What its silence is told as, from the moment it was due."""
        last = f"its last was at {self.last_at:%Y-%m-%d %H:%M:%S} UTC" if self.last_at else "it has never reported"
        said = f"{self.name} should report every {self.spec.interval_s} s; {last}"
        return Alert(
            source="heartbeat", name=f"heartbeat {self.name}", venture=self.venture, service=self.spec.service,
            environment=self.spec.environment, component=self.spec.service or f"heartbeat/{self.name}", severity=self.spec.severity,
            labels={"heartbeat": self.name}, summary=f"{said}. {self.spec.description}".strip(),
            evidence={
                "expected_every_s": self.spec.interval_s, "since": self.due_at.isoformat(), "beats": self.beats,
                "last_at": self.last_at.isoformat() if self.last_at else None,
            },
            starts_at=self.due_at,
        )  # fmt: skip
