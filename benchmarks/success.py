"""Predicts whether simulated features reach their target, from their first days; their truth is known.

``python -m benchmarks success`` gives the main figures; ``python -m benchmarks.success`` prints a table: Brier score (0 is best) and
calibration error of the prediction, of the base rate, and of a straight line through the first days. Four worlds: the usual one, and three
in which something is not as the prior thinks.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtr

from benchmarks.figures import Figure
from productops.domain.analytics_predict import SIGNALS, known_row, start_calibrator
from productops.stats.analytics_predict import (
    HALF,
    PLATEAU,
    calibrated,
    fit_calibrator,
    fit_growth,
    future_means,
    learned_prior,
    wide_prior,
)  # fmt: skip
from productops.stats.risk_scores import brier, calibration_error, calibration_error_by_chance

WORLDS = ("usual", "fading", "slow", "noisy")
DUE, WINDOW = 42, 7


@dataclass
class Simulated:
    """A feature: users and people of every day, its target, its signals of the first days, and whether it got there."""

    users: np.ndarray
    people: np.ndarray
    target: float
    signals: dict[str, float]
    reached: bool


def simulate(world: str, random: np.random.Generator) -> Simulated:
    """``fading``: most is curiosity; ``slow``: growth takes months and has an S; ``noisy``: days differ by half, weekends by a third."""
    plateau = random.normal({"fading": -2.6, "slow": -1.2}.get(world, -1.8), 1.0)
    half = random.lognormal(np.log(20 if world == "slow" else 6), 0.6)
    shape = random.lognormal(0.9 if world == "slow" else 0.0, 0.3)
    curious = random.lognormal(np.log(2.0 if world == "fading" else 0.3), 0.9)
    fading = random.lognormal(np.log(5), 0.4)
    noise = 0.45 if world == "noisy" else random.lognormal(np.log(0.12), 0.4)
    harm = random.random() < 0.25
    days = np.arange(DUE)
    grown = (1 - 2.0 ** (-(days + 0.5) / half)) ** shape
    share = np.clip(expit(plateau) * grown * (1 + curious * 2.0 ** (-days / fading)), 1e-5, 0.98)
    lost = np.where(days > 10, random.uniform(0.3, 0.9) if harm else 0.0, 0.0)  # failures drive people away, later
    week = np.where(days % 7 >= 5, -0.4 if world == "noisy" else 0.0, 0.0)
    people = np.maximum(random.poisson(random.lognormal(np.log(800), 1.0), DUE), 20)
    users = random.binomial(people, expit(logit(share) - lost + week + noise * random.standard_normal(DUE)))
    target = float(np.clip(expit(random.normal(-1.9, 0.9)), 0.02, 0.7))
    back = expit(-0.8 - 0.7 * np.log1p(curious) + 0.4 * random.standard_normal())
    signals = {
        "retention": float(back), "failure_ratio": float(random.lognormal(np.log(3 if harm else 1), 0.4)),
        "latency_ratio": float(random.lognormal(0, 0.2)), "incidents": float(random.poisson(1.0 if harm else 0.15)),
        "overrun": float(random.lognormal(0.1, 0.3)),
    }  # fmt: skip
    mean = float((users[-WINDOW:] / people[-WINDOW:]).mean())
    return Simulated(users.astype(float), people.astype(float), target, signals, mean >= target)


def straight_line(one: Simulated, days: int) -> tuple[float, float]:
    """0 or 1 by extrapolation, and a chance with the normal error of the line."""
    share, at = one.users[:days] / one.people[:days], np.arange(days)
    design = np.column_stack([np.ones(days), at])
    beta, *_ = np.linalg.lstsq(design, share, rcond=None)
    ahead = np.array([1.0, DUE - WINDOW / 2])
    said = float(ahead @ beta)
    spread = float(((share - design @ beta) ** 2).sum() / max(days - 2, 1))
    error = np.sqrt(spread * (1 / WINDOW + ahead @ np.linalg.inv(design.T @ design) @ ahead)) + 1e-9
    return float(said >= one.target), float(ndtr((said - one.target) / error))


def growth_chance(one: Simulated, days: int, prior: Any, seed: int) -> tuple[float, np.ndarray]:
    draws = fit_growth(np.arange(days, dtype=float), one.users[:days], one.people[:days], prior=prior, seed=seed)
    means = future_means(draws, first=DUE - WINDOW, last=DUE - 1, people=float(np.median(one.people[:days])), seed=seed)
    return float(((means >= one.target).sum() + 0.5) / (len(means) + 1)), draws


def whole_course(one: Simulated, seed: int) -> np.ndarray:
    """Every third day is enough to learn what features are like."""
    days = np.arange(0, DUE, 3)
    return fit_growth(days.astype(float), one.users[days], one.people[days], prior=wide_prior(), seed=seed).mean(axis=0)


def run(world: str, *, features: int, past: int, days: int, seed: int) -> dict[str, Any]:
    """The first ``past`` features are the venture's own past, the others are predicted."""
    random = np.random.default_rng(seed)
    every = [simulate(world, random) for _ in range(past + features)]
    old, new = every[:past], every[past:]
    whole = [whole_course(one, seed) for one in old]
    prior = learned_prior(np.array(whole).reshape(-1, 7))
    rows = [known_row(growth_chance(one, days, prior, seed)[0], one.signals) for one in old]
    learned = fit_calibrator(np.array(rows).reshape(-1, len(SIGNALS) + 2), np.array([o.reached for o in old], float), start_calibrator())
    by_growth = np.array([growth_chance(one, days, prior, seed)[0] for one in new])
    said = np.array([calibrated(learned, known_row(p, one.signals)) for p, one in zip(by_growth, new, strict=True)])
    label = np.array([one.reached for one in new], dtype=np.int64)
    lines = np.array([straight_line(one, days) for one in new])
    base = np.full(len(new), (sum(o.reached for o in old) + 1) / (past + 2)) if past else np.full(len(new), label.mean())
    return {
        "world": world, "past": past, "days": days, "features": features, "reached": round(float(label.mean()), 3),
        "brier": round(brier(label, said), 4), "brier_growth_only": round(brier(label, by_growth), 4),
        "brier_base_rate": round(brier(label, base), 4), "brier_line": round(brier(label, lines[:, 0]), 4),
        "brier_line_normal": round(brier(label, lines[:, 1]), 4), "ece": round(calibration_error(label, said), 4),
        "ece_by_chance": round(calibration_error_by_chance(said), 4), "ece_line_normal": round(calibration_error(label, lines[:, 1]), 4),
        "plateau": round(float(expit(prior.mean[PLATEAU])), 3), "half_days": round(float(np.exp(prior.mean[HALF])), 1),
    }  # fmt: skip


