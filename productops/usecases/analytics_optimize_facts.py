"""Minutes of a service from everything that is kept: the seconds of a day, what releases were judged by, and minutes of earlier looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from productops.domain.analysis import ArmSecond
from productops.domain.analytics_optimize import Minutes, joined, minutes_of
from productops.domain.release import Environment
from productops.domain.release_recording import Recording
from productops.errors import InvalidInputError
from productops.store import Unit
from productops.usecases.context import Context

SLICE_S = 6 * 3600
RECORDINGS_MAX = 20
KEEP = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Minutes by version; ``fresh``: days with minutes that are not kept yet, by (version, day)."""

    versions: dict[str, Minutes]
    fresh: dict[tuple[str, date], Minutes]


def gather_minutes(context: Context, service: str, environment: Environment, *, since: datetime, now: datetime) -> Gathered:
    """Reads in slices, so that no view of the store stays open for long; seconds that became kept minutes are not read again."""
    kept: dict[str, list[Minutes]] = {}
    with context.store.read() as unit:
        for _, part in unit.analytics_reports.minutes_of(service, environment.value, since=since.date()):
            kept.setdefault(part.version, []).append(part)
        names = unit.analytics_reports.versions_seen(service, environment.value)
    new: dict[str, list[Minutes]] = {}
    for version in names:
        last = max((float(part.rows[-1, 0]) for part in kept.get(version, []) if len(part.rows)), default=0.0)
        after_s = max(int(last) * 60, int(since.timestamp()))
        for part in _of_seconds(context, service, environment, version, since_s=after_s, until_s=int(now.timestamp())):
            new.setdefault(version, []).append(part)
    for part in _of_recordings(context, service, environment, since=since, known=kept):
        new.setdefault(part.version, []).append(part)
    whole = {name: joined(name, [*kept.get(name, []), *new.get(name, [])]) for name in {*kept, *new}}
    fresh = {}
    for name, parts in new.items():
        for day in sorted({_day(at) for part in parts for at in part.rows[:, 0]}):
            fresh[name, day] = _of_day(whole[name], day)
    return Gathered({name: _since(each, since) for name, each in whole.items()}, fresh)


def keep_minutes(unit: Unit, service: str, environment: Environment, gathered: Gathered, *, now: datetime) -> None:
    """Within a transaction: what later looks compare with."""
    for (_, day), part in gathered.fresh.items():
        unit.analytics_reports.put_minutes(service, environment.value, day, part)
    unit.analytics_reports.forget_minutes(before=(now - KEEP).date())


def _of_seconds(
    context: Context, service: str, environment: Environment, version: str, *, since_s: int, until_s: int
) -> Iterator[Minutes]:  # fmt: skip
    with context.store.read() as unit:
        span = unit.analytics_reports.span_of_seconds(service, environment.value, after_s=since_s - 1)
    if span is None:
        return
    start = max(since_s, span[0] // 60 * 60)
    while start < until_s and start <= span[1]:
        end = min(start + SLICE_S, until_s)
        with context.store.read() as unit:
            part = minutes_of(version, unit.analytics_reports.seconds_of(service, environment.value, version, since_s=start, until_s=end))
        if len(part.rows):
            yield part
        start = end


def _of_recordings(
    context: Context, service: str, environment: Environment, *, since: datetime, known: dict[str, list[Minutes]]
) -> Iterator[Minutes]:
    """Both versions of recent releases, unless their minutes are kept already. Flags have no versions to tell apart."""
    with context.store.read() as unit:
        names = unit.recordings.newest(service=service, before=None, limit=RECORDINGS_MAX)
        wanted = [
            release for release in map(unit.releases.get, names)
            if release.environment is environment and release.created_at >= since and not release.plan.get("arms")
        ]  # fmt: skip
    for release in wanted:
        if _has(known.get(release.version, []), release.created_at, release.ended_at):
            continue
        with context.store.read() as unit:
            try:
                recording = unit.recordings.find(release.id)
            except InvalidInputError:
                continue  # written by a newer version of this program; its seconds are not needed to answer
        if recording is not None:
            yield from _of_recording(recording, release.baseline_version, release.version)


def _has(parts: Iterable[Minutes], begun: datetime, ended: datetime | None) -> bool:
    first, last = begun.timestamp() / 60, ended.timestamp() / 60 if ended is not None else np.inf
    return any(bool(((part.rows[:, 0] >= first) & (part.rows[:, 0] <= last)).any()) for part in parts if len(part.rows))


def _of_recording(recording: Recording, baseline: str | None, candidate: str) -> Iterator[Minutes]:
    arms: dict[str, list[tuple[int, ArmSecond]]] = {candidate: []}
    for second in (*recording.history, *recording.rollout):
        for version, arm in ((baseline, second.baseline), (candidate, second.candidate)):
            if version is not None and arm is not None:
                arms.setdefault(version, []).append((second.at_s, arm))
    for version, seconds in arms.items():
        if seconds:
            yield minutes_of(version, seconds)


def _since(minutes: Minutes, since: datetime) -> Minutes:
    return Minutes(minutes.version, minutes.rows[minutes.rows[:, 0] >= since.timestamp() / 60 - 1])


def _day(minute: float) -> date:
    return datetime.fromtimestamp(minute * 60, UTC).date()


def _of_day(minutes: Minutes, day: date) -> Minutes:
    first = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() / 60
    return Minutes(minutes.version, minutes.rows[(minutes.rows[:, 0] >= first) & (minutes.rows[:, 0] < first + 1440)])
