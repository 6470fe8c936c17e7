"""Growth of a share from its first days: draws of curves that fit, and how likely a target is reached. Numbers in, numbers out.

A curve is a plateau that is approached, a first curiosity that fades, and a slow drift:
``logit y(t) = logit(plateau · (1 - 2^(-(t+½)/half))^shape · (1 + curiosity · 2^(-t/fading))) + drift · t/30`` plus noise of each day.
Seven numbers without bounds describe it: logit plateau, ln half (days), ln shape, ln curiosity, ln fading (days), drift, ln noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PLATEAU, HALF, SHAPE, CURIOSITY, FADING, DRIFT, NOISE = range(7)
DRAWS = 1000
MOVES = 4
_TINY = 1e-6


def expit(x: Floats | float) -> Floats:
    """1 / (1 + e^-x), without overflow; by numpy alone, since the store loads this module at every start and scipy takes half a second."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -np.asarray(x))))


def logit(share: Floats | float) -> Floats:
    """The log of the odds of a share between 0 and 1."""
    return np.asarray(np.log(share) - np.log1p(-np.asarray(share)))


@dataclass(frozen=True, slots=True)
class GrowthPrior:
    """What is thought of a feature before its first day: independent normal distributions of the seven numbers."""

    mean: Floats
    spread: Floats


def wide_prior() -> GrowthPrior:
    """Plateaus mostly between 2 and 60 %, half of it reached mostly within 2 to 25 days, curiosity mostly below once the plateau."""
    mean = np.array([logit(0.15), np.log(7.0), 0.1, np.log(0.3), np.log(5.0), 0.0, np.log(0.12)])
    return GrowthPrior(mean, np.array([1.2, 0.8, 0.3, 1.2, 0.5, 0.25, 0.5]))


def learned_prior(past: Floats, *, weight: float = 5.0) -> GrowthPrior:
    """The wide prior moved towards what past features of the same people were; ``past`` has shape (features, 7).

    The wide one counts as ``weight`` features, so that two or three features do not decide. Source: Gelman et al. 2013, section 3.3.
    """
    wide, count = wide_prior(), len(past)
    if not count:
        return wide
    mean = (weight * wide.mean + past.sum(axis=0)) / (weight + count)
    about = ((past - mean) ** 2).sum(axis=0) + weight * (wide.spread**2 + (wide.mean - mean) ** 2)
    return GrowthPrior(mean, np.sqrt(about / (weight + count)))


def curves(draws: Floats, days: Floats) -> Floats:
    """Logit of the share without noise; shape (draws, days). ``days`` count from 0, the first day."""
    plateau = expit(draws[:, PLATEAU, None])
    grown = -np.expm1(-np.log(2) * (days[None, :] + 0.5) * np.exp(-draws[:, HALF, None]))
    curious = np.exp(draws[:, CURIOSITY, None] - np.log(2) * days[None, :] * np.exp(-draws[:, FADING, None]))
    share = plateau * grown ** np.exp(draws[:, SHAPE, None]) * (1 + curious)
    made: Floats = logit(np.clip(share, _TINY, 1 - _TINY)) + draws[:, DRIFT, None] * days[None, :] / 30
    return made


def fit_growth(days: Floats, users: Floats, people: Floats, *, prior: GrowthPrior, seed: int = 0) -> Floats:
    """Draws of what the curve may be, after so many ``users`` among ``people`` on each day; shape (draws, 7).

    Without days it is the prior. The likelihood is that of logits with noise of the day and of counting; it is let in by degrees while the
    draws are moved (sequential Monte Carlo). Source: Del Moral, Doucet and Jasra 2006.
    """
    random = np.random.default_rng(seed)
    draws = prior.mean + prior.spread * random.standard_normal((DRAWS, 7))
    if not len(days):
        return draws
    seen = logit((users + 0.5) / (people + 1.0))
    rate = np.clip((users + 0.5) / (people + 1.0), _TINY, 1 - _TINY)
    counting = 1 / (np.maximum(people, 1.0) * rate * (1 - rate))
    likely = _likelihood(draws, days, seen, counting)
    reached = 0.0
    while reached < 1.0:
        step = _next_step(likely, 1.0 - reached)
        reached += step
        weight = np.exp(step * (likely - likely.max()))
        kept = random.choice(DRAWS, DRAWS, p=weight / weight.sum())
        draws, likely = draws[kept], likely[kept]
        for _ in range(MOVES):
            draws, likely = _moved(draws, likely, (days, seen, counting), prior, reached, random)
    return draws


