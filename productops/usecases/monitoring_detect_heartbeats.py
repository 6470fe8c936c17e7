"""Heartbeats: declare, list, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from productops.domain.governance_access import Operation, Scope, may_see
from productops.domain.monitoring_detect_heartbeat import Heartbeat, HeartbeatEntry
from productops.errors import CatalogError, NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor, Context

KIND = "Heartbeat"


@dataclass(frozen=True, slots=True)
class DeclaredHeartbeat:
    """A catalog entry and the folder it came from."""

    entry: HeartbeatEntry
    base: str


def put_heartbeats(
    unit: Unit, declared: Sequence[DeclaredHeartbeat], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Raises: NotFoundError for a venture or service that does not exist, CatalogError for a name that another venture has.
    """
    outcomes: list[tuple[str, str, str]] = []
    kept = set()
    for each in declared:
        name, venture, spec = each.entry.metadata.name, each.entry.metadata.venture, each.entry.spec
        unit.catalog.venture_id(venture)
        if spec.service is not None and (owner := unit.catalog.service(spec.service).venture) != venture:
            raise CatalogError(f"Heartbeat {name!r} is of venture {venture}, but service {spec.service!r} is of {owner}")
        known = unit.heartbeats.find(name)
        if known is not None and known.venture != venture:
            raise CatalogError(f"Heartbeat {name!r} is already one of venture {known.venture}: choose another name")
        outcome, before = unit.heartbeats.put(name, venture, spec, base=each.base, now=now)
        kept.add(name)
        outcomes.append((KIND, name, outcome))
        if outcome != "unchanged":
            after = spec.model_dump(mode="json")
            unit.audit.add(
                f"catalog.{outcome}", f"{KIND}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after
            )
    for old in unit.heartbeats.all():
        if old.base in bases and old.name not in kept:
            unit.heartbeats.remove(old.name)
            outcomes.append((KIND, old.name, "removed"))
            before = old.spec.model_dump(mode="json")
            unit.audit.add(
                "catalog.removed", f"{KIND}/{old.name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=None
            )
    return outcomes


def list_heartbeats(context: Context, *, actor: Actor) -> list[Heartbeat]:
    """Those the caller may see, by name. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return [each for each in unit.heartbeats.all() if _sees(actor, Operation.METRIC_READ, each)]


def beat(context: Context, name: str, *, actor: Actor) -> Heartbeat:
    """A sign of life. It is a measurement: many a minute, so none is in the audit log.

    Raises: NotFoundError for a name nobody declared or that the caller may not see, ForbiddenError, StoreUnavailableError.
    """
    with context.store.read() as unit:
        known = unit.heartbeats.find(name)
    if known is None or not (_sees(actor, Operation.METRIC_READ, known) or _sees(actor, Operation.METRIC_WRITE, known)):
        raise NotFoundError(f"there is no heartbeat {name[:80]!r}: declare it in the catalog (kind: Heartbeat)")
    actor.check(Operation.METRIC_WRITE, venture=known.venture, environment=known.spec.environment)
    with context.store.write() as unit:
        unit.heartbeats.beat(name, now=context.clock.now())
        found = unit.heartbeats.find(name)
    if found is None:
        raise NotFoundError(f"there is no heartbeat {name[:80]!r} any more")
    return found


def _sees(actor: Actor, operation: Operation, heartbeat: Heartbeat) -> bool:
    return may_see(actor.principal, operation, Scope(heartbeat.venture, heartbeat.spec.environment))
