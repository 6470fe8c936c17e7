"""Several agents, one writer: real processes, frozen and killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from productops.adapters.envoy.files import Files
from productops.agent.election import PATIENCE_S, Election, Identity, TermLoop, machine_name, router_name
from productops.domain.traffic import AgentTerm
from productops.errors import AgentDeposedError, RouterError
from productops.store.fenced import FencedStore
from productops.usecases.context import Clock, Context
from tests.integration.agent_lab import PRODUCTION, AgentLab, running_lab
from tests.integration.envoy_support import eventually

ELSEWHERE = Identity("another-machine/1", 1, 1.0)


class Hands(Clock):
    """A monotonic clock that the test turns."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at


def candidate(context: Context, name: str, clock: Clock) -> Election:
    return Election(context.store, "r", Identity(f"machine-{name}/1", 1, 1.0), clock=clock)


def test_another_agent_takes_over_only_after_the_holders_beat_stood_still_on_its_own_clock(any_context: Context) -> None:
    clock = Hands()
    first, second = candidate(any_context, "a", clock), candidate(any_context, "b", clock)
    mine = first.attempt()
    assert mine == AgentTerm("r", first.me.name, 1, 1)
    assert second.attempt() is None
    for _ in range(5):  # beats come in, however the wall clock stands
        clock.at += PATIENCE_S * 0.9
        with any_context.store.write() as unit:
            assert unit.agents.beat(mine, now=any_context.clock.now())
        assert second.attempt() is None
    clock.at += PATIENCE_S
    assert second.attempt() == AgentTerm("r", second.me.name, 2, 7)
    assert first.attempt() is None


def test_of_many_agents_that_start_at_once_one_is_elected(any_context: Context) -> None:
    won: list[AgentTerm] = []

    def run(name: str) -> None:
        if (mine := candidate(any_context, name, Hands()).attempt()) is not None:
            won.append(mine)

    threads = [threading.Thread(target=run, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_an_agent_that_resigned_is_followed_at_once(any_context: Context) -> None:
    clock = Hands()
    first, second = candidate(any_context, "a", clock), candidate(any_context, "b", clock)
    mine = first.attempt()
    assert mine is not None
    TermLoop(any_context.store, mine, threading.Event(), on_deposed=lambda: None).resign()
    assert second.attempt() == AgentTerm("r", second.me.name, 2, 3)


def test_a_holder_of_this_machine_whose_process_is_gone_is_followed_at_once(any_context: Context) -> None:
    gone = Identity(machine_name(), 4_000_000, 1.0)
    assert Election(any_context.store, "r", gone, clock=Hands()).attempt() is not None
    assert Election(any_context.store, "r", Identity.here(), clock=Hands()).attempt() is not None


def test_a_holder_whose_process_cannot_be_seen_from_here_is_not_taken_for_dead(any_context: Context) -> None:
    assert Election(any_context.store, "r", ELSEWHERE, clock=Hands()).attempt() is not None
    assert Election(any_context.store, "r", Identity.here(), clock=Hands()).attempt() is None


def test_a_deposed_agent_writes_nothing_into_the_store(any_context: Context, database_url: str) -> None:
    clock = Hands()
    first, second = candidate(any_context, "a", clock), candidate(any_context, "b", clock)
    mine = first.attempt()
    assert mine is not None
    fenced = FencedStore(database_url, mine)
    with fenced.write() as unit:
        unit.traffic.get("shop", PRODUCTION)
    second.attempt()
    clock.at += PATIENCE_S
    assert second.attempt() is not None
    with pytest.raises(AgentDeposedError), fenced.write() as unit:
        unit.traffic.get("cart", PRODUCTION)
    with fenced.read() as unit:
        assert [t.service for t in unit.traffic.all()] == ["shop"]
    fenced.close()


def test_a_deposed_agent_writes_nothing_into_the_routers_folder(tmp_path: Path) -> None:
    old, new = Files(tmp_path), Files(tmp_path)
    old.claim(3)
    old.put_hosts({})
    new.claim(4)
    new.put_hosts({"a": '{"name":"a"}'})
    before = (tmp_path / "rds.json").read_bytes()
    with pytest.raises(RouterError, match="term 4"):
        old.put_hosts({"b": '{"name":"b"}'})
    with pytest.raises(RouterError, match="term 4"):
        old.claim(3)
    assert (tmp_path / "rds.json").read_bytes() == before


def test_a_new_database_gives_terms_later_than_those_the_router_knows(any_context: Context, tmp_path: Path) -> None:
    files = Files(tmp_path / "router")
    files.claim(7)
    mine = Election(any_context.store, "r", Identity.here(), latest_term=files.latest_term, clock=Hands()).attempt()
    assert mine is not None
    assert mine.term == 8


def test_a_router_has_one_name_for_all_who_share_its_folder(tmp_path: Path) -> None:
    names: set[str] = set()
    threads = [threading.Thread(target=lambda: names.add(router_name(tmp_path / "router"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 1
    assert len(names.pop()) <= 63


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[AgentLab]:
    with running_lab(tmp_path) as made:
        made.add_version("1.0")
        yield made


def test_a_killed_agent_is_followed_within_two_seconds_by_the_one_that_stands_by(lab: AgentLab) -> None:
    first = lab.agents[0]
    second = lab.start_agent(ready=False)
    assert eventually(lambda: "standing by" in lab.log.read_text(), within_s=10)
    first.kill()
    first.wait()
    began = time.monotonic()
    assert eventually(lambda: lab.leader() == second.pid, within_s=10)
    took_s = time.monotonic() - began
    print(f"killed agent followed after {took_s:.2f} s")
    assert took_s < 2.0
    lab.add_service()
    assert lab.target().confirmed


def test_a_frozen_agent_is_followed_within_seconds_and_never_writes_again(lab: AgentLab) -> None:
    lab.add_service()
    first = lab.agents[0]
    second = lab.start_agent(ready=False)
    assert eventually(lambda: "standing by" in lab.log.read_text(), within_s=10)
    os.kill(first.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert eventually(lambda: lab.leader() == second.pid, within_s=15)
    took_s = time.monotonic() - began
    print(f"frozen agent followed after {took_s:.2f} s")
    assert took_s < PATIENCE_S + 4.0
    os.kill(first.pid, signal.SIGCONT)
    assert eventually(lambda: first.poll() is not None, within_s=5)
    assert second.poll() is None
    assert len(lab.instances("1.0")) == 2
