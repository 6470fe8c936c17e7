"""Hypotheses about latency: slower than the baseline's p50, p90 and p99."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from productops.domain.analysis import LatencyHistogram
from productops.domain.judge.policy import QUANTILES, AnalysisPolicy
from productops.domain.judge.shape import LatencyShape, LearnedLatency
from productops.domain.judge.snapshot import Snapshot
from productops.stats.capital import Capital, StartPrior
from productops.stats.dispersion import Dispersion
from productops.stats.paired_dispersion import PairedDispersion
from productops.stats.strata import TiltEngine

Floats = NDArray[np.float64]

SLOWED = ((1.04, 1.0), (1.08, 1.0), (1.2, 1.0), (1.7, 0.7), (3.0, 0.5))
"""(factor, share of requests) of slower candidates, in units of the tolerance: the body of the distribution."""
SLOWED_WEIGHTS = (0.16, 0.5, 0.18, 0.09, 0.07)
TAIL_ODDS = ((1.35, 2.0, 5.0), (1.7, 3.0, 9.0))
"""Odds ratios of "slower than p90" and "slower than p99", in units of the tolerance."""
TAIL_WEIGHTS = ((0.5, 0.35, 0.15), (0.45, 0.4, 0.15))
OLDEST = 2.0
"""Capital older than so many times the patience counts as that old, when it is asked how long a spell has lasted."""
CAP = 0.7
"""How far beyond the threshold a latency capital may grow, in nats: so that a spell that has ended is soon forgotten."""
RECENT_S = 8.0
"""Memory of "goes on": a capital that shrank lately does not roll back."""
BATCH_S = 30
EAGER_S = 5
"""Longest batches: while nothing depends on latency, and while only its certificates are waited for."""
HOT = 4.5
"""Within so many nats of a decision every second is taken at once."""
OVER = 4.0
"""A tail's capital that has lost so many nats from its peak says that the slow spell is over."""
OUTSIDE = 4.5
"""Nats of evidence a tail needs from outside its best stretch of ``latency_patience_s``: one spell alone never has them."""
SHORT_OF = (0.5, 1.4, 1.4)
"""Nats short of a decision at which a spell that has not lasted is held."""
HUSHED = 3.0
"""... and at which it is counted, so that several such spells together do not decide either."""
LEARN_MAX = 200_000
"""Latencies learned during a rollout after which the shape is left alone."""


