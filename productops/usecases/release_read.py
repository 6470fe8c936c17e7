"""What people and programs read about releases and services; nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from productops.domain.catalog import Service
from productops.domain.governance_access import Operation, Scope, may_see, visible_places, visible_ventures
from productops.domain.release import Environment, Release, ReleaseEvent, StepRecord
from productops.domain.traffic import Instance, TrafficTarget
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import release_for, service_for
from productops.usecases.release_summary import arm_summaries, release_summary

# A live release is asked for every second by whoever watches it: its totals are of the latest traffic, not of a whole day's.
LIVE_WINDOW_S = 300


@dataclass(frozen=True, slots=True)
class ReleaseDetail:
    """One release with its story. ``target`` is the present traffic of its service and environment, whoever it belongs to.

    ``summary`` holds totals of both versions: of the whole rollout once it has ended, of its last 300 s before (``window_s``).
    """

    release: Release
    records: list[StepRecord]
    transitions: list[dict[str, Any]]
    summary: dict[str, Any]
    target: TrafficTarget | None
    incidents: list[dict[str, Any]]
    look: dict[str, Any] | None
    read_at: datetime

    @property
    def lease_left_s(self) -> float | None:
        """Seconds until the candidate loses its traffic; None when this release holds none."""
        target = self.target
        if target is None or target.lease is None or target.release_id != self.release.id:
            return None
        return max(0.0, (target.lease.deadline - self.read_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Deployment:
    """A release as the requirements' table of deployments tells it. ``status``: pending, running, succeeded, failed, rolled_back."""

    release: Release
    status: str
    kind: str
    duration_s: float | None
    impact: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoryPart:
    """The next events of a release. ``finished``: it has ended and this part reaches to its end."""

    events: list[ReleaseEvent]
    finished: bool


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """What users of a service have in one environment, and the instances behind it."""

    environment: Environment
    hosts: tuple[str, ...]
    target: TrafficTarget | None
    active: Release | None
    instances: list[Instance]


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service with each environment in which it has, or had, traffic or instances."""

    service: Service
    environments: list[EnvironmentView]


def read_release(context: Context, release_id: str, *, actor: Actor) -> ReleaseDetail:
    """Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        release = release_for(unit, release_id, actor)
        records = unit.releases.steps(release_id)
        now = context.clock.now()
        return ReleaseDetail(
            release=release,
            records=records,
            transitions=unit.releases.transitions(release_id),
            summary=_summary(unit, release, records, now),
            target=unit.traffic.find(release.service, release.environment),
            incidents=_incidents(unit, release_id),
            look=unit.releases.last_look(release_id),
            read_at=now,
        )


def _summary(unit: Unit, release: Release, records: list[StepRecord], now: datetime) -> dict[str, Any]:
    if not records:
        return {}
    if release.ended:  # as it was written then: the seconds themselves are dropped after a while
        stored = (unit.deployments.find(release.id) or {}).get("performance_impact")
        return stored or release_summary(unit, release)
    start = max(records[0].started_at, now - timedelta(seconds=LIVE_WINDOW_S))
    arms = arm_summaries(unit, release, start=start, end=now)
    return {name: arm.to_dict() for name, arm in arms.items()} | {"window_s": round((now - start).total_seconds())}


def _incidents(unit: Unit, release_id: str) -> list[dict[str, Any]]:
    told = [event.payload.get("incident_id") for event in unit.releases.events(release_id, after=0, kind="incident")]
    return [found for known in told if known and (found := unit.incidents.find(known)) is not None]


def list_releases(
    context: Context, *, service: str | None, environment: Environment | None, after: str | None, limit: int, actor: Actor
) -> tuple[list[Release], str | None]:
    """Releases that the caller may see, newest first, and the id to go on after; None at the end. Raises: StoreUnavailableError."""
    places = visible_places(actor.principal, Operation.RELEASE_READ)
    with context.store.read() as unit:
        found = unit.releases.newest(service=service, environment=environment, before=after, limit=limit + 1, places=places)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def read_analysis(
    context: Context, release_id: str, *, after_s: int, limit: int, actor: Actor
) -> tuple[list[dict[str, Any]], int | None]:  # fmt: skip
    """The judge's looks after a second, in order, and the second to go on after; None at the end. Raises: NotFoundError."""
    with context.store.read() as unit:
        release_for(unit, release_id, actor)
        found = unit.releases.looks(release_id, after_s=after_s, limit=limit + 1)
    return found[:limit], found[limit - 1]["at_s"] if len(found) > limit else None


def read_story(context: Context, release_id: str, *, after: int, limit: int = 500, actor: Actor) -> StoryPart:
    """Events after a sequence number. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        release = release_for(unit, release_id, actor)
        events = unit.releases.events(release_id, after=after, limit=limit)
    return StoryPart(events=events, finished=release.ended and len(events) < limit)


def read_deployment(context: Context, release_id: str, *, actor: Actor) -> Deployment:
    """Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        release = release_for(unit, release_id, actor)
        row = unit.deployments.find(release.id) or {}
    duration = row.get("duration")
    return Deployment(
        release=release,
        status=row.get("pipeline_status", "pending"),
        kind=row.get("deployment_type", release.strategy.value),
        duration_s=duration.total_seconds() if duration else None,
        impact=row.get("performance_impact") or {},
    )


def list_services(context: Context, *, after: str | None = None, limit: int | None = None, actor: Actor) -> list[ServiceView]:
    """Services that the caller may see, by name, with what their users have; ``after`` is the name of the last one seen.

    Raises: StoreUnavailableError.
    """
    ventures = visible_ventures(actor.principal, Operation.CATALOG_READ)
    with context.store.read() as unit:
        return _views(unit, unit.catalog.services(ventures=ventures, after=after, limit=limit), actor)


def read_service(context: Context, name: str, *, actor: Actor) -> ServiceView:
    """Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        return _views(unit, [service_for(unit, name, actor)], actor)[0]


def _views(unit: Unit, services: list[Service], actor: Actor) -> list[ServiceView]:
    names = [service.name for service in services]
    targets = {target.key: target for target in unit.traffic.of_services(names)}
    active = {(release.service, release.environment): release for release in unit.releases.active_of(names)}
    instances: dict[tuple[str, Environment], list[Instance]] = {}
    for instance in unit.fleets.instances_of_services(names):
        instances.setdefault((instance.service, instance.environment), []).append(instance)
    used = targets.keys() | active.keys() | instances.keys()
    return [
        ServiceView(
            service=service,
            environments=[
                EnvironmentView(
                    environment=environment,
                    hosts=service.hosts(environment),
                    target=targets.get((service.name, environment)),
                    active=active.get((service.name, environment)),
                    instances=instances.get((service.name, environment), []),
                )
                for environment in Environment
                if (service.name, environment) in used
                and may_see(actor.principal, Operation.CATALOG_READ, Scope(service.venture, environment))
            ],
        )
        for service in services
    ]
