"""Numbers behind the DORA figures: percentiles, how regular deployments are, and how sure an incident is of a deployment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DAYS_A_WEEK = 7
DAILY_DAYS_A_WEEK = 3
"""Four Keys calls a service daily when it deployed on three days of the median week."""
HALF_LIFE_S = 2 * 3600.0
"""A deployment loses half of its suspicion in this time when nothing else speaks."""
ONSET_SPREAD_S = 120.0
"""How far a change point may lie from the moment users got the deployment, standard deviation."""
NOTHING_LOG_ODDS = 0.0
TRAFFIC_LOG_ODDS_MAX = 8.0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """``count`` values with their median and 90th percentile; both None of nothing."""

    count: int
    median: float | None
    p90: float | None


def percentiles(values: Sequence[float]) -> Percentiles:
    """Median and 90th percentile, linear between ranks. Source: Hyndman and Fan 1996, definition 7."""
    if not values:
        return Percentiles(0, None, None)
    return Percentiles(len(values), float(np.median(values)), float(np.quantile(values, 0.9)))


def deploying_weeks(days: Sequence[int], *, first_day: int, days_in_window: int) -> list[int]:
    """How many days of each whole week had a deployment; weeks without one are weeks too.

    ``days``: ordinal days of deployments. Weeks are counted back from the end of the window, so that the newest is whole; a rest at
    its beginning that is no whole week is left out.
    """
    end = first_day + days_in_window
    weeks = days_in_window // DAYS_A_WEEK
    counts = [0] * weeks
    for day in set(days):
        back = (end - 1 - day) // DAYS_A_WEEK
        if first_day <= day < end and back < weeks:
            counts[weeks - 1 - back] += 1
    return counts


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What speaks for one deployment as the cause of an incident.

    ``before_s``: seconds from the moment users got it to the first harm; negative: harm came first. ``onset_s``: the same to a change
    point in the harmed metric, None without one. ``candidate_bad``, ``candidate_total``, ``rest_bad``, ``rest_total``: requests of
    those who had it (a canary's share, or users of the flag) and of those who had not, while both were served; zeros when nobody counted.
    ``touches``: it changed the service (or a dependency of the service) that is harmed.
    """

    before_s: float
    onset_s: float | None = None
    candidate_bad: int = 0
    candidate_total: int = 0
    rest_bad: int = 0
    rest_total: int = 0
    touches: bool = True


def confidences(suspicions: Sequence[Suspicion]) -> list[float]:
    """Probability of each deployment being the cause; what is missing to 1 is "none of these".

    Log-odds of the kinds of evidence are added, as if they were independent, and compared with each other and with "none of these" (0).
    That is a heuristic: its bounds keep any one kind from deciding alone except traffic, where both groups were seen at the same time.
    """
    odds = [_log_odds(each) for each in suspicions]
    top = max([NOTHING_LOG_ODDS, *odds])
    weights = [math.exp(value - top) if value > -math.inf else 0.0 for value in odds]
    total = sum(weights) + math.exp(NOTHING_LOG_ODDS - top)
    return [weight / total for weight in weights]


def _log_odds(suspicion: Suspicion) -> float:
    """Minus infinity when harm came before the deployment, or it does not touch what is harmed: a cause does not follow its effect."""
    if suspicion.before_s < 0 or not suspicion.touches:
        return -math.inf
    value = 1.0 - math.log(2) * min(suspicion.before_s / HALF_LIFE_S, 12.0)
    if suspicion.onset_s is not None:
        distance = suspicion.onset_s / ONSET_SPREAD_S
        value += 3.0 - min(0.5 * distance * distance, 5.0)
    return value + traffic_log_odds(suspicion)


def traffic_log_odds(suspicion: Suspicion) -> float:
    """How much the requests of those who had it speak for it, in [-8, 8]; 0 when one of the groups was not counted.

    Source: signed likelihood ratio of two binomials with one rate against two, as a Bayes factor by Schwarz' approximation.
    """
    ours, rest = suspicion.candidate_total, suspicion.rest_total
    if min(ours, rest) <= 0:
        return 0.0
    both = (suspicion.candidate_bad + suspicion.rest_bad) / (ours + rest)
    apart = _log_likelihood(suspicion.candidate_bad, ours) + _log_likelihood(suspicion.rest_bad, rest)
    same = sum(_log_likelihood(bad, total, both) for bad, total in ((suspicion.candidate_bad, ours), (suspicion.rest_bad, rest)))
    factor = apart - same - 0.5 * math.log(ours + rest)
    if suspicion.candidate_bad / ours > suspicion.rest_bad / rest:
        return max(-TRAFFIC_LOG_ODDS_MAX, min(factor, TRAFFIC_LOG_ODDS_MAX))
    # Those without it were harmed as much or more: the more was seen, the less it can be the cause.
    return -min(abs(factor), TRAFFIC_LOG_ODDS_MAX)


def _log_likelihood(bad: int, total: int, rate: float | None = None) -> float:
    share = bad / total if rate is None else rate
    value = bad * math.log(share) if bad else 0.0
    return value + ((total - bad) * math.log(1 - share) if total > bad else 0.0)
