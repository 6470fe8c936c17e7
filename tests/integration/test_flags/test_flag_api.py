"""Declaring and changing flags over HTTP, with ETags."""

from datetime import UTC, datetime, timedelta

import pytest

from productops.domain.governance_access import Grant, Role
from tests.integration.test_api.support import person_token
from tests.integration.test_flags.conftest import FLAGS, OFREP
from tests.support import SOMEBODY

KEY = "new-checkout"
SPEC = {"owner": "team-checkout", "description": "The checkout in one page."}


def put(door, spec=SPEC, etag=None, key=KEY, actor=None):
    headers = ({"If-Match": etag} if etag else {}) | by(door, actor)
    return door.client.put(f"{FLAGS}/{key}", json={"venture": "apollo", "spec": spec}, headers=headers)


def post(door, path, body, actor=None):
    return door.client.post(f"{FLAGS}/{KEY}/{path}", json=body, headers=by(door, actor))


def by(door, actor):
    return {"Authorization": f"Bearer {person_token(door.context, actor, Grant(Role.RELEASE_MANAGER))}"} if actor else {}


def test_a_flag_is_made_read_and_replaced_only_at_the_revision_that_was_seen(door):
    made = put(door)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    read = door.client.get(f"{FLAGS}/{KEY}")
    assert (read.headers["etag"], read.json()["environments"]["production"]["everybody"]) == ('"1"', "off")
    blind = put(door, SPEC | {"owner": "b"})
    assert (blind.status_code, blind.json()["slug"]) == (428, "precondition-required")
    replaced = put(door, SPEC | {"owner": "b"}, etag=read.headers["etag"])
    assert (replaced.status_code, replaced.headers["etag"]) == (200, '"2"')
    late = put(door, SPEC | {"owner": "c"}, etag='"1"')
    assert (late.status_code, late.json()["slug"]) == (412, "revision-mismatch")
    assert put(door, etag='"1"', key="other").status_code == 412
    assert put(door, etag="three").status_code == 422
    assert door.client.get(f"{FLAGS}/{KEY}").json()["spec"]["owner"] == "b"


def test_a_patch_needs_the_revision_and_changes_what_it_names(door):
    put(door)
    patch = {"spec": {"default_variant": "on"}, "reason": "launched"}
    assert door.client.patch(f"{FLAGS}/{KEY}", json=patch).status_code == 428
    done = door.client.patch(f"{FLAGS}/{KEY}", json=patch, headers={"If-Match": '"1"'})
    assert (done.status_code, done.json()["applied"], done.json()["flag"]["spec"]["owner"]) == (200, True, "team-checkout")
    assert door.client.patch(f"{FLAGS}/{KEY}", json=patch, headers={"If-Match": '"1"'}).status_code == 412
    wrong = door.client.patch(f"{FLAGS}/{KEY}", json={"spec": {"default_variant": "maybe"}}, headers={"If-Match": '"2"'})
    assert wrong.status_code == 422
    assert "'maybe' is not among the variants on, off" in wrong.json()["detail"]


@pytest.mark.parametrize(
    ("key", "spec"),
    [
        ("-x", SPEC),
        ("a b", SPEC),
        ("x" * 64, SPEC),
        (KEY, {}),
        (KEY, SPEC | {"variants": {"on": True, "off": 1}}),
        (KEY, SPEC | {"more": 1}),
    ],
)
def test_a_flag_that_is_wrong_is_refused_in_words(door, key, spec):
    answer = put(door, spec, key=key)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


def test_history_and_changes_name_who_acted(door):
    put(door, actor="mia")
    assert post(door, "ramp", {"percent": 10, "reason": "first"}, actor="tom").status_code == 200
    assert post(door, "kill", {"reason": "orders fail"}, actor="mia").status_code == 200
    page = door.client.get(f"{FLAGS}/{KEY}/history", params={"limit": 2}).json()
    assert [(each["author"], each["summary"]) for each in page["items"]] == [
        ("mia", "kill in all environments"), ("tom", "ramp on to 10 % in production")
    ]  # fmt: skip
    rest = door.client.get(f"{FLAGS}/{KEY}/history", params={"before": page["next"]}).json()
    assert ([each["action"] for each in rest["items"]], rest["next"]) == (["create"], None)
    assert post(door, "ramp", {"percent": 20}).json()["slug"] == "flag-killed"
    assert post(door, "kill", {"reason": ""}).status_code == 422


