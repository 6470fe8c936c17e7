"""Saved funnels and cohorts: declared by the catalog, or made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from productops.domain.analytics_usage_query import CohortSpec, FunnelQuery, FunnelSpec
from productops.domain.catalog_analytics import CohortEntry, FunnelEntry
from productops.domain.governance_access import Operation, visible_ventures
from productops.errors import CatalogError, ConflictError, InvalidInputError, NotFoundError
from productops.store import Unit
from productops.store.analytics_usage import BY_HAND, Definition
from productops.usecases.analytics_usage import COHORT, FUNNEL, begin
from productops.usecases.context import Actor, Context

SPAN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class DeclaredUsage:
    """A catalog entry and the folder it came from."""

    entry: FunnelEntry | CohortEntry
    base: str


def put_usage_definitions(
    unit: Unit, declared: Sequence[DeclaredUsage], *, bases: set[str], actor: Actor, now: datetime
) -> list[tuple[str, str, str]]:  # fmt: skip
    """Store what is declared and remove what these folders no longer declare; returns kind, name and outcome of each.

    Raises: NotFoundError for a venture that there is not, CatalogError for a funnel of a cohort that there is not.
    """
    outcomes: list[tuple[str, str, str]] = []
    kept: set[tuple[str, str, str]] = set()
    for each in sorted(declared, key=lambda one: isinstance(one.entry, FunnelEntry)):  # funnels name cohorts
        meta = each.entry.metadata
        kind: str = each.entry.kind
        unit.catalog.venture_id(meta.venture)
        if isinstance(each.entry, FunnelEntry) and each.entry.spec.cohort is not None:
            _known_cohort(unit, meta.venture, meta.name, each.entry.spec.cohort)
        spec = each.entry.spec.model_dump(mode="json")
        outcome, before = unit.analytics_usage.put_definition(
            kind, meta.venture, meta.name, spec, base=each.base, author=actor.name, now=now
        )
        outcomes.append((kind, meta.name, outcome))
        kept.add((kind, meta.venture, meta.name))
        if outcome != "unchanged":
            _audit(unit, f"catalog.{outcome}", kind, meta.name, before=before, after=spec, actor=actor, now=now)
    for former in (FUNNEL, COHORT):
        for venture, name in unit.analytics_usage.declared_in(former, bases):
            if (former, venture, name) not in kept:
                before = unit.analytics_usage.definition(former, venture, name).spec
                unit.analytics_usage.remove_definition(former, venture, name)
                outcomes.append((former, name, "removed"))
                _audit(unit, "catalog.removed", former, name, before=before, after=None, actor=actor, now=now)
    return outcomes


def _known_cohort(unit: Unit, venture: str, funnel: str, cohort: str) -> None:
    try:
        unit.analytics_usage.definition(COHORT, venture, cohort)
    except NotFoundError as error:
        raise CatalogError(f"Funnel {funnel!r} is of people of a cohort: {error}") from error


def list_definitions(context: Context, kind: str, *, venture: str | None, actor: Actor) -> list[Definition]:
    """Saved funnels or cohorts that the caller may see, by venture and name. Raises: StoreUnavailableError."""
    seen = visible_ventures(actor.principal, Operation.ANALYTICS_READ)
    wanted = seen if venture is None else frozenset({venture}) if seen is None or venture in seen else frozenset()
    with context.store.read() as unit:
        return unit.analytics_usage.definitions(kind, wanted)


def read_definition(context: Context, kind: str, venture: str, name: str, *, actor: Actor) -> Definition:
    """Raises: NotFoundError that names those there are, ForbiddenError."""
    begin(context, venture, actor)
    with context.store.read() as unit:
        return unit.analytics_usage.definition(kind, venture, name)


def save_definition(context: Context, venture: str, name: str, spec: FunnelSpec | CohortSpec, *, actor: Actor) -> Definition:
    """Keep a funnel or cohort made by hand, or change it.

    Raises: NotFoundError, ForbiddenError, ConflictError for one that the catalog declares.
    """
    begin(context, venture, actor, Operation.ANALYTICS_WRITE)
    kind = FUNNEL if isinstance(spec, FunnelSpec) else COHORT
    with context.store.write() as unit:
        _by_hand(unit, kind, venture, name)
        if isinstance(spec, FunnelSpec) and spec.cohort is not None:
            unit.analytics_usage.definition(COHORT, venture, spec.cohort)
        now, told = context.clock.now(), spec.model_dump(mode="json")
        outcome, before = unit.analytics_usage.put_definition(kind, venture, name, told, base=BY_HAND, author=actor.name, now=now)
        if outcome != "unchanged":
            _audit(unit, f"usage.{outcome}", kind, name, before=before, after=told, actor=actor, now=now)
        return unit.analytics_usage.definition(kind, venture, name)


def remove_definition(context: Context, kind: str, venture: str, name: str, *, actor: Actor) -> None:
    """Forget a funnel or cohort made by hand. Raises: as ``save_definition``; ConflictError for a cohort that a funnel names."""
    begin(context, venture, actor, Operation.ANALYTICS_WRITE)
    with context.store.write() as unit:
        found = unit.analytics_usage.definition(kind, venture, name)
        _by_hand(unit, kind, venture, name)
        users = [f.name for f in unit.analytics_usage.definitions(FUNNEL, [venture]) if kind == COHORT and f.spec.get("cohort") == name]
        if users:
            raise ConflictError(f"the cohort {name} is used by the funnel {users[0]}; change that first")
        unit.analytics_usage.remove_definition(kind, venture, name)
        _audit(unit, "usage.removed", kind, name, before=found.spec, after=None, actor=actor, now=context.clock.now())


def saved_funnel(
    context: Context, venture: str, name: str, *, since: datetime | None, until: datetime | None, actor: Actor
) -> FunnelQuery:  # fmt: skip
    """The question of a saved funnel; without times: of the last 30 days. Raises: NotFoundError, ForbiddenError, InvalidInputError."""
    found = read_definition(context, FUNNEL, venture, name, actor=actor)
    end = until or context.clock.now()
    try:
        return FunnelQuery(venture=venture, since=since or end - SPAN, until=end, funnel=FunnelSpec.model_validate(found.spec))
    except ValidationError as error:
        raise InvalidInputError("; ".join(str(each["msg"]) for each in error.errors())) from error


def _by_hand(unit: Unit, kind: str, venture: str, name: str) -> None:
    found = next((each for each in unit.analytics_usage.definitions(kind, [venture]) if each.name == name), None)
    if found is not None and found.declared:
        raise ConflictError(f"the {kind.lower()} {name} is declared by the catalog; change its file and apply it")


def _audit(
    unit: Unit, action: str, kind: str, name: str, *, before: dict[str, Any] | None, after: dict[str, Any] | None, actor: Actor,
    now: datetime,
) -> None:  # fmt: skip
    unit.audit.add(action, f"{kind}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before, after=after)
