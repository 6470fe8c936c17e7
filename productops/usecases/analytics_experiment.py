"""Experiments: list, show, start, stop, decide. One call, one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from productops.domain.analytics_experiment import (
    Choice,
    Experiment,
    ExperimentDecision,
    ExperimentState,
    KnownLook,
    Standing,
)
from productops.domain.governance_access import Operation, visible_ventures
from productops.errors import ConflictError, InvalidInputError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand

# What a look has to say for a choice to need no further word.
EXPECTED = {
    Choice.SHIP: {Standing.BETTER},
    Choice.DROP: {Standing.WORSE, Standing.NO_DIFFERENCE},
    Choice.NO_DIFFERENCE: {Standing.NO_DIFFERENCE},
}


@dataclass(frozen=True, slots=True)
class ExperimentPage:
    """An experiment with the newest look of its run; None while there is none."""

    experiment: Experiment
    look: KnownLook | None


def list_experiments(
    context: Context, *, venture: str | None = None, state: ExperimentState | None = None, after: str | None = None, limit: int = 50,
    actor: Actor,
) -> list[Experiment]:  # fmt: skip
    """Those the caller may see, by name."""
    ventures = visible_ventures(actor.principal, Operation.ANALYTICS_READ)
    with context.store.read() as unit:
        return unit.analytics_experiments.page(ventures=ventures, venture=venture, state=state, after=after, limit=limit)


def show_experiment(context: Context, name: str, *, actor: Actor) -> ExperimentPage:
    """One with its newest look. Raises: NotFoundError."""
    with context.store.read() as unit:
        experiment = experiment_for(unit, name, actor)
        return ExperimentPage(experiment, unit.analytics_experiments.newest_look(name, experiment.run))


def read_looks(context: Context, name: str, *, run: int | None = None, limit: int = 100, actor: Actor) -> list[KnownLook]:
    """Looks of a run, oldest first; the newest ``limit``. ``run`` None: the last one. Raises: NotFoundError."""
    with context.store.read() as unit:
        experiment = experiment_for(unit, name, actor)
        return unit.analytics_experiments.looks(name, experiment.run if run is None else run, limit=limit)


def start_experiment(context: Context, name: str, *, actor: Actor, reason: str = "") -> Experiment:
    """Begin to count: people who meet a variant from now on. How many meet it is the flag's business.

    Raises: NotFoundError, IllegalTransitionError, ConflictError when the flag is off or another experiment runs on it.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        experiment = experiment_for(unit, name, actor, Operation.EXPERIMENT_CHANGE)
        experiment.check_move(ExperimentState.RUNNING)
        _check_free(unit, experiment)
        unit.analytics_experiments.start(experiment, now=now)
        started = unit.analytics_experiments.get(name)
        _audit(unit, "started", started, before=experiment.state, reason=reason, actor=actor, now=now)
    return started


def stop_experiment(context: Context, name: str, *, actor: Actor, reason: str = "") -> Experiment:
    """Count nobody who comes later; those who came are followed until their windows end. Raises: NotFoundError, IllegalTransitionError."""
    with context.store.write() as unit:
        now = context.clock.now()
        experiment = experiment_for(unit, name, actor, Operation.EXPERIMENT_CHANGE)
        unit.analytics_experiments.stop(experiment, now=now)
        stopped = unit.analytics_experiments.get(name)
        _audit(unit, "stopped", stopped, before=experiment.state, reason=reason, actor=actor, now=now)
    return stopped


