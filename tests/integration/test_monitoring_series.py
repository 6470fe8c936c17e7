"""Series on real databases: what was sent is read back, whatever was sorted, stored, killed or forgotten meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.monitoring_series import Retention, SeriesStatus
from productops.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, SeriesLimitError
from productops.store.monitoring_series import SeriesFilter
from productops.usecases.context import Actor, Clock, Context
from productops.usecases.monitoring_series import (
    Point,
    Statistic,
    Thresholds,
    get_series,
    list_series,
    put_points,
    read_series,
    series_key,
    set_thresholds,
)  # fmt: skip
from productops.usecases.monitoring_series_known import KnownSeries
from productops.usecases.monitoring_series_tidy import tidy_series
from tests.support import SOMEBODY, make_context, sqlite_url

HOUR = 1_790_000_000 // 3600 * 3600
KEY = series_key("apollo", "shop", "application", "queue", {"environment": "production"})
OTHER = series_key("apollo", "shop/1", "infrastructure", "instance.cpu_pct", {"environment": "production"})
KEEP = Retention()


class Stands(Clock):
    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at


def standing(context: Context, at: float = HOUR + 30.0) -> tuple[Context, Stands]:
    clock = Stands(at)
    return replace(context, clock=clock, series=KnownSeries(50)), clock


def send(context: Context, clock: Stands, seconds: range | list[int], *, key=KEY, value=lambda at: float(at % 97)) -> None:
    """A point in each second, each in a batch of its own and at its time."""
    for at in seconds:
        clock.at = max(clock.at, float(at))
        put_points(context, [Point(key, at + 0.4, value(at))], actor=SOMEBODY)


def read(context: Context, since: int, until: int, **how) -> dict[int, float]:
    found = read_series(
        context, venture="apollo", name="queue", since=datetime.fromtimestamp(since, UTC), until=datetime.fromtimestamp(until, UTC),
        actor=SOMEBODY, **how,
    )  # fmt: skip
    assert len(found) <= 1
    return dict(zip(found[0].at.astype(int).tolist(), found[0].value.tolist(), strict=True)) if found else {}


def rows(context: Context, query: str) -> list[tuple]:
    engine = create_engine(context.store.url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def test_points_are_read_back_before_and_after_they_are_sorted_in_and_stored_by_the_hour(any_context):
    context, clock = standing(any_context)
    seconds = range(HOUR + 3300, HOUR + 3900, 3)
    send(context, clock, seconds)
    sent = {at: float(at % 97) for at in seconds}
    assert read(context, HOUR, HOUR + 7200) == sent
    clock.at = HOUR + 3960
    done = tidy_series(context, KEEP, now=clock.now())
    assert (done.points, done.blocks) == (len(sent), 1)
    assert read(context, HOUR, HOUR + 7200) == sent
    clock.at = HOUR + 7200 + 121
    assert tidy_series(context, KEEP, now=clock.now()).blocks == 1
    assert read(context, HOUR, HOUR + 7200) == sent
    assert read(context, HOUR + 3500, HOUR + 3700) == {at: value for at, value in sent.items() if HOUR + 3500 <= at < HOUR + 3700}


def test_the_same_second_twice_counts_once_and_late_points_find_their_place_in_stored_hours(any_context):
    context, clock = standing(any_context)
    send(context, clock, [HOUR + 50, HOUR + 10, HOUR + 50], value=lambda at: float(at - HOUR))
    send(context, clock, [HOUR + 50], value=lambda _: 7.5)
    assert read(context, HOUR, HOUR + 100) == {HOUR + 10: 10.0, HOUR + 50: 7.5}
    clock.at = HOUR + 3600 + 300
    tidy_series(context, KEEP, now=clock.now())
    send(context, clock, [HOUR + 20], value=lambda _: 2.0)
    send(context, clock, [HOUR + 50], value=lambda _: 8.5)
    expected = {HOUR + 10: 10.0, HOUR + 20: 2.0, HOUR + 50: 8.5}
    assert read(context, HOUR, HOUR + 100) == expected
    assert read(context, HOUR, HOUR + 3600, step_s=3600, statistic=Statistic.SUM) == {HOUR: 20.5}
    clock.at += 120
    tidy_series(context, KEEP, now=clock.now())
    assert read(context, HOUR, HOUR + 100) == expected
    assert read(context, HOUR, HOUR + 3600, step_s=3600, statistic=Statistic.COUNT) == {HOUR: 3.0}


@pytest.mark.parametrize("step_s", [10, 60, 300, 3600, 7200])
def test_steps_tell_the_same_whether_they_come_from_points_minutes_or_hours(context, step_s):
    context, clock = standing(context)
    seconds = list(range(HOUR + 1000, HOUR + 9000, 40))
    send(context, clock, seconds)
    expected = {}
    for statistic, fold in ((Statistic.MEAN, np.mean), (Statistic.MAX, np.max), (Statistic.LAST, lambda v: v[-1])):
        groups: dict[int, list[float]] = {}
        for at in seconds:
            groups.setdefault(at - at % step_s, []).append(float(at % 97))
        expected[statistic] = {at: float(fold(values)) for at, values in groups.items()}
    for at in (0, 400, 4000):
        clock.at = HOUR + 9000 + at
        tidy_series(context, KEEP, now=clock.now())
        for statistic, wanted in expected.items():
            assert read(context, HOUR + 1000, HOUR + 9000, step_s=step_s, statistic=statistic) == pytest.approx(wanted)


def test_what_is_older_than_its_retention_is_told_by_minutes_then_by_hours_then_not_at_all(any_context):
    context, clock = standing(any_context)
    send(context, clock, range(HOUR, HOUR + 300, 30))
    clock.at = HOUR + 3900
    tidy_series(context, KEEP, now=clock.now())
    day = 86_400
    clock.at = HOUR + 16 * day
    assert tidy_series(context, KEEP, now=clock.now()).forgotten
    by_minute = read(context, HOUR, HOUR + 3600)
    assert list(by_minute) == [HOUR + 60 * n for n in range(5)]
    clock.at = HOUR + 61 * day
    tidy_series(context, KEEP, now=clock.now())
    assert list(read(context, HOUR, HOUR + 3600)) == [HOUR]
    clock.at = HOUR + 401 * day
    tidy_series(context, KEEP, now=clock.now())
    assert read(context, HOUR, HOUR + 3600) == {}
    assert list_series(context, SeriesFilter("apollo"), actor=SOMEBODY) == []


def test_infrastructure_metrics_gets_a_row_a_minute_and_one_at_once_when_a_status_changes(any_context):
    context, clock = standing(any_context)
    send(context, clock, [HOUR], value=lambda _: 10.0)
    (info,) = list_series(context, SeriesFilter("apollo"), actor=SOMEBODY)
    set_thresholds(context, info.number, Thresholds(80, 95), actor=SOMEBODY)
    send(context, clock, [HOUR + 5], value=lambda _: 99.0)
    query = "SELECT metric_name, metric_value, status, threshold_critical FROM infrastructure_metrics ORDER BY recorded_at, metric_id"
    (row,) = rows(context, query)
    assert (row[0], float(row[1]), row[2], float(row[3])) == ("queue", 99.0, "critical", 95.0)
    assert get_series(context, info.number, actor=SOMEBODY).status is SeriesStatus.CRITICAL
    send(context, clock, [HOUR + 6, HOUR + 30, HOUR + 70], value=lambda _: 98.0)
    clock.at = HOUR + 130
    tidy_series(context, KEEP, now=clock.now())
    tidy_series(context, KEEP, now=clock.now())
    assert [row[2] for row in rows(context, query)] == ["critical"] * 3
    clock.at = HOUR + 70 + 301
    assert tidy_series(context, KEEP, now=clock.now()).silent == 1
    assert get_series(context, info.number, actor=SOMEBODY).status is SeriesStatus.UNKNOWN
    send(context, clock, [HOUR + 380], value=lambda _: 3.0)
    assert [row[2] for row in rows(context, query)][-2:] == ["unknown", "normal"]
    clock.at = HOUR + 4 * 86_400
    tidy_series(context, KEEP, now=clock.now())
    assert [row[2] for row in rows(context, query)] == ["unknown"]  # it fell silent again
    clock.at = HOUR + 60
    set_thresholds(context, info.number, Thresholds(), actor=SOMEBODY)
    assert rows(context, "SELECT action FROM audit_entries WHERE action = 'series.thresholds-set'") == [("series.thresholds-set",)] * 2


def test_what_cannot_be_kept_is_refused_whole_with_the_point_that_is_wrong(context):
    context, _clock = standing(context)
    good = Point(KEY, HOUR + 1.0, 1.0)
    for bad, said in (
        (Point(KEY, HOUR + 1.0, float("nan")), "no finite number"),
        (Point(KEY, HOUR * 1000.0, 1.0), "milliseconds"),
        (Point(KEY, HOUR - 8 * 86_400.0, 1.0), "last 7 days"),
        (Point(series_key("apollo", "shop", "weather", "rain"), HOUR + 1.0, 1.0), "category"),
    ):
        with pytest.raises(InvalidInputError, match=said):
            put_points(context, [good, bad], actor=SOMEBODY)
    with pytest.raises(NotFoundError):
        put_points(context, [Point(series_key("gemini", "shop", "application", "queue"), HOUR + 1.0, 1.0)], actor=SOMEBODY)
    assert read(context, HOUR, HOUR + 10) == {}
    for since, until, step_s in ((10, 5, None), (0, 10, 0)):
        with pytest.raises(InvalidInputError):
            read(context, HOUR + since, HOUR + until, step_s=step_s)


def test_a_tag_whose_values_never_repeat_is_stopped_at_the_limit_and_the_others_go_on(any_context):
    context, _clock = standing(any_context)
    keys = [series_key("apollo", "shop", "application", "requests", {"id": str(number)}) for number in range(51)]
    put_points(context, [Point(key, HOUR + 1.0, 1.0) for key in keys[:50]], actor=SOMEBODY)
    with pytest.raises(SeriesLimitError, match="50 series.*requests.*limit of 50"):
        put_points(context, [Point(keys[50], HOUR + 1.0, 1.0)], actor=SOMEBODY)
    assert put_points(context, [Point(keys[3], HOUR + 2.0, 2.0)], actor=SOMEBODY) == 1


def test_everybody_sees_and_writes_what_their_grants_cover_and_no_more(context):
    context, clock = standing(context)
    staging = series_key("apollo", "shop", "application", "queue", {"environment": "staging"})
    host = series_key("", "host/a", "infrastructure", "host.cpu_pct")
    put_points(context, [Point(key, HOUR + 1.0, 1.0) for key in (KEY, staging, host)], actor=SOMEBODY)

    def somebody(*grants: Grant) -> Actor:
        return Actor("mia", "api", Principal("mia", grants))

    def seen(actor: Actor) -> list[str]:
        return [str(info.key) for info in list_series(context, SeriesFilter(), actor=actor)]

    viewer = somebody(Grant(Role.VIEWER, "apollo", "staging"))
    assert seen(viewer) == ["shop queue {environment=staging}"]
    assert len(seen(SOMEBODY)) == 3
    assert seen(somebody()) == []
    with pytest.raises(NotFoundError):
        read_series(
            context,
            venture="apollo",
            since=clock.now() - timedelta(hours=1),
            until=clock.now(),
            actor=somebody(Grant(Role.VIEWER, "gemini")),
        )
    developer = somebody(Grant(Role.DEVELOPER, "apollo", "staging"))
    assert put_points(context, [Point(staging, HOUR + 2.0, 1.0)], actor=developer) == 1
    for key in (KEY, host, series_key("apollo", "shop", "application", "queue")):
        with pytest.raises(ForbiddenError):
            put_points(context, [Point(key, HOUR + 2.0, 1.0)], actor=developer)
    numbers = {str(info.key): info.number for info in list_series(context, SeriesFilter(), actor=SOMEBODY)}
    with pytest.raises(ForbiddenError):
        set_thresholds(context, numbers["shop queue {environment=staging}"], Thresholds(1), actor=viewer)
    with pytest.raises(NotFoundError):
        get_series(context, numbers[str(host)], actor=viewer)


def test_series_are_found_by_component_name_and_tags(context):
    context, _clock = standing(context)
    put_points(context, [Point(key, HOUR + 1.0, 4.0) for key in (KEY, OTHER)], actor=SOMEBODY)

    def found(**wanted) -> list[str]:
        return sorted(info.key.component for info in list_series(context, SeriesFilter(**wanted), actor=SOMEBODY))

    assert found(component="shop*") == ["shop", "shop/1"]
    assert found(component="shop/*") == ["shop/1"]
    assert found(component="shop") == ["shop"]
    assert found(tags={"environment": "production"}, category="application") == ["shop"]
    assert found(tags={"environment": "staging"}) == []
    assert found(name="instance.cpu_pct", status=SeriesStatus.NORMAL) == ["shop/1"]
    first, second = list_series(context, SeriesFilter(), actor=SOMEBODY)
    assert (first.last_at, first.last_value) == (HOUR + 1.0, 4.0)
    assert list_series(context, SeriesFilter(), after=first.number, limit=1, actor=SOMEBODY) == [second]


def test_thresholds_that_somebody_else_changed_meanwhile_are_not_overwritten(context):
    context, _clock = standing(context)
    put_points(context, [Point(KEY, HOUR + 1.0, 4.0)], actor=SOMEBODY)
    (info,) = list_series(context, SeriesFilter(), actor=SOMEBODY)
    with context.store.write() as unit:
        assert unit.series.set_thresholds(info.number, Thresholds(5), expected=Thresholds())
        assert not unit.series.set_thresholds(info.number, Thresholds(6), expected=Thresholds())
        assert not unit.series.move_status(info.number, expected=SeriesStatus.WARNING, status=SeriesStatus.NORMAL)


def test_of_two_that_sort_points_in_at_the_same_time_one_gives_up_and_nothing_is_lost(any_context):
    context, clock = standing(any_context)
    send(context, clock, range(HOUR, HOUR + 50))
    with context.store.read() as unit:
        stored = unit.series_points.unsorted(until_s=HOUR + 60, limit=100)
    clock.at = HOUR + 70
    tidy_series(context, KEEP, now=clock.now())
    with pytest.raises(ConflictError), context.store.write() as unit:
        unit.series_points.take_batches([each.id for each in stored])
    assert len(read(context, HOUR, HOUR + 60)) == 50


WRITER = """
import sys, time
from productops.store import Store
from productops.usecases.context import Context
from productops.usecases.monitoring_series import Point, put_points, series_key
from tests.support import SOMEBODY, Silent
context = Context(store=Store(sys.argv[1]), doorbell=Silent(), lease_ttl_s=15.0)
keys = [series_key("apollo", "shop", "application", f"m{n}") for n in range(100)]
at = int(time.time()) - 1000
while True:
    at += 1
    put_points(context, [Point(key, float(at), float(at % 7)) for key in keys], actor=SOMEBODY)
    print(at, flush=True)
"""


def test_kill_9_loses_no_point_that_was_acknowledged(tmp_path: Path):
    context = make_context(sqlite_url(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", WRITER, context.store.url], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert child.stdout is not None
    stop = threading.Event()

    def tidying() -> None:
        while not stop.wait(0.5):
            tidy_series(context, KEEP, now=datetime.now(UTC))

    thread = threading.Thread(target=tidying)
    thread.start()
    first = int(child.stdout.readline())
    while (last := int(child.stdout.readline())) < first + 20:
        pass
    os.kill(child.pid, signal.SIGKILL)
    rest = child.stdout.read().split()
    child.wait()
    child.stdout.close()
    stop.set()
    thread.join()
    last = int(rest[-1]) if rest else last
    since, until = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last + 1, UTC)
    found = read_series(context, venture="apollo", since=since, until=until, actor=SOMEBODY)
    context.store.close()
    assert len(found) == 100
    assert {tuple(each.at.astype(int)) for each in found} == {tuple(range(first, last + 1))}
    assert time.time() > last
