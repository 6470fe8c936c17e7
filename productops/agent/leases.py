"""When leases lapse, by the agent's own monotonic clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from productops.domain.release import Environment
from productops.domain.traffic import TrafficTarget

Key = tuple[str, Environment]


@dataclass(slots=True)
class LeaseWatch:
    """Deadlines in memory: they hold when the database is gone and when the wall clock steps.

    A lease lives ``ttl_s`` from the moment its beat was last seen to rise. Only the first sight of a lease (after a start of the
    agent) trusts its stored wall-clock deadline, and never for longer than ``ttl_s``.
    """

    _seen: dict[Key, tuple[int, float]] = field(default_factory=dict)

    def observe(self, targets: Iterable[TrafficTarget], *, read_at: float, now: datetime) -> None:
        """Take a snapshot of the store. ``read_at`` is the monotonic time from before it was read."""
        living: dict[Key, tuple[int, float]] = {}
        for target in targets:
            if target.lease is None or not target.held:
                continue
            known = self._seen.get(target.key)
            if known is not None and known[0] == target.lease.beat:
                living[target.key] = known
            elif known is not None:
                living[target.key] = (target.lease.beat, read_at + target.lease.ttl_s)
            else:
                left_s = min(target.lease.ttl_s, (target.lease.deadline - now).total_seconds())
                living[target.key] = (target.lease.beat, read_at + left_s)
        self._seen = living

    def lapsed(self, *, monotonic: float) -> dict[Key, int]:
        """Leases whose time is over: key → the beat they stood at."""
        return {key: beat for key, (beat, deadline) in self._seen.items() if monotonic >= deadline}
