"""Keep the daily figures up to date: count the days whose files changed since they were counted last.

What was counted of which state of a day's files stands in the database, in the same transaction as the figures: killed anywhere, the
next round finds the same days again. Two programs at once count the same and write the same.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import structlog

from productops.domain.analytics_events import ErasureState, EventFile
from productops.domain.analytics_usage import PeriodUnit, UsageDay, UsagePeriod
from productops.errors import ConflictError, ProductOpsError
from productops.usecases.analytics_events_folder import folder_of
from productops.usecases.analytics_usage import Uints, leaving, need_engine
from productops.usecases.context import Context

if TYPE_CHECKING:
    from productops.adapters.analytics_usage_count import DayPeople
    from productops.adapters.analytics_usage_people import FirstSeen, PeopleFolder

log = structlog.get_logger(__name__)
OPEN_MARK = "-open"
MONTH_PEOPLE_MAX = 3_000_000
SETTLED = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a round did: days that were counted, and of those how many only because somebody turned out not to be new."""

    venture: str
    days: tuple[date, ...]
    again: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Stale:
    """What has to be done: ``files`` by day of all days, ``digests`` of their state, ``days`` to count, ``gone`` without any file,
    with the state they had. ``rebuild``: days are counted again without people whose events are being removed.

    ``erased``: numbers of people whose events were removed, with the day (ordinal) when that was asked. ``features``: all ever counted.
    """

    files: Mapping[date, Sequence[EventFile]]
    digests: Mapping[date, str]
    days: Sequence[date]
    gone: Mapping[date, str]
    without: Uints
    erased: Sequence[tuple[int, int]]
    features: Sequence[str]
    rebuild: bool


def refresh_daily(context: Context, venture: str, days: Collection[date] | None = None) -> Refreshed:
    """Count the days whose files changed since, of ``days`` or of all. Repeating it does nothing.

    Raises: ConflictError when files were put together anew meanwhile (the next round counts them), DependencyError, StoreUnavailableError.
    """
    need_engine()
    from productops.adapters.analytics_usage_people import PeopleFolder

    keep = PeopleFolder(folder_of(context).folder, venture)
    stale = _stale(context, venture, keep, days)
    if not stale.days and not stale.gone:
        return Refreshed(venture, (), 0, 0)
    seen = _seen(keep, stale)
    again: set[int] = set()
    for day in stale.days:
        again |= seen.add(day, stale.digests[day], _people(keep, stale, day))
    _save(context, keep, seen, stale)
    also = sorted({date.fromordinal(n) for n in again} & set(stale.files) - set(stale.days))
    rows = 0
    for day in sorted([*stale.days, *also]):
        rows += _count(context, venture, day, stale, seen)
    _periods(context, venture, keep, stale, seen, {*stale.days, *also})
    _forget(context, venture, keep, stale)
    return Refreshed(venture, tuple(stale.days), len(also), rows)


def after_files_changed(context: Context, venture: str, days: Collection[date]) -> None:
    """For whoever changes files of events: count these days now. What goes wrong is told to the log; the next round does it."""
    try:
        refresh_daily(context, venture, days)
    except ProductOpsError as error:
        log.warning("daily figures wait", venture=venture, reason=str(error))


def refresh_all(context: Context) -> list[Refreshed]:
    """One round over all ventures with events; one that cannot be counted now does not keep the others. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        ventures = unit.analytics_events.ventures()
    done = []
    for venture in ventures:
        try:
            done.append(refresh_daily(context, venture))
        except ConflictError as error:
            log.info("daily figures are counted again soon", venture=venture, reason=str(error))
    return [each for each in done if each.days]


def is_counting_waiting(context: Context) -> bool:
    """Whether some venture's figures are behind its events. Raises: StoreUnavailableError."""
    if context.analytics_folder is None:
        return False
    today = context.clock.now().date()
    with context.store.read() as unit:
        for venture in unit.analytics_events.ventures():
            digests = _digests(_by_day(unit.analytics_events.files(venture, folder=context.analytics_folder)), today)
            if digests != unit.analytics_usage.counted(venture):
                return True
    return False


