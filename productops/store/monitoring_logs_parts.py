"""The repositories of logs and traces."""

from __future__ import annotations

from functools import cached_property

from sqlalchemy.orm import Session

from productops.store.monitoring_logs import Logs
from productops.store.monitoring_traces import Traces


class LogParts:
    """Those of one transaction."""

    _session: Session

    @cached_property
    def logs(self) -> Logs:
        """Log lines, their templates, errors."""
        return Logs(self._session)

    @cached_property
    def traces(self) -> Traces:
        """Spans, and who calls whom."""
        return Traces(self._session)
