"""Usage events over HTTP: in, on the disk, sorted into days, read, erased."""

from __future__ import annotations

import gzip
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from productops.adapters.analytics_events_segments import SegmentWriter, frame_of, segments
from productops.domain.analytics_events import COLUMNS, ErasureState, person_number
from productops.domain.catalog_analytics_events import TrackingPlanEntry
from productops.domain.catalog_flags import FlagSpec
from productops.domain.governance_access import Grant, Role
from productops.domain.release import Environment
from productops.settings import Settings
from productops.usecases.analytics_events_declared import DeclaredTrackingPlan, put_tracking_plans
from productops.usecases.analytics_events_erase import erase_some, request_erasure
from productops.usecases.analytics_events_folder import folder_of, holding, take_lease, who_we_are
from productops.usecases.analytics_events_read import event_files, put_events, read_events
from productops.usecases.analytics_events_sort import sort_in
from productops.usecases.analytics_events_tidy import delete_replaced, merge_some, tidy
from productops.usecases.analytics_events_work import EventWork
from productops.usecases.context import Context
from productops.usecases.release_flags_change import create_flag, ramp_flag
from tests.integration.test_api.support import OPS, TOKEN, client_of, free_ports, person_token, serving, wait_until
from tests.support import SOMEBODY, make_context, sqlite_url

EVENTS = f"{OPS}/events"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
SECRET = b"a-secret-for-tests"


@dataclass
class Door:
    context: Context
    settings: Settings
    client: httpx.Client

    def send(self, *events: dict[str, Any], venture: str = "apollo", **more: Any) -> httpx.Response:
        return self.client.post(EVENTS, json={"venture": venture, "batch": list(events)} | more)


def event(
    name: str = "checkout.completed", person: str = "u-1", *, id_: str | None = None, at: datetime | None = None, **properties: Any
) -> dict[str, Any]:
    made: dict[str, Any] = {"event": name, "userId": person, "messageId": id_ or str(uuid.uuid4()), "properties": properties}
    return made | ({"timestamp": at.isoformat()} if at is not None else {})


def count(context: Context, name: str | None = None, *, since: datetime = NOW - 40 * DAY) -> int:
    found = read_events(context, "apollo", since=since, until=NOW + 2 * DAY, columns=["event_id"], names=[name] if name else None)
    return int(found.num_rows)


def sort_all(context: Context) -> None:
    """Have everything sorted in, by us or by the API's child."""
    work = EventWork(context, who_we_are(), 400)

    def none_waits() -> bool:
        work.turn()
        return not segments(folder_of(context).incoming)

    wait_until(none_waits, timeout_s=90)
    work.end()


@pytest.fixture
def events_context(tmp_path: Path) -> Iterator[Context]:
    made = replace(make_context(sqlite_url(tmp_path)), analytics_folder=tmp_path / "analytics")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("events")
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder))  # type: ignore[arg-type]
    context = replace(make_context(sqlite_url(folder)), analytics_folder=settings.analytics_folder)
    with serving(context, settings), client_of(settings) as client:
        yield Door(context, settings, client)


def test_what_is_accepted_is_read_at_once_and_in_files_of_its_day_within_seconds(door: Door) -> None:
    name = "story.sorted"
    late = NOW - timedelta(days=3)
    answer = door.send(event(name, id_="s-1"), event(name, id_="s-2", at=late), event(name, id_="s-1"))
    assert answer.status_code == 202, answer.text
    assert {k: answer.json()[k] for k in ("accepted", "duplicates", "refused")} == {"accepted": 2, "duplicates": 1, "refused": []}
    assert count(door.context, name) == 2
    # By the child of the API, without our doing.
    wait_until(lambda: len(event_files(door.context, "apollo", since=NOW - 4 * DAY, until=NOW + DAY)) >= 2, timeout_s=120)
    days = {each.day for each in event_files(door.context, "apollo", since=NOW - 4 * DAY, until=NOW + DAY)}
    assert {late.date(), datetime.now(UTC).date()} <= days
    assert count(door.context, name) == 2
    again = door.send(event(name, id_="s-1"), event(name, id_="s-2", at=late)).json()
    assert (again["accepted"], again["duplicates"]) == (0, 2)


def test_one_bad_event_does_not_lose_the_others(door: Door) -> None:
    good, late = event("story.good"), event("story.bad", at=NOW + 3 * DAY)
    answer = door.send(good, {"event": "story.bad"}, late, {"type": "weird", "userId": "u"}, event("story.good"))
    found = answer.json()
    assert (answer.status_code, found["accepted"], found["refused_total"]) == (202, 2, 3)
    assert [each["index"] for each in found["refused"]] == [1, 2, 3]
    assert "userId" in found["refused"][0]["reason"]
    wait_until(lambda: bool(door.client.get(f"{EVENTS}/status", params={"venture": "apollo"}).json()["refusals"]), timeout_s=60)


