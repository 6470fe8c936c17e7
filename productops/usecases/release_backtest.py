"""Keep what a release was judged by, and judge releases that are over with another policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from productops.domain.analysis import Look, TrafficSecond, Verdict
from productops.domain.catalog_analysis import Analysis
from productops.domain.governance_access import Operation, visible_places
from productops.domain.judge import make_judge
from productops.domain.judge.backtesting import Backtest, backtest
from productops.domain.release import Phase, Release
from productops.domain.release_recording import Recording
from productops.errors import InvalidInputError
from productops.usecases.context import Actor, Context
from productops.usecases.release_judge import Bench

RECORD_WITHIN = timedelta(hours=20)
"""Seconds of traffic are forgotten after a day: what is not recorded by then cannot be any more."""
AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Rejudged:
    """One release: when it was really stopped (seconds from its first traffic; ``None``: it was not), and what the other policy says."""

    release: Release
    stopped_s: int | None
    then: Backtest


@dataclass(slots=True)
class _Recorder:
    """Stands where a judge stands, and only writes down what it is fed."""

    history: list[TrafficSecond] = field(default_factory=list)
    rollout: list[TrafficSecond] = field(default_factory=list)

    def learn(self, second: TrafficSecond) -> None:
        """Keep it."""
        self.history.append(second)

    def observe(self, second: TrafficSecond) -> Look:
        """Keep it, too."""
        self.rollout.append(second)
        return Look(second.at_s, Verdict.INCONCLUSIVE, "recorded", -math.inf, -math.inf, certified=False, evidence={})


def record_release(context: Context, release_id: str) -> bool:
    """Keep the seconds of a release that has ended; idempotent. False when it has no step to record."""
    with context.store.read() as unit:
        release = unit.releases.get(release_id)
        if not release.ended or release.step_index < 0 or unit.recordings.find(release_id) is not None:
            return False
    recorder = _Recorder()
    Bench.open(context, release, recorder)
    if not recorder.rollout:
        return False
    with context.store.write() as unit:
        unit.recordings.add(release_id, Recording(tuple(recorder.history), tuple(recorder.rollout)), now=context.clock.now())
    return True


def record_ended(context: Context) -> list[str]:
    """Record releases whose flow died before it could."""
    with context.store.read() as unit:
        missing = unit.recordings.ended_without(since=context.clock.now() - RECORD_WITHIN, limit=AT_ONCE)
    return [release_id for release_id in missing if record_release(context, release_id)]


def backtest_releases(
    context: Context, *, service: str | None, changes: Mapping[str, Any], before: str | None = None, limit: int = AT_ONCE, actor: Actor
) -> tuple[list[Rejudged], str | None]:
    """Judge recorded releases again, newest first, each by its own policy with ``changes``; and the id to go on after.

    Raises: InvalidInputError naming a change that does not fit, NotFoundError.
    """
    _check(Analysis(), changes)
    with context.store.read() as unit:
        places = visible_places(actor.principal, Operation.RELEASE_READ)
        ids = unit.recordings.newest(service=service, before=before, limit=limit + 1, places=places)
        found = [(unit.releases.get(i), unit.recordings.find(i)) for i in ids[:limit]]
    rows = [_rejudge(release, recording, changes) for release, recording in found if recording is not None]
    return rows, (ids[limit - 1] if len(ids) > limit else None)


def _rejudge(release: Release, recording: Recording, changes: Mapping[str, Any]) -> Rejudged:
    analysis = _check(Analysis.model_validate(release.plan["analysis"]), changes)
    then = backtest(make_judge(analysis), history=recording.history, rollout=recording.rollout)
    stopped_s = None
    if release.phase is not Phase.PROMOTED and release.ended_at is not None:
        stopped_s = max(0, math.ceil(release.ended_at.timestamp() - recording.rollout[0].at_s))
    return Rejudged(release, stopped_s, then)


def _check(analysis: Analysis, changes: Mapping[str, Any]) -> Analysis:
    try:
        return Analysis.model_validate(_merge(analysis.model_dump(mode="json"), changes))
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInputError(f"analysis.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings are merged, everything else is replaced."""
    result = dict(base)
    for name, value in changes.items():
        known = result.get(name)
        result[name] = _merge(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return result
