"""Stored work becomes a request that can be planned; what is missing is assumed and said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from productops.adapters.catalog_files.loader import load_catalog
from productops.adapters.development_plan_file import read_work
from productops.cli.development_plan_wishes import scenarios_of
from productops.domain.catalog_team import Absence, TeamSpec
from productops.domain.development import Feature, Link, Move, Person, Stage
from productops.domain.development_plan import PlanRequest
from productops.domain.development_plan_facts import CalendarCopy, Facts, Team
from productops.domain.development_plan_facts_changes import Scenario, changed, changes_document, changes_from, kept_changes
from productops.domain.development_plan_facts_draw import draw_request
from productops.domain.development_plan_facts_file import WorkFile, request_document, request_from
from productops.domain.development_plan_facts_history import actual_hours, learn
from productops.domain.release_windows import Interval
from productops.errors import CatalogError, InvalidInputError, NotFoundError
from tests.integration.development_plan_lab import NOW, item, past, team

TEAM = Team("shop-team", "apollo", team(), "")


def stored(*items, **more):
    placed = [replace(each, id=each.key, source="gh", venture="apollo") for each in items]
    given = {"venture": "apollo", "now": NOW, "teams": (TEAM,)} | more
    done = tuple(each for each in placed if each.stage is Stage.DONE)
    for name in ("features", "links", "people", "moves"):
        given[name] = tuple(replace(each, source="gh") for each in given.get(name, ()))
    return Facts(items=tuple(each for each in placed if each.stage is not Stage.DONE), done=done, **given)


ANN = Person(external_id="u-ann", changed_at=NOW, login="ann-gh", person="ann-gh")


def only(request: PlanRequest, key: str):
    return next(each for each in request.items if each.id == key)


def kinds(drawn):
    return {gap.kind for gap in drawn.gaps}


def test_an_estimated_item_of_a_known_skill_is_planned_as_it_is():
    drawn = draw_request(stored(item("A-1")))
    task = only(drawn.request, "A-1")
    assert (task.estimate.optimistic_h, task.estimate.likely_h, task.estimate.pessimistic_h) == (4, 8, 12)
    assert drawn.gaps == ()


def test_an_item_that_was_begun_stays_with_whoever_has_it_and_only_the_rest_is_planned():
    drawn = draw_request(stored(item("A-1", stage=Stage.DOING, assignee="u-ann", remaining_h=2.0), people=(ANN,)))
    task = only(drawn.request, "A-1")
    assert (task.started, task.person) == (True, "ann")
    assert drawn.request.hours(task) == pytest.approx(2.0)


def test_begun_work_of_somebody_unknown_goes_to_whoever_can_and_that_is_said():
    drawn = draw_request(stored(item("A-1", stage=Stage.DOING, assignee="u-zoe", remaining_h=2.0)))
    task = only(drawn.request, "A-1")
    assert (task.started, task.person) == (False, "")
    assert "person" in kinds(drawn)


def test_an_item_without_any_estimate_takes_a_day_and_that_is_said():
    drawn = draw_request(stored(item("A-1", estimate_h=None, estimate_low_h=None, estimate_high_h=None)))
    assert only(drawn.request, "A-1").estimate.likely_h == 8
    [gap] = drawn.gaps
    assert (gap.kind, gap.about, gap.count) == ("estimate", ("A-1",), 1)


def test_an_item_without_estimate_takes_what_like_items_took():
    done = [past(f"D-{n}", 1, estimate_h=None, estimate_low_h=None, estimate_high_h=None) for n in range(3)]
    done = [replace(each, assignee=f"u-{n}") for n, each in enumerate(done)]
    drawn = draw_request(stored(item("A-1", estimate_h=None, estimate_low_h=None, estimate_high_h=None), *done))
    assert only(drawn.request, "A-1").estimate.likely_h == pytest.approx(8.0)


def test_estimates_that_were_always_half_of_the_truth_are_corrected_but_not_all_the_way():
    # Two working days each, one after the other, estimated at eight hours.
    done = []
    for n in range(6):
        begin = datetime(2026, 10, 5, 9, tzinfo=UTC) + timedelta(days=7 * n)
        end = begin + timedelta(days=1, hours=9)
        done.append(
            item(f"D-{n}", stage=Stage.DONE, started_at=begin, done_at=end, assignee="u-ann", estimate_low_h=8.0, estimate_high_h=8.0)
        )
    drawn = draw_request(stored(item("A-1"), *done, people=(ANN,)))
    assert 1.3 < drawn.request.history["backend"] < 2.0
    assert [round(each.actual_h) for each in drawn.past] == [16] * 6


def test_two_items_at_once_share_the_hours_and_blocked_time_counts_for_none():
    begin = datetime(2026, 10, 5, 9, tzinfo=UTC)
    one = item("A", stage=Stage.DONE, started_at=begin, done_at=begin + timedelta(hours=9))
    items = [replace(each, id=each.key) for each in (one, replace(one, key="B", external_id="id-B"))]
    hours = actual_hours(items, TEAM.hours(), now=NOW, blocked={}, owners={"A": "ann", "B": "ann"})
    assert hours == {"A": 4.0, "B": 4.0}
    blocked = {("", "id-A"): [(begin, begin + timedelta(hours=4))]}
    assert actual_hours(items[:1], TEAM.hours(), now=NOW, blocked=blocked, owners={}) == {"A": 4.0}


def test_what_was_blocked_is_read_from_moves():
    moves = [
        Move(external_id="1", changed_at=NOW - timedelta(days=20), item="id-A", field="blocked", new="yes", source="gh"),
        Move(external_id="2", changed_at=NOW - timedelta(days=10), item="id-A", field="blocked", new="", source="gh"),
    ]
    done = item("A", stage=Stage.DONE, started_at=NOW - timedelta(days=20), done_at=NOW - timedelta(days=10))
    learned = learn(stored(item("B"), done, moves=moves), TEAM.hours(), skills={}, owners={})
    assert [each.actual_h for each in learned.past] == [1.0]  # not the seven working days


def test_an_unknown_skill_is_done_by_anybody_at_half_the_pace():
    drawn = draw_request(stored(item("A-1", skill="ios")))
    assert {person.skills["ios"] for person in drawn.request.people} == {0.5}
    assert "skill" in kinds(drawn)


def test_links_make_items_wait_and_a_circle_loses_its_newest_link():
    links = [
        Link(external_id="1", changed_at=NOW - timedelta(days=2), item="A", to="B"),
        Link(external_id="2", changed_at=NOW - timedelta(days=1), item="id-B", to="id-A"),
        Link(external_id="3", changed_at=NOW, item="GONE-1", to="B"),
    ]
    drawn = draw_request(stored(item("A"), item("B"), links=links))
    assert only(drawn.request, "B").after == ("A",)
    assert only(drawn.request, "A").after == ()
    assert kinds(drawn) == {"circle", "dependency"}


def test_an_item_with_open_parts_is_planned_as_its_parts_and_others_wait_for_those():
    links = [Link(external_id="1", changed_at=NOW, item="STORY", to="NEXT")]
    items = [item("STORY"), item("P-1", parent="STORY"), item("P-2", parent="id-STORY"), item("NEXT")]
    drawn = draw_request(stored(*items, links=links))
    assert {each.id for each in drawn.request.items} == {"P-1", "P-2", "NEXT"}
    assert set(only(drawn.request, "NEXT").after) == {"P-1", "P-2"}


def test_without_a_team_those_who_had_work_do_what_they_did():
    drawn = draw_request(stored(item("A-1", assignee="u-ann"), people=(ANN,), teams=()))
    assert [(person.id, person.skills) for person in drawn.request.people] == [("ann-gh", {"backend": 1.0})]
    assert "team" in kinds(drawn)


def test_a_due_date_is_a_wish_unless_a_label_makes_it_a_must_and_never_when_it_is_past():
    features = [
        Feature(external_id="f1", changed_at=NOW, key="F-1", title="f", due_at=NOW + timedelta(days=9), labels=("binding",)),
        Feature(external_id="f2", changed_at=NOW, key="F-2", title="g", due_at=NOW - timedelta(days=9), labels=("binding",)),
    ]
    drawn = draw_request(stored(item("A", feature="F-1"), item("B", feature="f2"), features=features))
    assert [(each.id, each.binding) for each in drawn.request.features] == [("F-1", True), ("F-2", False)]
    assert kinds(drawn) == {"deadline"}


def test_the_same_key_in_two_sources_names_two_items():
    facts = stored(item("A"))
    twin = replace(facts.items[0], source="jira", id="other")
    drawn = draw_request(replace(facts, items=(*facts.items, twin)))
    assert {each.id for each in drawn.request.items} == {"gh/A", "jira/A"}


def test_nothing_to_plan_is_refused_with_the_scope():
    with pytest.raises(InvalidInputError, match="venture apollo"):
        draw_request(stored(past("D", 1)))


def test_absences_come_from_the_catalog_and_from_copies_of_calendars():
    away = Interval(NOW, NOW + timedelta(days=1))
    people = [
        {"id": "ann", "skills": {"backend": 1}, "absences": [{"first": "2026-12-01"}], "absence_calendar": {"kind": "file", "path": "a"}}
    ]
    copies = {"person/ann": CalendarCopy(read_at=NOW, checked_at=NOW, times=(away,), error="gone since")}
    spec = TeamSpec.model_validate({"people": people, "holidays": [{"first": "2026-12-24", "last": "2026-12-26"}]})
    drawn = draw_request(stored(item("A"), teams=(Team("t", "apollo", spec, "", 1, copies),)))
    [person] = drawn.request.people
    assert person.absences == (Absence(first=date(2026, 12, 1)).interval("UTC"), away)
    assert len(drawn.request.calendar.holidays) == 1
    assert kinds(drawn) == {"calendar"}


def test_what_tools_call_things_never_keeps_a_plan_from_being_read_again():
    huge = item("K" * 255, title="two\nlines \x00 " + "x" * 3000, estimate_h=1e9, estimate_low_h=1e9, estimate_high_h=0.0, remaining_h=1e12)
    request = draw_request(stored(huge)).request
    assert request_from(request_document(request)) == request


def test_a_request_survives_its_document():
    request = draw_request(stored(item("A", feature="F"), features=[Feature(external_id="f", changed_at=NOW, key="F", title="f")])).request
    assert request_from(request_document(request)) == request


WORK = """
people: [{id: ann, skills: {backend: 1}}, {id: bob}]
features: [{id: f}]
items:
  - {id: a, feature: f, skill: backend, hours: 8}
  - {id: b, feature: f, hours: 8, after: [a]}