def decide_experiment(
    context: Context, name: str, choice: Choice, *, variant: str | None = None, reason: str = "", actor: Actor
) -> Experiment:  # fmt: skip
    """Say what is done with it, and keep the sentence that explains it. The flag is not touched: ramp it, or take it away, as you decided.

    Raises: NotFoundError, IllegalTransitionError, InvalidInputError for an unknown variant or a choice that the last look does not
    support and that no reason is given for.
    """
    with context.store.write() as unit:
        now = context.clock.now()
        experiment = experiment_for(unit, name, actor, Operation.EXPERIMENT_CHANGE)
        experiment.check_move(ExperimentState.DECIDED)
        chosen = _variant(experiment, choice, variant)
        look = unit.analytics_experiments.newest_look(name, experiment.run)
        decision = ExperimentDecision(choice, chosen, _explained(choice, look, reason), actor.name, now)
        unit.analytics_experiments.decide(experiment, decision)
        decided = unit.analytics_experiments.get(name)
        detail = {"choice": choice.value, "variant": chosen, "sentence": decision.sentence, "look": look.id if look else None}
        _audit(unit, "decided", decided, before=experiment.state, reason=reason, actor=actor, now=now, detail=detail)
    return decided


def experiment_for(unit: Unit, name: str, actor: Actor, operation: Operation = Operation.ANALYTICS_READ) -> Experiment:
    """One the caller may see, for what the caller wants to do. Raises: NotFoundError, ForbiddenError."""
    found = unit.analytics_experiments.get(name)
    demand(
        actor, operation, seen_by=Operation.ANALYTICS_READ, venture=found.venture, environment=found.spec.environment,
        missing=f"there is no experiment {name[:80]!r}; list them with: productops experiment list", everywhere=True,
    )  # fmt: skip
    return found


def _check_free(unit: Unit, experiment: Experiment) -> None:
    """Raises: ConflictError."""
    spec = experiment.spec
    flag = unit.flags.find(spec.flag)
    if flag is None or flag.state.archived:
        raise ConflictError(f"flag {spec.flag!r} is not there any more, so nobody would meet a variant of experiment {experiment.name!r}")
    if flag.state.live_in(spec.environment).killed:
        raise ConflictError(f"flag {spec.flag!r} is killed in {spec.environment}; revive it before experiment {experiment.name!r} starts")
    for other in unit.analytics_experiments.page(ventures=None, venture=None, state=ExperimentState.RUNNING, after=None, limit=10_000):
        if (other.planned.flag, other.planned.environment) == (spec.flag, spec.environment):
            raise ConflictError(f"experiment {other.name!r} runs on flag {spec.flag!r} in {spec.environment}; stop or decide it first")


def _variant(experiment: Experiment, choice: Choice, variant: str | None) -> str | None:
    """Which variant is meant. Raises: InvalidInputError."""
    others = experiment.planned.variants
    if choice is not Choice.SHIP:
        return None
    if variant is None and len(others) > 1:
        raise InvalidInputError(f"say which variant to ship: {', '.join(others)}")
    chosen = variant or others[0]
    if chosen not in others:
        raise InvalidInputError(f"experiment {experiment.name!r} has no variant {chosen!r}; it has {', '.join(others)}")
    return chosen


def _explained(choice: Choice, look: KnownLook | None, reason: str) -> str:
    """The look's own sentence, and the reason where the look alone does not say so. Raises: InvalidInputError."""
    said = str(look.result["sentence"]) if look is not None else "Nobody has looked at it."
    standing = Standing(look.result["standing"]) if look is not None else Standing.UNDECIDED
    if standing not in EXPECTED[choice] and not reason.strip():
        raise InvalidInputError(f"the last look does not say so ({said}); give a reason for {choice}")
    return f"{said} {reason.strip()}".strip() if standing not in EXPECTED[choice] else said


def _audit(
    unit: Unit, verb: str, experiment: Experiment, *, before: ExperimentState, reason: str, actor: Actor, now: datetime,
    detail: Mapping[str, object] | None = None,
) -> None:  # fmt: skip
    told = {"venture": experiment.venture, "flag": experiment.planned.flag, "environment": experiment.planned.environment.value}
    unit.audit.add(
        f"experiment.{verb}", f"experiment/{experiment.name}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
        detail=told | {"run": experiment.run} | dict(detail or {}), before=before.value, after=experiment.state.value,
    )  # fmt: skip
