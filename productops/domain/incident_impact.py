"""What an incident did to users, as the router counted it; and how severe that makes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from productops.domain.catalog_incident import SeverityPolicySpec, SeverityWhen
from productops.domain.release import Environment


@dataclass(frozen=True, slots=True)
class TrafficSum:
    """Requests and failures of a span."""

    requests: int = 0
    failures: int = 0

    @property
    def share(self) -> float:
        """Failures of requests; 0 of none."""
        return self.failures / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Impact:
    """Harm since ``detected_at``. Ratios lie in [0, 1]; ``minutes`` since it was detected, to its end or now.

    ``failed`` is above what the same services' usual share of failures foretells; ``failing_share`` is of the last minute.
    """

    services: int
    minutes: float
    requests: int
    failed: int
    failing_share: float
    usual_share: float

    def document(self) -> dict[str, Any]:
        """As it is kept within the incident."""
        return {
            "services_hit": self.services, "minutes": round(self.minutes, 1), "requests": self.requests,
            "requests_failed": self.failed, "failing_share": round(self.failing_share, 6), "usual_share": round(self.usual_share, 6),
        }  # fmt: skip


def impact_of(*, services: int, minutes: float, during: TrafficSum, lately: TrafficSum, before: TrafficSum) -> Impact:
    """``during`` the incident, in its last minute, and in the half hour ``before`` it."""
    usual = before.share
    failed = max(0, round(during.failures - usual * during.requests))
    return Impact(services, minutes, during.requests, failed, lately.share, usual)


def severity_of(
    policy: SeverityPolicySpec, *, alerts: str, environment: Environment | None, services: Collection[str], sources: Collection[str],
    impact: Impact | None,
) -> tuple[str, str]:  # fmt: skip
    """Severity and the sentence that says why. ``alerts`` is the worst severity of its alerts; ``impact`` None: nothing was counted."""
    severity, why = alerts, f"its worst alert is {alerts}"
    for number, rule in enumerate(policy.rules, start=1):
        if not _holds(rule.when, environment=environment, services=services, sources=sources, impact=impact):
            continue
        changed = min(severity, rule.severity) if rule.bound == "at-least" else max(severity, rule.severity)
        if changed != severity:
            severity, why = changed, f"rule {number} of the severity policy: {_told(rule.when, impact)}"
    return severity, why


def _holds(
    when: SeverityWhen, *, environment: Environment | None, services: Collection[str], sources: Collection[str], impact: Impact | None
) -> bool:
    place = not when.environments or environment in when.environments
    what = (not when.sources or not set(when.sources).isdisjoint(sources)) and (
        not when.services or not set(when.services).isdisjoint(services)
    )
    if not place or not what or len(services) < when.services_min:
        return False
    if not when.needs_traffic:
        return True
    return impact is not None and impact.failing_share >= (when.failing_share_min or 0.0) and impact.failed >= when.failed_min


def _told(when: SeverityWhen, impact: Impact | None) -> str:
    parts = [f"in {', '.join(when.environments)}"] if when.environments else []
    if when.services_min:
        parts.append(f"at least {when.services_min} services are hit")
    if when.needs_traffic and impact is not None:
        parts.append(f"{impact.failing_share:.1%} of requests fail, {impact.failed:,} above the usual number so far")
    return ", ".join(parts) or "it is for every incident"


def told(impact: Mapping[str, Any]) -> str:
    """The kept document as a sentence; empty where nothing was counted."""
    if "requests" not in impact:
        return ""
    failed, requests = impact.get("requests_failed", 0), impact["requests"]
    return f"{failed:,} of {requests:,} requests failed above the usual number in {impact.get('minutes', 0):g} min"
