"""A machine that is short of processors since just now: told with what takes them, and a reason to look closer at slow answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from productops.adapters.monitoring_busy import BusyMeter
from productops.adapters.monitoring_host import HostMeter
from productops.domain.monitoring_series_host import Busy, HostReading
from productops.usecases.monitoring_detect_saturation import SaturationWatch
from productops.usecases.monitoring_detect_services import ServiceWatch
from tests.integration.test_monitoring_detect import Moved, house, second, told, traffic
from tests.support import sqlite_url


class Batch:
    """Twelve programs of a batch job, always."""

    def read(self) -> Sequence[Busy]:
        return [Busy("python3", 12, 180.0, 0.0)]


def reading(queue: float | None, cpu_pct: float = 100.0) -> HostReading:
    return HostReading(cpu_pct, 1.0, 10.0, 1e9, 0.0, (), 0.0, 0.0, None, None, queue)


def passes(watch: SaturationWatch, clock: Moved, seconds: int, found: HostReading) -> int | None:
    """Let seconds pass; in which of them something was told first."""
    first = None
    for number in range(1, seconds + 1):
        clock.go(1)
        watch.see(clock.at.timestamp(), found)
        if watch.turn() and first is None:
            first = number
    return first


def test_a_machine_that_gets_crowded_is_told_within_six_seconds_with_who_takes_it_and_ended_when_it_is_over(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    watch = SaturationWatch(context, "web-1", Batch())
    assert passes(watch, clock, 60, reading(1.5)) is None
    found = passes(watch, clock, 10, reading(7.0))
    assert found is not None
    assert found <= 6
    assert watch.crowd is not None
    with context.store.read() as unit:
        alert = unit.detectors.open_alerts("saturation:web-1")[0].alert
    assert (alert.severity, alert.component) == ("SEV4", "host/web-1")
    assert "12 python3 since" in alert.summary
    assert passes(watch, clock, 30, reading(1.5)) is not None
    assert (watch.crowd, told(context, "saturation:web-1")) == (None, [])


def test_a_machine_that_is_always_full_or_whose_processors_are_idle_is_not_crowded(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    full, idle, blind = (SaturationWatch(context, name, Batch()) for name in ("full", "idle", "blind"))
    assert passes(full, clock, 120, reading(9.0)) is None
    assert passes(idle, clock, 60, reading(1.0)) is None
    assert passes(idle, clock, 30, reading(8.0, cpu_pct=40.0)) is None
    assert passes(blind, clock, 60, reading(None)) is None


def test_a_batch_job_of_an_hour_does_not_become_usual(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    watch = SaturationWatch(context, "web-1", Batch())
    passes(watch, clock, 60, reading(1.5))
    for _ in range(3600):
        clock.go(1)
        watch.see(clock.at.timestamp(), reading(7.0))
    assert watch.crowd is not None
    assert watch.crowd.usual == 1.5


def test_answers_that_are_half_again_as_slow_are_told_only_where_the_machine_is_crowded(tmp_path: Path) -> None:
    context, clock = house(sqlite_url(tmp_path))
    crowded = [False]
    watch = ServiceWatch(context, lambda: crowded[0])
    assert traffic(context, clock, watch, 130, second(50, latency_ms=30.0)) is None
    assert traffic(context, clock, watch, 15, second(50, latency_ms=55.0)) is None
    assert traffic(context, clock, watch, 30, second(50, latency_ms=30.0)) is None
    crowded[0] = True
    found = traffic(context, clock, watch, 10, second(50, latency_ms=55.0))
    assert found is not None
    assert found <= 5


def test_what_burns_a_processor_is_named_without_its_arguments() -> None:
    meter = BusyMeter()
    burning = subprocess.Popen([sys.executable, "-c", "secret = 'hunter2'\nwhile True: pass"])
    try:
        meter.read()
        deadline = time.monotonic() + 20
        while not (found := [each for each in meter.read() if each.name.startswith("python")]):
            assert time.monotonic() < deadline
            time.sleep(0.3)
        assert found[0].cpu_pct > 5
        assert "hunter2" not in str(found)
    finally:
        burning.kill()
        burning.wait()


def test_programs_that_want_to_run_are_counted_for_each_processor() -> None:
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        deadline = time.monotonic() + 20
        while (HostMeter().read().run_queue or 0.0) < 1.0:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        for each in burning:
            each.kill()
            each.wait()
