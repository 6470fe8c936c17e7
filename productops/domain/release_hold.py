"""What the end of a hold says: go on, wait, or give the baseline back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from productops.domain.analysis import Look, Verdict
from productops.domain.catalog_analysis import Analysis
from productops.domain.release import Step

SILENT_S = 5.0
"""No step ends well on measurements older than that: it is held until one arrives, at most for the policy's ``unmeasured_max_s``."""
SUSPICIOUS = 0.5
"""Share of the evidence a roll back needs from which on no hold ends well."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """How a step ended; ``proceed`` is whether the rollout may go on."""

    index: int
    verdict: Verdict
    proceed: bool
    reason: str
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """``requests`` of the candidate in the whole rollout, ``fresh`` in this step, ``measured_s`` seconds of it, silence at its end."""

    requests: int
    fresh: int
    measured_s: int
    silent_s: float

    @property
    def unmeasured(self) -> bool:
        """Whether nothing is known of how the candidate does just now."""
        return self.measured_s == 0 or self.silent_s > SILENT_S


def is_suspicious(look: Look | None, analysis: Analysis) -> bool:
    """Whether the candidate looks worse, though not beyond doubt: more time will tell."""
    return look is not None and math.isfinite(look.log_e) and look.log_e >= -SUSPICIOUS * math.log(analysis.alpha)


def early_end(index: int, analysis: Analysis, look: Look | None, *, fresh: int) -> StepOutcome | None:
    """A step may end before its time when its candidate is certified and the policy wants that."""
    if analysis.promote_on != "certificate" or look is None or look.verdict is not Verdict.PASSED or fresh <= 0:
        return None
    return StepOutcome(index, Verdict.PASSED, proceed=True, reason=look.reason, evidence=look.evidence)


def gone_blind(index: int, analysis: Analysis, look: Look | None, held: Held) -> StepOutcome | None:
    """A candidate that nobody has measured for too long must go, in the middle of a hold as at its end.

    A shorter gap is no harm: our own collector may lag on a busy machine, and its lease is alive.
    """
    if held.silent_s <= analysis.unmeasured_max_s:
        return None
    reason = f"no measurement arrived in the last {held.silent_s:.0f} s (unmeasured_max_s: {analysis.unmeasured_max_s:g}); is the agent up?"
    return StepOutcome(index, Verdict.INCONCLUSIVE, proceed=False, reason=reason, evidence=look.evidence if look else {})


def at_end_of_hold(index: int, step: Step, analysis: Analysis, look: Look | None, held: Held) -> StepOutcome:
    """What a step that was held to its end says.

    No data is never a pass: with no measured second, with silence at the end, or with fewer requests than the policy's minimum,
    it is inconclusive; and so it is while the candidate looks worse.
    """
    evidence = look.evidence if look else {}
    unknown = _unmeasured(look, held)
    if unknown or look is None:
        return StepOutcome(index, Verdict.INCONCLUSIVE, proceed=False, reason=unknown, evidence=evidence)
    if step.header_only:
        reason = f"{held.fresh} requests with the test header, no harm seen" if held.fresh else "nobody used the test header"
        return StepOutcome(index, Verdict.PASSED if held.fresh else Verdict.INCONCLUSIVE, proceed=True, reason=reason, evidence=evidence)
    doubt = _doubt(analysis, look, held)
    if doubt:
        go_on = analysis.on_inconclusive == "proceed"
        return StepOutcome(index, Verdict.INCONCLUSIVE, proceed=go_on, reason=doubt, evidence=evidence)
    calm = f"held {step.hold_s:g} s with {held.fresh} requests and no harm seen"
    return StepOutcome(index, Verdict.PASSED, proceed=True, reason=look.reason if look.certified else calm, evidence=evidence)


def _unmeasured(look: Look | None, held: Held) -> str:
    if look is None or held.measured_s == 0:
        return "no second of this step could be measured"
    if held.silent_s > SILENT_S:
        return f"no measurement arrived in the last {held.silent_s:.0f} s; is the agent up?"
    return ""


def _doubt(analysis: Analysis, look: Look, held: Held) -> str:
    if held.requests < analysis.requests_min or held.fresh == 0:
        return f"only {held.requests} of {analysis.requests_min} requests on the candidate ({held.fresh} in this step)"
    if is_suspicious(look, analysis):
        return look.reason
    if analysis.promote_on == "certificate" and look.verdict is not Verdict.PASSED:
        return f"held to its end without a certificate: {look.reason}"
    return ""
