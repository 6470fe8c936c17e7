"""The likeliest cause of an incident, from what is in the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from productops.domain.catalog_flags import FlagSpec
from productops.domain.incident_cause import CauseKind, CauseVerdict
from productops.domain.release import Phase
from productops.domain.traffic import InstanceState
from productops.errors import ConflictError, InvalidInputError, NotFoundError
from productops.usecases.incident_cause_read import cause_record, decide_cause, list_cause_looks, read_causes
from productops.usecases.incident_log import read_incident_log
from productops.usecases.release_flags_change import create_flag, ramp_flag
from tests.integration.incident_cause_lab import CauseLab, make_lab
from tests.support import PRODUCTION, SOMEBODY


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CauseLab]:
    made = make_lab(tmp_path)
    yield made
    made.context.store.close()


def test_a_candidate_that_fails_while_its_baseline_does_not_is_the_cause(lab: CauseLab) -> None:
    release = lab.release("1.1.0")
    lab.traffic("shop", {"1.0.0": 0.8, "1.1.0": 0.2}, bad={"1.1.0": 0.4})
    top = lab.look(lab.incident()).top
    assert (top.kind, top.subject) == (CauseKind.RELEASE, release)
    assert top.probability > 0.95
    assert top.remedy == {"step": "roll-back", "release_id": release}
    assert any("on 1.1.0" in each.text and each.weight > 3 for each in top.supporting)


def test_a_release_whose_baseline_fails_as_much_is_not_the_cause(lab: CauseLab) -> None:
    release = lab.release("1.1.0", shifted=timedelta(minutes=20))
    lab.traffic("shop", {"1.0.0": 0.8, "1.1.0": 0.2}, bad={"1.0.0": 0.3, "1.1.0": 0.3})
    ledger = lab.look(lab.incident())
    found = ledger.find(f"release:{release}")
    assert found is None or found.probability < 0.35
    assert ledger.top.kind is CauseKind.UNKNOWN


def test_a_release_that_came_after_it_began_did_not_do_it(lab: CauseLab) -> None:
    release = lab.release("1.1.0", shifted=timedelta(seconds=-9))
    lab.traffic("shop", {"1.0.0": 0.8, "1.1.0": 0.2}, bad={"1.0.0": 0.3, "1.1.0": 0.3})
    ledger = lab.look(lab.incident())
    assert ledger.top.key != f"release:{release}"


def test_a_release_that_was_rolled_back_before_is_no_suspect(lab: CauseLab) -> None:
    release = lab.release("1.1.0", shifted=timedelta(minutes=30), phase=Phase.ROLLED_BACK, ended=timedelta(minutes=25))
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.3})
    ledger = lab.look(lab.incident())
    assert ledger.top.kind is CauseKind.UNKNOWN
    assert all(each.key != f"release:{release}" or not each.remedy for each in ledger.hypotheses)


def test_a_promotion_just_before_the_onset_is_suspected_without_a_baseline_to_compare(lab: CauseLab) -> None:
    release = lab.release("1.1.0", shifted=timedelta(seconds=8), share=100, phase=Phase.PROMOTED, ended=timedelta(seconds=2))
    lab.traffic("shop", {"1.1.0": 1.0}, bad={"1.1.0": 0.2})
    top = lab.look(lab.incident()).top
    assert (top.key, top.probability > 0.8) == (f"release:{release}", True)


def test_the_onset_is_found_to_the_second(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.3})
    onset = lab.look(lab.incident()).onset
    assert onset is not None
    assert abs((onset.at - lab.onset).total_seconds()) <= 1
    assert onset.low <= lab.onset <= onset.high


def test_slow_answers_are_seen_as_well_as_failures(lab: CauseLab) -> None:
    release = lab.release("1.1.0")
    lab.traffic("shop", {"1.0.0": 0.8, "1.1.0": 0.2}, slow={"1.1.0": 0.5})
    ledger = lab.look(lab.incident())
    assert ledger.top.key == f"release:{release}"
    assert ledger.onset is not None
    assert "slow" in ledger.onset.sentence


def _flag(lab: CauseLab, *, changed: timedelta) -> None:
    """Half of all users get it so long before the onset."""
    real = lab.clock.at
    lab.clock.at = lab.onset - timedelta(days=1)
    create_flag(lab.context, "new-checkout", venture="apollo", spec=FlagSpec(owner="checkout"), actor=SOMEBODY)
    lab.clock.at = lab.onset - changed
    ramp_flag(lab.context, "new-checkout", PRODUCTION, percent=50, actor=SOMEBODY, reason="half of all users")
    lab.clock.at = real


def test_a_flag_whose_users_fail_while_the_others_do_not_is_the_cause(lab: CauseLab) -> None:
    _flag(lab, changed=timedelta(minutes=3))
    arms = {"1.0.0": 1.0, "flag:new-checkout=on": 0.5, "flag:new-checkout=off": 0.5}
    lab.traffic("shop", arms, bad={"1.0.0": 0.15, "flag:new-checkout=on": 0.3})
    top = lab.look(lab.incident()).top
    assert (top.kind, top.subject, top.remedy) == (CauseKind.FLAG, "new-checkout", {"step": "disable-flag", "flag": "new-checkout"})
    assert top.probability > 0.9


def test_without_counts_of_who_had_it_a_flag_is_suspected_by_its_time(lab: CauseLab) -> None:
    _flag(lab, changed=timedelta(seconds=5))
    lab.release("1.1.0", shifted=timedelta(hours=2), share=100, phase=Phase.PROMOTED, ended=timedelta(hours=2))
    lab.traffic("shop", {"1.1.0": 1.0}, bad={"1.1.0": 0.2})
    assert lab.look(lab.incident()).top.key == "flag:new-checkout"


def test_one_of_three_instances_that_crashed_is_the_cause_and_restarting_it_the_remedy(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.1})
    crashed = lab.instance(state=InstanceState.CRASHED)
    for _ in range(2):
        lab.instance()
    top = lab.look(lab.incident()).top
    assert (top.kind, top.subject, top.remedy) == (CauseKind.INSTANCE, crashed, {"step": "restart", "instance": crashed})
    assert top.probability > 0.8


def test_a_busy_host_is_the_cause_when_it_was_busy_first(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, slow={"1.0.0": 0.5})
    lab.level("host/web-1", "host.cpu_pct", 20, 99)
    lab.level("host/web-2", "host.cpu_pct", 20, 22)
    top = lab.look(lab.incident()).top
    assert (top.kind, top.subject) == (CauseKind.HOST, "host/web-1 CPU")
    assert top.probability > 0.8


def test_a_full_disk_is_the_cause(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.6})
    lab.level("host/web-1", "host.disk_pct", 70, 100, mount="/")
    top = lab.look(lab.incident()).top
    assert (top.kind, top.subject) == (CauseKind.HOST, "host/web-1:/ disk")


def test_a_slow_service_that_it_calls_is_the_cause_and_not_the_service_itself(lab: CauseLab) -> None:
    lab.service("prices")
    lab.service("cart")
    lab.service("front", depends_on=("prices", "cart"))
    lab.traffic("front", {"1.0.0": 1.0}, slow={"1.0.0": 0.5})
    lab.traffic("prices", {"2.0.0": 1.0}, slow={"2.0.0": 0.5})
    lab.traffic("cart", {"2.0.0": 1.0})
    ledger = lab.look(lab.incident(services=("front",)))
    assert (ledger.top.kind, ledger.top.subject, ledger.top.service) == (CauseKind.DEPENDENCY, "prices", "prices")
    assert ledger.top.probability > 0.7


def test_a_slow_database_is_seen_in_the_calls_that_traces_count(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, slow={"1.0.0": 0.6})
    lab.edges("postgresql/orders", before_ms=4, after_ms=900)
    lab.edges("redis", before_ms=1, after_ms=1)
    top = lab.look(lab.incident()).top
    assert (top.kind, top.subject) == (CauseKind.DEPENDENCY, "postgresql/orders")


def test_three_times_the_requests_are_a_cause_of_slow_answers(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, slow={"1.0.0": 0.4}, rate=20, rate_after=90)
    top = lab.look(lab.incident()).top
    assert (top.kind, top.remedy["step"]) == (CauseKind.TRAFFIC, "scale")


def test_where_nothing_is_measured_the_cause_is_unknown_and_what_is_missing_is_named(lab: CauseLab) -> None:
    ledger = lab.look(lab.incident())
    assert ledger.top.kind is CauseKind.UNKNOWN
    assert any("no traffic" in each for each in ledger.missing)
    assert any("no host" in each for each in ledger.missing)


def test_a_look_is_kept_with_all_its_evidence_and_written_into_the_log_of_the_incident(lab: CauseLab) -> None:
    lab.release("1.1.0")
    lab.traffic("shop", {"1.0.0": 0.8, "1.1.0": 0.2}, bad={"1.1.0": 0.4})
    incident = lab.incident()
    first = lab.look(incident)
    again = lab.look(incident)
    assert [each.id for each in list_cause_looks(lab.context, incident, before=None, limit=10, actor=SOMEBODY)] == [again.id, first.id]
    kept = read_causes(lab.context, incident, actor=SOMEBODY)
    assert [each.key for each in kept.hypotheses] == [each.key for each in again.hypotheses]
    assert kept.top.supporting[0].text == again.top.supporting[0].text
    told = [entry.text for entry in read_incident_log(lab.context, incident, actor=SOMEBODY) if entry.kind == "cause"]
    assert len(told) == 1  # the second look found the same
    assert "likeliest cause" in told[0]


def test_what_people_confirm_is_counted_against_the_first_look_and_weighs_in_the_next(lab: CauseLab) -> None:
    release = lab.release("1.1.0")
    lab.traffic("shop", {"1.0.0": 0.8, "1.1.0": 0.2}, bad={"1.1.0": 0.4})
    incident = lab.incident()
    lab.look(incident)
    decision = decide_cause(lab.context, incident, f"release:{release}", CauseVerdict.CONFIRMED, reason="it was", actor=SOMEBODY)
    assert decision.rank == 1
    assert cause_record(lab.context, venture="apollo", actor=SOMEBODY).first == 1
    assert read_causes(lab.context, incident, actor=SOMEBODY).top.verdict is CauseVerdict.CONFIRMED
    with pytest.raises(ConflictError, match="refute it first"):
        decide_cause(lab.context, incident, "host:web-1", CauseVerdict.CONFIRMED, actor=SOMEBODY)
    decide_cause(lab.context, incident, f"release:{release}", CauseVerdict.REFUTED, actor=SOMEBODY)
    assert cause_record(lab.context, venture="apollo", actor=SOMEBODY).confirmed == 0


def test_a_kind_of_cause_nobody_knows_is_refused(lab: CauseLab) -> None:
    with pytest.raises(InvalidInputError, match="names no hypothesis"):
        decide_cause(lab.context, lab.incident(), "gremlins:yes", CauseVerdict.CONFIRMED, actor=SOMEBODY)


def test_before_any_look_the_answer_says_how_to_look(lab: CauseLab) -> None:
    with pytest.raises(NotFoundError, match="--look"):
        read_causes(lab.context, lab.incident(), actor=SOMEBODY)


def test_a_look_answers_within_two_seconds(lab: CauseLab) -> None:
    for _ in range(3):
        lab.instance()
    lab.release("1.1.0")
    lab.traffic("shop", {"1.0.0": 0.8, "1.1.0": 0.2}, bad={"1.1.0": 0.4}, before_s=300)
    incident = lab.incident()
    began = time.monotonic()
    lab.look(incident)
    assert time.monotonic() - began < 2