def _by_day(files: Iterable[EventFile]) -> dict[date, list[EventFile]]:
    found: dict[date, list[EventFile]] = defaultdict(list)
    for file in files:
        found[file.day].append(file)
    return found


def _digests(files: Mapping[date, Sequence[EventFile]], today: date) -> dict[date, str]:
    """The state of each day's files; a day that is not over is counted once more when it is."""
    return {day: _digest(each) + (OPEN_MARK if day >= today else "") for day, each in files.items()}


def _stale(context: Context, venture: str, keep: PeopleFolder, days: Collection[date] | None) -> _Stale:
    folder = folder_of(context)
    today = context.clock.now().date()
    with context.store.read() as unit:
        files = _by_day(unit.analytics_events.files(venture, folder=folder.folder))
        counted = unit.analytics_usage.counted(venture)
        without = leaving(unit, venture)
        done = [each for each in unit.analytics_events.erasures.all(venture) if each.state is ErasureState.DONE]
        erased = [(n, each.asked_at.date().toordinal()) for each in done for n in each.persons]
        features = unit.analytics_usage.feature_names(venture) if erased else []
    states = _digests(files, today)
    digests = {day: state.removesuffix(OPEN_MARK) for day, state in states.items()}
    wanted = set(files) if days is None else set(files) & set(days)
    todo = {day for day in wanted if counted.get(day) != states[day]}
    leavers = {day for day in wanted - todo if _has(keep.day(day, digests[day]), without)}
    keep.forget(leavers)
    gone = {day: state.removesuffix(OPEN_MARK) for day, state in counted.items() if day not in files} if days is None else {}
    return _Stale(files, digests, sorted(todo | leavers), gone, without, erased, features, rebuild=bool(leavers))


def _has(day: DayPeople | None, people: Uints) -> bool:
    """Whether somebody of ``people`` was active on the day."""
    if day is None or not len(people):
        return False
    import numpy as np

    return bool(np.isin(people, day.by_feature.get("", people[:0])).any())


def _digest(files: Sequence[EventFile]) -> str:
    return hashlib.blake2b("\n".join(sorted(file.id or file.path for file in files)).encode(), digest_size=12).hexdigest()


def _seen(keep: PeopleFolder, stale: _Stale) -> FirstSeen:
    """When everybody was first seen, all days but those to count; made anew where a day lost people or its file is gone."""
    from productops.adapters.analytics_usage_people import FirstSeen

    seen = keep.first_seen()
    if seen is None or stale.rebuild or any(_lost_people(keep, stale, seen, day) for day in stale.days):
        seen = FirstSeen.empty()
    dropped = _drop_erased(seen, stale)
    for day in sorted(set(stale.files) - set(stale.days)):
        if dropped or seen.days.get(day.isoformat()) != stale.digests[day]:
            seen.add(day, stale.digests[day], _people(keep, stale, day))
    return seen


def _drop_erased(seen: FirstSeen, stale: _Stale) -> bool:
    """Forget who was erased and first seen before that, also on days whose events are gone by age. Whether anybody was forgotten."""
    import numpy as np

    from productops.adapters.analytics_usage_people import pair_keys

    people = np.array([person for person, _ in stale.erased], dtype=np.uint64)
    if not len(people):
        return False
    asked = np.array([day for _, day in stale.erased])
    first = seen.of(people)
    gone = people[(first > 0) & (first < asked)]
    if len(gone):
        seen.drop(np.concatenate([pair_keys(name, gone) for name in stale.features]))
    return bool(len(gone))


def _lost_people(keep: PeopleFolder, stale: _Stale, seen: FirstSeen, day: date) -> bool:
    """Whether somebody who was there on the day is there no more; then who was first seen when has to be found anew."""
    import numpy as np

    known = seen.days.get(day.isoformat())
    if known is None or known == stale.digests[day]:
        return False
    before = keep.day(day, known)
    if before is None:
        return True
    now = _people(keep, stale, day).by_feature
    return any(len(np.setdiff1d(people, now.get(name, people[:0]), assume_unique=True)) for name, people in before.by_feature.items())


