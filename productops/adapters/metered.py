"""A router that counts nothing, with a metric source that does: together they are a whole ``Router``."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from productops.domain.analysis import LatencyHistogram
from productops.domain.monitoring_sources import Window
from productops.domain.routing import ArmCounters, RouterReading, ServiceRoute, VersionKey, merge_histograms
from productops.errors import InvalidInputError, MetricSourceError, RouterError, UnsupportedError
from productops.ports import FencedRouter, MetricSource

WINDOW_MAX_S = 300


@dataclass(slots=True)
class _Arm:
    until_s: int
    requests: int = 0
    failures: int = 0
    latency: LatencyHistogram = LatencyHistogram()  # noqa: RUF009 - frozen


class MeteredRouter:
    """Switches ``router``, and adds up what ``source`` knows of its versions. Counters come as late as the source's lag and interval.

    An interval the source does not know makes a reading impossible: the second is missing then, and is not zero.
    """

    def __init__(self, router: FencedRouter, source: MetricSource, *, clock: Callable[[], float] = time.time) -> None:
        self._router, self._source, self._clock = router, source, clock
        self._lock = threading.Lock()
        self._arms: dict[VersionKey, _Arm] = {}
        self._born = time.monotonic()
        self._life = zlib.crc32(repr((id(self), self._born)).encode())

    def apply(self, routes: Sequence[ServiceRoute]) -> None:
        """As the router's. Raises: RouterError."""
        self._router.apply(routes)
        now_s = self._complete_s()
        keys = {(r.service, r.environment, v) for r in routes for v in (r.baseline_version, r.candidate_version) if v is not None}
        with self._lock:
            self._arms = {key: self._arms.get(key) or _Arm(until_s=now_s) for key in keys}

    def claim(self, term: int) -> None:
        """As the router's. Raises: RouterError."""
        self._router.claim(term)

    def latest_term(self) -> int:
        """As the router's."""
        return self._router.latest_term()

    def ready(self) -> bool:
        """As the router's."""
        return self._router.ready()

    def close(self) -> None:
        """As the router's."""
        self._router.close()

    def requests_in_flight(self) -> Mapping[tuple[VersionKey, int], int]:
        """As the router's. Raises: RouterError."""
        return self._router.requests_in_flight()

    def read(self) -> RouterReading:
        """Counters of the versions in the last routes. Raises: RouterError when the source does not answer or has a gap."""
        until_s = self._complete_s()
        with self._lock:
            for key, arm in self._arms.items():
                try:
                    self._advance(key, arm, until_s)
                except (MetricSourceError, InvalidInputError, UnsupportedError) as error:
                    raise RouterError(f"the traffic of {key[0]} {key[2]} is not known: {error}") from error
            arms = {key: ArmCounters(arm.requests, arm.failures, arm.latency) for key, arm in self._arms.items()}
        return RouterReading(uptime_s=time.monotonic() - self._born, arms=arms, life=self._life)

    def _complete_s(self) -> int:
        step = self._source.interval_s
        return int(self._clock() - self._source.lag_s) // step * step

    def _advance(self, key: VersionKey, arm: _Arm, until_s: int) -> None:
        after_s = max(arm.until_s, until_s - WINDOW_MAX_S // self._source.interval_s * self._source.interval_s)
        if after_s >= until_s:
            return
        window = Window(after_s, until_s, self._source.interval_s)
        seconds = self._source.traffic(key, window)
        arm.until_s = until_s
        missing = len(window.points) - len(seconds)
        for second in seconds.values():
            arm.requests += second.requests
            arm.failures += second.failures
            arm.latency = merge_histograms([arm.latency, second.latency])
        if missing:
            raise MetricSourceError(f"{self._source.name} knows nothing of {missing} of {len(window.points)} intervals")
