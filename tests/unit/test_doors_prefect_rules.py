"""Every request to Prefect is judged; what nobody thought of takes an admin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.api.prefect_proxy_redact import MASK, Blanker, asks_for_secrets, blank_blocks, without_masks
from productops.api.prefect_proxy_rules import Kind, beyond_the_form, classify, operation_of_state
from productops.domain.governance_access import Operation
from productops.errors import ForbiddenError

ID = "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/health", Kind.OPEN), ("GET", "/csrf-token", Kind.OPEN), ("GET", f"/flow_runs/{ID}", Kind.READ),
        ("GET", "/admin/settings", Kind.READ), ("POST", "/flow_runs/filter", Kind.READ), ("POST", "/ui/flows/next-runs", Kind.READ),
        ("POST", "/events/count-by/day", Kind.READ), ("POST", f"/flow_runs/{ID}/input/filter", Kind.READ),
        ("POST", f"/deployments/{ID}/create_flow_run", Kind.START), ("POST", f"/deployments/{ID}/create_flow_run/bulk", Kind.MANAGE),
        ("POST", f"/flow_runs/{ID}/set_state", Kind.STATE), ("POST", "/flow_runs/bulk_set_state", Kind.MANAGE),
        ("POST", f"/flow_runs/{ID}/resume", Kind.RESUME), ("POST", "/flow_runs/", Kind.MANAGE), ("POST", "/flows/", Kind.MANAGE),
        ("PATCH", f"/deployments/{ID}", Kind.MANAGE), ("DELETE", f"/flow_runs/{ID}", Kind.MANAGE), ("PUT", "/admin/storage", Kind.MANAGE),
        ("POST", "/logs/", Kind.CHATTER), ("POST", "/block_documents/", Kind.MANAGE), ("POST", "/block_documents/filter", Kind.READ),
        ("POST", f"/flow_runs/{ID}/set_state/../../filter", Kind.MANAGE), ("POST", "/deployments/get_scheduled_flow_runs", Kind.CHATTER),
        ("POST", "/task_runs/../flow_runs/filter", Kind.MANAGE), ("OPTIONS", "/flows/", Kind.MANAGE),
        ("POST", "/Flow_Runs/filter", Kind.MANAGE),
    ],
)  # fmt: skip
def test_requests_are_what_they_do_and_not_how_they_are_sent(method: str, path: str, kind: Kind) -> None:
    assert classify(method, path).kind is kind


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz_/0-9", max_size=40))
def test_an_unknown_write_is_a_matter_for_admins(path: str) -> None:
    known = {Kind.START, Kind.STATE, Kind.RESUME, Kind.READ}
    assert classify("DELETE", f"/{path}").kind is Kind.MANAGE
    if classify("POST", f"/zzz{path}").kind in known:
        raise AssertionError(path)


@pytest.mark.parametrize(
    ("state", "operation"),
    [
        ({"type": "CANCELLING"}, Operation.RELEASE_ROLL_BACK), ({"type": "cancelled"}, Operation.RELEASE_ROLL_BACK),
        ({"type": "PAUSED", "name": "Suspended"}, Operation.RELEASE_PAUSE), ({"type": "COMPLETED"}, Operation.PREFECT_MANAGE),
        ({"type": "SCHEDULED"}, Operation.PREFECT_MANAGE), ({}, Operation.PREFECT_MANAGE), (None, Operation.PREFECT_MANAGE),
    ],
)  # fmt: skip
def test_a_new_state_is_an_end_a_pause_or_for_admins(state: object, operation: Operation) -> None:
    assert operation_of_state({"state": state}) is operation


def test_what_says_which_program_runs_where_is_no_part_of_the_form() -> None:
    assert beyond_the_form({"parameters": {}, "state": {"type": "SCHEDULED"}, "job_variables": {}, "work_queue_name": None}) == []
    assert beyond_the_form({"job_variables": {"command": "sh -c …"}}) == ["job_variables"]
    assert beyond_the_form({"work_queue_name": "other", "state": {"type": "RUNNING"}}) == ["state", "work_queue_name"]
    assert beyond_the_form([1])


def test_secrets_of_blocks_are_asked_for_in_two_ways() -> None:
    assert asks_for_secrets("include_secrets=true", None)
    assert asks_for_secrets("a=b&include_secrets=1&include_secrets=false", None)
    assert asks_for_secrets("", {"include_secrets": True})
    assert not asks_for_secrets("include_secrets=false", {"include_secrets": False})


def test_values_of_blocks_are_masked_wherever_a_block_stands() -> None:
    block = {
        "id": "1",
        "block_type_id": "2",
        "name": "db",
        "data": {"url": "x://u:p@h", "n": 5, "on": True, "in": {"$ref": "b"}, "l": ["s"]},
    }
    found = blank_blocks([{"deployment": {"infrastructure": block}}])
    data = found[0]["deployment"]["infrastructure"]["data"]
    assert data == {"url": MASK, "n": MASK, "on": True, "in": {"$ref": "b"}, "l": [MASK]}
    assert blank_blocks({"data": {"chart": 1}}) == {"data": {"chart": 1}}


def test_a_mask_that_is_sent_back_changes_nothing() -> None:
    sent = {"data": {"url": MASK, "user": "ada"}, "merge_existing_data": False}
    assert without_masks(sent) == {"data": {"user": "ada"}, "merge_existing_data": True}
    with pytest.raises(ForbiddenError, match="nested"):
        without_masks({"data": {"deep": {"url": MASK}}})


@given(st.lists(st.integers(1, 9), max_size=60), st.integers(0, 40))
def test_a_secret_is_blanked_in_a_stream_however_it_is_cut(cuts: list[int], before: int) -> None:
    secret = "productops:the-secret-of-prefect"
    whole = b"x" * before + f"[{secret}] then {secret.partition(':')[2]}".encode() + b"y" * 30

    async def pieces() -> AsyncIterator[bytes]:
        rest = whole
        for cut in cuts:
            yield rest[:cut]
            rest = rest[cut:]
        yield rest

    async def collect() -> bytes:
        return b"".join([piece async for piece in Blanker(secret).stream(pieces())])

    out = asyncio.run(collect())
    assert len(out) == len(whole)
    assert b"the-secret-of-prefect" not in out