class LatencyHypotheses:
    """The three latency hypotheses; they share the categories of one second.

    Seconds wait in a batch while no hypothesis is near a decision; each is still a stratum of its own. As a slow spell must last for
    ``latency_patience_s`` anyway, and batches are shorter, no verdict comes later.
    """

    def __init__(self, policy: AnalysisPolicy) -> None:
        self._policy = policy
        self._learned = LearnedLatency()
        self._fresh_at = 0
        self._lens: _Lens | None = None
        self._harm = Capital([SLOWED_WEIGHTS, *TAIL_WEIGHTS])
        self._safe = Capital([(1.0,)] * 3)
        self._start_harm = StartPrior(now_share=policy.start_now_share, later_mean_s=policy.start_later_mean_s)
        self._start_safe = StartPrior(now_share=policy.start_now_share, later_mean_s=policy.start_later_mean_s)
        weights = policy.weights()
        self._decides = np.array([policy.log_threshold - math.log(max(weights[f"slower_{q}"], 1e-12)) for q in QUANTILES])
        self._spread = [Dispersion() for _ in QUANTILES]
        self._split = [PairedDispersion() for _ in QUANTILES]
        self._log_e = np.full(3, -math.inf)
        self._log_safe = np.full(3, -math.inf)
        self._spells = [_Spell(policy.latency_patience_s) for _ in QUANTILES]
        self._certified = False
        self._batch: list[_Second] = []
        self._hot = False
        self._batch_s = max(1, min(BATCH_S, policy.latency_patience_s - 6))
        self._events = np.zeros((2, 3))
        self._totals = [0, 0]
        self._elapsed = 0.0
        self._shown: list[Snapshot] | None = None

    def learn(self, histogram: LatencyHistogram) -> None:
        """Take the baseline's second from before the rollout."""
        if not histogram.counts:
            return
        self._learned.add(histogram)
        if self._lens is not None:
            self._lens.watch(self._spread, self._lens.shape.sort(histogram))
        self._refresh()

    def begin(self) -> None:
        """The rollout starts: use everything learned, and leave it alone if it is enough."""
        if self._learned.total >= self._policy.learn_requests_min:
            self._build()
            self._fresh_at = LEARN_MAX

    def _refresh(self) -> None:
        """Build the categories when enough was learned, and again whenever that has doubled."""
        if self._fresh_at < LEARN_MAX and self._learned.total >= max(self._policy.learn_requests_min, 2 * self._fresh_at):
            self._flush()
            self._build()

    def _build(self) -> None:
        self._fresh_at = self._learned.total
        shape = self._learned.shape()
        if shape.cuts:
            self._lens = _Lens(shape, self._policy)
            self._events[:] = 0.0
            self._totals = [0, 0]

    def observe(
        self, baseline: LatencyHistogram, candidate: LatencyHistogram, *, elapsed_s: float, age_s: float, eager: bool = False
    ) -> None:
        """Take one second; ``age_s`` counts from the candidate's first request, ``eager`` asks for fresh certificates."""
        self._elapsed = elapsed_s
        if self._lens is not None:
            slow_a = self._lens.shape.sort(baseline)
            slow_b = self._lens.shape.sort(candidate)
            n_a, n_b = sum(slow_a), sum(slow_b)
            if n_a and n_b:
                self._batch.append(_Second(slow_a, slow_b, n_a, n_b, elapsed_s, age_s, self._inflations()))
                waits = len(self._batch)
                if self._hot or waits >= self._batch_s or (waits >= EAGER_S and ((eager and not self._certified) or self._noisy())):
                    self._flush()
            if n_a:
                self._lens.watch(self._spread, slow_a)
        if self._fresh_at < LEARN_MAX and baseline.counts:
            self._learned.add(baseline)
            self._refresh()

    def _flush(self) -> None:
        """Take the seconds that wait."""
        batch, lens = self._batch, self._lens
        if not batch or lens is None:
            return
        self._batch, self._shown = [], None
        slow_a = np.array([s.slow_a for s in batch], dtype=float)
        slow_b = np.array([s.slow_b for s in batch], dtype=float)
        n_a, n_b = np.array([s.n_a for s in batch], dtype=float), np.array([s.n_b for s in batch], dtype=float)
        ratios = slow_b @ lens.log_rows.T - lens.engine.log_means(slow_a + slow_b, n_b)
        events_a, events_b = slow_a @ lens.is_event, slow_b @ lens.is_event
        self._events += (events_a.sum(axis=0), events_b.sum(axis=0))
        self._totals = [self._totals[0] + int(n_a.sum()), self._totals[1] + int(n_b.sum())]
        power = self._power(events_a + events_b, n_a[:, None], n_b[:, None], np.array([s.inflations for s in batch]))
        for i, split in enumerate(self._split):
            if self._spread[i].inflation > 1.0 or split.inflation is not None:
                # After the power was taken: no second judges itself. A calm baseline needs no second look.
                for second, a, b in zip(batch, events_a[:, i].tolist(), events_b[:, i].tolist(), strict=True):
                    split.add(a, second.n_a, b, second.n_b)
        warm = sum(s.age_s < self._policy.warm_up_s for s in batch)
        harm_from = 0 if self._policy.latency_patience_s >= self._policy.warm_up_s else warm
        if harm_from < len(batch):
            self._bet_harm(batch[harm_from:], (ratios[:, HARM] - ratios[:, NULL_OF])[harm_from:] * power[harm_from:, GROUP_OF])
        if warm < len(batch):
            rest = batch[warm:]
            shares = np.array([self._start_safe.share(s.elapsed_s) for s in rest])
            at = np.array([s.elapsed_s for s in rest])
            self._log_safe = self._safe.bet(-ratios[warm:, SAFE] * power[warm:], shares=shares, at=at)
            self._certified = float(self._log_safe.min()) >= self._policy.log_threshold + 1.0

    def _bet_harm(self, batch: list[_Second], outcome: Floats) -> None:
        shares = np.array([self._start_harm.share(s.elapsed_s) for s in batch])
        now = batch[-1].elapsed_s
        oldest = now - OLDEST * self._policy.latency_patience_s
        after = self._harm.bet(outcome, shares=shares, at=np.array([s.elapsed_s for s in batch]), oldest=oldest)
        for spell, best in zip(self._spells, self._harm.leaders(), strict=True):
            for gain in outcome[:, best].tolist():
                spell.add(gain)
        patient = self._lasting(now)
        # A spell that may yet end is worth less than a decision: what comes after it must add the rest.
        limits = self._decides + np.where(patient, CAP, -np.array(SHORT_OF))
        self._harm.cap(limits)
        self._log_e = np.minimum(after, limits)
        self._hot = bool((self._log_e > self._decides - HOT).any())

    def _lasting(self, now: float) -> NDArray[np.bool_]:
        """Which slownesses, (3,), are more than one passing spell.

        The median's capital shrinks at once when a spell ends, so its mean onset tells. Tails are rare and their capital shrinks
        slowly: they need evidence from outside their best stretch.
        """
        patience_s = self._policy.latency_patience_s
        lasting = now + 1.0 - self._harm.onsets() >= patience_s
        if patience_s > 0:
            lasting[1:] = [spell.outside > OUTSIDE for spell in self._spells[1:]]
        return np.asarray(lasting, dtype=np.bool_)

    def _power(self, events: Floats, n_a: Floats, n_b: Floats, inflation: Floats) -> Floats:
        """As for counted events; (T, 3)."""
        total = n_a + n_b
        variance = events * (total - events) * n_a * n_b / total**3
        result: Floats = 1.0 / (inflation * (1.0 + self._policy.arm_noise_latency**2 * variance))
        return result

    def _inflation(self, index: int) -> float:
        """The baseline's own jumps at first; once both arms were seen together, what of them does not hit both alike."""
        alone, paired = self._spread[index].inflation, self._split[index].inflation
        return alone if paired is None else min(alone, paired)

    def _inflations(self) -> tuple[float, float, float]:
        """As of the seconds before: a second that waits in a batch must not be weighed by what came with it or later."""
        if not self._policy.dispersion:
            return (1.0, 1.0, 1.0)
        return (self._inflation(0), self._inflation(1), self._inflation(2))

    def _noisy(self) -> bool:
        """Whether the baseline jumps and nothing is known yet of what hits both arms alike: then that is learned first."""
        return any(one.inflation > 1.0 and two.inflation is None for one, two in zip(self._spread, self._split, strict=True))

    def snapshots(self) -> list[Snapshot]:
        """As of the last batch, one per quantile."""
        if self._shown is None or self._hot:
            thresholds = self._lens.shape.thresholds_ms if self._lens else (None, None, None)
            lasting = self._lasting(self._elapsed)
            self._shown = [self._snapshot(i, thresholds[i], lasting=bool(lasting[i])) for i in range(3)]
        return self._shown

    def _snapshot(self, index: int, threshold_ms: float | None, *, lasting: bool) -> Snapshot:
        policy = self._policy
        log_e = float(self._log_e[index])
        patient = lasting and (policy.latency_patience_s == 0 or self._spells[index].recent > 0.0)
        counted = log_e if patient else min(log_e, float(self._decides[index]) - HUSHED)
        waiting = not patient and log_e >= 0.5 * float(self._decides[index])
        return Snapshot(
            name=f"slower_{QUANTILES[index]}",
            log_e=log_e,
            log_counted=counted,
            log_e_safe=float(self._log_safe[index]),
            measured=threshold_ms is not None and self._totals[1] > 0,
            pending=f"a slow spell counts once it has lasted {policy.latency_patience_s} s and goes on" if waiting else "",
            counts=(int(self._events[0, index]), self._totals[0], int(self._events[1, index]), self._totals[1]),
            tolerance=getattr(policy, f"latency_tolerance_{QUANTILES[index]}"),
            promote_ratio=policy.promote_slow_ratio,
            inflation=self._inflation(index),
            threshold_ms=threshold_ms,
        )


