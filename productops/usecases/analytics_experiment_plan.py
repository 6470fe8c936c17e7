"""How many people an experiment takes and how long that is: by what people did lately, or by figures that somebody gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from productops.domain.analytics_experiment_analyse import Window, done_by
from productops.domain.analytics_experiment_people import DAY_US, Events, People
from productops.domain.catalog_experiment import Dimension, ExperimentSpec, Method, MetricSpec
from productops.errors import InvalidInputError
from productops.stats.experiment.adjusting import AnySample
from productops.stats.experiment.deciding import TUNING
from productops.stats.experiment.power import Plan, detectable, people_needed
from productops.stats.experiment.quantile import clustered_quantile_of
from productops.stats.experiment.samples import Adjusted
from productops.stats.experiment.summing import adjusted_of, cap_of, capped, mean_of, proportion_of, ratio_of
from productops.usecases.analytics_experiment import experiment_for
from productops.usecases.analytics_experiment_events import experiment_events
from productops.usecases.context import Actor, Context

EFFECTS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
DURATIONS = (1.0, 2.0, 3.0, 5.0, 7.0, 14.0, 21.0, 28.0, 42.0, 56.0)
TUNINGS = 8
BINARY = {"conversion", "retention"}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known before the experiment: mean and deviation of one person's value, and how many people come by day.

    Left out (None): learned from the events of the last ``learn_days``.
    """

    mean: float | None = None
    deviation: float | None = None
    people_per_day: float | None = None
    learn_days: float = 28.0


@dataclass(frozen=True, slots=True)
class SizeRow:
    """People in all variants together that see a relative ``effect``, and days until they came; None: never, or nobody comes."""

    effect: float
    people: int | None
    days: float | None


@dataclass(frozen=True, slots=True)
class ReachRow:
    """The smallest relative effect that so many ``days`` of people show; None: none at all."""

    days: float
    people: int
    effect: float | None


@dataclass(frozen=True, slots=True)
class SizePlan:
    """The plan for the metric that decides. ``kept``: part of the variance that is left after adjusting by the past.

    ``tuned``: the same for a sequential experiment whose ``planned_people`` are just those; None for other methods.
    ``extra_days``: for the last people's window. ``learned_from``: people whose events were read; 0: the figures were given.
    """

    metric: str
    mean: float
    deviation: float
    people_per_day: float
    kept: float
    alpha: float
    power: float
    method: str
    variants: int
    extra_days: float
    learned_from: int
    wanted: SizeRow
    tuned: SizeRow | None
    sizes: tuple[SizeRow, ...]
    reach: tuple[ReachRow, ...]


def plan_size(context: Context, name: str, known: Known, *, effect: float | None = None, actor: Actor) -> SizePlan:
    """For a declared experiment; ``effect`` (relative) in place of the metric's smallest one worth knowing.

    Raises: NotFoundError, InvalidInputError when neither events nor the caller say what is usual.
    """
    with context.store.read() as unit:
        experiment = experiment_for(unit, name, actor)
    spec, metric = experiment.spec, experiment.spec.metrics[0]
    mean, deviation, kept, people, per_day = known.mean, known.deviation, 1.0, 0, known.people_per_day
    if mean is None or per_day is None:
        learned = _learn(context, experiment.venture, metric, known.learn_days)
        people, kept = learned.people, learned.kept
        mean = learned.mean if mean is None else mean
        deviation = learned.deviation if deviation is None else deviation
        per_day = learned.per_day if per_day is None else per_day
    return size_of(spec, mean=mean, deviation=deviation, per_day=per_day, kept=kept, learned_from=people, effect=effect)


def size_of(
    spec: ExperimentSpec, *, mean: float, deviation: float | None, per_day: float, kept: float = 1.0, learned_from: int = 0,
    effect: float | None = None,
) -> SizePlan:  # fmt: skip
    """The tables. Raises: InvalidInputError for a mean of which nothing can be a share, or without a deviation where one is needed."""
    metric = spec.metrics[0]
    binary = metric.kind in BINARY
    if mean == 0.0 or (binary and not 0.0 < mean < 1.0):
        raise InvalidInputError(f"metric {metric.name!r} is {mean:g} today; a relative change of that cannot be planned for")
    if not binary and not deviation:
        raise InvalidInputError(f"say how much {metric.name!r} varies between people (its standard deviation)")
    variance = mean * (1.0 - mean) if binary else float(deviation or 0.0) ** 2
    # One variant against the control; the others come on top of their people.
    shares = spec.planned_shares
    plan = Plan(
        mean, variance, binary=binary, shares=(shares[0], min(shares[1:])), alpha=spec.alpha / len(spec.variants), kept=kept,
        tuning=(float(spec.planned_people) or TUNING) if spec.method is Method.SEQUENTIAL else None,
    )  # fmt: skip
    sign = -1.0 if metric.lower_is_better else 1.0
    asked = abs(effect) if effect is not None else metric.minimum_effect
    sizes = tuple(_size(plan, each, sign, spec.power, per_day) for each in EFFECTS)
    reach = tuple(_reach(plan, days, spec.power, per_day) for days in DURATIONS) if per_day else ()
    return SizePlan(
        metric.name, mean, float(np.sqrt(variance)), per_day, kept, spec.alpha, spec.power, spec.method.value, len(spec.variants),
        metric.ends_days, learned_from, _size(plan, asked, sign, spec.power, per_day),
        _tuned(plan, asked, sign, spec.power, per_day), sizes, reach,
    )  # fmt: skip


