"""One look at an experiment: from people and what they did to effects, guardrails, and where things stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from productops.domain.analytics_experiment import (
    Arm,
    Contrast,
    Experiment,
    KnownLook,
    LookResult,
    MetricResult,
    SegmentRow,
    Standing,
)
from productops.domain.analytics_experiment_contrast import contrast, corrected
from productops.domain.analytics_experiment_guard import guarded
from productops.domain.analytics_experiment_people import DAY_US, Done, Events, People, done, exposed
from productops.domain.analytics_experiment_segments import segment_rows
from productops.domain.analytics_experiment_words import look_sentence
from productops.domain.catalog_experiment import ExperimentSpec, Method, MetricSpec
from productops.stats.experiment.adjusting import AnySample
from productops.stats.experiment.quantile import clustered_quantile_of
from productops.stats.experiment.split import anytime, chi_square
from productops.stats.experiment.summing import (
    adjusted_of,
    adjusted_ratio_of,
    cap_of,
    capped,
    mean_of,
    proportion_of,
    ratio_of,
)

SPLIT_ALPHA = 0.001
"""A split less likely than this means that something loses people."""
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Window:
    """Whom a run counts: those who met it in [start, end), by what they did before ``until``. Microseconds since 1970."""

    start_us: int
    end_us: int
    until_us: int


def window_of(experiment: Experiment, *, now: datetime) -> Window:
    """A stopped run counts nobody who came later; one with a fixed end nobody after that end. Raises: ValueError before the start."""
    if experiment.started_at is None:
        raise ValueError("an experiment that never started has no window")
    ends = [now, *(each for each in (experiment.stopped_at,) if each is not None)]
    planned = experiment.planned_end()
    if experiment.planned.method is Method.FIXED and planned is not None:
        ends.append(planned)
    return Window(_us(experiment.started_at), _us(min(ends)), _us(now))


def reads_from(experiment: Experiment) -> datetime:
    """The first moment whose events a look needs. Raises: ValueError before the start."""
    if experiment.started_at is None:
        raise ValueError("an experiment that never started has no window")
    spec = experiment.planned
    back = max(each.past_days for each in (*spec.metrics, *spec.guardrails))
    return experiment.started_at - timedelta(days=back)


def analyse(experiment: Experiment, events: Events, *, now: datetime, earlier: Sequence[KnownLook] = ()) -> LookResult:
    """All metrics, guardrails and groups at ``now``; ``earlier`` are the looks of the same run, oldest first."""
    spec, window = experiment.planned, window_of(experiment, now=now)
    people = exposed(events, spec, experiment=experiment.name, since_us=window.start_us, until_us=window.end_us)
    counts = people.counts(len(spec.arms))
    complete = _is_complete(experiment, window, sum(counts))
    broken = anytime(counts, spec.planned_shares) < SPLIT_ALPHA
    metrics = [_metric(events, people, metric, spec, window, earlier=earlier) for metric in spec.metrics]
    metrics = corrected(metrics, spec, final=complete)
    guardrails = tuple(
        guarded(rail, spec, _arms_of(people, done_by(events, people, rail, window), rail, spec, ripe=_everybody(people)))
        for rail in spec.guardrails
    )
    standing = Standing.UNTRUSTED if broken else _standing(metrics[0].contrasts)
    result = LookResult(
        at=now, people=dict(zip(spec.arms, counts, strict=True)), mixed=people.mixed, split_p=chi_square(counts, spec.planned_shares),
        split_anytime_p=anytime(counts, spec.planned_shares), split_broken=broken, metrics=tuple(metrics), guardrails=guardrails,
        standing=standing, sentence="", complete=complete, notes=_notes(spec, people, complete=complete),
    )  # fmt: skip
    return replace(result, sentence=look_sentence(result, spec))


@dataclass(frozen=True, slots=True)
class Happened:
    """What people did that a metric reads: since they met the experiment, before it, and the same of a ratio's denominator."""

    post: Done
    pre: Done
    per_post: Done | None = None
    per_pre: Done | None = None


def done_by(events: Events, people: People, metric: MetricSpec, window: Window) -> Happened:
    """All of it, by everybody."""
    every = done(events, people, metric, before_us=window.until_us)
    per = done(events, people, metric.per, before_us=window.until_us) if metric.per is not None else None
    start, end, past = (round(days * DAY_US) for days in (metric.from_days, metric.ends_days, metric.past_days))
    return Happened(
        every.within(start, end), every.within(-past, 0), per.within(start, end) if per else None, per.within(-past, 0) if per else None
    )


