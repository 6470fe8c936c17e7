"""The rate a baseline is known for: history and the current baseline together while they agree, the current one alone otherwise."""

from __future__ import annotations

import math

MEMORY_S = 600.0
"""How far back the rate remembers, seconds."""
DISAGREE = 3.5
"""Standard errors between history and now beyond which history is left."""
PRIOR_TRIALS = 50.0


class ReferenceRate:
    """Events per trial of the baseline, with forgetting."""

    __slots__ = ("_events", "_keep", "_old_events", "_old_trials", "_trials")

    def __init__(self, memory_s: float = MEMORY_S) -> None:
        self._keep = 1.0 - 1.0 / memory_s
        self._old_events = self._old_trials = self._events = self._trials = 0.0

    def learn(self, events: float, trials: float) -> None:
        """Take a second of history."""
        self._old_events = self._keep * self._old_events + events
        self._old_trials = self._keep * self._old_trials + trials

    def observe(self, events: float, trials: float) -> None:
        """Take a second of now."""
        self._events = self._keep * self._events + events
        self._trials = self._keep * self._trials + trials

    def rate(self, events: float, trials: float) -> float:
        """The rate including this second's ``events`` among ``trials``; never 0 (half an event is added)."""
        events, trials = self._events + events, self._trials + trials
        if self._agrees(events, trials):
            events, trials = events + self._old_events, trials + self._old_trials
        return (events + 0.5) / (trials + PRIOR_TRIALS)

    def _agrees(self, events: float, trials: float) -> bool:
        if min(trials, self._old_trials) <= 0.0:
            return True
        pooled = (events + self._old_events + 0.5) / (trials + self._old_trials + 1.0)
        error = math.sqrt(max(pooled * (1.0 - pooled), 1e-12) * (1.0 / trials + 1.0 / self._old_trials))
        return abs(events / trials - self._old_events / self._old_trials) <= DISAGREE * error
