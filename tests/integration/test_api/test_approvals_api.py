"""Approvals and changes over HTTP: the routes, the page for people, links, and an outside change system."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import httpx
import pytest

from productops.adapters.governance_changes import ChangeSystemConnection, JsonChangeSystem
from productops.domain.governance_access import Grant, Role
from productops.usecases.governance_access_tokens import TokenWish, create_token
from productops.usecases.governance_changes_report import report_changes
from tests.integration.approvals_lab import EVERYBODY, apply, policy
from tests.integration.test_api.support import NO_TLS, OPS
from tests.support import SOMEBODY

APPROVALS, CHANGES = f"{OPS}/approvals", f"{OPS}/changes"


@pytest.fixture
def guarded(api, tmp_path):
    """Production takes a release manager and a director; everybody has a token."""
    with api.context.store.write() as unit:
        now = api.context.clock.now()
        for each in EVERYBODY:
            someone = unit.principals.add(each.name, kind="person", subject=None, email="", declared_in=None, now=now)
            for grant in each.principal.grants:
                unit.principals.grant(grant, person=someone, given_by="tester", now=now)
    apply(api.context, tmp_path / "catalog", policy(signatures="[{role: release-manager}, {role: director}]"))
    clients = {}
    for each in EVERYBODY:
        secret = create_token(api.context, TokenWish(owner=each.name, name="test"), actor=SOMEBODY).secret
        clients[each.name] = httpx.Client(
            base_url=api.url, headers={"Authorization": f"Bearer {secret}"}, timeout=20, trust_env=False, verify=NO_TLS
        )
    yield SimpleNamespace(api=api, **clients)
    for client in clients.values():
        client.close()


def asked(guarded) -> dict[str, object]:
    answer = guarded.dev.post(f"{OPS}/release/2.0", json={"service": "shop"})
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_a_release_waits_and_two_people_sign_it_over_the_api(guarded):
    release = asked(guarded)
    assert release["flow_run"] is None
    assert "waits for 1 release-manager and 1 director" in release["plan"]["approval"]["waits_for"]
    (mine,) = guarded.ann.get(APPROVALS, params={"mine": True}).json()["items"]
    assert (mine["subject"], mine["missing"]) == (f"release/{release['id']}", ["release-manager", "director"])
    assert guarded.dev.get(APPROVALS, params={"mine": True}).json()["items"] == []
    shown = guarded.ann.get(f"{APPROVALS}/{release['id']}").json()
    assert shown["id"] == mine["id"]
    assert guarded.dev.post(f"{APPROVALS}/{mine['id']}/signatures", json={}).status_code == 403
    wrong = guarded.ann.post(f"{APPROVALS}/{mine['id']}/signatures", json={"content_hash": "0" * 64})
    assert (wrong.status_code, wrong.json()["slug"]) == (409, "conflict")
    first = guarded.ann.post(f"{APPROVALS}/{mine['id']}/signatures", json={"note": "go", "content_hash": shown["content_hash"]})
    assert (first.status_code, first.json()["state"], first.json()["missing"]) == (201, "waiting", ["director"])
    assert not guarded.api.orchestrator.releases
    last = guarded.dora.post(f"{APPROVALS}/{release['id']}/signatures", json={})
    assert last.json()["state"] == "approved"
    assert list(guarded.api.orchestrator.releases) == [release["id"]]


def test_a_refusal_an_override_and_its_review_over_the_api(guarded):
    release = asked(guarded)
    refused = guarded.bob.post(f"{APPROVALS}/{release['id']}/refusals", json={"reason": "not today"})
    assert (refused.status_code, refused.json()["state"]) == (201, "refused")
    assert guarded.dev.get(f"{OPS}/releases/{release['id']}").json()["cause"] == "approval"
    second = asked(guarded)
    short = guarded.dora.post(f"{APPROVALS}/{second['id']}/override", json={"reason": "quick"})
    assert short.status_code == 422
    assert guarded.ann.post(f"{APPROVALS}/{second['id']}/override", json={"reason": "customers cannot pay"}).status_code == 403
    done = guarded.dora.post(f"{APPROVALS}/{second['id']}/override", json={"reason": "customers cannot pay"})
    assert done.json()["state"] == "overridden"
    (review,) = guarded.ann.get(f"{APPROVALS}/reviews").json()["items"]
    assert guarded.dora.post(f"{APPROVALS}/reviews/{review['id']}/close", json={"note": "fine"}).status_code == 403
    assert guarded.emil.post(f"{APPROVALS}/reviews/{review['id']}/close", json={"note": "it was right"}).json()["closed_by"] == "emil"


def test_lists_of_approvals_are_paged(guarded):
    for _ in range(3):
        guarded.dev.post(f"{APPROVALS}/{asked(guarded)['id']}/refusals", json={"reason": "again"})
    seen, after = [], None
    while True:
        page = guarded.ann.get(APPROVALS, params={"limit": 2} | ({"after": after} if after else {})).json()
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 3


def form_of(page: httpx.Response) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))


def test_the_page_shows_what_is_asked_runs_no_script_and_signs_by_its_form(guarded):
    release = asked(guarded)
    approval = release["plan"]["approval"]
    page = guarded.ann.get(approval["page"])
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script" not in page.text
    assert "waits for 1 release-manager and 1 director" in page.text
    assert "storefront" not in page.text
    fields = form_of(page)
    forged = guarded.ann.post(approval["page"], data=fields | {"csrf": "0" * 64, "act": "sign"})
    assert forged.status_code == 409
    assert guarded.dora.post(approval["page"], data=fields | {"act": "sign"}).status_code == 409  # somebody else's form
    assert guarded.ann.post(approval["page"], json={"act": "sign"}).status_code == 422
    signed = guarded.ann.post(approval["page"], data=fields | {"act": "sign", "words": "<b>go</b>"})
    assert signed.status_code == 200
    assert "Done." in signed.text
    assert "&lt;b&gt;go&lt;/b&gt;" in signed.text
    again = guarded.dev.post(approval["page"], data=form_of(guarded.dev.get(approval["page"])) | {"act": "sign"})
    assert again.status_code == 403


def test_a_link_signs_once_for_its_holder_and_reading_it_signs_nothing(guarded):
    release = asked(guarded)
    link = guarded.ann.post(f"{APPROVALS}/{release['id']}/links", json={}).json()
    assert guarded.ann.get(APPROVALS, params={"mine": True}).json()["items"]
    with httpx.Client(base_url=guarded.api.url, timeout=20, trust_env=False, verify=NO_TLS) as stranger:
        for _ in range(3):  # a chat program looks at it before the person does
            page = stranger.get(link["path"])
            assert page.status_code == 200
        assert "You are <b>ann</b>" in page.text
        assert not guarded.ann.get(f"{APPROVALS}/{release['id']}").json()["signatures"]
        path, fields = link["path"].partition("?")[0], form_of(page)
        assert stranger.post(path, data=fields | {"act": "override", "words": "customers cannot pay"}).status_code == 403
        signed = stranger.post(path, data=fields | {"act": "sign", "words": "from the phone"})
        assert "Done." in signed.text
        assert stranger.get(link["path"]).status_code == 401
        assert stranger.post(path, data=fields | {"act": "sign"}).status_code == 401
        assert stranger.get(path, params={"token": "x" * 43}).status_code == 401
        assert stranger.get(release["plan"]["approval"]["page"]).status_code == 401
    (signature,) = guarded.ann.get(f"{APPROVALS}/{release['id']}").json()["signatures"]
    assert (signature["person"], signature["origin"], signature["note"]) == ("ann", "link", "from the phone")
    with guarded.api.context.store.read() as unit:
        assert link["path"].rpartition("=")[2] not in json.dumps(unit.audit.entries())


def test_a_link_of_another_request_is_none(guarded):
    first = asked(guarded)
    link = guarded.ann.post(f"{APPROVALS}/{first['id']}/links", json={}).json()
    guarded.dev.post(f"{APPROVALS}/{first['id']}/refusals", json={"reason": "again"})
    second = asked(guarded)
    token = link["path"].rpartition("=")[2]
    with httpx.Client(base_url=guarded.api.url, timeout=20, trust_env=False, verify=NO_TLS) as stranger:
        assert stranger.get(f"/approvals/link/{second['plan']['approval']['id']}", params={"token": token}).status_code == 401


def test_every_release_is_a_change_with_its_risk_signatures_and_outcome(guarded):
    release = asked(guarded)
    guarded.ann.post(f"{APPROVALS}/{release['id']}/signatures", json={})
    found = guarded.ann.get(CHANGES, params={"kind": "release"}).json()["items"]
    assert [c["subject"] for c in found] == [f"release/{release['id']}"]
    change = guarded.ann.get(f"{CHANGES}/{found[0]['id']}").json()
    assert change["risk"]["level"] in {"medium", "high"}
    assert "it is production" in change["risk"]["reasons"]
    assert [s["person"] for s in change["approval"]["signatures"]] == ["ann"]
    assert (change["outcome"], change["windows"]) == ("requested", "open")
    assert "users get 1.0 again" in change["rollback_plan"]
    assert f"{OPS}/releases/{release['id']}" in change["evidence"]
    assert guarded.ann.get(f"{CHANGES}/nothing").status_code == 404


def test_changes_are_exported_as_csv_and_ndjson_and_filtered(guarded):
    answer = guarded.dev.post(f"{OPS}/release/2.0", json={"service": "shop", "note": "=cmd()"})
    assert answer.status_code == 202
    exported = guarded.ann.get(f"{CHANGES}/export")
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert {row["kind"] for row in rows} == {"release", "catalog"}
    assert next(r for r in rows if r["kind"] == "release")["reason"] == "'=cmd()"
    lines = guarded.ann.get(f"{CHANGES}/export", params={"form": "ndjson", "venture": "apollo"}).text.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["release"]
    later = guarded.ann.get(CHANGES, params={"since": "2999-01-01T00:00:00Z"}).json()
    assert later["items"] == []


def test_changes_of_another_venture_are_not_shown(guarded):
    asked(guarded)
    with guarded.api.context.store.write() as unit:
        now = guarded.api.context.clock.now()
        eve = unit.principals.add("eve", kind="person", subject=None, email="", declared_in=None, now=now)
        unit.principals.grant(Grant(Role.VIEWER, "gemini"), person=eve, given_by="tester", now=now)
    secret = create_token(guarded.api.context, TokenWish(owner="eve", name="test"), actor=SOMEBODY).secret
    with httpx.Client(
        base_url=guarded.api.url, headers={"Authorization": f"Bearer {secret}"}, timeout=20, trust_env=False, verify=NO_TLS
    ) as stranger:
        assert stranger.get(CHANGES).json()["items"] == []
        assert stranger.get(APPROVALS).json()["items"] == []


class ChangeDesk:
    """A change system over HTTP that keeps changes by their correlation id."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, object]] = {}
        self.lose_answers = 0


