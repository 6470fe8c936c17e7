"""Metrics that services send themselves (OTLP), made into points: what cannot be kept is counted, and the rest is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from productops.domain.governance_access import Operation
from productops.domain.monitoring_logs import LogOrigin
from productops.domain.monitoring_logs_resource import resource_of
from productops.domain.monitoring_series import Point, SeriesKey, check_key, series_key
from productops.domain.monitoring_series_sample import Derived, Rates, Sample
from productops.errors import ForbiddenError, InvalidInputError, NotFoundError, ProductOpsError
from productops.usecases.context import Actor, Context
from productops.usecases.monitoring_logs_places import Places
from productops.usecases.monitoring_series import EARLY_S, LATE_S, POINTS_MAX, put_points

REASONS_MAX = 3


@dataclass(slots=True)
class SentMetrics:
    """The samples of one sender; ``attributes`` are OpenTelemetry's of a resource."""

    attributes: Mapping[str, str]
    samples: tuple[Sample, ...]


@dataclass(slots=True)
class MetricsTaken:
    """What became of a request: points kept, points that were refused, and some of the reasons."""

    kept: int = 0
    refused: int = 0
    reasons: dict[str, ProductOpsError] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """A sentence for the sender."""
        return "; ".join(list(self.reasons)[:REASONS_MAX])

    def refuse(self, count: int, error: ProductOpsError) -> None:
        """Note that points were refused."""
        self.refused += count
        self.reasons[str(error)] = error


@dataclass(slots=True)
class MetricsIntake:
    """One for each program: it remembers running counts, so that the next ones become rates. Usable from many threads."""

    context: Context
    places: Places
    rates: Rates = field(default_factory=Rates)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, sent: Iterable[SentMetrics], *, actor: Actor) -> MetricsTaken:
        """Keep what can be kept. The first running count of a series is kept in mind only, the next one is a point.

        Raises: NotFoundError, ForbiddenError when nothing of it may be sent; SeriesLimitError; StoreUnavailableError.
        """
        taken = MetricsTaken()
        points: list[Point] = []
        for each in sent:
            try:
                origin = self.places.origin(resource_of(each.attributes), actor)
            except (NotFoundError, ForbiddenError) as error:
                taken.refuse(len(each.samples), error)
                continue
            source = f"{origin.service}/{origin.instance}"
            with self._lock:
                derived = self.rates.derive(each.samples, source=source)
            points += self._points(origin, derived, taken)
        if taken.refused and not points and (refusal := next(iter(taken.reasons.values()), None)) is not None:
            raise refusal
        for begin in range(0, len(points), POINTS_MAX):
            part = points[begin : begin + POINTS_MAX]
            taken.kept += put_points(self.context, part, actor=actor, operation=Operation.TELEMETRY_WRITE)
        return taken

    def _points(self, origin: LogOrigin, derived: Iterable[Derived], taken: MetricsTaken) -> list[Point]:
        now = self.context.clock.now().timestamp()
        keys: dict[tuple[str, object], SeriesKey | None] = {}
        points = []
        for each in derived:
            if not now - LATE_S <= each.at <= now + EARLY_S:
                taken.refuse(1, InvalidInputError(f"{each.name[:80]}: its time is {each.at - now:+.0f} s from now"))
                continue
            if (each.name, each.labels) not in keys:
                keys[each.name, each.labels] = _key(origin, each, taken)
            key = keys[each.name, each.labels]
            if key is not None:
                points.append(Point(key, each.at, each.value))
        return points


def _key(origin: LogOrigin, derived: Derived, taken: MetricsTaken) -> SeriesKey | None:
    component = f"{origin.service}/{origin.instance}" if origin.instance else origin.service
    tags = dict(derived.labels) | {"environment": origin.environment.value, "version": origin.version}
    try:
        return check_key(series_key(origin.venture, component, "application", derived.name, tags))
    except InvalidInputError as error:
        taken.refuse(1, error)
        return None
