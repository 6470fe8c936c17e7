"""The generated client: it is what the document says, and it drives a release."""

import threading

import httpx
import pytest

from productops.cli import docs_client, docs_reference
from productops.client import ApiError, Client, NoAnswerError
from productops.domain.release import Phase
from tests.integration.test_api.support import TOKEN


@pytest.fixture
def client(api):
    with Client(api.url, TOKEN) as made:
        yield made


def test_the_client_is_what_the_document_says():
    assert docs_client.outdated(docs_reference.openapi()) == [], "run: make docs"


def test_every_operation_of_the_document_is_a_method(shared):
    document = shared.client.get("/openapi.json").json()
    names = [docs_client._snake(o["operationId"]) for path in document["paths"].values() for o in path.values()]
    assert [name for name in names if not hasattr(Client, name)] == []


def test_a_release_is_asked_for_followed_and_rolled_back(api, client):
    planned = client.plan_release("2.0", {"service": "shop"})
    assert (planned["version"], planned["baseline_version"]) == ("2.0", "1.0")
    release = client.request_release("2.0", {"service": "shop", "note": "from the client"})
    assert client.get_release(release["id"])["phase"] == "requested"
    threading.Timer(0.2, api.move, (release["id"], Phase.DEPLOYING)).start()
    told = []
    for event in client.stream_release_events(release["id"]):
        told.append(event)
        if event.type == "phase" and event.data["payload"]["to"] == "deploying":
            rolled_back = client.roll_back_release(release["id"], {"reason": "not today"})
            assert rolled_back["phase"] in {"rolling_back", "failed"}
            api.move(release["id"], *([Phase.ROLLED_BACK] if rolled_back["phase"] == "rolling_back" else []))
    assert [event.type for event in told][:2] == ["requested", "phase"]
    assert client.get_release(release["id"])["ended"]
    assert [r["id"] for r in client.each(client.list_releases, service="shop")] == [release["id"]]


def test_all_pages_of_a_list_are_gone_through(api, client):
    made = [client.report_incident({"title": f"harm {n}", "service": "shop"})["incident"]["incident_id"] for n in range(5)]
    assert [i["incident_id"] for i in client.each(client.list_incidents, limit=2)] == made[::-1]


def test_a_refusal_is_an_exception_with_its_slug(client):
    with pytest.raises(ApiError, match="no service 'nothing'") as caught:
        client.get_service("nothing")
    assert (caught.value.status, caught.value.slug) == (404, "not-found")
    with pytest.raises(ApiError) as caught:
        client.get_release("../../healthz")
    assert caught.value.status == 404


def test_no_server_is_an_exception_of_its_own():
    with Client("http://127.0.0.1:9", "t", tries=1) as client, pytest.raises(NoAnswerError):
        client.get_health()


def test_what_the_server_cannot_do_now_is_asked_again_with_the_same_key():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Idempotency-Key"])
        if len(asked) == 1:
            return httpx.Response(503, headers={"Retry-After": "0"}, json={"slug": "store-unavailable"})
        if len(asked) == 2:
            return httpx.Response(409, headers={"Retry-After": "0"}, json={"slug": "idempotency-in-flight"})
        return httpx.Response(202, json={"id": "1"})

    http = httpx.Client(base_url="http://test", transport=httpx.MockTransport(answer))
    with Client("http://test", "t", http=http) as client:
        assert client.request_release("2.0", {"service": "shop"})["id"] == "1"
    assert len(asked) == 3
    assert len(set(asked)) == 1


def test_a_stream_that_breaks_is_taken_up_where_it_was():
    places = []

    def answer(request: httpx.Request) -> httpx.Response:
        places.append(request.headers.get("Last-Event-ID"))
        if len(places) == 3:
            return httpx.Response(204)
        number = len(places)
        return httpx.Response(200, text=f'id: {number}\nevent: look\ndata: {{"n": {number}}}\n\n')

    http = httpx.Client(base_url="http://test", transport=httpx.MockTransport(answer))
    with Client("http://test", "t", http=http) as client:
        assert [event.data["n"] for event in client.stream_release_events("x")] == [1, 2]
    assert places == [None, "1", "2"]
