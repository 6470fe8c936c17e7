"""The product watches itself: a process of its own that goes silent is an alert, one that ends as it should is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from productops.domain.monitoring_processes import FORGOTTEN, SILENT, ProcessBeat, process_name
from productops.errors import OrchestratorError
from productops.store.incident_alerts import AlertFilter
from productops.usecases.context import OURSELVES, Context
from productops.usecases.incident_read import find_alerts
from productops.usecases.monitoring_processes import FLOWS_SILENT, PREFECT_SILENT, ProcessBeats, ProcessWatch, tell_silent_watch
from tests.integration.monitoring_slo_lab import Moved
from tests.support import add_service, make_context, sqlite_url

SLEEPER = """
import os, sys, time
from productops.usecases.monitoring_processes import ProcessBeats
from tests.support import make_context
ProcessBeats(make_context(sys.argv[1]), "dispatcher", "dispatcher/here/1", every_s=0.1).start()
time.sleep(60)
"""


class Flows:
    """Prefect's word about who takes runs."""

    def __init__(self) -> None:
        self.beats: dict[str, datetime] = {}
        self.away = False

    def worker_beats(self) -> dict[str, datetime]:
        if self.away:
            raise OrchestratorError("connection refused")
        return self.beats


@pytest.fixture
def moved(database_url: str) -> Iterator[tuple[Context, Moved]]:
    clock = Moved()
    made = replace(make_context(database_url), clock=clock)
    add_service(made, "shop", live="1.0")
    yield made, clock
    made.store.close()


def firing(context: Context) -> dict[str, str]:
    found = find_alerts(context, AlertFilter(source="heartbeat", status="firing"), limit=100, actor=OURSELVES)
    return {each.alert.component: each.alert.name for each in found}


def beat(context: Context, kind: str, name: str) -> None:
    now = context.clock.now()
    with context.store.write() as unit:
        unit.processes.beat(ProcessBeat(name, kind, 7, now, now))


def pass_by(clock: Moved, span: timedelta) -> None:
    clock.at += span


def test_a_process_that_goes_silent_is_an_alert_until_it_is_back_and_one_gone_for_a_day_is_forgotten(moved: tuple[Context, Moved]) -> None:
    context, clock = moved
    watch = ProcessWatch(context)
    beat(context, "api", "api/one/8700")
    beat(context, "dispatcher", "dispatcher/one/8700")
    assert watch.turn() == 0
    pass_by(clock, SILENT + timedelta(seconds=1))
    beat(context, "api", "api/one/8700")
    assert watch.turn() == 1
    assert firing(context) == {"dispatcher/one/8700": "dispatcher silent"}
    assert ProcessWatch(context).turn() in {0, 1}  # another watch takes over: the same alert
    beat(context, "dispatcher", "dispatcher/one/8700")
    watch.turn()
    assert firing(context) == {}
    pass_by(clock, FORGOTTEN + timedelta(seconds=1))
    ProcessWatch(context).turn()
    assert firing(context) == {}
    with context.store.read() as unit:
        assert unit.processes.all() == []


def test_a_prefect_that_nobody_takes_runs_from_and_one_that_does_not_answer_are_alerts(moved: tuple[Context, Moved]) -> None:
    context, clock = moved
    flows = Flows()
    watch = ProcessWatch(context, flows)
    flows.beats = {"worker-1": clock.now()}
    assert watch.turn() == 0  # who starts with us has had no time
    pass_by(clock, FLOWS_SILENT + timedelta(seconds=1))
    assert watch.turn() == 1
    assert firing(context) == {"prefect": "nobody takes flow runs"}
    flows.beats = {"worker-1": clock.now() - FLOWS_SILENT, "worker-2": clock.now()}
    watch.turn()
    assert firing(context) == {}
    flows.away = True
    watch.turn()
    assert firing(context) == {}  # one answer that is late is no outage
    pass_by(clock, PREFECT_SILENT)
    watch.turn()
    assert firing(context) == {"prefect": "Prefect silent"}
    again = ProcessWatch(context, flows)
    pass_by(clock, FLOWS_SILENT)
    again.turn()
    assert firing(context) == {"prefect": "Prefect silent"}  # a new watch lets it stand


def test_where_no_prefect_ever_answered_and_nobody_ever_took_runs_nobody_is_missed(moved: tuple[Context, Moved]) -> None:
    context, clock = moved
    flows = Flows()
    watch = ProcessWatch(context, flows)
    pass_by(clock, FLOWS_SILENT)
    assert watch.turn() == 0
    flows.away = True
    assert ProcessWatch(context, flows).turn() == 0
    assert firing(context) == {}


def test_a_silent_watch_is_told_by_somebody_else_and_where_none_ever_ran_nobody_misses_it(moved: tuple[Context, Moved]) -> None:
    context, clock = moved
    assert tell_silent_watch(context) == 0
    with context.store.write() as unit:
        unit.detectors.report("one#12#1.00", {"pid": 12}, now=clock.now())
    assert tell_silent_watch(context) == 0
    pass_by(clock, timedelta(seconds=61))
    assert tell_silent_watch(context) == 1
    assert firing(context) == {"watch": "watch silent"}
    with context.store.write() as unit:
        unit.detectors.report("one#13#2.00", {"pid": 13}, now=clock.now())
    tell_silent_watch(context)
    assert firing(context) == {}


def test_a_killed_process_is_missed_and_one_that_ended_as_it_should_is_not(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    context = make_context(url)
    ended = ProcessBeats(context, "api", process_name("api", "host/9", 8700), every_s=0.1)
    ended.start()
    with subprocess.Popen([sys.executable, "-c", SLEEPER, url], cwd=Path(__file__).resolve().parents[2], env=os.environ) as killed:
        deadline = time.monotonic() + 30
        while {each.name for each in _all(context)} != {"api/host/8700", "dispatcher/here/1"}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        killed.send_signal(signal.SIGKILL)
    ended.end()
    assert [each.name for each in _all(context)] == ["dispatcher/here/1"]


def _all(context: Context) -> list[ProcessBeat]:
    with context.store.read() as unit:
        return unit.processes.all()
