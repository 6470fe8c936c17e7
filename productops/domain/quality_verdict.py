"""What the gates say of a version: one result each, and one answer to "may this go out?"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

ITEMS_MAX = 50
"""Offending items kept with a result; ``items_total`` counts all."""


class GateState(StrEnum):
    """``inconclusive``: too little was seen to say; ``error``: the gate could not be judged. Neither is ever a pass."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class GateKind(StrEnum):
    """What a gate looks at."""

    UNIT = "unit"
    INTEGRATION = "integration"
    END_TO_END = "end-to-end"
    PERFORMANCE = "performance"
    SECURITY = "security"
    COVERAGE = "coverage"
    STANDARDS = "standards"
    SIGN_OFF = "sign-off"
    EXPRESSION = "expression"


@dataclass(frozen=True, slots=True)
class GateItem:
    """One thing a gate objects to, or would without a waiver or a quarantine.

    ``key`` is the test's key, the finding's fingerprint or the path: what a waiver names. ``where`` is ``file:line`` when known.
    ``excused`` says by whom and until when it does not count, empty where it counts.
    """

    key: str
    text: str
    where: str = ""
    link: str = ""
    excused: str = ""


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate. ``to_pass`` is what would make it pass, empty when it does; ``figures`` are what it measured, by name."""

    gate: str
    kind: GateKind
    required: bool
    state: GateState
    sentence: str
    reasons: tuple[str, ...] = ()
    items: tuple[GateItem, ...] = ()
    items_total: int = 0
    to_pass: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QualityVerdict:
    """All gates together: ``failed`` if a required one failed, else ``error`` or ``inconclusive`` if a required one is that."""

    state: GateState
    sentence: str
    gates: tuple[GateResult, ...]

    @property
    def may_go_out(self) -> bool:
        """Only a pass may."""
        return self.state is GateState.PASSED


def verdict_of(gates: tuple[GateResult, ...]) -> QualityVerdict:
    """The one answer. No required gate at all is inconclusive: nothing was asked, so nothing was shown."""
    required = [gate for gate in gates if gate.required]
    if not required:
        return QualityVerdict(GateState.INCONCLUSIVE, "No gate is required, so nothing was shown.", gates)
    for state in (GateState.FAILED, GateState.ERROR, GateState.INCONCLUSIVE):
        against = [gate for gate in required if gate.state is state]
        if against:
            return QualityVerdict(state, _sentence(state, against, len(required)), gates)
    warned = sum(1 for gate in gates if not gate.required and gate.state is not GateState.PASSED)
    advice = f"; {warned} advisory {'gate does' if warned == 1 else 'gates do'} not" if warned else ""
    return QualityVerdict(GateState.PASSED, f"May go out: all {len(required)} required gates pass{advice}.", gates)


def _sentence(state: GateState, against: list[GateResult], required: int) -> str:
    names = ", ".join(gate.gate for gate in against)
    what = {GateState.FAILED: "failed", GateState.ERROR: "could not be judged", GateState.INCONCLUSIVE: "inconclusive"}[state]
    return f"May not go out: {len(against)} of {required} required gates {what} ({names}). {against[0].sentence}"
