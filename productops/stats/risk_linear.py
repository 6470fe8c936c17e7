"""Logistic regression on signed logarithms: one coefficient a feature, kept small by a ridge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RIDGE = 50.0
FAR = 4.0
"""A standardised value further out than this counts as this far: one huge change must not decide alone."""
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Linear:
    """Log-odds = ``intercept`` + ``weight`` (columns,) · standardised signed logarithms; ``mean``, ``spread`` (columns,) of these."""

    intercept: float
    weight: Floats
    mean: Floats
    spread: Floats

    def __post_init__(self) -> None:
        shapes = {each.shape for each in (self.weight, self.mean, self.spread)}
        if len(shapes) != 1 or self.weight.ndim != 1:
            raise ValueError("a linear model has one weight, mean and spread for each feature")
        if not all(np.isfinite(each).all() for each in (self.weight, self.mean, self.spread, self.intercept)) or (self.spread <= 0).any():
            raise ValueError("the numbers of a linear model are finite, spreads above 0")


def standard(model: Linear, features: Floats) -> Floats:
    """(n, columns) what the weights are applied to."""
    kept: Floats = np.clip((signed_log(features) - model.mean) / model.spread, -FAR, FAR)
    return kept


def signed_log(values: Floats) -> Floats:
    """sign(x) · ln(1 + |x|): sizes of changes span many powers of ten."""
    found: Floats = np.sign(values) * np.log1p(np.abs(values))
    return found


def answer(model: Linear, features: Floats) -> Floats:
    """(n,) log-odds."""
    found: Floats = model.intercept + standard(model, features) @ model.weight
    return found


def shares(model: Linear, row: Floats) -> Floats:
    """(columns,) what each feature of one row adds; the intercept is the rest."""
    found: Floats = standard(model, row[None])[0] * model.weight
    return found


def learn(features: Floats, label: Ints, *, weight: Floats, ridge: float = RIDGE) -> Linear:
    """Fit with a ridge on standardised weights, the intercept free. ``weight`` (n,) of each change. Raises: ValueError on no changes."""
    if not len(label):
        raise ValueError("nothing can be learned from no changes")
    logs = signed_log(features)
    mean, spread = logs.mean(axis=0), logs.std(axis=0)
    base = Linear(0.0, np.zeros(features.shape[1]), mean, np.where(spread > 1e-9, spread, 1.0))
    design = np.column_stack([np.ones(len(label)), standard(base, features)])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 1e-6
    found = logistic(design, label, weight=weight, penalty=penalty, start=np.zeros(design.shape[1]))
    return Linear(float(found[0]), found[1:], base.mean, base.spread)


def logistic(design: Floats, label: Ints, *, weight: Floats, penalty: Floats, start: Floats) -> Floats:
    """(columns,) coefficients that are likeliest when each is normal around ``start`` with precision ``penalty``.

    Newton's method with halved steps. Source: McCullagh and Nelder 1989, section 4.4; the penalty as in le Cessie and van Houwelingen 1992.
    """
    found = start.copy()

    def loss(at: Floats) -> float:
        score = design @ at
        return float(weight @ (np.logaddexp(0, score) - label * score) + 0.5 * penalty @ (at - start) ** 2)

    now = loss(found)
    for _ in range(_STEPS):
        said = expit(design @ found)
        slope = design.T @ (weight * (said - label)) + penalty * (found - start)
        curve = (design * (weight * said * (1 - said))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while (then := loss(found - size * step)) > now and size > 1e-6:
            size /= 2
        found = found - size * step
        if now - then < 1e-9 * max(1.0, abs(now)):
            break
        now = then
    return found
