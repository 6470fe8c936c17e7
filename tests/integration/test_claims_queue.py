"""A real Prefect server with dispatchers and workers on one queue: each run is executed exactly once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.fleet.exactly_once import DISPATCHERS, count_executions
from benchmarks.fleet.queue import Queue
from tests.integration.test_stack.lab import free_port_base

pytestmark = pytest.mark.skipif(
    "TEST_QUEUE" not in os.environ,
    reason="minutes of Prefect on SQLite, which stands still on a busy machine; TEST_QUEUE=1 runs it, as the fleet benchmark does",
)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path, free_port_base()) as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_each_run_is_executed_once_though_a_dispatcher_dies_in_the_middle(queue: Queue) -> None:
    count = count_executions(queue, runs=24, workers=1, kill_after=6, within_s=150)
    assert count.exactly_once == 24, count
    assert count.states == {"COMPLETED": 24}, count


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_late_execution_does_nothing_and_leaves_the_record_as_it_was_while_a_retry_is_executed(queue: Queue) -> None:
    queue.add_dispatcher(DISPATCHERS[0])
    (run,) = queue.submit(1)
    queue.until(lambda: queue.state(run) == "COMPLETED", within_s=60, what="the run has ended")
    for module in (("engine.execute",), ("prefect.engine",)):
        queue.set_state(run, "PENDING")
        late = queue.start_again(run, *module)
        assert late.returncode == 0, late.stderr
        assert queue.state(run) == "COMPLETED"
        assert len(queue.executions()) == 1
    queue.set_state(run, "SCHEDULED", "AwaitingRetry")
    queue.until(lambda: len(queue.executions()) == 2, within_s=60, what="the retry was executed")
    queue.until(lambda: queue.state(run) == "COMPLETED", within_s=60, what="the retry has ended")