class _Spell:
    """Follows the growth of a capital's leading alternative: how much of it came outside its best stretch, and whether it goes on."""

    __slots__ = ("_best", "_level", "_low", "_lows", "_peak", "_second", "_stretch_s", "recent")

    def __init__(self, stretch_s: int) -> None:
        self._level = self._low = self._peak = self._best = self.recent = 0.0
        self._second, self._stretch_s = 0, stretch_s
        # Lowest levels of the last stretch: (second, level), both rising, so that the first is the lowest.
        self._lows: deque[tuple[int, float]] = deque([(0, 0.0)])

    def add(self, gain: float) -> None:
        """Take the log growth of one second."""
        self.recent += (min(20.0, max(-20.0, gain)) - self.recent) / RECENT_S
        level = self._level = self._level + gain
        self._second += 1
        lows = self._lows
        self._peak = max(self._peak, level)
        if level < self._low or self._peak - level > OVER:
            # Nothing is under way, or what was is over; what comes next is another spell.
            self._peak = self._low = level
            self._best = 0.0
            lows.clear()
        while lows and lows[-1][1] >= level:
            lows.pop()
        lows.append((self._second, level))
        if lows[0][0] < self._second - self._stretch_s:
            lows.popleft()
        self._best = max(self._best, level - lows[0][1])

    @property
    def outside(self) -> float:
        """Nats gained since the spell began, less those of its best stretch."""
        return self._level - self._low - self._best


