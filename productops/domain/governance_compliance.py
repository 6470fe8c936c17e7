"""Controls, what a check of them found, and waivers. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from productops.domain.catalog_compliance import ControlSpec
from productops.domain.governance_compliance_words import FindingState, Severity

INSTALLATION = "installation"
WAIVER_MAX = timedelta(days=366)
REASON_CHARACTERS_MIN = 10


class Outcome(StrEnum):
    """What became of a control in a check. What could not be looked at never counts as kept."""

    KEPT = "kept"
    VIOLATED = "violated"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Control:
    """A control as it was applied."""

    name: str
    venture: str | None
    spec: ControlSpec
    base: str
    revision: int

    def covers(self, *, venture: str | None, service: str | None) -> bool:
        """Whether something of a venture and service is its concern; None: of the installation, or of no one service."""
        if self.venture is not None and venture != self.venture:
            return False
        return not self.spec.services or service in self.spec.services


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as a control wants it. ``aspect`` tells several of one subject apart and never changes with time."""

    subject: str
    sentence: str
    aspect: str = ""
    venture: str | None = None
    environment: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Looked:
    """What looking at one control gave. ``unchecked``: why it could not be looked at; empty when it could."""

    deviations: tuple[Deviation, ...] = ()
    unchecked: str = ""
    looked_at: int = 0

    @property
    def outcome(self) -> Outcome:
        """Kept only when it was looked at."""
        if self.unchecked:
            return Outcome.UNCHECKED
        return Outcome.VIOLATED if self.deviations else Outcome.KEPT


@dataclass(frozen=True, slots=True)
class Waiver:
    """Somebody's word that a finding is borne for a time."""

    id: str
    fingerprint: str
    owner: str
    reason: str
    given_by: str
    given_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it counts."""
        return self.ended_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Finding:
    """A deviation as stored: found first at ``opened_at``, last at ``seen_at``; ``resolved_at`` when a later check did not find it."""

    id: str
    fingerprint: str
    control: str
    subject: str
    venture: str | None
    environment: str | None
    severity: Severity
    owner: str
    sentence: str
    remediation: str
    evidence: Mapping[str, Any]
    opened_at: datetime
    seen_at: datetime
    resolved_at: datetime | None
    waiver: Waiver | None = None

    def state(self, now: datetime) -> FindingState:
        """An expired waiver opens it again by itself."""
        if self.resolved_at is not None:
            return FindingState.RESOLVED
        return FindingState.WAIVED if self.waiver is not None and self.waiver.holds(now) else FindingState.OPEN


@dataclass(frozen=True, slots=True)
class ControlResult:
    """One control in one check. ``remedied``: what the check put right itself, in sentences."""

    control: str
    outcome: Outcome
    note: str
    looked_at: int
    opened: int
    still: int
    resolved: int
    waived: int
    remedied: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "control": self.control, "outcome": self.outcome.value, "note": self.note, "looked_at": self.looked_at, "opened": self.opened,
            "still": self.still, "resolved": self.resolved, "waived": self.waived, "remedied": list(self.remedied),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ControlResult:
        """What ``to_dict`` wrote."""
        return cls(**{**values, "outcome": Outcome(values["outcome"]), "remedied": tuple(values["remedied"])})


@dataclass(frozen=True, slots=True)
class ComplianceCheck:
    """One check of all controls, or of some."""

    id: str
    at: datetime
    by: str
    origin: str
    duration_s: float
    results: tuple[ControlResult, ...]

    def total(self, what: str) -> int:
        """Of all controls: ``opened``, ``still``, ``resolved`` or ``waived``."""
        return sum(int(getattr(result, what)) for result in self.results)

    def controls(self, outcome: Outcome) -> list[str]:
        """Names of the controls with that outcome."""
        return [result.control for result in self.results if result.outcome is outcome]


def fingerprint(control: str, deviation: Deviation) -> str:
    """The same for the same thing at every check, 32 hexadecimal digits; sentence and evidence may change."""
    return hashlib.sha256(f"{control}\n{deviation.subject}\n{deviation.aspect}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a check changes of a control's findings: fingerprints of those that are new, still there, and gone."""

    opened: tuple[str, ...]
    still: tuple[str, ...]
    resolved: tuple[str, ...]


def difference(before: Iterable[str], now: Iterable[str]) -> Difference:
    """``before``: fingerprints of findings that were open, waived or not; ``now``: of what was found."""
    old, new = set(before), set(now)
    return Difference(tuple(sorted(new - old)), tuple(sorted(new & old)), tuple(sorted(old - new)))
