"""Kinds and states of findings about the tests themselves; no numbers, so that a command's help need not load them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class InsightKind(StrEnum):
    """What a finding is about."""

    FLAKY = "flaky-test"
    FAILING = "failing-test"
    SLOW = "slow-test"
    TREND = "trend"
    ESCAPE = "escaped-defect"
    IMPACT = "test-impact"


class InsightState(StrEnum):
    """Open until somebody accepts it, which makes it a task, or dismisses it with a reason."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DONE = "done"
    DISMISSED = "dismissed"


EDGES: Mapping[InsightState, frozenset[InsightState]] = {
    InsightState.OPEN: frozenset({InsightState.ACCEPTED, InsightState.DISMISSED}),
    InsightState.ACCEPTED: frozenset({InsightState.DONE, InsightState.DISMISSED}),
    InsightState.DONE: frozenset({InsightState.OPEN}),
    InsightState.DISMISSED: frozenset({InsightState.OPEN}),
}
