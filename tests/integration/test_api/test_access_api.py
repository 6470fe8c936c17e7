"""Tokens of people and programs against the served API: what they open, how soon they do not any more, how often they may ask."""

from __future__ import annotations

import time

import httpx
import pytest
from starlette.datastructures import Headers

from productops.api import governance_access_streams, governance_access_ways
from productops.api.access import chosen_token, make_authenticator
from productops.api.governance_access_limits import Buckets
from productops.api.governance_access_ways import StoredTokens
from productops.domain.governance_access import Grant, Operation, Role
from productops.errors import SettingsError
from productops.settings import Settings
from productops.usecases.governance_access import Holder, give
from productops.usecases.governance_access_tokens import revoke_token
from tests.integration.test_api.support import NO_TLS, OPS, TOKEN, client_of, free_ports, person_token, serving
from tests.support import SOMEBODY

ACCESS = "/api/v1/access"


def as_(api, name, *grants, **wish):
    """A client that carries a token of somebody."""
    with api.context.store.write() as unit:
        unit.catalog.put_venture("gemini", title="", description="", author="tester", now=api.context.clock.now())
    token = person_token(api.context, name, *grants, **wish)
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=api.url, headers=headers, timeout=20, trust_env=False, verify=NO_TLS)


def test_a_token_is_made_used_rotated_and_revoked_over_http(api):
    assert (
        api.client.post(f"{ACCESS}/grants", json={"name": "ci", "kind": "service", "role": "developer", "venture": "apollo"}).status_code
        == 201
    )
    made = api.client.post(f"{ACCESS}/tokens", json={"name": "CI", "owner": "ci", "operations": ["release.request", "token.own"]})
    assert made.status_code == 201
    token_id, secret = made.json()["token"]["id"], made.json()["secret"]
    with client_of(api.settings, secret) as ci:
        me = ci.get(f"{ACCESS}/me").json()
        assert (me["name"], me["kind"], me["token_id"], me["operations"]) == ("ci", "service", token_id, ["release.request", "token.own"])
        asked = ci.post(f"{OPS}/release/2.0", json={"service": "shop"})
        assert (asked.status_code, asked.json()["requested_by"]) == (202, "ci")
        refused = ci.get(f"{OPS}/releases")
        assert (refused.status_code, refused.json()["slug"], refused.json()["operation"]) == (403, "forbidden", "release.read")
        rotated = ci.post(f"{ACCESS}/tokens/{token_id}/rotate", json={"overlap_s": 60}).json()["secret"]
        assert ci.get(f"{ACCESS}/me").status_code == 200
    with client_of(api.settings, rotated) as ci:
        assert [each["state"] for each in ci.get(f"{ACCESS}/tokens").json()["items"]] == ["live"]
        assert ci.post(f"{ACCESS}/tokens/{token_id}/revoke", json={"reason": "done"}).json()["state"] == "revoked"
    assert secret not in api.client.get(f"{OPS}/audit").text
    assert {"token.created", "token.rotated", "token.revoked"} <= {e["action"] for e in api.client.get(f"{OPS}/audit").json()["items"]}


def test_a_revocation_holds_within_five_seconds(api, monkeypatch):
    monkeypatch.setattr(governance_access_ways, "KNOWN_S", 0.4)
    token = person_token(api.context, "mia", Grant(Role.VIEWER))
    with client_of(api.settings, token) as mia:
        assert mia.get(f"{ACCESS}/me").status_code == 200
        revoke_token(api.context, token.split("_")[1], reason="lost", actor=SOMEBODY)  # by another process: this one is not told
        time.sleep(0.45)
        refused = mia.get(f"{ACCESS}/me")
    assert (refused.status_code, refused.json()["slug"]) == (401, "unauthorized")
    assert "expired or was revoked" in refused.json()["detail"]


