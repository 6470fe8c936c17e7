"""``python -m benchmarks.detection``: one detector, one threshold, on NAB and AIOPS; its speed; false alarms of simulated healthy traffic.

The plain detectors beside it get the threshold that suits each of them best on these very data; ours has its defaults.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.detection_data import Alarms, Curve, Floats, aiops, event_f1, folder, nab, nab_score
from benchmarks.detection_traffic import FAULTS, simulate
from benchmarks.figures import Figure, show
from productops.stats.anomaly import DEFAULT, AnomalyBank

NAB_BAR, AIOPS_BAR, SPEED_BAR, FALSE_BAR = 70.0, 0.75, 20_000.0, 1.0
Score = Callable[[Curve], Floats]


def ours(curves: list[Curve]) -> tuple[list[Alarms], float]:
    """Alarms of each curve, all curves at once, and points a second of one core."""
    longest = max(len(curve.value) for curve in curves)
    values, at = np.full((longest, len(curves)), np.nan), np.zeros((longest, len(curves)))
    for column, curve in enumerate(curves):
        values[: len(curve.value), column], at[: len(curve.at), column] = curve.value, curve.at
    bank = AnomalyBank(len(curves), np.array([curve.step_s for curve in curves]))
    begins = np.zeros((longest, len(curves)), np.bool_)
    began = time.process_time()
    for row in range(longest):
        begins[row] = bank.update(at[row], values[row]).begins
    spent = time.process_time() - began
    return [begins[: len(curve.value), column] for column, curve in enumerate(curves)], float(np.isfinite(values).sum() / spent)


def windowed_gaussian(curve: Curve, window: int = 6400, every: int = 10) -> Floats:
    """NAB's own baseline: distance from the mean of a window, in standard deviations."""
    score = np.zeros(len(curve.value))
    for index in range(every, len(curve.value), every):
        past = curve.value[max(0, index - window) : index]
        score[index : index + every] = np.abs(curve.value[index : index + every] - past.mean()) / max(float(past.std()), 1e-6)
    return score


def seasonal_naive(curve: Curve) -> Floats:
    """Distance from the same time yesterday, in robust deviations of the last day."""
    day = max(2, round(86_400 / curve.step_s))
    score, off = np.zeros(len(curve.value)), np.zeros(len(curve.value))
    off[day:] = curve.value[day:] - curve.value[:-day]
    for index in range(2 * day, len(off), max(1, day // 24)):
        past = off[index - day : index]
        middle = float(np.median(past))
        spread = 1.4826 * float(np.median(np.abs(past - middle)))
        now = slice(index, index + max(1, day // 24))
        score[now] = np.abs(off[now] - middle) / max(spread, 1e-6 * (1 + abs(middle)))
    return score


def episodes(score: Floats, threshold: float, quiet: int = DEFAULT.quiet) -> Alarms:
    """The first point of each stretch above a threshold, as ours counts them."""
    over = np.flatnonzero(score >= threshold)
    alarms = np.zeros(len(score), np.bool_)
    alarms[over[np.diff(over, prepend=-(10**9)) > quiet]] = True
    return alarms


def best(score: Score, curves: list[Curve], judge: Callable[[list[Alarms]], float]) -> float:
    """With the one threshold for all curves that is best for it."""
    scores = [score(curve) for curve in curves]
    return max(judge([episodes(each, threshold) for each in scores]) for threshold in np.geomspace(2, 60, 18))


def speed(series: int = 1000, points: int = 50) -> float:
    """Points a second of one core, many series at once."""
    values = np.random.default_rng(1).normal(10, 1, (points, series))
    bank = AnomalyBank(series, 10.0)
    began = time.process_time()
    for row in range(points):
        bank.update(row * 10.0, values[row])
    return series * points / (time.process_time() - began)


def on_data() -> list[Figure]:
    """NAB and AIOPS, when the data is there."""
    root = folder()
    if root is None:
        return []
    figures = []
    curves = nab(root)
    alarms, _ = ours(curves)
    figures.append(
        Figure("NAB standard", nab_score(curves, alarms), "points", NAB_BAR, True, "HTM 70.5, ARTime 74.9", f"{len(curves)} series")
    )
    for name, score in (("windowed Gaussian", windowed_gaussian), ("seasonal naive", seasonal_naive)):
        value = best(score, curves, lambda found, curves=curves: nab_score(curves, found))  # type: ignore[misc]
        figures.append(Figure(f"  {name}", value, "points", detail="its best threshold"))
    curves = aiops(root)
    alarms, pace = ours(curves)
    pooled, mean = event_f1(curves, alarms)
    how = f"{len(curves)} curves together; mean of curves {mean:.3f}"
    figures.append(Figure("AIOPS event-F1, delay <= 7", pooled, "", AIOPS_BAR, True, "", how))
    figures.append(Figure("  pace there", pace, "points/s", detail=f"{len(curves)} curves at once"))
    for name, score in (("windowed Gaussian", windowed_gaussian), ("seasonal naive", seasonal_naive)):
        value = best(score, curves, lambda found, curves=curves: event_f1(curves, found)[0])  # type: ignore[misc]
        figures.append(Figure(f"  {name}", value, "", detail="its best threshold"))
    return figures


def suite(*, hours: float = 24.0) -> list[Figure]:
    """Everything."""
    figures = [Figure("detector", speed(), "points/s", SPEED_BAR, True, "", "1,000 series, one core")]
    said = simulate(hours=hours)
    how = f"{said.services} services, {hours:g} h, simulated"
    figures.append(Figure("false alarms of healthy traffic", float(said.false), "", FALSE_BAR, False, "", how))
    figures += [
        Figure(f"  until seen: {name}", said.seconds[name], "s", detail="worst of services with 20 requests/s or more") for name in FAULTS
    ]
    return figures + on_data()


if __name__ == "__main__":
    show("detection", suite(hours=float(sys.argv[1]) if len(sys.argv) > 1 else 24.0))
