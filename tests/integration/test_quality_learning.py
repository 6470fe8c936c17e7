"""Flaky tests, performance over time and findings on SQLite and PostgreSQL, from stored runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.quality_flaky import FlakyMove
from productops.domain.quality_insight import InsightKind, InsightState
from productops.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from productops.store.quality_learning import InsightFilter
from productops.usecases.context import Actor, Clock
from productops.usecases.incident import IncidentReport, report_incident
from productops.usecases.quality_flaky import quarantine_test, read_flaky, release_test, review_flaky
from productops.usecases.quality_improve import (
    accept_insight,
    dismiss_insight,
    finish_insight,
    list_insights,
    read_insight,
    review_quality,
)
from productops.usecases.quality_performance import one_series, read_series
from tests.integration.quality_learning_lab import add_history, add_results, key_of
from tests.support import SOMEBODY

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=30)
DEVELOPER = Actor("dan", "api", Principal("dan", (Grant(Role.DEVELOPER, "apollo"),)))
STRANGER = Actor("eve", "api", Principal("eve", (Grant(Role.ADMIN, "gemini"),)))
FLAKY = "....R....R......R....F...R...."
BROKEN = "." * 20 + "F" * 6 + "." * 4


class At(Clock):
    """A clock that stands where a test puts it."""

    moment = END

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def lab(any_context):
    return replace(any_context, clock=At())


@pytest.fixture
def here(context):
    return replace(context, clock=At())


def audited(context, action):
    with context.store.read() as unit:
        return [entry for entry in unit.audit.following(0) if entry.action == action]


def test_a_test_that_answers_by_chance_is_quarantined_once_and_one_that_a_change_broke_is_not(lab):
    add_history(lab, {"pays": FLAKY, "ships": BROKEN}, begin=BEGIN)
    looked = read_flaky(lab, "shop", SOMEBODY)
    assert [decision.move for decision in looked.decisions] == [FlakyMove.QUARANTINE]
    assert not looked.quarantined
    done = review_flaky(lab, "shop", SOMEBODY)
    (held,) = done.quarantined
    assert (held.test_key, held.owner, held.until - held.since) == (key_of("pays"), "apollo", timedelta(days=14))
    assert held.evidence["retried_runs"] == 4
    assert done.cost.retry_minutes == pytest.approx(4 * 6 / 60)
    assert not review_flaky(lab, "shop", SOMEBODY).decisions
    (entry,) = audited(lab, "quality.quarantined")
    assert entry.subject == f"test/shop/{key_of('pays')}"


def test_a_quarantine_that_expired_counts_again_and_takes_a_new_failure_to_return(here):
    add_history(here, {"pays": FLAKY}, begin=BEGIN)
    review_flaky(here, "shop", SOMEBODY)
    here.clock.moment = END + timedelta(days=15)
    assert [d.move for d in review_flaky(here, "shop", SOMEBODY).decisions] == [FlakyMove.EXPIRE]
    assert not review_flaky(here, "shop", SOMEBODY).decisions
    assert len(audited(here, "quality.quarantine_expired")) == 1


def test_a_quarantined_test_that_the_newest_code_really_fails_blocks_again(here):
    add_history(here, {"pays": "....R....R......R........F...."}, begin=BEGIN)
    assert review_flaky(here, "shop", SOMEBODY).quarantined
    add_results(here, "pays", "FFFFFF", begin=END)
    done = review_flaky(here, "shop", SOMEBODY)
    assert [d.move for d in done.decisions] == [FlakyMove.BLOCK]
    assert "blocks again" in done.decisions[0].reason
    assert not done.quarantined


def test_a_person_quarantines_and_releases_with_a_reason_and_evidence_does_not_end_it(here):
    add_history(here, {"pays": "." * 5 + "F" + "." * 24}, begin=BEGIN)
    held = quarantine_test(here, "shop", key_of("pays"), reason="waits for the new sandbox", owner="mia", actor=SOMEBODY)
    assert held.owner == "mia"
    assert not review_flaky(here, "shop", SOMEBODY).decisions
    with pytest.raises(ConflictError, match="in quarantine already"):
        quarantine_test(here, "shop", key_of("pays"), reason="waits for the new sandbox", actor=SOMEBODY)
    ended = release_test(here, "shop", key_of("pays"), reason="the sandbox is there", actor=SOMEBODY)
    assert ended.ended_at == END
    with pytest.raises(NotFoundError, match="not in quarantine"):
        release_test(here, "shop", key_of("pays"), reason="the sandbox is there", actor=SOMEBODY)
    (entry,) = audited(here, "quality.quarantine_released")
    assert (entry.reason, entry.actor) == ("the sandbox is there", "tester")


def test_quarantine_takes_a_role_a_reason_a_time_and_a_test_that_failed(here):
    add_history(here, {"pays": FLAKY}, begin=BEGIN)
    with pytest.raises(ForbiddenError):
        quarantine_test(here, "shop", key_of("pays"), reason="waits for the new sandbox", actor=DEVELOPER)
    with pytest.raises(NotFoundError):
        read_flaky(here, "shop", STRANGER)
    with pytest.raises(InvalidInputError, match="at least 10 characters"):
        quarantine_test(here, "shop", key_of("pays"), reason="flaky", actor=SOMEBODY)
    with pytest.raises(InvalidInputError, match="to 90 days"):
        quarantine_test(here, "shop", key_of("pays"), reason="waits for the new sandbox", span=timedelta(days=400), actor=SOMEBODY)
    with pytest.raises(NotFoundError, match="ever failed"):
        quarantine_test(here, "shop", key_of("other"), reason="waits for the new sandbox", actor=SOMEBODY)
    assert read_flaky(here, "shop", DEVELOPER).tests


def test_findings_keep_their_state_and_a_dismissed_one_returns_when_the_evidence_doubles(lab):
    add_history(lab, {"pays": FLAKY, "ships": BROKEN}, begin=BEGIN)
    first = review_quality(lab, "shop", SOMEBODY)
    assert {each.insight.kind for each in first.insights} >= {InsightKind.FLAKY, InsightKind.FAILING, InsightKind.SLOW}
    again = review_quality(lab, "shop", SOMEBODY)
    assert (again.opened, again.still) == (0, first.opened)
    flaky = next(each for each in first.insights if each.insight.kind is InsightKind.FLAKY)
    assert accept_insight(lab, flaky.id, actor=SOMEBODY).state is InsightState.ACCEPTED
    with pytest.raises(ConflictError, match="is accepted"):
        accept_insight(lab, flaky.id, actor=SOMEBODY)
    assert finish_insight(lab, flaky.id, actor=SOMEBODY, reason="rewritten").state is InsightState.DONE
    failing = next(each for each in first.insights if each.insight.kind is InsightKind.FAILING)
    with pytest.raises(InvalidInputError):
        dismiss_insight(lab, failing.id, reason="no", actor=SOMEBODY)
    dismiss_insight(lab, failing.id, reason="the module goes away", actor=SOMEBODY)
    assert review_quality(lab, "shop", SOMEBODY).back == 0
    assert read_insight(lab, failing.id, actor=SOMEBODY).state is InsightState.DISMISSED
    add_history(lab, {"other": "F" + "." * 19}, begin=END)
    with lab.store.write() as unit:
        known = unit.quality_insights.get(failing.id)
        unit.quality_insights.see(known.id, replace(known.insight, weight=1.0), now=END)
        unit.quality_insights.move(known.id, known.state, known.state, reason="less", by="tester", weight=1.0, now=END)
    assert review_quality(lab, "shop", SOMEBODY).back == 1
    assert read_insight(lab, failing.id, actor=SOMEBODY).state is InsightState.OPEN
    assert [entry.action for entry in audited(lab, "quality.insight_dismissed")]


def test_findings_are_shown_to_their_venture_only_and_decided_by_who_may(here):
    add_history(here, {"pays": FLAKY}, begin=BEGIN)
    found = review_quality(here, "shop", SOMEBODY).insights[0]
    assert list_insights(here, InsightFilter(), actor=DEVELOPER)
    assert not list_insights(here, InsightFilter(), actor=STRANGER)
    with pytest.raises(NotFoundError):
        read_insight(here, found.id, actor=STRANGER)
    with pytest.raises(ForbiddenError):
        accept_insight(here, found.id, actor=DEVELOPER)
    with pytest.raises(NotFoundError, match="no finding"):
        read_insight(here, "nonsense", actor=SOMEBODY)


def test_a_test_that_fails_when_a_file_changes_is_told_with_counts(here):
    changed = [["tax.py"] if number % 3 == 0 else ["menu.py"] for number in range(30)]
    row = "".join("F" if number % 3 == 0 else "." for number in range(30))
    add_history(here, {"sums": row}, begin=BEGIN, changed=changed)
    found = [each.insight for each in review_quality(here, "shop", SOMEBODY).insights if each.insight.kind is InsightKind.IMPACT]
    assert [(each.evidence["path"], each.evidence["both"]) for each in found] == [("tax.py", 10)]


def test_an_incident_of_a_version_that_passed_its_gates_names_the_gate(here):
    from productops.usecases.release_request import ReleaseWish, place_release
    from tests.integration.test_api.support import HandMadeOrchestrator

    add_history(here, {"pays": FLAKY}, begin=BEGIN, version="1.1.0")
    release = place_release(replace(here, orchestrator=HandMadeOrchestrator()), ReleaseWish("shop", "1.1.0"), actor=SOMEBODY).release
    report_incident(here, IncidentReport("Customers cannot pay", "shop", release_id=release.id), actor=SOMEBODY)
    (escape,) = [each.insight for each in review_quality(here, "shop", SOMEBODY).insights if each.insight.kind is InsightKind.ESCAPE]
    assert escape.evidence["gate"] == "end-to-end"
    assert "the end-to-end gate passed 1 of them" in escape.sentence


def test_a_step_of_a_series_is_found_with_its_size_and_what_could_be_seen(lab):
    noise = [1 + 0.01 * ((number * 7) % 5 - 2) for number in range(60)]
    add_history(lab, {"pays": FLAKY}, begin=BEGIN, series=[100 * each * (1.2 if n >= 35 else 1.0) for n, each in enumerate(noise)])
    (found,) = read_series(lab, "shop", actor=SOMEBODY)
    (step,) = found.steps
    assert abs(step.index - 35) <= 2
    assert step.worse
    assert step.low < 0.2 < step.high
    assert 0 < found.detectable < 0.15
    assert one_series(lab, "shop", series="checkout", runner="ci-large", actor=SOMEBODY).medians == found.medians
    with pytest.raises(NotFoundError, match="no series"):
        one_series(lab, "shop", series="other", runner="", actor=SOMEBODY)
