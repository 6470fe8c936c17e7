"""Forgets logs and spans that are older than they are kept for, or more than there is room for, a little at a time."""

from __future__ import annotations

from datetime import timedelta

from productops.usecases.context import Context

CHUNKS_AT_ONCE = 20
SPANS_AT_ONCE = 2_000
COUNTS_FOR = timedelta(days=30)
ERRORS_FOR = timedelta(days=180)
EDGES_FOR = timedelta(days=14)
OFFSETS_FOR = timedelta(days=7)


def forget_old_logs(context: Context, *, keep: timedelta, bytes_max: int, turns: int = 50) -> int:
    """Delete lines that came in longer ago than ``keep``, then the oldest until the rest fits; returns how many chunks went.

    Each transaction takes some milliseconds. Errors are remembered for half a year, so that what comes back is not new.
    Raises: StoreUnavailableError.
    """
    gone = 0
    for _ in range(turns):
        with context.store.read() as unit:
            old = unit.logs.too_old(before=context.clock.now() - keep, bytes_max=bytes_max, limit=CHUNKS_AT_ONCE)
        if not old:
            break
        with context.store.write() as unit:
            unit.logs.forget(old)
        gone += len(old)
    now = context.clock.now()
    with context.store.write() as unit:
        unit.logs.templates.forget(before=now - max(keep, COUNTS_FOR))
        unit.logs.errors.forget(minutes_before=now - max(keep, COUNTS_FOR), errors_before=now - ERRORS_FOR)
        unit.logs.forget_offsets(before=now - OFFSETS_FOR)
    return gone


def forget_old_spans(context: Context, *, keep: timedelta, turns: int = 50) -> int:
    """Delete spans that began longer ago than ``keep``; returns how many. Raises: StoreUnavailableError."""
    gone = 0
    for _ in range(turns):
        now = context.clock.now()
        with context.store.write() as unit:
            spans = unit.traces.forget(spans_before=now - keep, edges_before=now - max(keep, EDGES_FOR), limit=SPANS_AT_ONCE)
        gone += spans
        if spans < SPANS_AT_ONCE:
            break
    return gone
