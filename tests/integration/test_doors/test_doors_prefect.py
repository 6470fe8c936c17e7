"""A real Prefect server behind our door: who may do what there, what never comes out, and what is on record."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from productops.adapters.prefect_api import PrefectApi, auth_header
from productops.adapters.prefect_auth import prefect_auth
from productops.cli.stack.prefect_environment import server_environment
from productops.cli.stack.specs import stack_specs
from productops.domain.governance_access import Grant, Role
from productops.errors import OrchestratorError
from productops.settings import Settings
from tests.integration.test_api.support import person_token
from tests.integration.test_doors.support import Door, door

API = "/prefect/api"
SECRET = "sekret-in-a-block-8472"


@dataclass
class Behind:
    """The served API, Prefect's own interface as ourselves, and a deployment of the release flow."""

    door: Door
    prefect: httpx.Client
    release: str
    reconcile: str
    auth: str

    def person(self, name: str, *grants: Grant) -> Caller:
        return Caller(self.door.program(person_token(self.door.context, name, *grants)))

    @property
    def owner(self) -> Caller:
        return Caller(self.door.owner)


@dataclass
class Caller:
    """Somebody who speaks to Prefect through our door, as its pages do."""

    http: httpx.Client

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(f"{API}{path}", params=query)

    def send(self, method: str, path: str, body: Any) -> httpx.Response:
        client = str(uuid.uuid4())
        token = self.http.get(f"{API}/csrf-token", params={"client": client}).json().get("token", "")
        headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client}
        return self.http.request(method, f"{API}{path}", json=body, headers=headers)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.send("POST", path, body)

    def start(self, deployment: str, **parameters: Any) -> httpx.Response:
        return self.post(f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    with door(tmp_path_factory.mktemp("prefect")) as made:
        with made.context.store.write() as unit:
            unit.catalog.put_venture("gemini", title="Gemini", description="", author="test", now=made.context.clock.now())
        spec = next(each for each in stack_specs(made.settings) if each.name == "prefect")
        command = list(spec.command())
        with (tmp_path_factory.mktemp("log") / "prefect.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=spec.folder, env=dict(spec.environment), stdout=log, stderr=log)
        auth = prefect_auth(made.settings)
        assert auth not in " ".join(command)
        headers = auth_header(auth)
        try:
            with httpx.Client(base_url=made.settings.prefect_api_url, headers=headers, timeout=20, trust_env=False) as prefect:
                _await_ready(prefect, process)
                prefect.headers["Prefect-Csrf-Client"] = "setup"
                prefect.headers["Prefect-Csrf-Token"] = prefect.get("/csrf-token", params={"client": "setup"}).json()["token"]
                yield Behind(made, prefect, _deploy(prefect, "release"), _deploy(prefect, "reconcile"), auth)
        finally:
            process.terminate()
            process.wait(20)


def _await_ready(prefect: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if prefect.get("/health").is_success:
                return
        except httpx.HTTPError:
            pass
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _deploy(prefect: httpx.Client, name: str) -> str:
    flow = prefect.post("/flows/", json={"name": name}).raise_for_status().json()["id"]
    made = prefect.post("/deployments/", json={"name": name, "flow_id": flow, "entrypoint": f"flows.{name}:{name}"})
    return str(made.raise_for_status().json()["id"])


def test_prefect_itself_lets_nobody_in_without_its_secret(behind: Behind) -> None:
    url = behind.door.settings.prefect_api_url
    assert httpx.get(f"{url}/flows/name/release", trust_env=False).status_code == 401
    wrong = auth_header("productops:guess")
    assert httpx.get(f"{url}/flows/name/release", headers=wrong, trust_env=False).status_code == 401
    ours = PrefectApi(url, patience_s=0.5)
    with pytest.raises(OrchestratorError, match="401"):
        ours.start_release("x", {})
    ours.close()
    environment = server_environment(behind.door.settings)
    assert environment["PREFECT_SERVER_API_AUTH_STRING"] == behind.auth
    path = behind.door.settings.home / "prefect-auth"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_pages_come_with_a_policy_and_speak_to_us_only(behind: Behind) -> None:
    browser = behind.door.logged_in()
    page = browser.get("/prefect/v2/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "connect-src 'self'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    settings = browser.get("/prefect/ui-settings").json()
    assert (settings["api_url"], settings["auth"]) == (f"{behind.door.url}{API}", None)
    script = page.text.partition('src="')[2].partition('"')[0]
    asset = browser.get(script)
    assert asset.status_code == 200
    assert "javascript" in asset.headers["content-type"]
    assert "max-age" in asset.headers["cache-control"]
    assert browser.get("/prefect", follow_redirects=False).headers["location"] == "/prefect/"


def test_reading_takes_a_role_for_all_ventures_because_prefect_shows_all(behind: Behind) -> None:
    everywhere = behind.person("vera", Grant(Role.VIEWER))
    somewhere = behind.person("sam", Grant(Role.DEVELOPER, "apollo"))
    assert everywhere.get("/flows/name/release").json()["name"] == "release"
    assert everywhere.post("/deployments/filter", {}).status_code == 200
    refused = somewhere.get("/flows/name/release")
    assert (refused.status_code, refused.json()["slug"], refused.json()["operation"]) == (403, "forbidden", "prefect.read")
    assert somewhere.get("/health").json() is True
    assert behind.door.browser().get(f"{API}/flows/name/release", headers={"Accept": "application/json"}).status_code == 401


def test_whoever_may_release_a_service_may_start_its_release_and_is_on_record(behind: Behind) -> None:
    dev = behind.person("dora", Grant(Role.DEVELOPER, "apollo"))
    made = dev.start(behind.release, service="shop", version="2.0")
    assert made.status_code == 201, made.text
    run = behind.prefect.get(f"/flow_runs/{made.json()['id']}").json()
    assert run["state"]["type"] == "SCHEDULED"
    assert run["next_scheduled_start_time"] is not None
    with behind.door.context.store.read() as unit:
        caller = unit.run_callers.get(run["id"])
        entry = unit.audit.entries(subject=f"flow-run/{run['id']}")[0]
    assert caller is not None
    assert caller.principal == "dora"
    assert (entry["action"], entry["actor"]) == ("prefect.run-created", "dora")


@pytest.mark.parametrize(
    ("grant", "parameters"),
    [
        (Grant(Role.VIEWER), {"service": "shop"}),
        (Grant(Role.DEVELOPER, "gemini"), {"service": "shop"}),
        (Grant(Role.DEVELOPER, "apollo", "staging"), {"service": "shop"}),
        (Grant(Role.DEVELOPER, "apollo"), {"service": "nothing-known"}),
        (Grant(Role.DEVELOPER, "apollo"), {}),
        (Grant(Role.DEVELOPER, "apollo"), {"service": "shop", "force_downgrade": True}),
        (Grant(Role.DEVELOPER, "apollo"), {"service": "shop", "release_id": "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"}),
    ],
)
def test_nobody_else_may_start_it(behind: Behind, grant: Grant, parameters: dict[str, Any]) -> None:
    somebody = behind.person(f"x{abs(hash((grant, str(parameters)))) % 10**8}", grant)
    before = behind.prefect.post("/flow_runs/count", json={}).json()
    answer = somebody.start(behind.release, version="2.0", **parameters)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert behind.prefect.post("/flow_runs/count", json={}).json() == before


def test_a_parameter_with_a_secret_is_refused_because_prefect_would_show_it(behind: Behind) -> None:
    before = behind.prefect.post("/flow_runs/count", json={}).json()
    answer = behind.owner.start(behind.release, service="shop", version="2.0", note="see https://u:hunter2hunter2@wiki/x")
    assert (answer.status_code, answer.json()["slug"]) == (422, "invalid-input")
    assert answer.json()["detail"].startswith("note: this looks like a secret")
    assert "hunter2" not in answer.text
    assert behind.prefect.post("/flow_runs/count", json={}).json() == before


def test_other_deployments_and_what_a_run_is_executed_with_are_for_admins(behind: Behind) -> None:
    manager = behind.person("mia", Grant(Role.RELEASE_MANAGER))
    assert manager.start(behind.reconcile).status_code == 403
    for extra in ({"job_variables": {"command": "id"}}, {"work_queue_name": "w"}, {"state": {"type": "RUNNING"}}):
        body = {"parameters": {"service": "shop", "version": "2.0"}} | extra
        assert manager.post(f"/deployments/{behind.release}/create_flow_run", body).status_code == 403
    for method, path, body in (
        ("PATCH", f"/deployments/{behind.release}", {"paused": True}), ("DELETE", f"/deployments/{behind.release}", {}),
        ("POST", "/variables/", {"name": "v", "value": "1"}), ("POST", "/flows/", {"name": "mine"}), ("POST", "/logs/", []),
        ("POST", f"/deployments/{behind.release}/create_flow_run/bulk", []), ("PUT", "/admin/storage", {}),
    ):  # fmt: skip
        assert manager.send(method, path, body).status_code == 403, path
    assert behind.owner.start(behind.reconcile).status_code == 201
    assert behind.owner.post("/variables/", {"name": "v", "value": "1"}).status_code == 201
    with behind.door.context.store.read() as unit:
        written = [entry["detail"] for entry in unit.audit.entries() if entry["action"] == "prefect.written"]
    assert {"path": "/variables/", "method": "POST", "status": 201, "operation": "prefect.manage"} in written


def test_ending_a_run_takes_the_right_to_roll_back_what_it_releases(behind: Behind) -> None:
    run = behind.owner.start(behind.release, service="shop", version="2.0").json()["id"]
    cancel = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
    path = f"/flow_runs/{run}/set_state"
    assert behind.person("dev", Grant(Role.DEVELOPER, "apollo")).post(path, cancel).status_code == 403
    assert behind.person("far", Grant(Role.RELEASE_MANAGER, "gemini")).post(path, cancel).status_code == 403
    near = behind.person("near", Grant(Role.INCIDENT_COMMANDER, "apollo", "production"))
    assert near.post(path, {"state": {"type": "COMPLETED"}, "force": True}).status_code == 403
    assert near.post(path, cancel).status_code == 201
    other = behind.owner.start(behind.reconcile).json()["id"]
    assert near.post(f"/flow_runs/{other}/set_state", cancel).status_code == 403
    assert near.post(f"/flow_runs/{other}/resume", {}).status_code == 403


def test_secrets_of_blocks_come_out_for_nobody(behind: Behind) -> None:
    kind = behind.prefect.post("/block_types/", json={"name": "Door", "slug": "door"}).raise_for_status().json()["id"]
    fields = {"title": "Door", "type": "object", "secret_fields": ["password"], "properties": {}, "block_type_slug": "door"}
    schema = behind.prefect.post("/block_schemas/", json={"fields": fields, "block_type_id": kind}).raise_for_status().json()["id"]
    data = {"password": SECRET, "url": f"https://u:{SECRET}@db.example"}
    body = {"name": "db", "data": data, "block_type_id": kind, "block_schema_id": schema}
    block = behind.owner.post("/block_documents/", body)
    assert block.status_code == 201
    assert SECRET not in block.text
    path = f"/block_documents/{block.json()['id']}"
    assert SECRET in behind.prefect.get(path, params={"include_secrets": True}).text  # it is there
    assert behind.owner.get(path, include_secrets="true").status_code == 403
    assert behind.owner.post("/block_documents/filter", {"include_secrets": True}).status_code == 403
    answers = [
        behind.owner.get(path), behind.owner.get(path.replace("block", "%62lock", 1)), behind.owner.post("/block_documents/filter", {}),
        behind.owner.get("/block_types/slug/door/block_documents"),
        behind.owner.get("/block_types/slug/door/block_documents/name/db"),
    ]  # fmt: skip
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert SECRET not in answer.text
    assert answers[0].json()["data"] == {"password": "********", "url": "********"}
    changed = behind.owner.send("PATCH", path, {"data": answers[0].json()["data"] | {"password": "another-password"}})
    assert changed.status_code == 204, changed.text
    kept = behind.prefect.get(path, params={"include_secrets": True}).json()["data"]
    assert kept == {"password": "another-password", "url": data["url"]}


@pytest.mark.parametrize("path", ["/flows/%2e%2e/admin", "/flows/a%2Fb", "/flows//filter", "/flows/%00", "/flows/;x"])
def test_paths_that_can_be_read_in_two_ways_are_refused(behind: Behind, path: str) -> None:
    url = httpx.URL(behind.door.url).copy_with(raw_path=f"{API}{path}".encode())
    assert behind.door.owner.get(url).status_code in {404, 422}


def test_the_secret_of_prefect_comes_out_nowhere(behind: Behind) -> None:
    secret = behind.auth.partition(":")[2]
    behind.owner.post("/variables/", {"name": "leak", "value": f"{behind.auth} and {secret}"})
    for answer in (
        behind.owner.get("/variables/name/leak"),
        behind.owner.post("/variables/filter", {}),
        behind.owner.get("/admin/settings"),
    ):
        assert answer.status_code == 200
        assert secret not in answer.text
        assert not [value for value in answer.headers.values() if secret in value]


def test_events_come_through_a_websocket_to_whoever_may_read(behind: Behind) -> None:
    cookie = _cookie(behind.door.logged_in())
    stranger = {"Cookie": cookie, "Origin": "http://evil.example"}
    scoped = behind.door.program(person_token(behind.door.context, "scoped", Grant(Role.DEVELOPER, "apollo")))
    url = behind.door.url.replace("http", "ws") + f"{API}/events/out"

    async def refused(headers: dict[str, str]) -> bool:
        try:
            async with connect(url, additional_headers=headers, subprotocols=["prefect"], proxy=None) as socket:  # type: ignore[list-item]
                await socket.recv()
        except (InvalidHandshake, WebSocketException):
            return True
        return False

    async def follow() -> list[dict[str, Any]]:
        headers = {"Cookie": cookie, "Origin": behind.door.url}
        found: list[dict[str, Any]] = []
        async with connect(url, additional_headers=headers, subprotocols=["prefect"], proxy=None) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "auth", "token": None}))
            assert json.loads(await socket.recv()) == {"type": "auth_success"}
            wanted = {
                "event": {"prefix": ["prefect.flow-run."]},
                "occurred": {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"},
            }
            await socket.send(json.dumps({"type": "filter", "filter": wanted}))
            started = asyncio.get_running_loop().run_in_executor(None, lambda: behind.owner.start(behind.reconcile))
            while len(found) < 1:
                found.append(json.loads(await asyncio.wait_for(socket.recv(), 15)))
            await started
        return found

    async def all_of_it() -> None:
        assert await refused({})
        assert await refused(stranger)
        assert await refused({"Authorization": scoped.headers["authorization"]})
        events = await follow()
        assert events[0]["type"] == "event"
        assert behind.auth not in json.dumps(events)

    asyncio.run(all_of_it())


def _cookie(browser: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def test_when_prefect_is_away_the_answer_says_so(tmp_path: Path) -> None:
    with door(tmp_path) as made:
        answer = made.owner.get(f"{API}/flows/name/release")
        assert (answer.status_code, answer.json()["slug"]) == (502, "orchestrator-failed")
        assert made.owner.get("/prefect/v2/").status_code == 502


def test_every_process_of_ours_is_given_the_secret_by_its_environment_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    auth = prefect_auth(settings)
    for spec in stack_specs(settings):
        knows = [value for value in spec.environment.values() if auth in value]
        assert bool(knows) == (spec.name in {"prefect", "dispatcher", "api", "agent", "watch"}), spec.name
        assert not [part for part in spec.command() if auth in part]
