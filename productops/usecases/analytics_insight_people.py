"""Once a week: whose users leave, and which funnels lose people. Read from the events themselves, outside of any transaction."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import structlog

from productops.domain.analytics_insight import Finding
from productops.domain.analytics_insight_people import FunnelWeeks, conversions, harmful
from productops.domain.analytics_usage_query import FunnelQuery, FunnelSpec
from productops.errors import ConflictError, DependencyError
from productops.stats.analytics_insight_people import WEEK, leavers
from productops.store.analytics_usage import Definition
from productops.usecases.analytics_events_read import read_events
from productops.usecases.analytics_usage import FUNNEL
from productops.usecases.analytics_usage_ask import ask_funnel
from productops.usecases.context import Actor, Context

if TYPE_CHECKING:
    import pyarrow as pa

log = structlog.get_logger(__name__)
SUNDAY = 6
WEEKS = 7
FUNNELS_MAX = 20
FEATURES_MAX = 500
DIMENSIONS = ("platform", "country")
WINDOW_DAYS_MAX = 28


def find_among_people(context: Context, venture: str, day: date, *, actor: Actor) -> list[Finding]:
    """What a week that ended with ``day``, a Sunday, shows; nothing on other days, or where no events are kept here.

    Raises: NotFoundError, ForbiddenError, StoreUnavailableError.
    """
    if day.weekday() != SUNDAY:
        return []
    try:
        return [*_harmful(context, venture, day), *_conversions(context, venture, day, actor=actor)]
    except (DependencyError, ConflictError) as error:
        log.warning("people were not looked at", venture=venture, day=day.isoformat(), reason=str(error))
        return []


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _harmful(context: Context, venture: str, day: date) -> list[Finding]:
    first = day - timedelta(days=2 * WEEK - 1)
    table = read_events(
        context, venture, since=_midnight(first), until=_midnight(day + timedelta(days=1)), columns=["person", "feature", "at"]
    )
    if table.num_rows == 0:
        return []
    person, days, feature, names = _arrays(table, first)
    return harmful(leavers(person, days, feature, len(names)), names, day=day)


def _arrays(
    table: pa.Table, first: date
) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], np.ndarray, np.ndarray, list[str]]:  # fmt: skip
    """People, days from 0, features as numbers (-1: none), and the features' names, the most used ones."""
    from pyarrow import compute

    person = table.column("person").to_numpy().astype(np.uint64)
    at = table.column("at").cast("int64").to_numpy()
    days = ((at - int(_midnight(first).timestamp()) * 1_000_000) // 86_400_000_000).astype(np.intp)
    texts = compute.dictionary_encode(compute.cast(table.column("feature"), "string")).combine_chunks()
    names, codes = texts.dictionary.to_pylist(), texts.indices.to_numpy()
    rank = np.argsort(-np.bincount(codes, minlength=len(names)), kind="stable")
    kept = [int(at) for at in rank if names[at]][:FEATURES_MAX]
    number = np.full(len(names), -1, dtype=np.intp)
    number[kept] = np.arange(len(kept))
    return person, days, number[codes], [names[at] for at in kept]


def _conversions(context: Context, venture: str, day: date, *, actor: Actor) -> list[Finding]:
    with context.store.read() as unit:
        saved = unit.analytics_usage.definitions(FUNNEL, [venture])[:FUNNELS_MAX]
    weeks = [_weeks(context, venture, each, day, actor=actor) for each in saved]
    return conversions([each for each in weeks if each is not None], day=day)


def _weeks(context: Context, venture: str, saved: Definition, day: date, *, actor: Actor) -> FunnelWeeks | None:
    """People by week of entry, of weeks in which everybody has had the whole window; None where that is long ago."""
    spec = FunnelSpec.model_validate(saved.spec)
    window = -(-spec.window_s // 86_400)
    if window > WINDOW_DAYS_MAX:
        return None
    newest = day - timedelta(days=WEEK - 1 + window)
    plain = spec.model_copy(update={"breakdown": None})
    counts = []
    for back in range(WEEKS - 1, -1, -1):
        begin = newest - timedelta(days=WEEK * back)
        answer = ask_funnel(context, _query(venture, plain, begin, WEEK), actor=actor)
        counts.append(tuple(step.people for step in answer.steps))
    if counts[-1][0] < 10 or sum(week[0] for week in counts[:-1]) < 40:
        return None
    steps = tuple(step.title for step in answer.steps)
    return FunnelWeeks(saved.name, steps, tuple(counts), newest, _segments(context, venture, spec, newest, actor=actor))


def _query(venture: str, spec: FunnelSpec, begin: date, days: int) -> FunnelQuery:
    return FunnelQuery(venture=venture, since=_midnight(begin), until=_midnight(begin + timedelta(days=days)), funnel=spec)


def _segments(
    context: Context, venture: str, spec: FunnelSpec, newest: date, *, actor: Actor
) -> dict[tuple[str, str], tuple[int, int, int, int]]:  # fmt: skip
    found: dict[tuple[str, str], tuple[int, int, int, int]] = {}
    days = WEEK * (WEEKS - 1)
    for dimension in DIMENSIONS:
        split = spec.model_copy(update={"breakdown": dimension})
        before = ask_funnel(context, _query(venture, split, newest - timedelta(days=days), days), actor=actor).by_value
        after = ask_funnel(context, _query(venture, split, newest, WEEK), actor=actor).by_value
        for value in sorted({*before, *after}):
            old, new = before.get(value, [0]), after.get(value, [0])
            found[dimension, value or "(none)"] = (old[0], old[-1], new[0], new[-1])
    return found
