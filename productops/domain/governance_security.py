"""Security operations: rules, what they saw, and the figures they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Any, Final

from productops.domain.incident_alert import Alert, fingerprint_of
from productops.domain.release import Environment

SOURCE: Final = "security"
EVIDENCE_MAX: Final = 50


class RuleId(StrEnum):
    """The rules."""

    FAILED_ADDRESS = "failed-logins-address"
    FAILED_USER = "failed-logins-user"
    REVOKED_TOKEN = "revoked-token-used"  # noqa: S105 - the name of a rule
    EXPIRED_TOKEN = "expired-token-used"  # noqa: S105
    MANY_ADDRESSES = "token-many-addresses"
    REFUSED = "refused-operations"
    ODD_ACCESS = "access-at-odd-hours"
    ODD_RELEASE = "unusual-release"
    OWN_APPROVAL = "own-approval"
    CHAIN = "audit-broken"
    VULNERABLE = "vulnerable-version-live"


class Seen(StrEnum):
    """What the door of the API saw. ``THROTTLED``: not even looked at, after too many failures. ``USED``: let in, counted by the hour."""

    UNKNOWN = "unknown"
    WRONG = "wrong-secret"
    REVOKED = "revoked"
    EXPIRED = "expired"
    DISABLED = "disabled"
    THROTTLED = "throttled"
    REFUSED = "refused"
    USED = "used"


FAILURES: Final = frozenset({Seen.UNKNOWN, Seen.WRONG, Seen.REVOKED, Seen.EXPIRED, Seen.DISABLED, Seen.THROTTLED})


@dataclass(frozen=True, slots=True)
class Sighting:
    """So many ``times`` in the minute that begins at ``minute_s`` (Unix seconds). ``subject``: a token's public id, or a name.

    ``principal``: whose token it is, or who was refused; empty where nobody knows.
    """

    minute_s: int
    kind: Seen
    subject: str
    address: str
    times: int
    principal: str = ""

    def document(self) -> dict[str, Any]:
        """As evidence."""
        return {
            "minute_s": self.minute_s, "kind": self.kind.value, "subject": self.subject, "address": self.address,
            "principal": self.principal, "times": self.times,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityFinding:
    """What a rule saw. ``venture`` None: it is of the whole installation.

    ``names``: more that exceptions may match, such as advisory ids. ``people`` are the names whose sessions and tokens are evidence.
    """

    rule: RuleId
    subject: str
    severity: str
    summary: str
    at: datetime
    venture: str | None = None
    service: str | None = None
    environment: Environment | None = None
    names: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    evidence: tuple[Mapping[str, Any], ...] = ()
    value: float | None = None

    @property
    def fingerprint(self) -> str:
        """What is the same finding; the same in the findings and among alerts."""
        where = self.environment.value if self.environment else ""
        about = {"subject": self.subject, " venture": self.venture or "", " service": self.service or "", " environment": where}
        return fingerprint_of(SOURCE, self.rule.value, about)

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "summary": self.summary, "at": self.at.isoformat(), "service": self.service,
            "environment": self.environment.value if self.environment else None, "names": list(self.names), "people": list(self.people),
            "evidence": [dict(row) for row in self.evidence[:EVIDENCE_MAX]], "value": self.value,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding with when it was seen. ``ended_at`` None: it still holds."""

    id: str
    finding: SecurityFinding
    began_at: datetime
    seen_at: datetime
    ended_at: datetime | None

    def alert(self, answering: str) -> Alert:
        """As an alert of its venture; of the installation's goes to the venture that answers for it."""
        found = self.finding
        return Alert(
            source=SOURCE, name=found.rule.value, venture=found.venture or answering, starts_at=self.began_at,
            fingerprint=found.fingerprint, status="firing" if self.ended_at is None else "resolved", severity=found.severity,
            service=found.service, environment=found.environment, component=f"security/{found.rule.value}",
            labels={"rule": found.rule.value, "subject": found.subject[:500]}, summary=found.summary[:2000],
            evidence={"finding": self.id, "rows": [dict(row) for row in found.evidence[:10]]}, ends_at=self.ended_at, value=found.value,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Which findings; None: all. ``ventures`` None: of all ventures and of the installation."""

    rule: RuleId | None = None
    open_only: bool = False
    ventures: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """How far something was looked at, and when."""

    data: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


def network_of(address: str) -> str:
    """The address; of IPv6 its /64, which is one household. What is no address stays as it is."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(ip_network(f"{address}/64", strict=False)) if known.version == 6 else address