def test_segments_calls_lines_and_gzip_are_understood(door: Door) -> None:
    calls = [
        {"type": "page", "anonymousId": "a-1", "name": "Pricing", "messageId": "c-1",
         "context": {"page": {"path": "/pricing"}, "ip": "203.0.113.9"}},
        {"type": "identify", "userId": "u-9", "anonymousId": "a-1", "traits": {"plan": "free"}, "messageId": "c-2"},
        {"type": "alias", "userId": "u-9", "previousId": "a-0", "messageId": "c-3"},
    ]  # fmt: skip
    body = gzip.compress("\n".join(json.dumps(each) for each in [*calls, calls[0]]).encode() + b"\nno json\n")
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    answer = door.client.post(EVENTS, params={"venture": "apollo"}, content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    found = answer.json()
    assert (found["accepted"], found["duplicates"], found["refused"]) == (3, 1, [{"index": 4, "reason": "the line is no JSON"}])
    table = read_events(door.context, "apollo", since=NOW - DAY, until=NOW + DAY, columns=["person_key", "name", "properties"])
    rows = {(row["name"], row["person_key"]): json.loads(row["properties"]) for row in table.to_pylist()}
    assert rows["$pageview", "a-1"] == {"name": "Pricing", "$path": "/pricing"}
    assert rows["$identify", "u-9"]["anonymous_id"] in {"a-1", "a-0"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (gzip.compress(b" " * 50_000_000), {"content-encoding": "gzip"}, 413),
        (b"no gzip", {"content-encoding": "gzip"}, 400),
        (gzip.compress(b"[]" * 1000)[:-9], {"content-encoding": "gzip"}, 400),
        (b"[]", {"content-encoding": "br"}, 415),
        (b"[", {}, 422),
        (b'"text"', {}, 422),
        (b"[" + b"{}," * 10_001 + b"{}]", {}, 422),
        (b"x" * 1_100_000, {}, 413),
        (b"[" * 100_000, {}, 422),
    ],
    ids=["bomb", "no gzip", "cut short", "unknown encoding", "half", "text", "too many", "too long", "too deep"],
)  # fmt: skip
def test_hostile_bodies_are_refused(door: Door, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = door.client.post(EVENTS, params={"venture": "apollo"}, content=body, headers={"content-type": "application/json"} | headers)
    assert answer.status_code == status, answer.text


def test_only_who_may_write_sends_and_only_to_ventures_that_exist(door: Door) -> None:
    viewer = person_token(door.context, "vera", Grant(Role.VIEWER, "apollo"))
    writer = person_token(door.context, "app", Grant(Role.DEVELOPER, "apollo"))
    with client_of(door.settings, viewer) as client:
        assert client.post(EVENTS, json={"venture": "apollo", "batch": [event()]}).status_code == 403
        assert client.get(f"{EVENTS}/schema", params={"venture": "apollo"}).status_code == 200
    with client_of(door.settings, writer) as client:
        assert client.post(EVENTS, json={"venture": "apollo", "batch": [event()]}).status_code == 202
        assert client.post(EVENTS, json={"venture": "gemini", "batch": [event()]}).status_code == 403
        assert client.post(f"{EVENTS}/erasures", json={"venture": "apollo", "person": "u-1"}).status_code == 403
    assert door.send(event(), venture="nowhere").status_code == 404
    assert door.client.post(EVENTS, json=[event()]).json()["refused"][0]["reason"].startswith("it names no venture")
    assert door.client.post(EVENTS, json=[event() | {"venture": "apollo"}]).json()["accepted"] == 1


def test_schema_and_tail_show_what_came(door: Door) -> None:
    door.send(event("story.schema", plan="free", total=1.5), event("story.schema", total=2))
    sort_all(door.context)
    found = door.client.get(f"{EVENTS}/schema", params={"venture": "apollo", "name": "story.schema"}).json()["events"][0]
    assert (found["events"], sum(found["by_day"].values()), found["planned"]) == (2, 2, False)
    assert {p["name"]: p["types"] for p in found["properties"]} == {"plan": {"string": 1}, "total": {"number": 1, "integer": 1}}
    tail = door.client.get(f"{EVENTS}/tail", params={"venture": "apollo", "name": "story.schema", "person": "u-1"}).json()["items"]
    assert [each["properties"].get("plan") for each in tail] in (["free", None], [None, "free"])
    assert door.client.get(f"{EVENTS}/schema", params={"venture": "apollo", "name": "nothing"}).status_code == 404


def test_exposures_of_flags_come_once_a_person_and_variant(door: Door) -> None:
    create_flag(door.context, "new-basket", venture="apollo", spec=FlagSpec(owner="mia"), actor=SOMEBODY)
    ramp_flag(door.context, "new-basket", Environment.PRODUCTION, percent=50, actor=SOMEBODY, reason="")
    wait_until(lambda: _asked(door, "user-0").get("reason") == "SPLIT")
    variants = {f"user-{n}": _asked(door, f"user-{n}")["variant"] for n in range(20) for _ in range(3)}
    wait_until(lambda: count(door.context, "$exposure") >= 20, timeout_s=60)
    table = read_events(door.context, "apollo", since=NOW - DAY, until=NOW + DAY, columns=["person_key", "properties"], names=["$exposure"])
    shown = [(row["person_key"], json.loads(row["properties"])) for row in table.to_pylist()]
    assert len(shown) == len({person for person, _ in shown}) == 20
    assert {person: each["variant"] for person, each in shown} == variants
    assert {each["flag"] for _, each in shown} == {"new-basket"}


def _asked(door: Door, user: str) -> dict[str, Any]:
    answer = door.client.post("/ofrep/v1/evaluate/flags/new-basket", json={"context": {"targetingKey": user}})
    found: dict[str, Any] = answer.json()
    return found


def test_an_erasure_over_http_removes_a_person_and_says_so(door: Door) -> None:
    door.send(event("story.erase", "lea@example.com"), event("story.erase", "tom"), event("story.erase", "lea@example.com"))
    sort_all(door.context)
    asked = door.client.post(f"{EVENTS}/erasures", json={"venture": "apollo", "person": "Lea@example.com", "forever": True})
    assert asked.status_code == 202, asked.text
    assert count(door.context, "story.erase") == 1
    where = f"{EVENTS}/erasures/{asked.json()['id']}"
    sort_all(door.context)
    wait_until(lambda: door.client.get(where).json()["state"] == "done", timeout_s=120)
    assert door.client.get(where).json()["events"] == 2
    door.send(event("story.erase", "lea@example.com"))
    assert count(door.context, "story.erase") == 1
    found = door.client.get(f"{OPS}/audit", params={"subject": f"EventErasure/{asked.json()['id']}"}).json()
    assert {each["action"] for each in found["items"]} == {"events.erased", "events.erasure_requested"}


def test_killed_anywhere_between_files_and_manifest_nothing_is_lost_or_doubled(events_context: Context) -> None:
    context = events_context
    folder = folder_of(context)
    writer = SegmentWriter(folder.incoming)
    rows = [_row(context, n) for n in range(300)]
    for start in range(0, 300, 100):
        writer.submit(frame_of("apollo", rows[start : start + 100])).result(5)
    writer.close()
    saved = {path: path.read_bytes() for path in segments(folder.incoming)}
    with holding(context) as held:
        assert sort_in(context, held).events == 300
    for path, content in saved.items():  # as if we had been killed after the transaction: the segments are still there
        path.with_suffix(".seg").write_bytes(content)
    everything = read_events(context, "apollo", since=NOW - DAY, until=NOW + DAY, columns=list(COLUMNS))
    orphan = folder.write("apollo", everything)  # and before it
    assert count(context) == 300
    with holding(context) as held:
        assert sort_in(context, held).events == 0
        assert not segments(folder.incoming)
        os.utime(orphan[0].path, (1, 1))
        assert tidy(context, held, retention_days=400).orphans == 1
    assert count(context) == 300
    # The same events in a segment of another name: their ids are known.
    writer.submit(frame_of("apollo", rows)).result(5)
    writer.close()
    with holding(context) as held:
        again = sort_in(context, held)
    assert (again.events, again.duplicates, count(context)) == (0, 300, 300)


def _row(context: Context, number: int, person: str = "u-1", at: datetime | None = None) -> list[Any]:
    from productops.usecases.analytics_events_reading import default_reader

    row = default_reader(context, "apollo").read(event("made", person, id_=f"row-{number}", at=at or NOW - timedelta(minutes=5)))
    assert row is not None
    return row


def test_small_files_of_a_day_become_one_and_readers_notice_nothing(events_context: Context) -> None:
    context = events_context
    yesterday = datetime.now(UTC) - DAY
    for number in range(9):
        put_events(context, "apollo", [event("made", id_=f"m-{number}-{n}", at=yesterday) for n in range(10)])
    with holding(context) as held:
        assert merge_some(context, held) == 9
        assert merge_some(context, held) == 0
    files = event_files(context, "apollo", since=yesterday - DAY, until=NOW + DAY)
    assert [each.rows for each in files] == [90]
    assert count(context, "made") == 90
    assert delete_replaced(context, grace=timedelta(0)) == 9
    assert len(list(folder_of(context).files())) == 1
    table = read_events(context, "apollo", since=yesterday - DAY, until=NOW, columns=["person", "at"])
    assert set(table.column("person").to_pylist()) == {person_number("apollo", "u-1")}


def test_a_resend_around_midnight_counts_once_and_on_another_day_twice(events_context: Context) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 2 * DAY
    put_events(events_context, "apollo", [event("made", id_="x", at=midnight - timedelta(minutes=2))])
    put_events(events_context, "apollo", [event("made", id_="x", at=midnight + timedelta(minutes=2))])
    assert count(events_context, "made") == 1
    put_events(events_context, "apollo", [event("made", id_="x", at=midnight + timedelta(hours=30))])
    assert count(events_context, "made") == 2


def test_an_erasure_that_is_killed_goes_on_and_leaves_everybody_else(events_context: Context) -> None:
    context = events_context
    for day in range(4):
        at = datetime.now(UTC) - day * DAY - timedelta(hours=1)
        put_events(context, "apollo", [event("made", f"u-{n % 5}", id_=f"e-{day}-{n}", at=at) for n in range(50)])
    asked = request_erasure(context, "apollo", "u-3", secret=b"productops", actor=SOMEBODY, reason="asked for it")
    assert count(context, "made") == 160
    with holding(context) as held:
        assert erase_some(context, held)
    put_events(context, "apollo", [event("made", "u-3", id_="new")])  # came afterwards, and was not forever
    with holding(context) as held:
        while erase_some(context, held):
            pass
    with context.store.read() as unit:
        done = unit.analytics_events.erasures.get(asked.id)
    assert (done.state, done.events, done.files) == (ErasureState.DONE, 40, 4)
    assert count(context, "made") == 161
    table = folder_of(context).read([str(folder_of(context).folder / path) for path, _ in folder_of(context).files()], columns=["person"])
    assert table.column("person").to_pylist().count(person_number("apollo", "u-3")) == 1


def test_old_days_go_by_the_retention(events_context: Context) -> None:
    context = events_context
    put_events(context, "apollo", [event("made", id_="old", at=NOW - 30 * DAY), event("made", id_="new", at=NOW - DAY)])
    with holding(context) as held:
        assert tidy(context, held, retention_days=10).expired == 1
    assert count(context) == 1
    assert delete_replaced(context, grace=timedelta(0)) == 1


def test_one_program_at_a_time_changes_the_files(any_context: Context, tmp_path: Path) -> None:
    context = replace(any_context, analytics_folder=tmp_path / "analytics")
    with holding(context):
        assert take_lease(context, who_we_are()) is None
    assert take_lease(context, who_we_are()) is not None


def test_events_are_kept_and_told_the_same_on_both_databases(any_context: Context, tmp_path: Path) -> None:
    context = replace(any_context, analytics_folder=tmp_path / "analytics")
    for turn in range(2):
        put_events(context, "apollo", [event("made", id_=f"{turn}-{n}", at=NOW - timedelta(hours=n), total=n) for n in range(30)])
    with context.store.read() as unit:
        seen = unit.analytics_events.seen.names("apollo", name="made", since=(NOW - 3 * DAY).date())[0]
        assert unit.analytics_events.totals("apollo")[1] == 60
    assert (seen.events, sum(seen.by_day.values()), dict(seen.properties[0].types)) == (60, 60, {"integer": 60})
    named = {"apiVersion": "productops/v1", "kind": "TrackingPlan", "metadata": {"name": "shop", "venture": "apollo"}}
    entry = TrackingPlanEntry.model_validate(named | {"spec": {"person": "hash"}})
    for outcome in ("created", "unchanged"):
        with context.store.write() as unit:
            declared = [DeclaredTrackingPlan(entry, "/nowhere")]
            assert put_tracking_plans(unit, declared, bases={"/nowhere"}, actor=SOMEBODY, now=NOW)[0][2] == outcome
    with context.store.write() as unit:
        assert put_tracking_plans(unit, [], bases={"/nowhere"}, actor=SOMEBODY, now=NOW) == [("TrackingPlan", "shop", "removed")]
        assert not unit.analytics_events.seen.refuse({("apollo", NOW.date(), "made", "why"): 2})
