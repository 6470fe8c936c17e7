"""The closed words of compliance, for programs that want nothing else of it."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How bad it is when a control does not hold."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class FindingState(StrEnum):
    """Where a finding stands."""

    OPEN = "open"
    WAIVED = "waived"
    RESOLVED = "resolved"
