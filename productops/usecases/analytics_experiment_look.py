"""Look at experiments: read what people did, keep what was found, and take a flag back once when a guardrail does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from productops.domain.analytics_experiment import (
    Breach,
    Experiment,
    ExperimentState,
    KnownLook,
    LookResult,
    MetricResult,
    Standing,
)
from productops.domain.analytics_experiment_analyse import analyse, reads_from
from productops.domain.analytics_experiment_document import look_document
from productops.domain.analytics_experiment_people import names_needed
from productops.domain.analytics_experiment_words import guardrail_sentence
from productops.domain.catalog_experiment import OnBreach
from productops.domain.governance_access import MACHINE, Operation
from productops.domain.release_flags.changes import Kill, RampTo
from productops.domain.release_flags.flag import targeting_in
from productops.errors import ConflictError, IllegalTransitionError, ProductOpsError, RevisionMismatchError
from productops.store import Unit
from productops.usecases.analytics_experiment import experiment_for
from productops.usecases.analytics_experiment_events import experiment_events
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.release_flags_change import written

TRIES = 3
GUARDIAN = Actor("productops", "experiment", MACHINE)


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of one look; ``error`` says why there is none."""

    experiment: Experiment
    look: KnownLook | None
    breach: Breach | None = None
    error: str = ""


def look_at(context: Context, name: str, *, actor: Actor) -> Looked:
    """Look now and keep it. Raises: NotFoundError, IllegalTransitionError when it is not under way, ConflictError, DependencyError."""
    with context.store.read() as unit:
        experiment = experiment_for(unit, name, actor, Operation.EXPERIMENT_CHANGE)
        earlier = unit.analytics_experiments.looks(name, experiment.run)
    if experiment.state not in {ExperimentState.RUNNING, ExperimentState.STOPPED}:
        raise IllegalTransitionError(f"experiment {name!r} is {experiment.state}: there is nothing to look at; start it first")
    now = context.clock.now()
    # Outside any transaction: a month of events takes seconds, and writers must not wait for it.
    spec = experiment.planned
    events = experiment_events(context, experiment.venture, since=reads_from(experiment), until=now, names=names_needed(spec))
    result = analyse(experiment, events, now=now, earlier=earlier)
    for attempt in range(1, TRIES + 1):
        try:
            looked = _keep(context, experiment, result, now=now)
        except RevisionMismatchError:
            # Somebody changed the flag at this moment; nothing was written, so it is decided anew by what the flag is now.
            if attempt == TRIES:
                raise
        else:
            if looked.breach is not None:
                context.doorbell.ring()
            return looked
    raise AssertionError  # pragma: no cover - the loop returns or raises


def look_at_all(context: Context, *, actor: Actor = OURSELVES) -> list[Looked]:
    """Every experiment under way; what goes wrong with one keeps nobody from looking at the others."""
    found = []
    for experiment in due_experiments(context):
        try:
            found.append(look_at(context, experiment.name, actor=actor))
        except ProductOpsError as error:
            found.append(Looked(experiment, None, error=str(error)))
    return found


def due_experiments(context: Context) -> list[Experiment]:
    """Those that run, and those stopped whose people's windows have not all ended."""
    now = context.clock.now()
    with context.store.read() as unit:
        pages = [
            unit.analytics_experiments.page(ventures=None, venture=None, state=state, after=None, limit=10_000)
            for state in (ExperimentState.RUNNING, ExperimentState.STOPPED)
        ]
    return [*pages[0], *(each for each in pages[1] if _still_ripening(each, now))]


def _still_ripening(experiment: Experiment, now: datetime) -> bool:
    last = max(metric.ends_days for metric in experiment.planned.metrics)
    ended = (experiment.stopped_at or now) + timedelta(days=last)
    return experiment.looked_at is None or experiment.looked_at < ended


