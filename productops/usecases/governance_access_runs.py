"""Who started a flow run: asked at the entry of a flow that would decide something which nobody has decided before."""

from __future__ import annotations

from datetime import datetime

from productops.domain.governance_access import ANY, MACHINE, Grant, Operation, Principal, Role
from productops.domain.governance_access_tokens import OWNER
from productops.domain.release import Environment, Phase
from productops.errors import ForbiddenError, SettingsError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import release_for

SOMEBODY = "somebody in Prefect"
_PARTS_MAX = 3


def caller_of_run(context: Context, flow_run_id: str, *, scheduled: bool, prefect_role: str) -> Actor:
    """Whoever created the run through our door, with what they may do now; for a run of Prefect's schedule the product itself.

    Anybody else came to Prefect past us and gets ``prefect_role`` (role, role:venture or role:venture:environment).
    Raises: ForbiddenError when that is empty, or the caller is gone; SettingsError for a role that there is not.
    """
    with context.store.read() as unit:
        known = unit.run_callers.get(flow_run_id)
        if known is not None:
            principal = _principal(unit, known.principal, known.token_id, now=context.clock.now())
            return Actor(name=principal.name, origin="prefect", principal=principal)
    if scheduled:
        return Actor(name="Prefect's schedule", origin="prefect", principal=MACHINE)
    if not prefect_role.strip():
        raise ForbiddenError(
            "nobody knows who started this run: start it through the API, or in Prefect's pages behind our log-in (/prefect)"
        )
    return Actor(name=SOMEBODY, origin="prefect", principal=Principal(SOMEBODY, (role_granted(prefect_role),), kind="machine"))


def role_granted(text: str) -> Grant:
    """``release-manager``, ``release-manager:acme`` or ``release-manager:acme:staging`` as a grant. Raises: SettingsError."""
    role, *where = [part.strip() for part in text.split(":")]
    try:
        known = Role(role)
        place = where[1] if len(where) > 1 else ANY
        environment = place if place == ANY else Environment(place).value
    except ValueError as error:
        raise SettingsError(f"PRODUCTOPS_PREFECT_ROLE is {text!r}: write role, role:venture or role:venture:environment") from error
    if len(where) >= _PARTS_MAX:
        raise SettingsError(f"PRODUCTOPS_PREFECT_ROLE is {text!r}: write role, role:venture or role:venture:environment")
    return Grant(known, where[0] if where else ANY, environment)


def is_roll_back_decided(context: Context, release_id: str) -> bool:
    """Whether somebody who was asked then has decided to roll this release back, so that a run only carries it out."""
    with context.store.read() as unit:
        release = unit.releases.get(release_id)
        prepared = unit.releases.events(release_id, after=0, limit=1, kind="rollback_prepared")
    return release.phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK} or bool(prepared)


def may_roll_back(context: Context, release_id: str, *, actor: Actor) -> None:
    """Raises: ForbiddenError, NotFoundError."""
    with context.store.read() as unit:
        release_for(unit, release_id, actor, Operation.RELEASE_ROLL_BACK)


def _principal(unit: Unit, name: str, token_id: str | None, *, now: datetime) -> Principal:
    """What they may do at this moment, which may be less than when they created the run. Raises: ForbiddenError."""
    if token_id is not None and (stored := unit.tokens.find(token_id)) is not None:
        if stored.token.state(now) != "live":
            raise ForbiddenError(f"the token of {name} with which this run was created is {stored.token.state(now)}")
        return stored.principal(now)
    if name == OWNER:
        return Principal(OWNER, (Grant(Role.ADMIN),))
    person = unit.principals.find(name)
    if person is None or person.disabled:
        raise ForbiddenError(f"{name}, who created this run, is not let in any more")
    return person.principal(now)
