"""How much of something may be kept, by who sends it: an average, and a burst after a pause."""

from __future__ import annotations

from dataclasses import dataclass, field

NAMES_MAX = 5_000


@dataclass(slots=True)
class Allowance:
    """``per_s`` pieces a second of each name on average, ``burst_s`` seconds' worth at once. Times are monotonic seconds."""

    per_s: float
    burst_s: float
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, name: str, *, now: float, pieces: int = 1) -> bool:
        """Whether so many more pieces may be kept; if so they are counted."""
        most = self.per_s * self.burst_s
        left, at = self._left.get(name, (most, now))
        left = min(most, left + (now - at) * self.per_s)
        enough = left >= pieces
        if name not in self._left and len(self._left) >= NAMES_MAX:
            self._left.clear()
        self._left[name] = (left - pieces if enough else left, now)
        return enough
