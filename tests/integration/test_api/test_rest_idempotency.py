"""A request that carries an idempotency key takes effect once, whatever the operation."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest

from productops.domain.rest_idempotency import CLAIM_HELD, KEPT, StoredAnswer
from productops.usecases import rest_idempotency
from tests.integration.test_api.support import OPS

INCIDENTS = "/api/v1/deployment-ops/incidents"


def report(api, key="k", **body):
    body = {"title": "Customers cannot pay", "service": "shop"} | body
    return api.client.post(INCIDENTS, json=body, headers={"Idempotency-Key": key})


def incidents(api):
    return api.client.get(INCIDENTS).json()["items"]


def test_a_repeated_request_gets_the_first_answer_and_does_nothing(api):
    first, again = report(api), report(api)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(incidents(api)) == 1


def test_another_request_with_the_key_is_refused(api):
    report(api)
    answer = report(api, title="Something else")
    assert (answer.status_code, answer.json()["slug"]) == (409, "idempotency-key-reused")


def test_a_key_belongs_to_one_operation_and_one_caller(api):
    made = report(api).json()["incident"]["incident_id"]
    steps = {"steps": ["rolled back"]}
    resolved = api.client.post(f"{INCIDENTS}/{made}/resolution", json=steps, headers={"Idempotency-Key": "k"})
    assert (resolved.status_code, resolved.json()["status"]) == (200, "resolved")
    again = api.client.post(f"{INCIDENTS}/{made}/resolution", json=steps, headers={"Idempotency-Key": "k"})
    assert again.json() == resolved.json()
    assert api.client.post(f"{INCIDENTS}/{made}/resolution", json=steps).status_code == 409


def test_a_refused_request_leaves_the_key_free(api):
    refused = report(api, service="nothing")
    assert refused.status_code == 404
    assert report(api).status_code == 201
    assert len(incidents(api)) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ümlaut"])
def test_an_unusable_key_is_refused_for_every_operation(api, key):
    answer = api.client.post(INCIDENTS, json={"title": "t", "service": "shop"}, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
    assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-input")
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


def test_many_requests_with_one_key_at_once_do_it_once(api):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: report(api), range(12)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1
    assert sum("Idempotency-Replayed" in a.headers for a in answers) == 11
    assert len(incidents(api)) == 1


def test_a_duplicate_of_a_request_under_way_is_told_to_come_back(api):
    """A request that another API process carries out, and which takes longer than a duplicate waits."""
    with closing(sqlite3.connect(api.settings.sqlalchemy_url.removeprefix("sqlite:///"))) as database:
        report(api)
        database.execute("UPDATE idempotent_answers SET answered_at = NULL, status = NULL, headers = NULL, body = NULL")
        database.commit()
        answer = report(api)
        assert (answer.status_code, answer.json()["slug"]) == (409, "idempotency-in-flight")
        assert answer.headers["Retry-After"] == "1"


def test_a_duplicate_waits_a_moment_for_the_answer_of_the_first(api):
    database = closing(sqlite3.connect(api.settings.sqlalchemy_url.removeprefix("sqlite:///"), check_same_thread=False))
    with database as connection:
        first = report(api)
        row = connection.execute("SELECT answered_at, status, headers, body FROM idempotent_answers").fetchone()
        connection.execute("UPDATE idempotent_answers SET answered_at = NULL, status = NULL, headers = NULL, body = NULL")
        connection.commit()

        def answered():
            connection.execute("UPDATE idempotent_answers SET answered_at = ?, status = ?, headers = ?, body = ?", row)
            connection.commit()

        threading.Timer(0.3, answered).start()
        again = report(api)
        assert (again.status_code, again.content) == (201, first.content)


def test_the_store_holds_neither_the_key_nor_the_answer_in_clear(api):
    first = report(api, key="a-key-nobody-else-has")
    with closing(sqlite3.connect(api.settings.sqlalchemy_url.removeprefix("sqlite:///"))) as database:
        row = database.execute("SELECT key_hash, fingerprint, headers, body FROM idempotent_answers").fetchone()
    kept = b"|".join(part if isinstance(part, bytes) else str(part).encode() for part in row)
    assert b"a-key-nobody-else-has" not in kept
    assert first.json()["incident"]["title"].encode() not in kept


class Later:
    def __init__(self, clock, by):
        self._clock, self._by = clock, by

    def now(self):
        return self._clock.now() + self._by


def at(context, by):
    return type(context)(store=context.store, doorbell=context.doorbell, lease_ttl_s=3.0, clock=Later(context.clock, by))


def test_a_key_is_free_after_a_day_and_a_claim_nobody_answers_after_a_minute(any_context):
    claimed = rest_idempotency.claim_key(any_context, "h", "one")
    assert claimed.claim is not None
    assert rest_idempotency.claim_key(any_context, "h", "one") == rest_idempotency.Claim()
    soon = rest_idempotency.claim_key(at(any_context, CLAIM_HELD), "h", "two")
    assert soon.claim is not None
    rest_idempotency.keep_answer(any_context, "h", claimed.claim, StoredAnswer(200, {}, b"late"))  # its claim was taken over
    assert rest_idempotency.claim_key(at(any_context, CLAIM_HELD), "h", "two") == rest_idempotency.Claim()
    rest_idempotency.keep_answer(at(any_context, CLAIM_HELD), "h", soon.claim, StoredAnswer(201, {"location": "/x"}, b"made"))
    found = rest_idempotency.claim_key(at(any_context, KEPT), "h", "two").answer
    assert (found.status, found.headers, found.body) == (201, {"location": "/x"}, b"made")
    assert rest_idempotency.claim_key(at(any_context, KEPT + CLAIM_HELD), "h", "three").claim is not None


def test_what_is_over_is_forgotten(any_context):
    kept = rest_idempotency.claim_key(any_context, "kept", "f").claim
    rest_idempotency.keep_answer(any_context, "kept", kept, StoredAnswer(200, {}, b""))
    rest_idempotency.claim_key(any_context, "lapsed", "f")
    assert rest_idempotency.forget_answers(at(any_context, timedelta(hours=2))) == 1
    assert rest_idempotency.forget_answers(at(any_context, KEPT + timedelta(seconds=1))) == 1
    rest_idempotency.give_key_back(any_context, "nobody", kept)


def test_a_plan_may_carry_a_key_too(api):
    answers = [api.client.post(f"{OPS}/release/2.0/plan", json={"service": "shop"}, headers={"Idempotency-Key": "p"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"
