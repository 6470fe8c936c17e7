"""Ask for a roll back from outside a flow: at once where that is possible, else the rollback flow carries it out."""

from __future__ import annotations

from dataclasses import dataclass

from productops.domain.governance_access import Operation
from productops.domain.release import Cause, Environment, Phase, Release
from productops.errors import OrchestratorError
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import release_for, service_for
from productops.usecases.release_rollback import find_to_roll_back, roll_back


@dataclass(frozen=True, slots=True)
class RollBackBegun:
    """``flow_run_id`` is the run that waits for the earlier version to come up; None where users have it at once."""

    release: Release
    flow_run_id: str | None


def request_roll_back(context: Context, release_id: str, *, reason: str, actor: Actor, cause: Cause = Cause.PERSON) -> RollBackBegun:
    """Begin a roll back. Needs no orchestrator unless the earlier version has to be started first.

    Raises: ConflictError, NotFoundError, StoreUnavailableError; OrchestratorError when the earlier version is being started but no
        flow waits for it: the same request, repeated once it is up, finishes the roll back.
    """
    with context.store.read() as unit:
        release_for(unit, release_id, actor, Operation.RELEASE_ROLL_BACK)
    release = roll_back(context, release_id, reason=reason, actor=actor, cause=cause)
    if release.phase is not Phase.PROMOTED:
        return RollBackBegun(release, flow_run_id=None)
    parameters = {"service": release.service, "environment": release.environment.value, "reason": reason, "release_id": release.id}
    try:
        run = context.need_orchestrator().start_rollback(parameters, key=f"rollback-{release.id}-{new_id()}")
    except OrchestratorError as error:
        waiting = f"{release.baseline_version} is being started, but nobody waits for it"
        raise OrchestratorError(f"{waiting}: {error}; repeat the roll back soon") from error
    return RollBackBegun(release, flow_run_id=run)


def request_service_roll_back(context: Context, service: str, environment: Environment, *, reason: str, actor: Actor) -> RollBackBegun:
    """Roll back what is newest of a service: the release in flight, else the promotion users have.

    Raises: as ``request_roll_back``; NotFoundError for a service without a release.
    """
    with context.store.read() as unit:
        service_for(unit, service, actor, Operation.RELEASE_ROLL_BACK, environment=environment)
    release = find_to_roll_back(context, None, service, environment)
    return request_roll_back(context, release.id, reason=reason, actor=actor)
