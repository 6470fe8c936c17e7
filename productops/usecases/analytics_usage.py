"""What every question about use begins with: may the caller ask, which files are there, of whom."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from productops.adapters.analytics_events_json import HINT, is_installed
from productops.domain.analytics_events import ErasureState, EventFile, microseconds, person_numbers
from productops.domain.analytics_usage_answers import Basis
from productops.domain.analytics_usage_query import CohortSpec, Ranged
from productops.domain.governance_access import Operation
from productops.errors import ConflictError, DependencyError
from productops.store import Unit
from productops.usecases.analytics_events_read import event_files
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import venture_for

Uints = npt.NDArray[np.uint64]
T = TypeVar("T")
TRIES = 5
COHORT = "Cohort"
FUNNEL = "Funnel"
LONG_AGO = timedelta(days=1100)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a question is answered from. ``only``: numbers of the people it is about, sorted; None: everybody but ``without``."""

    files: Sequence[EventFile]
    only: Uints | None
    without: Uints
    now: datetime


def need_engine() -> None:
    """Raises: DependencyError where files of events cannot be read or the walks over them not compiled."""
    if not (is_installed() and find_spec("numba")):
        raise DependencyError(HINT)


def begin(context: Context, venture: str, actor: Actor, operation: Operation = Operation.ANALYTICS_READ) -> None:
    """Raises: NotFoundError for a venture the caller may not see, ForbiddenError."""
    with context.store.read() as unit:
        venture_for(unit, venture, actor, Operation.ANALYTICS_READ)
    actor.check(operation, venture=venture)


def answered(
    context: Context, query: Ranged, answer: Callable[[Ground], T], *, since: datetime | None = None, until: datetime | None = None,
    cohort: str | None = None,
) -> tuple[T, Basis]:  # fmt: skip
    """The answer and what it was made of. Files that were put together anew meanwhile are read again.

    ``since`` and ``until``: what is read, where that is more than what is asked about. Raises: ConflictError, DependencyError.
    """
    need_engine()
    started = time.monotonic()
    first, last = since or query.since, until or query.until
    for attempt in range(TRIES):
        try:
            ground = ground_of(context, query.venture, since=first, until=last, cohort=cohort or query.cohort, at=query.until)
            found = answer(ground)
            break
        except ConflictError:
            if attempt == TRIES - 1:
                raise
    inside = [file for file in ground.files if file.last_at >= query.since and file.first_at < query.until]
    newest = max((file.last_at for file in inside), default=None)
    took = (time.monotonic() - started) * 1000
    events = sum(file.rows for file in inside)
    return found, Basis(query.venture, query.since, query.until, len(inside), events, newest, ground.now, took)


def ground_of(
    context: Context, venture: str, *, since: datetime, until: datetime, cohort: str | None = None, at: datetime | None = None
) -> Ground:  # fmt: skip
    """Raises: NotFoundError for a cohort that there is not, StoreUnavailableError, DependencyError."""
    with context.store.read() as unit:
        without = leaving(unit, venture)
        spec = CohortSpec.model_validate(unit.analytics_usage.definition(COHORT, venture, cohort).spec) if cohort else None
    only = None if spec is None else cohort_people(context, venture, spec, at=at or until, without=without)
    files = event_files(context, venture, since=since, until=until)
    return Ground(files, only, without, context.clock.now())


def leaving(unit: Unit, venture: str) -> Uints:
    """Numbers of people whose events are being removed at this moment, sorted: they count no more."""
    open_ = [each for each in unit.analytics_events.erasures.in_force(venture) if each.state is not ErasureState.DONE]
    return np.unique(np.array([n for each in open_ for n in each.persons], dtype=np.uint64))


def cohort_people(context: Context, venture: str, spec: CohortSpec, *, at: datetime, without: Uints) -> Uints:
    """Numbers of the people of a cohort at a moment, sorted. Raises: StoreUnavailableError, DependencyError, ConflictError."""
    if spec.people:
        found = np.unique(np.array(list(person_numbers(venture, spec.people).values()), dtype=np.uint64))
        return np.setdiff1d(found, without, assume_unique=True)
    from productops.adapters.analytics_usage_look import people_of
    from productops.adapters.analytics_usage_return import People

    since = at - timedelta(days=max(condition.days for condition in spec.conditions))
    files = event_files(context, venture, since=since, until=at)
    people = People(without=without)
    return people_of(files, spec.conditions, at_us=microseconds(at), every=spec.join == "all", people=people)
