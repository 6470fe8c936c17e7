"""How often burn rate rules cry wolf on healthy traffic, and how soon they tell of an outage.

Healthy: failures by chance (binomial), at half of what the budget allows and at all of it; a day of seconds each, many days. What counts
is how often an alert begins. The rules are those of the product, the arithmetic is that of ``domain/monitoring_slo_burn``, done for whole
days at once.

    python -m benchmarks.slo [--days 20]
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, show, write
from productops.domain.monitoring_slo import DEFAULT_RULES, BurnRule
from productops.domain.monitoring_slo_burn import ALPHA
from productops.stats.burn_rate import surely_above

DAY_S = 86_400
Floats = NDArray[np.float64]


def window(sums: Floats, length_s: int) -> Floats:
    """Sum of the last so many seconds at each second; ``sums`` is cumulative and begins with 0."""
    end = np.arange(1, len(sums))
    return sums[end] - sums[np.maximum(0, end - length_s)]


def breaches(rule: BurnRule, bad: Floats, total: Floats, budget: float, *, guard: bool) -> NDArray[np.bool_]:
    """Seconds in which a rule holds. ``bad`` and ``total`` are cumulative. Without the guard the plain ratio is compared."""
    limit = rule.limit(budget)
    long_bad, long_total = window(bad, rule.long_s), window(total, rule.long_s)
    short_bad, short_total = window(bad, rule.short_s), window(total, rule.short_s)
    stride = 60 if rule.long_s > 120 else 1  # the product counts longer windows by minute
    seen = np.arange(len(long_bad)) % stride == 0
    near = seen & (long_bad >= limit * long_total) & (long_total > 0) & (short_bad >= limit * short_total) & (short_total > 0)
    if not guard:
        return near
    found = np.zeros(len(near), dtype=bool)
    known: dict[tuple[float, float], bool] = {}
    for at in np.nonzero(near)[0]:
        pair = (float(long_bad[at]), float(long_total[at]))
        if pair not in known:
            known[pair] = surely_above(*pair, ratio=limit, alpha=ALPHA)
        found[at] = known[pair]
    return found


def begins(held: NDArray[np.bool_], apart_s: int) -> int:
    """How often it begins to hold, where a pause shorter than ``apart_s`` is none."""
    at = np.nonzero(held)[0]
    return 0 if not len(at) else 1 + int(np.sum(np.diff(at) > apart_s))


def healthy(rng: np.random.Generator, rate: float, share: float, days: int) -> tuple[Floats, Floats]:
    """Cumulative (bad, total) of some days after three days that fill the longest window."""
    total = rng.poisson(rate, size=(days + 3) * DAY_S).astype(np.float64)
    bad = rng.binomial(total.astype(np.int64), share).astype(np.float64)
    return np.concatenate([[0.0], np.cumsum(bad)]), np.concatenate([[0.0], np.cumsum(total)])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=20)
    run(days=parser.parse_args().days)


def run(*, days: int) -> list[Figure]:
    """Measure and print; the figures are the worst of each table."""
    rng = np.random.default_rng(9)
    often: list[float] = []
    names = [rule.name for rule in DEFAULT_RULES]
    print(f"alerts that begin per day of healthy traffic, {days} days each; in brackets without the low-traffic guard")
    print("target   rate/s  failing      " + "".join(f"{name:>18}" for name in names))
    for target in (0.99, 0.999):
        budget = 1 - target
        for rate in (0.01, 0.1, 1.0, 10.0):
            for part in (0.5, 1.0):
                bad, total = healthy(rng, rate, part * budget, days)
                cells = []
                for rule in DEFAULT_RULES:
                    pair = [begins(breaches(rule, bad, total, budget, guard=guard)[3 * DAY_S :], 300) / days for guard in (True, False)]
                    often.append(pair[0])
                    cells.append(f"{pair[0]:>9.2f} ({pair[1]:>6.2f})")
                print(f"{target:<7}  {rate:<7} {part:>4.0%} budget  " + "".join(cells))
    print("\nseconds from the first failing second to the alert (10s, 1m and 5m rules), by share that fails; - is not within 10 minutes")
    print("target   rate/s    " + "".join(f"{share:>8.0%}" for share in (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)))
    for target in (0.99, 0.999):
        for rate in (1.0, 10.0, 100.0):
            cells = [f"{_delay(rng, rate, share, 1 - target):>8}" for share in (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)]
            print(f"{target:<7}  {rate:<8}" + "".join(cells))
    how = f"{days} days each, with the guard for little traffic"
    figures = [Figure("false alerts on healthy traffic, worst rule and rate", max(often), "a day", detail=how)]
    write("slo", "slo", figures, [])
    show("slo", figures)
    return figures


def _delay(rng: np.random.Generator, rate: float, share: float, budget: float) -> str:
    found = []
    for _ in range(20):
        total = rng.poisson(rate, size=7_200).astype(np.float64)
        shares = np.where(np.arange(7_200) >= 6_600, share, budget / 2)
        bad = rng.binomial(total.astype(np.int64), shares).astype(np.float64)
        sums = np.concatenate([[0.0], np.cumsum(bad)]), np.concatenate([[0.0], np.cumsum(total)])
        first = [
            int(at[0]) for rule in DEFAULT_RULES[:3]
            if len(at := np.nonzero(breaches(rule, *sums, budget, guard=True)[6_600:])[0])
        ]  # fmt: skip
        found.append(min(first) + 1 if first else 10_000)
    middle = int(np.median(found))
    return "-" if middle >= 10_000 else f"{middle} s"


if __name__ == "__main__":
    main()
