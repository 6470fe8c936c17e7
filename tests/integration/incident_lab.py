"""A venture of services that depend on each other, a clock that is moved by hand, and alerts about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.catalog import ServiceSpec
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.incident import Incident, IncidentFilter
from productops.domain.incident_alert import Alert, StoredAlert, Taken
from productops.domain.release import Environment
from productops.store.incident_alerts import AlertFilter
from productops.usecases.context import OURSELVES, Actor, Clock, Context
from productops.usecases.incident_alerts import take_alerts
from productops.usecases.incident_read import find_alerts, find_incidents
from tests.support import PRODUCTION, add_service, make_context, service_spec

MIA = Actor("mia", "api", Principal("mia", (Grant(Role.INCIDENT_COMMANDER, "apollo"), Grant(Role.DEVELOPER, "apollo"))))
EVE = Actor("eve", "api", Principal("eve", (Grant(Role.VIEWER, "apollo"),)))
BOB = Actor("bob", "api", Principal("bob", (Grant(Role.DIRECTOR, "zeus"),)))


class HandClock(Clock):
    """Stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """The time it was set to."""
        return self.at

    def pass_by(self, seconds: float) -> None:
        """Move it on."""
        self.at += timedelta(seconds=seconds)


class IncidentLab:
    """``services`` maps a service to what it depends on."""

    def __init__(self, url: str, services: dict[str, tuple[str, ...]]) -> None:
        made = make_context(url)
        self.clock = HandClock(made.clock.now())
        self.context: Context = replace(made, clock=self.clock)
        for name, depends in services.items():
            add_service(self.context, name, _spec(depends))

    def alert(self, service: str | None = "shop", name: str = "errors", **more: Any) -> Alert:
        """One that began now."""
        known: dict[str, Any] = {
            "source": "rule", "name": name, "venture": "apollo", "service": service, "environment": PRODUCTION, "severity": "SEV2",
            "starts_at": self.clock.now(), "summary": f"{name} of {service}",
        }  # fmt: skip
        return Alert(**known | more)

    def take(self, *alerts: Alert) -> Taken:
        """Take them now."""
        return take_alerts(self.context, alerts, actor=OURSELVES)

    def over(self, alert: Alert) -> Alert:
        """It ended now."""
        return replace(alert, status="resolved", ends_at=self.clock.now())

    def incidents(self, **wanted: Any) -> list[Incident]:
        """All that fit, newest first."""
        return find_incidents(self.context, IncidentFilter(**wanted), limit=200, actor=OURSELVES)

    def alerts(self, **wanted: Any) -> list[StoredAlert]:
        """All that fit, newest first."""
        return find_alerts(self.context, AlertFilter(**wanted), limit=20_000, actor=OURSELVES)

    def traffic(self, service: str, *, seconds: int, requests: int, failures: int, environment: Environment = PRODUCTION) -> None:
        """Count so much in each of the last seconds."""
        with self.context.store.write() as unit:
            for back in range(seconds, 0, -1):
                second = int(self.clock.now().timestamp()) - back
                arm = ArmSecond(requests, failures, LatencyHistogram((5.0,), (requests,)))
                unit.seconds.add(second, {(service, environment, "1.0"): arm})


def _spec(depends: tuple[str, ...]) -> ServiceSpec:
    return service_spec().model_copy(update={"depends_on": depends})
