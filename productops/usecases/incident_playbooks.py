"""Playbooks as the catalog declares them, and lists of them, of responses and of holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from productops.domain.catalog_playbook import PlaybookEntry, plain
from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.incident_playbook import Hold, Playbook, Response
from productops.domain.release import Environment
from productops.errors import InvalidInputError, NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, incident_for, service_for, venture_for
from productops.usecases.governance_audit_note import note

KIND = "Playbook"
HOLD_MAX = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class DeclaredPlaybook:
    """A catalog entry and the folder it came from."""

    entry: PlaybookEntry
    base: str


def put_playbooks(
    unit: Unit, declared: Sequence[DeclaredPlaybook], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what these folders no longer declare. Returns kind, name and outcome of each.

    Raises: NotFoundError for a venture that does not exist.
    """
    outcomes: list[tuple[str, str, str]] = []
    for each in declared:
        name, venture = each.entry.metadata.name, each.entry.metadata.venture
        if venture is not None:
            unit.catalog.venture_id(venture)
        outcome, before = unit.responses.put_playbook(each.entry, base=each.base, author=actor.name, now=now)
        outcomes.append((KIND, name, outcome))
        if outcome != "unchanged":
            note(unit, actor, f"catalog.{outcome}", f"{KIND}/{name}", now=now, before=before, after=plain(each.entry.spec))
    kept = {name for _, name, _ in outcomes}
    for name in sorted(set(unit.responses.playbooks_in(bases)) - kept) if bases else ():
        before = plain(unit.responses.playbook(name).spec)
        unit.responses.remove_playbook(name)
        outcomes.append((KIND, name, "removed"))
        note(unit, actor, "catalog.removed", f"{KIND}/{name}", now=now, before=before, after=None)
    return outcomes


def list_playbooks(context: Context, *, actor: Actor) -> list[Playbook]:
    """Those that the caller may see, in the order in which they are tried. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    with context.store.read() as unit:
        found = unit.responses.playbooks()
    shown = [each for each in found if seen is None or (each.venture in seen if each.venture else bool(seen))]
    return sorted(shown, key=lambda each: (each.spec.rank, each.name))


def read_playbook(context: Context, name: str, *, actor: Actor) -> Playbook:
    """One by name. Raises: NotFoundError."""
    found = next((each for each in list_playbooks(context, actor=actor) if each.name == name), None)
    if found is None:
        raise NotFoundError(f"there is no playbook {name[:80]!r}; list them with: productops playbook list")
    return found


def list_responses(context: Context, incident_id: str, *, actor: Actor, dry_runs: bool = False) -> list[Response]:
    """What was and is done about an incident, the first response first. Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        incident_for(unit, incident_id, actor)
        return unit.responses.of_incident(incident_id, mode="dry-run" if dry_runs else "act")


@dataclass(frozen=True, slots=True)
class HoldWish:
    """Where programs are to keep their hands off, and for how long (seconds; None: until it is lifted)."""

    reason: str
    venture: str = ""
    service: str = ""
    environment: Environment | None = None
    incident_id: str | None = None
    for_s: float | None = None


def hold_responses(context: Context, wish: HoldWish, *, actor: Actor) -> Hold:
    """Keep programs from acting there: what is under way goes on, nothing new is begun. Raises: NotFoundError, ForbiddenError,
    InvalidInputError.
    """
    if not wish.reason.strip():
        raise InvalidInputError("say why programs are to keep their hands off")
    if wish.for_s is not None and not 0 < wish.for_s <= HOLD_MAX.total_seconds():
        raise InvalidInputError(f"a hold lasts up to {HOLD_MAX.days} days; {wish.for_s:g} s is not that")
    with context.store.write() as unit:
        now = context.clock.now()
        venture, environment = _place(unit, wish, actor)
        until = now + timedelta(seconds=wish.for_s) if wish.for_s is not None else None
        hold = Hold("", venture, wish.service, environment, wish.incident_id, wish.reason.strip()[:2000], actor.name, now, until)
        found = unit.responses.hold(hold)
        after = {
            "venture": venture, "service": wish.service, "environment": environment.value if environment else None,
            "incident": wish.incident_id, "until": until.isoformat() if until else None,
        }  # fmt: skip
        note(unit, actor, "response.held", f"hold/{found}", now=now, reason=hold.reason, before=None, after=after)
    return replace(hold, id=found)


def _place(unit: Unit, wish: HoldWish, actor: Actor) -> tuple[str, Environment | None]:
    """Whose it is; the caller may respond there. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    if wish.incident_id is not None:
        found = incident_for(unit, wish.incident_id, actor, Operation.INCIDENT_RESPOND)
        return str(found["venture"] or ""), wish.environment
    if wish.service:
        service = service_for(unit, wish.service, actor, Operation.INCIDENT_RESPOND, environment=wish.environment)
        return service.venture, wish.environment
    if not wish.venture:
        raise InvalidInputError("name an incident, a service or a venture")
    venture_for(unit, wish.venture, actor, Operation.INCIDENT_READ)
    actor.check(Operation.INCIDENT_RESPOND, venture=wish.venture, environment=wish.environment)
    return wish.venture, wish.environment


def list_holds(context: Context, *, actor: Actor) -> list[Hold]:
    """Those in force that the caller may see, the newest first. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.INCIDENT_READ)
    with context.store.read() as unit:
        return unit.responses.holds(ventures=seen, now=context.clock.now())


def lift_hold(context: Context, hold_id: str, *, reason: str, actor: Actor) -> Hold:
    """Let programs act there again; returns the hold that was. Raises: NotFoundError, ForbiddenError, ConflictError when it was lifted."""
    with context.store.write() as unit:
        found, now = unit.responses.find_hold(hold_id), context.clock.now()
        demand(
            actor, Operation.INCIDENT_RESPOND, seen_by=Operation.INCIDENT_READ, venture=found.venture, environment=found.environment,
            missing=f"there is no hold {hold_id[:80]!r}",
        )  # fmt: skip
        unit.responses.lift(hold_id, by=actor.name, now=now)
        note(unit, actor, "response.hold_lifted", f"hold/{hold_id}", now=now, reason=reason, before=found.reason, after=None)
    return found
