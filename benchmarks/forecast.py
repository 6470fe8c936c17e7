"""Forecasts of dates on simulated histories whose truth is known, and how long ten thousand runs take.

The truth: people underestimate by different amounts, months have luck that all their tasks share, weeks lose hours in rows. The forecast
knows none of it but the finished tasks and past weeks. The simulation was written by the same people as the method.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.figures import Figure, show, write
from productops.domain.development_forecast import DoneTask, OpenTask, Pace, PastForecast, ThreePoint, forecast_date
from productops.stats.forecast_error import EstimateError
from productops.stats.forecast_run import Estimates, by_people, efforts

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TASKS, PEOPLE, DONE, WEEKS = 24, 3, 90, 30
PAST = 30
MONTH_H = 170.0


class Venture:
    """One venture's truth."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.bias = self.random.normal(0.25, 0.2)
        self.people = self.random.normal(0, 0.2, PEOPLE)
        self.shared, self.own = self.random.uniform(0.1, 0.35), self.random.uniform(0.25, 0.55)
        self.lost = self.random.uniform(0.1, 0.3)

    def estimate(self) -> ThreePoint:
        """A likely value between two hours and two weeks."""
        likely = float(np.exp(self.random.uniform(np.log(2), np.log(80))))
        return ThreePoint(likely * self.random.uniform(0.5, 0.9), likely, likely * self.random.uniform(1.2, 2.5))

    def actual(self, estimate: ThreePoint, person: int, luck: float) -> float:
        """Hours that it really takes."""
        return float(estimate.expected * np.exp(self.bias + self.people[person] + luck + self.random.normal(0, self.own)))

    def weeks(self, count: int) -> list[float]:
        """Lost shares of weeks, good and bad ones in rows."""
        noise, found = 0.0, []
        for _ in range(count):
            noise = 0.5 * noise + self.random.normal(0, 0.06)
            found.append(float(np.clip(self.lost + noise, 0, 0.9)))
        return found

    def history(self) -> list[DoneTask]:
        """Fifteen tasks a month."""
        found, luck = [], 0.0
        for number in range(DONE):
            if number % 15 == 0:
                luck = self.random.normal(0, self.shared)
            estimate, person = self.estimate(), int(self.random.integers(PEOPLE))
            found.append(DoneTask(estimate, self.actual(estimate, person, luck), f"p{person}", NOW - timedelta(days=(DONE - number) * 2)))
        return found

    def project(self) -> tuple[list[OpenTask], float]:
        """Open tasks, and in how many weeks they are really done."""
        tasks, hours, people, before = [], [], [], []
        done, luck = [0.0] * PEOPLE, self.random.normal(0, self.shared, 60)
        for number in range(TASKS):
            estimate, person = self.estimate(), int(self.random.integers(PEOPLE))
            needs = sorted({int(each) for each in self.random.integers(0, number, 2)}) if number > 3 and number % 3 == 0 else []
            tasks.append(OpenTask(str(number), estimate, f"p{person}", tuple(str(each) for each in needs)))
            hours.append(self.actual(estimate, person, luck[min(int(done[person] / MONTH_H), 59)]))
            done[person] += hours[-1]
            people.append(person)
            before.append(needs)
        end = float(by_people(before, people)(np.array(hours)[:, None])[0])
        weeks, left = 0.0, end
        for lost in self.weeks(500):
            available = 40 * (1 - lost)
            if left <= available:
                return tasks, weeks + left / available
            left, weeks = left - available, weeks + 1
        raise AssertionError("a plan that takes ten years")


def coverage(ventures: int) -> dict[str, list[float]]:
    """Method → for each of many forecasts the share of runs done by the real end."""
    found: dict[str, list[float]] = {"ours": [], "ours, corrected by past forecasts": [], "three points alone": []}
    for seed in range(ventures):
        venture = Venture(seed)
        pace, history, past = Pace(40.0, tuple(venture.weeks(WEEKS))), venture.history(), []
        for number in range(PAST + 5):
            tasks, weeks = venture.project()
            told = forecast_date(tasks, history, now=NOW, pace=pace, past=past, seed=number, runs=1000)
            end = NOW + timedelta(weeks=weeks)
            if number >= PAST:
                found["ours"].append(told.place(end))
                found["ours, corrected by past forecasts"].append(float(end <= told.at(0.8)))
                plain = forecast_date(tasks, [], now=NOW, seed=number, runs=1000)
                points = np.array([[each.estimate.low, each.estimate.likely, each.estimate.high] for each in tasks])
                sure = EstimateError(bias=0.0, spread=1e-6, shared=0.0, bias_error=0.0)
                drawn = efforts(Estimates(*points.T, np.zeros(len(tasks))), sure, runs=1000, seed=number)
                people = [int(each.person[1:]) for each in tasks]
                ends = by_people([[int(name) for name in each.after] for each in tasks], people)(drawn) / 40
                found["three points alone"].append(float(np.mean(ends < weeks)))
                found.setdefault("ours, nothing known yet", []).append(plain.place(end))
            past.append(PastForecast(told.place(end)))
    return found


def seconds() -> float:
    """Time of 10,000 runs of 500 tasks with dependencies, best of three."""
    random = np.random.default_rng(1)
    likely = random.uniform(2, 40, 500)
    estimates = Estimates(likely * 0.7, likely, likely * 2, np.full(500, 0.2), np.arange(500) // 25)
    schedule = by_people([[each - 1] if each % 4 else [] for each in range(500)], [each % 8 for each in range(500)])
    took = []
    for _ in range(3):
        began = time.perf_counter()
        schedule(efforts(estimates, EstimateError(), runs=10_000, seed=1))
        took.append(time.perf_counter() - began)
    return min(took)


def run(*, quick: bool) -> list[Figure]:
    """Coverage and speed."""
    found = coverage(20 if quick else 60)
    figures = [Figure("10,000 runs of 500 tasks", seconds(), "s", 2.0)]
    for name, places in found.items():
        held = np.array(places) if "corrected" in name else (np.array(places) <= 0.8).astype(float)
        share = float(held.mean())
        own = name.startswith("ours") and "nothing" not in name
        error = float(np.sqrt(share * (1 - share) / len(places)))
        bar = 0.05 if own else None
        figures.append(
            Figure(
                f"held P80s, {name}: distance from 0.80",
                abs(share - 0.8),
                "",
                bar,
                False,
                "",
                f"{share:.3f} ± {error:.3f} of {len(places)}",
            )
        )
    write("forecast", "forecast", figures, found)
    show("forecast of dates", figures)
    return figures


if __name__ == "__main__":
    run(quick=False)
