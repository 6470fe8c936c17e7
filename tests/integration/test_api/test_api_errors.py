"""What goes wrong is told as problem+json, to whom it may be told, and never more than they need."""

import asyncio
import json
import socket
import sqlite3
from contextlib import closing

import httpx
import pytest
from fastapi import FastAPI, Request

from productops.api import problems
from productops.api.access import Authenticator, InstallationToken, StoredTokens
from productops.api.middleware import Gate
from productops.domain.catalog import ServiceSpec
from tests.integration.test_api.support import DEPLOYMENTS, OPS, client_of, put_service
from tests.support import service_spec

PROBLEM = "application/problem+json"
SOME_ID = "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"


def is_problem(answer, status, slug):
    document = answer.json()
    return (answer.status_code, document["slug"], document["status"], answer.headers["content-type"]) == (status, slug, status, PROBLEM)


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", "Basic a-token-for-tests-only", "a-token-for-tests-only", "Bearer a-token", b"Bearer \xff"],
)
@pytest.mark.parametrize(
    "path", [f"{OPS}/releases", f"{OPS}/releases/{SOME_ID}/events", f"{DEPLOYMENTS}/x", "/nowhere", "/healthz/", "//healthz"]
)
def test_without_the_token_nothing_is_told(shared, authorization, path):
    headers = {} if authorization is None else {"Authorization": authorization}
    with client_of(shared.settings, token=None) as stranger:
        answer = stranger.get(f"{shared.url}{path}", headers=headers)
    assert is_problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_without_the_token_a_body_is_not_even_read(shared):
    with client_of(shared.settings, token=None) as stranger:
        assert is_problem(stranger.post(f"{OPS}/release/2.0", content=b"{" * 1000), 401, "unauthorized")


def test_the_token_is_accepted_with_any_spelling_of_the_scheme(shared):
    assert shared.client.get(f"{OPS}/releases", headers={"Authorization": "bearer a-token-for-tests-only"}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/errors"])
def test_health_and_documents_need_no_token(shared, path):
    with client_of(shared.settings, token=None) as stranger:
        assert stranger.get(path).status_code == 200
        if path.endswith("z"):
            assert stranger.head(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/docs/", "/redoc", f"{OPS}/nothing", f"{OPS}/releases/", f"{OPS}/release/a/b/c", f"{OPS}/releases/%2e%2e/x"]
)
def test_an_unknown_path_is_a_problem(shared, path):
    assert is_problem(shared.client.get(path), 404, "not-found")


def test_a_wrong_method_is_a_problem_that_names_the_right_one(shared):
    answer = shared.client.delete(f"{OPS}/releases")
    assert is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_every_answer_has_an_id_and_safe_headers(shared):
    for path in ("/healthz", "/nowhere", f"{OPS}/releases", "/docs/errors"):
        answer = shared.client.get(path, headers={"X-Request-Id": "mine-1"})
        assert answer.headers["X-Request-Id"] == "mine-1"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "server" not in answer.headers
    assert shared.client.get("/nowhere", headers={"X-Request-Id": "mine-2"}).json()["request_id"] == "mine-2"
    hostile = shared.client.get("/nowhere", headers={"X-Request-Id": "a b<script>"})
    assert len(hostile.headers["X-Request-Id"]) == 32


def test_an_invalid_body_names_each_wrong_field_and_no_value(shared):
    body = {"service": "Shop!", "hold_s": "soon", "weights_pct": [True], "surprise": "my secret", "force_downgrade": "yes"}
    answer = shared.client.post(f"{OPS}/release/2.0", json=body)
    assert is_problem(answer, 422, "invalid-input")
    fields = {e["field"] for e in answer.json()["errors"]}
    assert fields == {"service", "hold_s", "weights_pct.0", "surprise", "force_downgrade"}
    assert "my secret" not in answer.text
    assert "pydantic" not in answer.text


def test_a_body_with_thousands_of_wrong_fields_gets_a_short_answer(shared):
    answer = shared.client.post(f"{OPS}/release/2.0", json={f"f{n}" * 40: n for n in range(500)})
    assert is_problem(answer, 422, "invalid-input")
    assert len(answer.json()["errors"]) == 20
    assert "498 more" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"not json", 422),
        (b'{"service": "shop"', 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b"[" * 100_000, 400),
        (b'{"a":' * 20_000, 400),
        (b'{"service": "sh\x00op"}', 422),
        (b'{"service": "shop", "note": "\\u0000"}', 422),
        (b'{"service": "shop", "note": "\\ud800"}', 422),
        (b'{"service": "\\ud800"}', 422),
        (b'{"service": "shop", "\\ud800": 1}', 422),
        (b'{"service": "shop", "hold_s": NaN}', 422),
        (b'{"service": "shop", "hold_s": Infinity}', 422),
        (b'{"service": "shop", "hold_s": 1e999}', 422),
        (b'{"service": "shop", "weights_pct": [' + b"9" * 5000 + b"]}", 400),
        (b'{"service": "shop", "weights_pct": [' + b"1," * 5000 + b"2]}", 422),
        (b"\xff\xfe\x00", 400),
        (b'{"service": "' + "ш".encode() * 100 + b'"}', 422),
    ],
)
def test_a_hostile_body_is_refused(shared, content, status):
    for path in (f"{OPS}/release/2.0", DEPLOYMENTS):
        answer = shared.client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert is_problem(answer, status, {400: "bad-request", 422: "invalid-input"}[status]), answer.text


