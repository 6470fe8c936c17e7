"""When the collector is silent: a gap holds a step, silence for longer gives users the baseline."""

from __future__ import annotations

import threading
import time

from productops.domain.analysis import Verdict
from productops.domain.release_hold import StepOutcome
from productops.usecases import release_judge, release_resume, release_run
from productops.usecases.context import Context
from productops.usecases.release_request import ReleaseWish, request_release
from tests.support import SOMEBODY, HandMadeAgent, add_service, running, service_spec


def held(context: Context, *, hold_s: float, unmeasured_max_s: float, measuring_after_s: float | None) -> tuple[StepOutcome, str, float]:
    """The outcome of a step whose collector is silent at first, the release's id, and how long it was held."""
    analysis = {"requests_min": 10, "on_inconclusive": "roll-back", "unmeasured_max_s": unmeasured_max_s}
    add_service(context, spec=service_spec(analysis=analysis, canary={"steps": [{"weight_pct": 20, "hold_s": hold_s}]}), live="1.0")
    agent = HandMadeAgent(context, measuring=False)
    with running(agent):
        release = request_release(context, ReleaseWish(service="shop", version="2.0"), actor=SOMEBODY)
        release_resume.claim_release(context, release.id, "run")
        release_run.deploy_candidate(context, release.id, actor=SOMEBODY)
        release_run.shift_traffic(context, release.id, 0, actor=SOMEBODY)
        if measuring_after_s is not None:
            threading.Timer(measuring_after_s, setattr, (agent, "measuring", True)).start()
        began = time.monotonic()
        outcome = release_judge.hold_step(context, release.id, 0, actor=SOMEBODY)
    return outcome, release.id, time.monotonic() - began


def test_a_gap_of_the_collector_holds_the_step_and_condemns_nobody(context: Context) -> None:
    outcome, release_id, took_s = held(context, hold_s=2.5, unmeasured_max_s=30, measuring_after_s=4.0)
    assert (outcome.verdict, outcome.proceed) == (Verdict.PASSED, True), outcome.reason
    assert took_s > 4
    with context.store.read() as unit:
        told = [event.payload for event in unit.releases.events(release_id, after=0, kind="unmeasured")]
    assert len(told) == 1, "the gap is told once"
    assert told[0]["at_most_s"] == 30


def test_without_measurements_for_too_long_the_candidate_goes_in_the_middle_of_its_hold(context: Context) -> None:
    outcome, _, took_s = held(context, hold_s=60, unmeasured_max_s=2, measuring_after_s=None)
    assert (outcome.verdict, outcome.proceed) == (Verdict.INCONCLUSIVE, False)
    assert "no measurement arrived" in outcome.reason
    assert took_s < 6
