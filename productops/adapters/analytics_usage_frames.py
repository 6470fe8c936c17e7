"""Answers about use as pandas frames, for notebooks and statistics; nothing of the product loads pandas for anything else."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from productops.adapters.analytics_events_json import HINT
from productops.domain.analytics_usage_answers import FunnelAnswer, PathsAnswer, RetentionAnswer, SegmentAnswer, UsageAnswer
from productops.errors import DependencyError

if TYPE_CHECKING:
    import pandas as pd

Answer = FunnelAnswer | RetentionAnswer | PathsAnswer | SegmentAnswer | UsageAnswer


def frame_of(answer: Answer) -> pd.DataFrame:
    """Steps of a funnel, cells of a retention table, moves of paths, segments, or periods of adoption; a row for each.

    Raises: DependencyError without pandas.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise DependencyError(HINT) from error
    return pd.DataFrame(_rows(answer))


def _rows(answer: Answer) -> list[dict[str, Any]]:
    if isinstance(answer, FunnelAnswer):
        return [asdict(step) for step in answer.steps]
    if isinstance(answer, PathsAnswer):
        return [asdict(move) for move in answer.moves]
    if isinstance(answer, SegmentAnswer):
        return [asdict(segment) for segment in answer.segments]
    if isinstance(answer, UsageAnswer):
        return [asdict(period) | {"share": period.share} for period in answer.periods]
    return [
        {"begin": row.begin, "people": row.people, "first": first, "last": last, "returned": returned, "complete": complete}
        for row in answer.rows
        for (first, last), returned, complete in zip(answer.columns, row.returned, row.complete, strict=True)
    ]
