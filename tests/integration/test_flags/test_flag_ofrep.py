"""OFREP over real HTTP: answers, errors, ETags."""

import time

import httpx
import pytest
from jsonschema import Draft202012Validator

from productops.domain.release import Environment
from productops.usecases.release_flags import flag_exposure
from productops.usecases.release_flags_change import kill_flag, ramp_flag
from tests.integration.test_api.support import NO_TLS, client_of, wait_until
from tests.integration.test_flags.conftest import FLAGS, OFREP
from tests.integration.test_flags.ofrep_schema import BULK, BULK_FAILURE, FAILURE, NOT_FOUND, SUCCESS
from tests.support import PRODUCTION, SOMEBODY


def check(schema, document):
    Draft202012Validator(schema).validate(document)
    return document


def test_every_kind_of_value_comes_with_its_variant_and_a_reason(door):
    values = {"truth": {"on": True, "off": False}, "text": {"on": "blue", "off": "red"}, "number": {"on": 2.5, "off": 1},
              "mapping": {"on": {"a": [1]}, "off": {}}}  # fmt: skip
    for key, variants in values.items():
        door.flag(key, variants=variants, default_variant="on")
    for key, variants in values.items():
        answer = check(SUCCESS, door.ask(key, targetingKey="u"))
        assert (answer["value"], answer["variant"], answer["reason"]) == (variants["on"], "on", "STATIC")


def test_targeting_names_a_variant_and_null_falls_through_to_the_default(door):
    door.flag(targeting={"if": [{"==": [{"var": "country"}, "NZ"]}, "on", None]})
    assert check(SUCCESS, door.ask(country="NZ"))["variant"] == "on"
    missed = check(SUCCESS, door.ask(country="DE"))
    assert (missed["variant"], missed["metadata"]["decision"]) == ("off", "default")
    assert missed["reason"] != "STATIC"  # clients keep static answers whatever the context


def test_segments_get_a_variant_before_any_share_of_the_others(door):
    door.flag()
    segments = [{"attribute": "staff", "values": [True]}, {"attribute": "country", "values": ["NZ", "AU"]}]
    body = {"percent": 0, "segments": segments, "reason": "staff first"}
    assert door.client.post(f"{FLAGS}/new-checkout/ramp", json=body).status_code == 200
    assert door.ask(staff=True)["value"] is True
    assert door.ask(country="AU")["value"] is True
    assert door.ask(staff=1)["value"] is False
    assert door.ask(staff="true", country="DE")["value"] is False


