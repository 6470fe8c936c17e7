"""Post-stratification: the effect within each stratum, weighted by how large the stratum is among everybody.

Chance puts more of one kind of people into one variant; weighting by strata takes that out. Within a stratum, values are adjusted by
their past through a regression. The weights are estimated too, which adds to the variance.
Source: Miratrix, Sekhon and Yu 2013, Adjusting treatment effect estimates by post-stratification; Xie and Aurisset 2016, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from productops.stats.experiment.adjusting import added
from productops.stats.experiment.effect import NO_BASELINE, NO_SPREAD, Effect, Pair, effect_of, freedom_of, total_pair
from productops.stats.experiment.samples import Adjusted, AdjustedRatio, Floats, Mean, Proportion, Ratio, covariance

UNITS_MIN = 7
"""A stratum of adjusted ratios with fewer people cannot be regressed."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Of ``n`` people: baseline and effect (of the top, then of the bottom of a ratio), and their covariance times ``n``."""

    n: int
    means: Floats
    spread: Floats


def stratified_effect(pairs: Sequence[Pair], *, relative: bool) -> Effect:
    """Weighted by strata where that works, of everybody where it does not. Raises: ValueError for samples that do not add up."""
    found = _weighted(_without_useless_past(pairs), relative=relative)
    return found if found.problem is None else effect_of(total_pair(pairs), relative=relative)


def _weighted(pairs: Sequence[Pair], *, relative: bool) -> Effect:
    one, two = added([one for one, _ in pairs]), added([two for _, two in pairs])
    if one.empty or two.empty:
        return Effect.none(NO_SPREAD, stratified=True)
    if one.mean == 0.0:
        return Effect.none(NO_BASELINE, stratified=True)
    cells = _viable(pairs)
    if len(cells) == 1:
        return effect_of(cells[0], relative=relative)
    strata = [_stratum(cell) for cell in cells]
    if any(each is None for each in strata):
        return Effect.none("a stratum cannot be regressed", stratified=True)
    return _summed([each for each in strata if each is not None], relative=relative, freedom=freedom_of(total_pair(pairs)))


def _summed(strata: list[Stratum], *, relative: bool, freedom: float) -> Effect:
    people = np.array([each.n for each in strata], dtype=np.float64)
    total = people.sum()
    weights = people / total
    means = np.stack([each.means for each in strata], axis=1)
    drawn = (np.diag(weights) - np.outer(weights, weights)) / total
    spread = means @ drawn @ means.T + sum(w * each.spread for w, each in zip(weights, strata, strict=True)) / total
    mean = means @ weights
    estimate, slopes = (_lift if len(mean) == 2 else _ratio_lift)(mean, relative=relative)
    variance = float(slopes @ spread @ slopes)
    if not variance > 0.0:
        return Effect.none(NO_SPREAD, stratified=True)
    if mean[0] == 0.0:
        return Effect.none(NO_BASELINE, stratified=True)
    return Effect(estimate, float(np.sqrt(variance)), int(total), freedom, None, stratified=True)


def _lift(mean: Floats, *, relative: bool) -> tuple[float, Floats]:
    base, gain = mean
    if not relative:
        return float(gain), np.array([0.0, 1.0])
    if base == 0.0:
        return 0.0, np.zeros(2)
    return float(gain / abs(base)), np.array([-gain / base**2, 1.0 / base])


def _ratio_lift(mean: Floats, *, relative: bool) -> tuple[float, Floats]:
    top, more_top, bottom, more_bottom = mean
    new_top, new_bottom = top + more_top, bottom + more_bottom
    if 0.0 in {bottom, new_bottom} or (relative and top == 0.0):
        return 0.0, np.zeros(4)
    base, new = top / bottom, new_top / new_bottom
    # d new / d mean and d base / d mean
    slope_new = np.array([1.0 / new_bottom, 1.0 / new_bottom, -new_top / new_bottom**2, -new_top / new_bottom**2])
    slope_base = np.array([1.0 / bottom, 0.0, -top / bottom**2, 0.0])
    if not relative:
        return float(new - base), slope_new - slope_base
    return float((new / base - 1.0) * np.sign(base)), slope_new / base - slope_base * new / base**2


def _viable(pairs: Sequence[Pair]) -> list[Pair]:
    """Largest first; what cannot stand alone is added to the largest."""
    ordered = sorted(pairs, key=lambda pair: -(pair[0].n + pair[1].n))
    cells = [ordered[0]]
    for pair in ordered[1:]:
        small = any(isinstance(each, AdjustedRatio) for each in pair) and pair[0].n + pair[1].n < UNITS_MIN
        if small or pair[0].empty or pair[1].empty:
            cells[0] = (added([cells[0][0], pair[0]]), added([cells[0][1], pair[1]]))
        else:
            cells.append(pair)
    return cells