def test_a_proposal_is_202_and_somebody_else_approves_it(door):
    put(door, SPEC | {"approval_required": True}, actor="mia")
    asked = post(door, "ramp", {"percent": 100, "reason": "all"}, actor="mia")
    assert (asked.status_code, asked.json()["applied"], asked.json()["change"]["state"]) == (202, False, "proposed")
    change = asked.json()["change"]["id"]
    assert [each["id"] for each in door.client.get("/api/v1/product-ops/flag-changes").json()["items"]] == [change]
    own = post(door, f"changes/{change}/approve", {}, actor="mia")
    assert (own.status_code, own.json()["slug"]) == (403, "self-approval")
    assert door.ask()["value"] is False
    approved = post(door, f"changes/{change}/approve", {}, actor="tom")
    assert (approved.status_code, approved.json()["applied"]) == (200, True)
    assert door.ask()["value"] is True
    assert post(door, f"changes/{change}/reject", {}, actor="tom").status_code == 409
    assert post(door, "changes/none/approve", {}, actor="tom").status_code == 404


def test_a_change_at_a_time_happens_then(door):
    put(door)
    at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    body = {"operation": {"op": "edit", "patch": {"default_variant": "on"}}, "at": at, "reason": "launch"}
    asked = post(door, "changes", body)
    assert (asked.status_code, asked.json()["change"]["state"]) == (202, "scheduled")
    assert door.ask()["value"] is False
    deadline = datetime.now(UTC) + timedelta(seconds=3)
    while door.ask()["value"] is False:
        assert datetime.now(UTC) < deadline
    assert door.client.get(f"{FLAGS}/{KEY}/changes").json()["items"][0]["state"] == "applied"
    assert door.client.get(f"{FLAGS}/{KEY}").json()["waiting"] == []
    assert post(door, "changes", body | {"at": "2020-01-01T00:00:00Z"}).status_code == 422
    assert post(door, "changes", {"operation": {"op": "declare", "spec": SPEC}}).status_code == 422


def test_if_revision_guards_every_operation(door):
    put(door)
    assert post(door, "ramp", {"percent": 5, "if_revision": 1}).status_code == 200
    assert post(door, "ramp", {"percent": 6, "if_revision": 1}).status_code == 412


def test_trying_a_flag_tells_the_decision_and_counts_nothing(door):
    put(door, SPEC | {"targeting": {"if": [{"==": [{"var": "country"}, "NZ"]}, "on", None]}})
    tried = door.client.post(f"{FLAGS}/{KEY}/evaluate", json={"context": {"country": "NZ"}}).json()
    assert (tried["variant"], tried["decision"], tried["error_code"]) == ("on", "targeting", None)
    post(door, "ramp", {"percent": 5})
    failed = door.client.post(f"{FLAGS}/{KEY}/evaluate", json={"context": {}}).json()
    assert failed["error_code"] == "TARGETING_KEY_MISSING"
    absent = door.client.post(f"{FLAGS}/{KEY}/evaluate", json={"environment": "staging", "context": {"country": "NZ"}}).json()
    assert absent["variant"] == "on"


def test_an_archived_flag_is_gone_for_programs_and_comes_back(door):
    put(door)
    post(door, "changes", {"operation": {"op": "archive"}, "reason": "removed from the code"})
    assert door.client.post(f"{OFREP}/{KEY}", json={"context": {}}).status_code == 404
    assert door.client.get(FLAGS).json()["items"] == []
    assert [each["key"] for each in door.client.get(FLAGS, params={"archived": True}).json()["items"]] == [KEY]
    assert post(door, "restore", {"reason": "still used"}).status_code == 200
    assert door.ask()["value"] is False


def test_the_stale_report_is_served(door):
    put(door, SPEC | {"expires_on": "2020-01-01"})
    (found,) = door.client.get("/api/v1/product-ops/stale-flags").json()["items"]
    assert (found["key"], found["reason"], found["owner"]) == (KEY, "expired", "team-checkout")


def test_what_was_counted_is_written_when_the_server_ends(template, tmp_path):
    from productops.usecases.release_flags import flag_exposure
    from tests.integration.test_api.support import client_of, prepare, serving
    from tests.integration.test_flags.conftest import make_flag
    from tests.support import PRODUCTION, make_context, sqlite_url

    context, settings, _ = prepare(template, tmp_path)
    make_flag(context)
    with serving(context, settings), client_of(settings) as client:
        assert client.post(f"{OFREP}/{KEY}", json={"context": {}}).status_code == 200
    again = make_context(sqlite_url(tmp_path))
    assert flag_exposure(again, KEY, PRODUCTION, actor=SOMEBODY).evaluations == {"off": 1}
    again.store.close()
