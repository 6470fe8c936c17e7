"""Experiments on a real SQLite file with events in real Parquet files."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from productops.domain.analytics_experiment import Choice, ExperimentState, Standing
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.release import Environment
from productops.errors import (
    CatalogError,
    ConflictError,
    ForbiddenError,
    IllegalTransitionError,
    InvalidInputError,
    NotFoundError,
)
from productops.usecases.analytics_experiment import (
    decide_experiment,
    list_experiments,
    read_looks,
    show_experiment,
    start_experiment,
    stop_experiment,
)
from productops.usecases.analytics_experiment_look import due_experiments, look_at, look_at_all
from productops.usecases.analytics_experiment_plan import Known, plan_size
from productops.usecases.context import Actor
from productops.usecases.release_flags_change import kill_flag
from tests.integration.experiment_lab import START, Lab, event, make_lab, visitors
from tests.support import SOMEBODY

GOOD = {"off": 0.10, "on": 0.25}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return make_lab(tmp_path)


def begun(lab: Lab, count: int = 1500, *, days: float = 5, rates: dict[str, float] | None = None, **more: Any) -> Lab:
    """A started experiment, its visitors, and a clock set to some days later."""
    lab.declare()
    start_experiment(lab.context, "checkout", actor=SOMEBODY)
    lab.put(visitors(count, rates=rates or GOOD, **more))
    lab.clock.at = START + timedelta(days=days)
    return lab


def audit(lab: Lab, action: str) -> list[Any]:
    with lab.context.store.read() as unit:
        found: list[Any] = [unit.audit.get(int(each["seq"])) for each in unit.audit.entries()]
    return [json.loads(entry.detail) for entry in found if entry.action == action]


def test_a_variant_that_works_is_found_and_explained_in_one_sentence(lab: Lab) -> None:
    begun(lab)
    look = look_at(lab.context, "checkout", actor=SOMEBODY).look
    assert look is not None
    assert look.number == 1
    assert look.result["standing"] == Standing.BETTER
    sentence = look.result["sentence"]
    assert sentence.startswith("Variant on raised sign-ups from ")
    assert "95 % interval +" in sentence
    assert "chance of being wrong below 1 in " in sentence
    arms = {arm["variant"]: arm for arm in look.result["metrics"][0]["arms"]}
    assert abs(arms["on"]["value"] - 0.25) < 0.04
    assert abs(arms["off"]["value"] - 0.10) < 0.04


def test_people_who_met_two_variants_are_counted_and_left_out(lab: Lab) -> None:
    begun(lab, 400)
    twice = [event(f"p{n}", "$exposure", START + timedelta(hours=70 + len(v)), properties=f'{{"flag":"one-page","variant":"{v}"}}')
             for n in range(7) for v in ("on", "off")]  # fmt: skip
    lab.put(twice)
    look = look_at(lab.context, "checkout", actor=SOMEBODY).look
    assert look is not None
    assert look.result["mixed"] == 7
    assert sum(look.result["people"].values()) == 393
    assert any("7 met more than one variant" in note for note in look.result["notes"])


def test_only_people_whose_window_is_over_count_for_a_metric(lab: Lab) -> None:
    begun(lab, 600, days=0.5)
    look = look_at(lab.context, "checkout", actor=SOMEBODY).look
    assert look is not None
    assert sum(look.result["people"].values()) > 0
    assert [arm["people"] for arm in look.result["metrics"][0]["arms"]] == [0, 0]
    assert "Nothing can be said" in look.result["sentence"]


def test_exposures_of_another_flag_and_before_the_start_do_not_count(lab: Lab) -> None:
    begun(lab, 300)
    lab.put([event(f"q{n}", "$exposure", START + timedelta(hours=1), properties='{"flag":"other","variant":"on"}') for n in range(50)])
    lab.put([event(f"r{n}", "$exposure", START - timedelta(hours=1), properties='{"flag":"one-page","variant":"on"}') for n in range(50)])
    look = look_at(lab.context, "checkout", actor=SOMEBODY).look
    assert look is not None
    assert sum(look.result["people"].values()) == 300


def test_a_wrong_split_makes_the_figures_untrusted(lab: Lab) -> None:
    begun(lab, 1200, rates={"off": 0.1, "on": 0.1})
    lab.put(visitors(400, rates={"on": 0.3}, seed=9, prefix="bot"))
    look = look_at(lab.context, "checkout", actor=SOMEBODY).look
    assert look is not None
    assert look.result["standing"] == Standing.UNTRUSTED
    assert "cannot be trusted" in look.result["sentence"]


def test_a_guardrail_that_does_not_hold_takes_the_flag_back_once(lab: Lab) -> None:
    begun(lab, failures={"off": 0.01, "on": 0.15})
    first = look_at(lab.context, "checkout", actor=SOMEBODY)
    assert first.breach is not None
    assert first.experiment.state is ExperimentState.STOPPED
    with lab.context.store.read() as unit:
        ramp = unit.flags.get("one-page").state.live_in(Environment.PRODUCTION).ramp
        revision = unit.flags.get("one-page").revision
        assert ramp is not None
        assert ramp.percent == 0
        incident = unit.incidents.find(first.breach.incident_id or "")
    assert incident is not None
    assert "guardrail errors" in incident["title"]
    second = look_at(lab.context, "checkout", actor=SOMEBODY)
    assert second.breach is None
    with lab.context.store.read() as unit:
        assert unit.flags.get("one-page").revision == revision
        assert len(unit.incidents.newest()) == 1
    breached = audit(lab, "experiment.guardrail_breached")
    assert len(breached) == 1
    assert breached[0]["before"] == "running"
    assert breached[0]["after"] == "stopped"


def test_a_crash_within_a_look_leaves_neither_the_look_nor_half_of_what_follows(lab: Lab) -> None:
    begun(lab, failures={"off": 0.01, "on": 0.15})
    real = lab.context.store.write

    class CrashError(Exception):
        pass

    def dying() -> Any:
        from contextlib import contextmanager

        @contextmanager
        def write() -> Any:
            with real() as unit:
                yield unit
                raise CrashError

        return write()

    from dataclasses import replace

    class DyingStore:
        read = lab.context.store.read

        def write(self) -> Any:
            return dying()

    with pytest.raises(CrashError):
        look_at(replace(lab.context, store=DyingStore()), "checkout", actor=SOMEBODY)  # type: ignore[arg-type]
    assert read_looks(lab.context, "checkout", actor=SOMEBODY) == []
    with lab.context.store.read() as unit:
        ramp = unit.flags.get("one-page").state.live_in(Environment.PRODUCTION).ramp
        assert ramp is not None
        assert ramp.percent == 50
        assert unit.incidents.newest() == []
    assert look_at(lab.context, "checkout", actor=SOMEBODY).breach is not None


def test_two_who_look_at_one_moment_take_the_flag_back_once(lab: Lab) -> None:
    begun(lab, 900, failures={"off": 0.01, "on": 0.2})
    found: list[Any] = []

    def look() -> None:
        try:
            found.append(look_at(lab.context, "checkout", actor=SOMEBODY).breach)
        except ConflictError as error:
            found.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(audit(lab, "experiment.guardrail_breached")) == 1
    assert len(audit(lab, "flag.ramp")) == 2  # the one of the test's own, and the one down


def test_a_guardrail_whose_control_never_fails_is_still_found_broken(lab: Lab) -> None:
    begun(lab, 900, failures={"off": 0.0, "on": 0.10})
    looked = look_at(lab.context, "checkout", actor=SOMEBODY)
    assert looked.breach is not None
    assert looked.breach.guardrail == "errors"


def test_a_flag_that_gives_the_variant_by_rules_is_killed(lab: Lab) -> None:
    lab.declare(on_breach="kill")
    start_experiment(lab.context, "checkout", actor=SOMEBODY)
    lab.put(visitors(1500, rates=GOOD, failures={"off": 0.01, "on": 0.15}))
    lab.clock.at = START + timedelta(days=4)
    looked = look_at(lab.context, "checkout", actor=SOMEBODY)
    assert looked.breach is not None
    assert looked.breach.action == "killed the flag in production"
    with lab.context.store.read() as unit:
        assert unit.flags.get("one-page").state.live_in(Environment.PRODUCTION).killed


def test_good_guardrails_leave_the_flag_alone(lab: Lab) -> None:
    begun(lab)
    looked = look_at(lab.context, "checkout", actor=SOMEBODY)
    assert looked.breach is None
    assert looked.experiment.state is ExperimentState.RUNNING


def test_a_fixed_horizon_says_nothing_before_its_end(lab: Lab) -> None:
    lab.declare(method="fixed")
    start_experiment(lab.context, "checkout", actor=SOMEBODY)
    lab.put(visitors(1500, rates=GOOD))
    lab.clock.at = START + timedelta(days=2.5)
    early = look_at(lab.context, "checkout", actor=SOMEBODY).look
    lab.clock.at = START + timedelta(days=4.1)
    late = look_at(lab.context, "checkout", actor=SOMEBODY).look
    assert early is not None
    assert late is not None
    assert early.result["standing"] == Standing.UNDECIDED
    assert late.result["standing"] == Standing.BETTER
    assert late.result["complete"]


def test_what_runs_is_analysed_by_what_was_declared_when_it_began(lab: Lab) -> None:
    begun(lab)
    lab.declare(alpha=0.2, variants=["on"], hypothesis="Something else.")
    page = show_experiment(lab.context, "checkout", actor=SOMEBODY)
    assert page.experiment.spec.alpha == 0.2
    assert page.experiment.planned.alpha == 0.05


def test_the_way_of_an_experiment_is_kept_in_the_audit(lab: Lab) -> None:
    begun(lab)
    look_at(lab.context, "checkout", actor=SOMEBODY)
    stop_experiment(lab.context, "checkout", actor=SOMEBODY, reason="enough")
    with pytest.raises(IllegalTransitionError, match="is stopped and cannot become stopped"):
        stop_experiment(lab.context, "checkout", actor=SOMEBODY)
    decided = decide_experiment(lab.context, "checkout", Choice.SHIP, actor=SOMEBODY)
    assert decided.decision is not None
    assert decided.decision.variant == "on"
    assert decided.decision.sentence.startswith("Variant on raised")
    for verb, before, after in (("started", "draft", "running"), ("stopped", "running", "stopped"), ("decided", "stopped", "decided")):
        entry = audit(lab, f"experiment.{verb}")[0]
        assert (entry["before"], entry["after"]) == (before, after)


def test_a_choice_the_look_does_not_support_needs_a_reason(lab: Lab) -> None:
    begun(lab, 200, rates={"off": 0.1, "on": 0.1})
    look_at(lab.context, "checkout", actor=SOMEBODY)
    with pytest.raises(InvalidInputError, match="give a reason"):
        decide_experiment(lab.context, "checkout", Choice.SHIP, actor=SOMEBODY)
    decided = decide_experiment(lab.context, "checkout", Choice.SHIP, reason="The law asks for it.", actor=SOMEBODY)
    assert decided.decision is not None
    assert decided.decision.sentence.endswith("The law asks for it.")


def test_a_decided_experiment_may_run_again_with_looks_of_its_own(lab: Lab) -> None:
    begun(lab, 300)
    look_at(lab.context, "checkout", actor=SOMEBODY)
    decide_experiment(lab.context, "checkout", Choice.DROP, reason="Not now.", actor=SOMEBODY)
    again = start_experiment(lab.context, "checkout", actor=SOMEBODY)
    assert (again.run, again.looks, again.decision, again.breach) == (2, 0, None, None)
    assert read_looks(lab.context, "checkout", actor=SOMEBODY) == []
    assert len(read_looks(lab.context, "checkout", run=1, actor=SOMEBODY)) == 1


def test_two_experiments_do_not_share_a_flag(lab: Lab) -> None:
    begun(lab, 10)
    lab.declare("second")
    with pytest.raises(ConflictError, match="runs on flag"):
        start_experiment(lab.context, "second", actor=SOMEBODY)


def test_an_experiment_does_not_start_on_a_killed_flag(lab: Lab) -> None:
    lab.declare()
    kill_flag(lab.context, "one-page", actor=SOMEBODY, reason="harm")
    with pytest.raises(ConflictError, match="is killed"):
        start_experiment(lab.context, "checkout", actor=SOMEBODY)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"flag": "nowhere"}, "which is not there"),
        ({"variants": ["blue"]}, "does not have"),
    ],
)
def test_the_catalog_refuses_what_the_flag_cannot_do(lab: Lab, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(CatalogError, match=says):
        lab.declare(**changes)


def test_who_may_only_read_starts_nothing_and_others_see_nothing(lab: Lab) -> None:
    begun(lab, 10)
    viewer = Actor("vi", "api", Principal("vi", (Grant(Role.VIEWER, "apollo"),)))
    stranger = Actor("st", "api", Principal("st", (Grant(Role.ADMIN, "other"),)))
    assert show_experiment(lab.context, "checkout", actor=viewer).experiment.name == "checkout"
    assert [each.name for each in list_experiments(lab.context, actor=viewer)] == ["checkout"]
    assert list_experiments(lab.context, actor=stranger) == []
    for call in _changes():
        with pytest.raises(ForbiddenError):
            call(lab.context, "checkout", actor=viewer)
        with pytest.raises(NotFoundError):
            call(lab.context, "checkout", actor=stranger)


def _changes() -> list[Callable[..., Any]]:
    return [start_experiment, stop_experiment, look_at, lambda c, n, actor: decide_experiment(c, n, Choice.DROP, reason="x", actor=actor)]


def test_a_look_at_all_goes_on_when_one_fails(lab: Lab) -> None:
    begun(lab, 500)
    stop_experiment(lab.context, "checkout", actor=SOMEBODY)
    lab.declare("second")
    start_experiment(lab.context, "second", actor=SOMEBODY)
    assert [each.name for each in due_experiments(lab.context)] == ["second", "checkout"]
    found = look_at_all(lab.context)
    assert [each.experiment.name for each in found] == ["second", "checkout"]
    assert not any(each.error for each in found)
    assert all(each.look is not None for each in found)
    lab.clock.at += timedelta(days=3)
    look_at_all(lab.context)
    assert [each.name for each in due_experiments(lab.context)] == ["second"]


def test_a_plan_learns_from_events_how_many_people_it_takes(lab: Lab) -> None:
    lab.declare()
    lab.put(visitors(1200, rates={"off": 0.1, "on": 0.1}, hours=24 * 10))
    lab.clock.at = START + timedelta(days=14)
    plan = plan_size(lab.context, "checkout", Known(learn_days=14), actor=SOMEBODY)
    assert abs(plan.mean - 0.1) < 0.03
    assert plan.learned_from > 1000
    assert plan.wanted.people is not None
    by_effect = [row.people for row in plan.sizes if row.people is not None]
    assert by_effect == sorted(by_effect, reverse=True)
    effects = [row.effect for row in plan.reach if row.effect is not None]
    assert effects == sorted(effects, reverse=True)


def test_a_plan_without_events_asks_for_the_figures(lab: Lab) -> None:
    lab.declare()
    with pytest.raises(InvalidInputError, match="give the figures"):
        plan_size(lab.context, "checkout", Known(), actor=SOMEBODY)
    plan = plan_size(lab.context, "checkout", Known(mean=0.04, people_per_day=1000), actor=SOMEBODY)
    assert plan.wanted.days is not None


def test_groups_of_people_are_shown_drawn_together(lab: Lab) -> None:
    lab.declare(segments=["platform"])
    start_experiment(lab.context, "checkout", actor=SOMEBODY)
    lab.put(visitors(1500, rates=GOOD, platforms=("web", "ios", "android")))
    lab.clock.at = START + timedelta(days=5)
    look = look_at(lab.context, "checkout", actor=SOMEBODY).look
    assert look is not None
    rows = look.result["metrics"][0]["segments"]
    assert {row["value"] for row in rows} == {"web", "ios", "android"}
    seen = [row["seen"] for row in rows]
    believed = [row["believed"] for row in rows]
    assert max(believed) - min(believed) <= max(seen) - min(seen)
