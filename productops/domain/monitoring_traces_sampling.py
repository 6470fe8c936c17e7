"""Which spans are kept when more come than there is room for: whole traces by their id, and those that went wrong before others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from productops.domain.monitoring_traces import Span

REMEMBERED = 10_000
SLOW_FACTOR = 5.0
SLOW_US = 100_000
SMOOTHING = 0.02
_SPACE = 1 << 32


@dataclass(slots=True)
class Sampler:
    """At most about ``per_s`` spans a second of each service, and half as many again of traces that failed or took very long.

    The same trace is kept or left out by every process that sees the same load, since its id decides. Times are monotonic seconds.
    """

    per_s: float
    _rates: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _second: float = float("-inf")
    _bad: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _bad_left: float = 0.0
    _usual_us: OrderedDict[tuple[str, str], float] = field(default_factory=OrderedDict)

    @property
    def share(self) -> float:
        """Share of traces that is kept now: what the busiest service allows."""
        busiest = max(self._rates.values(), default=0.0)
        return min(1.0, self.per_s / busiest) if busiest > 0 else 1.0

    def choose(self, spans: Iterable[Span], *, now: float) -> list[Span]:
        """Those to keep."""
        every = list(spans)
        self._measure(every, now)
        for span in every:
            if (span.error or self._is_slow(span)) and span.trace_id not in self._bad and self._bad_left >= 1:
                self._bad[span.trace_id] = None
                self._bad_left -= 1
        while len(self._bad) > REMEMBERED:
            self._bad.popitem(last=False)
        limit = int(self.share * _SPACE)
        return [span for span in every if span.trace_id in self._bad or int(span.trace_id[-8:], 16) < limit]

    def _measure(self, spans: list[Span], now: float) -> None:
        """Rates are of the last seconds: what comes in a batch after a pause came in that pause."""
        for span in spans:
            self._counts[span.service] = self._counts.get(span.service, 0) + 1
        if self._second == float("-inf"):
            self._second, self._bad_left = now - 1.0, self.per_s / 2
        passed = now - self._second
        if passed >= 1.0:
            services = self._rates.keys() | self._counts.keys()
            self._rates = {name: self._smooth(name, self._counts.get(name, 0) / passed) for name in services}
            self._rates = {name: rate for name, rate in self._rates.items() if rate > 0.01}
            self._counts, self._second = {}, now
            self._bad_left = min(self.per_s / 2 * 10, self._bad_left + passed * self.per_s / 2)

    def _smooth(self, name: str, rate: float) -> float:
        known = self._rates.get(name)
        return rate if known is None else 0.5 * known + 0.5 * rate

    def _is_slow(self, span: Span) -> bool:
        """Whether an entry took five times as long as it usually does."""
        if not span.entry:
            return False
        key = (span.service, span.name)
        usual = self._usual_us.pop(key, float(span.duration_us))
        self._usual_us[key] = usual + SMOOTHING * (span.duration_us - usual)
        if len(self._usual_us) > REMEMBERED:
            self._usual_us.popitem(last=False)
        return span.duration_us > max(SLOW_FACTOR * usual, SLOW_US)