def test_a_stream_that_is_open_ends_when_its_token_is_revoked(api, monkeypatch):
    monkeypatch.setattr(governance_access_ways, "KNOWN_S", 0.2)
    monkeypatch.setattr(governance_access_streams, "ASK_EVERY_S", 0.2)
    api.streams.heartbeat_s = 0.1
    token = person_token(api.context, "mia", Grant(Role.VIEWER))
    with client_of(api.settings, token) as mia, mia.stream("GET", f"{OPS}/events/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        for _ in range(8):  # it goes on for longer than it is believed without being asked
            next(lines)
        revoke_token(api.context, token.split("_")[1], reason="lost", actor=SOMEBODY)
        began = time.monotonic()
        assert len(list(lines)) < 200
        assert time.monotonic() - began < 10
    assert api.client.get(f"{OPS}/releases").status_code == 200


def test_a_token_is_read_once_in_five_seconds(context):
    give(context, Holder("mia"), Grant(Role.VIEWER), actor=SOMEBODY)
    reads = []

    class Counting:
        store = context.store
        clock = context.clock

    tokens = StoredTokens(lambda: reads.append(1) or Counting)
    headers = Headers({"authorization": f"Bearer {person_token(context, 'mia')}"})
    assert governance_access_ways.KNOWN_S == 5.0
    assert tokens(headers, "/") is not None
    context.store.close()
    assert tokens.remembered(headers) == tokens(headers, "/")
    assert tokens.flush() == 1  # and who used it is written beside the requests, not within
    assert tokens.flush() == 0


def test_a_thing_of_another_venture_does_not_exist_and_one_of_ones_own_is_refused(api):
    release = api.asked("2.0")
    with as_(api, "eve", Grant(Role.ADMIN, "gemini")) as eve, as_(api, "vic", Grant(Role.VIEWER, "apollo")) as vic:
        for path in (f"{OPS}/releases/{release}", f"{OPS}/services/shop"):
            assert eve.get(path).status_code == 404
            assert vic.get(path).status_code == 200
        assert eve.get(f"{OPS}/releases").json()["items"] == eve.get(f"{OPS}/services").json()["items"] == []
        stop = {"reason": "x"}
        assert [each.post(f"{OPS}/releases/{release}/rollback", json=stop).status_code for each in (eve, vic)] == [404, 403]
        unknown = eve.post(f"{OPS}/release/2.0", json={"service": "shop"})
        assert (unknown.status_code, "known: none" in unknown.json()["detail"]) == (404, True)


def test_to_insist_takes_more_than_to_ask(api):
    with as_(api, "dev", Grant(Role.DEVELOPER, "apollo")) as dev:
        refused = dev.post(f"{OPS}/release/0.9", json={"service": "shop", "force_downgrade": True})
        assert (refused.status_code, refused.json()["operation"]) == (403, "release.force")
        assert dev.post(f"{OPS}/release/2.0", json={"service": "shop"}).status_code == 202


def test_a_name_in_the_address_is_not_believed(api):
    with as_(api, "mia", Grant(Role.RELEASE_MANAGER)) as mia:
        body = {"key": "f", "venture": "apollo", "spec": {"owner": "x"}}
        assert mia.post(f"{OPS}/flags", json=body, params={"actor": "tom"}).status_code == 201
        (made,) = mia.get(f"{OPS}/flags/f/history").json()["items"]
    assert made["author"] == "mia"


def test_flags_of_other_ventures_are_not_evaluated(api):
    body = {"key": "f", "venture": "apollo", "spec": {"owner": "x"}}
    assert api.client.post(f"{OPS}/flags", json=body).status_code == 201
    ask = {"context": {"targetingKey": "u"}}
    only = frozenset({Operation.FLAG_EVALUATE})
    with (
        as_(api, "app", Grant(Role.VIEWER, "apollo"), kind="service", operations=only) as app,
        as_(api, "eve", Grant(Role.VIEWER, "gemini")) as eve,
    ):
        assert app.post("/ofrep/v1/evaluate/flags/f", json=ask).json()["value"] is False
        assert [flag["key"] for flag in app.post("/ofrep/v1/evaluate/flags", json=ask).json()["flags"]] == ["f"]
        assert app.get(f"{OPS}/flags").status_code == 403
        assert eve.post("/ofrep/v1/evaluate/flags/f", json=ask).json()["errorCode"] == "FLAG_NOT_FOUND"
        assert eve.post("/ofrep/v1/evaluate/flags", json=ask).json()["flags"] == []


def test_the_audit_of_some_ventures_shows_what_is_of_these(api):
    api.asked("2.0")
    with as_(api, "eve", Grant(Role.DIRECTOR, "gemini")) as eve, as_(api, "dan", Grant(Role.DIRECTOR, "apollo")) as dan:
        assert eve.get(f"{OPS}/audit").json()["items"] == []
        seen = dan.get(f"{OPS}/audit", params={"limit": 1}).json()["items"]
        assert [each["action"] for each in seen] == ["release.requested"]
        assert eve.get(f"{OPS}/audit/{seen[0]['seq']}").status_code == 404
        assert dan.get(f"{OPS}/audit/{seen[0]['seq']}").status_code == 200


@pytest.fixture
def strict(fresh):
    settings = fresh.settings.model_copy(
        update={"port_base": free_ports(), "requests_per_s": 2, "requests_burst": 4, "failed_authentications_per_min": 5}
    )
    with serving(fresh.context, settings):
        yield settings


def test_too_many_requests_are_told_when_to_come_back(strict):
    with client_of(strict) as client:
        answers = [client.get(f"{ACCESS}/me") for _ in range(6)]
    assert [a.status_code for a in answers].count(200) in {4, 5}
    last = answers[-1]
    assert (last.status_code, last.json()["slug"], int(last.headers["Retry-After"]) >= 1) == (429, "rate-limited", True)
    assert answers[0].headers["RateLimit-Policy"] == '"requests";q=4;w=2'
    assert answers[0].headers["RateLimit"].startswith('"requests";r=3;t=')


def test_an_address_that_guesses_is_not_looked_up_but_the_owner_here_gets_in(strict):
    with client_of(strict, "wrong-token-of-somebody") as client:
        answers = [client.get(f"{ACCESS}/me").status_code for _ in range(8)]
    assert answers[:5] == [401] * 5
    assert answers[-1] == 429
    with client_of(strict, TOKEN) as owner:
        assert owner.get(f"{ACCESS}/me").status_code == 200
    with client_of(strict, None) as nobody:
        assert nobody.get(f"{ACCESS}/me").status_code == 401


def test_a_bucket_fills_again_and_names_do_not_share_it():
    buckets = Buckets(per_s=50, burst=2)
    assert [buckets.take("a").allowed for _ in range(3)] == [True, True, False]
    assert buckets.take("b").allowed
    time.sleep(0.05)
    assert buckets.take("a").allowed


def test_the_installations_token_can_be_turned_off_once_somebody_is_admin(fresh, tmp_path):
    class App:
        class state:  # noqa: N801
            context = fresh.context

    off = fresh.settings.model_copy(update={"installation_token": False})
    with pytest.raises(SettingsError, match="nobody is admin"):
        make_authenticator(App, off, chosen_token(off))
    token = person_token(fresh.context, "ann", Grant(Role.ADMIN))
    found = make_authenticator(App, off, chosen_token(off))
    assert found.at_once(Headers({"authorization": f"Bearer {TOKEN}"}), "/") is None
    assert found._ask(Headers({"authorization": f"Bearer {token}"}), "/").name == "ann"
    assert Settings(home=tmp_path).installation_token


def test_others_may_add_a_way_in(fresh):
    class App:
        class state:  # noqa: N801
            context = fresh.context

    found = make_authenticator(App, fresh.settings, TOKEN)
    found.add(lambda headers, path: SOMEBODY.principal if headers.get("cookie") == "session=1" and path == "/x" else None)
    assert found._ask(Headers({"cookie": "session=1"}), "/x") == SOMEBODY.principal
    assert found._ask(Headers({"cookie": "session=2"}), "/x") is None
