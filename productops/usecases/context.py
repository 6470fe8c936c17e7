"""What every use case is given: the store, the ports, and a clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from productops.errors import OrchestratorError
from productops.ports import Doorbell, InstanceTarget, Orchestrator
from productops.store import Store


class Clock:
    """Wall clock for what is written, monotonic clock for what is waited for."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only rise."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts and through which door: ``api``, ``cli``, ``prefect``, ``agent``."""

    name: str
    origin: str


@dataclass(frozen=True, slots=True)
class Context:
    """The wiring of one program. ``target`` and ``orchestrator`` are there where the program has them."""

    store: Store
    doorbell: Doorbell
    lease_ttl_s: float
    target: InstanceTarget | None = None
    orchestrator: Orchestrator | None = None
    clock: Clock = field(default_factory=Clock)

    def need_orchestrator(self) -> Orchestrator:
        """Raises: OrchestratorError when this program has none."""
        if self.orchestrator is None:
            raise OrchestratorError("this program cannot start flows")
        return self.orchestrator
