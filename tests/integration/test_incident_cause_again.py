"""Causes on a service with a past: its first version, harm that was over, flags taken back, errors that come back."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.catalog_flags import FlagSpec
from productops.domain.incident_alert import Alert
from productops.domain.incident_cause import CauseKind
from productops.domain.monitoring_logs_errors import plain_error
from productops.domain.release import Phase
from productops.store.monitoring_logs_errors import SeenErrors
from productops.usecases.incident_alerts import take_alerts
from productops.usecases.release_flags_change import create_flag, kill_flag, ramp_flag, restore_flag
from tests.integration.incident_cause_lab import CauseLab, make_lab
from tests.support import PRODUCTION, SOMEBODY

FULL = "POST /cart answered 500: OSError: [Errno 28] No space left on device"


@pytest.fixture
def lab(tmp_path: Path) -> CauseLab:
    return make_lab(tmp_path)


def at(lab: CauseLab, before: timedelta) -> None:
    lab.clock.at = lab.now - timedelta(seconds=15) - before


def ramped(lab: CauseLab, before: timedelta) -> None:
    at(lab, before + timedelta(hours=1))
    create_flag(lab.context, "new-checkout", venture="apollo", spec=FlagSpec(owner="checkout"), actor=SOMEBODY)
    at(lab, before)
    ramp_flag(lab.context, "new-checkout", PRODUCTION, percent=100, actor=SOMEBODY, reason="for all")
    lab.clock.at = lab.now


def written(lab: CauseLab, *, first: timedelta, minutes: dict[int, int]) -> None:
    """Lines of an error: ``minutes`` are counted back from the onset's."""
    onset_minute = int(lab.onset.timestamp() // 60)
    counts = {("1.0.0", onset_minute - back): lines for back, lines in minutes.items()}
    seen = SeenErrors(plain_error(FULL, FULL), FULL, lab.onset - first, lab.now, counts)
    with lab.context.store.write() as unit:
        unit.logs.errors.add({("apollo", "shop", PRODUCTION, seen.error.fingerprint): seen})


def test_the_first_version_of_a_service_is_suspected_far_less_than_a_flag_changed_at_the_onset(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.4})
    first = timedelta(seconds=84)
    release = lab.release("1.0.0", baseline=None, shifted=first, share=100, phase=Phase.PROMOTED, ended=first)
    ramped(lab, timedelta(seconds=2))
    found = lab.look(lab.incident())
    assert (found.top.key, found.top.probability > 0.9) == ("flag:new-checkout", True)
    other = found.find(f"release:{release}")
    assert other is not None
    assert (other.probability < 0.05, other.remedy) == (True, {})


def test_a_disk_that_nobody_measures_is_the_cause_when_the_system_says_that_it_is_full(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.2})
    lab.level("host/web-1", "host.disk_pct", 40, 40, mount="/")
    written(lab, first=timedelta(seconds=-1), minutes={0: 30})
    top = lab.look(lab.incident()).top
    assert (top.kind, top.subject) == (CauseKind.HOST, "shop disk")
    assert top.probability > 0.8


def test_an_error_of_last_week_that_comes_back_with_it_counts_like_a_new_one(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.2})
    written(lab, first=timedelta(days=7), minutes={3000: 50, 0: 30})
    assert lab.look(lab.incident()).top.subject == "shop disk"


def test_an_error_that_is_always_there_says_nothing(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.2})
    written(lab, first=timedelta(days=7), minutes={2: 60, 1: 60, 0: 15})
    assert lab.look(lab.incident()).top.kind is not CauseKind.HOST


def test_harm_that_was_over_before_is_neither_the_onset_nor_what_is_usual(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.2}, before_s=40)
    begun, over = lab.onset - timedelta(seconds=120), lab.onset - timedelta(seconds=50)
    _was_failing(lab, begun + timedelta(seconds=2), over - timedelta(seconds=15))
    past = Alert(
        source="anomaly", name="failing requests", venture="apollo", service="shop", environment=PRODUCTION, component="shop",
        severity="SEV2", starts_at=begun, ends_at=over, status="resolved", summary="half of all requests failed",
    )  # fmt: skip
    lab.clock.at = over
    take_alerts(lab.context, [past], actor=SOMEBODY)
    ramped(lab, timedelta(seconds=119))
    at(lab, timedelta(seconds=55))
    kill_flag(lab.context, "new-checkout", environments=(PRODUCTION,), actor=SOMEBODY, reason="it harmed")
    at(lab, timedelta(seconds=48))
    restore_flag(lab.context, "new-checkout", 1, actor=SOMEBODY, reason="as it was before")
    lab.clock.at = lab.now
    written(lab, first=timedelta(seconds=-1), minutes={0: 30})
    found = lab.look(lab.incident())
    assert found.onset is not None
    assert abs((found.onset.at - lab.onset).total_seconds()) <= 2
    assert (found.top.kind, found.top.subject, found.top.probability > 0.8) == (CauseKind.HOST, "shop disk", True)
    flag = found.find("flag:new-checkout")
    assert flag is not None
    assert (flag.probability < 0.1, flag.remedy) == (True, {})


