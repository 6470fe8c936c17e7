"""The orchestrator port over HTTP, against a small server that speaks Prefect's protocol."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from productops.adapters.prefect_api import PrefectApi
from productops.errors import OrchestratorError
from tests.integration.test_api.support import free_ports


@dataclass
class PrefectLike:
    """What of Prefect's server the adapter meets. ``busy``: how many answers to come are 503."""

    csrf: bool = True
    busy: int = 0
    hang_s: float = 0.0
    refuse: tuple[int, str] | None = None
    deployments: dict[str, str] = field(default_factory=lambda: {"release/release": "d-1", "rollback/rollback": "d-2"})
    tokens: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, object]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, target: str, headers: dict[str, str], body: dict[str, object]) -> tuple[int, object]:
        url = urlsplit(target)
        with self.lock:
            self.seen.append(f"{method} {url.path}")
            if self.busy > 0:
                self.busy -= 1
                return 503, {"exception_message": "database is locked"}
            if url.path == "/api/csrf-token":
                return self._token(parse_qs(url.query)["client"][0])
            if (
                method == "POST"
                and self.csrf
                and self.tokens.get(headers.get("prefect-csrf-client", "")) != headers.get("prefect-csrf-token", "-")
            ):
                return 403, {"detail": "Invalid CSRF token or client identifier."}
            if url.path.startswith("/api/deployments/name/"):
                found = self.deployments.get(url.path.removeprefix("/api/deployments/name/"))
                return (200, {"id": found}) if found else (404, {"detail": "Deployment not found"})
            return self._create(url.path.split("/")[3], body)

    def _token(self, client: str) -> tuple[int, object]:
        if not self.csrf:
            return 422, {"detail": "CSRF protection is disabled."}
        self.tokens[client] = f"token-{len(self.seen)}"
        return 200, {"token": self.tokens[client], "client": client}

    def _create(self, deployment: str, body: dict[str, object]) -> tuple[int, object]:
        if self.refuse:
            return self.refuse[0], {"detail": self.refuse[1]}
        if deployment not in self.deployments.values():
            return 404, {"detail": "Deployment not found"}
        key = str(body["idempotency_key"])
        known = key in self.runs
        self.runs.setdefault(key, body | {"deployment": deployment})
        return (200 if known else 201), {"id": f"run-{list(self.runs).index(key)}"}


@pytest.fixture
def prefect() -> Iterator[tuple[PrefectLike, PrefectApi]]:
    like = PrefectLike()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            time.sleep(like.hang_s)
            status, document = like.answer(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(BrokenPipeError):  # the caller's patience ended
                self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name http.server calls

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    api = PrefectApi(f"http://127.0.0.1:{server.server_port}/api")
    yield like, api
    api.close()
    server.shutdown()
    server.server_close()


def test_a_release_is_scheduled_once_with_its_parameters(prefect):
    like, api = prefect
    assert api.start_release("r1", {"release_id": "r1", "service": "shop"}) == "run-0"
    assert api.start_release("r1", {"release_id": "r1", "service": "shop"}) == "run-0"
    run = like.runs["release-r1"]
    assert (run["deployment"], run["parameters"]) == ("d-1", {"release_id": "r1", "service": "shop"})
    assert run["state"]["type"] == "SCHEDULED"
    assert like.seen.count("GET /api/deployments/name/release/release") == 1, "the deployment is looked up once"
    assert like.seen.count("GET /api/csrf-token") == 1


def test_a_rollback_is_scheduled_once_per_key(prefect):
    like, api = prefect
    assert api.start_rollback({"service": "shop"}, key="k") == api.start_rollback({"service": "shop"}, key="k")
    assert like.runs["k"]["deployment"] == "d-2"


def test_the_run_is_seen_in_prefects_ui():
    assert PrefectApi("http://127.0.0.1:8701/api").run_url("x") == "http://127.0.0.1:8701/runs/flow-run/x"
    assert PrefectApi("http://127.0.0.1:8701/api", "https://ops.example/").run_url("x") == "https://ops.example/runs/flow-run/x"


def test_a_locked_database_is_waited_for(prefect):
    like, api = prefect
    like.busy = 4
    assert api.start_release("r1", {}) == "run-0"


def test_a_server_that_stays_busy_is_an_error_after_some_seconds(prefect):
    like, api = prefect
    api._patience_s = 0.5
    like.busy = 10_000
    started = time.monotonic()
    with pytest.raises(OrchestratorError, match="503"):
        api.start_release("r1", {})
    assert time.monotonic() - started < 2


def test_a_server_that_is_not_there_is_an_error_after_some_seconds():
    api = PrefectApi(f"http://127.0.0.1:{free_ports()}/api", patience_s=0.4)
    started = time.monotonic()
    with pytest.raises(OrchestratorError, match="did not answer"):
        api.start_release("r1", {})
    assert time.monotonic() - started < 2
    api.close()


def test_a_server_that_hangs_does_not_hold_the_caller_for_long(prefect):
    like, api = prefect
    api._timeout_s, api._patience_s = 0.6, 0.3
    like.hang_s = 3
    started = time.monotonic()
    with pytest.raises(OrchestratorError):
        api.start_release("r1", {})
    assert time.monotonic() - started < 1.5


def test_an_expired_csrf_token_is_fetched_anew(prefect):
    like, api = prefect
    api.start_release("r1", {})
    like.tokens.clear()
    assert api.start_release("r2", {}) == "run-1"
    assert like.seen.count("GET /api/csrf-token") == 2


def test_csrf_protection_may_be_off_and_be_switched_on_later(prefect):
    like, api = prefect
    like.csrf = False
    api.start_release("r1", {})
    api.start_release("r2", {})
    assert like.seen.count("GET /api/csrf-token") == 1, "that it is off is remembered"
    like.csrf = True
    assert api.start_release("r3", {}) == "run-2"


def test_a_deployment_that_was_registered_anew_is_found_again(prefect):
    like, api = prefect
    api.start_release("r1", {})
    like.deployments["release/release"] = "d-9"
    api.start_release("r2", {})
    assert like.runs["release-r2"]["deployment"] == "d-9"


def test_a_deployment_that_was_never_registered_is_named(prefect):
    like, api = prefect
    like.deployments.clear()
    with pytest.raises(OrchestratorError, match=r"release/release.*productops up"):
        api.start_release("r1", {})


def test_a_refused_run_tells_what_prefect_said(prefect):
    like, api = prefect
    like.refuse = (409, "Validation failed for field 'service'")
    with pytest.raises(OrchestratorError, match="409: Validation failed for field 'service'"):
        api.start_release("r1", {})


def test_many_threads_may_start_releases_at_once(prefect):
    like, api = prefect
    with ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(lambda n: api.start_release(f"r{n % 8}", {}), range(32)))
    assert len(set(runs)) == len(like.runs) == 8
