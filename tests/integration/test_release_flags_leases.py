"""Users of a flag that a release ramps, when the release dies while nobody can write to the database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from productops.domain.release_flags.evaluate import Answer
from productops.usecases import release_rollback
from productops.usecases.context import Context
from productops.usecases.release_flags_serve import LAPSED, FlagServer
from tests.integration.test_release_toggle import FLAG, FlagAgent, begun, give_back, prepare, ramp
from tests.support import PRODUCTION, make_context, running, sqlite_url

TTL_S = 2.0
USERS = [f"user-{number}" for number in range(200)]


@pytest.fixture
def brief(tmp_path: Path) -> Iterator[Context]:
    made = prepare(make_context(sqlite_url(tmp_path), lease_ttl_s=TTL_S))
    yield made
    made.store.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Somebody holds the only right to write."""
    with closing(sqlite3.connect(folder / "productops.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def renew(context: Context, release_id: str) -> None:
    with context.store.write() as unit:
        fence = unit.releases.get(release_id).fence
        unit.traffic.renew("shop", PRODUCTION, fence=fence, ttl_s=TTL_S, now=context.clock.now())


def on_variant(server: FlagServer) -> int:
    flags = server.flag_set(PRODUCTION)
    assert flags is not None
    answers = [flags.evaluate(FLAG, {"targetingKey": user}) for user in USERS]
    return sum(isinstance(a, Answer) and a.variant == "on" for a in answers)


def until(server: FlagServer, holds: Callable[[int], bool], *, within_s: float) -> float:
    """Seconds until it holds."""
    started = time.monotonic()
    while not holds(on_variant(server)):
        server.refresh()
        assert time.monotonic() - started < within_s, "it never did"
        time.sleep(0.05)
    return time.monotonic() - started


def test_users_get_back_what_they_had_when_the_lease_is_over_though_nobody_can_write_it_down(brief: Context, tmp_path: Path) -> None:
    server = FlagServer(brief)
    with running(FlagAgent(brief, enforcing=False)):
        release = begun(brief, steps=2)
    renew(brief, release.id)
    server.refresh()
    assert 60 < on_variant(server) < 140
    version = server.flag_set(PRODUCTION).version  # type: ignore[union-attr]
    with locked(tmp_path):
        assert until(server, lambda users: users == 0, within_s=TTL_S * 4) < TTL_S * 2
        assert server.flag_set(PRODUCTION).version == version + LAPSED  # type: ignore[union-attr]
    renew(brief, release.id)
    until(server, lambda users: users > 60, within_s=5)
    assert server.flag_set(PRODUCTION).version == version  # type: ignore[union-attr]


def test_what_a_person_ramped_before_the_release_stays(brief: Context, tmp_path: Path) -> None:
    ramp(brief, 5)
    server = FlagServer(brief)
    server.refresh()
    before = on_variant(server)
    with running(FlagAgent(brief, enforcing=False)):
        begun(brief, steps=2)
    server.refresh()
    assert on_variant(server) > 60
    with locked(tmp_path):
        until(server, lambda users: users == before, within_s=TTL_S * 4)


def test_what_a_person_ramped_during_the_release_stays_whatever_became_of_its_lease(brief: Context, tmp_path: Path) -> None:
    server = FlagServer(brief)
    with running(FlagAgent(brief, enforcing=False)):
        begun(brief, steps=2)
    server.refresh()
    ramp(brief, 90)
    server.refresh()
    with locked(tmp_path):
        time.sleep(TTL_S + 0.5)
        server.refresh()
        assert on_variant(server) > 160


def test_that_nobody_asked_for_longer_than_a_lease_takes_nothing_away(brief: Context) -> None:
    server = FlagServer(brief)
    with running(FlagAgent(brief, enforcing=False)):
        release = begun(brief, steps=2)
    server.refresh()
    for _ in range(3):
        time.sleep(TTL_S / 2)
        renew(brief, release.id)
    assert on_variant(server) > 60, "no look said that it was over"
    server.refresh()
    assert on_variant(server) > 60


def test_a_release_that_has_ended_is_not_watched_any_more(brief: Context) -> None:
    server = FlagServer(brief)
    with running(FlagAgent(brief)):
        release = begun(brief, steps=2)
        server.refresh()
        give_back(brief, release)
        release_rollback.await_rolled_back(brief, release.id, timeout=timedelta(seconds=10))
    ramp(brief, 50)
    server.refresh()
    time.sleep(TTL_S + 0.5)
    server.refresh()
    assert on_variant(server) > 60
    assert server.flag_set(PRODUCTION).version < LAPSED  # type: ignore[union-attr]
