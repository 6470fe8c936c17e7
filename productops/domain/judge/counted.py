"""Hypotheses about counted events: failures, and ratios or counters of one's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from productops.domain.judge.snapshot import Snapshot
from productops.stats.capital import SmallCapital, StartPrior
from productops.stats.dispersion import Dispersion
from productops.stats.hypergeometric import log_mean_tilt, mean_tilts
from productops.stats.reference import ReferenceRate

ODDS = (1.9, 3.0, 6.0, 40.0)
"""Odds ratios the capital is laid on, in units of the tolerance: from a nuisance to an outage."""
ODDS_WEIGHTS = (0.40, 0.35, 0.20, 0.05)
FEW = 100
"""Below this count powers of plain floats cannot overflow."""
LOG_MOST = 600.0
"""One second's bet is cut here, in nats: products stay finite and no decision needs more."""


@dataclass(frozen=True, slots=True)
class CountedRule:
    """``tolerance`` and ``promote_ratio`` are odds ratios (rate ratios of a counter, whose events may exceed the trials)."""

    name: str
    tolerance: float
    promote_ratio: float | None
    start_now_share: float
    start_later_mean_s: float
    second_opinion: float
    arm_noise: float
    dispersion: bool
    is_counter: bool = False


class CountedHypothesis:
    """Harm: the candidate's odds of the event exceed the baseline's by more than the tolerance."""

    def __init__(self, rule: CountedRule) -> None:
        self.rule = rule
        # Alternatives, then the tolerated ratio, then the promotion bound.
        self._psi = [odds * rule.tolerance for odds in ODDS] + [rule.tolerance, rule.promote_ratio or rule.tolerance]
        self._log_psi = np.log(np.array(self._psi))
        self._harm = SmallCapital(ODDS_WEIGHTS)
        self._opinion = SmallCapital(ODDS_WEIGHTS)
        self._safe = SmallCapital((1.0,))
        self._start = StartPrior(now_share=rule.start_now_share, later_mean_s=rule.start_later_mean_s)
        self._reference = ReferenceRate()
        self._spread = Dispersion()
        self._demand = math.log(rule.second_opinion) if rule.second_opinion > 0.0 else -math.inf
        self._log_e = self._log_opinion = self._log_safe = -math.inf
        self._baseline = [0, 0]
        self._candidate = [0, 0]
        self._strata = 0

    def learn(self, events: int, trials: int) -> None:
        """Take the baseline's second from before the rollout."""
        self._reference.learn(events, trials)
        self._spread.add(events, trials)

    def observe(self, baseline: tuple[int, int], candidate: tuple[int, int], *, elapsed_s: float) -> None:
        """Take one second: (events, trials) of each arm."""
        (k_a, n_a), (k_b, n_b) = baseline, candidate
        self._baseline[0] += k_a
        self._baseline[1] += n_a
        self._candidate[0] += k_b
        self._candidate[1] += n_b
        if n_a > 0 and n_b > 0:
            self._bet(k_a, n_a, k_b, n_b, self._start.share(elapsed_s))
        if n_a > 0:
            self._spread.add(k_a, n_a)
            self._reference.observe(k_a, n_a)

    def _bet(self, k_a: int, n_a: int, k_b: int, n_b: int, share: float) -> None:
        self._strata += 1
        power = self._power(k_a + k_b, n_a, n_b)
        if k_a + k_b == 0:
            self._log_e = self._harm.wait(share)
            self._log_safe = self._safe.wait(share)
        else:
            ratios = self._ratios(k_a + k_b, k_b, n_a, n_b, power)
            tolerated = ratios[-2]
            self._log_e = self._harm.bet([r / tolerated for r in ratios[:-2]], share)
            self._log_safe = self._safe.bet([1.0 / ratios[-1]], share)
        rate = self._reference.rate(k_a, n_a)
        self._log_opinion = self._opinion.bet(self._against(rate, k_b, n_b, power), share) - self._demand

    def _ratios(self, events: int, k_b: int, n_a: int, n_b: int, power: float) -> list[float]:
        """Likelihood ratios of this second against equal odds, one per entry of ``_psi``, each to the ``power``."""
        if self.rule.is_counter:
            # Poisson events with exposure n: given their sum, the candidate's are binomial.
            share = n_b / (n_a + n_b)
            logs = [k_b * math.log(p) - events * math.log1p(share * (p - 1.0)) for p in self._psi]
            return [_exp(power * value) for value in logs]
        means = mean_tilts(baseline=n_a, candidate=n_b, events=events, psi=self._psi)
        if means is not None and k_b < FEW:
            return [(p**k_b / mean) ** power for p, mean in zip(self._psi, means, strict=True)]
        log_means = log_mean_tilt(baseline=n_a, candidate=n_b, events=events, log_psi=self._log_psi)
        return [_exp(power * float(value)) for value in k_b * self._log_psi - log_means]

    def _power(self, events: int, n_a: int, n_b: int) -> float:
        """Share of this second's evidence that counts: less when events cluster, or when one second alone would be too sure.

        It is known from the past and the pooled count, so a fair bet stays at most fair.
        """
        inflation = self._spread.inflation if self.rule.dispersion else 1.0
        if events == 0:
            return 1.0 / inflation
        total = n_a + n_b
        variance = events * n_a * n_b / (total * total)
        if not self.rule.is_counter:
            variance *= 1.0 - events / total
        if events > 1 and self.rule.dispersion:
            # What comes in one second may be one group: how much the others count is learned, and presumed until then.
            inflation *= events / (1.0 + (events - 1.0) / self._spread.burst)
        return 1.0 / (inflation * (1.0 + self.rule.arm_noise**2 * variance))

    def _against(self, rate: float, k_b: int, n_b: int, power: float) -> list[float]:
        """Likelihood ratios of the candidate's events against the known rate of the baseline, not its luck this second."""
        tolerance = self.rule.tolerance
        if not self.rule.is_counter:
            tolerated = rate * tolerance / (1.0 + rate * (tolerance - 1.0))
            if n_b < FEW and k_b < FEW:
                return [odds ** (k_b * power) * (1.0 + tolerated * (odds - 1.0)) ** (-n_b * power) for odds in ODDS]
            logs = [k_b * math.log(odds) - n_b * math.log1p(tolerated * (odds - 1.0)) for odds in ODDS]
        else:
            logs = [k_b * math.log(odds) - n_b * rate * tolerance * (odds - 1.0) for odds in ODDS]
        return [_exp(power * value) for value in logs]

    @property
    def log_safe(self) -> float:
        """Log e-value of the certificate."""
        return self._log_safe

    def snapshot(self) -> Snapshot:
        """As of the last second."""
        counted = min(self._log_e, self._log_opinion)
        doubted = counted < self._log_e - 1e-9 and self._log_e > 0.0
        return Snapshot(
            name=self.rule.name,
            log_e=self._log_e,
            log_counted=counted,
            log_e_safe=self._log_safe if self.rule.promote_ratio else None,
            measured=self._strata > 0,
            pending="the baseline's usual rate explains part of the excess" if doubted else "",
            counts=(self._baseline[0], self._baseline[1], self._candidate[0], self._candidate[1]),
            tolerance=self.rule.tolerance,
            promote_ratio=self.rule.promote_ratio,
            inflation=self._spread.inflation,
        )


def _exp(value: float) -> float:
    """Exponential of a log bet, cut at LOG_MOST either way."""
    return math.exp(min(LOG_MOST, max(-LOG_MOST, value)))
