"""A feature-toggle release through the use cases, on real databases, with an agent made by hand behind the store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from productops.domain.analysis import ArmSecond, LatencyHistogram
from productops.domain.catalog_flags import FlagSpec, Ramp, Segment
from productops.domain.governance_access import MACHINE
from productops.domain.release import Cause, Phase, Release, Strategy
from productops.domain.strategies import Overrides
from productops.errors import (
    AlreadyLiveError,
    ConflictError,
    FlagKilledError,
    InvalidInputError,
    LeaseLostError,
    NotFoundError,
    ProductOpsError,
    QuarantinedError,
    ReleaseInFlightError,
)
from productops.usecases import release_judge, release_resume, release_rollback, release_run, run_claims
from productops.usecases.context import Actor, Context
from productops.usecases.release_flags_change import create_flag, kill_flag, ramp_flag
from productops.usecases.release_request import ReleaseWish, request_release
from tests.support import PRODUCTION, SOMEBODY, HandMadeAgent, add_service, running, service_spec

FLAG, TARGET = "new-checkout", "new-checkout@on"
ON, OFF = "flag:new-checkout=on", "flag:new-checkout=off"


@dataclass(slots=True)
class FlagAgent(HandMadeAgent):
    """Counts users by what the flag gives them."""

    def _count(self) -> None:
        with self.context.store.write() as unit:
            ramp = unit.flags.get(FLAG).state.live_in(PRODUCTION).ramp
            on = round(self.rate * (ramp.percent if ramp else 0.0) / 100)
            arms = {}
            for arm, requests in ((ON, on), (OFF, self.rate - on)):
                failures = round(requests * self.failure_share.get(arm, 0.005))
                arms["shop", PRODUCTION, arm] = ArmSecond(requests, failures, LatencyHistogram((5.0,), (requests,)))
            unit.seconds.add(self._second, arms)
        self._second += 1


def prepare(context: Context, **spec: Any) -> Context:
    toggle = {"steps": [{"flag_pct": 10, "hold_s": 2.5}, {"flag_pct": 50, "hold_s": 2.5}]}
    add_service(context, spec=service_spec(feature_toggle=toggle), live="1.0")
    create_flag(context, FLAG, venture="apollo", spec=FlagSpec.model_validate({"owner": "checkout"} | spec), actor=SOMEBODY)
    return context


@pytest.fixture
def flagged(context: Context) -> Context:
    return prepare(context)


@pytest.fixture
def any_flagged(any_context: Context) -> Iterator[Context]:
    return prepare(any_context)


def request(context: Context, version: str = TARGET, **changes: Any) -> Release:
    wish = ReleaseWish(service="shop", version=version, strategy=Strategy.FEATURE_TOGGLE, **changes)
    return request_release(context, wish, actor=SOMEBODY)


def begun(context: Context, steps: int = 1, **changes: Any) -> Release:
    """A release that has ramped its flag ``steps`` times."""
    release = request(context, **changes)
    release_resume.claim_release(context, release.id, "a")
    release_run.deploy_candidate(context, release.id, actor=SOMEBODY)
    for index in range(steps):
        release_run.shift_traffic(context, release.id, index, actor=SOMEBODY)
    return stored(context, release.id)


def give_back(context: Context, release: Release) -> Release:
    return release_rollback.give_baseline_back(context, release.id, cause=Cause.VERDICT, reason="bad", actor=SOMEBODY)


def ramp(context: Context, percent: float, segments: tuple[Segment, ...] | None = None) -> None:
    ramp_flag(context, FLAG, PRODUCTION, percent=percent, segments=segments, actor=SOMEBODY, reason="by hand")


def ramped(context: Context) -> Ramp | None:
    with context.store.read() as unit:
        return unit.flags.get(FLAG).state.live_in(PRODUCTION).ramp


def stored(context: Context, release_id: str) -> Release:
    with context.store.read() as unit:
        return unit.releases.get(release_id)


def told(context: Context, release: Release) -> list[str]:
    with context.store.read() as unit:
        return [event.type for event in unit.releases.events(release.id, after=0)]


def test_what_the_flag_was_before_comes_back_exactly_and_users_are_told_the_version_has_changed(any_flagged: Context) -> None:
    before = Ramp(variant="on", percent=5, segments=(Segment(attribute="plan", values=("staff",)),))
    ramp(any_flagged, before.percent, before.segments)
    with running(FlagAgent(any_flagged)):
        release = begun(any_flagged, steps=2)
        shifted = ramped(any_flagged)
        with any_flagged.store.read() as unit:
            version = unit.flags.versions().of(PRODUCTION)
        give_back(any_flagged, release)
    assert shifted == Ramp(variant="on", percent=50, segments=before.segments), "whoever had it keeps it on the way"
    assert ramped(any_flagged) == before
    with any_flagged.store.read() as unit:
        assert unit.flags.versions().of(PRODUCTION) == version + 1, "evaluators and streams hear of it"
        assert unit.audit.first_broken() is None
        assert unit.traffic.get("shop", PRODUCTION).baseline_version == "1.0"
        assert [f.version for f in unit.fleets.all()] == ["1.0"], "no instance was asked for or ended"
    assert give_back(any_flagged, release).phase in {Phase.ROLLING_BACK, Phase.ROLLED_BACK}
    assert ramped(any_flagged) == before


def test_a_lease_that_lapses_takes_the_flag_back_in_the_transaction_that_writes_it_down(any_flagged: Context) -> None:
    with running(FlagAgent(any_flagged, enforcing=False)):
        release = begun(any_flagged)
        with any_flagged.store.read() as unit:
            target = unit.traffic.get("shop", PRODUCTION)
        assert target.held
        assert target.lease is not None
        assert release_rollback.lapse_lease(any_flagged, "shop", PRODUCTION, beat=target.lease.beat, actor=SOMEBODY)
    assert ramped(any_flagged) is None
    assert stored(any_flagged, release.id).cause is Cause.LEASE_LAPSED
    assert {"flag_taken_back", "incident"} <= set(told(any_flagged, release))


def test_a_release_whose_flow_is_dead_for_longer_than_its_lease_moves_its_flag_no_more(flagged: Context) -> None:
    with running(FlagAgent(flagged, enforcing=False)):
        release = begun(flagged)
        with flagged.store.read() as unit:
            lease = unit.traffic.get("shop", PRODUCTION).lease
        assert lease is not None
        release_rollback.lapse_lease(flagged, "shop", PRODUCTION, beat=lease.beat, actor=SOMEBODY)
        with pytest.raises(LeaseLostError):
            release_run.shift_traffic(flagged, release.id, 1, actor=SOMEBODY)
        with pytest.raises(LeaseLostError):
            release_run.promote_candidate(flagged, release.id, actor=SOMEBODY)
    assert ramped(flagged) is None


def test_a_flag_that_is_killed_ends_its_release_and_stays_killed_with_nothing_ramped(flagged: Context) -> None:
    with running(FlagAgent(flagged)):
        release = begun(flagged)
        kill_flag(flagged, FLAG, actor=SOMEBODY, reason="customers cannot pay")
        with pytest.raises(FlagKilledError):
            release_run.shift_traffic(flagged, release.id, 1, actor=SOMEBODY)
        give_back(flagged, release)
    with flagged.store.read() as unit:
        live = unit.flags.get(FLAG).state.live_in(PRODUCTION)
    assert (live.killed, live.ramp) == (True, None)


def test_what_a_person_sets_by_hand_meanwhile_stops_the_release_and_stays(flagged: Context) -> None:
    with running(FlagAgent(flagged)):
        release = begun(flagged)
        ramp(flagged, 3)
        with pytest.raises(ConflictError, match="somebody changed how far"):
            release_run.shift_traffic(flagged, release.id, 1, actor=SOMEBODY)
        assert stored(flagged, release.id).step_index == 0
        give_back(flagged, release)
    assert ramped(flagged) == Ramp(variant="on", percent=3)
    assert "flag_left" in told(flagged, release)


@pytest.mark.parametrize(
    ("version", "error", "message"),
    [
        ("unknown@on", NotFoundError, "no flag 'unknown'"),
        ("new-checkout@blue", InvalidInputError, "no variant 'blue'"),
        ("new-checkout@off", AlreadyLiveError, "already"),
        ("1.1.0", InvalidInputError, "<flag>@<variant>"),
    ],
)
def test_what_is_no_release_of_a_flag_is_refused(flagged: Context, version: str, error: type[ProductOpsError], message: str) -> None:
    with pytest.raises(error, match=message):
        request(flagged, version)


def test_a_flag_is_no_version_of_other_strategies(flagged: Context) -> None:
    with pytest.raises(InvalidInputError, match="ask for feature-toggle"):
        request_release(flagged, ReleaseWish(service="shop", version=TARGET, strategy=Strategy.CANARY), actor=SOMEBODY)


def test_a_flag_that_everybody_has_or_that_is_killed_is_not_released(flagged: Context) -> None:
    ramp(flagged, 100)
    with pytest.raises(AlreadyLiveError):
        request(flagged)
    ramp(flagged, 0)
    kill_flag(flagged, FLAG, actor=SOMEBODY, reason="broken")
    with pytest.raises(FlagKilledError):
        request(flagged)


def test_a_flag_whose_changes_need_approval_is_left_to_people(context: Context) -> None:
    prepare(context, approval_required=True)
    with pytest.raises(InvalidInputError, match="approval_required"):
        request(context)


def test_one_rollout_at_a_time_holds_for_flags_and_versions_alike(flagged: Context) -> None:
    request(flagged)
    with pytest.raises(ReleaseInFlightError):
        request_release(flagged, ReleaseWish(service="shop", version="2.0"), actor=SOMEBODY)


def test_a_flag_that_two_services_evaluate_is_moved_by_one_release_at_a_time(any_flagged: Context) -> None:
    add_service(any_flagged, "cart", live="3.0")
    request(any_flagged)
    wish = ReleaseWish(service="cart", version=TARGET, strategy=Strategy.FEATURE_TOGGLE)
    with pytest.raises(ReleaseInFlightError, match="moves flag 'new-checkout'"):
        request_release(any_flagged, wish, actor=SOMEBODY)


def carry_out(context: Context, release_id: str, run: str, *, die_after: str = "") -> Release:
    actor = Actor(name=f"flow run {run}", origin="prefect", principal=MACHINE, run=run)

    def reached(point: str) -> None:
        if point == die_after:
            raise InterruptedError(point)

    release = release_resume.claim_release(context, release_id, run)
    release_run.deploy_candidate(context, release_id, actor=actor)
    reached("deploy")
    for index in range(len(release.steps)):
        release_run.shift_traffic(context, release_id, index, actor=actor)
        reached(f"shift {index}")
        outcome = release_judge.hold_step(context, release_id, index, actor=actor)
        if not outcome.proceed:
            return give_back(context, release)
    release_run.promote_candidate(context, release_id, actor=actor)
    reached("promote")
    release_judge.validate_promotion(context, release_id, actor=actor)
    reached("validate")
    return release_run.settle_promotion(context, release_id, actor=actor)


@pytest.mark.parametrize("point", ["deploy", "shift 0", "shift 1", "promote", "validate"])
def test_a_flow_that_dies_anywhere_is_gone_on_with_and_the_flag_never_falls(flagged: Context, point: str) -> None:
    release = request(flagged)
    with running(FlagAgent(flagged)):
        with pytest.raises(InterruptedError):
            carry_out(flagged, release.id, "a", die_after=point)
        run_claims.claim_run(flagged, "a", 0, owner="elsewhere#1")
        run_claims.note_process(flagged, "a", 0, pid=os.getpid())
        run_claims.mark_buried(flagged, "a")
        assert carry_out(flagged, release.id, "b").phase is Phase.PROMOTED
    with flagged.store.read() as unit:
        done = unit.flags.of_release(FLAG, release.id)
        percents = [r.percent for revision in done if (r := revision.after.live_in(PRODUCTION).ramp) is not None]
        assert unit.audit.first_broken() is None
    assert percents == [10, 50, 100]


def test_a_variant_that_harms_is_taken_back_and_barred_until_somebody_insists(flagged: Context) -> None:
    release = request(flagged, overrides=Overrides(hold_s=20))
    with running(FlagAgent(flagged, failure_share={ON: 0.3})):
        time.sleep(2)
        ended = carry_out(flagged, release.id, "a")
        assert ended.cause is Cause.VERDICT
    assert ramped(flagged) is None
    with flagged.store.write() as unit:
        assert unit.quarantine.reason("shop", PRODUCTION, TARGET)
        assert not unit.quarantine.reason("shop", PRODUCTION, "1.0")
    with pytest.raises((QuarantinedError, ReleaseInFlightError)):
        request(flagged)


def test_a_promoted_flag_that_somebody_changed_since_is_not_undone_by_a_roll_back(flagged: Context) -> None:
    release = request(flagged, overrides=Overrides(weights_pct=(50,), hold_s=2.5))
    with running(FlagAgent(flagged)):
        carry_out(flagged, release.id, "a")
        ramp(flagged, 30)
        with pytest.raises(ConflictError, match="changed since"):
            release_rollback.roll_back(flagged, release.id, reason="why not", actor=SOMEBODY)
    assert stored(flagged, release.id).phase is Phase.PROMOTED, "nothing was written"
    assert ramped(flagged) == Ramp(variant="on", percent=30)


def test_segments_of_a_step_get_the_variant_whatever_the_share(context: Context) -> None:
    staff = {"attribute": "plan", "values": ["staff"]}
    spec = service_spec(feature_toggle={"steps": [{"flag_pct": 0, "hold_s": 2.5, "segments": [staff]}, {"flag_pct": 20, "hold_s": 2.5}]})
    prepare(context)
    add_service(context, spec=spec)
    with running(FlagAgent(context)):
        begun(context, steps=2)
    assert ramped(context) == Ramp(variant="on", percent=20, segments=(Segment(attribute="plan", values=("staff",)),))
