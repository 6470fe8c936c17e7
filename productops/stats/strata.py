"""Two arms with ordered categories in one stratum: the normalising constant of the conditional likelihood.

Given the pooled counts m_j of the categories and the size n of the candidate arm, the candidate's counts are multivariate
hypergeometric when both arms are alike, and proportional to prod_j v_j^K_j of it when the candidate's category
probabilities are v_j times the baseline's. The constant is ``[z^n] prod_j (1 + v_j z)^m_j / C(N, n)``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]

EXACT_TOTAL = 4096
"""Strata up to this many requests are integrated exactly; larger ones by the saddle point (error below 1e-7)."""
CACHE_TABLES = 64
"""How many tables an engine keeps; each holds about 0.1 MB."""
FAR = 3.2
"""A table is trusted when the candidate's size is within this many widths of its mean there ..."""
WIDER, NARROWER = 1.65, 1.2
"""... the integrand is at most by these factors wider or narrower than that of the largest stratum ..."""
TAIL = 1e-9
"""... and has fallen to this at the last angle the table knows."""
SHARP = 0.006
"""... and what is left of it after cancelling is at least this share: then single precision is right to 2e-5."""
STEP = 0.75
"""Spacing of the angles in widths of the integrand: what aliases onto n is 8 widths away, or more than 6 from where a table is trusted."""
REACH = 7.0
"""How many widths the angles reach."""
FEWEST = 24
"""Points on the circle at least (or one more than there are requests)."""


def _saddle(weights: Floats, counts: Floats, chosen: float) -> Floats:
    """Log of the radius r with ``sum_j m_j v_j r / (1 + v_j r) = n``, per row of ``weights`` (G, J); safeguarded Newton."""
    total = float(counts.sum())
    log_v = np.log(weights)
    x = math.log(chosen / (total - chosen)) - (log_v @ counts) / total
    for _ in range(60):
        p = 1.0 / (1.0 + np.exp(-np.clip(x[:, None] + log_v, -700, 700)))
        excess = p @ counts - chosen
        slope = (p * (1.0 - p)) @ counts
        step = np.clip(excess / np.maximum(slope, 1e-300), -2.0, 2.0)
        x = x - step
        if float(np.abs(step).max()) < 1e-7:
            break
    return x


def _log_coefficient_saddle(weights: Floats, counts: Floats, chosen: int) -> Floats:
    """Log of [z^n] by the saddle point with its first correction.

    Source: Daniels 1954, Annals of Mathematical Statistics 25, formula 2.6; lattice case Butler 2007, section 1.1.5.
    """
    x = _saddle(weights, counts, chosen)
    shifted = x[:, None] + np.log(weights)
    p = 1.0 / (1.0 + np.exp(-np.clip(shifted, -700, 700)))
    q = 1.0 - p
    k2 = (p * q) @ counts
    k3 = (p * q * (q - p)) @ counts
    k4 = (p * q * (1.0 - 6.0 * p * q)) @ counts
    correction = k4 / (8.0 * k2**2) - 5.0 * k3**2 / (24.0 * k2**3)
    result: Floats = np.logaddexp(0.0, shifted) @ counts - chosen * x - 0.5 * np.log(2.0 * np.pi * k2) + np.log1p(correction)
    return result


