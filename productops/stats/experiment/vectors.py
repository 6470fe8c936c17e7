"""The form in which GrowthBook's gbstats writes samples, settings and results down, so that others can check our figures against it.

``evaluate(name, stats, config)`` takes the name of a gbstats test, its list of pairs of statistics (one pair by stratum, baseline first)
and its settings, all as plain dictionaries, and answers with the fields of its result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from productops.stats.experiment.adjusting import AnySample
from productops.stats.experiment.bandit import PEOPLE_MIN, bandit
from productops.stats.experiment.believing import Belief, Prior, belief
from productops.stats.experiment.deciding import TUNING, Decided, Side, at_every_look, at_the_end
from productops.stats.experiment.effect import NO_BASELINE, Effect, Pair, effect_of, total_pair
from productops.stats.experiment.quantile import ClusteredQuantile, Quantile
from productops.stats.experiment.samples import Adjusted, AdjustedRatio, Mean, Part, Proportion, Ratio
from productops.stats.experiment.strata import stratified_effect

Document = Mapping[str, Any]
Result = dict[str, Any]
NO_TRAFFIC = "ZERO_SCALED_VARIATION_WEIGHT"
NO_PEOPLE = "NO_UNITS_IN_VARIATION"
NOT_SCALED = "For scaled impact the statistic must be of type ProportionStatistic, SampleMeanStatistic, or RegressionAdjustedStatistic"
SIDES = {
    "TwoSidedTTest": (Side.BOTH, False), "OneSidedTreatmentGreaterTTest": (Side.GREATER, False),
    "OneSidedTreatmentLesserTTest": (Side.LESSER, False), "SequentialTwoSidedTTest": (Side.BOTH, True),
    "SequentialOneSidedTreatmentGreaterTTest": (Side.GREATER, True), "SequentialOneSidedTreatmentLesserTTest": (Side.LESSER, True),
}  # fmt: skip
BANDITS = {"BanditsSimple", "BanditsRatio", "BanditsCuped"}


def evaluate_vector(vector: Document) -> Result:
    """A recorded call: ``class``, and under ``self`` its ``stats`` and ``config``. Raises: ValueError for what is no such call."""
    own = vector["self"]
    config = dict(own["config"])
    config |= {name: own[name] for name in ("rho", "sequential_tuning_parameter", "current_weights") if own.get(name) is not None}
    return evaluate(vector["class"], own["stats"], config)


def evaluate(name: str, stats: Sequence[Any], config: Document) -> Result:
    """The result of one test. Raises: ValueError for an unknown test or statistic."""
    if name in BANDITS:
        return _bandit([sample_of(each) for each in stats], config)
    pairs = [(sample_of(one), sample_of(two)) for one, two in stats]
    if name == "EffectBayesianABTest":
        return _bayesian(pairs, config)
    if name not in SIDES:
        raise ValueError(f"there is no test {name!r}; there are {', '.join([*SIDES, 'EffectBayesianABTest', *sorted(BANDITS)])}")
    return _frequentist(pairs, config, *SIDES[name])


def sample_of(document: Document) -> AnySample:
    """A statistic by its ``__type__``. Raises: ValueError."""
    kind = str(document.get("__type__", ""))
    if kind not in READERS:
        raise ValueError(f"there is no statistic {kind!r}; there are {', '.join(READERS)}")
    return READERS[kind](document)


def _frequentist(pairs: list[Pair], config: Document, side: Side, every_look: bool) -> Result:  # noqa: FBT001 - from a table
    effect, total = _effect(pairs, config), total_pair(pairs)
    if effect.problem is not None:
        return _no_test(effect.problem)
    alpha, null = float(config.get("alpha", 0.05)), float(config.get("test_value", 0.0))
    if every_look:
        tuning, rho = float(config.get("sequential_tuning_parameter", TUNING)), config.get("rho")
        found = at_every_look(effect, alpha=alpha, side=side, null=null, tuning=tuning, rho=rho)
        if found.p_problem is not None and found.p is not None:
            return _no_test(None, found.p_problem)
        if side is not Side.BOTH:
            # The one-sided p value is sought over everybody, strata or not.
            whole = at_every_look(
                effect_of(total, relative=_is_relative(config)), alpha=alpha, side=side, tuning=tuning, rho=rho
            )  # fmt: skip
            found = Decided(found.low, found.high, whole.p, whole.p_problem)
    else:
        found = at_the_end(effect, alpha=alpha, side=side, null=null)
    factor = _factor(total, config)
    if isinstance(factor, str):
        return _no_test(factor)
    return _answer(effect.estimate * factor, effect.error * factor, found.low * factor, found.high * factor) | {
        "pValue": found.p, "errorMessage": None, "pValueErrorMessage": found.p_problem,
    }  # fmt: skip


def _bayesian(pairs: list[Pair], config: Document) -> Result:
    effect, total = _effect(pairs, config), total_pair(pairs)
    kind = "relative" if _is_relative(config) else "absolute"
    if effect.problem is not None:
        return _no_belief(effect.problem, kind)
    given = config.get("prior_effect") or {}
    prior = Prior(float(given.get("mean", 0.0)), float(given.get("variance", 1.0)), bool(given.get("proper", False)))
    base = total[0].plain_mean
    # A prior on the lift is brought into the units of the difference; one on the difference is taken as it is.
    if kind == "absolute" and config.get("prior_type", "relative") == "relative":
        if prior.proper and base == 0.0:
            return _no_belief(NO_BASELINE, kind)
        prior = prior.scaled(base)
    found = belief(effect, prior, alpha=float(config.get("alpha", 0.05)), lower_is_better=bool(config.get("inverse", False)))
    factor = _factor(total, config)
    if isinstance(factor, str):
        return _no_belief(factor, kind)
    return _believed(found, factor) | {"riskType": kind, "errorMessage": None}


def _believed(found: Belief, factor: float) -> Result:
    return _answer(found.mean * factor, found.deviation * factor, found.low * factor, found.high * factor) | {
        "chanceToWin": found.chance, "risk": [found.loss_baseline, found.loss_variant],
    }  # fmt: skip


def _bandit(samples: list[AnySample], config: Document) -> Result:
    given = config.get("prior_distribution") or {}
    prior = Prior(float(given.get("mean", 0.0)), float(given.get("variance", 1.0)), bool(given.get("proper", False)))
    seed = int(config.get("bandit_weights_seed") or 1)
    found = bandit(
        samples, prior=prior, alpha=float(config.get("alpha", 0.05)), seed=seed, share_min=float(config.get("min_variation_weight", 0.01)),
        top_two=bool(config.get("top_two", True)), lower_is_better=bool(config.get("inverse", False)),
    )  # fmt: skip
    enough = found.shares is not None
    told = "successfully updated" if enough else f"total sample size must be at least {PEOPLE_MIN} per variation"
    return {
        "users": [each.n for each in samples], "cr": list(found.values), "ci": [list(ends) for ends in found.intervals],
        "bandit_weights": list(found.shares) if found.shares is not None else None, "best_arm_probabilities": list(found.chances),
        "seed": seed, "bandit_update_message": told, "enough_units": enough,
    }  # fmt: skip


def _effect(pairs: list[Pair], config: Document) -> Effect:
    relative = _is_relative(config)
    if config.get("post_stratify", False):
        return stratified_effect(pairs, relative=relative)
    return effect_of(total_pair(pairs), relative=relative)


def _is_relative(config: Document) -> bool:
    return str(config.get("difference_type", "relative")) == "relative"


def _factor(total: Pair, config: Document) -> float | str:
    """What a difference by person is multiplied with: 1, or people by day where the impact is scaled. A text: why it cannot be."""
    if config.get("difference_type") != "scaled":
        return 1.0
    days, traffic = float(config.get("phase_length_days", 1.0)), float(config.get("traffic_percentage", 1.0))
    if days == 0.0 or traffic == 0.0:
        return NO_TRAFFIC
    if not all(isinstance(each, Proportion | Mean | Adjusted) for each in total):
        return NOT_SCALED
    people = config.get("total_users")
    return float(people) / (traffic * days) if people else NO_PEOPLE


def _answer(estimate: float, error: float, low: float, high: float) -> Result:
    return {"expected": estimate, "ci": [low, high], "uplift": {"dist": "normal", "mean": estimate, "stddev": error}}


def _no_test(problem: str | None, p_problem: str | None = None) -> Result:
    message = f"{problem}." if problem == NOT_SCALED else problem
    return _answer(0.0, 0.0, 0.0, 0.0) | {"pValue": 1.0, "errorMessage": message, "pValueErrorMessage": p_problem}


def _no_belief(problem: str, kind: str) -> Result:
    return _answer(0.0, 0.0, 0.0, 0.0) | {"chanceToWin": 0.5, "risk": [0.0, 0.0], "riskType": kind, "errorMessage": problem}


def _part(document: Document) -> Part:
    found = sample_of(document)
    if not isinstance(found, Mean | Proportion):
        raise ValueError(f"{document.get('__type__')!r} is no part of another statistic")  # noqa: TRY004 - of the document, not of a type
    return found


def _ratio(d: Document) -> Ratio:
    return Ratio(int(d["n"]), _part(d["m_statistic"]), _part(d["d_statistic"]), float(d["m_d_sum_of_products"]))


def _adjusted(d: Document) -> Adjusted:
    post, pre = _part(d["post_statistic"]), _part(d["pre_statistic"])
    return Adjusted(int(d["n"]), post, pre, float(d["post_pre_sum_of_products"]), _theta(d))


def _adjusted_ratio(d: Document) -> AdjustedRatio:
    post, pre = [(_part(d[f"m_statistic_{when}"]), _part(d[f"d_statistic_{when}"])) for when in ("post", "pre")]
    products = {name: float(d[f"{name}_sum_of_products"]) for name in PRODUCTS}
    return AdjustedRatio(int(d["n"]), m_post=post[0], d_post=post[1], m_pre=pre[0], d_pre=pre[1], theta=_theta(d), **products)


def _quantile(d: Document) -> Quantile:
    level, value, low, high = (float(d[name]) for name in QUANTILE)
    return Quantile(int(d["n"]), int(d["n_star"]), level, value, low, high)


def _clustered(d: Document) -> ClusteredQuantile:
    plain = _quantile(d)
    below, below_squares, values, values_squares, products = (float(d[name]) for name in CLUSTERS)
    return ClusteredQuantile(
        plain.n, plain.n_bounds, plain.level, plain.value, plain.low, plain.high, below, below_squares, values, values_squares, products,
        int(d["n_clusters"]),
    )  # fmt: skip


def _theta(d: Document) -> float | None:
    given = d.get("theta")
    return None if given is None or not math.isfinite(given) else float(given)


QUANTILE = ("nu", "quantile_hat", "quantile_lower", "quantile_upper")
PRODUCTS = ("m_post_m_pre", "d_post_d_pre", "m_pre_d_pre", "m_post_d_post", "m_post_d_pre", "m_pre_d_post")
CLUSTERS = ("main_sum", "main_sum_squares", "denominator_sum", "denominator_sum_squares", "main_denominator_sum_product")
READERS: dict[str, Callable[[Document], AnySample]] = {
    "SampleMeanStatistic": lambda d: Mean(int(d["n"]), float(d["sum"]), float(d["sum_squares"])),
    "ProportionStatistic": lambda d: Proportion(int(d["n"]), float(d["sum"])),
    "RatioStatistic": _ratio,
    "RegressionAdjustedStatistic": _adjusted,
    "RegressionAdjustedRatioStatistic": _adjusted_ratio,
    "QuantileStatistic": _quantile,
    "QuantileClusteredStatistic": _clustered,
}
