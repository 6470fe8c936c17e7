"""The agent's own clock for leases."""

from datetime import UTC, datetime, timedelta

from productops.agent.leases import LeaseWatch
from productops.domain.release import Environment
from productops.domain.traffic import Lease, TrafficTarget

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ("shop", Environment.PRODUCTION)


def target(beat: int, *, deadline: datetime = NOW + timedelta(seconds=15), pct: int = 20) -> TrafficTarget:
    return TrafficTarget("shop", Environment.PRODUCTION, 1, 1, "1", "2", pct, False, "r", 1, Lease("h", 15.0, deadline, beat))


def test_a_lease_lives_from_its_last_beat():
    watch = LeaseWatch()
    watch.observe([target(1)], read_at=0, now=NOW)
    watch.observe([target(2)], read_at=10, now=NOW)
    assert watch.lapsed(monotonic=24.9) == {}
    assert watch.lapsed(monotonic=25.0) == {KEY: 2}


def test_a_lease_that_is_not_renewed_lapses_however_often_it_is_read():
    watch = LeaseWatch()
    for second in range(15):
        watch.observe([target(1)], read_at=second, now=NOW)
    assert watch.lapsed(monotonic=15.0) == {KEY: 1}


def test_a_wall_clock_that_jumps_moves_no_deadline():
    watch = LeaseWatch()
    watch.observe([target(1)], read_at=0, now=NOW)
    for jump in (timedelta(days=-400), timedelta(days=400)):
        watch.observe([target(1)], read_at=5, now=NOW + jump)
    assert watch.lapsed(monotonic=14.9) == {}
    assert watch.lapsed(monotonic=15.0) == {KEY: 1}


def test_an_agent_that_has_just_started_enforces_a_lease_that_lapsed_meanwhile():
    watch = LeaseWatch()
    watch.observe([target(7, deadline=NOW - timedelta(seconds=1))], read_at=100, now=NOW)
    assert watch.lapsed(monotonic=100.0) == {KEY: 7}


def test_a_deadline_far_in_the_future_is_not_believed_beyond_the_ttl():
    watch = LeaseWatch()
    watch.observe([target(7, deadline=NOW + timedelta(days=9))], read_at=100, now=NOW)
    assert watch.lapsed(monotonic=115.0) == {KEY: 7}


def test_what_is_not_exposed_cannot_lapse():
    watch = LeaseWatch()
    watch.observe([target(1, pct=0)], read_at=0, now=NOW)
    assert watch.lapsed(monotonic=1e9) == {}
