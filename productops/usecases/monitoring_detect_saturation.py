"""Does a machine have more to do than it can? Programs that wait for a processor, against what is usual of this machine."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from productops.domain.incident_alert import Alert
from productops.domain.monitoring_detect import Findings
from productops.domain.monitoring_series_host import Busy, HostReading
from productops.ports import BusyMeter
from productops.usecases.context import Context
from productops.usecases.monitoring_detect import AlertBook
from productops.usecases.monitoring_detect_series import ventures_of

LATELY: Final = 5
RING: Final = 600
LEARNED: Final = 30
HELD: Final = 3
CALM: Final = 10
QUEUE_MIN: Final = 6.0
"""So many programs for each processor have to want to run, and so many times what is usual, with the processors busy."""
TIMES: Final = 3.0
BUSY_PCT: Final = 85.0
LOOK_AGAIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """A machine that is short of processors. Queues are programs for each processor; ``since``: Unix seconds."""

    since: float
    queue: float
    usual: float


@dataclass(slots=True)
class SaturationWatch:
    """This very machine: each watch process looks at its own. ``see`` each second, ``turn`` to tell.

    What is usual is the median of the last ten minutes in which it was not crowded: a machine that is always full is not short of
    anything since just now.
    """

    context: Context
    host: str
    busy: BusyMeter
    book: AlertBook = field(init=False)
    crowd: Crowd | None = None
    _recent: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=LATELY))
    _usual: deque[float] = field(default_factory=lambda: deque(maxlen=RING))
    _held: int = 0
    _calm: int = 0
    _who: Sequence[Busy] = ()
    _who_at: float = 0.0

    def __post_init__(self) -> None:
        self.book = AlertBook(self.context, f"saturation:{self.host}"[:60])

    def see(self, at: float, reading: HostReading) -> None:
        """One second. ``at``: Unix seconds."""
        if reading.run_queue is None:
            return
        self._recent.append((at, reading.run_queue, reading.cpu_pct))
        queue = statistics.median(each for _, each, _ in self._recent)
        busy = statistics.median(each for _, _, each in self._recent)
        usual = statistics.median(self._usual) if len(self._usual) >= LEARNED else None
        crowded = usual is not None and queue >= max(QUEUE_MIN, TIMES * usual) and busy >= BUSY_PCT
        self._held = self._held + 1 if crowded else 0
        self._calm = 0 if crowded else self._calm + 1
        if usual is not None and (self._held >= HELD or (self.crowd is not None and self._calm < CALM)):
            self.crowd = Crowd(self.crowd.since if self.crowd else self._recent[0][0], queue, usual)
        else:
            self.crowd = None
        if self.crowd is None and not self._held:
            self._usual.append(reading.run_queue)

    def turn(self) -> int:
        """Returns how many alerts were told. Raises: StoreUnavailableError."""
        crowd = self.crowd
        if crowd is None and not self._held and self._who_at:
            self._who, self._who_at = (), 0.0
        if self._held and (not self._who or self.context.clock.monotonic() - self._who_at >= LOOK_AGAIN_S):
            self._who_at = self.context.clock.monotonic()  # from the first sign on, so that there are two readings when it is told
            self._who = self.busy.read() or self._who
        alerts = [self._alert(venture, crowd) for venture in ventures_of(self.context)] if crowd or self.book.any_open else []
        if crowd is not None:
            return self.book.settle(Findings(tuple(alerts), frozenset()))
        return self.book.settle(Findings((), frozenset(each.fingerprint for each in alerts)))

    def _alert(self, venture: str, crowd: Crowd | None) -> Alert:
        found = crowd or Crowd(0.0, 0.0, 0.0)
        who = [
            {"name": each.name, "programs": each.count, "cpu_pct": round(each.cpu_pct), "began": _time(each.began)} for each in self._who
        ]  # fmt: skip
        queues = f"{found.queue:.1f} programs for each processor of {self.host} want to run; {found.usual:.1f} would be usual"
        return Alert(
            source="anomaly", name="host short of processors", venture=venture, component=f"host/{self.host}", severity="SEV4",
            labels={"host": self.host}, starts_at=datetime.fromtimestamp(found.since, UTC), value=round(found.queue, 2),
            summary=queues + self._names(),
            evidence={"series": "host.run_queue", "seen": round(found.queue, 2), "expected": round(found.usual, 2), "busiest": who},
        )  # fmt: skip

    def _names(self) -> str:
        told = [f"{each.count} {each.name} since {_time(each.began)} take {each.cpu_pct:.0f} %" for each in self._who[:2]]
        return f" ({'; '.join(told)} of a processor)" if told else ""


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"
