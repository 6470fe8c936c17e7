"""Who executes a flow run: the rows of the store, and the counting of attempts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.schemas.objects import State, StateType

from productops.adapters.doorbell import Doorbell
from productops.store import Store
from productops.store.database import to_json
from productops.usecases import run_claims
from productops.usecases.context import Clock, Context
from tasks.claims import attempt_of, end_of, has_run
from tests.support import migrated

BEGUN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
NOBODY = 2**22 + 1  # above the largest process id of Linux


class Minutes(Clock):
    """A clock that a test turns; nobody sleeps."""

    passed = timedelta(0)

    def now(self) -> datetime:
        return BEGUN + self.passed

    def monotonic(self) -> float:
        return self.passed.total_seconds()

    def sleep(self, seconds: float) -> None:
        self.passed += timedelta(seconds=seconds)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    url = f"sqlite:///{tmp_path / 'productops.db'}"
    migrated(url)
    store = Store(url)
    yield Context(store=store, doorbell=Doorbell(1), lease_ttl_s=15, clock=Minutes())
    store.close()


def later(context: Context, seconds: float) -> None:
    context.clock.sleep(seconds)


def test_of_many_claims_at_once_exactly_one_holds(context: Context) -> None:
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: run_claims.claim_run(context, "run", 1, owner=f"host:home#{number}"), range(16)))
    assert sum(won) == 1


def test_another_attempt_is_another_claim(context: Context) -> None:
    assert run_claims.claim_run(context, "run", 1, owner="a:h#1")
    assert run_claims.claim_run(context, "run", 2, owner="a:h#1")


def test_a_claim_that_gets_no_process_passes_to_another_machine_after_a_while(context: Context) -> None:
    assert run_claims.claim_run(context, "run", 1, owner="a:h#1")
    later(context, 14)
    assert not run_claims.claim_run(context, "run", 1, owner="b:h#1")
    later(context, 2)
    assert run_claims.claim_run(context, "run", 1, owner="b:h#1")
    assert not run_claims.claim_run(context, "run", 1, owner="c:h#1")


def test_of_two_forks_for_one_claim_the_first_executes_the_run(context: Context) -> None:
    run_claims.claim_run(context, "run", 1, owner="a:h#1")
    later(context, 16)
    run_claims.claim_run(context, "run", 1, owner="b:h#1")
    assert run_claims.note_process(context, "run", 1, pid=os.getpid(), owner="a:h#1")
    assert not run_claims.note_process(context, "run", 1, pid=os.getpid(), owner="b:h#1")
    with context.store.read() as unit:
        assert [each.host for each in unit.runs.processes_of("run")] == ["a:h"]


def test_a_claim_with_a_process_never_passes_on(context: Context) -> None:
    run_claims.claim_run(context, "run", 1, owner="a:h#1")
    run_claims.note_process(context, "run", 1, pid=os.getpid())
    later(context, 3600)
    assert not run_claims.claim_run(context, "run", 1, owner="b:h#1")


def test_a_process_waits_for_a_claim_whose_dispatcher_died_and_then_has_it(context: Context) -> None:
    run_claims.claim_run(context, "run", 1, owner="a:h#1")
    assert run_claims.claim_patiently(context, "run", 1, owner="b:h#2", pid=os.getpid())
    assert context.clock.now() - BEGUN < timedelta(seconds=17)


def test_a_process_does_not_wait_for_a_run_that_another_executes(context: Context) -> None:
    run_claims.claim_run(context, "run", 1, owner="a:h#1", pid=os.getpid())
    assert not run_claims.claim_patiently(context, "run", 1, owner="b:h#2", pid=os.getpid())
    assert context.clock.now() == BEGUN


def test_a_new_dispatcher_frees_the_claims_of_a_dead_one_and_of_nobody_else(context: Context) -> None:
    for run, owner in (("dead", f"a:h#{NOBODY}"), ("alive", f"a:h#{os.getpid()}"), ("elsewhere", f"b:h#{NOBODY}")):
        run_claims.claim_run(context, run, 1, owner=owner)
    run_claims.forget_unstarted(context, "a:h#1")
    free = [run for run in ("dead", "alive", "elsewhere") if run_claims.claim_run(context, run, 1, owner="a:h#1")]
    assert free == ["dead"]


def test_the_end_of_an_earlier_attempt_does_not_hide_the_process_of_a_later_one(context: Context) -> None:
    for attempt in (1, 2):
        run_claims.claim_run(context, "run", attempt, owner="a:h#1", pid=os.getpid())
    run_claims.mark_buried(context, "run", 1)
    with context.store.read() as unit:
        assert [each.attempt for each in unit.runs.open_runs("a:h")] == [2]


def test_the_name_of_a_process_fits_and_keeps_its_host(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["folder"] * 40)
    owner = run_claims.owner_of(deep, 4_194_304)
    assert len(owner) <= 120
    assert run_claims.host_of(owner) == run_claims.host_of(run_claims.owner_of(deep, 7))


def states(*names: str) -> list[State]:
    kinds = {"Late": StateType.SCHEDULED, "AwaitingRetry": StateType.SCHEDULED, "Resuming": StateType.SCHEDULED}
    return [State(type=kinds.get(name) or StateType(name.upper()), name=name) for name in names]


@pytest.mark.parametrize(
    ("names", "attempt"),
    [
        (("Scheduled",), 1),
        (("Scheduled", "Late"), 1),
        (("Scheduled", "Pending", "Running", "Running"), 1),
        (("Scheduled", "Running", "Completed", "Pending", "Running"), 1),
        (("Scheduled", "Running", "Failed", "AwaitingRetry"), 2),
        (("Scheduled", "Running", "Paused", "Resuming", "Late", "Running"), 2),
    ],
)
def test_only_being_scheduled_again_makes_another_attempt(names: tuple[str, ...], attempt: int) -> None:
    assert attempt_of(states(*names)) == attempt


def test_the_end_of_an_attempt_is_its_first_one() -> None:
    assert end_of(states("Scheduled", "Running", "Completed", "Pending", "Running", "Crashed")) is not None
    ended = end_of(states("Scheduled", "Running", "Completed", "Pending", "Crashed"))
    assert ended is not None
    assert ended.type is StateType.COMPLETED
    assert end_of(states("Scheduled", "Running", "Failed", "AwaitingRetry", "Running")) is None
    assert not has_run(states("Scheduled", "Running", "Failed", "AwaitingRetry", "Pending"))


def test_a_look_without_any_evidence_is_stored_as_json_that_postgresql_takes() -> None:
    assert (
        to_json({"log_e": float("-inf"), "looks": [float("nan"), 1.5], "steps": (1, 2)})
        == '{"log_e": null, "looks": [null, 1.5], "steps": [1, 2]}'
    )
    assert to_json({"log_e": -2.5}) == '{"log_e": -2.5}'
