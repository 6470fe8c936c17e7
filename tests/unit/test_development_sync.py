"""What tools' answers mean, what is newer, and how lists are read: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from productops.adapters.development_reading import Listed, by_change, by_window, newest_first, rewound
from productops.domain import development_map_github as github
from productops.domain import development_map_jira as jira
from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.development import Change, Feature, Link, Person, Stage, WorkItem, digest
from productops.domain.development_map import Mapper, UnmappableError, mentioned, number
from productops.domain.development_merge import merged, observed_moves

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def spec(**more: Any) -> DevelopmentSourceSpec:
    return DevelopmentSourceSpec.model_validate({"system": "github", "projects": ["acme/shop"]} | more)


def mapper(**more: Any) -> Mapper:
    return Mapper(spec(**more), NOW)


def issue(**more: Any) -> dict[str, Any]:
    return {"node_id": "I_1", "number": 1, "title": "Pay", "state": "open", "updated_at": "2026-11-20T10:00:00Z"} | more


def told(found: Any, kind: type) -> Any:
    return next(each for each in found if isinstance(each, kind))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Fix SHOP-12 and SHOP-12", ("SHOP-12",)),
        ("closes #7, see acme/cart#3", ("acme/shop#7", "acme/cart#3")),
        ("UTF-8 and SHA-256 and abc#9 &#39;", ()),
        ("feature/SHOP-4-pay", ()),
        ("SHOP-4-pay", ("SHOP-4",)),
        ("", ()),
    ],
)
def test_keys_that_a_text_names_are_found_and_what_only_looks_like_one_is_not(text, keys):
    assert mentioned("acme/shop", text) == keys


@pytest.mark.parametrize(
    ("status", "labels", "stages", "stage"),
    [
        ("open", [], {}, Stage.BACKLOG),
        ("open", ["in progress"], {"In Progress": "doing"}, Stage.DOING),
        ("open", ["In Review", "in progress"], {"in review": "review", "in progress": "doing"}, Stage.REVIEW),
        ("closed", ["in progress"], {"in progress": "doing"}, Stage.DONE),
    ],
)
def test_a_stage_comes_from_the_labels_that_the_catalog_maps_and_closed_is_done(status, labels, stages, stage):
    found = github.issue(
        mapper(mapping={"stages": stages}), "acme/shop", "77", issue(state=status, labels=[{"name": label} for label in labels])
    )
    assert told(found, WorkItem).stage is stage


@pytest.mark.parametrize(
    ("rule", "more", "feature"),
    [
        (
            {"by": "milestone"},
            {"milestone": {"node_id": "MI_1", "number": 1, "title": "Cart", "updated_at": "2026-11-01T00:00:00Z"}},
            "MI_1",
        ),
        ({"by": "label"}, {"labels": [{"name": "feature/Cart"}]}, "label:cart"),
        ({"by": "parent"}, {"parent_issue_url": "https://api.github.com/repos/acme/shop/issues/9"}, "acme/shop#9"),
        ({"by": "epic"}, {}, None),
    ],
)
def test_a_feature_is_what_the_catalog_says_that_it_is(rule, more, feature):
    found = list(github.issue(mapper(mapping={"feature": rule}), "acme/shop", "77", issue(**more)))
    assert told(found, WorkItem).feature == feature


def test_an_issue_with_parts_is_itself_a_feature_where_parents_are_features():
    found = list(github.issue(mapper(mapping={"feature": {"by": "parent"}}), "acme/shop", "77", issue(sub_issues_summary={"total": 2})))
    assert told(found, Feature).key == "acme/shop#1"


def test_estimates_skills_priorities_and_blockers_are_read_from_labels_and_text():
    labels = [{"name": n} for n in ("estimate/1.5d", "python", "priority/high", "blocked")]
    found = list(
        github.issue(mapper(mapping={"skills": {"python": "backend"}}), "acme/shop", "77", issue(labels=labels, body="Blocked by #4\nx"))
    )
    item, link = told(found, WorkItem), told(found, Link)
    assert (item.estimate_h, item.skill, item.priority) == (12.0, "backend", "high")
    assert item.blocked_since is not None
    assert (link.item, link.to, link.kind) == ("acme/shop#4", "acme/shop#1", "blocks")


def test_services_of_a_change_come_from_its_files():
    page = {"id": "PR_1", "number": 1, "title": "x", "state": "MERGED", "updatedAt": "2026-11-20T10:00:00Z",
            "files": {"nodes": [{"path": "shop/pay/card.py", "additions": 1, "deletions": 0}]}}  # fmt: skip
    found = github.change_page(mapper(mapping={"services": {"shop/**": "shop", "cart/**": "cart"}}), "acme/shop", "77", page)
    assert told(found, Change).services == ("shop",)


def test_one_person_with_several_accounts_is_one_where_the_catalog_says_so():
    people = {"mia-gh": "mia", "mia@example.com": "mia"}
    one = mapper(mapping={"people": people}).person("1", "Mia-GH", NOW)
    other = mapper(mapping={"people": people}).person("abc", "mm", NOW, email="mia@example.com")
    assert one is not None
    assert other is not None
    assert one.person == other.person == "mia"
    assert merged(Person(external_id="2", login="Noa", changed_at=NOW), None).person == "noa"


@pytest.mark.parametrize("bad", [{}, {"node_id": "x"}, {"node_id": "x", "updated_at": "yesterday"}, {"updated_at": "2026-11-20T10:00:00Z"}])
def test_an_answer_without_id_or_time_is_refused_by_name(bad):
    with pytest.raises(UnmappableError):
        list(github.issue(mapper(), "acme/shop", "77", bad))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "node_id", "updated_at", "labels", "user", "fields", "state"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(junk)
def test_strange_answers_are_read_or_refused_and_end_nothing(data):
    for read in (
        lambda: github.issue(mapper(), "a/b", "1", data),
        lambda: github.change_page(mapper(), "a/b", "1", data),
        lambda: github.webhook(mapper(), "issues", {"repository": {"id": 1}, "issue": data}),
        lambda: jira.issue(mapper(), "https://j", data),
    ):
        try:
            for each in read():
                digest(each)  # type: ignore[arg-type]
        except UnmappableError:
            pass


def test_what_a_list_does_not_tell_is_not_forgotten_and_what_it_takes_back_is():
    full = Change(external_id="1", key="a#1", repository="a", title="x", changed_at=NOW, additions=5, base="main", details_at=NOW)
    short = Change(external_id="1", key="a#1", repository="a", title="y", changed_at=NOW + timedelta(hours=1))
    both = merged(short, full)
    assert (both.title, both.additions, both.base) == ("y", 5, "main")
    done = WorkItem(external_id="2", key="a#2", title="x", changed_at=NOW, stage=Stage.DONE, done_at=NOW)
    reopened = merged(replace(done, stage=Stage.DOING, done_at=None), done)
    assert reopened.done_at is None


def test_moves_are_what_changed_between_two_looks():
    old = WorkItem(external_id="1", key="a#1", title="x", changed_at=NOW, stage=Stage.READY, estimate_h=4.0, sprint="7")
    new = replace(old, stage=Stage.DOING, estimate_h=6.0, changed_at=NOW + timedelta(hours=1))
    assert [(m.field, m.old, m.new) for m in observed_moves(new, old)] == [("stage", "ready", "doing"), ("estimate", "4", "6")]
    assert list(observed_moves(old, old)) == []


def test_numbers_that_are_none_are_none():
    assert [number(each) for each in ("3", 3.5, True, None, "x", -1, float("nan"), [])] == [3.0, 3.5, None, None, None, None, None, None]


@given(st.lists(st.integers(0, 12), min_size=0, max_size=60), st.integers(1, 7), st.randoms())
def test_every_item_is_read_though_items_move_while_pages_are_turned(moments, size, random):
    """The list is sorted by time; between pages any item may be changed and so go to its end."""
    items = {index: NOW + timedelta(seconds=moment) for index, moment in enumerate(moments)}
    clock, seen = [NOW + timedelta(seconds=100)], set()

    def fetch(since: datetime, page: int, _token: str, _mark: str) -> Listed:
        known = sorted((at, index) for index, at in items.items() if at >= since)
        shown = known[(page - 1) * size : page * size]
        return Listed(shown, page * size < len(known))

    def read(shown: Any) -> tuple[Any, ...]:
        seen.update((index, at) for at, index in shown)
        if items and random.random() < 0.3 and clock[0] < NOW + timedelta(seconds=130):
            clock[0] += timedelta(seconds=1)
            items[random.choice(sorted(items))] = clock[0]
        return ()

    cursor: dict[str, Any] = {}
    for _ in range(1000):
        page = by_change(cursor, fetch=fetch, changed=lambda item: item[0], read=read, identity=str)
        cursor = dict(page.cursor)
        if page.done:
            break
    assert page.done
    # What moved in the very last moment is seen by the next look, which begins a little earlier.
    page = by_change(
        rewound(cursor, timedelta(seconds=300)),
        fetch=fetch,
        changed=lambda item: item[0],
        identity=str,
        read=lambda shown: seen.update((i, a) for a, i in shown) or (),
    )
    assert {index for index, _ in seen} == set(items)


@given(st.lists(st.integers(0, 5000), max_size=80, unique=True), st.integers(1, 9), st.integers(2, 20))
def test_a_list_with_a_cap_is_read_whole_by_windows_that_shrink_and_grow(hours, size, cap):
    items = sorted(NOW - timedelta(hours=h, minutes=1) for h in hours)
    seen: set[datetime] = set()

    def fetch(since: datetime, until: datetime, page: int) -> Listed:
        found = [i for i in items if since <= i <= until]
        return Listed(found[:cap][(page - 1) * size : page * size], page * size < min(cap, len(found)), total=len(found))

    cursor: dict[str, Any] = {}
    for _ in range(5000):
        page = by_window(
            cursor, start=NOW - timedelta(hours=5002), now=NOW, fetch=fetch, read=lambda shown: seen.update(shown) or (), total_max=cap
        )
        cursor = dict(page.cursor)
        if page.done:
            break
    assert seen == set(items)


@given(st.integers(0, 40), st.integers(1, 7), st.integers(0, 10))
def test_a_list_from_its_newest_end_is_read_down_to_the_last_look(count, size, more):
    items = [NOW + timedelta(minutes=n) for n in range(count)]
    seen: set[datetime] = set()

    def fetch(page: int) -> Listed:
        found = sorted(items, reverse=True)
        return Listed(found[(page - 1) * size : page * size], page * size < len(found))

    def look(cursor: dict[str, Any]) -> dict[str, Any]:
        for _ in range(200):
            page = newest_first(
                cursor, start=NOW - timedelta(days=1), fetch=fetch, created=lambda item: item, read=lambda shown: seen.update(shown) or ()
            )
            cursor = dict(page.cursor)
            if page.done:
                return cursor
        raise AssertionError("it goes on for ever")

    cursor = look({})
    items += [NOW + timedelta(hours=10, minutes=n) for n in range(more)]
    look(rewound(cursor, timedelta(seconds=300)))
    assert seen == set(items)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"projects": ["shop"]}, "acme/shop"),
        ({"system": "jira", "projects": ["SHOP"]}, "address"),
        ({"system": "jira", "projects": ["shop-1"], "address": "https://j.example"}, "SHOP"),
        ({"projects": ["a/b", "A/B"]}, "twice"),
        ({"address": "https://mia:pw@github.example"}, "no address"),
        ({"mapping": {"feature": {"by": "field"}}}, "name of the field"),
        ({"mapping": {"stages": {"x": "finished"}}}, "doing"),
        ({"token": "GITHUB_TOKEN"}, "PRODUCTOPS_SECRET"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused_with_what_to_write(bad, said):
    with pytest.raises(ValidationError, match=said):
        spec(**bad)
