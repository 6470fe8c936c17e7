"""The stream of everything that happens to releases."""

import threading
import time
from contextlib import contextmanager

import httpx

from productops.domain.release import Phase
from tests.integration.test_api.support import OPS, events_in, wait_until

STREAM = f"{OPS}/events/stream"


@contextmanager
def stream(api, params=None, **headers):
    with api.client.stream("GET", STREAM, params=params, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield (event for event in events_in(answer.iter_lines()) if "comment" not in event)


def tell(api, release_id, numbers):
    for number in numbers:
        with api.context.store.write() as unit:
            unit.releases.tell(release_id, "look", {"number": number}, now=api.context.clock.now())


def test_events_of_all_releases_come_with_what_they_are_of(api):
    release_id = api.asked()
    with stream(api, {"after": 0}) as events:
        first = next(events)
        assert (first["type"], first["release_id"]) == ("requested", release_id)
        assert (first["venture"], first["service"], first["environment"], first["version"]) == ("apollo", "shop", "production", "2.0")
        threading.Timer(0.05, api.move, (release_id, Phase.FAILED)).start()
        began = time.monotonic()
        assert next(events)["payload"]["to"] == "failed"
        assert time.monotonic() - began < 0.8


def test_without_a_place_the_stream_begins_now(api):
    release_id = api.asked()
    with stream(api) as events:
        threading.Timer(0.3, tell, (api, release_id, [1])).start()
        assert next(events)["payload"] == {"number": 1}


def test_who_loses_the_connection_again_and_again_gets_each_event_once(api):
    release_id = api.asked()
    writer = threading.Thread(target=tell, args=(api, release_id, range(300)))
    writer.start()
    told, last = [], 0
    while len(told) < 300:
        with stream(api, {"type": "look"}, **{"Last-Event-ID": str(last)}) as events:
            for event in events:
                told.append(event["payload"]["number"])
                last = int(event["id"])
                if len(told) % 37 == 0 or len(told) == 300:
                    break
    writer.join()
    assert told == list(range(300))


def test_who_is_away_before_the_first_event_comes_back_to_the_same_place(api):
    """The first line of a stream names the place, as browsers keep it for the next connection."""
    release_id = api.asked()
    with api.client.stream("GET", STREAM) as answer:
        place = next(line for line in answer.iter_lines() if line.startswith("id: ")).removeprefix("id: ")
    tell(api, release_id, [7])
    with stream(api, **{"Last-Event-ID": place}) as events:
        assert next(events)["payload"] == {"number": 7}


def test_a_filter_that_fits_nothing_keeps_the_place_moving(api):
    release_id = api.asked()
    tell(api, release_id, range(5))
    with stream(api, {"after": 0, "service": "nothing"}) as events:
        threading.Timer(0.3, setattr, (api.streams, "stopping", lambda: True)).start()
        assert list(events) == []
    api.streams.stopping = lambda: False


def test_a_quiet_stream_shows_that_it_lives_and_streams_are_counted(api):
    api.streams.heartbeat_s = 0.2
    with api.client.stream("GET", STREAM) as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith(":")) == ": still here"
        assert api.streams.open == 1
        api.streams.open_max = 1
        assert api.client.get(STREAM).status_code == 503
    wait_until(lambda: api.streams.open == 0)


def test_head_of_a_stream_ends(api):
    answer = api.client.head(STREAM, timeout=httpx.Timeout(3))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
    wait_until(lambda: api.streams.open == 0)
