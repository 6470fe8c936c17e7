"""Those who use something beside those who do not: who of comparable people is gone a week later; and a rate beside earlier weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from productops.stats.analytics_insight_explain import Harm, compare_harm

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
WEEK = 7


@dataclass(frozen=True, slots=True)
class Leavers:
    """People of a week by how many days of it they were active (index 0: one day), and those of them not seen in the week after.

    ``people`` and ``left`` have shape (7,); ``users`` and ``users_left`` shape (features, 7), of those who used that feature.
    """

    people: Floats
    left: Floats
    users: Floats
    users_left: Floats

    def harm(self, feature: int) -> Harm | None:
        """How many times as often users of a feature are gone as others who came on as many days."""
        with_it, gone = self.users[feature], self.users_left[feature]
        return compare_harm(gone, with_it, self.left - gone, self.people - with_it)


def leavers(person: NDArray[np.uint64], day: Ints, feature: Ints, features: int) -> Leavers:
    """Count two weeks of events. ``day``: 0 to 13; ``feature``: index below ``features``, or -1 for an event of none."""
    _, who = np.unique(person, return_inverse=True)
    count = int(who.max()) + 1 if len(who) else 0
    active = np.zeros((count, 2 * WEEK), dtype=bool)
    active[who, day] = True
    days = active[:, :WEEK].sum(axis=1)
    gone = np.logical_not(np.asarray(active[:, WEEK:].any(axis=1)))
    came = days > 0
    users, users_left = np.zeros((features, WEEK)), np.zeros((features, WEEK))
    early = (day < WEEK) & (feature >= 0)
    pairs = np.unique(who[early].astype(np.int64) * max(features, 1) + feature[early])
    one, thing = pairs // max(features, 1), pairs % max(features, 1)
    np.add.at(users, (thing, days[one] - 1), 1.0)
    np.add.at(users_left, (thing, days[one] - 1), gone[one].astype(np.float64))
    return Leavers(_by_days(days[came]), _by_days(days[came & gone]), users, users_left)


def _by_days(days: Ints) -> Floats:
    return np.bincount(days - 1, minlength=WEEK).astype(np.float64)


def p_of_harm(harm: Harm) -> float:
    """Two-sided probability of a ratio as far from one by chance, from its 95 % interval on the log scale."""
    reach = float(np.log(harm.high) - np.log(harm.low)) / (2 * 1.96)
    return float(2 * stats.norm.sf(abs(np.log(harm.ratio)) / max(reach, 1e-12)))


@dataclass(frozen=True, slots=True)
class RateChange:
    """A week's rate against the weeks before: ``usual`` and the difference, with a 95 % interval and the probability of chance."""

    rate: float
    usual: float
    low: float
    high: float
    p: float

    @property
    def change(self) -> float:
        """Relative: -0.2 is a fifth less."""
        return self.rate / self.usual - 1 if self.usual else 0.0


def rate_change(done: Floats, of: Floats) -> RateChange | None:
    """The last week against all before it, shape (weeks,). None with fewer than five weeks of ten people.

    Weeks differ by more than chance, so the spread is the larger of the binomial one and what the weeks before show, and the tail is
    Student's: a week that is no more unusual than earlier weeks were says nothing.
    """
    known = of >= 10
    if not known[-1] or known[:-1].sum() < 4:
        return None
    rates = done[:-1][known[:-1]] / of[:-1][known[:-1]]
    usual = float(done[:-1][known[:-1]].sum() / of[:-1][known[:-1]].sum())
    rate = float(done[-1] / of[-1])
    chance = usual * (1 - usual) * (1 / of[-1] + 1 / of[:-1][known[:-1]].sum())
    between = float(rates.var(ddof=1)) * (1 + 1 / len(rates))
    spread = float(np.sqrt(max(chance, between, 1e-12)))
    tail = stats.t(len(rates) - 1)
    reach = float(tail.ppf(0.975)) * spread
    return RateChange(rate, usual, rate - usual - reach, rate - usual + reach, float(2 * tail.sf(abs(rate - usual) / spread)))