def _keep(context: Context, experiment: Experiment, result: LookResult, *, now: datetime) -> Looked:
    """The look and what follows of it, in one transaction: either both are there or neither."""
    with context.store.write() as unit:
        look = unit.analytics_experiments.add_look(experiment, look_document(result), now=now)
        breach = _breached(unit, experiment, result, now=now)
        current = unit.analytics_experiments.get(experiment.name)
    return Looked(current, look, breach)


def _breached(unit: Unit, experiment: Experiment, result: LookResult, *, now: datetime) -> Breach | None:
    """Act on the first guardrail that does not hold, once in a run; None when all hold or somebody acted before."""
    broken = next((rail for rail in result.guardrails if rail.holds is False), None)
    if broken is None or experiment.state is not ExperimentState.RUNNING:
        return None
    if unit.analytics_experiments.get(experiment.name).breach is not None:
        return None
    variant, sentence = _worst(broken), guardrail_sentence(broken)
    action = _act(unit, experiment, variant, sentence, now=now)
    incident = _open_incident(unit, experiment, broken, sentence, action, now=now)
    breach = Breach(broken.name, variant, sentence, action, incident, now)
    if not unit.analytics_experiments.note_breach(experiment, breach):
        raise ConflictError(f"experiment {experiment.name} changed at this moment; the next look sees to it")
    if experiment.planned.on_breach is not OnBreach.TELL:
        unit.analytics_experiments.stop(experiment, now=now)
    detail = {"venture": experiment.venture, "flag": experiment.planned.flag, "run": experiment.run, "action": action, "incident": incident}
    after = ExperimentState.RUNNING if experiment.planned.on_breach is OnBreach.TELL else ExperimentState.STOPPED
    unit.audit.add(
        "experiment.guardrail_breached", f"experiment/{experiment.name}", actor=GUARDIAN.name, origin=GUARDIAN.origin, now=now,
        reason=sentence, detail=detail, before=experiment.state.value, after=after.value,
    )  # fmt: skip
    return breach


def _worst(rail: MetricResult) -> str:
    return next(each.variant for each in rail.contrasts if each.standing is Standing.WORSE)


def _act(unit: Unit, experiment: Experiment, variant: str, sentence: str, *, now: datetime) -> str:
    """Take the flag back by its own rules, and say what was done. A kill needs nobody's approval, and neither does going back to 0 %."""
    spec = experiment.planned
    flag = unit.flags.find(spec.flag)
    if flag is None or flag.state.archived:
        return "nothing: the flag is not there any more"
    live = flag.state.live_in(spec.environment)
    if live.killed:
        return "nothing: the flag was killed before"
    if spec.on_breach is OnBreach.TELL:
        return "nothing: the experiment says to tell only"
    reason = f"experiment {experiment.name}: {sentence}"
    # Rules may give a variant to people past the ramp; only a kill takes it from all of them.
    if (
        spec.on_breach is OnBreach.RAMP_DOWN
        and live.ramp
        and live.ramp.variant == variant
        and not targeting_in(flag.spec, spec.environment)
    ):
        down = RampTo(environment=spec.environment, percent=0, variant=live.ramp.variant, segments=())
        written(unit, flag, down, actor=GUARDIAN, reason=reason, release_id=None, now=now)
        return f"ramped {live.ramp.variant} from {live.ramp.percent:g} % down to 0 % in {spec.environment}"
    written(unit, flag, Kill(environments=(spec.environment,)), actor=GUARDIAN, reason=reason, release_id=None, now=now)
    return f"killed the flag in {spec.environment}"


def _open_incident(unit: Unit, experiment: Experiment, rail: MetricResult, sentence: str, action: str, *, now: datetime) -> str:
    spec = experiment.planned
    impact = {"experiment": experiment.name, "flag": spec.flag, "environment": spec.environment.value, "guardrail": rail.name}
    return unit.incidents.open(
        venture_id=unit.catalog.venture_id(experiment.venture), kind="quality", severity="SEV3",
        title=f"Experiment {experiment.name}: guardrail {rail.name} does not hold", description=f"{sentence} Done about it: {action}.",
        services=[], detection="verdict", impact=impact, now=now,
    )  # fmt: skip
