"""What one hypothesis says after a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Snapshot:
    """Logs are natural. ``log_counted`` is what of ``log_e`` may act now; ``log_e_safe`` is None when nothing certifies.

    ``shown`` keeps the JSON form, because latency snapshots live for several seconds.
    """

    name: str
    log_e: float
    log_counted: float
    log_e_safe: float | None
    measured: bool
    pending: str
    facts: dict[str, Any]
    shown: dict[str, Any] = field(default_factory=dict)
