"""How many releases wait for their first step, so that those that have taken it can hold back."""

from __future__ import annotations

from datetime import timedelta

from productops.usecases.context import Context

RUSH = timedelta(seconds=10)
"""What waits for longer than that waits for something else than its turn: a change window, an orchestrator that is away."""


def count_unbegun(context: Context) -> int:
    """Releases asked for within the last 10 s that no flow carries out yet. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return unit.releases.count_unbegun(since=context.clock.now() - RUSH)
