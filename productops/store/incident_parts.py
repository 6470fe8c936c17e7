"""The repositories of alerts and of the log of incidents."""

from __future__ import annotations

from functools import cached_property

from productops.store.development_progress_parts import DevelopmentParts
from productops.store.incident_alerts import Alerts
from productops.store.incident_impact import IncidentTraffic
from productops.store.incident_log import IncidentLog
from productops.store.incident_policies import IncidentPolicies
from productops.store.incident_silences import Silences


class IncidentParts(DevelopmentParts):
    """Those of one transaction."""

    @cached_property
    def alerts(self) -> Alerts:
        """Alerts and what became of them."""
        return Alerts(self._session)

    @cached_property
    def incident_log(self) -> IncidentLog:
        """What happened in an incident, in order."""
        return IncidentLog(self._session)

    @cached_property
    def incident_traffic(self) -> IncidentTraffic:
        """Traffic of services while an incident lasts."""
        return IncidentTraffic(self._session)

    @cached_property
    def silences(self) -> Silences:
        """Alerts that nobody wants to hear of for a time."""
        return Silences(self._session)

    @cached_property
    def incident_policies(self) -> IncidentPolicies:
        """What the catalog declares about alerts and incidents."""
        return IncidentPolicies(self._session)
