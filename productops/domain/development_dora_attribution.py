"""Which deployment caused an incident: weighed by traffic, change points and time, and never simply the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.development_dora import Attribution, Deployment
from productops.stats.dora import Suspicion, confidences

LOOK_BACK = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Harm:
    """What an incident looked like: since when users were harmed, in which services; a change point of the harmed metric, if any."""

    incident: str
    began_at: datetime
    services: tuple[str, ...]
    change_point_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bad and all requests of users who had a deployment (its canary, or its flag) and of those who had not, at the same time."""

    candidate_bad: int
    candidate_total: int
    rest_bad: int
    rest_total: int

    def __post_init__(self) -> None:
        if not (0 <= self.candidate_bad <= self.candidate_total and 0 <= self.rest_bad <= self.rest_total):
            raise ValueError("there are at most as many bad requests as requests, and none are negative")


def attribute(
    harm: Harm,
    deployments: Sequence[Deployment],
    *,
    traffic: Mapping[str, Traffic] | None = None,
    depends_on: Mapping[str, frozenset[str]] | None = None,
    at: datetime | None = None,
) -> list[Attribution]:
    """One attribution for each deployment of the two days before the harm, the surest first; what they lack to 1 is "none of them".

    ``traffic``: by deployment id. ``depends_on``: for each service all services that it calls, directly or not.
    """
    suspects = [each for each in deployments if each.reached_users and harm.began_at - LOOK_BACK <= _live_since(each) <= harm.began_at]
    seen = [_suspicion(each, harm, (traffic or {}).get(each.id), depends_on or {}) for each in suspects]
    found = [Attribution(harm.incident, each.id, sure, at=at) for each, sure in zip(suspects, confidences(seen), strict=True)]
    return sorted(found, key=lambda each: -each.confidence)


def _live_since(deployment: Deployment) -> datetime:
    # A canary harms users long before its rollout has finished.
    return deployment.started_at


def _suspicion(deployment: Deployment, harm: Harm, counted: Traffic | None, depends_on: Mapping[str, frozenset[str]]) -> Suspicion:
    began = _live_since(deployment)
    onset = None if harm.change_point_at is None else (harm.change_point_at - began).total_seconds()
    touches = any(deployment.service == each or deployment.service in depends_on.get(each, frozenset()) for each in harm.services)
    before = (harm.began_at - began).total_seconds()
    if counted is None:
        return Suspicion(before, onset, touches=touches)
    return Suspicion(before, onset, counted.candidate_bad, counted.candidate_total, counted.rest_bad, counted.rest_total, touches)