def _circle(spread: Floats, *, largest: int, narrower: float = 1.0, wider: float = 1.0) -> tuple[Floats, Floats]:
    """Angles (G, P) and weights (G, P) of the trapezoid rule for integrands of Gaussian width ``1 / spread`` (G,).

    The upper half of the circle is enough (the sum is real). Beyond REACH widths the integrand is below 1e-10; ``narrower`` and
    ``wider`` are the factors by which the true width may differ. With ``largest + 1`` points, and for few, the rule is exact.
    """
    points = np.minimum(largest + 1, np.maximum(np.ceil(2.0 * math.pi * narrower * spread / STEP), FEWEST)).astype(int)
    needed = np.ceil(REACH * wider / np.maximum(spread, 1e-9) * points / (2.0 * math.pi))
    last = np.minimum(points // 2, needed.astype(int))
    step = np.arange(int(last.max()) + 1)[None, :]
    count = points[:, None]
    share = np.where(step <= count // 2, 2.0 / count, 0.0)
    share[:, 0] = 1.0 / points
    share[(count % 2 == 0) & (step == count // 2)] /= 2.0
    return 2.0 * math.pi * step / count, share


def _log_coefficient_exact(weights: Floats, counts: Floats, chosen: int) -> Floats:
    """Log of [z^n] by the trapezoid rule on the circle through the saddle.

    Source: Trefethen & Weideman 2014, SIAM Review 56, theorem 2.1 (geometric convergence on periodic integrands).
    """
    x = _saddle(weights, counts, chosen)
    shifted = x[:, None] + np.log(weights)
    p = 1.0 / (1.0 + np.exp(-np.clip(shifted, -700, 700)))
    spread = np.sqrt((p * (1.0 - p)) @ counts)
    angle, share = _circle(spread, largest=int(counts.sum()))
    base = np.logaddexp(0.0, shifted) @ counts
    # log(1 - p + p e^ia) is log(1 + z) on the circle, relative to its value at angle 0.
    logs = np.log1p(p[:, None, :] * np.expm1(1j * angle)[:, :, None])
    terms = logs @ counts - 1j * chosen * angle
    value = (np.exp(terms.real) * np.cos(terms.imag) * share).sum(axis=1)
    result: Floats = np.log(np.maximum(value, 1e-300)) + base - chosen * x
    return result


def log_mean_tilt(weights: Floats, counts: Floats, chosen: int) -> Floats:
    """Log of E[prod_j v_j^K_j] for K multivariate hypergeometric: ``chosen`` of ``counts`` (J,), ``weights`` (G, J) > 0.

    Raises: ValueError when more is chosen than there is, or a weight is not positive.
    """
    total = int(counts.sum())
    if not 0 <= chosen <= total or bool((weights <= 0).any()):
        raise ValueError("chosen must lie between 0 and the total, and weights must be positive")
    if chosen == 0:
        return np.zeros(len(weights))
    if chosen == total:
        result: Floats = np.log(weights) @ counts
        return result
    ones = np.ones((1, weights.shape[1]))
    if total > EXACT_TOTAL:
        return _log_coefficient_saddle(weights, counts, chosen) - _log_coefficient_saddle(ones, counts, chosen)
    choose = math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
    return _log_coefficient_exact(weights, counts, chosen) - choose


class _Table:
    """The integrand's logarithm per category on a fixed circle: strata then cost two matrix products."""

    __slots__ = ("_angle", "_log_radius", "_moments", "_real_imag", "_rows", "_shape", "_share", "_spread", "_tail", "_whole")

    def __init__(self, weights: Floats, expected: Floats, *, chosen: float) -> None:
        """``expected`` (J,) are the pooled counts of the largest stratum to serve, ``chosen`` its candidate's size."""
        total = float(expected.sum())
        x = _saddle(weights, expected, min(max(chosen, 0.3), total - 0.3))
        shifted = x[:, None] + np.log(weights)
        p = 1.0 / (1.0 + np.exp(-shifted))
        spread = np.sqrt((p * (1.0 - p)) @ expected)
        self._spread = np.maximum(spread, 0.7)
        largest = math.floor(total + 1e-9)
        angle, share = _circle(self._spread, largest=largest, narrower=NARROWER, wider=WIDER)
        self._whole = largest < FEWEST
        logs = np.log1p(p[:, None, :] * np.expm1(1j * angle)[:, :, None])
        size = angle.size
        self._rows = len(weights)
        self._shape = (2, *angle.shape)
        self._real_imag = np.concatenate((logs.real.reshape(size, -1), logs.imag.reshape(size, -1)))
        self._angle, self._share = angle, share.astype(np.float32)
        self._moments = np.concatenate((np.logaddexp(0.0, shifted), p, p * (1.0 - p)))
        self._log_radius = x
        # Rows that do not close the half circle must have died out at their last angle.
        self._tail = not self._whole and bool((angle[:, -1] < math.pi * 0.99).any())

    def log_coefficients(self, counts: Floats, chosen: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Log of [z^n] per stratum and row (T, G), and which strata (T,) are near enough to the expected one to be trusted."""
        strata = len(counts)
        base, mean, variance = (self._moments @ counts.T).reshape(3, self._rows, strata)
        # Terms n +- points alias onto n; far from the mean they would be felt.
        near: NDArray[np.bool_] = np.asarray(np.abs(mean - chosen) <= FAR * self._spread[:, None])
        np.logical_and(near, variance <= (NARROWER * self._spread[:, None]) ** 2, out=near)
        if self._whole:
            near[:] = True
        real, imag = (self._real_imag @ counts.T).reshape(*self._shape, strata)
        # Single precision is right to 1e-6 here, and three times as fast; the large terms have cancelled before.
        size = np.exp(real.astype(np.float32)) * self._share[:, :, None]
        if self._tail:
            np.logical_and(near, size[:, -1] <= TAIL, out=near)
        turn: NDArray[np.float32] = np.cos((imag - chosen * self._angle[:, :, None]).astype(np.float32))
        value = np.einsum("gpt,gpt->gt", size, turn).astype(float)
        # Where much cancels, single precision is not enough.
        np.logical_and(near, value > SHARP * size.sum(axis=1), out=near)
        with np.errstate(invalid="ignore", divide="ignore"):
            result = np.log(value) + base - chosen * self._log_radius[:, None]
        return result.T, np.asarray(near.all(axis=0), dtype=np.bool_)


def _log_choose(totals: Floats, chosen: Floats) -> Floats:
    """Natural log of binomial coefficients."""
    result: Floats = gammaln(totals + 1.0) - gammaln(chosen + 1.0) - gammaln(totals - chosen + 1.0)
    return result


class TiltEngine:
    """``log_mean_tilt`` for many strata with the same weights: tables by size and split, exact fall-back."""

    def __init__(self, weights: Floats, probabilities: Floats) -> None:
        """``weights`` (G, J) > 0; ``probabilities`` (J,) are the usual shares of the categories."""
        self._weights = weights
        self._probabilities = probabilities / probabilities.sum()
        self._tables: dict[tuple[int, int, int], _Table] = {}

    def log_means(self, counts: Floats, chosen: Floats) -> Floats:
        """As ``log_mean_tilt`` for strata (T, J) with candidates of sizes (T,), 0 < chosen < total; shape (T, G)."""
        totals = counts.sum(axis=1)
        largest, pooled = float(totals.max()), float(totals.sum())
        taken = float(chosen.sum())
        # The larger the strata, the finer the grid of splits must be for the circle to stay near the saddle.
        width = math.sqrt(largest * taken * (pooled - taken)) / pooled
        grid = min(-2, math.floor(math.log2(2.0 / max(width, 1e-9))))
        key = (math.ceil(2.0 * math.log2(largest)), grid, round(math.log(taken / (pooled - taken)) / 2.0**grid))
        table = self._tables.get(key)
        if table is None:
            table = self._build(key, self._probabilities)
        result, near = table.log_coefficients(counts, chosen)
        result -= _log_choose(totals, chosen)[:, None]
        far = np.flatnonzero(~near)
        for t in far:
            result[t] = log_mean_tilt(self._weights, counts[t], int(chosen[t]))
        if len(far) > 1:
            # An incident changes the usual shares: learn them, so that the next such seconds are cheap again.
            self._build(key, (counts[far].sum(axis=0) / totals[far].sum() + 0.05 * self._probabilities) / 1.05)
        return result

    def _build(self, key: tuple[int, int, int], probabilities: Floats) -> _Table:
        if len(self._tables) >= CACHE_TABLES:
            self._tables.pop(next(iter(self._tables)))
        total = 2.0 ** (key[0] / 2.0)
        share = 1.0 / (1.0 + math.exp(-(2.0 ** key[1]) * key[2]))
        table = _Table(self._weights, probabilities * total, chosen=total * share)
        self._tables[key] = table
        return table