"""


def test_a_work_file_needs_no_more_than_people_and_items():
    request = read_work(WORK, "work.yaml").request(now=NOW)
    assert [item.skill for item in request.items] == ["backend", "work"]
    assert all("work" in person.skills for person in request.people)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WORK.replace("hours: 8}", "hourz: 8}", 1), r"work.yaml:5: items\[0\].hourz"),
        (WORK + "  - {id: c, hours: 1, estimate: {best_h: 1, likely_h: 2, worst_h: 3}}", r"work.yaml:7: items\[2\]: write either"),
        ("people: [", "work.yaml:"),
        ("just words", "holds no work"),
    ],
)
def test_a_wrong_work_file_names_the_line(text, said):
    with pytest.raises(CatalogError, match=said):
        read_work(text, "work.yaml")


def test_changes_are_applied_in_order_and_what_no_longer_applies_is_said():
    request = read_work(WORK, "work.yaml").request(now=NOW)
    wished = scenarios_of(
        add_person=["cy=backend@50%"],
        remove_person=["bob"],
        share=["ann=80%"],
        drop_feature=None,
        deadline=["f=2026-12-01!"],
        together=True,
    )
    [scenario] = [Scenario.model_validate(each) for each in wished]
    after = changed(request, scenario.changes)
    assert {person.id: person.share for person in after.people} == {"ann": 0.8, "cy": 0.5}
    assert after.features[0].binding
    assert "cy" in scenario.title()
    assert changes_from(changes_document(scenario.changes)) == scenario.changes
    _, kept, gone = kept_changes(after, scenario.changes)
    assert (len(kept), len(gone)) == (2, 2)  # cy is there already, bob is gone already


@pytest.mark.parametrize("wrong", [{"share": ["ann=0"]}, {"deadline": ["f=soon"]}, {"add_person": ["=x"]}, {"share": ["ann"]}, {}])
def test_a_scenario_that_cannot_be_read_is_refused_with_how_it_is_written(wrong):
    nothing = dict.fromkeys(("add_person", "remove_person", "share", "drop_feature", "deadline"))
    with pytest.raises(InvalidInputError):
        scenarios_of(**(nothing | wrong), together=False)


def test_a_change_of_what_is_not_there_is_refused_with_what_is():
    request = read_work(WORK, "work.yaml").request(now=NOW)
    with pytest.raises(NotFoundError, match="ann, bob"):
        changed(request, changes_from([{"kind": "remove-person", "person": "zoe"}]))
    with pytest.raises(InvalidInputError, match="already"):
        changed(request, changes_from([{"kind": "add-person", "person": {"id": "ann"}}]))


CATALOG = """
apiVersion: productops/v1
kind: Venture
metadata: {name: apollo}
---
apiVersion: productops/v1
kind: Team
metadata: {name: shop-team, venture: apollo}
spec:
  timezone: Europe/Berlin
  people:
    - {id: ann, skills: {backend: 1}, absences: [{first: 2026-12-24, last: 2026-12-26}]}
