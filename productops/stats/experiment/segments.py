"""Does it work differently for some? Most differences between segments are noise: they are drawn together before anybody reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, ndtr, ndtri

from productops.stats.experiment.samples import Floats
from productops.stats.experiment.several import benjamini_hochberg


@dataclass(frozen=True, slots=True)
class SegmentEffect:
    """What was seen in a segment and what is to be believed of it: drawn towards the whole, with its interval.

    ``p``: that it differs from the rest by chance only, corrected for the number of segments.
    """

    seen: float
    believed: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """``p``: that all segments are alike. ``between``: variance of the true effects between segments; 0: nothing speaks for any."""

    p: float
    between: float
    whole: float
    segments: tuple[SegmentEffect, ...]


def heterogeneity(effects: Sequence[tuple[float, float]], *, alpha: float = 0.05) -> Heterogeneity | None:
    """Of (effect, standard error) by segment; None for fewer than two.

    Source: DerSimonian and Laird 1986 for the variance between; Efron and Morris 1975 for drawing together.
    """
    if len(effects) < 2:
        return None
    seen, errors = np.array([e for e, _ in effects]), np.array([s for _, s in effects])
    weight = 1.0 / errors**2
    whole = float(weight @ seen / weight.sum())
    spread = float(weight @ (seen - whole) ** 2)
    freedom = len(seen) - 1
    between = max(0.0, (spread - freedom) / float(weight.sum() - (weight @ weight) / weight.sum()))
    if between > 0.0:
        mixed = 1.0 / (errors**2 + between)
        whole = float(mixed @ seen / mixed.sum())
    kept = between / (between + errors**2)
    believed = whole + kept * (seen - whole)
    # What is not kept of a segment's own is the whole's, which is itself uncertain.
    shared = 1.0 / float((1.0 / (errors**2 + between)).sum())
    deviation = np.sqrt(kept * errors**2 + (1.0 - kept) ** 2 * shared)
    wide = float(ndtri(1.0 - alpha / 2.0)) * deviation
    own = benjamini_hochberg([_unlike(seen, errors, at) for at in range(len(seen))])
    rows = tuple(
        SegmentEffect(float(s), float(b), float(b - w), float(b + w), p) for s, b, w, p in zip(seen, believed, wide, own, strict=True)
    )
    return Heterogeneity(float(gammaincc(freedom / 2.0, spread / 2.0)), between, whole, rows)


def _unlike(seen: Floats, errors: Floats, at: int) -> float:
    """The p value of one segment against all others together."""
    rest = np.arange(len(seen)) != at
    weight = 1.0 / errors[rest] ** 2
    others, error = float(weight @ seen[rest] / weight.sum()), 1.0 / float(weight.sum())
    return float(2.0 * ndtr(-abs(seen[at] - others) / np.sqrt(errors[at] ** 2 + error)))
