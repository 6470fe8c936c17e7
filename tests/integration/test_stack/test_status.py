"""What `productops status` sees."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from productops.cli.stack.doctor import examine
from productops.cli.stack.doctor_checks import check_leftovers, check_ports
from productops.cli.stack.status import read_status
from productops.cli.stack.tables import status_table
from productops.errors import NotRunningError
from productops.settings import Settings
from tests.integration.test_stack.conftest import StartStack
from tests.integration.test_stack.lab import SERVER, Part, free_port_base, until


def test_status_tells_state_health_and_use_of_every_process(start: StartStack, home: Path) -> None:
    port = free_port_base() + 5
    start(Part("api", SERVER, port=port), Part("worker"))
    status = read_status(home)
    assert status.healthy
    assert status.phase == "running"
    assert [each.name for each in status.processes] == ["supervisor", "api", "worker"]
    assert all(each.state == "running" and each.healthy and each.pid and each.rss_bytes > 1e6 for each in status.processes)
    assert all(0 <= each.uptime_s < 60 for each in status.processes)
    assert status.rss_bytes >= sum(each.rss_bytes for each in status.processes) * 0.9
    assert "worker" in status_table(status)
    assert set(status.as_json()) >= {"healthy", "processes", "urls", "settings", "rss_bytes", "cpu_pct"}


def test_a_process_that_answers_no_more_makes_the_stack_unhealthy(start: StartStack, home: Path) -> None:
    port = free_port_base() + 5
    stack = start(Part("api", SERVER, port=port), Part("worker", backoff={"first_s": 30.0}))
    os.kill(stack.pid("api"), signal.SIGSTOP)
    os.kill(stack.pid("worker"), signal.SIGKILL)
    until(lambda: stack.pid("worker") == 0)
    status = read_status(home)
    api, worker = status.processes[1:]
    assert not status.healthy
    assert (api.state, api.healthy) == ("running", False)
    assert (worker.state, worker.last_exit, worker.restarts, worker.healthy) == ("restarting", "SIGKILL", 1, False)
    os.kill(stack.pid("api"), signal.SIGCONT)


def test_a_stack_without_its_supervisor_is_shown_as_such_and_doctor_knows_the_mend(start: StartStack, home: Path) -> None:
    port = free_port_base() + 5
    stack = start(Part("api", SERVER, port=port))
    settings = Settings(home=home, port_base=port)
    assert check_ports(settings)[0].judgement == "ok"  # its own process holds it
    assert check_leftovers(settings)[0].judgement == "ok"
    os.kill(stack.process.pid, signal.SIGKILL)
    stack.process.wait()
    status = read_status(home)
    assert status.phase == "unsupervised"
    assert not status.healthy
    assert [each.state for each in status.processes] == ["dead", "running"]
    finding = next(each for each in examine(settings).findings if each.check == "processes")
    assert finding.judgement == "wrong"
    assert "productops down" in finding.mend


def test_no_stack_is_an_error_of_its_own(home: Path) -> None:
    with pytest.raises(NotRunningError, match="productops up"):
        read_status(home)
    assert not home.exists()


def test_doctor_looks_at_the_ports_of_the_stack_that_runs(start: StartStack, home: Path) -> None:
    stack = start()
    found = next(each for each in examine(Settings(home=home)).findings if each.check == "ports")
    assert str(stack.port_base) in found.detail
