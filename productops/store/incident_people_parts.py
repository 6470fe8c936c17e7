"""The repositories of people in incidents."""

from __future__ import annotations

from functools import cached_property

from productops.store.development_progress_parts import DevelopmentParts
from productops.store.incident_people import OnCall
from productops.store.incident_people_postmortems import Postmortems
from productops.store.incident_people_told import Notices
from productops.store.incident_people_updates import Updates


class IncidentPeopleParts(DevelopmentParts):
    """Those of one transaction."""

    @cached_property
    def oncall(self) -> OnCall:
        """Schedules, escalations, channels, overrides, and who is called."""
        return OnCall(self._session)

    @cached_property
    def notices(self) -> Notices:
        """What is told about incidents, and whether it arrived."""
        return Notices(self._session)

    @cached_property
    def updates(self) -> Updates:
        """What users may read, and uptime."""
        return Updates(self._session)

    @cached_property
    def postmortems(self) -> Postmortems:
        """What is learned, and the tasks that follow."""
        return Postmortems(self._session)
