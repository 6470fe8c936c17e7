"""Performance over the stored runs: each series on each kind of runner, with the steps of its level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from productops.domain.governance_access import Operation
from productops.domain.quality_performance import HistoryStep, smallest_seen, steps_of
from productops.domain.quality_runs import SeriesRun
from productops.errors import NotFoundError
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import service_for

RUNS_MAX = 500


@dataclass(frozen=True, slots=True)
class SeriesHistory:
    """One series on one kind of runner, oldest run first; ``medians`` and ``commits`` have one entry for each run.

    ``detectable`` is the smallest change of the next run that would be seen with a power of 80 %; None: too few runs.
    """

    service: str
    series: str
    runner: str
    unit: str
    higher_is_better: bool | None
    medians: tuple[float, ...]
    commits: tuple[str, ...]
    steps: tuple[HistoryStep, ...]
    detectable: float | None

    @property
    def title(self) -> str:
        """What a picture calls it."""
        return f"{self.service}: {self.series}" + (f" on {self.runner}" if self.runner else "")


def read_series(
    context: Context, service: str, *, actor: Actor, series: str | None = None, runner: str | None = None
) -> list[SeriesHistory]:  # fmt: skip
    """Every series of the main branch, or the named one, by name and runner. Raises: NotFoundError, ForbiddenError."""
    with context.store.read() as unit:
        service_for(unit, service, actor, Operation.QUALITY_READ)
        names = [series] if series is not None else unit.quality_series.names(service)
        found: dict[tuple[str, str], list[SeriesRun]] = {}
        for name in names:
            for run in unit.quality_series.runs(service, name, compared=False, limit=RUNS_MAX):
                if run.mainline and run.values and runner in {None, run.runner}:
                    found.setdefault((name, run.runner), []).append(run)
    return [_history(service, name, where, runs) for (name, where), runs in sorted(found.items())]


def one_series(context: Context, service: str, *, series: str, runner: str, actor: Actor) -> SeriesHistory:
    """The named series, or the first; likewise the runner. Raises: NotFoundError, ForbiddenError."""
    found = read_series(context, service, actor=actor, series=series or None, runner=runner or None)
    if not found:
        raise NotFoundError(f"{service} has no series {series[:80]!r}; list them with: productops quality performance {service}")
    return found[0]


def _history(service: str, name: str, runner: str, runs: list[SeriesRun]) -> SeriesHistory:
    """Steps are of medians, so that one wild value of a run moves nothing."""
    better = next((run.higher_is_better for run in reversed(runs) if run.higher_is_better is not None), None)
    values = [list(run.values) for run in runs]
    steps = steps_of(values, higher_is_better=bool(better))
    return SeriesHistory(
        service, name, runner, runs[-1].unit, better, tuple(float(np.median(each)) for each in values),
        tuple(run.commit for run in runs), steps, smallest_seen(values, steps),
    )  # fmt: skip
