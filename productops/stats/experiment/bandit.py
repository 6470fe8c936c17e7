"""How a bandit shares its traffic: by the chance of each variant to be the best (Thompson sampling), drawn from normal posteriors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from productops.stats.experiment.adjusting import AnySample
from productops.stats.experiment.believing import Prior
from productops.stats.experiment.samples import Adjusted, Floats

DRAWS = 10_000
PEOPLE_MIN = 100
"""With fewer people in any variant the shares stay as they are."""


@dataclass(frozen=True, slots=True)
class BanditResult:
    """By variant: value, interval, chance to be the best, and the share of people it should get (None: too early)."""

    values: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    chances: tuple[float, ...]
    shares: tuple[float, ...] | None


def bandit(
    samples: Sequence[AnySample], *, prior: Prior, alpha: float = 0.05, seed: int = 1, share_min: float = 0.01, top_two: bool = True,
    lower_is_better: bool = False,
) -> BanditResult:  # fmt: skip
    """Shares of the variants. Every variant keeps at least ``share_min``; ``top_two`` also rewards being second, so that it learns.

    Source: Russo 2020, Simple Bayesian algorithms for best-arm identification.
    """
    people = np.array([each.n for each in samples])
    values = _values(samples)
    known = np.array([each.n / each.variance if each.variance > 0.0 else 0.0 for each in samples])
    before = 1.0 / prior.variance if prior.proper else 0.0
    if float((known + before).min()) <= 0.0:
        return BanditResult(tuple(values.tolist()), ((0.0, 0.0),) * len(values), (1.0 / len(values),) * len(values), None)
    variance = 1.0 / (known + before)
    mean = variance * (known * values + before * prior.mean)
    drawn = np.random.default_rng(seed).multivariate_normal(mean, np.diag(variance), size=DRAWS)
    best = (drawn == (drawn.min(axis=1) if lower_is_better else drawn.max(axis=1))[:, None]).mean(axis=0)
    wanted = _top_two(-drawn if lower_is_better else drawn) if top_two else best
    wide = float(ndtri(1.0 - alpha / 2.0)) * np.sqrt(variance)
    ends = tuple((float(v - w), float(v + w)) for v, w in zip(values, wide, strict=True))
    shares = tuple(_floored(wanted, share_min).tolist()) if int(people.min()) >= PEOPLE_MIN else None
    return BanditResult(tuple(values.tolist()), ends, tuple(best.tolist()), shares)


def _values(samples: Sequence[AnySample]) -> Floats:
    """Adjusted means get the pooled past back, so that they read like what people did."""
    means = np.array([each.mean for each in samples], dtype=np.float64)
    adjusted = [each for each in samples if isinstance(each, Adjusted)]
    people = sum(each.n for each in adjusted)
    if not adjusted or not people:
        return means
    return means + (adjusted[0].theta or 0.0) * sum(each.n * each.pre.mean for each in adjusted) / people


def _top_two(drawn: Floats) -> Floats:
    """Share of draws in which each was the best or the second, of all such places, (V,)."""
    order = np.argsort(drawn, axis=1)
    counts = np.bincount(order[:, -2:].ravel(), minlength=drawn.shape[1])
    found: Floats = counts / counts.sum()
    return found


def _floored(wanted: Floats, least: float) -> Floats:
    """Everybody keeps ``least``; what is left goes by ``wanted``, so that the order and the distances stay."""
    least = max(0.0, least)
    if least * len(wanted) >= 1.0:
        return np.full(len(wanted), 1.0 / len(wanted))
    found: Floats = least + (1.0 - least * len(wanted)) * wanted / wanted.sum()
    return found
