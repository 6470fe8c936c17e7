"""Freezes and change windows over HTTP."""

from datetime import timedelta

import httpx
import pytest
from icalendar import Calendar

from productops.adapters.calendar_sources import CalendarSources
from productops.adapters.calendar_writing import write_feed
from productops.adapters.catalog_files import load_catalog
from productops.domain.governance_access import Grant, Role
from productops.domain.release_windows_feed import FeedEntry
from productops.usecases.catalog import apply_catalog
from productops.usecases.release_windows_refresh import refresh_calendars
from tests.integration.test_api.support import OPS, client_of, person_token
from tests.support import SOMEBODY

WINDOWS = f"{OPS}/windows"
CATALOG = """
apiVersion: productops/v1
kind: Venture
metadata: {name: apollo}
---
apiVersion: productops/v1
kind: Calendar
metadata: {name: holidays, venture: apollo}
spec: {effect: freeze, source: {kind: file, path: holidays.ics}}
"""


def by(served, name):
    return {"Authorization": f"Bearer {person_token(served.context, name, Grant(Role.RELEASE_MANAGER))}"}


def freeze(context, folder):
    """Everything of apollo is frozen since an hour, for two more."""
    now = context.clock.now().replace(microsecond=0)
    hour = timedelta(hours=1)
    (folder / "holidays.ics").write_bytes(
        write_feed("x", [FeedEntry("e", "Year-end closing", "", now - hour, now + 2 * hour, now, ("audit",), "CONFIRMED")])
    )
    (folder / "catalog.yaml").write_text(CATALOG)
    apply_catalog(context, load_catalog(folder), actor=SOMEBODY)
    refresh_calendars(context, CalendarSources(), actor=SOMEBODY)


@pytest.fixture
def frozen(api, tmp_path_factory):
    freeze(api.context, tmp_path_factory.mktemp("catalog"))
    return api


def test_a_release_during_a_freeze_is_a_problem_that_names_the_event_and_the_next_opening(frozen):
    answer = frozen.ask()
    problem = answer.json()
    assert (answer.status_code, problem["slug"], problem["event"]) == (409, "change-frozen", "Year-end closing")
    assert problem["next_at"] == problem["ends_at"]
    assert frozen.orchestrator.releases == {}


def test_a_release_may_be_asked_to_wait_and_says_until_when(frozen):
    answer = frozen.ask(start="next-window")
    assert answer.status_code == 202
    assert (answer.json()["phase"], answer.json()["flow_run"]) == ("requested", None)
    assert answer.json()["plan"]["starts_at"]
    assert frozen.orchestrator.releases == {}


def test_windows_calendars_and_the_next_opening_are_read(frozen):
    listed = frozen.client.get(WINDOWS, params={"service": "shop", "label": "audit"}).json()
    assert [e["title"] for e in listed["events"]] == ["Year-end closing"]
    assert listed["calendars"][0]["age_s"] < 60
    assert frozen.client.get(f"{WINDOWS}/calendars/holidays").json()["calendars"][0]["error"] == ""
    assert frozen.client.get(f"{WINDOWS}/calendars/parties").status_code == 404
    opening = frozen.client.get(f"{WINDOWS}/next", params={"service": "shop"}).json()
    assert (opening["open"], opening["next_at"]) == (False, listed["events"][0]["ends_at"])
    assert frozen.client.post(f"{WINDOWS}/refresh").json()["items"] == [{"name": "holidays", "outcome": "unchanged", "error": ""}]


def test_two_people_let_a_release_start(frozen):
    body = {"service": "shop", "reason": "customers cannot pay"}
    asked = frozen.client.post(f"{WINDOWS}/bypasses", json=body, headers=by(frozen, "ann")).json()
    approve = f"{WINDOWS}/bypasses/{asked['id']}/approve"
    assert frozen.client.post(approve, json={}, headers=by(frozen, "ann")).json()["slug"] == "self-approval"
    assert frozen.client.post(approve, json={}, headers=by(frozen, "bob")).json()["state"] == "approved"
    answer = frozen.ask(bypass=asked["id"])
    assert answer.status_code == 202
    assert list(frozen.orchestrator.releases) == [answer.json()["id"]]
    listed = frozen.client.get(f"{WINDOWS}/bypasses").json()["items"]
    assert [(b["state"], b["asked_by"], b["approved_by"]) for b in listed] == [("used", "ann", "bob")]
    assert frozen.client.get(f"{WINDOWS}/bypasses/{asked['id']}").json()["used_by"] == f"release/{answer.json()['id']}"


def test_callers_without_a_name_are_one_person(frozen):
    asked = frozen.client.post(f"{WINDOWS}/bypasses", json={"service": "shop", "reason": "x"}).json()
    assert frozen.client.post(f"{WINDOWS}/bypasses/{asked['id']}/approve", json={}).status_code == 403


@pytest.mark.parametrize("path", ["x", "not-an-id/approve"])
def test_a_bypass_that_does_not_exist_is_not_found(shared, path):
    method = shared.client.post if path.endswith("approve") else shared.client.get
    assert method(f"{WINDOWS}/bypasses/{path}", **({"json": {}} if path.endswith("approve") else {})).status_code == 404


def test_the_feed_is_read_with_its_key_alone_and_parsed_by_others(frozen):
    frozen.ask(start="next-window")
    url = frozen.client.get(f"{WINDOWS}/feed", params={"venture": "apollo"}).json()["url"]
    with client_of(frozen.settings, token=None) as anybody:
        answer = anybody.get(url)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
        again = anybody.get(url, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
        for wrong in (url[:-1], url.replace("production.ics", "staging.ics"), url.partition("?")[0]):
            assert anybody.get(wrong).status_code == 401
        assert anybody.get(url.replace("production.ics", "moon.ics")).status_code == 404
        assert anybody.get(WINDOWS).status_code == 401
    feed = Calendar.from_ical(answer.content)
    assert [str(e["SUMMARY"]) for e in feed.events] == ["Freeze: Year-end closing", "Planned release: shop 2.0"]
    assert str(feed["X-WR-CALNAME"]) == "apollo production: changes"
    assert all({"UID", "DTSTAMP", "DTSTART", "DTEND"} <= set(e) for e in feed.events)
    assert not any(e.errors for e in feed.events)


def test_the_feed_of_a_venture_that_does_not_exist_is_not_found(shared: object):
    client: httpx.Client = shared.client
    assert client.get(f"{WINDOWS}/feed", params={"venture": "gemini"}).status_code == 404
