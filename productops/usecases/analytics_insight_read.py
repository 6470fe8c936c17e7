"""Show insights: lists by what they are worth, one with all its figures, its picture, the nights, and how many helped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from productops.domain.analytics_insight import Helped, Insight, InsightNight, InsightTask
from productops.domain.governance_access import Operation, visible_ventures
from productops.errors import NotFoundError
from productops.store import Unit
from productops.store.analytics_insights import AnalyticsInsightFilter
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, venture_for


@dataclass(frozen=True, slots=True)
class InsightList:
    """A page, the id to go on after, and how many accepted ones helped."""

    items: list[Insight]
    following: str | None
    helped: Helped


def insight_for(unit: Unit, insight_id: str, actor: Actor, operation: Operation = Operation.ANALYTICS_READ) -> Insight:
    """An insight by id; who may not see the venture is told that there is none. Raises: NotFoundError, ForbiddenError."""
    try:
        found = unit.analytics_insights.get(insight_id)
    except NotFoundError:
        raise NotFoundError(_missing(insight_id)) from None
    demand(actor, operation, seen_by=Operation.ANALYTICS_READ, venture=found.venture, missing=_missing(insight_id))
    return found


def _missing(insight_id: str) -> str:
    return f"there is no insight {insight_id[:80]!r}; list them with: productops insights list"


def list_insights(context: Context, wanted: AnalyticsInsightFilter, *, after: str | None, limit: int, actor: Actor) -> InsightList:
    """Newest first, of the ventures that the caller may see. Raises: NotFoundError for a venture nobody knows, StoreUnavailableError."""
    ventures = visible_ventures(actor.principal, Operation.ANALYTICS_READ)
    with context.store.read() as unit:
        if wanted.venture is not None:
            venture_for(unit, wanted.venture, actor, Operation.ANALYTICS_READ)
        found = unit.analytics_insights.page(replace(wanted, ventures=ventures), before=after, limit=limit + 1)
        helped = unit.analytics_insights.helped([wanted.venture] if wanted.venture is not None else ventures)
    return InsightList(found[:limit], found[limit - 1].id if len(found) > limit else None, helped)


def read_insight(context: Context, insight_id: str, *, actor: Actor) -> Insight:
    """Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        return insight_for(unit, insight_id, actor)


def list_insight_tasks(context: Context, venture: str, *, state: str | None, actor: Actor) -> list[InsightTask]:
    """Tasks that came of insights, newest first. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.ANALYTICS_READ)
        return unit.analytics_insights.tasks(venture, state=state)


def list_insight_nights(context: Context, venture: str, *, limit: int, actor: Actor) -> list[InsightNight]:
    """What the newest nights looked at, spent and found, oldest first. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.ANALYTICS_READ)
        return unit.analytics_insights.nights(venture, before=date.max, limit=limit)


def ventures_with_figures(context: Context) -> list[str]:
    """Ventures whose days can be looked at. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        named = set(unit.catalog.ventures())
        return [each for each in unit.analytics_insights.ventures() if each in named]
