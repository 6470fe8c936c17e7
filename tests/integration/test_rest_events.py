"""Numbers of events rise in the order of commits, so that who reads on after the highest it has seen misses nothing."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.release import Phase
from productops.domain.release_events import EventFilter
from productops.store import Store
from productops.usecases.context import Actor
from productops.usecases.release_events import newest_event, read_events
from productops.usecases.release_request import ReleaseWish, request_release
from tests.support import PRODUCTION, SOMEBODY, add_service, make_context

ALL = EventFilter()


@pytest.fixture
def house(database_url):
    context = make_context(database_url)
    yield context
    context.store.close()


def released(context, *names):
    found = []
    for name in names:
        add_service(context, name, live="1.0")
        found.append(request_release(context, ReleaseWish(service=name, version="2.0"), actor=SOMEBODY).id)
    return found


def tell(context, release_id, number, *, before_s=0.0, after_s=0.0):
    with context.store.write() as unit:
        unit.releases.note(release_id, heartbeat_at=context.clock.now())  # as the judge does: a row is locked, too
        time.sleep(before_s)
        unit.releases.tell(release_id, "look", {"number": number}, now=context.clock.now())
        time.sleep(after_s)


def fail_after_telling(context, release_id):
    with context.store.write() as unit:
        unit.releases.tell(release_id, "look", {"number": 2}, now=context.clock.now())
        raise RuntimeError


def follow(context, wanted=ALL, *, after=0, until, actor=SOMEBODY, limit=7, timeout_s=30.0):
    """Everything a stream would tell from ``after`` on until ``until`` events came."""
    told, seen, deadline = [], after, time.monotonic() + timeout_s
    while len(told) < until and time.monotonic() < deadline:
        part = read_events(context, wanted, after=seen, limit=limit, actor=actor)
        told += part.events
        seen = part.seen
        if not part.more:
            time.sleep(0.002)
    return told


def test_a_reader_beside_overlapping_transactions_misses_nothing_and_gets_nothing_twice(house):
    """On PostgreSQL transactions that began earlier commit later, and several at once."""
    ids = released(house, "a", "b", "c")
    start, writers, each = newest_event(house), 6, 25
    random.seed(11)
    waits = [[(random.random() * 0.004, random.random() * 0.012) for _ in range(each)] for _ in range(writers)]

    def write(writer):
        for number, (before_s, after_s) in enumerate(waits[writer]):
            tell(house, ids[writer % 3], (writer, number), before_s=before_s, after_s=after_s)

    with ThreadPoolExecutor(writers + 2) as pool:
        readers = [pool.submit(follow, house, after=start, until=writers * each) for _ in range(2)]
        for done in [pool.submit(write, writer) for writer in range(writers)]:
            done.result()
        for told in (reader.result() for reader in readers):
            numbers = [tuple(p.event.payload["number"]) for p in told]
            assert sorted(numbers) == [(w, n) for w in range(writers) for n in range(each)]
            assert [p.event.seq for p in told] == sorted({p.event.seq for p in told})


def test_an_event_of_a_transaction_that_began_first_and_ends_last_is_not_missed(postgres_url):
    house = make_context(postgres_url)
    one, two = released(house, "a", "b")
    seen = newest_event(house)
    told, go_on = threading.Event(), threading.Event()

    def slow():
        with house.store.write() as unit:
            unit.releases.tell(one, "look", {"number": 1}, now=house.clock.now())
            unit.catalog.ventures()  # a query in between writes what is pending
            told.set()
            go_on.wait(5)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(slow)
        told.wait(5)
        tell(house, two, 2)
        first = read_events(house, ALL, after=seen, limit=10, actor=SOMEBODY)
        go_on.set()
        waiting.result()
    second = read_events(house, ALL, after=first.seen, limit=10, actor=SOMEBODY)
    assert [p.event.payload["number"] for p in first.events + second.events] == [2, 1]
    house.store.close()


def test_a_move_and_a_story_of_the_same_release_at_once_do_not_block_each_other_for_ever(postgres_url):
    """A move locks the row that events refer to; both number events."""
    house = make_context(postgres_url)
    names = [f"s{number}" for number in range(12)]
    ids = released(house, *names)

    def move(release_id):
        with house.store.write() as unit:
            unit.releases.move(release_id, Phase.FAILED, actor="tester", reason="enough", now=house.clock.now())
            time.sleep(0.02)

    began = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(act, *args) for each in ids for act, args in ((move, (each,)), (tell, (house, each, 1)))]
        for done in work:
            done.result()
    assert time.monotonic() - began < 5
    told = [p for each in ids for p in follow(house, after=0, until=1) if p.event.release_id == each]
    assert told
    house.store.close()


def test_what_a_transaction_told_it_can_read_and_what_it_undid_never_happened(house):
    (release_id,) = released(house, "a")
    with house.store.write() as unit:
        unit.releases.tell(release_id, "look", {"number": 1}, now=house.clock.now())
        assert unit.releases.events(release_id, after=0)[-1].payload == {"number": 1}
    before = newest_event(house)
    with pytest.raises(RuntimeError):
        fail_after_telling(house, release_id)
    with house.store.write() as unit:
        unit.releases.tell(release_id, "look", {"number": 3}, now=house.clock.now())
        unit.undo()
    assert newest_event(house) == before


def test_filters_and_grants_decide_what_is_told(house):
    ids = released(house, "a", "b")
    for number, release_id in enumerate(ids):
        tell(house, release_id, number)
    by_service = read_events(house, EventFilter(services=frozenset({"b"})), after=0, limit=50, actor=SOMEBODY)
    assert {p.service for p in by_service.events} == {"b"}
    looks = read_events(house, EventFilter(types=frozenset({"look"})), after=0, limit=50, actor=SOMEBODY)
    assert [p.event.payload["number"] for p in looks.events] == [0, 1]
    assert {(p.venture, p.environment, p.version) for p in looks.events} == {("apollo", PRODUCTION.value, "2.0")}
    stranger = Actor("eve", "api", Principal("eve", (Grant(Role.VIEWER, "zeus"),)))
    nothing = read_events(house, ALL, after=0, limit=50, actor=stranger)
    assert (nothing.events, nothing.seen) == ([], newest_event(house))
    tester = Actor("tom", "api", Principal("tom", (Grant(Role.VIEWER, "apollo", "staging"),)))
    assert read_events(house, ALL, after=0, limit=50, actor=tester).events == []
    friend = Actor("ann", "api", Principal("ann", (Grant(Role.VIEWER, "apollo"),)))
    assert len(read_events(house, ALL, after=0, limit=50, actor=friend).events) == 4


def test_a_filter_that_fits_nothing_goes_forward_in_parts(house):
    (release_id,) = released(house, "a")
    with house.store.write() as unit:
        for number in range(4_500):
            unit.releases.tell(release_id, "look", {"number": number}, now=house.clock.now())
    seen, parts = 0, 0
    while (part := read_events(house, EventFilter(types=frozenset({"nothing"})), after=seen, limit=50, actor=SOMEBODY)).more:
        seen, parts = part.seen, parts + 1
        assert part.events == []
    assert (seen, parts) == (newest_event(house), 3)


def test_another_program_continues_the_numbers(database_url):
    first = make_context(database_url)
    (release_id,) = released(first, "a")
    newest = newest_event(first)
    second = type(first)(store=Store(database_url), doorbell=first.doorbell, lease_ttl_s=3.0)
    tell(second, release_id, 1)
    assert [p.event.payload for p in read_events(first, ALL, after=newest, limit=5, actor=SOMEBODY).events] == [{"number": 1}]
    first.store.close()
    second.store.close()
