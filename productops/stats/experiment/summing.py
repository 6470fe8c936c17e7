"""From people's values to samples: sums, caps, and the past beside the present."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from productops.stats.experiment.samples import Adjusted, AdjustedRatio, Floats, Mean, Part, Proportion, Ratio


def mean_of(values: ArrayLike) -> Mean:
    """Of one value by person."""
    v = _floats(values)
    return Mean(len(v), float(v.sum()), float(v @ v))


def proportion_of(done: ArrayLike) -> Proportion:
    """Of who did it."""
    v = np.asarray(done, dtype=bool)
    return Proportion(len(v), float(v.sum()))


def ratio_of(top: ArrayLike, bottom: ArrayLike) -> Ratio:
    """Of two values by person."""
    t, b = _floats(top), _floats(bottom)
    return Ratio(len(t), mean_of(t), mean_of(b), float(t @ b))


def adjusted_of(post: ArrayLike, pre: ArrayLike, *, binary: bool = False) -> Adjusted:
    """Of a value now and before, by person; ``binary``: both are done or not done."""
    now, before = _floats(post), _floats(pre)
    part = _done if binary else mean_of
    return Adjusted(len(now), part(now), part(before), float(now @ before))


def adjusted_ratio_of(m_post: ArrayLike, d_post: ArrayLike, m_pre: ArrayLike, d_pre: ArrayLike) -> AdjustedRatio:
    """Of two values now and before, by person."""
    a, b, c, d = (_floats(each) for each in (m_post, d_post, m_pre, d_pre))
    products = (float(a @ c), float(b @ d), float(c @ d), float(a @ b), float(a @ d), float(c @ b))
    return AdjustedRatio(len(a), mean_of(a), mean_of(b), mean_of(c), mean_of(d), *products)


def cap_of(values: ArrayLike, quantile: float) -> float | None:
    """Where to cap: the quantile of what is above 0, over all variants together; None when nothing is."""
    v = _floats(values)
    some = v[v > 0.0]
    return float(np.quantile(some, quantile)) if len(some) else None


def capped(values: ArrayLike, cap: float | None) -> Floats:
    """A few wild values do not decide: nothing counts more than ``cap``. Source: Kohavi, Tang and Xu 2020, chapter 22."""
    v = _floats(values)
    return v if cap is None else np.minimum(v, cap)


def _done(values: Floats) -> Part:
    return Proportion(len(values), float((values > 0.0).sum()))


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
