"""Hypotheses about levels: CPU, memory, queue length of the candidate against the baseline."""

from __future__ import annotations

import math

from productops.domain.judge.policy import Direction, MetricRule
from productops.domain.judge.snapshot import Snapshot
from productops.stats.capital import SmallCapital, StartPrior

BLOCK_S = 10
"""Levels hang together from second to second; one comparison per block is taken."""
STAKES = (0.2, 0.5, 0.8)
STAKE_WEIGHTS = (0.3, 0.4, 0.3)


class SaturationHypothesis:
    """Harm: in more than half of the blocks the candidate's mean level is beyond tolerance times the baseline's.

    Theorem only if each block, given the past, is as likely better as worse; levels that wander for minutes break that.
    Source: betting on signs, Waudby-Smith & Ramdas 2023, arXiv 2010.09686, section 4.
    """

    def __init__(self, rule: MetricRule, *, now_share: float, later_mean_s: float) -> None:
        self._rule = rule
        self._capital = SmallCapital(STAKE_WEIGHTS)
        self._start = StartPrior(now_share=now_share, later_mean_s=later_mean_s)
        self._sums = [0.0, 0.0]
        self._seen = self._worse = self._blocks = 0
        self._means = [0.0, 0.0]
        self._log_e = -math.inf

    def observe(self, baseline: float, candidate: float, *, elapsed_s: float) -> None:
        """Take one second's levels of both arms; NaN is no measurement."""
        if not (math.isfinite(baseline) and math.isfinite(candidate)):
            return
        self._sums[0] += baseline
        self._sums[1] += candidate
        self._seen += 1
        if self._seen < BLOCK_S:
            return
        self._means = [total / self._seen for total in self._sums]
        self._sums, self._seen = [0.0, 0.0], 0
        self._blocks += 1
        worse = self._is_worse(*self._means)
        self._worse += worse
        self._log_e = self._capital.bet([1.0 + stake if worse else 1.0 - stake for stake in STAKES], self._start.share(elapsed_s))

    def _is_worse(self, baseline: float, candidate: float) -> bool:
        if self._rule.direction is Direction.HIGHER_IS_WORSE:
            return candidate > baseline * self._rule.tolerance
        return candidate * self._rule.tolerance < baseline

    def snapshot(self) -> Snapshot:
        """As of the last second."""
        return Snapshot(
            name=self._rule.name,
            log_e=self._log_e,
            log_counted=self._log_e,
            log_e_safe=None,
            measured=self._blocks > 0,
            pending="",
            counts=None,
            tolerance=self._rule.tolerance,
            more={
                "baseline_level": self._means[0],
                "candidate_level": self._means[1],
                "blocks": self._blocks,
                "blocks_worse": self._worse,
            },
        )