def test_a_body_of_another_type_is_refused(shared):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = shared.client.post(f"{OPS}/release/2.0", content=b'{"service": "shop"}', headers={"Content-Type": kind})
        assert is_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "version",
    [
        "..", "...", "%00", "1%00", "..%2f..%2fetc%2fpasswd", "a%5cb", "%0a1.0", "-rf", ".hidden", "1.0;id", "$(id)", "x" * 101,
        "%F0%9F%92%A3", "%FF", "1..0",
    ],
)  # fmt: skip
def test_a_hostile_version_is_refused(shared, version):
    answer = raw(shared, "POST", f"{OPS}/release/{version}", b'{"service": "shop"}')
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == PROBLEM
    assert shared.client.get(f"{OPS}/releases").json()["items"] == []


@pytest.mark.parametrize("release_id", ["x", "..", "%00", "'%20or%201=1", "9" * 3000, "%F0%9F%92%A3", SOME_ID, "{" + SOME_ID + "}"])
def test_an_unknown_release_is_not_found_on_every_route(shared, release_id):
    for path in (f"{OPS}/releases/{release_id}", f"{OPS}/releases/{release_id}/analysis", f"{OPS}/releases/{release_id}/events"):
        assert raw(shared, "GET", path).status_code == 404
    for path in (f"{OPS}/releases/{release_id}/rollback", f"{OPS}/releases/{release_id}/resume", f"{DEPLOYMENTS}/{release_id}/rollback"):
        assert raw(shared, "POST", path, b'{"reason": "x"}').status_code == 404
    assert raw(shared, "GET", f"{DEPLOYMENTS}/{release_id}").status_code == 404


def test_a_huge_body_is_refused_whether_it_says_its_length_or_not(shared):
    huge = b'{"service": "shop", "note": "' + b"x" * 2_000_000 + b'"}'
    chunks = (huge[i : i + 65_536] for i in range(0, len(huge), 65_536))
    for content in (huge, chunks):
        answer = shared.client.post(f"{OPS}/release/2.0", content=content, headers={"Content-Type": "application/json"})
        assert is_problem(answer, 413, "body-too-large")
    lying = raw(shared, "POST", f"{OPS}/release/2.0", b"", length="99999999999999999999")
    assert lying.status_code == 413


async def test_a_body_that_does_not_come_is_not_waited_for():
    app = FastAPI()
    problems.install(app)

    @app.post("/")
    async def read(request: Request) -> int:
        return len(await request.body())

    sent = []

    async def never():
        await asyncio.sleep(3600)

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", b"Bearer t"), (b"content-length", b"5"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": headers}
    await asyncio.wait_for(
        Gate(app, Authenticator(InstallationToken("t"), StoredTokens(lambda: None)), body_timeout_s=0.05)(scope, never, send), timeout=5
    )
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["slug"] == "body-timeout"


