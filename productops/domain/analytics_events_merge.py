"""Which small files of a day are worth being made into one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from productops.domain.analytics_events import EventFile

ALIKE: Final = 8
ROWS_MAX: Final = 1_000_000
QUIET: Final = timedelta(minutes=10)


def to_merge(files: Sequence[EventFile], *, now: datetime) -> list[EventFile]:
    """Files of one day that are to become one; none when it is well as it is.

    Eight of about the same size make one of the next size, so that a row is written again a few times only. Once nothing has come for
    a day for ten minutes, all that is small becomes one.
    """
    small = sorted((each for each in files if each.rows < ROWS_MAX // 2), key=lambda each: (each.rows, each.id))
    if len(small) < 2:
        return []
    tiers: dict[int, list[EventFile]] = defaultdict(list)
    for each in small:
        tiers[each.rows.bit_length() // 3].append(each)
    full = next((tiers[tier] for tier in sorted(tiers) if len(tiers[tier]) >= ALIKE), None)
    if full is None and now.date() > small[0].day and now - max(each.made_at for each in files) > QUIET:
        full = small
    return _bounded(full or [])


def _bounded(files: Sequence[EventFile]) -> list[EventFile]:
    """As many as fit into one."""
    chosen: list[EventFile] = []
    rows = 0
    for each in files:
        rows += each.rows
        if rows > ROWS_MAX:
            break
        chosen.append(each)
    return chosen if len(chosen) > 1 else []
