"""Push: clients hear of a change within a quarter of a second, whoever made it."""

import json
import socket
import statistics
import threading
import time
from contextlib import contextmanager
from queue import Empty, Queue

import httpx
import pytest
from jsonschema import Draft202012Validator

from productops.api.ofrep_access import stream_key
from productops.domain.release import Environment
from productops.store import Store
from productops.usecases.context import Context
from productops.usecases.release_flags_change import kill_flag, ramp_flag, revive_flag
from tests.integration.test_api.support import NO_TLS, TOKEN, client_of, events_in, wait_until
from tests.integration.test_flags.conftest import FLAGS, OFREP
from tests.integration.test_flags.ofrep_schema import EVENT_DATA
from tests.support import PRODUCTION, SOMEBODY, Silent

EVENTS = "/ofrep/v1/events"
PUSH_S = 0.25


@contextmanager
def following(door, path, headers=None, token=TOKEN):
    """Events of a stream with the time at which each came."""
    heard: Queue = Queue()
    client = client_of(door.settings, token)
    answer = client.send(client.build_request("GET", path, headers=headers or {}), stream=True)
    assert answer.status_code == 200, answer.read()

    def listen():
        try:
            for event in events_in(answer.iter_lines()):
                heard.put((time.monotonic(), event))
        except httpx.HTTPError:
            return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        # Closing alone would wait for the thread that reads.
        answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)
        client.close()


def stream_path(door):
    """Where the bulk answer sends clients."""
    stream = door.client.post(OFREP, json={"context": {}}).json()["eventStreams"][0]
    assert stream["type"] == "sse"
    return stream["endpoint"]["requestUri"]


def silent(heard, seconds=0.4):
    with pytest.raises(Empty):
        heard.get(timeout=seconds)


def test_a_change_committed_by_another_program_is_pushed_within_a_quarter_of_a_second(door):
    door.flag()
    other = Context(store=Store(door.settings.sqlalchemy_url), doorbell=Silent(), lease_ttl_s=3.0)
    delays = []
    with following(door, stream_path(door), token=None) as heard:
        silent(heard)
        for percent in range(1, 13):
            ramp_flag(other, "new-checkout", PRODUCTION, percent=percent, actor=SOMEBODY, reason="")
            committed = time.monotonic()
            at, event = heard.get(timeout=2)
            Draft202012Validator(EVENT_DATA).validate(json.loads(event["data"]))
            assert event["event"] == "message"
            delays.append(at - committed)
            time.sleep(0.037)
    other.store.close()
    assert max(delays) <= PUSH_S, delays
    assert statistics.median(delays) <= PUSH_S / 2


def test_a_change_through_the_api_is_pushed_and_answered_anew(door):
    door.flag()
    with following(door, stream_path(door)) as heard:
        assert door.client.post(f"{FLAGS}/new-checkout/kill", json={"reason": "broken"}).status_code == 200
        heard.get(timeout=PUSH_S)


def test_only_changes_of_the_own_environment_are_pushed(door):
    door.flag()
    with following(door, stream_path(door)) as heard:
        ramp_flag(door.context, "new-checkout", Environment.STAGING, percent=10, actor=SOMEBODY, reason="")
        silent(heard)


def test_what_was_missed_between_the_answer_and_the_stream_is_told_at_once(door):
    door.flag()
    path = stream_path(door)
    kill_flag(door.context, "new-checkout", actor=SOMEBODY, reason="between")
    with following(door, path) as heard:
        _, event = heard.get(timeout=1)
    last = event["id"]
    with following(door, path, headers={"Last-Event-ID": last}) as heard:
        silent(heard)
        revive_flag(door.context, "new-checkout", actor=SOMEBODY, reason="well again")
        heard.get(timeout=1)
    with following(door, path, headers={"Last-Event-ID": last}) as heard:
        heard.get(timeout=1)
    with following(door, path, headers={"Last-Event-ID": "of another server"}) as heard:
        heard.get(timeout=1)


def test_the_key_of_a_stream_opens_that_stream_and_nothing_else(door):
    door.flag()
    key = stream_key(TOKEN, PRODUCTION)
    with httpx.Client(base_url=door.settings.api_url, verify=NO_TLS, trust_env=False) as stranger:
        assert stranger.get(EVENTS).status_code == 401
        assert stranger.get(EVENTS, params={"key": "0" * 32}).status_code == 401
        assert stranger.get(EVENTS, params={"key": key, "environment": "staging"}).status_code == 401
        assert stranger.get(EVENTS, params={"key": key, "environment": "moon"}).status_code == 401
        assert stranger.get(f"{FLAGS}/new-checkout", params={"key": key}).status_code == 401
        assert stranger.post(OFREP, json={"context": {}}, params={"key": key}).status_code == 401
        assert stranger.post(f"{EVENTS}?key={key}").status_code == 401
    assert TOKEN not in stream_path(door)


def test_streams_are_limited_and_given_back_when_clients_leave(door):
    door.flag()
    flags = door.app.state.flags
    flags.streams_max = 1
    with following(door, stream_path(door)):
        wait_until(lambda: flags.streams == 1)
        assert door.client.get(EVENTS).status_code == 503
    wait_until(lambda: flags.streams == 0)
