"""Alerts: what told us that something may be wrong, by whom, about what; and what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from productops.domain.release import Environment

SOURCES: Final = frozenset(
    {
        "slo", "anomaly", "forecast", "heartbeat", "verdict", "rule", "alertmanager", "webhook", "security", "log", "person",
    }
)  # fmt: skip
SEVERITIES: Final = ("SEV1", "SEV2", "SEV3", "SEV4")
NAME_MAX: Final = 200
SUMMARY_MAX: Final = 2000
LABELS_MAX: Final = 64
LABEL_MAX: Final = 500
# What an alert may have been seen by and of its change: alerts that agree on one of them belong together.
CHANGE_LABELS: Final = ("release_id", "flag", "change")
PLACE_LABELS: Final = ("host", "instance_id")


class AlertState(StrEnum):
    """What became of an alert: part of an incident, only listed, or held back for a reason."""

    GROUPED = "grouped"
    LISTED = "listed"
    SILENCED = "silenced"
    MAINTENANCE = "maintenance"
    DAMPED = "damped"
    LOW_TRAFFIC = "low-traffic"
    ENDED = "ended"

    @property
    def suppressed(self) -> bool:
        """Whether it was held back."""
        return self in _SUPPRESSED


_SUPPRESSED = frozenset({AlertState.SILENCED, AlertState.MAINTENANCE, AlertState.DAMPED, AlertState.LOW_TRAFFIC})


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One signal. ``source`` is one of ``SOURCES``, ``status`` ``firing`` or ``resolved``, ``severity`` ``SEV1`` to ``SEV4``.

    An empty ``fingerprint`` is made of source, name, venture, service, environment, component and labels: what has the same is the
    same alert. ``evidence`` may hold ``requests``: how many requests the statement rests on; too few are no evidence.

    Raises: ValueError for what is none of the above.
    """

    source: str
    name: str
    venture: str
    starts_at: datetime
    fingerprint: str = ""
    status: str = "firing"
    severity: str = "SEV3"
    service: str | None = None
    environment: Environment | None = None
    component: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    ends_at: datetime | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"source {self.source[:40]!r} is none of {', '.join(sorted(SOURCES))}")
        if self.status not in {"firing", "resolved"}:
            raise ValueError(f"status {self.status[:40]!r} is neither firing nor resolved")
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity {self.severity[:40]!r} is none of {', '.join(SEVERITIES)}")
        if not self.name or len(self.name) > NAME_MAX:
            raise ValueError(f"the name has to have 1 to {NAME_MAX} characters")
        if self.starts_at.tzinfo is None or (self.ends_at is not None and self.ends_at.tzinfo is None):
            raise ValueError("times have to name their zone")
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint_of(self.source, self.name, self._identity()))

    def _identity(self) -> dict[str, str]:
        environment = self.environment.value if self.environment else ""
        about = {" venture": self.venture, " service": self.service or "", " environment": environment, " component": self.component}
        return dict(self.labels) | about

    @property
    def firing(self) -> bool:
        """Whether it still holds."""
        return self.status == "firing"

    @property
    def changes(self) -> frozenset[str]:
        """Changes it names, as ``release_id=…``."""
        return frozenset(f"{name}={self.labels[name]}" for name in CHANGE_LABELS if self.labels.get(name))

    @property
    def places(self) -> frozenset[str]:
        """Hosts and instances it names, as ``host=…``."""
        named = {f"{name}={self.labels[name]}" for name in PLACE_LABELS if self.labels.get(name)}
        if self.component.startswith("host/"):
            named.add(f"host={self.component.removeprefix('host/')}")
        return frozenset(named)


def fingerprint_of(source: str, name: str, labels: Mapping[str, str]) -> str:
    """16 bytes in hex of what makes an alert the same one; the order of labels does not count."""
    written = json.dumps([source, name, sorted(labels.items())], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:32]


WORSE_TIMES: Final = 1.5
_MORE_IS_WORSE: Final = frozenset({"service.error_ratio", "service.p95_ms"})


def is_worse(now: Alert, before: Alert) -> bool:
    """Whether it means far more harm than when it was told before: a graver severity, or half again as many failures, as long to wait."""
    if now.severity != before.severity:
        return now.severity < before.severity
    if now.evidence.get("series") not in _MORE_IS_WORSE or now.value is None or before.value is None:
        return False
    return now.value >= WORSE_TIMES * before.value > 0


def worst(severities: Mapping[str, object] | list[str] | tuple[str, ...]) -> str:
    """The most severe; SEV4 of none."""
    return min(severities, default=SEVERITIES[-1])


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert as it is kept, one for each time it fired. ``received`` counts how often it was told; ``reason`` says why ``state``."""

    id: str
    alert: Alert
    state: AlertState
    reason: str
    incident_id: str | None
    received: int
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class RefusedAlert:
    """One of a batch that could not be taken, by its place in the batch, from 0."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch. ``stored`` new alerts, ``duplicates`` known ones, ``suppressed`` of the new ones held back.

    ``opened`` and ``touched`` are ids of incidents; ``ended`` alerts that do not hold any more; ``refused`` were not taken.
    """

    stored: int = 0
    duplicates: int = 0
    suppressed: int = 0
    opened: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    ended: int = 0
    refused: tuple[RefusedAlert, ...] = ()