def test_a_flag_that_is_switched_on_again_after_it_was_taken_back_is_what_harms_again(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.3})
    ramped(lab, timedelta(minutes=5))
    at(lab, timedelta(minutes=4))
    restore_flag(lab.context, "new-checkout", 1, actor=SOMEBODY, reason="as it was before")
    at(lab, timedelta(seconds=1))
    ramp_flag(lab.context, "new-checkout", PRODUCTION, percent=100, actor=SOMEBODY, reason="it cannot have been that")
    lab.clock.at = lab.now
    top = lab.look(lab.incident()).top
    assert (top.key, top.remedy, top.probability > 0.75) == ("flag:new-checkout", {"step": "disable-flag", "flag": "new-checkout"}, True)
    assert not [each.text for each in top.refuting if "had before" in each.text]


def _was_failing(lab: CauseLab, begin: datetime, end: datetime) -> None:
    """Traffic of five minutes until forty seconds before the onset; half of it fails from ``begin`` to ``end``."""
    onset_s = int(lab.onset.timestamp())
    with lab.context.store.write() as unit:
        for at_s in range(onset_s - 300, onset_s - 40):
            failures = 30 if begin.timestamp() <= at_s < end.timestamp() else 0
            unit.seconds.add(at_s, {("shop", PRODUCTION, "1.0.0"): ArmSecond(60, failures, LatencyHistogram((20.0,), (60,)))})


def test_what_was_slow_a_minute_ago_and_told_by_nobody_is_not_what_fails_now(lab: CauseLab) -> None:
    lab.service("payments")
    lab.service("till", depends_on=("payments",))
    onset_s = int(lab.onset.timestamp())
    with lab.context.store.write() as unit:
        for at_s in range(onset_s - 400, int(lab.now.timestamp())):
            slow = 20 if onset_s - 90 <= at_s < onset_s - 30 else 0
            arm = ArmSecond(60, 18 if at_s >= onset_s else 0, LatencyHistogram((20.0, 260.0), (60 - slow, slow)))
            unit.seconds.add(at_s, {(name, PRODUCTION, "1.0.0"): arm for name in ("till", "payments")})
    ramped(lab, timedelta(seconds=1))
    found = lab.look(lab.incident(services=("till",)))
    assert found.onset is not None
    assert (found.onset.series, abs((found.onset.at - lab.onset).total_seconds()) <= 2) == ("till failures", True)
    assert (found.top.key, found.top.proven) == ("flag:new-checkout", True)


def test_a_machine_that_got_crowded_is_the_cause_and_what_runs_on_it_suffers_too(lab: CauseLab) -> None:
    lab.service("payments")
    lab.service("till", depends_on=("payments",))
    for name, share in (("till", 0.5), ("payments", 0.2)):
        lab.traffic(name, {"1.0.0": 1.0}, slow={"1.0.0": share})
    lab.level("host/web-1", "host.cpu_pct", 99, 100)
    lab.level("host/web-1", "host.run_queue", 2, 8)
    found = lab.look(lab.incident(services=("till", "payments")))
    assert (found.top.kind, found.top.subject, found.top.proven) == (CauseKind.HOST, "host/web-1 CPU", True)
    assert found.top.probability > 0.9
    assert "programs for each processor want to run, 2.0 before" in found.top.supporting[0].text


def test_a_machine_that_is_full_all_day_is_no_reason_for_a_slow_dependency(lab: CauseLab) -> None:
    lab.service("payments")
    lab.service("till", depends_on=("payments",))
    for name in ("till", "payments"):
        lab.traffic(name, {"1.0.0": 1.0}, slow={"1.0.0": 0.25})
    lab.level("host/web-1", "host.cpu_pct", 99, 100)
    lab.level("host/web-1", "host.run_queue", 6, 7)
    assert lab.look(lab.incident(services=("till", "payments"))).top.key == "dependency:payments"


