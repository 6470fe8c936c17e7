"""Experiments: gbstats' recorded results, false findings in experiments without any effect, what a true effect takes, intervals, speed.

``PRODUCTOPS_BENCH_DATA`` names a folder with ``gbstats_vectors.json``, results recorded from GrowthBook's gbstats; they are not part of
this project, and without them that part is left out. ``--seed`` makes other simulated experiments.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, show, write
from productops.domain.analytics_experiment import Experiment, ExperimentState
from productops.domain.analytics_experiment_analyse import analyse
from productops.domain.analytics_experiment_people import Events
from productops.domain.catalog_experiment import Dimension, ExperimentSpec
from productops.stats.experiment.believing import Prior, belief
from productops.stats.experiment.deciding import at_every_look, at_the_end
from productops.stats.experiment.effect import CASES_BASELINE, CASES_BOTH, Effect, effect_of
from productops.stats.experiment.quantile import clustered_quantile_of
from productops.stats.experiment.rates import Block, log_e_rates
from productops.stats.experiment.samples import Proportion
from productops.stats.experiment.split import anytime
from productops.stats.experiment.summing import adjusted_of, mean_of, proportion_of, ratio_of
from productops.stats.experiment.vectors import evaluate_vector

DATA = "PRODUCTOPS_BENCH_DATA"
DECIMALS = 5
ALPHA = 0.05
DAYS, BY_DAY, RATE, LIFT = 28, 400, 0.1, 0.12
CHANGED = math.log(1 / ALPHA)


def run(*, quick: bool = False, seed: int = 1) -> list[Figure]:
    """All parts; ``quick``: a tenth of the experiments."""
    count = 1000 if quick else 10_000
    figures = [*vectors(), *false_findings(count, seed), *coverage(count // 2, seed), *adjusting(seed), *speed(seed)]
    write("experiments", "experiments", figures, {"seed": seed, "experiments": count})
    show(
        "experiments",
        figures,
        note=f"{count:,} simulated experiments of {DAYS} days, {2 * BY_DAY} people a day, a look every day; seed {seed}",
    )
    return figures


def vectors() -> list[Figure]:
    """Recorded results that differ in the fifth decimal; nothing where there are none."""
    named = os.environ.get(DATA)
    path = Path(named) / "gbstats_vectors.json" if named else None
    if path is None or not path.is_file():
        return []
    known = json.loads(path.read_text(encoding="utf-8"))
    differ = [f"{each['class']} {number}" for number, each in enumerate(known) if not _same(each["result"], evaluate_vector(each))]
    return [
        Figure("gbstats results that differ", len(differ), f"of {len(known)}", 0, False, "recorded from gbstats", "; ".join(differ[:5]))
    ]


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, dict):
        return all(_same(value, found.get(name)) for name, value in expected.items() if name != "__type__")
    if isinstance(expected, list):
        return len(expected) == len(found) and all(_same(one, two) for one, two in zip(expected, found, strict=True))
    if isinstance(expected, float) and isinstance(found, int | float):
        return expected == found or abs(expected - found) < 0.5 * 10**-DECIMALS
    return bool(expected == found)


Rule = Callable[[list[Effect], list[Block]], int | None]


def false_findings(count: int, seed: int) -> list[Figure]:
    """How often each rule finds something where there is nothing, and how often and when where there is +12 %."""
    none, some = list(_experiments(count, seed, 0.0)), list(_experiments(max(count // 5, 200), seed + 1, LIFT))
    margin = 2.0 * math.sqrt(ALPHA * (1 - ALPHA) / count)
    figures = []
    for name, rule, valid in RULES:
        wrong = sum(rule(*each) is not None for each in none) / len(none)
        days = [day for each in some if (day := rule(*each)) is not None]
        when = f"finds +{LIFT:.0%} in {len(days) / len(some):.0%} of experiments" + (
            f", after {np.mean(days):.0f} days on average" if days else ""
        )
        bar = 100 * (ALPHA + margin) if valid else None
        figures.append(Figure(f"false findings: {name}", 100 * wrong, "%", bar, False, f"nominal {100 * ALPHA:g} %", when))
    rare = list(_experiments(count // 4, seed + 2, 0.0, by_day=100, rate=0.02))
    for name, rule, valid in RARE:
        wrong = sum(rule(*each) is not None for each in rare) / len(rare)
        bar = 100 * (ALPHA + 2 * margin) if valid else None
        figures.append(Figure(f"false findings, 2 successes a day: {name}", 100 * wrong, "%", bar, False, f"nominal {100 * ALPHA:g} %"))
    random = np.random.default_rng(seed)
    split = sum(_split_found(random) for _ in range(count // 5)) / (count // 5)
    figures.append(
        Figure("false alarms: split, looked at every day", 100 * split, "%", 100 * ALPHA, False, "nominal 5 %", "sequential multinomial")
    )
    return figures


def _experiments(
    count: int, seed: int, lift: float, *, by_day: int = BY_DAY, rate: float = RATE
) -> Iterator[tuple[list[Effect], list[Block]]]:
    random = np.random.default_rng(seed)
    for _ in range(count):
        one, two = random.binomial(by_day, rate, DAYS), random.binomial(by_day, rate * (1 + lift), DAYS)
        people = by_day * np.arange(1, DAYS + 1)
        pairs = zip(people, np.cumsum(one), np.cumsum(two), strict=True)
        effects = [effect_of((Proportion(int(n), float(a)), Proportion(int(n), float(b))), relative=True) for n, a, b in pairs]
        yield effects, [Block(by_day, int(a), by_day, int(b)) for a, b in zip(one, two, strict=True)]


def _first(found: Iterator[bool]) -> int | None:
    return next((day for day, each in enumerate(found, start=1) if each), None)


def _at_the_end(effects: list[Effect], blocks: list[Block]) -> int | None:
    return DAYS if (at_the_end(effects[-1], alpha=ALPHA).p or 0.0) < ALPHA else None


def _peeking(effects: list[Effect], blocks: list[Block]) -> int | None:
    return _first((at_the_end(each, alpha=ALPHA).p or 0.0) < ALPHA for each in effects)


def _bonferroni(effects: list[Effect], blocks: list[Block]) -> int | None:
    return _first((at_the_end(each, alpha=ALPHA).p or 0.0) < ALPHA / DAYS for each in effects)


def _bayesian(effects: list[Effect], blocks: list[Block]) -> int | None:
    def sure(effect: Effect) -> bool:
        chance = belief(effect, Prior(0.0, 0.09, proper=True), alpha=ALPHA).chance
        return max(chance, 1 - chance) > 1 - ALPHA / 2

    return _first(sure(each) for each in effects)


def _sequential(effects: list[Effect], blocks: list[Block]) -> int | None:
    """As the product looks: not before enough was seen."""
    cases = np.cumsum([(block.done_baseline, block.done_variant) for block in blocks], axis=0)
    enough = [one >= CASES_BASELINE and one + two >= CASES_BOTH for one, two in cases.tolist()]
    return _first(ok and (at_every_look(each, alpha=ALPHA).p or 0.0) < ALPHA for ok, each in zip(enough, effects, strict=True))


def _sequential_at_once(effects: list[Effect], blocks: list[Block]) -> int | None:
    return _first(each.problem is None and (at_every_look(each, alpha=ALPHA).p or 0.0) < ALPHA for each in effects)


def _betting(effects: list[Effect], blocks: list[Block]) -> int | None:
    return _first(value >= CHANGED for value in log_e_rates(blocks))


# The last column: whether it promises to hold under daily looks.
RULES: tuple[tuple[str, Rule, bool], ...] = (
    ("fixed horizon, one look at the end", _at_the_end, True),
    ("fixed horizon, a look every day", _peeking, False),
    ("the same, alpha shared between the looks", _bonferroni, True),
    ("chance to win 97.5 %, a look every day", _bayesian, False),
    ("sequential, a look every day", _sequential, True),
    ("e-process, a look every day", _betting, True),
)


RARE: tuple[tuple[str, Rule, bool], ...] = (
    ("sequential from the first day on", _sequential_at_once, False),
    ("sequential, once enough was seen", _sequential, True),
    ("e-process", _betting, True),
)


def _split_found(random: np.random.Generator) -> bool:
    one = np.cumsum(random.binomial(2 * BY_DAY, 0.5, DAYS))
    return any(anytime([a, 2 * BY_DAY * day - a], [1, 1]) < ALPHA for day, a in enumerate(one.tolist(), start=1))


def coverage(count: int, seed: int) -> list[Figure]:
    """How often a 95 % interval holds the truth, by kind of metric."""
    figures = []
    for number, (name, draw, truth, relative) in enumerate(KINDS):
        random = np.random.default_rng([seed, number])
        held = 0
        for _ in range(count):
            found = at_the_end(effect_of(draw(random), relative=relative), alpha=ALPHA)
            held += found.low <= truth <= found.high
        share = 100 * held / count
        figures.append(Figure(f"coverage: {name}", share, "%", 94, True, "94 to 96 %", "within" if 94 <= share <= 96 else "NOT within"))
    return figures


def _rates(random: np.random.Generator) -> Any:
    return Proportion(2000, float(random.binomial(2000, 0.1))), Proportion(2000, float(random.binomial(2000, 0.12)))


def _means(random: np.random.Generator) -> Any:
    return mean_of(random.lognormal(3, 1, 2000)), mean_of(random.lognormal(3, 1, 2000) * 1.1)


def _ratios(random: np.random.Generator) -> Any:
    def side(price: float) -> Any:
        orders = random.poisson(2, 1000) + 1
        return ratio_of(orders * random.gamma(20, price / 20, 1000), orders)

    return side(10.0), side(11.0)


def _past(random: np.random.Generator) -> Any:
    def side(gain: float) -> Any:
        habit = random.gamma(4, 1, 1000)
        return adjusted_of(habit * gain + random.normal(0, 1, 1000), habit + random.normal(0, 1, 1000))

    return side(1.0), side(1.05)


def _past_rates(random: np.random.Generator) -> Any:
    def side(rate: float) -> Any:
        before = random.random(2000) < 0.3
        return adjusted_of(random.random(2000) < np.where(before, rate + 0.3, rate), before, binary=True)

    return side(0.10), side(0.12)


def _quantiles(random: np.random.Generator) -> Any:
    def side(factor: float) -> Any:
        people = np.repeat(np.arange(400), 10)
        return clustered_quantile_of(factor * random.gamma(6, 1, 400)[people] * random.gamma(20, 0.05, 4000), people, 0.9)

    return side(1.0), side(1.0)


Draw = Callable[[np.random.Generator], Any]
KINDS: tuple[tuple[str, Draw, float, bool], ...] = (
    ("rates, difference", _rates, 0.02, False),
    ("rates, lift", _rates, 0.2, True),
    ("skewed means, lift", _means, 0.1, True),
    ("ratios, lift", _ratios, 0.1, True),
    ("means adjusted by the past, lift", _past, 0.05, True),
    ("rates adjusted by the past, difference", _past_rates, 0.02, False),
    ("90 % quantile of people's many values, difference", _quantiles, 0.0, False),
    ("rates of few people, difference", lambda r: (proportion_of(r.random(100) < 0.3), proportion_of(r.random(100) < 0.3)), 0.0, False),
)


def adjusting(seed: int) -> list[Figure]:
    """The variance that adjusting leaves, against one minus the squared correlation."""
    random = np.random.default_rng(seed)
    figures = []
    for correlation in (0.3, 0.6, 0.9):
        people = 100_000
        before = random.normal(size=people)
        after = 5 + correlation * before + math.sqrt(1 - correlation**2) * random.normal(size=people)
        half = people // 2
        pair = adjusted_of(after[:half], before[:half]), adjusted_of(after[half:], before[half:])
        plain, narrow = effect_of((pair[0].post, pair[1].post), relative=False), effect_of(pair, relative=False)
        left, theory = (narrow.error / plain.error) ** 2, 1 - correlation**2
        off = 100 * abs(left / theory - 1)
        figures.append(
            Figure(
                f"CUPED, correlation {correlation}: variance left against theory", off, "% off", 2, False, f"{theory:.3f}", f"{left:.3f}"
            )
        )
    return figures


def speed(seed: int) -> list[Figure]:
    """One look at a million events of a hundred thousand people."""
    random, people, each = np.random.default_rng(seed), 100_000, 9
    start = datetime(2026, 3, 1, tzinfo=UTC)
    base = int(start.timestamp() * 1_000_000)
    met = base + random.integers(0, 10 * 86_400_000_000, people)
    shown = np.array(['{"flag":"f","variant":"off"}', '{"flag":"f","variant":"on"}'], dtype=object)
    who = np.concatenate([np.arange(people), np.repeat(np.arange(people), each)]).astype(np.uint64)
    at = np.concatenate([met, np.repeat(met, each) + random.integers(0, 86_400_000_000, people * each)])
    names = np.concatenate(
        [np.full(people, "$exposure", dtype=object), random.choice(np.array(["buy", "see", "go"], dtype=object), people * each)]
    )
    texts = np.concatenate([shown[random.integers(0, 2, people)], np.full(people * each, "{}", dtype=object)])
    nothing = np.full(len(who), "", dtype=object)
    events = Events(
        who, at, names, nothing, nothing, random.gamma(2, 10, len(who)), np.full(len(who), np.nan), np.full(len(who), np.nan), texts,
        {name.value: nothing for name in Dimension},
    )  # fmt: skip
    spec = ExperimentSpec.model_validate(
        {
            "hypothesis": "speed", "flag": "f", "variants": ["on"], "owner": "bench",
            "metrics": [
                {"name": "buys", "kind": "conversion", "event": "buy", "window_days": 1},
                {"name": "spent", "kind": "mean", "event": "buy", "value": "value", "window_days": 1, "cap": 0.99},
                {"name": "p95", "kind": "quantile", "event": "go", "value": "value", "window_days": 1},
            ],
            "guardrails": [{"name": "by-order", "kind": "ratio", "event": "buy", "value": "value", "per": {"event": "buy"}}],
        }
    )  # fmt: skip
    experiment = Experiment("bench", "bench", spec, 1, ExperimentState.RUNNING, start, 1, spec, start)
    began = time.perf_counter()
    analyse(experiment, events, now=start + timedelta(days=12))
    took = time.perf_counter() - began
    return [Figure("one look at a million events in memory", took, "s", 5, False, "", "three metrics, one guardrail, 100,000 people")]


if __name__ == "__main__":
    run()