class _Lens:
    """The categories latencies are sorted into, and the bets on them."""

    def __init__(self, shape: LatencyShape, policy: AnalysisPolicy) -> None:
        rows = _rows(shape, policy)
        self.shape = shape
        self.log_rows = np.log(rows)
        self.engine = TiltEngine(rows, shape.probabilities)
        index = np.arange(len(shape.probabilities))[:, None]
        self.is_event = (index >= np.array(shape.events)[None, :]).astype(float)

    def watch(self, spread: list[Dispersion], categories: list[int]) -> None:
        """Follow how the baseline's events jump from second to second."""
        total = sum(categories)
        for one, first in zip(spread, self.shape.events, strict=True):
            one.add(sum(categories[first:]), total)


class _Second(NamedTuple):
    """One second that waits: counts per category and in all of both arms, its time, the candidate's age, inflations before it."""

    slow_a: list[int]
    slow_b: list[int]
    n_a: int
    n_b: int
    elapsed_s: float
    age_s: float
    inflations: tuple[float, float, float]


HARM = np.array([0, 1, 2, 3, 4, 7, 8, 9, 12, 13, 14])
NULL_OF = np.array([5, 5, 5, 5, 5, 10, 10, 10, 15, 15, 15])
GROUP_OF = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
SAFE = np.array([6, 11, 16])


def _rows(shape: LatencyShape, policy: AnalysisPolicy) -> Floats:
    """Category weights (17, J): five slower bodies, their null, the promotion bound of p50; per tail three odds, null and bound."""
    body = policy.latency_tolerance_p50
    rows = [shape.slowed(body * factor, share=share) for factor, share in SLOWED]
    rows.append(shape.slowed(body))
    rows.append(_tail(shape, 0, policy.promote_slow_ratio))
    for event, tolerance in ((1, policy.latency_tolerance_p90), (2, policy.latency_tolerance_p99)):
        null = shape.odds_after(event, tolerance)
        rows.extend(_tail(shape, event, odds * null) for odds in TAIL_ODDS[event - 1])
        rows.append(_tail(shape, event, null))
        rows.append(_tail(shape, event, max(policy.promote_slow_ratio, null * 1.05)))
    return np.array(rows)


def _tail(shape: LatencyShape, event: int, odds: float) -> Floats:
    """Weight ``odds`` on every category slower than the event's threshold."""
    weights = np.ones(len(shape.probabilities))
    weights[shape.events[event] :] = odds
    return weights
