"""Simulated ventures whose truths are known: daily series of features and segments, with what real ones do to a detector."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from productops.stats.analytics_insight_panel import Panel

Floats = NDArray[np.float64]
KINDS = ("shift", "segment", "trend", "days", "failures", "latency")
USE, FAILURES, LATENCY = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Noise:
    """How bad the world is. ``memory``: of the daily noise; ``shocks``: of a day, shared by all; ``odd``: share of days out of line."""

    spread: float = 0.06
    memory: float = 0.45
    drift: float = 0.003
    yearly: float = 0.20
    weekly: float = 0.25
    shocks: float = 0.04
    segment_shocks: float = 0.03
    holidays_a_year: int = 9
    odd: float = 0.003
    missing: float = 0.005
    dispersion: float = 0.004
    smallest_effect: float = 0.25
    largest_effect: float = 0.6


WORLDS: dict[str, Noise] = {
    "usual": Noise(),
    "rough": Noise(spread=0.10, memory=0.6, drift=0.006, yearly=0.3, shocks=0.08, segment_shocks=0.06, odd=0.01, missing=0.02),
    "small effects": Noise(smallest_effect=0.15, largest_effect=0.3),
    "calm": Noise(spread=0.03, memory=0.2, drift=0.001, shocks=0.02, segment_shocks=0.01, odd=0.001),
}


@dataclass(frozen=True, slots=True)
class Planted:
    """One truth. ``row``: where it is; ``first``: the day it begins; ``days``: how long it stays, 0 for good."""

    kind: str
    row: int
    unit: int
    measure: int
    first: int
    days: int
    change: float


@dataclass(frozen=True, slots=True)
class Venture:
    """A panel with its truths; nights from ``begin`` on are judged."""

    panel: Panel
    truths: tuple[Planted, ...]
    begin: int


def simulate(
    seed: int, *, noise: Noise, features: int = 220, dimensions: tuple[int, ...] = (4, 10, 6), days: int = 270, judged: int = 91,
    effects: int = 50,
) -> Venture:  # fmt: skip
    """``features`` × (1 + segments) series of use, one of failures and one of latency each."""
    random = np.random.default_rng(seed)
    parts = sum(dimensions)
    truths = _truths(random, noise, features, parts, days, judged, effects)
    day = np.arange(days)
    weekday = (day + int(random.integers(7))) % 7
    shared, by_segment = _shocks(random, noise, days, parts)
    phase = random.uniform(0, 2 * np.pi)
    rows: list[Floats] = []
    parent, group, measure, unit = [], [], [], []
    shape = random.normal(0, noise.weekly, 7)
    for feature in range(features):
        own = {truth.kind: truth for truth in truths if truth.unit == feature}
        base = float(np.exp(random.uniform(np.log(30), np.log(8000))))
        course = (
            np.log(base) + shared + _week(random, noise, shape)[weekday] + _memory(random, noise.spread, noise.memory, days)
            + np.cumsum(random.normal(0, noise.drift, days))
            + noise.yearly * random.uniform(0.5, 1.3) * np.sin(2 * np.pi * day / 365.25 + phase + random.normal(0, 0.7))
        )  # fmt: skip
        course += random.choice([0, 0, 1e-3, -1e-3]) * (day - days / 2)
        for kind in ("shift", "trend", "days"):
            course += _effect(own.get(kind), days)
        whole = np.zeros(days)
        made = []
        for number, size in enumerate(dimensions):
            share = random.dirichlet(np.full(size, 1.5)) * 0.97 + 0.03 / size
            counts = []
            for segment in range(size):
                at = sum(dimensions[:number]) + segment
                log = course + np.log(share[segment]) + by_segment[at] + _memory(random, noise.spread / 2, noise.memory, days)
                truth = own.get("segment")
                if truth is not None and truth.row % (parts + 3) == 1 + at:
                    log = log + _effect(truth, days)
                counts.append(_counts(random, noise, log))
            if number == 0 or (own.get("segment") is not None and _dimension(own["segment"], dimensions, parts) == number):
                whole = np.sum(counts, axis=0)
            made += counts
        failing = (
            np.log(random.uniform(0.004, 0.04)) + _memory(random, 2 * noise.spread, noise.memory, days) + _effect(own.get("failures"), days)
        )
        failures = random.poisson(whole * np.minimum(np.exp(failing), 0.9)).astype(float)
        latency = random.uniform(50, 900) * np.exp(
            _memory(random, noise.spread / 2, noise.memory, days) + _effect(own.get("latency"), days) + random.normal(0, 0.02, days)
        )  # fmt: skip
        rate = failures * np.median(whole) / np.maximum(whole, 1)
        top = len(rows)
        rows += [whole, *made, rate, latency]
        parent += [-1, *([top] * parts), -1, -1]
        group += [-1, *range(parts), -1, -1]
        measure += [USE] * (1 + parts) + [FAILURES, LATENCY]
        unit += [feature] * (parts + 3)
    values = _spoilt(random, noise, np.array(rows))
    panel = Panel(
        values, np.array(parent), np.array(group), weekday, np.array(measure) != LATENCY, np.array(measure), np.array(unit),
        np.tile([-1, *np.repeat(np.arange(len(dimensions)), dimensions), -1, -1], features),
    )  # fmt: skip
    return Venture(panel, truths, days - judged)


def _dimension(truth: Planted, dimensions: tuple[int, ...], parts: int) -> int:
    at = truth.row % (parts + 3) - 1
    return int(np.searchsorted(np.cumsum(dimensions), at, side="right"))


def _truths(
    random: np.random.Generator, noise: Noise, features: int, parts: int, days: int, judged: int, effects: int
) -> tuple[Planted, ...]:
    found = []
    for number, unit in enumerate(random.permutation(features)[:effects]):
        kind = KINDS[number % len(KINDS)]
        size = random.uniform(noise.smallest_effect, noise.largest_effect)
        change = float(np.log1p(size) if random.random() < 0.4 else np.log1p(-size))
        lasts = 0
        offset, measure = 0, USE
        if kind == "segment":
            offset, change = 1 + int(random.integers(parts)), -abs(change) * 1.5
        elif kind == "days":
            lasts = int(random.integers(4, 9))
            change *= 1.3
        elif kind == "failures":
            offset, measure, change = parts + 1, FAILURES, abs(change) * 2
        elif kind == "latency":
            offset, measure, change = parts + 2, LATENCY, abs(change)
        first = int(random.integers(days - judged + 2, days - (28 if kind == "trend" else 12)))
        found.append(Planted(kind, int(unit) * (parts + 3) + offset, int(unit), measure, first, lasts, change))
    return tuple(found)


def _effect(truth: Planted | None, days: int) -> Floats:
    out = np.zeros(days)
    if truth is None:
        return out
    if truth.kind == "trend":
        ramp = np.clip((np.arange(days) - truth.first + 1) / 21, 0, 1)
        return np.asarray(ramp * truth.change)
    out[truth.first : truth.first + truth.days if truth.days else days] = truth.change
    return out


def _week(random: np.random.Generator, noise: Noise, shape: Floats) -> Floats:
    own = shape + random.normal(0, noise.weekly / 3, 7)
    return np.asarray(own - own.mean())


def _memory(random: np.random.Generator, spread: float, memory: float, days: int) -> Floats:
    out = np.empty(days)
    step = random.standard_normal(days) * spread * np.sqrt(1 - memory**2)
    out[0] = random.normal(0, spread)
    for day in range(1, days):
        out[day] = memory * out[day - 1] + step[day]
    return out


def _shocks(random: np.random.Generator, noise: Noise, days: int, parts: int) -> tuple[Floats, Floats]:
    shared = _memory(random, noise.shocks, 0.6, days)
    for start in random.choice(days, max(1, round(noise.holidays_a_year * days / 365)), replace=False):
        shared[start : start + int(random.integers(1, 4))] += random.choice([-0.5, -0.3, 0.3])
    by_segment = np.stack([_memory(random, noise.segment_shocks, 0.5, days) for _ in range(parts)])
    for _ in range(3):
        start = int(random.integers(days))
        by_segment[int(random.integers(parts)), start : start + int(random.integers(1, 5))] += random.choice([-0.4, 0.4])
    return shared, by_segment


def _counts(random: np.random.Generator, noise: Noise, log: Floats) -> Floats:
    shape = 1 / noise.dispersion
    return random.poisson(np.exp(log) * random.gamma(shape, 1 / shape, len(log))).astype(float)


def _spoilt(random: np.random.Generator, noise: Noise, rows: Floats) -> Floats:
    """Odd days (half of them hit a whole with its parts alike would be an effect; these hit one row), missing days, and lost days."""
    odd = random.random(rows.shape) < noise.odd
    rows = np.where(odd, rows * np.exp(random.choice([-1, 1], rows.shape) * random.uniform(0.4, 1.2, rows.shape)), rows)
    rows[random.random(rows.shape) < noise.missing] = np.nan
    rows[:, random.random(rows.shape[1]) < noise.missing] = np.nan
    return rows


def without_effects(noise: Noise) -> Noise:
    """The same world in which nothing happens."""
    return replace(noise)
