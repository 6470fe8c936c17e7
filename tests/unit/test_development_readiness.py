"""Readiness and success as pure answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.catalog_feature import FeatureSpec
from productops.domain.development import Stage, WorkItem
from productops.domain.development_readiness import (
    AnswerState,
    GateFact,
    ReadinessFacts,
    SuccessFacts,
    Traffic,
    checks_document,
    checks_of,
    readiness,
    success,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
GOAL = FeatureSpec.model_validate(
    {
        "work": ["A-1"], "flag": "pay", "docs": ["docs/pay.md"],
        "success": [
            {"kind": "slo", "service": "shop", "success_ratio": 0.999}, {"kind": "adoption", "flag": "pay"}, {"kind": "quality"},
        ],
    }
)  # fmt: skip
ITEM = WorkItem(external_id="2", key="A-2", title="x", stage=Stage.DONE, changed_at=NOW)
READY = ReadinessFacts(
    items=(ITEM,), open_changes=(), services=("shop",), gates=(GateFact("r", "shop", "1.1", "passed", "all passed"),),
    approvals_waiting=(), incidents=(), goal=GOAL, flag_known=True, docs_found={"docs/pay.md": True},
)  # fmt: skip
DONE = SuccessFacts(
    goal=GOAL, live_at=NOW - timedelta(days=20), releases=("r1",), traffic={"shop": Traffic(10_000, 5, 80.0)},
    variants={"pay": {"on": 80, "off": 40}}, incidents=(), rollbacks=(), now=NOW,
)  # fmt: skip


def test_everything_there_is_ready():
    assert readiness(READY).state is AnswerState.PASSED


@pytest.mark.parametrize(
    ("facts", "state", "name"),
    [
        (replace(READY, items=(replace(ITEM, stage=Stage.DOING),)), "failed", "work"),
        (replace(READY, items=()), "inconclusive", "work"),
        (replace(READY, open_changes=("s#1",)), "failed", "changes"),
        (replace(READY, gates=()), "inconclusive", "gates of shop"),
        (replace(READY, gates=(GateFact("r", "shop", "1.1", "error", "cannot be judged"),)), "inconclusive", "gates of shop"),
        (replace(READY, services=()), "inconclusive", "gates"),
        (replace(READY, approvals_waiting=("one more",)), "failed", "approvals"),
        (replace(READY, flag_known=False), "failed", "flag"),
        (replace(READY, docs_found={"docs/pay.md": False}), "failed", "docs"),
        (replace(READY, incidents=("i",)), "failed", "incidents"),
    ],
)
def test_each_thing_that_is_missing_is_named(facts, state, name):
    answer = readiness(facts)
    assert answer.state == state
    assert name in {check.name for check in answer.checks if check.state == state}


def test_success_needs_every_criterion():
    assert success(DONE).state is AnswerState.PASSED
    assert success(replace(DONE, traffic={"shop": Traffic(10_000, 50, 80.0)})).state is AnswerState.FAILED
    assert success(replace(DONE, variants={"pay": {"off": 200, "on": 1}})).state is AnswerState.FAILED
    assert success(replace(DONE, incidents=("i",))).state is AnswerState.FAILED


@pytest.mark.parametrize(
    "facts",
    [
        replace(DONE, live_at=None),
        replace(DONE, live_at=NOW - timedelta(days=1)),
        replace(DONE, traffic={"shop": Traffic(10, 0, 80.0)}),
        replace(DONE, traffic={}),
        replace(DONE, variants={}),
        replace(DONE, goal=None),
        replace(DONE, goal=GOAL.model_copy(update={"success": ()})),
    ],
)
def test_what_cannot_be_measured_yet_is_inconclusive_and_never_passed(facts):
    assert success(facts).state is AnswerState.INCONCLUSIVE


@given(st.integers(0, 5000), st.integers(0, 50), st.dictionaries(st.sampled_from(["on", "off"]), st.integers(0, 300)))
def test_an_answer_survives_being_stored_and_passes_only_when_all_its_checks_do(requests, failures, variants):
    answer = success(replace(DONE, traffic={"shop": Traffic(requests, min(failures, requests), 1.0)}, variants={"pay": variants}))
    assert checks_of(checks_document(answer.checks)) == answer.checks
    assert (answer.state is AnswerState.PASSED) == all(check.state is AnswerState.PASSED for check in answer.checks)
