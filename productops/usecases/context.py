"""What every use case is given: the store, the ports, and a clock."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from productops.domain.capabilities import RouterCapabilities
from productops.domain.governance_access import MACHINE, Operation, Principal, Scope, decide
from productops.domain.governance_approvals_risk import RiskRule
from productops.domain.release import Environment
from productops.errors import ForbiddenError, OrchestratorError, SettingsError
from productops.ports import Courier, Doorbell, InstanceTarget, Mail, Notifier, Orchestrator, RiskModel, Secrets
from productops.store import Store
from productops.usecases.monitoring_series_known import KnownSeries


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
    """Who acts, what they were granted, and through which door: ``api``, ``cli``, ``prefect``, ``agent``.

    ``name`` is the principal's, or what one of our own programs calls itself. ``run`` is the flow run that carries a
    release out; what it does is refused once another run has taken the release over.
    """

    name: str
    origin: str
    principal: Principal
    run: str | None = None

    def check(self, operation: Operation, *, venture: str | None = None, environment: Environment | None = None) -> None:
        """Ask the one place that decides; no venture, no environment: all of them. Raises: ForbiddenError with the reason."""
        decision = decide(self.principal, operation, Scope(venture, environment))
        if not decision.allowed:
            raise ForbiddenError(decision.reason, operation=operation.value)


OURSELVES = Actor("productops", "agent", MACHINE)
"""For what the product reads and does of itself, within something that was decided before."""


@dataclass(frozen=True, slots=True)
class Context:
    """The wiring of one program. ``target`` and ``orchestrator`` are there where the program has them.

    ``courier`` takes webhooks to others; a program that has one keeps sending them.
    ``analytics_folder`` is where usage events lie; a program without reads and writes none.
    ``series`` is what this program remembers of measured series.
    ``router`` is what the installation's router can do and ``metric_sources`` which it may ask; ``None``: nothing is checked.
    """

    store: Store
    doorbell: Doorbell
    lease_ttl_s: float
    target: InstanceTarget | None = None
    orchestrator: Orchestrator | None = None
    clock: Clock = field(default_factory=Clock)
    router: RouterCapabilities | None = None
    metric_sources: frozenset[str] | None = None
    risk: RiskModel = field(default_factory=RiskRule)
    secrets: Secrets | None = None
    courier: Courier | None = None
    mail: Mail | None = None
    notifier: Notifier | None = None
    analytics_folder: Path | None = None
    series: KnownSeries = field(default_factory=KnownSeries, compare=False, repr=False)

    def secrets_of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those that are set where this program looks; none where it looks nowhere. Raises: SettingsError."""
        return self.secrets.values(names) if self.secrets is not None else ()

    def need_mail(self) -> Mail:
        """Raises: SettingsError when no mail server is set."""
        if self.mail is None:
            raise SettingsError("no mail server is set: PRODUCTOPS_SMTP_HOST and PRODUCTOPS_SMTP_FROM name it")
        return self.mail

    def need_orchestrator(self) -> Orchestrator:
        """Raises: OrchestratorError when this program has none."""
        if self.orchestrator is None:
            raise OrchestratorError("this program cannot start flows")
        return self.orchestrator
