"""What somebody asks of Prefect through our door: whether they may, and that it is on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from productops.domain.governance_access import Operation, decide_somewhere
from productops.domain.release import Environment
from productops.errors import ForbiddenError, InvalidInputError, NotFoundError
from productops.redaction import redact, redact_value
from productops.store import Unit
from productops.usecases.context import Actor, Context

# What a run of each of our flows is, by its entrypoint: names of deployments can be given to anything.
STANDS_FOR = {
    "flows.release:release": Operation.RELEASE_REQUEST,
    "flows.rollback:rollback": Operation.RELEASE_ROLL_BACK,
    "flows.train:train": Operation.RELEASE_REQUEST,
}
Place = tuple[str | None, Environment | None]


def check_known(actor: Actor) -> None:
    """Let in who has a role anywhere: what is asked for tells nothing of any venture. Raises: ForbiddenError."""
    decision = decide_somewhere(actor.principal, Operation.PREFECT_READ)
    if not decision.allowed:
        raise ForbiddenError(decision.reason, operation=Operation.PREFECT_READ.value)


def check_start(context: Context, entrypoint: str, parameters: Mapping[str, Any], *, actor: Actor) -> Operation:
    """Whether the caller may run a deployment with these parameters; returns what that run stands for.

    Raises: ForbiddenError; InvalidInputError for parameters with a secret in them, which Prefect would keep and show in clear.
    """
    operation = STANDS_FOR.get(entrypoint, Operation.PREFECT_MANAGE)
    hold = sorted(name for name, value in parameters.items() if _clean(value) != value)
    if hold:
        raise InvalidInputError(
            f"{', '.join(hold)}: this looks like a secret, and Prefect keeps and shows parameters in clear; leave it out"
        )
    if operation is Operation.PREFECT_MANAGE:
        actor.check(operation)
        return operation
    with context.store.read() as unit:
        places = _places(unit, parameters)
    forced = parameters.get("force_downgrade") or parameters.get("lift_quarantine")
    for venture, environment in places:
        actor.check(operation, venture=venture, environment=environment)
        if forced:
            actor.check(Operation.RELEASE_FORCE, venture=venture, environment=environment)
    return operation


def check_run(context: Context, flow_run_id: str, parameters: Mapping[str, Any], operation: Operation, *, actor: Actor) -> None:
    """Whether the caller may end or pause a run: in the scope of its release. Another flow's run takes prefect.manage.

    Raises: ForbiddenError.
    """
    with context.store.read() as unit:
        release = unit.releases.of_run(flow_run_id)
        places = [(release.venture, release.environment)] if release is not None else _places(unit, parameters)
    if places == [(None, None)]:
        actor.check(Operation.PREFECT_MANAGE)
        return
    for venture, environment in places:
        actor.check(operation, venture=venture, environment=environment)


def note_caller(context: Context, flow_run_id: str, *, parameters: Mapping[str, Any], operation: Operation, actor: Actor) -> None:
    """Write down who started a flow run. Keys of the parameters are kept, their values are the run's own matter."""
    with context.store.write() as unit:
        now = context.clock.now()
        unit.run_callers.put(flow_run_id, actor.principal.name, token_id=actor.principal.token_id, now=now)
        detail = {
            "operation": operation.value,
            "parameters": sorted(parameters),
            "service": redact(str(parameters.get("service", "")))[:100],
        }
        unit.audit.add("prefect.run-created", f"flow-run/{flow_run_id}", actor=actor.name, origin="prefect", now=now, detail=detail)


def note_write(context: Context, *, method: str, path: str, status: int, operation: Operation, actor: Actor) -> None:
    """Write down that somebody changed something in Prefect itself. ``status``: Prefect's answer."""
    with context.store.write() as unit:
        detail = {"method": method, "path": path[:200], "status": status, "operation": operation.value}
        unit.audit.add(
            "prefect.written", f"prefect{path}"[:200], actor=actor.name, origin="prefect", now=context.clock.now(), detail=detail
        )


def _clean(value: Any) -> Any:
    """The value without secrets. Texts only: keys of what a form sends are ours, and a tuple would come back as a list."""
    return redact(value) if isinstance(value, str) else redact_value(value) if isinstance(value, (list, dict)) else value


def _places(unit: Unit, parameters: Mapping[str, Any]) -> list[Place]:
    """Ventures and environments that a run with these parameters is about; [(None, None)]: that cannot be told, so all of them."""
    try:
        if release_id := parameters.get("release_id"):
            release = unit.releases.get(str(release_id))
            return [(release.venture, release.environment)]
        if train_id := parameters.get("train_id"):
            train = unit.trains.get(str(train_id))
            return [(train.venture, train.environment)]
        environment = Environment(str(parameters.get("environment") or Environment.PRODUCTION))
        names = [str(each).partition("=")[0].strip() for each in parameters.get("members") or [parameters.get("service", "")]]
        return [(unit.catalog.service(name).venture, environment) for name in names] or [(None, None)]
    except (NotFoundError, ValueError, TypeError):
        return [(None, None)]
