"""What a caller may see and do with one thing: what it may not see does not exist for it, what it may only see is refused."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from productops.domain.catalog import Service
from productops.domain.governance_access import ANY, Operation, Principal, Scope, decide, may_see, visible_ventures
from productops.domain.release import Environment, Release
from productops.domain.release_flags.flag import Flag
from productops.domain.release_train import Train
from productops.domain.release_windows import Bypass
from productops.errors import ForbiddenError, NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor

KNOWN_SHOWN = 20


def demand(
    actor: Actor, operation: Operation, *, seen_by: Operation, venture: str | None, environment: Environment | None = None, missing: str,
    everywhere: bool = False,
) -> None:  # fmt: skip
    """Let the caller pass, or refuse. ``seen_by`` reads such a thing; ``missing`` is what is said where it does not exist.

    ``everywhere``: the thing is in all environments (a service, a flag), so that who may read it in one knows that it exists.
    A reading operation that names no environment needs a grant for some part of the venture only.
    Raises: ForbiddenError, NotFoundError where the caller may not even see it.
    """
    scope = Scope(venture, environment)
    decision = decide(actor.principal, operation, scope)
    if decision.allowed or (operation is seen_by and may_see(actor.principal, operation, scope)):
        return
    known = may_see(unnarrowed(actor.principal), seen_by, Scope(venture) if everywhere else scope)
    if not known or (operation is seen_by and not everywhere):
        raise NotFoundError(missing)
    raise ForbiddenError(decision.reason, operation=operation.value)


def unnarrowed(principal: Principal) -> Principal:
    """With all operations of its grants: what a token's owner may see is no secret of theirs from the token."""
    return replace(principal, operations=None)


def service_for(
    unit: Unit, name: str, actor: Actor, operation: Operation = Operation.CATALOG_READ, *, environment: Environment | None = None,
    seen_by: Operation = Operation.CATALOG_READ,
) -> Service:  # fmt: skip
    """A service by name. Raises: NotFoundError that names those the caller may see, ForbiddenError."""
    quick = unit.catalog.find_service(name)
    if quick is not None and decide(actor.principal, operation, Scope(quick.venture, environment)).allowed:
        return quick  # to name all others would mean to read them all
    services = {service.name: service for service in unit.catalog.services()}
    known = sorted(s.name for s in services.values() if may_see(unnarrowed(actor.principal), seen_by, Scope(s.venture)))
    missing = f"there is no service {name[:80]!r}; known: {', '.join(known) or 'none, apply a catalog first'}"
    found = services.get(name)
    if found is None:
        raise NotFoundError(missing)
    demand(actor, operation, seen_by=seen_by, venture=found.venture, environment=environment, missing=missing, everywhere=True)
    return found


def venture_for(unit: Unit, name: str, actor: Actor, operation: Operation, *, environment: Environment | None = None) -> str:
    """A venture by name, for a reading operation. Raises: NotFoundError."""
    seen = [venture for venture in unit.catalog.ventures() if may_see(actor.principal, operation, Scope(venture, environment))]
    if name not in seen:
        raise NotFoundError(f"there is no venture {name[:80]!r}; known: {', '.join(seen) or 'none, apply a catalog first'}")
    return name


def release_for(unit: Unit, release_id: str, actor: Actor, operation: Operation = Operation.RELEASE_READ) -> Release:
    """A release by id. Raises: NotFoundError, ForbiddenError."""
    found = unit.releases.get(release_id)
    demand(
        actor, operation, seen_by=Operation.RELEASE_READ, venture=found.venture, environment=found.environment,
        missing=f"there is no release {release_id}",
    )  # fmt: skip
    return found


def train_for(unit: Unit, train_id: str, actor: Actor, operation: Operation = Operation.RELEASE_READ) -> Train:
    """A train by id. Raises: NotFoundError, ForbiddenError."""
    found = unit.trains.get(train_id)
    demand(
        actor, operation, seen_by=Operation.RELEASE_READ, venture=found.venture, environment=found.environment,
        missing=f"there is no train {train_id[:80]!r}",
    )  # fmt: skip
    return found


def flag_for(
    unit: Unit, key: str, actor: Actor, operation: Operation = Operation.FLAG_READ, *, environments: Collection[Environment] = ()
) -> Flag:
    """A flag by key; a change is of ``environments``, none means of all. Raises: NotFoundError, ForbiddenError."""
    found = unit.flags.find(key)
    if found is None:
        raise NotFoundError(_no_flag(unit, key, actor))
    for environment in environments or (None,):
        try:
            demand(
                actor, operation, seen_by=Operation.FLAG_READ, venture=found.venture, environment=environment, missing="", everywhere=True
            )
        except NotFoundError:
            raise NotFoundError(_no_flag(unit, key, actor)) from None
    return found


def _no_flag(unit: Unit, key: str, actor: Actor) -> str:
    seen = [flag.key for flag in unit.flags.all() if may_see(actor.principal, Operation.FLAG_READ, Scope(flag.venture))]
    shown = ", ".join(seen[:KNOWN_SHOWN]) + (", …" if len(seen) > KNOWN_SHOWN else "")
    return f"there is no flag {key[:80]!r}; known: {shown or 'none yet'}"


def bypass_for(unit: Unit, bypass_id: str, actor: Actor, operation: Operation = Operation.WINDOW_READ) -> Bypass:
    """A bypass by id. Raises: NotFoundError, ForbiddenError."""
    found = unit.bypasses.get(bypass_id)
    demand(
        actor, operation, seen_by=Operation.WINDOW_READ, venture=found.venture, environment=found.environment,
        missing=f"there is no bypass {bypass_id[:80]!r}",
    )  # fmt: skip
    return found


def incident_for(unit: Unit, incident_id: str, actor: Actor, operation: Operation = Operation.INCIDENT_READ) -> dict[str, Any]:
    """An incident by id; one of no venture (the audit log's, the installation's) takes a grant for all of them.

    Raises: NotFoundError, ForbiddenError.
    """
    missing = f"there is no incident {incident_id}"
    found = unit.incidents.find(incident_id)
    if found is None:
        raise NotFoundError(missing)
    venture = found["venture"]
    named = (found["impact"] or {}).get("environment")
    environment = Environment(named) if named in {e.value for e in Environment} else None
    if venture is None and visible_ventures(actor.principal, Operation.INCIDENT_READ) is not None:
        raise NotFoundError(missing)
    demand(actor, operation, seen_by=Operation.INCIDENT_READ, venture=venture, environment=environment, missing=missing)
    return found


def in_places(places: Collection[tuple[str, str]] | None, venture: str, environment: Environment) -> bool:
    """Whether something of a venture and environment lies in ``places`` as ``visible_places`` gives them."""
    return places is None or any(v in {ANY, venture} and e in {ANY, environment.value} for v, e in places)
