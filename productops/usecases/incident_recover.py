"""Whether a service has recovered: its traffic now against its traffic before the incident, and its instances."""

from __future__ import annotations

from datetime import datetime

from productops.domain.analysis import ArmSecond
from productops.domain.governance_access import Operation
from productops.domain.incident_recovery import Recovery, judge_recovery, summed
from productops.domain.release import Environment
from productops.domain.traffic import InstanceState
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import service_for

BEFORE_S = 300
CLEAR_S = 5
"""Seconds just before the incident was seen belong to it."""
SETTLE_S = 1


def recovery_of(
    context: Context, service: str, environment: Environment, *, since: datetime, not_before: datetime, good_s: float, actor: Actor
) -> Recovery:
    """Compare the last ``good_s`` seconds, none of them before ``not_before``, with the five minutes before ``since``.

    Raises: NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    now = context.clock.now()
    with context.store.read() as unit:
        service_for(unit, service, actor, Operation.METRIC_READ, environment=environment)
        versions = _versions(unit, service, environment)
        began_s = int(since.timestamp()) - CLEAR_S
        before = _seconds(unit, service, environment, versions, after_s=began_s - BEFORE_S, until_s=began_s)
        from_s = max(int(not_before.timestamp()) + SETTLE_S, int(now.timestamp()) - int(good_s) - 4)
        after = _seconds(unit, service, environment, versions, after_s=from_s, until_s=int(now.timestamp()))
        healthy, desired = _instances(unit, service, environment)
    return judge_recovery([arm for arm in before if arm is not None], after, good_s=good_s, healthy=healthy, desired=desired)


def _versions(unit: Unit, service: str, environment: Environment) -> list[str]:
    """Those that served of late: what users have, a candidate, the last promotion and the one before it."""
    target, promoted = unit.traffic.find(service, environment), unit.releases.last_promoted(service, environment)
    found = {each.version for each in unit.fleets.all() if (each.service, each.environment) == (service, environment)}
    found |= {each for each in (target.baseline_version, target.candidate_version) if each} if target else set()
    found |= {each for each in (promoted.version, promoted.baseline_version) if each} if promoted else set()
    found |= {each.version for each in unit.releases.newest(service=service, environment=environment, before=None, limit=3)}
    return sorted(found)


def _seconds(
    unit: Unit, service: str, environment: Environment, versions: list[str], *, after_s: int, until_s: int
) -> list[ArmSecond | None]:
    found = unit.seconds.between(service, environment, versions, after_s=after_s, until_s=until_s)
    return [summed(list(found[at_s].values())) for at_s in sorted(found)]


def _instances(unit: Unit, service: str, environment: Environment) -> tuple[int, int]:
    """(healthy, desired) of the version that users have; (0, 0) where there is none."""
    target = unit.traffic.find(service, environment)
    version = target.baseline_version if target else None
    fleet = unit.fleets.find(service, environment, version) if version else None
    if fleet is None or version is None:
        return 0, 0
    members = unit.fleets.instances_of(service, environment, version)
    return sum(each.state is InstanceState.HEALTHY for each in members), fleet.desired