@contextmanager
def change_desk() -> Iterator[tuple[str, ChangeDesk]]:
    desk = ChangeDesk()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            wanted = self.path.partition("correlation_id=")[2].partition("&")[0]
            found = [{"number": n} for n, kept in desk.kept.items() if kept["correlation_id"] == wanted]
            self._answer(200, {"result": found})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            number = f"CHG{len(desk.kept) + 1:04}"
            desk.kept[number] = body | {"authorization": self.headers.get("authorization")}
            if desk.lose_answers:
                desk.lose_answers -= 1
                self.close_connection = True
                self.connection.close()
                return
            self._answer(201, {"result": {"number": number}})

        def _answer(self, status: int, document: object) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", desk
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def test_an_outside_change_system_gets_each_change_once_even_when_its_answer_is_lost(guarded):
    asked(guarded)
    with change_desk() as (url, desk):
        system = JsonChangeSystem(ChangeSystemConnection(url=url, values={"type": "standard"}), token="s3cret-of-the-desk")
        desk.lose_answers = 1
        assert report_changes(guarded.api.context, system, actor=SOMEBODY) == []
        assert len(desk.kept) == 1
        assert len(report_changes(guarded.api.context, system, actor=SOMEBODY)) == 2
        assert report_changes(guarded.api.context, system, actor=SOMEBODY) == []
        assert len(desk.kept) == 2
        system.close()
    sent = next(kept for kept in desk.kept.values() if "shop" in str(kept["short_description"]))
    assert (sent["type"], sent["authorization"]) == ("standard", "Bearer s3cret-of-the-desk")
    assert "change windows: open" in str(sent["description"])
    numbers = {c["number"] for c in guarded.ann.get(CHANGES).json()["items"]}
    assert numbers == {"CHG0001", "CHG0002"}
