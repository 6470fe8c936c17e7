"""Security as a part of the watch: look, tell, and keep evidence of what opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from productops.adapters.governance_advisories import AdvisoryFiles
from productops.domain.incident import Incident
from productops.usecases.context import OURSELVES, Context
from productops.usecases.governance_security import SecurityMemory, find_security
from productops.usecases.governance_security_evidence import preserve_due
from productops.usecases.incident_alerts import AT_ONCE, take_alerts

log = structlog.get_logger("watch")
SECURITY: Final = "security"


@dataclass(slots=True)
class SecurityWatch:
    """``turn`` every ten seconds. ``advisories``: a file or folder of OSV documents; None: parts are compared with nothing."""

    context: Context
    advisories: Path | None = None
    memory: SecurityMemory = field(init=False)
    _said: str = ""

    def __post_init__(self) -> None:
        self.memory = SecurityMemory(AdvisoryFiles(self.advisories) if self.advisories is not None else None)

    def turn(self) -> int:
        """Returns how many alerts were told. What is found stands in the store first, so nothing is lost when telling fails.

        Raises: StoreUnavailableError.
        """
        alerts = find_security(self.context, now=self.context.clock.now(), actor=OURSELVES, memory=self.memory)
        for start in range(0, len(alerts), AT_ONCE):
            take_alerts(self.context, alerts[start : start + AT_ONCE], actor=OURSELVES)
        preserve_due(self.context, self._live())
        if self.memory.problem and self.memory.problem != self._said:
            log.warning("advisories are not read", reason=self.memory.problem)
        self._said = self.memory.problem
        return len(alerts)

    def _live(self) -> list[Incident]:
        with self.context.store.read() as unit:
            return [each for each in unit.incidents.any_live() if each.kind == SECURITY]
