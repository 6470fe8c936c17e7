"""The audit log over HTTP."""

from datetime import timedelta

import pytest

from tests.integration.test_api.support import OPS

AUDIT = f"{OPS}/audit"


@pytest.fixture
def filled(api):
    now = api.context.clock.now()
    for number in range(7):
        with api.context.store.write() as unit:
            unit.audit.add(
                "flag.ramp", f"flag/f{number % 2}", actor="mia" if number < 4 else "tom", origin="cli", now=now + timedelta(seconds=number),
                reason="more", before={"pct": number}, after={"pct": number + 1},
            )  # fmt: skip
    return api


def items(api, **query):
    answer = api.client.get(AUDIT, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_the_audit_is_read_page_by_page_newest_first(filled):
    first = filled.client.get(AUDIT, params={"limit": 4}).json()
    second = filled.client.get(AUDIT, params={"limit": 4, "after": first["next"]}).json()
    assert [item["seq"] for item in first["items"] + second["items"]] == [7, 6, 5, 4, 3, 2, 1]
    assert second["next"] is None


def test_the_audit_is_filtered_by_who_what_and_when(filled):
    assert {item["actor"] for item in items(filled, actor="mia")} == {"mia"}
    assert len(items(filled, actor="tom", subject="flag/f0", action="flag.ramp")) == 2
    at = items(filled)[3]["at"]
    assert [item["seq"] for item in items(filled, since=at)] == [7, 6, 5, 4]
    assert [item["seq"] for item in items(filled, until=at)] == [3, 2, 1]


def test_one_entry_is_shown_with_its_hashes_and_what_was_before(filled):
    entry = filled.client.get(f"{AUDIT}/3").json()
    assert (entry["detail"]["before"], entry["detail"]["after"]) == ({"pct": 2}, {"pct": 3})
    assert entry["previous_hash"] == filled.client.get(f"{AUDIT}/2").json()["hash"]
    missing = filled.client.get(f"{AUDIT}/99")
    assert (missing.status_code, missing.json()["slug"]) == (404, "not-found")


def test_the_present_anchor_is_signed(filled):
    from productops.adapters.audit_anchors import is_signed
    from productops.domain.governance_audit import parse_anchor

    anchor = parse_anchor(filled.client.get(f"{AUDIT}/anchor").json())
    assert anchor.seq == 7
    assert is_signed(anchor)


@pytest.mark.parametrize(
    "query", [{"after": "7"}, {"after": "x-1"}, {"after": "20261121T030000.000000Z--1"}, {"limit": 0}, {"since": "2026-11-21T03:00:00"}]
)
def test_a_wrong_question_is_told_so(filled, query):
    assert filled.client.get(AUDIT, params=query).status_code == 422


def test_nobody_reads_the_audit_without_the_token(filled):
    assert filled.client.get(AUDIT, headers={"Authorization": ""}).status_code == 401
