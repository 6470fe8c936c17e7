"""The story of a release as Server-Sent Events."""

import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import pytest

from productops.domain.release import Phase
from tests.integration.test_api.support import OPS, client_of, events_in, prepare, serving, wait_until

ENDED = (Phase.DEPLOYING, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED)


@contextmanager
def stream(api, release_id, **headers):
    with api.client.stream("GET", f"{OPS}/releases/{release_id}/events", headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events_in(answer.iter_lines())


def test_a_stream_tells_the_whole_story_and_ends_with_the_release(api):
    release_id = api.asked()
    api.move(release_id, *ENDED)
    with stream(api, release_id) as events:
        told = list(events)
    assert [e["type"] for e in told] == ["requested", "phase", "phase", "phase", "phase"]
    assert [e["event"] for e in told] == [e["type"] for e in told]
    assert [int(e["id"]) for e in told] == [e["seq"] for e in told] == sorted(e["seq"] for e in told)
    assert told[-1]["payload"]["to"] == "promoted"
    assert {e["release_id"] for e in told} == {release_id}


def test_a_stream_goes_on_after_the_last_event_that_was_received(api):
    release_id = api.asked()
    api.move(release_id, *ENDED)
    with stream(api, release_id) as events:
        told = list(events)
    with stream(api, release_id, **{"Last-Event-ID": told[2]["id"]}) as events:
        assert [e["seq"] for e in events] == [e["seq"] for e in told[3:]]
    by_query = api.client.get(f"{OPS}/releases/{release_id}/events", params={"after": told[3]["id"]})
    assert f"id: {told[4]['id']}" in by_query.text
    assert f"id: {told[3]['id']}" not in by_query.text


def test_after_the_end_a_reader_is_told_not_to_come_back(api):
    release_id = api.asked()
    api.move(release_id, *ENDED)
    with stream(api, release_id) as events:
        last = list(events)[-1]
    answer = api.client.get(f"{OPS}/releases/{release_id}/events", headers={"Last-Event-ID": last["id"]})
    assert (answer.status_code, answer.content) == (204, b"")


def test_an_event_arrives_within_half_a_second(api):
    release_id = api.asked()
    with stream(api, release_id) as events:
        assert next(events)["type"] == "requested"
        moved = time.monotonic()
        threading.Timer(0.05, api.move, (release_id, Phase.FAILED)).start()
        assert next(events)["payload"]["to"] == "failed"
        assert time.monotonic() - moved < 0.05 + 0.5
        assert list(events) == []


def test_a_roll_back_of_a_promoted_release_is_part_of_its_story(api):
    release_id = api.asked()
    api.move(release_id, *ENDED, Phase.ROLLING_BACK)
    threading.Timer(0.3, api.move, (release_id, Phase.ROLLED_BACK)).start()
    with stream(api, release_id) as events:
        assert [e["payload"]["to"] for e in events if e["type"] == "phase"][-2:] == ["rolling_back", "rolled_back"]


def test_a_quiet_stream_shows_that_it_lives(api):
    api.streams.heartbeat_s = 0.3
    release_id = api.asked()
    with stream(api, release_id) as events:
        next(events)
        assert "comment" in next(events)
        assert "comment" in next(events)


def test_thousands_of_events_arrive_in_order_and_whole(api):
    release_id = api.asked()
    with api.context.store.write() as unit:
        for number in range(1700):
            unit.releases.tell(release_id, "look", {"number": number, "reason": "line\nbreak\u2028 data: x"}, now=api.context.clock.now())
    api.move(release_id, Phase.FAILED)
    with stream(api, release_id) as events:
        looks = [e["payload"] for e in events if e["type"] == "look"]
    assert [p["number"] for p in looks] == list(range(1700))
    assert looks[0]["reason"] == "line\nbreak\u2028 data: x"


def test_a_reader_that_goes_away_is_no_longer_read_for(api):
    release_id = api.asked()
    for _ in range(3):
        with stream(api, release_id) as events:
            next(events)
            wait_until(lambda: api.streams.open == 1)
        wait_until(lambda: api.streams.open == 0)


def test_too_many_streams_are_refused_for_a_while(api):
    api.streams.open_max = 1
    release_id = api.asked()
    with stream(api, release_id) as events:
        next(events)
        refused = api.client.get(f"{OPS}/releases/{release_id}/events")
        assert (refused.status_code, refused.json()["slug"], refused.headers["Retry-After"]) == (503, "busy", "1")
    wait_until(lambda: api.streams.open == 0)


def test_a_stream_waits_for_a_database_that_does_not_answer(api):
    def execute(statement):
        with closing(sqlite3.connect(api.settings.sqlalchemy_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute(statement)

    release_id = api.asked()
    with stream(api, release_id) as events:
        next(events)
        execute("ALTER TABLE release_events RENAME TO away")
        time.sleep(0.5)
        execute("ALTER TABLE away RENAME TO release_events")
        api.move(release_id, Phase.FAILED)
        assert next(events)["payload"]["to"] == "failed"


def test_streams_do_not_keep_the_server_from_ending(template, tmp_path):
    context, settings, _ = prepare(template, tmp_path)
    with client_of(settings) as client:
        with serving(context, settings):
            release_id = client.post(f"{OPS}/release/2.0", json={"service": "shop"}).json()["id"]
            answer = client.send(client.build_request("GET", f"{OPS}/releases/{release_id}/events"), stream=True)
            events = events_in(answer.iter_lines())
            next(events)
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 2
        assert list(events) == []
        answer.close()


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "99999999999999999999999"])
def test_an_unusable_position_is_refused(shared, last):
    path = f"{OPS}/releases/0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11/events"
    answer = shared.client.get(path, headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


def test_other_requests_are_answered_quickly_while_many_follow(api):
    release_id = api.asked()
    before = threading.active_count()

    def follow():
        with client_of(api.settings) as client, client.stream("GET", f"{OPS}/releases/{release_id}/events") as answer:
            for _ in answer.iter_lines():
                pass

    readers = [threading.Thread(target=follow, daemon=True) for _ in range(40)]
    for reader in readers:
        reader.start()
    wait_until(lambda: api.streams.open == 40, 10)
    slowest = 0.0
    for _ in range(20):
        started = time.monotonic()
        assert api.client.get(f"{OPS}/releases/{release_id}").status_code == 200
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 1.0
    api.move(release_id, Phase.FAILED)
    for reader in readers:
        reader.join(timeout=5)
    assert not any(r.is_alive() for r in readers)
    assert threading.active_count() < before + 60