"""


def test_a_team_is_read_from_the_catalog(tmp_path: Path):
    (tmp_path / "all.yaml").write_text(CATALOG)
    entry = load_catalog(tmp_path)[1].entry
    away = entry.spec.people[0].absences[0].interval(entry.spec.timezone)
    assert away.ends_at - away.starts_at == timedelta(days=3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Europe/Berlin", "Mars/North", "all.yaml:10: spec.timezone"),
        ("last: 2026-12-26", "last: 2026-12-20", "last is before first"),
        ("backend: 1", "backend: 0", "spec.people"),
        ("2026-12-24, last: 2026-12-26", "9999-12-24", "plans know the years"),
        ("venture: apollo", "venture: apolo", "did you mean 'apollo'"),
    ],
)
def test_a_wrong_team_names_file_and_line(tmp_path: Path, old, new, said):
    (tmp_path / "all.yaml").write_text(CATALOG.replace(old, new))
    with pytest.raises(CatalogError, match=said):
        load_catalog(tmp_path)


@pytest.mark.parametrize("hours", [["9-17"], ["17:00-09:00"], ["09:00-12:00", "11:00-15:00"], ["09:00-09:30"]])
def test_hours_that_are_none_are_refused(hours):
    with pytest.raises(ValidationError):
        WorkFile.model_validate({"people": [{"id": "ann"}], "items": [{"id": "a"}], "calendar": {"hours": hours}})
