"""What holds for every route alike."""

import json
import socket
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from productops.api.deprecation import going
from productops.api.document import completed
from productops.api.paging import cut, decode, encode
from productops.errors import InvalidInputError
from tests.integration.test_api.support import OPS

READS = (f"{OPS}/services/shop", f"{OPS}/services", f"{OPS}/releases", f"{OPS}/audit", "/openapi.json", f"{OPS}/windows")


@pytest.mark.parametrize("path", READS)
def test_every_document_has_an_etag_and_is_not_sent_twice(shared, path):
    first = shared.client.get(path)
    assert (first.status_code, first.headers["Cache-Control"]) == (200, "private, no-cache")
    known = shared.client.get(path, headers={"If-None-Match": f'"other", {first.headers["ETag"]}'})
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert shared.client.get(path, headers={"If-None-Match": "*"}).status_code == 304
    assert shared.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_an_etag_changes_with_the_document(api):
    path = f"{OPS}/releases"
    before = api.client.get(path).headers["ETag"]
    api.asked()
    after = api.client.get(path, headers={"If-None-Match": before})
    assert (after.status_code, len(after.json()["items"])) == (200, 1)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", *READS])
def test_head_says_what_get_would_without_the_body(shared, path):
    got, asked = shared.client.get(path), shared.client.head(path)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-length"] == got.headers["content-length"]
    assert asked.headers.get("ETag") == got.headers.get("ETag")


def test_options_names_the_methods_of_a_path(shared):
    answer = shared.client.options(f"{OPS}/flags/x")
    assert (answer.status_code, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, PATCH, PUT")
    assert shared.client.options(f"{OPS}/nothing").status_code in {404, 405}


@pytest.mark.parametrize("method", ["DELETE", "TRACE", "PROPFIND", "POST"])
def test_a_method_that_a_path_has_not_is_refused_with_those_it_has(shared, method):
    answer = shared.client.request(method, f"{OPS}/flags/x")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PATCH, PUT")


def test_every_documented_path_is_known_to_the_conventions(shared):
    document = shared.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        allow = shared.client.options(path.replace("{", "").replace("}", "")).headers["Allow"].split(", ")
        assert {method.upper() for method in operations} <= set(allow), path


@pytest.mark.parametrize("trailing", [b" x", b"{}", b"\x00", b",", b"]"])
def test_something_behind_a_body_is_refused(shared, trailing):
    content = json.dumps({"service": "shop"}).encode() + trailing
    answer = shared.client.post(f"{OPS}/release/2.0/plan", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize(("path", "size", "status"), [(f"{OPS}/release/2.0/plan", 140_000, 413), (f"{OPS}/flags", 900_000, 422)])
def test_how_much_a_body_may_hold_depends_on_the_operation(shared, path, size, status):
    answer = shared.client.post(path, json={"note": "x" * size})
    assert answer.status_code == status, answer.text[:200]
    if status == 413:
        assert "131,072 bytes" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/merge-patch+json", "APPLICATION/JSON"])
def test_json_under_its_other_names_is_taken(shared, kind):
    answer = shared.client.post(f"{OPS}/release/2.0/plan", content=b'{"service": "shop"}', headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=0.1", "nonsense", "*/*;q=0"])
def test_what_a_caller_would_rather_have_changes_nothing(shared, accept):
    answer = shared.client.get(f"{OPS}/services", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


def test_a_request_that_is_no_http_is_refused_and_others_go_on(shared):
    with socket.create_connection(("127.0.0.1", shared.settings.api_port), timeout=5) as connection:
        connection.sendall(b"\x16\x03\x01nonsense\r\n\r\n")
        assert b"400" in connection.recv(1000)
    assert shared.client.get("/healthz").status_code == 200


def old_and_new():
    app, router = FastAPI(), APIRouter()

    @router.get("/old", **going(since=date(2026, 11, 21), sunset=date(2027, 6, 1), successor="/api/v2/new"))
    async def old() -> dict[str, int]:
        return {"n": 1}

    app.include_router(router)
    return app


async def test_an_operation_that_will_go_says_so_and_when():
    app = old_and_new()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/old")
    assert answer.json() == {"n": 1}
    assert datetime.fromtimestamp(int(answer.headers["Deprecation"].removeprefix("@")), UTC) == datetime(2026, 11, 21, tzinfo=UTC)
    assert parsedate_to_datetime(answer.headers["Sunset"]) == datetime(2027, 6, 1, tzinfo=UTC)
    assert '</api/v2/new>; rel="successor-version"' in answer.headers["Link"]
    assert completed(app.openapi())["paths"]["/old"]["get"]["deprecated"] is True


def test_half_a_year_of_notice_is_the_least():
    with pytest.raises(ValueError, match="180 days"):
        going(since=date(2026, 11, 21), sunset=date(2027, 1, 1), successor="/x")


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!!", "bnVsbA", "W10", "WyJhIiwgImIiXQ", "WzFd", encode("a\0b"), encode("\ud800"), "W1tb" * 120]
)
def test_a_cursor_that_no_page_gave_is_refused(cursor):
    with pytest.raises(InvalidInputError, match="to the letter"):
        decode(cursor)


def test_cursors_lead_through_a_list_to_its_end():
    everything, seen, after = [f"k{n:02}" for n in range(10)], [], None
    while True:
        begin = everything.index(decode(after)[0]) + 1 if after else 0
        page, after = cut(everything[begin : begin + 4], 3, lambda key: [key])
        seen += page
        if after is None:
            break
    assert seen == everything
