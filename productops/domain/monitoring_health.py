"""How a venture's services are: judged from instances, the router's confirmation, traffic and open incidents."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from productops.domain.release import Environment
from productops.domain.traffic_summary import ArmSummary


class Health(StrEnum):
    """``unknown``: nothing of it has ever run here."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


_ORDER = (Health.UNKNOWN, Health.OK, Health.DEGRADED, Health.DOWN)


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """What is known of one service in one environment. ``measured_s`` seconds of traffic are summed up in ``traffic``."""

    service: str
    environment: Environment
    live_version: str | None
    instances_wanted: int
    instances_healthy: int
    instances_failing: int
    confirmed: bool
    release_id: str | None
    incidents: tuple[str, ...]
    traffic: ArmSummary
    measured_s: int


@dataclass(frozen=True, slots=True)
class PlaceHealth:
    """The judgement, and each reason for it."""

    facts: PlaceFacts
    health: Health
    reasons: tuple[str, ...]


def judge_place(facts: PlaceFacts) -> PlaceHealth:
    """Down: users have a version and nothing of it is healthy. Degraded: anything else is not as it should be."""
    if facts.live_version is None and not facts.instances_wanted:
        return PlaceHealth(facts, Health.UNKNOWN, ("nothing was released here",))
    reasons = []
    if facts.instances_wanted and not facts.instances_healthy:
        reasons.append(f"none of {facts.instances_wanted} instances is healthy")
    elif facts.instances_healthy < facts.instances_wanted:
        reasons.append(f"{facts.instances_healthy} of {facts.instances_wanted} instances are healthy")
    if facts.instances_failing:
        reasons.append(f"{facts.instances_failing} instances crashed or do not answer")
    if not facts.confirmed:
        reasons.append("the router has not confirmed the traffic that is wanted")
    reasons += [f"incident {incident} is open" for incident in facts.incidents]
    down = bool(facts.instances_wanted) and not facts.instances_healthy
    health = Health.DOWN if down else Health.DEGRADED if reasons else Health.OK
    return PlaceHealth(facts, health, tuple(reasons))


def worst(places: tuple[PlaceHealth, ...]) -> Health:
    """The health of all of them together."""
    return max((place.health for place in places), key=_ORDER.index, default=Health.UNKNOWN)
