"""Paths, segments, performance, and the people behind a figure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from productops.domain.analytics_events import microseconds
from productops.domain.analytics_usage_answers import (
    OTHER,
    CohortAnswer,
    Move,
    PathsAnswer,
    Performance,
    Segment,
    SegmentAnswer,
)
from productops.domain.analytics_usage_query import (
    CohortSpec,
    FunnelQuery,
    PathsQuery,
    Ranged,
    SegmentQuery,
)
from productops.errors import ConflictError, InvalidInputError
from productops.usecases.analytics_usage import COHORT, Ground, answered, begin, cohort_people, leaving
from productops.usecases.analytics_usage_ask import funnel_whole
from productops.usecases.context import Actor, Context

KEYS_MAX = 1000
T = TypeVar("T")


def ask_paths(context: Context, query: PathsQuery, *, actor: Actor) -> PathsAnswer:
    """What happens after something, or before. Raises: NotFoundError, ForbiddenError, ConflictError, DependencyError."""
    from productops.adapters.analytics_usage_look import paths_part
    from productops.adapters.analytics_usage_return import People

    begin(context, query.venture, actor)
    since, until = microseconds(query.since), microseconds(query.until)
    found, basis = answered(
        context, query,
        lambda ground: paths_part(ground.files, query, since_us=since, until_us=until, people=People(ground.only, ground.without)),
    )  # fmt: skip
    by_step: dict[int, list[Move]] = defaultdict(list)
    for (step, before, after), sessions in sorted(found.moves.items(), key=lambda move: (-move[1], move[0])):
        if len(by_step[step]) < query.most:
            by_step[step].append(Move(step, before, after, sessions))
    paths = tuple(sorted(found.paths.items(), key=lambda path: (-path[1], path[0]))[: query.most])
    moves = tuple(move for step in sorted(by_step) for move in by_step[step])
    return PathsAnswer(basis, found.sessions, query.end is not None, moves, paths)


def ask_segments(context: Context, query: SegmentQuery, *, actor: Actor) -> SegmentAnswer:
    """Use by the values of a column or property. Raises: as ``ask_paths``."""
    from productops.adapters.analytics_usage_look import segments_of
    from productops.adapters.analytics_usage_return import People
    from productops.stats.analytics_usage_merge import top

    begin(context, query.venture, actor)
    since, until = microseconds(query.since), microseconds(query.until)

    def answer(ground: Ground) -> tuple[dict[str, tuple[int, int]], int]:
        people = People(ground.only, ground.without)
        return segments_of(ground.files, query.event, query.by, since_us=since, until_us=until, people=people)

    (found, people), basis = answered(context, query, answer)
    shown = top(dict(found), query.values_max, by=1, other=OTHER)
    events = sum(count for count, _ in found.values())
    return SegmentAnswer(basis, events, people, tuple(Segment(value, *counts) for value, counts in shown.items()))


def ask_performance(context: Context, query: Ranged, *, feature: str | None, actor: Actor) -> list[Performance]:
    """Latency and failures by feature and version, exact over the range. Raises: as ``ask_paths``."""
    from productops.adapters.analytics_usage_look import performance_of

    begin(context, query.venture, actor)
    since, until = microseconds(query.since), microseconds(query.until)
    wanted = frozenset({feature}) if feature is not None else None
    return answered(context, query, lambda ground: _read(lambda: performance_of(ground.files, wanted, since_us=since, until_us=until)))[0]


def _read(question: Callable[[], T]) -> T:
    try:
        return question()
    except FileNotFoundError as error:
        raise ConflictError("files of events were put together anew at this moment; ask again", retry_after_s=1) from error


def dropped_people(context: Context, query: FunnelQuery, *, step: int, actor: Actor, most: int = 100) -> tuple[str, ...]:
    """Keys of people whose last step was ``step``, counted from 1. Raises: InvalidInputError, and as ``ask_paths``."""
    from productops.adapters.analytics_usage_look import keys_of

    begin(context, query.venture, actor)
    if not 1 <= step < len(query.funnel.steps):
        raise InvalidInputError(f"step {step} has no next one; the funnel's steps before the last are 1 to {len(query.funnel.steps) - 1}")
    until = query.until + timedelta(seconds=query.funnel.window_s, microseconds=1)

    def answer(ground: Ground) -> tuple[str, ...]:
        stopped = funnel_whole(ground, query, stopped_at=step).stopped
        return tuple(sorted(_read(lambda: keys_of(ground.files, stopped, most=min(most, KEYS_MAX))).values()))

    return answered(context, query, answer, until=until, cohort=query.funnel.cohort)[0]


def ask_cohort(
    context: Context, venture: str, name: str, *, at: datetime | None = None, actor: Actor, spec: CohortSpec | None = None, most: int = 100
) -> CohortAnswer:  # fmt: skip
    """Who is in a cohort at a moment; ``spec``: one that is not saved. Raises: as ``ask_paths``."""
    from productops.adapters.analytics_usage_look import keys_of

    begin(context, venture, actor)
    moment = at or context.clock.now()
    with context.store.read() as unit:
        without = leaving(unit, venture)
        wanted = spec or CohortSpec.model_validate(unit.analytics_usage.definition(COHORT, venture, name).spec)
    days = max((condition.days for condition in wanted.conditions), default=1)
    query = Ranged(venture=venture, since=moment - timedelta(days=days), until=moment)

    def answer(ground: Ground) -> tuple[int, tuple[str, ...]]:
        people = cohort_people(context, venture, wanted, at=moment, without=without)
        if wanted.people:
            return len(people), tuple(sorted(wanted.people)[:most])
        keys = _read(lambda: keys_of(ground.files, people, most=min(most, KEYS_MAX)))
        return len(people), tuple(sorted(keys.values()))

    (people, keys), basis = answered(context, query, answer)
    return CohortAnswer(basis, name, people, keys)
