"""Experiments in both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from productops.domain.analytics_experiment import Breach, Choice, Experiment, ExperimentDecision, ExperimentState
from productops.domain.catalog_experiment import ExperimentEntry
from productops.errors import ConflictError, IllegalTransitionError, NotFoundError
from productops.usecases.context import Context
from tests.integration.experiment_lab import SPEC

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def declared(context: Context, name: str = "checkout", **changes: Any) -> Experiment:
    document = {
        "apiVersion": "productops/v1",
        "kind": "Experiment",
        "metadata": {"name": name, "venture": "apollo"},
        "spec": SPEC | changes,
    }
    with context.store.write() as unit:
        unit.analytics_experiments.put(ExperimentEntry.model_validate(document), base="/catalog", author="tester", now=NOW)
        return unit.analytics_experiments.get(name)


def started(context: Context) -> Experiment:
    declared(context)
    with context.store.write() as unit:
        unit.analytics_experiments.start(unit.analytics_experiments.get("checkout"), now=NOW)
        return unit.analytics_experiments.get("checkout")


def test_a_run_keeps_its_looks_its_breach_and_its_decision(any_context: Context) -> None:
    experiment = started(any_context)
    assert (experiment.state, experiment.run, experiment.plan) == (ExperimentState.RUNNING, 1, experiment.spec)
    breach = Breach("errors", "on", "It does not hold.", "ramped down", None, NOW)
    decision = ExperimentDecision(Choice.DROP, None, "It did harm.", "tester", NOW)
    with any_context.store.write() as unit:
        look = unit.analytics_experiments.add_look(experiment, {"sentence": "so far"}, now=NOW)
        assert unit.analytics_experiments.note_breach(experiment, breach)
        assert not unit.analytics_experiments.note_breach(experiment, breach)
        unit.analytics_experiments.decide(unit.analytics_experiments.get("checkout"), decision)
    with any_context.store.read() as unit:
        found = unit.analytics_experiments.get("checkout")
        assert unit.analytics_experiments.looks("checkout", 1) == [look]
        assert unit.analytics_experiments.newest_look("checkout", 1) == look
        assert unit.analytics_experiments.newest_look("checkout", 2) is None
    assert (found.breach, found.decision, found.state, found.stopped_at) == (breach, decision, ExperimentState.DECIDED, NOW)


def test_of_two_who_look_at_one_moment_one_hears_of_it(any_context: Context) -> None:
    experiment = started(any_context)
    with any_context.store.write() as unit:
        unit.analytics_experiments.add_look(experiment, {}, now=NOW)
    with pytest.raises(ConflictError, match="somebody else looked"), any_context.store.write() as unit:
        unit.analytics_experiments.add_look(experiment, {}, now=NOW)


def test_of_two_who_move_it_one_hears_of_it(any_context: Context) -> None:
    experiment = started(any_context)
    with any_context.store.write() as unit:
        unit.analytics_experiments.stop(experiment, now=NOW)
    with pytest.raises(ConflictError, match="no longer running"), any_context.store.write() as unit:
        unit.analytics_experiments.stop(experiment, now=NOW)
    with pytest.raises(IllegalTransitionError, match="can become"), any_context.store.write() as unit:
        unit.analytics_experiments.stop(replace(experiment, state=ExperimentState.DECIDED), now=NOW)


def test_what_is_declared_again_keeps_its_run_and_what_is_gone_is_not_found(any_context: Context) -> None:
    started(any_context)
    again = declared(any_context, alpha=0.1)
    assert (again.revision, again.state, again.spec.alpha, again.planned.alpha) == (2, ExperimentState.RUNNING, 0.1, 0.05)
    with any_context.store.write() as unit:
        assert unit.analytics_experiments.declared_in({"/catalog"}) == {"checkout": ExperimentState.RUNNING}
        unit.analytics_experiments.remove("checkout")
        with pytest.raises(NotFoundError):
            unit.analytics_experiments.get("checkout")


def test_lists_go_by_name_venture_and_state(any_context: Context) -> None:
    started(any_context)
    declared(any_context, "other")

    def names(**wanted: Any) -> list[str]:
        every: dict[str, Any] = {"ventures": None, "venture": None, "state": None, "after": None, "limit": 10}
        with any_context.store.read() as unit:
            return [each.name for each in unit.analytics_experiments.page(**(every | wanted))]

    assert names() == ["checkout", "other"]
    assert names(after="checkout") == ["other"]
    assert names(state=ExperimentState.RUNNING) == ["checkout"]
    assert names(ventures=["nobody"]) == []
    assert names(venture="apollo", limit=1) == ["checkout"]
