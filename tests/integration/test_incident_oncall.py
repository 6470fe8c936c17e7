"""People are called level after level, once, whoever dies meanwhile; schedules change by overrides, swaps and calendars."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.incident_escalation import PageState
from productops.errors import CatalogError, ForbiddenError, InvalidInputError, NotFoundError
from productops.usecases.context import Actor
from productops.usecases.incident_oncall import (
    OverrideWish,
    check_oncall,
    export_schedule,
    import_overrides,
    list_schedules,
    override_schedule,
    page,
    read_schedule,
    remove_override,
    swap_shifts,
    who_is_on_call,
)
from productops.usecases.incident_oncall_escalate import escalate_due, read_page, stop_page
from productops.usecases.incident_tell import list_notices
from productops.usecases.incident_tell_send import send_due
from tests.integration.people_lab import START, People, make_people, people_apply
from tests.support import SOMEBODY


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    made = make_people(f"sqlite:///{tmp_path / 'productops.db'}", tmp_path)
    yield made
    made.close()


@pytest.fixture
def people_everywhere(database_url: str, tmp_path: Path) -> Iterator[People]:
    made = make_people(database_url, tmp_path)
    yield made
    made.close()


def called(people: People, incident_id: str) -> list[tuple[int, int, str]]:
    found = read_page(people.context, incident_id, actor=SOMEBODY)
    return [(each["round"], each["level"], each["person"]) for each in found.called if "person" in each]


def test_levels_are_called_until_somebody_acknowledges(people_everywhere: People) -> None:
    people = people_everywhere
    incident = people.open()
    started = page(people.context, incident, actor=SOMEBODY)
    assert (started.state, started.level) == (PageState.CALLING, 0)
    on = who_is_on_call(people.context, "primary", actor=SOMEBODY).person
    assert called(people, incident) == [(0, 0, on)]
    assert page(people.context, incident, actor=SOMEBODY).number == 1
    assert escalate_due(people.context, people.clock.move(minutes=4)) == 0
    assert escalate_due(people.context, people.clock.move(minutes=1)) == 1
    assert called(people, incident)[1:] == [(0, 1, "noah")]
    people.acknowledge(incident, "noah")
    assert escalate_due(people.context, people.clock.move(seconds=1)) == 1
    ended = read_page(people.context, incident, actor=SOMEBODY)
    assert (ended.state, ended.by, ended.due_at) == (PageState.ACKNOWLEDGED, "noah", None)
    assert escalate_due(people.context, people.clock.move(hours=5)) == 0
    assert people.log(incident).count("paged") == 2
    assert people.audit(f"incident/{incident}")[0] == "oncall.page_ended"


def test_when_nobody_answers_it_is_repeated_and_ends_with_the_last_resort(people: People) -> None:
    incident = people.open()
    page(people.context, incident, actor=SOMEBODY)
    for _ in range(40):
        escalate_due(people.context, people.clock.move(minutes=5))
    found = read_page(people.context, incident, actor=SOMEBODY)
    assert found.state is PageState.EXHAUSTED
    on = who_is_on_call(people.context, "primary", START, actor=SOMEBODY).person
    assert called(people, incident) == [(0, 0, on), (0, 1, "noah"), (1, 0, on), (1, 1, "noah"), (2, 0, "all")]
    problems = [each["problem"] for each in found.called if "problem" in each]
    assert problems == ["person emma reaches nobody"] * 2


def test_a_level_that_reaches_nobody_calls_the_last_resort_at_once(tmp_path: Path) -> None:
    people = make_people(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, edit={"[{schedule: primary}]": "[{person: emma}]"})
    incident = people.open()
    page(people.context, incident, actor=SOMEBODY)
    assert called(people, incident) == [(0, 0, "all")]


def test_ten_processes_that_tick_at_once_call_each_level_once(people_everywhere: People) -> None:
    people = people_everywhere
    incidents = [people.open(f"trouble {number}") for number in range(4)]
    for each in incidents:
        page(people.context, each, actor=SOMEBODY)
    contexts = [people.again() for _ in range(5)]
    now = people.clock.move(minutes=5)
    with ThreadPoolExecutor(10) as pool:
        moved = sum(pool.map(lambda n: escalate_due(contexts[n % 5], now), range(10)))
    assert moved == len(incidents)
    for each in incidents:
        assert [level for _, level, _ in called(people, each)] == [0, 1]
    told = [n for n in list_notices(people.context, actor=SOMEBODY, limit=200) if n.moment == "paged"]
    assert len(told) == len({n.key for n in told}) == 8


def test_a_crash_between_two_levels_loses_no_call_and_makes_none_twice(people: People) -> None:
    incident = people.open()
    page(people.context, incident, actor=SOMEBODY)
    now = people.clock.move(minutes=5)

    class _PowerCutError(Exception):
        pass

    def dying() -> None:
        with people.context.store.write() as unit:
            running = unit.oncall.page_of(incident)
            assert unit.oncall.advance(running, called=[{"person": "noah"}], round_=0, level=1, due_at=now)
            raise _PowerCutError

    with pytest.raises(_PowerCutError):
        dying()
    assert escalate_due(people.again(), now) == 1
    assert [level for _, level, _ in called(people, incident)] == [0, 1]


def test_an_incident_that_is_over_or_acknowledged_calls_nobody(people: People) -> None:
    over, taken, minor = people.open(), people.open(), people.open(severity="SEV3")
    people.resolve(over)
    people.acknowledge(taken)
    assert [page(people.context, each, actor=SOMEBODY) for each in (over, taken, minor)] == [None, None, None]
    running = people.open()
    page(people.context, running, actor=SOMEBODY)
    people.resolve(running)
    escalate_due(people.context, people.clock.move(seconds=1))
    assert read_page(people.context, running, actor=SOMEBODY).state is PageState.ENDED
    assert [n.state for n in list_notices(people.context, incident_id=running, actor=SOMEBODY)] == ["dropped"]


def test_a_call_goes_out_within_the_beat_and_says_whom_it_is_for(people: People) -> None:
    incident = people.open()
    page(people.context, incident, actor=SOMEBODY)
    assert send_due(people.context, people.clock.now()) == 1
    on = who_is_on_call(people.context, "primary", actor=SOMEBODY)
    ((_, subject, text),) = people.post.sent
    assert subject.startswith("[page] SEV1 shop (production)")
    assert f"{on.name}, you are called (level 1)" in text
    assert stop_page(people.context, incident, actor=SOMEBODY).state is PageState.ENDED


def test_an_override_goes_before_the_turn_and_can_be_taken_back(people: People) -> None:
    before = who_is_on_call(people.context, "primary", actor=SOMEBODY)
    other = "noah" if before.person == "mia" else "mia"
    wish = OverrideWish(other, START, START + timedelta(hours=2), "dentist")
    made = override_schedule(people.context, "primary", wish, actor=SOMEBODY)
    now = who_is_on_call(people.context, "primary", actor=SOMEBODY)
    assert (now.person, now.layer, now.until, now.following) == (other, "override", START + timedelta(hours=2), before.person)
    remove_override(people.context, made.id, actor=SOMEBODY)
    assert list_schedules(people.context, actor=SOMEBODY) == [before]
    assert people.audit("OnCall/primary")[:2] == ["oncall.override_removed", "oncall.overridden"]
    with pytest.raises(NotFoundError):
        remove_override(people.context, made.id, actor=SOMEBODY)
    with pytest.raises(InvalidInputError, match="nobody of schedule primary; known: mia, noah, emma"):
        override_schedule(people.context, "primary", replace(wish, person="zoe"), actor=SOMEBODY)


def test_two_people_swap_their_shifts(people: People) -> None:
    next_week = START + timedelta(days=7)
    first, second = (who_is_on_call(people.context, "primary", at, actor=SOMEBODY).person for at in (START, next_week))
    swap_shifts(people.context, "primary", first=START, second=next_week, reason="holiday", actor=SOMEBODY)
    assert who_is_on_call(people.context, "primary", START, actor=SOMEBODY).person == second
    assert who_is_on_call(people.context, "primary", next_week, actor=SOMEBODY).person == first
    assert read_schedule(people.context, "primary", actor=SOMEBODY).gaps == ()


def test_a_calendar_that_was_written_here_can_be_read_here_and_read_again(people: People) -> None:
    written = export_schedule(people.context, "primary", actor=SOMEBODY)
    assert written.count(b"BEGIN:VEVENT") > 20
    before = read_schedule(people.context, "primary", actor=SOMEBODY)
    made = import_overrides(people.context, "primary", written, actor=SOMEBODY)
    again = import_overrides(people.context, "primary", written, actor=SOMEBODY)
    assert [each.id for each in made] == [each.id for each in again]
    after = read_schedule(people.context, "primary", actor=SOMEBODY)
    assert [(s.person, s.starts_at) for s in after.shifts] == [(s.person, s.starts_at) for s in before.shifts]
    strange = written.replace(b"SUMMARY:mia", b"SUMMARY:somebody else")
    with pytest.raises(InvalidInputError, match="'somebody else' at .* is nobody of primary"):
        import_overrides(people.context, "primary", strange, actor=SOMEBODY)


def test_what_keeps_people_from_being_called_is_named(tmp_path: Path) -> None:
    edit = {'starts: "2026-01-05T09:00"': 'starts: "2026-01-05T09:00", ends: "2026-11-23T09:00"', "  fallback: [{channel: war-room}]\n": ""}
    people = make_people(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, edit=edit)
    told = {(each.kind, each.text) for each in check_oncall(people.context, actor=SOMEBODY)}
    assert ("OnCall", "nobody is on call from 2026-11-23 08:00 to 2026-12-14 10:00 UTC") in told
    assert ("OnCall", "emma has no channel: a call reaches nobody") in told
    assert ("Escalation", "has no fallback: when nobody answers, nobody is left") in told


def test_who_may_only_read_changes_nothing(people: People) -> None:
    viewer = Actor("vera", "api", Principal("vera", (Grant(Role.VIEWER, "apollo"),)))
    stranger = Actor("otto", "api", Principal("otto", (Grant(Role.ADMIN, "gemini"),)))
    wish = OverrideWish("mia", START, START + timedelta(hours=2))
    with pytest.raises(ForbiddenError):
        override_schedule(people.context, "primary", wish, actor=viewer)
    with pytest.raises(ForbiddenError):
        page(people.context, people.open(), actor=viewer)
    with pytest.raises(NotFoundError):
        who_is_on_call(people.context, "primary", actor=stranger)
    assert list_schedules(people.context, actor=stranger) == []


def test_the_catalog_is_refused_when_it_names_what_is_not_there(people: People, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="OnCall 'primary' names Channel 'nowhere'"):
        people_apply(people, tmp_path, edit={"channels: [mia-phone]": "channels: [nowhere]"})
    with pytest.raises(CatalogError, match="component 'Shop' is of service 'nothing'"):
        people_apply(people, tmp_path, edit={"service: shop}": "service: nothing}"})
    unchanged = people_apply(people, tmp_path)
    assert {each.outcome for each in unchanged} == {"unchanged"}
    gone = people_apply(people, tmp_path, edit={"  fallback: [{channel: war-room}]\n": "  fallback: []\n"})
    assert [(each.kind, each.outcome) for each in gone if each.outcome != "unchanged"] == [("Escalation", "changed")]


def test_a_hand_over_names_who_is_next_and_when(people: People) -> None:
    duty = who_is_on_call(people.context, "primary", datetime(2026, 11, 16, 7, 59, tzinfo=UTC), actor=SOMEBODY)
    assert duty.until == datetime(2026, 11, 16, 8, tzinfo=UTC)  # nine in Berlin
    assert {duty.person, duty.following} == {"mia", "noah"}
