"""Which playbook answers an incident, which guard rails hold it, and when a service counts as recovered."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.catalog_playbook import PlaybookSpec
from productops.domain.incident_cause import CauseKind, Evidence, Hypothesis, Ledger
from productops.domain.incident_playbook import Action, Hold, Playbook
from productops.domain.incident_playbook_choose import Facts, choose
from productops.domain.incident_recovery import judge_recovery
from productops.domain.release import Environment

NOW = datetime(2026, 11, 21, 3, tzinfo=UTC)
PLACE = Environment.PRODUCTION
FACTS = Facts("i", "availability", "SEV2", "open", "shop", PLACE, "Customers cannot pay")
FAST = LatencyHistogram((5.0, 50.0), (95, 5))
SLOW = LatencyHistogram((5.0, 400.0), (40, 60))


def book(name="undo", rank=100, **spec):
    return Playbook(name, None, PlaybookSpec.model_validate({"steps": [{"do": "roll-back"}], "rank": rank} | spec), "/", 1)


SEEN = Evidence("40 of 100 requests failed on 2.0, 1 of 100 on 1.0", 6.0, direct=True)
GUESSED = Evidence("2.0 got 100 % of the traffic 60 s before the onset", 6.0)


def ledger(*probabilities, kind=CauseKind.RELEASE, remedy=None, seen=(SEEN,)):
    named = {"release_id": "r1"} if remedy is None else remedy
    top = [Hypothesis(kind, f"r{number}", "shop", PLACE, p, seen, remedy=named) for number, p in enumerate(probabilities)]
    return Ledger("i", NOW, tuple(sorted(top, key=lambda each: -each.probability)))


def chosen(books, found, *, holds=(), actions=(), facts=FACTS):
    return choose(books, facts, found, holds=holds, actions=actions, now=NOW)


def test_the_lowest_rank_that_fits_is_taken():
    books = [book("late", 200), book("first", 10, when={"causes": ["flag"]}), book("second", 50)]
    assert chosen(books, ledger(0.9, 0.05)).name == "second"


def test_what_is_only_likely_and_was_not_seen_of_the_thing_itself_is_a_persons():
    found = chosen([book()], ledger(0.99, seen=(GUESSED,)))
    assert (found.playbook, "nothing that was seen is about release r0 itself" in found.why[-1]) == (None, True)
    assert chosen([book()], ledger(0.99, seen=(GUESSED, SEEN))).automatic
    assert not chosen([book(automatic=False)], ledger(0.99, seen=(GUESSED,))).automatic
    assert chosen([book(automatic=False)], ledger(0.99, seen=(GUESSED,))).name == "undo"


def test_three_quarters_and_a_clear_lead_is_what_it_takes_where_nothing_is_said():
    assert [chosen([book()], ledger(*each)).name for each in ((0.74, 0.1), (0.76, 0.1))] == ["page-a-person", "undo"]


def test_another_command_for_the_same_service_is_not_the_same_action_again():
    def runs(name):
        return book(name, steps=[{"do": "run-command", "command": name}], commands={name: {"argv": ["true"]}})

    found, done = ledger(0.9, kind=CauseKind.HOST, remedy={}), [Action("run-command", "shop: calm", NOW)]
    assert chosen([runs("make-room")], found, actions=done).name == "make-room"
    again = chosen([runs("calm")], found, actions=done)
    assert (again.playbook, "was done 1 times within an hour" in again.why[-1]) == (None, True)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_nothing_acts_below_its_probability_or_without_its_lead(first, second, probability_min, lead_min):
    when = {"probability_min": probability_min, "lead_min": lead_min}
    found = chosen([book(when=when)], ledger(first, second))
    if found.playbook is not None:
        assert max(first, second) >= probability_min
        assert abs(first - second) >= lead_min


@pytest.mark.parametrize("found", [None, ledger(0.9, kind=CauseKind.UNKNOWN), ledger(0.9, remedy={}), ledger(0.9, kind=CauseKind.HOST)])
def test_what_is_unknown_or_names_nothing_to_act_on_is_a_persons(found):
    assert chosen([book()], found).playbook is None


def test_a_hold_keeps_programs_off_until_its_time_is_over_and_only_there():
    def hold(**more):
        given = {"id": "h", "venture": "apollo", "service": "shop", "environment": None, "incident_id": None, "until": None}
        return Hold(**given | {"reason": "looking", "by": "mia", "at": NOW} | more)

    assert "mia holds it: looking" in chosen([book()], ledger(0.9), holds=[hold()]).why[-1]
    for elsewhere in (hold(service="cart"), hold(environment=Environment.STAGING), hold(incident_id="j"), hold(until=NOW)):
        assert chosen([book()], ledger(0.9), holds=[elsewhere]).playbook is not None
    assert chosen([book()], ledger(0.9), holds=[hold(service="", incident_id="i")]).playbook is None


def test_no_service_gets_more_automatic_actions_an_hour_than_allowed_and_none_gets_the_same_again():
    minute = timedelta(minutes=1)
    others = [Action("scale", f"s{number}", NOW - number * minute) for number in range(3)]
    assert "3 are allowed" in chosen([book()], ledger(0.9), actions=others).why[-1]
    assert chosen([book()], ledger(0.9), actions=others[:2]).playbook is not None
    again = [Action("roll-back", "r1", NOW - 59 * minute)]
    assert "it is back" in chosen([book()], ledger(0.9), actions=again).why[-1]
    assert chosen([book()], ledger(0.9), actions=[Action("roll-back", "r1", NOW - 61 * minute)]).playbook is not None


def test_a_playbook_for_unknown_causes_may_change_nothing():
    with pytest.raises(ValidationError, match="changes something"):
        book(when={"causes": ["unknown"]})
    calls = book("call", when={"causes": ["unknown"], "words": ["pay"], "probability_min": 0, "lead_min": 0}, steps=[{"do": "page"}])
    assert chosen([calls], ledger(0.9, kind=CauseKind.UNKNOWN)).name == "call"


def seconds(count, *, failures=1, latency=FAST):
    return [ArmSecond(100, failures, latency) for _ in range(count)]


@pytest.mark.parametrize(
    ("after", "healthy", "recovered", "why"),
    [
        (seconds(6), 2, True, "as before"),
        (seconds(6, failures=30), 2, False, "30.00% of requests failed"),
        (seconds(6, latency=SLOW), 2, False, "p50 is 400 ms"),
        (seconds(6), 1, False, "1 of 2 instances answer"),
        (seconds(2), 2, None, "say nothing yet"),
        ([ArmSecond(1, 0, LatencyHistogram((5.0,), (1,)))] * 6, 2, None, "say nothing yet"),
        ([None] * 6, 2, None, "say nothing yet"),
    ],
)
def test_a_service_has_recovered_when_users_meet_what_they_met_before(after, healthy, recovered, why):
    found = judge_recovery(seconds(60), after, good_s=5, healthy=healthy, desired=2)
    assert (found.recovered, why in found.reason) == (recovered, True), found


def test_where_nothing_is_known_of_before_few_failures_are_well():
    assert judge_recovery([], seconds(6), good_s=5, healthy=2, desired=2).recovered is True
    assert judge_recovery([], seconds(6, failures=5), good_s=5, healthy=2, desired=2).recovered is False


@given(st.lists(st.integers(0, 4), min_size=6, max_size=20))
def test_the_noise_of_healthy_seconds_is_never_taken_for_harm(failures):
    after = [ArmSecond(100, count, FAST) for count in failures[-6:]]
    before = [ArmSecond(100, count, FAST) for count in ([2] * 50)]
    assert judge_recovery(before, after, good_s=5, healthy=2, desired=2).recovered is not False