def _without_useless_past(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """The plain samples where the past of all together does not vary."""
    one, two = added([one for one, _ in pairs]), added([two for _, two in pairs])
    if any(_flat_past(each) for each in (one, two)):
        return [(_plain(a), _plain(b)) for a, b in pairs]
    return pairs


def _flat_past(sample: object) -> bool:
    if isinstance(sample, Adjusted):
        return sample.pre.variance <= 0.0
    return isinstance(sample, AdjustedRatio) and min(sample.m_pre.variance, sample.d_pre.variance) <= 0.0


def _plain(sample: object) -> Mean | Proportion | Ratio:
    if isinstance(sample, Adjusted):
        return sample.post
    if isinstance(sample, AdjustedRatio):
        return sample.plain
    assert isinstance(sample, Mean | Proportion | Ratio)  # noqa: S101 - quantiles were refused when the strata were added
    return sample


def _stratum(pair: Pair) -> Stratum | None:
    """None where the regression has no answer."""
    one, two = pair
    if isinstance(one, Adjusted) and isinstance(two, Adjusted) and not (_flat_past(one) or _flat_past(two)):
        return _regressed(one, two)
    if isinstance(one, AdjustedRatio) and isinstance(two, AdjustedRatio) and not (_flat_past(one) or _flat_past(two)):
        return None if one.empty or two.empty else _regressed_ratio(one, two)
    plain_one, plain_two = _plain(one), _plain(two)
    return None if plain_one.empty or plain_two.empty else _compared(plain_one, plain_two)


def _compared(one: Mean | Proportion | Ratio, two: Mean | Proportion | Ratio) -> Stratum:
    """Baseline and difference of what was not adjusted."""
    n = one.n + two.n
    (mean_one, spread_one), (mean_two, spread_two) = _moments(one), _moments(two)
    size = len(mean_one)
    # (baseline, effect) of the top, then of the bottom, out of both variants' means
    contrast = np.zeros((2 * size, 2 * size))
    for part in range(size):
        contrast[2 * part, size + part] = 1.0
        contrast[2 * part + 1, part], contrast[2 * part + 1, size + part] = 1.0, -1.0
    spread = np.zeros((2 * size, 2 * size))
    spread[:size, :size], spread[size:, size:] = spread_two * n / two.n, spread_one * n / one.n
    return Stratum(n, contrast @ np.concatenate([mean_two, mean_one]), contrast @ spread @ contrast.T)


def _moments(sample: Mean | Proportion | Ratio) -> tuple[Floats, Floats]:
    if not isinstance(sample, Ratio):
        return np.array([sample.mean]), np.array([[sample.variance]])
    both = covariance(sample.n, sample.top, sample.bottom, sample.products)
    means = np.array([sample.top.mean, sample.bottom.mean])
    return means, np.array([[sample.top.variance, both], [both, sample.bottom.variance]])


def _regressed(one: Adjusted, two: Adjusted) -> Stratum | None:
    """Value on variant and past, by least squares."""
    past = one.pre.plus(two.pre)
    n = past.n
    design = np.array([[n, two.n, past.total], [two.n, two.n, two.pre.total], [past.total, two.pre.total, past.squares]], dtype=np.float64)
    sums = np.array([[one.post.total + two.post.total], [two.post.total], [one.products + two.products]])
    squares = np.array([[one.post.squares + two.post.squares]])
    return _least_squares(n, design, sums, squares, np.array([past.mean]), np.array([[past.variance]]), lost=3)


def _regressed_ratio(one: AdjustedRatio, two: AdjustedRatio) -> Stratum | None:
    """Top and bottom on variant and on both pasts, by least squares."""
    both = one.plus(two)
    m, d, n = both.m_pre, both.d_pre, both.n
    design = np.array(
        [
            [n, two.n, m.total, d.total],
            [two.n, two.n, two.m_pre.total, two.d_pre.total],
            [m.total, two.m_pre.total, m.squares, both.m_pre_d_pre],
            [d.total, two.d_pre.total, both.m_pre_d_pre, d.squares],
        ],
        dtype=np.float64,
    )
    sums = np.array(
        [
            [both.m_post.total, both.d_post.total],
            [two.m_post.total, two.d_post.total],
            [both.m_post_m_pre, both.m_pre_d_post],
            [both.m_post_d_pre, both.d_post_d_pre],
        ]
    )
    squares = np.array([[both.m_post.squares, both.m_post_d_post], [both.m_post_d_post, both.d_post.squares]])
    past = covariance(n, m, d, both.m_pre_d_pre)
    spread = np.array([[m.variance, past], [past, d.variance]])
    return _least_squares(n, design, sums, squares, np.array([m.mean, d.mean]), spread, lost=6)


def _least_squares(
    n: int, design: Floats, sums: Floats, squares: Floats, past: Floats, past_spread: Floats, *, lost: int
) -> Stratum | None:
    """(baseline at the mean past, effect) of each of K values, regressed on (1, variant, past of P values).

    ``design`` (2+P, 2+P), ``sums`` (2+P, K), ``squares`` (K, K) are sums of products. The mean past is itself drawn, which adds to the
    variance of the baselines. None where the design is singular.
    """
    try:
        np.linalg.cholesky(design)
    except np.linalg.LinAlgError:
        return None
    inverse = np.linalg.inv(design)
    found = inverse @ sums
    left = (squares - sums.T @ found) / (n - lost)
    width, kinds = len(design), squares.shape[0]
    spread_found = np.kron(left, inverse)
    read = np.zeros((2 * kinds, width * kinds))
    for kind in range(kinds):
        at = kind * width
        read[2 * kind, at], read[2 * kind, at + 2 : at + width] = 1.0, past
        read[2 * kind + 1, at + 1] = 1.0
    spread = read @ spread_found @ read.T
    for i in range(kinds):
        for j in range(kinds):
            block = spread_found[i * width + 2 : (i + 1) * width, j * width + 2 : (j + 1) * width]
            drawn = (block + np.outer(found[2:, i], found[2:, j])) * past_spread / n
            spread[2 * i, 2 * j] += float(drawn.sum())
    return Stratum(n, read @ found.T.ravel(), n * spread)
