"""One event read: names, times, plans, what is personal; and which files are merged."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.adapters.analytics_events_files import read_events_file, read_mapping
from productops.adapters.analytics_events_json import dumps
from productops.adapters.analytics_events_table import KnownIds, repeated
from productops.domain.analytics_events import ROW, EventFile, event_id, microseconds, moment, person_number
from productops.domain.analytics_events_guard import SUSPICIOUS, guarded, guarded_text
from productops.domain.analytics_events_intake import EventReader, _may_be_personal, time_us
from productops.domain.analytics_events_merge import ALIKE, to_merge
from productops.domain.analytics_events_plan import ReadyPlan, RefusedEventError
from productops.domain.analytics_events_seen import sightings_of
from productops.domain.catalog_analytics_events import TrackingPlanSpec
from productops.errors import InvalidInputError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOW_US = microseconds(NOW)


def reader(**plan: Any) -> EventReader:
    return EventReader("apollo", ReadyPlan.of(TrackingPlanSpec.model_validate(plan)), secret=b"key", dumps=dumps)


def read(raw: dict[str, Any], *, sent: datetime | None = None, **plan: Any) -> dict[str, Any]:
    row = reader(**plan).read(raw, received_us=NOW_US, sent_us=microseconds(sent) if sent else None)
    assert row is not None
    return dict(zip(ROW, row, strict=True))


def track(**more: Any) -> dict[str, Any]:
    return {"event": "paid", "userId": "u-1", "messageId": "m-1"} | more


def test_columns_come_from_the_event_its_properties_and_segments_context() -> None:
    row = read(
        track(
            feature="checkout",
            properties={"duration_ms": 12, "failed": True, "revenue": 9.5, "session_id": "s", "plan": "free"},
            context={
                "app": {"name": "shop", "version": "1.4"}, "device": {"type": "ios"}, "os": {"name": "iOS"}, "location": {"country": "NZ"}
            },
        )
    )  # fmt: skip
    assert (row["feature"], row["service"], row["version"], row["platform"], row["country"], row["session"]) == (
        "checkout", "shop", "1.4", "ios", "NZ", "s"
    )  # fmt: skip
    assert (row["duration_ms"], row["failed"], row["value"]) == (12.0, True, 9.5)
    assert json.loads(row["properties"]) == {"revenue": 9.5, "plan": "free"}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ([], "JSON object"), ({"userId": "u"}, "name"), ({"event": "x"}, "names nobody"), (track(event="x" * 201), "200 characters"),
        (track(properties=[]), "JSON object"), (track(timestamp="yesterday"), "ISO 8601"), (track(timestamp=True), "ISO 8601"),
        (track(timestamp=(NOW + timedelta(days=2)).isoformat()), "future"), (track(timestamp="1999-01-01T00:00:00Z"), "older"),
        (track(userId={"a": 1}), "text or a whole number"), (track(type="delete"), "its type"),
        (track(properties={"x": "y" * 40_000}), "32 KiB"), (track(properties={str(n): 1 for n in range(300)}), "255 properties"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(raw: Any, reason: str) -> None:
    with pytest.raises(RefusedEventError, match=reason):
        reader().read(raw, received_us=NOW_US)


def test_a_clients_wrong_clock_is_corrected_by_when_it_sent() -> None:
    theirs = NOW + timedelta(hours=3)  # their clock is three hours fast
    late = read(track(timestamp=(theirs - timedelta(minutes=10)).isoformat()), sent=theirs)
    assert moment(late["at"]) == NOW - timedelta(minutes=10)
    own = read(track(timestamp=(theirs - timedelta(minutes=1)).isoformat(), sentAt=theirs.isoformat()))
    assert moment(own["at"]) == NOW - timedelta(minutes=1)
    corrected = NOW - timedelta(minutes=7)
    kept = read(track(timestamp=corrected.isoformat(), originalTimestamp=theirs.isoformat(), sentAt=theirs.isoformat()))
    assert moment(kept["at"]) == corrected
    assert read(track())["at"] == NOW_US
    assert moment(read(track(timestamp=(NOW + timedelta(hours=1)).isoformat()))["at"]) == NOW  # a little in the future: now


@pytest.mark.parametrize("value", ["2026-11-21T12:00:00Z", "2026-11-21T13:00:00+01:00", "2026-11-21T12:00:00", 1795262400, 1795262400000])
def test_times_are_read_in_all_the_ways_clients_write_them(value: Any) -> None:
    assert time_us(value) == NOW_US


def test_the_same_event_without_an_id_has_the_same_id_again_if_it_has_a_time() -> None:
    timed = {"event": "paid", "userId": "u", "timestamp": "2026-11-20T12:00:00Z", "properties": {"a": 1}}
    assert read(dict(timed))["event_id"] == read(dict(timed))["event_id"]
    assert read(timed | {"properties": {"a": 2}})["event_id"] != read(dict(timed))["event_id"]
    bare = {"event": "paid", "userId": "u"}
    assert read(dict(bare))["event_id"] != read(dict(bare))["event_id"]
    assert event_id("0197C5A2-6F0E-7C3A-9B1F-2F6C1D0B7E11") == "0197c5a26f0e7c3a9b1f2f6c1d0b7e11"
    assert len(event_id("not-a-uuid-but-it-is-36-characters-ok")) == 32


def test_a_plan_refuses_drops_and_names_the_feature() -> None:
    plan: dict[str, Any] = {
        "unknown_events": "refuse",
        "events": [
            {
                "name": "paid", "feature": "checkout", "unknown_properties": "drop",
                "properties": [
                    {"name": "total", "type": "number", "required": True}, {"name": "plan", "values": ["free", "pro"]},
                    {"name": "at", "type": "time"}, {"name": "n", "type": "integer"},
                ],
            }
        ],
    }  # fmt: skip
    row = read(track(properties={"total": 1, "plan": "pro", "extra": 1, "n": 2.0}), **plan)
    assert (row["feature"], json.loads(row["properties"])) == ("checkout", {"total": 1, "plan": "pro", "n": 2.0})
    for properties, reason in (
        ({}, "'total' is missing"), ({"total": "1"}, "type number"), ({"total": True}, "type number"),
        ({"total": 1, "plan": "x"}, "values"),
        ({"total": 1, "at": "soon"}, "ISO 8601"), ({"total": 1, "n": 1.5}, "integer"),
    ):  # fmt: skip
        with pytest.raises(RefusedEventError, match=reason):
            reader(**plan).read(track(properties=properties), received_us=NOW_US)
    with pytest.raises(RefusedEventError, match="no event 'other'"):
        reader(**plan).read(track(event="other"), received_us=NOW_US)
    assert read(track(type="identify", traits={}), **plan)["name"] == "$identify"
    assert reader(unknown_events="drop").read(track(), received_us=NOW_US) is None


def test_personal_properties_are_hashed_or_dropped_and_addresses_never_kept() -> None:
    plan = {"events": [{"name": "paid", "properties": [{"name": "mail", "personal": "hash"}, {"name": "phone", "personal": "drop"},
                                                       {"name": "note", "personal": "allow"}]}]}  # fmt: skip
    given: dict[str, Any] = {
        "mail": "Mia@Example.com", "phone": "+64 21 123 4567", "note": "call mia@example.com", "ip": "203.0.113.9",
        "free": {"deep": ["write to Mia@example.com from 203.0.113.9 or 2001:db8::1"]}, "card": 4111111111111111, "order": "20261121174500",
    }  # fmt: skip
    kept = json.loads(read(track(properties=given), **plan)["properties"])
    hashed = reader().hashed("mia@example.com")
    assert kept == {
        "mail": hashed, "note": "call mia@example.com", "card": f"<card:{reader().hashed('4111111111111111')}>", "order": "20261121174500",
        "free": {"deep": [f"write to <email:{hashed}> from <ip> or <ip>"]},
    }  # fmt: skip
    assert read(track(userId="Mia@example.com"))["person_key"] == hashed
    assert read(track(userId="Mia@example.com"), person="keep")["person_key"] == "Mia@example.com"
    assert read(track(userId="4711"), person="hash")["person_key"] == reader().hashed("4711")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mia@example.com", "email"), ("+64 21 123 4567", "phone"), ("(03) 123 4567", "phone"), ("021-123-4567", "phone"),
        ("555-123-4567", "phone"), ("4111 1111 1111 1111", "card"), ("10.0.0.1", "ip"), ("fe80::1", "ip"), ("::1", "ip"),
    ],
)  # fmt: skip
def test_the_guard_finds_personal_data_in_texts(text: str, kind: str) -> None:
    assert guarded_text(f"so {text} it is", None) == f"so <{kind}> it is"
    whole = dumps({"x": f"so {text} it is"})
    assert SUSPICIOUS.search(whole.decode())
    assert _may_be_personal(whole)


@pytest.mark.parametrize(
    "text",
    ["2026-11-21T12:00:00Z", "order 1234567890", "v1.2.3", "1700000000000", "12:30:00", "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11", "40000"],
)
def test_the_guard_leaves_dates_numbers_and_ids(text: str) -> None:
    assert guarded_text(text, None) == text


LEAVES = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(alphabet="ab c", max_size=20)


VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4))


@given(VALUES)
def test_the_guard_changes_nothing_that_has_no_digits_and_no_signs(value: Any) -> None:
    assert guarded(value, None) == value


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=50), st.lists(st.binary(min_size=16, max_size=16), max_size=50))
def test_known_ids_are_exact(known: list[bytes], asked: list[bytes]) -> None:
    def halves_of(ids: list[bytes]) -> tuple[Any, Any]:
        pairs = np.frombuffer(b"".join(ids), dtype=np.uint64).reshape(-1, 2)
        return pairs[:, 0] & np.uint64(3), pairs[:, 1].copy()  # a bad mixture, so that many share it

    wanted = [tuple(int(half[n]) for half in halves_of(known)) for n in range(len(known))]
    mixed, low = halves_of(asked + known)
    found = KnownIds(*halves_of(known)).has(mixed, low)
    assert found.tolist() == [(int(a), int(b)) in wanted for a, b in zip(mixed, low, strict=True)]
    pairs = list(zip(mixed.tolist(), low.tolist(), strict=True))
    assert repeated(mixed, low).tolist() == [pair in pairs[:place] for place, pair in enumerate(pairs)]


def file(rows: int, number: int, *, day: date | None = None, made: datetime = NOW) -> EventFile:
    return EventFile(f"/f/{number}", day or NOW.date(), rows, NOW, NOW, id=str(number), made_at=made)


def test_eight_files_alike_become_one_and_a_quiet_day_one_file() -> None:
    assert to_merge([file(100, n) for n in range(ALIKE - 1)], now=NOW) == []
    assert len(to_merge([file(100, n) for n in range(ALIKE)] + [file(300_000, 99)], now=NOW)) == ALIKE
    yesterday = [file(100, 1, day=NOW.date() - timedelta(days=1)), file(5000, 2, day=NOW.date() - timedelta(days=1))]
    assert to_merge(yesterday, now=NOW) == []
    assert len(to_merge(yesterday, now=NOW + timedelta(minutes=11))) == 2
    assert to_merge([file(900_000, 1), file(800_000, 2)], now=NOW + timedelta(days=3)) == []


def test_sightings_count_names_days_and_types() -> None:
    rows = [reader().read(track(messageId=str(n), properties={"a": n or "x"}), received_us=NOW_US) for n in range(3)]
    found = sightings_of([row for row in rows if row], json.loads)
    assert (found.names["paid"].events, found.days) == (3, {("paid", NOW.date()): 3})
    assert {key: seen.events for key, seen in found.properties.items()} == {("paid", "a", "integer"): 2, ("paid", "a", "string"): 1}
    assert found.renamed({"other"}, "(others)", 2).names.keys() == {"(others)"}


def test_people_have_a_number_of_their_own_in_each_venture() -> None:
    assert person_number("apollo", "u") != person_number("gemini", "u")
    assert 0 <= person_number("apollo", "u") < 2**64


def test_files_of_others_are_mapped(tmp_path: Any) -> None:
    path = tmp_path / "events.csv"
    path.write_text("customer,event_name,when,total,ok,code\nu-1,paid,2026-11-20T10:00:00Z,12.5,true,007\n")
    events = next(iter(read_events_file(path, read_mapping(["userId=customer", "timestamp=when"]))))
    assert events == [
        {"userId": "u-1", "event": "paid", "timestamp": "2026-11-20T10:00:00Z", "properties": {"total": 12.5, "ok": True, "code": "007"}}
    ]
    (tmp_path / "bad.ndjson").write_text('{"event": "a"}\n{')
    with pytest.raises(InvalidInputError, match=r"bad.ndjson:2"):
        list(read_events_file(tmp_path / "bad.ndjson", {}))
    with pytest.raises(InvalidInputError, match="maps nothing"):
        read_mapping(["nobody=x"])
