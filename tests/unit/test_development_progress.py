"""Progress of features as pure numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.catalog_approvals import RiskLevel
from productops.domain.development import Change, ChangeState, Feature, FileChange, Move, Stage, WorkItem
from productops.domain.development_progress import blocked, done, scope_over_time, stage_times, weekly
from productops.domain.development_progress_measures import Fate, records
from productops.domain.development_progress_next import NextFacts, next_action
from productops.domain.development_progress_risk import Signals, raised
from productops.domain.governance_approvals_risk import Risk

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NAMES = frozenset({"A-1"})


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def item(number: int, stage: Stage = Stage.READY, **more: Any) -> WorkItem:
    usual = {"estimate_h": 8.0, "created_at": ago(10), "changed_at": ago(1), "feature": "A-1"}
    return WorkItem(external_id=str(number), key=f"A-{number}", title="x", stage=stage, **(usual | more))


def move(number: int, field: str, old: str, new: str, days: float) -> Move:
    return Move(external_id=f"{number}{field}{days}", item=str(number), field=field, old=old, new=new, changed_at=ago(days))


def test_cancelled_items_are_no_part_of_the_scope_done_or_not():
    found = done([item(2, Stage.DONE), item(3, Stage.DONE, status="Won't do"), item(4)])
    assert (found.items, found.items_done, found.cancelled, found.by_items) == (2, 1, 1, 0.5)


def test_without_items_or_estimates_there_is_no_share_and_no_zero():
    assert done([]).by_items is None
    assert done([item(2, estimate_h=None)]).by_effort is None


@given(st.lists(st.tuples(st.sampled_from(Stage), st.none() | st.floats(0, 1e4), st.none() | st.floats(0, 1e4)), max_size=30))
def test_shares_stay_between_nothing_and_all(things):
    found = done([item(n, stage, estimate_h=size, remaining_h=left) for n, (stage, size, left) in enumerate(things)])
    for share in (found.by_items, found.by_effort):
        assert share is None or -1e-9 <= share <= 1 + 1e-9


def test_an_item_that_was_moved_out_counts_until_then():
    left = item(3, feature=None)
    points = scope_over_time(NAMES, [item(2), left], [move(3, "feature", "A-1", "", 4), move(2, "estimate", "8", "20", 2)])
    assert [(p.items, p.effort_h) for p in points] == [(2, 16.0), (1, 8.0), (1, 20.0)]
    assert points[1].removed == ("A-3",)
    assert points[2].estimated == ("A-2",)


def test_a_deleted_item_leaves_the_scope_when_it_was_deleted():
    points = scope_over_time(NAMES, [item(2), item(3, deleted_at=ago(3))], [])
    assert [(p.at, p.items) for p in points] == [(ago(10), 2), (ago(3), 1)]


@given(
    st.lists(st.tuples(st.integers(2, 6), st.sampled_from(["feature", "stage", "estimate"]), st.booleans(), st.floats(0, 9)), max_size=40)
)
def test_whatever_moved_the_last_point_is_never_negative_and_never_more_than_all(things):
    words = {"feature": ("A-1", ""), "stage": ("done", "doing"), "estimate": ("8", "3")}
    moves = [move(n, field, *(words[field] if up else words[field][::-1]), days) for n, field, up, days in things]
    for point in scope_over_time(NAMES, [item(n) for n in range(2, 7)], moves):
        assert 0 <= point.items_done <= point.items <= 5
        assert point.effort_h >= 0


def test_time_in_a_stage_that_was_entered_twice_is_added_up():
    moves = [move(2, "stage", "ready", "doing", 9), move(2, "stage", "doing", "review", 7), move(2, "stage", "review", "doing", 6),
             move(2, "stage", "doing", "done", 5)]  # fmt: skip
    found = {each.stage: each for each in stage_times([item(2, Stage.DONE)], moves, now=NOW)}
    assert found[Stage.DOING].median_h == pytest.approx(72)
    assert found[Stage.REVIEW].median_h == pytest.approx(24)
    assert found[Stage.READY].median_h == pytest.approx(24)
    assert found[Stage.DOING].waiting == 0


def test_waits_are_added_and_the_one_that_goes_on_counts_until_now():
    moves = [move(2, "blocked", "", "yes", 6), move(2, "blocked", "yes", "", 5), move(2, "blocked", "", "yes", 2)]
    found = blocked([item(2, Stage.DOING), item(3, blocked_since=ago(1))], moves, now=NOW)
    assert dict(found.by_item) == {"A-2": pytest.approx(72), "A-3": pytest.approx(24)}
    assert found.now == ("A-2", "A-3")


def test_weeks_without_anything_finished_are_weeks_too():
    items = [item(n, Stage.DONE, done_at=ago(days)) for n, days in enumerate((1, 2, 15, 400))]
    assert weekly(items, now=NOW, weeks=4) == [0, 1, 0, 2]


FEATURE = Feature(external_id="1", key="A-1", title="Pay", changed_at=NOW)
CHANGE = Change(external_id="5", key="s#5", repository="s", title="x", opened_at=ago(3), changed_at=ago(3))
FACTS = NextFacts(
    feature=FEATURE,
    items=(item(2, Stage.DONE),),
    changes=(),
    failing=(),
    incidents=(),
    blocked=(),
    live=False,
    unready=(),
    p80=None,
    now=NOW,
)


@pytest.mark.parametrize(
    ("facts", "begins"),
    [
        (replace(FACTS, incidents=("i1",), blocked=("A-2",)), "End incident i1"),
        (replace(FACTS, blocked=("A-2",), failing=("x",)), "Free A-2"),
        (replace(FACTS, failing=("tests failed",), changes=(CHANGE,)), "Mend what the quality gates"),
        (replace(FACTS, changes=(CHANGE,)), "Review s#5"),
        (replace(FACTS, items=(item(2),), feature=replace(FEATURE, due_at=ago(-2)), p80=ago(-9)), "Take something out"),
        (replace(FACTS, items=()), "Break it into work items"),
        (replace(FACTS, items=(item(2, Stage.DOING, changed_at=ago(9)),)), "Ask how A-2 goes"),
        (replace(FACTS, items=(item(2, Stage.DOING, changed_at=ago(0.1)),)), "Finish A-2"),
        (replace(FACTS, items=(item(2),)), "Begin A-2"),
        (replace(FACTS, live=True), "Watch whether"),
        (replace(FACTS, unready=("docs",)), "Complete what is missing"),
        (FACTS, "Release it"),
    ],
)
def test_the_most_pressing_thing_comes_next_and_says_why(facts, begins):
    found = next_action(facts)
    assert found.action.startswith(begins)
    assert found.why


def changed(number: int, days: float, **more: Any) -> Change:
    usual: dict[str, Any] = {"author": "mia", "files": (FileChange("core/a.py", 30, 10), FileChange("web/b.py", 10, 0))}
    return Change(
        external_id=str(number), id=str(number), key=f"s#{number}", repository="s", title="Fix a crash", state=ChangeState.MERGED,
        merged_at=ago(days), changed_at=ago(days), **(usual | more),
    )  # fmt: skip


def test_measures_of_a_change_know_only_what_was_before_it():
    found = records([changed(2, 3), changed(1, 5, author="tom"), changed(3, 1)], {}, settled_after=timedelta(days=14))
    first, second, third = (each.measures for each in found)
    assert (first.changes_before, first.developers, first.author_changes, first.lines_before) == (0, 0, 0, 0)
    assert (second.changes_before, second.developers, second.author_changes, second.days_since_touched) == (1, 1, 0, 2)
    assert (third.changes_before, third.developers, third.author_changes) == (2, 2, 1)
    assert (first.subsystems, first.files, first.lines_added, first.is_fix) == (2, 2, 40, True)
    assert second.lines_before == pytest.approx(15)


def test_harm_that_showed_at_once_is_learned_from_no_sooner_than_its_absence():
    fate = Fate(broke=True, known_at=ago(4.9), reason="reverted")
    (found,) = records([changed(1, 5)], {"1": fate}, settled_after=timedelta(days=28))
    assert found.broke is True
    assert found.known_at == ago(5) + timedelta(days=28)


def test_what_this_product_knows_raises_a_risk_and_never_lowers_it():
    low = Risk(RiskLevel.LOW, ("production",))
    assert raised(low, Signals(None, 0, 5, ())) == low
    found = raised(low, Signals("failed", 2, 5, ("i",)))
    assert found.level is RiskLevel.HIGH
    assert len(found.reasons) == 4
