"""How risky a change is, by a rule that anybody can follow. A learned model can take its place (``ports.RiskModel``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from productops.domain.catalog_approvals import Hours, RiskLevel
from productops.domain.governance_approvals_hours import within
from productops.domain.release import Environment


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """What is known of a change before it is made. ``size_lines`` None: nobody knows how much it changes."""

    kind: str
    environment: Environment | None
    at: datetime
    has_baseline: bool = True
    downgrade: bool = False
    size_lines: int | None = None


@dataclass(frozen=True, slots=True)
class Risk:
    """A level, and what it was rated by."""

    level: RiskLevel
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RiskRule:
    """One point for each of: production, no baseline to go back to, unknown size, outside business hours; two for a downgrade.

    Up to one point is low, up to three medium, more is high. ``hours``: default Monday to Friday 08:00 to 18:00 UTC.
    """

    hours: Hours = field(default_factory=Hours)

    def rate(self, facts: RiskFacts) -> Risk:
        """The level with its reasons."""
        found = [
            (1, "it is production", facts.environment is Environment.PRODUCTION),
            (1, "there is no baseline to go back to", not facts.has_baseline),
            (2, "it goes back to an older version", facts.downgrade),
            (1, "nobody knows how much it changes", facts.size_lines is None),
            (1, "it is outside business hours", not within(self.hours, facts.at)),
        ]
        points = sum(weight for weight, _, holds in found if holds)
        level = RiskLevel.LOW if points <= 1 else RiskLevel.MEDIUM if points <= 3 else RiskLevel.HIGH
        return Risk(level, tuple(reason for _, reason, holds in found if holds))
