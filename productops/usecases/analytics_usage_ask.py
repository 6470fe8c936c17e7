"""Funnels, retention and adoption, answered from files of events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from productops.domain.analytics_events import EventFile, microseconds
from productops.domain.analytics_usage_answers import (
    OTHER,
    ActiveDay,
    Basis,
    FunnelAnswer,
    FunnelStep,
    RetentionAnswer,
    RetentionRow,
    UsageAnswer,
    UsagePeriodCounts,
)
from productops.domain.analytics_usage_query import (
    EventMatch,
    FunnelQuery,
    RetentionQuery,
    Unit,
    UsageQuery,
    edges,
)
from productops.errors import InvalidInputError
from productops.usecases.analytics_usage import LONG_AGO, Ground, answered, begin
from productops.usecases.context import Actor, Context

if TYPE_CHECKING:
    from productops.adapters.analytics_usage_funnel import FunnelPart, FunnelRange
    from productops.adapters.analytics_usage_return import UsagePart

SHOWN_DAYS = 400
FunnelShare: TypeAlias = "tuple[FunnelPart, Basis]"
PARTS_MAX = 256


def ask_funnel(context: Context, query: FunnelQuery, *, actor: Actor) -> FunnelAnswer:
    """How far people came, with the times it took. Raises: NotFoundError, ForbiddenError, ConflictError, DependencyError."""
    begin(context, query.venture, actor)
    found, basis = answered(
        context, query, lambda ground: funnel_whole(ground, query), until=_funnel_end(query), cohort=query.funnel.cohort
    )  # fmt: skip
    return _funnel_told(query, found, basis)


def funnel_of_part(context: Context, query: FunnelQuery, *, part: int, parts: int, actor: Actor) -> FunnelShare:
    """One of so many equal ranges of people, a power of two; for several programs at once. Raises: as ``ask_funnel``."""
    from productops.adapters.analytics_usage_scan import person_ranges

    if parts < 1 or parts > PARTS_MAX or parts & (parts - 1):
        raise InvalidInputError(f"people are taken in 1, 2, 4 … {PARTS_MAX} parts, not in {parts}")
    begin(context, query.venture, actor)
    persons = person_ranges(parts)[part]
    return answered(
        context, query, lambda ground: _funnel_range(ground, query, persons), until=_funnel_end(query), cohort=query.funnel.cohort
    )


def funnel_of_parts(query: FunnelQuery, found: Sequence[FunnelShare]) -> FunnelAnswer:
    """The answer of all parts: the same as that of everybody at once, as long as no events came between. ``found``: at least one."""
    from productops.adapters.analytics_usage_funnel import FunnelPart

    return _funnel_told(query, FunnelPart.together([part for part, _ in found]), found[-1][1])


def _funnel_end(query: FunnelQuery) -> datetime:
    return query.until + timedelta(seconds=query.funnel.window_s, microseconds=1)


def _funnel_told(query: FunnelQuery, found: FunnelPart, basis: Basis) -> FunnelAnswer:
    from productops.stats.analytics_usage_merge import quantile, top

    spec = query.funnel
    people = [sum(column) for column in zip(*found.people.values(), strict=True)] or [0] * len(spec.steps)
    times = [(quantile(w, 0.5), quantile(w, 0.9)) for w in found.waits] or [(None, None)] * len(spec.steps)
    steps = FunnelStep.listed([step.title for step in spec.steps], people, [(None, None), *times[:-1]])
    by_value = top(dict(found.people), spec.values_max, other=OTHER) if spec.breakdown else {}
    return FunnelAnswer(basis, steps, found.excluded, found.under_way, *times[-1], by_value)


def funnel_whole(ground: Ground, query: FunnelQuery, *, stopped_at: int | None = None) -> FunnelPart:
    """All people, in as many ranges as memory asks for. Raises: ConflictError, DependencyError."""
    from productops.adapters.analytics_usage_funnel import FunnelPart, wanted_of
    from productops.adapters.analytics_usage_scan import passes_for, person_ranges

    wanted = wanted_of(query.funnel, _funnel_when(ground, query), people=ground.only, without=ground.without)
    ranges = person_ranges(passes_for(ground.files, wanted))
    return FunnelPart.together([_funnel_range(ground, query, persons, stopped_at=stopped_at) for persons in ranges])


def _funnel_when(ground: Ground, query: FunnelQuery) -> FunnelRange:
    from productops.adapters.analytics_usage_funnel import FunnelRange

    return FunnelRange(microseconds(query.since), microseconds(query.until), microseconds(ground.now))


def _funnel_range(ground: Ground, query: FunnelQuery, persons: tuple[int, int], *, stopped_at: int | None = None) -> FunnelPart:
    from productops.adapters.analytics_usage_funnel import funnel_part

    when = _funnel_when(ground, query)
    return funnel_part(
        ground.files, query.funnel, when, people=ground.only, without=ground.without, persons=persons, stopped_at=stopped_at
    )  # fmt: skip


def ask_retention(context: Context, query: RetentionQuery, *, actor: Actor) -> RetentionAnswer:
    """Who came back. Rows are whole periods: those that [since, until) touches. Raises: as ``ask_funnel``."""
    begin(context, query.venture, actor)
    last_offset = query.columns[-1][1]
    bounds = edges(query.unit, query.zone, since=query.since, until=query.until, more=last_offset)
    rows = len(bounds) - 1 - last_offset
    far = bounds[rows] + timedelta(days=31 * (last_offset + 1)) if query.since_start else bounds[-1]
    since = query.since - LONG_AGO if query.first == "first-time" else bounds[0]
    (size, back, newest), basis = answered(
        context, query, lambda ground: _retention(ground, query, bounds, rows, since), since=since, until=max(far, bounds[-1])
    )
    known = min(basis.at, newest or basis.at)
    complete = [[_over(query, bounds, row, last, known) for _, last in query.columns] for row in range(rows)]
    told = tuple(RetentionRow(bounds[n], size[n], tuple(back[n]), tuple(complete[n])) for n in range(rows))
    overall = []
    for column in range(len(query.columns)):
        done = [row for row in told if row.complete[column]]
        people = sum(row.people for row in done)
        overall.append(sum(row.returned[column] for row in done) / people if people else None)
    return RetentionAnswer(basis, query.columns, told, tuple(overall))


def _retention(
    ground: Ground, query: RetentionQuery, bounds: Sequence[datetime], rows: int, since: datetime
) -> tuple[list[int], list[list[int]], datetime | None]:  # fmt: skip
    """People who began by row, who returned by row and column, and the end of the newest day that has events: later is not known yet."""
    from productops.adapters.analytics_usage_return import People, RetentionPart, instants, retention_part
    from productops.adapters.analytics_usage_scan import person_ranges

    parts = [
        retention_part(
            ground.files, query, instants(bounds), rows=rows, history_us=microseconds(since),
            people=People(ground.only, ground.without, persons),
        )
        for persons in person_ranges(_passes(ground.files, reduced=not query.since_start))
    ]  # fmt: skip
    whole = RetentionPart.together(parts)
    newest = max((file.day for file in ground.files), default=None)
    end = datetime(newest.year, newest.month, newest.day, tzinfo=UTC) + timedelta(days=1) if newest else None
    return whole.size.tolist(), whole.back.tolist(), end


def _passes(files: Sequence[EventFile], *, reduced: bool) -> int:
    """Ranges of persons to go over: some 12 bytes of each event stay where a day of a person is one record, else 28."""
    size = sum(file.rows for file in files) * (12 if reduced else 28)
    parts = 1
    while size / parts > 400 * 1_048_576:
        parts *= 2
    return parts


def _over(query: RetentionQuery, bounds: Sequence[datetime], row: int, last: int, now: datetime) -> bool:
    """Whether everybody of a row has had all the time of a column; ``now`` is when events end."""
    if not query.since_start:
        return bounds[min(row + last + 1, len(bounds) - 1)] <= now
    days = {Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 30}[query.unit]
    return bounds[row + 1] + timedelta(days=days * (last + 1)) <= now


def ask_usage(context: Context, query: UsageQuery, *, actor: Actor) -> UsageAnswer:
    """New, active, returning, resurrected and dormant people, and how soon newcomers use it. Raises: as ``ask_funnel``."""
    from productops.stats.analytics_usage_merge import quantile

    begin(context, query.venture, actor)
    bounds = edges(query.unit, query.zone, since=query.since, until=query.until)
    days = edges(Unit.DAY, query.zone, since=query.since, until=query.until)
    since = bounds[0] - LONG_AGO
    found, basis = answered(context, query, lambda ground: _usage(ground, query, bounds, days, since), since=since, until=bounds[-1])
    periods = tuple(
        UsagePeriodCounts(
            bounds[n],
            int(found.active[n]),
            int(found.life[n, 0]),
            int(found.life[n, 1]),
            int(found.life[n, 2]),
            int(found.life[n, 3]),
            int(found.everybody[n]),
            bounds[n + 1] <= basis.at,
        )
        for n in range(len(bounds) - 1)
    )
    active = tuple(
        ActiveDay(_local_day(days[n], query.zone), *(int(v) for v in found.trailing[:, n])) for n in range(min(len(days) - 1, SHOWN_DAYS))
    )
    adopted = int(found.waits[1].sum())
    return UsageAnswer(
        basis, query.feature, periods, active, found.newcomers, adopted, quantile(found.waits, 0.5), quantile(found.waits, 0.9)
    )  # fmt: skip


def _usage(ground: Ground, query: UsageQuery, bounds: Sequence[datetime], days: Sequence[datetime], since: datetime) -> UsagePart:
    from productops.adapters.analytics_usage_return import People, UsagePart, instants, usage_part
    from productops.adapters.analytics_usage_scan import person_ranges

    match = EventMatch(feature=query.feature) if query.feature else EventMatch()
    before = edges(query.unit, query.zone, since=bounds[0] - timedelta(seconds=1), until=bounds[0])[0]
    return UsagePart.together(
        [
            usage_part(
                ground.files, match, instants(bounds), instants(days), since_us=microseconds(query.since), before_us=microseconds(before),
                history_us=microseconds(since), people=People(ground.only, ground.without, persons),
            )
            for persons in person_ranges(_passes(ground.files, reduced=False))
        ]
    )  # fmt: skip


def _local_day(begin_at: datetime, zone: str) -> date:
    from productops.domain.analytics_usage_query import zone_of

    return begin_at.astimezone(zone_of(zone)).date() if zone != "UTC" else begin_at.astimezone(UTC).date()
