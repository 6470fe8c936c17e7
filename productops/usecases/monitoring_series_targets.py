"""Scrape targets, for people."""

from __future__ import annotations

from productops.domain.governance_access import Operation, visible_ventures
from productops.store.monitoring_series_targets import ScrapeTarget
from productops.usecases.context import Actor, Context


def list_scrape_targets(context: Context, *, actor: Actor) -> list[ScrapeTarget]:
    """Those of ventures the caller may see. Raises: StoreUnavailableError."""
    ventures = visible_ventures(actor.principal, Operation.METRIC_READ)
    with context.store.read() as unit:
        return unit.scrape_targets.all(ventures)