def _people(keep: PeopleFolder, stale: _Stale, day: date) -> DayPeople:
    """The people of a day, kept or counted. Raises: ConflictError, DependencyError."""
    from productops.adapters.analytics_usage_count import read_day

    found = keep.day(day, stale.digests[day])
    if found is None:
        found = read_day(stale.files[day], stale.without).people()
        keep.put_day(day, stale.digests[day], found)
    return found


def _save(context: Context, keep: PeopleFolder, seen: FirstSeen, stale: _Stale) -> None:
    """Newest days change all the time and are added again from their own files: what is kept is written when older ones changed."""
    kept = keep.first_seen()
    settled = context.clock.now().date() - SETTLED
    if kept is None or any(day <= settled and kept.days.get(day.isoformat()) != stale.digests[day] for day in stale.files):
        keep.put_first_seen(seen)


def _count(context: Context, venture: str, day: date, stale: _Stale, seen: FirstSeen) -> int:
    from productops.adapters.analytics_usage_count import count_day, read_day
    from productops.adapters.analytics_usage_people import pair_keys

    events = read_day(stale.files[day], stale.without)
    ordinal = day.toordinal()
    new = {name: who[seen.of(pair_keys(name, who)) == ordinal] for name, who in events.people().by_feature.items()}
    rows: list[UsageDay] = count_day(venture, day, events, new)
    now = context.clock.now()
    with context.store.write() as unit:
        unit.analytics_usage.replace_day(venture, day, rows)
        unit.analytics_usage.set_counted(venture, day, stale.digests[day] + (OPEN_MARK if day >= now.date() else ""), now=now)
    return len(rows)


def _periods(context: Context, venture: str, keep: PeopleFolder, stale: _Stale, seen: FirstSeen, days: set[date]) -> None:
    """People of the weeks and months that the days are in; a large month that is not over is counted again on another day only."""
    today = context.clock.now().date()
    wanted = {(PeriodUnit.WEEK, day - timedelta(days=day.weekday())) for day in days}
    months = {day.replace(day=1) for day in days}
    for month in sorted(months):
        inside = [day for day in stale.files if day.replace(day=1) == month]
        large = sum(file.rows for day in inside for file in stale.files[day]) > MONTH_PEOPLE_MAX
        if not large or any(day < today for day in days if day.replace(day=1) == month):
            wanted.add((PeriodUnit.MONTH, month))
    for unit_, begin in sorted(wanted):
        end = begin + timedelta(days=7) if unit_ is PeriodUnit.WEEK else (begin + timedelta(days=32)).replace(day=1)
        rows = _period_rows(venture, unit_, begin, end, keep, stale, seen)
        with context.store.write() as unit:
            unit.analytics_usage.replace_period(venture, unit_, begin, rows)


def _period_rows(
    venture: str, unit: PeriodUnit, begin: date, end: date, keep: PeopleFolder, stale: _Stale, seen: FirstSeen
) -> list[UsagePeriod]:  # fmt: skip
    from productops.adapters.analytics_usage_people import pair_keys, together

    parts = [_people(keep, stale, day).by_feature for day in sorted(stale.files) if begin <= day < end]
    rows = []
    for name, people in sorted(together(parts).items()):
        first = seen.of(pair_keys(name, people))
        new = int(((first >= begin.toordinal()) & (first < end.toordinal())).sum())
        rows.append(UsagePeriod(venture, unit, begin, name, len(people), new))
    return rows


def _forget(context: Context, venture: str, keep: PeopleFolder, stale: _Stale) -> None:
    """Days whose events are gone: figures of days before all that are left stay (events are kept for a time), others go with them.

    A day that lost its last event to an erasure has had nobody else, or it would have a file.
    """
    if not stale.gone:
        return
    import numpy as np

    oldest = min(stale.files, default=date.max)
    people = np.array([person for person, _ in stale.erased], dtype=np.uint64)
    erased = {day for day, state in stale.gone.items() if _has(keep.day(day, state), people)}
    keep.forget(stale.gone)
    with context.store.write() as unit:
        for day in stale.gone:
            if day >= oldest or day in erased:
                unit.analytics_usage.replace_day(venture, day, [])
        unit.analytics_usage.forget_counted(venture, stale.gone)