def _metric(
    events: Events, people: People, metric: MetricSpec, spec: ExperimentSpec, window: Window, *, earlier: Sequence[KnownLook]
) -> MetricResult:
    """Only people whose time is over are counted: the others may still do it."""
    ripe = people.met_us + round(metric.ends_days * DAY_US) <= window.until_us
    happened = done_by(events, people, metric, window)
    pairs = _arms_of(people, happened, metric, spec, ripe=ripe)
    control, others = pairs[0], pairs[1:]
    contrasts = tuple(contrast(metric, spec, control, other, earlier=earlier) for other in others)
    groups: tuple[SegmentRow, ...] = ()
    if metric is spec.metrics[0] and spec.segments:
        groups = segment_rows(
            people, spec, ripe, lambda chosen: [sample for _, sample in _arms_of(people, happened, metric, spec, ripe=chosen)]
        )
    return MetricResult(metric.name, metric.kind, metric.better, tuple(arm for arm, _ in pairs), contrasts, segments=groups)


def _arms_of(people: People, happened: Happened, metric: MetricSpec, spec: ExperimentSpec, *, ripe: Mask) -> list[tuple[Arm, AnySample]]:
    """What is known of each variant, the control first."""
    if metric.kind == "quantile":
        return [_quantile(people, happened.post, metric, spec, number, ripe) for number in range(len(spec.arms))]
    post = _values(happened.post, people, metric, ripe)
    pre = _values(happened.pre, people, metric, ripe) if metric.past_days else None
    per = happened.per_post.sums(len(ripe)) if happened.per_post else None
    per_pre = happened.per_pre.sums(len(ripe)) if happened.per_pre and metric.past_days else None
    found = []
    for number, variant in enumerate(spec.arms):
        chosen = ripe & (people.arm == number)
        sample = _sample(metric, *(None if column is None else column[chosen] for column in (post, pre, per, per_pre)))
        arm = Arm(variant, int(chosen.sum()), _shown(sample), float(post[chosen].sum()), None, int((post[chosen] > 0.0).sum()))
        found.append((arm, sample))
    return found


def _values(happened: Done, people: People, metric: MetricSpec, ripe: Mask) -> Floats:
    """One value by person: did it or not, or the sum, capped over all variants together."""
    sums = happened.sums(len(people.person))
    if metric.kind in {"conversion", "retention"}:
        return (sums > 0.0).astype(np.float64)
    return capped(sums, cap_of(sums[ripe], metric.cap)) if metric.cap is not None else sums


def _sample(metric: MetricSpec, post: Floats | None, pre: Floats | None, per: Floats | None, per_pre: Floats | None) -> AnySample:
    values = post if post is not None else np.zeros(0)
    if per is not None:
        if pre is not None and per_pre is not None:
            return adjusted_ratio_of(values, per, pre, per_pre)
        return ratio_of(values, per)
    if metric.kind in {"conversion", "retention"}:
        return adjusted_of(values, pre, binary=True) if pre is not None else proportion_of(values)
    return adjusted_of(values, pre) if pre is not None else mean_of(values)


def _quantile(
    people: People, happened: Done, metric: MetricSpec, spec: ExperimentSpec, number: int, ripe: Mask
) -> tuple[Arm, AnySample]:  # fmt: skip
    chosen = (ripe & (people.arm == number))[happened.owner]
    sample = clustered_quantile_of(happened.amount[chosen], happened.owner[chosen], metric.quantile)
    arm = Arm(spec.arms[number], sample.people, _shown(sample), None, sample.n)
    return arm, sample


def _shown(sample: AnySample) -> float | None:
    """What people really did, unadjusted; None of nobody."""
    return float(sample.plain_mean) if sample.n else None


def _everybody(people: People) -> Mask:
    return np.ones(len(people.person), dtype=bool)


def _is_complete(experiment: Experiment, window: Window, people: int) -> bool:
    """Whether the planned time is over, everybody's window with it, and as many came as were planned."""
    planned, spec = experiment.planned_end(), experiment.planned
    if planned is None or people < spec.planned_people:
        return False
    last = max(metric.ends_days for metric in spec.metrics)
    return window.until_us >= _us(planned) + round(last * DAY_US)


def _standing(contrasts: Sequence[Contrast]) -> Standing:
    """Of the experiment: one good variant is enough; all must be bad to be bad."""
    seen = [each.standing for each in contrasts]
    if Standing.BETTER in seen:
        return Standing.BETTER
    if all(each is Standing.WORSE for each in seen):
        return Standing.WORSE
    if all(each in {Standing.WORSE, Standing.NO_DIFFERENCE} for each in seen):
        return Standing.NO_DIFFERENCE
    return Standing.UNDECIDED


def _notes(spec: ExperimentSpec, people: People, *, complete: bool) -> tuple[str, ...]:
    notes = []
    if people.mixed:
        notes.append(f"{people.mixed} met more than one variant and are left out")
    if spec.method is Method.FIXED and not complete:
        notes.append("it is read once, when the planned time and everybody's window are over: until then nothing is decided")
    longest = max(metric.ends_days for metric in spec.metrics)
    waiting = math.ceil(longest) if longest >= 1 else round(longest, 3)
    notes.append(f"metrics count people who met it at least {waiting} {'day' if waiting == 1 else 'days'} ago; guardrails count everybody")
    return tuple(notes)


def _us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