def _likelihood(draws: Floats, days: Floats, seen: Floats, counting: Floats) -> Floats:
    variance = np.exp(2 * draws[:, NOISE, None]) + counting[None, :]
    gap = seen[None, :] - curves(draws, days)
    found: Floats = -0.5 * (gap**2 / variance + np.log(variance)).sum(axis=1)
    return found


def _next_step(likely: Floats, left: float) -> float:
    """So much of the likelihood that half of the draws still count."""
    low, high = 0.0, left
    for _ in range(30):
        weight = np.exp(high * (likely - likely.max()))
        if weight.sum() ** 2 / (weight**2).sum() >= len(likely) / 2:
            return high
        low, high = 0.0, high / 1.5
    return max(high, low)


def _moved(
    draws: Floats, likely: Floats, data: tuple[Floats, Floats, Floats], prior: GrowthPrior, reached: float, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """One step of each draw by Metropolis' rule; differences of two other draws are the steps. Source: ter Braak 2006."""
    count = len(draws)
    one, two = random.permutation(count), random.permutation(count)
    scale = np.where(random.random(count) < 0.1, 1.0, 2.38 / np.sqrt(14)) * random.uniform(0.5, 1.2, count)
    there = draws + scale[:, None] * (draws[one] - draws[two]) + 0.01 * prior.spread * random.standard_normal(draws.shape)
    found = _likelihood(there, *data)
    gain = reached * (found - likely) + _log_prior(there, prior) - _log_prior(draws, prior)
    taken = np.log(random.random(count)) < gain
    return np.where(taken[:, None], there, draws), np.where(taken, found, likely)


def _log_prior(draws: Floats, prior: GrowthPrior) -> Floats:
    found: Floats = -0.5 * (((draws - prior.mean) / prior.spread) ** 2).sum(axis=1)
    return found


def future_means(draws: Floats, *, first: int, last: int, people: float, seed: int = 0) -> Floats:
    """Mean share over the days ``first`` to ``last``, one for each draw, with noise of the days and of counting."""
    random = np.random.default_rng(seed)
    days = np.arange(first, last + 1, dtype=np.float64)
    noisy = curves(draws, days) + np.exp(draws[:, NOISE, None]) * random.standard_normal((len(draws), len(days)))
    share = expit(noisy)
    share += np.sqrt(share * (1 - share) / max(people, 1.0)) * random.standard_normal(share.shape)
    mean: Floats = np.clip(share, 0.0, 1.0).mean(axis=1)
    return mean


@dataclass(frozen=True, slots=True)
class Calibrator:
    """Weights of (1, logit of the chance by growth, signals …) with their covariance."""

    mean: Floats
    covariance: Floats


def prior_calibrator(weights: Floats, spread: Floats) -> Calibrator:
    """What is thought of the weights before anything was learned."""
    return Calibrator(np.asarray(weights, dtype=np.float64), np.diag(np.asarray(spread, dtype=np.float64) ** 2))


def fit_calibrator(rows: Floats, reached: Floats, prior: Calibrator) -> Calibrator:
    """Weights after past features: the most likely ones and the curvature there. ``rows`` (features, weights), ``reached`` 0 or 1.

    Source: logistic regression by Newton's method with a normal prior (Laplace), MacKay 1992.
    """
    if not len(rows):
        return prior
    precision = np.linalg.inv(prior.covariance)
    weights = prior.mean.copy()
    curvature = precision
    for _ in range(50):
        chance = expit(rows @ weights)
        curvature = precision + (rows * (chance * (1 - chance))[:, None]).T @ rows
        step = np.linalg.solve(curvature, rows.T @ (reached - chance) - precision @ (weights - prior.mean))
        weights = weights + np.clip(step, -1.0, 1.0)
        if float(np.abs(step).max()) < 1e-9:
            break
    return Calibrator(weights, np.linalg.inv(curvature))


def calibrated(calibrator: Calibrator, row: Floats) -> float:
    """The chance, drawn towards a half by what is not known of the weights. Source: MacKay 1992, moderated output."""
    along = float(row @ calibrator.mean)
    doubt = float(row @ calibrator.covariance @ row)
    return float(expit(along / np.sqrt(1 + np.pi * doubt / 8)))