def test_a_dependency_that_adds_all_of_the_waiting_is_the_cause_also_on_a_crowded_machine(lab: CauseLab) -> None:
    lab.service("payments")
    lab.service("till", depends_on=("payments",))
    for name in ("till", "payments"):
        lab.traffic(name, {"1.0.0": 1.0}, slow={"1.0.0": 0.25})
    lab.level("host/web-1", "host.cpu_pct", 99, 100)
    lab.level("host/web-1", "host.run_queue", 2, 8)
    assert lab.look(lab.incident(services=("till", "payments"))).top.kind is not CauseKind.HOST


def test_an_error_that_has_the_name_of_a_flag_in_it_is_seen_of_that_flag(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.3})
    ramped(lab, timedelta(seconds=40))
    minute = int(lab.onset.timestamp() // 60)
    words = "GET /cart answered 500: KeyError: 'new-checkout: no such product'"
    seen = SeenErrors(plain_error(words, words), words, lab.onset, lab.now, {("1.0.0", minute): 30})
    with lab.context.store.write() as unit:
        unit.logs.errors.add({("apollo", "shop", PRODUCTION, seen.error.fingerprint): seen})
    top = lab.look(lab.incident()).top
    assert (top.key, top.proven) == ("flag:new-checkout", True)
    assert any("lines of a new error name it" in each.text for each in top.supporting)


def sluggish(lab: CauseLab, *, before_s: int = 90) -> None:
    """A till that waits for its payments."""
    lab.service("payments")
    lab.service("till", depends_on=("payments",))
    for name in ("till", "payments"):
        lab.traffic(name, {"1.0.0": 1.0}, slow={"1.0.0": 0.4}, before_s=before_s)


def test_a_processor_that_works_while_nobody_waits_for_it_is_no_cause(lab: CauseLab) -> None:
    sluggish(lab)
    lab.level("host/web-1", "host.cpu_pct", 20, 88)
    lab.level("host/web-1", "host.run_queue", 0.5, 1.4)
    found = lab.look(lab.incident(services=("till", "payments")))
    assert (found.top.key, found.top.probability > 0.75) == ("dependency:payments", True)
    host = found.find("host:host/web-1 CPU")
    assert host is not None
    assert (host.proven, host.probability < 0.1) == (False, True)


def test_room_that_was_added_for_a_restart_and_taken_back_is_no_suspect(lab: CauseLab) -> None:
    lab.traffic("shop", {"1.0.0": 1.0}, bad={"1.0.0": 0.3})
    sizes = ((timedelta(seconds=60), 2, 3), (timedelta(seconds=20), 3, 2), (timedelta(seconds=5), 2, 1))
    with lab.context.store.write() as unit:
        for before, was, now in sizes:
            unit.audit.add(
                "fleet.scaled", "fleet/shop/production/1.0.0", actor="productops", origin="flow", now=lab.onset - before,
                before={"desired": was}, after={"desired": now},
            )  # fmt: skip
    found = [each for each in lab.look(lab.incident()).hypotheses if each.kind is CauseKind.SCALING]
    told = {each.subject.rpartition("#")[2]: (bool(each.remedy), [part.text for part in each.refuting]) for each in found}
    numbers = sorted(told, key=int)
    assert "only took back the room" in told[numbers[1]][1][0]
    assert (told[numbers[1]][0], told[numbers[2]]) == (False, (True, []))


def test_after_a_restless_hour_the_calm_just_before_says_what_is_usual(lab: CauseLab) -> None:
    sluggish(lab, before_s=600)
    for service in ("till", "payments"):
        begun = lab.onset - timedelta(seconds=580)
        past = Alert(
            source="anomaly", name="slow answers", venture="apollo", service=service, environment=PRODUCTION, component=service,
            severity="SEV2", starts_at=begun, ends_at=lab.onset - timedelta(seconds=30), status="resolved", summary="slow",
        )  # fmt: skip
        lab.clock.at = lab.onset - timedelta(seconds=30)
        take_alerts(lab.context, [past], actor=SOMEBODY)
    lab.clock.at = lab.now
    top = lab.look(lab.incident(services=("till", "payments"))).top
    assert (top.key, top.probability > 0.9) == ("dependency:payments", True)
    assert any("of waiting a second by itself" in each.text for each in top.supporting)