def test_a_share_without_a_user_is_an_error_that_says_so(door):
    door.flag()
    ramp_flag(door.context, "new-checkout", PRODUCTION, percent=50, actor=SOMEBODY, reason="")
    answer = door.client.post(f"{OFREP}/new-checkout", json={"context": {"country": "NZ"}})
    assert answer.status_code == 400
    assert check(FAILURE, answer.json())["errorCode"] == "TARGETING_KEY_MISSING"
    bulk = check(BULK, door.client.post(OFREP, json={"context": {}}).json())
    assert [each["errorCode"] for each in bulk["flags"]] == ["TARGETING_KEY_MISSING"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"), (b"\xff", "PARSE_ERROR"), (b"[" * 100_000, "PARSE_ERROR"), (b"[]", "INVALID_CONTEXT"),
        (b'{"context": 3}', "INVALID_CONTEXT"), (b'{"context": null}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"), (b'{"context": {"targetingKey": "\\ud800"}}', "INVALID_CONTEXT"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_read_is_answered_400_with_its_code(door, body, code):
    door.flag()
    one = door.client.post(f"{OFREP}/new-checkout", content=body)
    every = door.client.post(OFREP, content=body)
    assert (one.status_code, check(FAILURE, one.json())["errorCode"]) == (400, code)
    assert (every.status_code, check(BULK_FAILURE, every.json())["errorCode"]) == (400, code)


def test_an_unknown_an_archived_and_an_absent_flag_are_not_found(door):
    door.flag("staging-only", environments={"staging": {}})
    door.flag("archived")
    body = {"operation": {"op": "archive"}, "reason": "done"}
    assert door.client.post(f"{FLAGS}/archived/changes", json=body).status_code == 200
    for key in ("staging-only", "archived", "none", "a/b", "%00"):
        answer = door.client.post(f"{OFREP}/{key}", json={"context": {}})
        assert answer.status_code == 404, key
        if key != "a/b":  # no route leads there, so the answer is not OFREP's
            assert check(NOT_FOUND, answer.json())["errorCode"] == "FLAG_NOT_FOUND"
    there = door.client.post(f"{OFREP}/staging-only", json={"context": {}}, headers={"X-ProductOps-Environment": "staging"})
    assert there.json()["metadata"]["environment"] == "staging"


def test_rules_that_break_on_a_context_are_an_error_and_never_a_crash(door):
    door.flag(targeting={"if": [{">": [{"var": "age"}, 18]}, "on", "nowhere"]})
    assert door.ask(age=20)["variant"] == "on"
    answer = door.client.post(f"{OFREP}/new-checkout", json={"context": {"age": {"deep": []}}})
    assert answer.status_code == 400
    check(FAILURE, answer.json())
    missing = door.client.post(f"{OFREP}/new-checkout", json={"context": {"age": 3}})
    assert check(FAILURE, missing.json())["errorCode"] == "GENERAL"


def test_an_unknown_environment_is_named_with_those_there_are(door):
    answer = door.client.post(f"{OFREP}?environment=moon", json={"context": {}})
    assert answer.status_code == 400
    assert "production" in check(BULK_FAILURE, answer.json())["errorDetails"]


def test_without_the_token_nobody_evaluates(door):
    door.flag()
    with client_of(door.settings, None) as stranger:
        assert stranger.post(f"{OFREP}/new-checkout", json={"context": {}}).status_code == 401
        assert stranger.post(OFREP, json={"context": {}}).status_code == 401


def test_too_many_evaluations_are_refused_with_a_time_to_come_back(door):
    door.flag()
    door.app.state.flags.limit.per_s = 5
    answers = [door.client.post(f"{OFREP}/new-checkout", json={"context": {}}) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"


def test_all_flags_come_with_an_etag_that_changes_only_with_the_answers(door):
    door.flag("a")
    door.flag("b", environments={"staging": {}, "production": {}})
    first = door.client.post(OFREP, json={"context": {"targetingKey": "u"}})
    assert [each["key"] for each in check(BULK, first.json())["flags"]] == ["a", "b"]
    known = {"If-None-Match": first.headers["etag"]}
    again = door.client.post(OFREP, json={"context": {"targetingKey": "u"}}, headers=known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    patch = {"spec": {"description": "says more"}}
    assert door.client.patch(f"{FLAGS}/a", json=patch, headers={"If-Match": '"1"'}).status_code == 200
    assert door.client.post(OFREP, json={"context": {"targetingKey": "u"}}, headers=known).status_code == 304
    assert door.client.post(f"{FLAGS}/a/ramp", json={"percent": 100}).status_code == 200
    changed = door.client.post(OFREP, json={"context": {"targetingKey": "u"}}, headers=known)
    assert changed.status_code == 200
    assert changed.json()["flags"][0]["value"] is True


def test_many_flags_are_filtered_by_venture_and_evaluated_together(door):
    with door.context.store.write() as unit:
        unit.catalog.put_venture("zeus", title="", description="", author="t", now=door.context.clock.now())
    for number in range(60):
        door.flag(f"flag-{number:02}")
    answer = check(BULK, door.client.post(OFREP, json={"context": {}}).json())
    assert len(answer["flags"]) == 60
    none = door.client.post(OFREP, json={"context": {}}, params={"venture": "zeus"}).json()
    assert none["flags"] == []


def test_a_killed_flag_is_off_for_everybody_in_the_next_answer(door):
    door.flag(targeting={"if": [True, "on"]}, approval_required=True)
    assert door.ask(targetingKey="u")["value"] is True
    assert door.client.post(f"{FLAGS}/new-checkout/kill", json={"reason": "orders fail"}).status_code == 200
    killed = check(SUCCESS, door.ask(targetingKey="u"))
    assert (killed["value"], killed["variant"], killed["reason"]) == (False, "off", "DISABLED")


def test_a_change_by_another_process_is_seen_within_a_quarter_of_a_second(door):
    door.flag()
    assert door.ask()["value"] is False
    ramp_flag(door.context, "new-checkout", PRODUCTION, percent=100, actor=SOMEBODY, reason="")
    began = time.monotonic()
    wait_until(lambda: door.ask()["value"] is True)
    assert time.monotonic() - began < 0.25


def test_evaluations_are_counted_in_batches_and_tell_who_got_what(door):
    door.flag()
    ramp_flag(door.context, "new-checkout", PRODUCTION, percent=40, actor=SOMEBODY, reason="")
    for number in range(200):
        door.ask(targetingKey=f"u{number}")
    door.client.post(OFREP, json={"context": {}})
    wait_until(
        lambda: sum(flag_exposure(door.context, "new-checkout", PRODUCTION, actor=SOMEBODY).evaluations.values()) == 201, timeout_s=8
    )
    exposure = door.client.get(f"{FLAGS}/new-checkout/exposure").json()
    assert exposure["evaluations"]["!error"] == 1
    assert 28 < exposure["measured_pct"] < 52
    assert exposure["percent"] == 40


def test_evaluations_go_on_with_the_last_known_flags_while_the_database_is_away(door, tmp_path):
    door.flag(default_variant="on")
    assert door.ask()["value"] is True
    database = tmp_path / "productops.db"
    door.context.store.close()
    away = tmp_path / "away"
    away.mkdir()
    for file in tmp_path.glob("productops.db*"):
        file.rename(away / file.name)
    database.mkdir()  # a folder cannot be opened as a database
    time.sleep(0.4)
    began = time.monotonic()
    assert door.ask()["value"] is True
    assert time.monotonic() - began < 1.0
    database.rmdir()
    for file in away.iterdir():
        file.rename(tmp_path / file.name)
    kill_flag(door.context, "new-checkout", actor=SOMEBODY, reason="back")
    wait_until(lambda: door.ask()["value"] is False)


def test_the_openapi_document_names_the_evaluation_and_its_errors(door):
    document = door.client.get("/openapi.json").json()
    one = document["paths"]["/ofrep/v1/evaluate/flags/{key}"]["post"]
    assert {"200", "400", "401", "404", "429"} <= set(one["responses"])
    assert "requestBody" in one


def test_each_environment_has_its_own_default_and_rules(door):
    door.flag(environments={"production": {}, "staging": {"default_variant": "on"}, "development": {"targeting": {"if": [True, "on"]}}})
    with httpx.Client(base_url=door.settings.api_url, headers=door.client.headers, verify=NO_TLS, trust_env=False) as client:
        got = {e: client.post(f"{OFREP}/new-checkout", json={"context": {}}, params={"environment": e}).json() for e in Environment}
    assert {e: answer["variant"] for e, answer in got.items()} == {"production": "off", "staging": "on", "development": "on"}
    assert got["development"]["reason"] == "TARGETING_MATCH"