def figures(*, quick: bool, seed: int = 7) -> list[Figure]:
    """Brier score and calibration with a venture's own past, beside the base rate and a straight line. The bar is the base rate."""
    found = []
    for world in WORLDS[:1] if quick else WORLDS:
        row = run(world, features=80 if quick else 300, past=40, days=10, seed=seed)
        beside = f"base rate {row['brier_base_rate']}, straight line {row['brier_line_normal']}"
        detail = f"{row['features']} features after 10 days, {row['reached']:.0%} reached their target"
        found.append(
            Figure(f"success, Brier score, {world}", row["brier"], "", bar=row["brier_base_rate"], reference=beside, detail=detail)
        )
        by_chance = f"{row['ece_by_chance']} by chance alone"
        found.append(Figure(f"success, calibration error, {world}", row["ece"], "", reference=by_chance, detail=detail))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = []
    for world, (past, days) in itertools.product(WORLDS, ((0, 10), (40, 10), (40, 20))):
        rows.append(run(world, features=given.features, past=past, days=days, seed=given.seed))
        print(f"{world} {past} {days} done", file=sys.stderr, flush=True)
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    names = ("world", "past", "days", "reached", "brier", "brier_base_rate", "brier_line", "brier_line_normal", "ece", "ece_by_chance")
    print("  ".join(f"{name:>17}" for name in names))
    for row in rows:
        print("  ".join(f"{row[name]!s:>17}" for name in names))


if __name__ == "__main__":
    main()
