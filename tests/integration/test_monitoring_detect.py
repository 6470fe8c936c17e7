"""Detection on a real database: faults are told once, ended once, and survive whatever happens to the process."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.incident_alert import Alert
from productops.domain.monitoring_detect import Findings
from productops.domain.monitoring_detect_heartbeat import HeartbeatEntry
from productops.domain.monitoring_series import Point, series_key
from productops.errors import NotFoundError, StoreUnavailableError
from productops.usecases.context import OURSELVES, Clock, Context
from productops.usecases.monitoring_detect import AlertBook
from productops.usecases.monitoring_detect_heartbeats import DeclaredHeartbeat, beat, put_heartbeats
from productops.usecases.monitoring_detect_limits import LimitWatch
from productops.usecases.monitoring_detect_services import ServiceWatch
from productops.usecases.monitoring_detect_silence import SilenceWatch
from productops.usecases.monitoring_series import put_points
from tests.support import PRODUCTION, SOMEBODY, add_service, make_context, sqlite_url

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
VENTURE = "apollo"


@dataclass
class Moved(Clock):
    """Clocks that only tests move."""

    at: datetime = field(default=START)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def go(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def house(url: str) -> tuple[Context, Moved]:
    clock = Moved()
    context = make_context(url)
    add_service(context, "shop", live="1.0")
    return replace(context, clock=clock), clock


def second(requests: int, failures: int = 0, latency_ms: float = 20.0) -> ArmSecond:
    return ArmSecond(requests=requests, failures=failures, latency=LatencyHistogram((latency_ms,), (requests,)))


def traffic(context: Context, clock: Moved, watch: ServiceWatch, seconds: int, arm: ArmSecond) -> int | None:
    """Let seconds pass with such traffic; in which of them something was told first."""
    for number in range(1, seconds + 1):
        with context.store.write() as unit:
            unit.seconds.add(int(clock.at.timestamp()), {("shop", PRODUCTION, "1.0"): arm})
        clock.go(1)
        if watch.turn():
            return number
    return None


def told(context: Context, detector: str) -> list[tuple[str, str]]:
    with context.store.read() as unit:
        return sorted((each.alert.name, each.alert.severity) for each in unit.detectors.open_alerts(detector))


def test_half_of_all_requests_failing_is_told_within_two_seconds_and_ended_when_it_is_over(any_context: Context) -> None:
    clock = Moved()
    add_service(any_context, "shop", live="1.0")
    context = replace(any_context, clock=clock)
    watch = ServiceWatch(context)
    assert traffic(context, clock, watch, 60, second(50)) is None
    assert traffic(context, clock, watch, 10, second(50, 25)) in {1, 2}
    assert told(context, "service") == [("failing requests", "SEV2")]
    assert traffic(context, clock, watch, 100, second(50)) is not None
    assert told(context, "service") == []


def test_answers_that_get_far_slower_while_they_are_slow_are_told_again_at_once(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    watch = ServiceWatch(context)
    traffic(context, clock, watch, 130, second(50))
    assert traffic(context, clock, watch, 10, second(50, latency_ms=100.0)) is not None
    assert traffic(context, clock, watch, 10, second(50, latency_ms=100.0)) is None
    found = traffic(context, clock, watch, 10, second(50, latency_ms=400.0))
    assert found is not None
    assert found <= 5


def test_slow_answers_are_told_within_five_seconds_once_the_usual_is_known(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    watch = ServiceWatch(context)
    assert traffic(context, clock, watch, 130, second(50)) is None
    found = traffic(context, clock, watch, 10, second(50, latency_ms=200.0))
    assert found is not None
    assert found <= 5
    assert told(context, "service") == [("slow answers", "SEV2")]


def test_a_rough_hour_does_not_hide_answers_that_are_ten_times_as_slow(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    watch = ServiceWatch(context)
    for number in range(60):
        assert traffic(context, clock, watch, 5, second(50, latency_ms=20.0 if number % 2 else 38.0)) is None
    found = traffic(context, clock, watch, 10, second(50, latency_ms=280.0))
    assert found is not None
    assert found <= 8


def test_failures_that_are_over_are_told_to_be_so_within_twenty_seconds_where_many_requests_say_it(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    watch = ServiceWatch(context)
    traffic(context, clock, watch, 60, second(50))
    traffic(context, clock, watch, 10, second(50, 25))
    over = traffic(context, clock, watch, 60, second(50))
    assert over is not None
    assert over <= 20
    assert traffic(context, clock, watch, 90, second(50)) is None  # the minute in which it was does not tell it again


def test_a_few_failing_requests_of_little_traffic_wake_nobody(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    watch = ServiceWatch(context)
    assert traffic(context, clock, watch, 30, second(1)) is None
    assert traffic(context, clock, watch, 3, second(1, 1)) is None


def test_a_restarted_watch_knows_what_is_usual_and_ends_what_its_forerunner_told(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    first = ServiceWatch(context)
    assert traffic(context, clock, first, 60, second(50)) is None
    first.save()
    assert traffic(context, clock, first, 5, second(50, 50)) is not None
    del first  # as after kill -9
    clock.go(200)
    again = ServiceWatch(context)
    assert traffic(context, clock, again, 3, second(50)) is not None
    assert told(context, "service") == []


def an_alert(clock: Moved) -> Alert:
    return Alert(source="anomaly", name="too much", venture=VENTURE, service="shop", environment=PRODUCTION, starts_at=clock.at)


def test_an_alert_that_was_written_down_but_not_told_is_told_by_the_next_process_and_only_once(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    alert = an_alert(clock)
    with context.store.write() as unit:
        unit.detectors.begin("x", alert)  # and here the process was killed
    clock.go(30)
    book = AlertBook(context, "x")
    assert book.settle(Findings((an_alert(clock),))) == 1
    assert book.settle(Findings((an_alert(clock),))) == 0
    with closing(sqlite3.connect(tmp_path / "productops.db")) as connection:
        rows = connection.execute("SELECT count(*) FROM incident_alerts").fetchone()
    assert rows == (1,)


def test_what_nobody_could_see_neither_begins_nor_ends(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    book = AlertBook(context, "x")
    assert book.settle(Findings((an_alert(clock),))) == 1
    assert book.settle(Findings()) == 0
    assert told(context, "x") == [("too much", "SEV3")]
    assert book.settle(Findings(calm=frozenset({an_alert(clock).fingerprint}))) == 1
    assert told(context, "x") == []


def heartbeat(name: str = "nightly-backup", interval_s: int = 60) -> HeartbeatEntry:
    document = {
        "apiVersion": "productops/v1", "kind": "Heartbeat", "metadata": {"name": name, "venture": VENTURE},
        "spec": {"interval_s": interval_s, "service": "shop", "environment": "production"},
    }  # fmt: skip
    return HeartbeatEntry.model_validate_json(json.dumps(document))


def test_silence_beyond_the_interval_is_an_alert_that_a_beat_ends(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    with context.store.write() as unit:
        put_heartbeats(unit, [DeclaredHeartbeat(heartbeat(), "here")], bases={"here"}, actor=SOMEBODY, now=clock.at)
    watch = SilenceWatch(context)
    clock.go(59)
    assert watch.turn() == 0
    assert beat(context, "nightly-backup", actor=SOMEBODY).beats == 1
    clock.go(59)
    assert watch.turn() == 0
    clock.go(2)
    assert watch.turn() == 1
    assert told(context, "silence") == [("heartbeat nightly-backup", "SEV3")]
    beat(context, "nightly-backup", actor=SOMEBODY)
    assert watch.turn() == 1
    assert told(context, "silence") == []


def test_a_heartbeat_nobody_declared_is_refused_and_one_that_is_declared_no_more_is_forgotten(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    with pytest.raises(NotFoundError, match="declare it in the catalog"):
        beat(context, "nobody", actor=SOMEBODY)
    with context.store.write() as unit:
        put_heartbeats(unit, [DeclaredHeartbeat(heartbeat(), "here")], bases={"here"}, actor=SOMEBODY, now=clock.at)
        assert put_heartbeats(unit, [], bases={"here"}, actor=SOMEBODY, now=clock.at) == [("Heartbeat", "nightly-backup", "removed")]


def test_a_disk_that_will_be_full_in_an_hour_is_severe_and_one_that_is_full_is_told_at_once(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    key = series_key("", "host/one", "infrastructure", "host.disk_pct", {"mount": "/"})
    begin = clock.at - timedelta(hours=3)
    points = [Point(key, (begin + timedelta(minutes=m)).timestamp(), 55 + m / 6) for m in range(180)]
    put_points(context, points, actor=OURSELVES)
    watch = LimitWatch(context)
    assert watch.turn() == 1
    assert told(context, "limits") == [("host.disk_pct at its limit", "SEV2")]
    other = series_key("", "host/two", "infrastructure", "host.disk_pct", {"mount": "/"})
    clock.go(2)
    put_points(context, [Point(other, clock.at.timestamp() - 1, 99.0)], actor=OURSELVES)
    assert watch.turn() == 1


@contextmanager
def watch_process(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PRODUCTOPS_HOME": str(home), "PRODUCTOPS_DATABASE_URL": sqlite_url(home), "PRODUCTOPS_LOG_JSON": "false"}
    with (home / "watch.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "productops.agent.watch"], env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(what: str, home: Path, condition: object, *, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.2)
    raise AssertionError(f"{what} within {seconds} s; its log: {(home / 'watch.log').read_text()[-3000:]}")


def test_the_process_tells_of_a_fault_lives_through_a_locked_database_and_kill_9_and_doubles_nothing(tmp_path: Path) -> None:
    context = make_context(sqlite_url(tmp_path))
    add_service(context, "shop", live="1.0")
    report = tmp_path / "run" / "watch.json"

    def elected(process: subprocess.Popen[bytes]) -> bool:
        found = json.loads(report.read_text()) if report.exists() else {}
        return bool(found.get("pid") == process.pid and found["elected"])

    def one_alert() -> bool:
        try:
            with context.store.read() as unit:
                open_ = unit.detectors.open_alerts("service")
        except StoreUnavailableError:
            return False
        return [each.alert.name for each in open_ if each.told] == ["failing requests"]

    def count(failures: int) -> None:
        with context.store.write() as unit:
            unit.seconds.add(int(time.time()) - 1, {("shop", PRODUCTION, "1.0"): second(50, failures)})

    with watch_process(tmp_path) as process:
        wait_for("it looks for trouble", tmp_path, lambda: elected(process))
        with closing(sqlite3.connect(tmp_path / "productops.db", isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            time.sleep(1.0)
            connection.execute("ROLLBACK")
        wait_for("the fault is told", tmp_path, lambda: count(40) or one_alert())
        process.send_signal(signal.SIGKILL)
        process.wait()
    with watch_process(tmp_path) as process:
        wait_for("the next one looks for trouble", tmp_path, lambda: elected(process))
        wait_for("the fault is known", tmp_path, lambda: count(40) or one_alert())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0
    with closing(sqlite3.connect(tmp_path / "productops.db")) as connection:
        rows = connection.execute("SELECT count(*) FROM incident_alerts WHERE name='failing requests'")
        assert rows.fetchone() == (1,)