def _size(plan: Plan, effect: float, sign: float, power: float, per_day: float) -> SizeRow:
    change = sign * effect * abs(plan.mean)
    if plan.binary and not 0.0 <= plan.mean + change <= 1.0:
        return SizeRow(effect, None, None)
    people = people_needed(plan, change, power=power)
    return SizeRow(effect, people, people / per_day if people is not None and per_day else None)


def _tuned(plan: Plan, effect: float, sign: float, power: float, per_day: float) -> SizeRow | None:
    """With the interval made narrowest where it will be needed; a fixed point, found by going there a few times."""
    if plan.tuning is None:
        return None
    found = _size(plan, effect, sign, power, per_day)
    for _ in range(TUNINGS):
        if found.people is None:
            break
        found = _size(replace(plan, tuning=float(found.people)), effect, sign, power, per_day)
    return found


def _reach(plan: Plan, days: float, power: float, per_day: float) -> ReachRow:
    people = round(days * per_day)
    found = detectable(plan, people, power=power) if people >= 4 else None
    return ReachRow(days, people, found / abs(plan.mean) if found is not None else None)


@dataclass(frozen=True, slots=True)
class _Learned:
    mean: float
    deviation: float
    kept: float
    people: int
    per_day: float


def _learn(context: Context, venture: str, metric: MetricSpec, days: float) -> _Learned:
    """As if everybody had met an experiment at the first event they made lately. Raises: InvalidInputError when nobody did."""
    now = context.clock.now()
    since, back = now - timedelta(days=days), timedelta(days=metric.past_days)
    events = experiment_events(context, venture, since=since - back, until=now, names=None)
    start, end = _us(since), _us(now)
    people = _first_seen(events, start)
    window = Window(start, end, end)
    ripe = people.met_us + round(metric.ends_days * DAY_US) <= end
    if int(ripe.sum()) < 2:
        raise InvalidInputError(
            f"no events of venture {venture} in the last {days:g} days say what {metric.name!r} is over {metric.ends_days:g} days: "
            "give the figures, --mean and --people-per-day"
        )
    sample, kept = _usual(events, people, metric, window, ripe)
    return _Learned(float(sample.plain_mean), float(np.sqrt(max(sample.variance, 0.0))), kept, int(ripe.sum()), len(ripe) / days)


def _first_seen(events: Events, start: int) -> People:
    rows = np.flatnonzero(events.at_us >= start)
    order = rows[np.lexsort((events.at_us[rows], events.person[rows]))]
    person, first = np.unique(events.person[order], return_index=True)
    kept = order[first]
    dimensions = {name.value: events.dimensions[name.value][kept] for name in Dimension}
    return People(person, np.zeros(len(person), dtype=np.int64), events.at_us[kept], 0, dimensions)


def _usual(events: Events, people: People, metric: MetricSpec, window: Window, ripe: NDArray[np.bool_]) -> tuple[AnySample, float]:
    """Everybody's sample, and what is left of its variance after adjusting."""
    happened = done_by(events, people, metric, window)
    if metric.kind == "quantile":
        chosen = ripe[happened.post.owner]
        return clustered_quantile_of(happened.post.amount[chosen], happened.post.owner[chosen], metric.quantile), 1.0
    post = happened.post.sums(len(ripe))[ripe]
    pre = happened.pre.sums(len(ripe))[ripe]
    if happened.per_post is not None:
        return ratio_of(post, happened.per_post.sums(len(ripe))[ripe]), 1.0
    binary = metric.kind in BINARY
    post = (post > 0).astype(np.float64) if binary else capped(post, cap_of(post, metric.cap) if metric.cap else None)
    plain: AnySample = proportion_of(post) if binary else mean_of(post)
    if not metric.past_days:
        return plain, 1.0
    return plain, _kept(adjusted_of(post, pre, binary=binary))


def _kept(sample: Adjusted) -> float:
    past, now = sample.pre.variance, sample.post.variance
    return max(1.0 - sample.both**2 / (past * now), 0.01) if past > 0.0 and now > 0.0 else 1.0


def _us(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