def test_a_repository_that_does_not_answer_is_a_failed_dependency(api, tmp_path):
    spec = service_spec().model_dump()
    spec["run"]["versions"] = {"kind": "git", "repository": "http://127.0.0.1:9/nothing.git"}
    put_service(api.context, tmp_path, name="remote", spec=ServiceSpec.model_validate(spec))
    assert is_problem(api.ask(service="remote"), 502, "dependency-failed")


def test_an_error_nobody_foresaw_tells_nothing_of_the_inside(api):
    api.orchestrator.broken = True
    answer = api.ask()
    assert is_problem(answer, 500, "internal")
    assert "inside" not in answer.text
    assert "Error" not in answer.json()["detail"]
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]


def test_a_database_that_fails_is_a_503_to_be_repeated_without_a_word_to_strangers(api):
    rename(api, "releases", "away")
    answer = api.client.get(f"{OPS}/releases")
    assert is_problem(answer, 503, "store-unavailable")
    assert answer.headers["Retry-After"] == "1"
    for path in ("/healthz", "/readyz"):
        health = api.client.get(path)
        assert is_problem(health, 503, "store-unavailable")
        assert "table" not in health.text
    rename(api, "away", "releases")
    assert api.client.get("/healthz").json() == {"status": "ok"}


def test_a_database_of_another_schema_is_alive_but_not_ready(api):
    execute(api, "UPDATE alembic_version SET version_num = 'other'")
    assert api.client.get("/healthz").status_code == 200
    answer = api.client.get("/readyz")
    assert is_problem(answer, 503, "store-unavailable")
    assert "schema" in answer.json()["detail"]


def test_every_kind_of_error_is_explained_where_its_type_leads(shared):
    page = shared.client.get("/docs/errors")
    assert page.headers["content-type"].startswith("text/html")
    for slug in ("release-in-flight", "not-found", "body-too-large", "internal", "store-unavailable", "method-not-allowed"):
        assert f'id="{slug}"' in page.text
    for path in ("/docs", "/docs/errors"):
        assert "://" not in shared.client.get(path).text, "a page loads nothing from elsewhere"
    assert "POST /api/v1/product-ops/release/{version}" in shared.client.get("/docs").text


def test_the_openapi_document_tells_operations_errors_and_the_token(shared):
    document = shared.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = {o["operationId"]: o for path in document["paths"].values() for o in path.values()}
    assert {
        "requestRelease", "planRelease", "listReleases", "getRelease", "getReleaseAnalysis", "streamReleaseEvents", "rollBackRelease",
        "resumeRelease", "listServices", "getService", "rollBackService", "initiateDeployment", "monitorDeployment", "rollbackDeployment",
        "getHealth", "getReadiness", "pauseRelease", "backtestReleases", "drawReleasePlan", "sendMetrics", "reportIncident",
        "getIncidentStatus", "resolveIncident",
    } <= set(operations)  # fmt: skip
    assert operations["getHealth"]["security"] == []
    assert operations["requestRelease"]["security"] == [{"token": []}]
    problems = [o for path, each in document["paths"].items() if not path.startswith("/ofrep/") for o in each.values()]
    for operation in problems:  # OFREP has errors of its own
        for status, answer in operation["responses"].items():
            assert status[0] in "23" or PROBLEM in answer["content"]
    assert "HTTPValidationError" not in json.dumps(document)
    assert document["components"]["schemas"]["ReleaseBody"]["additionalProperties"] is False


def raw(api, method, path, body=b"", *, length=None):
    """A request whose path no client library has tidied up."""
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-for-tests-only\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length or len(body)}\r\n\r\n"
    ).encode() + body
    with socket.create_connection(("127.0.0.1", api.settings.api_port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    head, _, content = received.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    headers = [tuple(f.split(": ", 1)) for f in fields]
    return httpx.Response(int(status.split()[1]), headers=headers, content=content)


def rename(api, old, new):
    execute(api, f"ALTER TABLE {old} RENAME TO {new}")


def execute(api, statement):
    with closing(sqlite3.connect(api.settings.sqlalchemy_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute(statement)
