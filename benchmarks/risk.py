"""Risk of changes on public histories: what is learned from the first four fifths of each project is judged on the last fifth.

The data is named by ``PRODUCTOPS_BENCH_DATA``: a folder with one ``<project>.csv.gz`` for each project, in order of time, with the columns
``date`` (seconds), ``bug`` (0 or 1) and the fourteen measures of Kamei. It is not part of this project. The histories name no authors; they
are guessed from the counters of experience, by earlier changes only.
"""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from benchmarks.figures import Figure, console, show, write
from benchmarks.release.stack import BenchError
from productops.stats import risk_linear, risk_scores
from productops.stats.risk_calibration import Calibration, calibrate, probability
from productops.stats.risk_features import History, features
from productops.stats.risk_model import RiskParts, learn, learn_prior, log_odds
from productops.stats.risk_trees import NO_TREES, Trees

DATA = "PRODUCTOPS_BENCH_DATA"
COLUMNS = ("ns", "nd", "nf", "entrophy", "la", "ld", "lt", "fix", "ndev", "age", "nuc", "exp", "rexp", "sexp")
WAIT_S = 90 * 86400.0
"""An outcome counts as known this long after the change. The data does not say when it was."""
TRAIN = 0.8
BLOCK = 150
"""Changes between two updates of the calibration in the last fifth."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Project:
    """One history with its features; ``cut``: the first change that is judged; ``effort``: lines added and deleted."""

    name: str
    at_s: Floats
    label: Ints
    features: Floats
    effort: Floats

    @property
    def cut(self) -> int:
        """Where the last fifth begins."""
        return int(TRAIN * len(self.label))


@dataclass(slots=True)
class Judged:
    """Predictions of the last fifth by one method."""

    label: Ints
    score: Floats
    probability: Floats | None = None
    threshold: float | Floats = 0.5


def folder() -> Path:
    """Where the data is. Raises: BenchError when nobody said, or nothing is there."""
    named = os.environ.get(DATA)
    if not named or not sorted(Path(named).glob("*.csv.gz")):
        raise BenchError(f"name the folder of the change histories (<project>.csv.gz) in {DATA}")
    return Path(named)


def load(path: Path) -> Project:
    """Read one history and work out its features."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    at = np.array([float(row["date"]) for row in rows])
    label = np.array([int(row["bug"]) for row in rows])
    classic = np.array([[float(row[name]) for name in COLUMNS] for row in rows])
    found = features(History(at, np.maximum(classic, 0), guess_authors(classic), label, at + WAIT_S))
    return Project(path.name.removesuffix(".csv.gz"), at, label, found, classic[:, 4] + classic[:, 5])


def guess_authors(classic: Floats) -> Ints:
    """A change belongs to the author whose experience after their last change was what this one begins with, or just below."""
    experience, files = classic[:, 11].astype(int).tolist(), classic[:, 2].astype(int).tolist()
    last: dict[int, int] = {}
    authors: list[int] = []
    newcomers = 0
    for now, count in zip(experience, files, strict=True):
        before = next((each for each in (now - count, now - 1, *range(now - 2, now - 60, -1)) if each in last), None)
        author = newcomers if before is None else last.pop(before)
        newcomers += before is None
        last[now] = author
        authors.append(author)
    return np.array(authors)


def judge_model(project: Project, model: RiskParts) -> Judged:
    """Order, probabilities and calls of the last fifth; the calibration follows what has become known, and only that."""
    cut = project.cut
    score = log_odds(model, project.features[cut:])
    label, at = project.label[cut:], project.at_s[cut:]
    found, threshold = np.empty(len(score)), np.empty(len(score))
    for begin in range(0, len(score), BLOCK):
        known = int(np.searchsorted(at, at[begin] - WAIT_S, side="right"))
        now = calibrate(score[:known], label[:known], start=model.calibration)
        found[begin : begin + BLOCK] = probability(now, score[begin : begin + BLOCK])
        threshold[begin : begin + BLOCK] = _moved(model.calibration, now, model.threshold)
    return Judged(label, score, found, threshold)


def _moved(old: Calibration, new: Calibration, threshold: float) -> float:
    """The threshold at the same score under another calibration."""
    score = (logit(np.clip(threshold, 1e-6, 1 - 1e-6)) - old.offset) / old.slope
    return float(expit(new.offset + new.slope * score))


def strict(project: Project, prior: Trees) -> RiskParts:
    """Learned only from outcomes that were known when the last fifth began."""
    known = int(np.searchsorted(project.at_s, project.at_s[project.cut] - WAIT_S, side="right"))
    return learn(project.features[:known], project.label[:known], prior=prior)


def rolling(project: Project, prior: Trees, *, steps: int = 4) -> Judged:
    """As ``strict``, and learned again ``steps`` times on the way through the last fifth."""
    cut, n = project.cut, len(project.label)
    parts = []
    for begin, end in zip(np.linspace(cut, n, steps + 1).astype(int), np.linspace(cut, n, steps + 1).astype(int)[1:], strict=False):
        known = int(np.searchsorted(project.at_s, project.at_s[begin] - WAIT_S, side="right"))
        model = learn(project.features[:known], project.label[:known], prior=prior)
        score = log_odds(model, project.features[begin:end])
        parts.append((score, probability(model.calibration, score), np.full(end - begin, model.threshold)))
    _, found, threshold = (np.concatenate(each) for each in zip(*parts, strict=True))
    # Scores of several models are compared by what they mean.
    return Judged(project.label[cut:], logit(found), found, threshold)


def classic(project: Project) -> dict[str, Judged]:
    """What others do: lines added alone, logistic regression and LightGBM on the fourteen measures, all as published."""
    cut, label = project.cut, project.label
    measures = project.features[:, :14]
    linear = risk_linear.learn(measures[:cut], label[:cut], weight=np.ones(cut), ridge=1.0)
    settings = {"objective": "binary", "learning_rate": 0.03, "num_leaves": 15, "min_data_in_leaf": 30, "verbose": -1, "num_threads": 1}
    trees = lightgbm.train(settings, lightgbm.Dataset(measures[:cut], label[:cut]), 200)
    scores = {
        "lines added alone (LApredict)": measures[cut:, 4],
        "logistic regression, classic features": risk_linear.answer(linear, measures[cut:]),
        "LightGBM, classic features": np.asarray(trees.predict(measures[cut:], raw_score=True), dtype=float),
    }
    return {name: Judged(label[cut:], score) for name, score in scores.items()}


def measure(projects: list[Project], *, quick: bool) -> dict[str, dict[str, Judged]]:
    """Method → project → predictions. The prior of each project is learned from the first four fifths of the others."""
    found: dict[str, dict[str, Judged]] = {}
    for project in projects:
        prior = learn_prior([(each.features[: each.cut], each.label[: each.cut]) for each in projects if each is not project])
        own = learn(project.features[: project.cut], project.label[: project.cut], prior=prior)
        told = classic(project)
        told["other projects only"] = judge_model(project, RiskParts(0.0, prior, None, 0.0, Calibration(), 0.5, 0, 0))
        alone = learn(project.features[: project.cut], project.label[: project.cut], prior=NO_TREES)
        told["own past only"] = judge_model(project, alone)
        told["ours without trees of its own"] = judge_model(
            project, learn(project.features[: project.cut], project.label[: project.cut], prior=prior, with_trees=False)
        )
        told["ours"] = judge_model(project, own)
        told["ours, outcomes known by then only"] = judge_model(project, strict(project, prior))
        if not quick:
            told["the same, learned again four times"] = rolling(project, prior)
        for name, each in told.items():
            found.setdefault(name, {})[project.name] = each
        console.print(
            f"{project.name}: {len(project.label)} changes, {project.label[project.cut :].mean():.0%} of the judged broke something"
        )
    return found


def run(*, quick: bool) -> list[Figure]:
    """All methods on all projects. Raises: BenchError without data."""
    projects = [load(path) for path in sorted(folder().glob("*.csv.gz"))]
    found = measure(projects, quick=quick)
    efforts = {each.name: each.effort[each.cut :] for each in projects}
    figures = [Figure(f"AUC, {name}", _mean(_auc(each) for each in own.values()), "", detail=_each(own)) for name, own in found.items()]
    figures += _ours(found["ours"], efforts)
    raw = {name: {project: _auc(each) for project, each in own.items()} for name, own in found.items()}
    write("risk", "risk", figures, raw)
    show("risk of a change", figures, note="Means over projects unless said otherwise. Effort: lines added and deleted, at least 1.")
    return figures


def _ours(own: dict[str, Judged], efforts: dict[str, Floats]) -> list[Figure]:
    said = {name: _said(each) for name, each in own.items()}
    label, every = np.concatenate([each.label for each in own.values()]), np.concatenate(list(said.values()))
    density = {name: said[name] / np.maximum(efforts[name], 1) for name in own}
    plain = {name: 1 / np.maximum(efforts[name], 1) for name in own}
    gains = [1 - risk_scores.brier(each.label, said[name]) / each.label.var() for name, each in own.items()]
    errors = [risk_scores.calibration_error(each.label, said[name]) for name, each in own.items()]
    chance = risk_scores.calibration_error_by_chance(every)
    return [
        Figure("AUC", _mean(_auc(each) for each in own.values()), "", 0.78, True, "LApredict as published 0.725"),
        Figure("Popt, probability per line", _popt(own, density, efforts), "", 0.9, True,
               f"fewest lines first {_popt(own, plain, efforts):.3f}"),
        Figure("Brier score below that of the judged base rate", 100 * float(np.mean(gains)), "%", 15, True),
        Figure("expected calibration error, all judged changes", risk_scores.calibration_error(label, every), "", 0.03, False,
               f"perfect probabilities: {chance:.3f}", f"project by project {np.mean(errors):.3f}"),
        Figure("right answers on balanced data", 100 * _mean(_right(each) for each in own.values()), "%", 75, True),
    ]  # fmt: skip


def _said(judged: Judged) -> Floats:
    assert judged.probability is not None
    return judged.probability


def _auc(judged: Judged) -> float:
    return risk_scores.auc(judged.label, judged.score) or 0.0


def _right(judged: Judged) -> float:
    return risk_scores.balanced_accuracy(judged.label, _said(judged) >= judged.threshold) or 0.0


def _popt(own: dict[str, Judged], score: dict[str, Floats], efforts: dict[str, Floats]) -> float:
    return _mean(risk_scores.popt(each.label, score[name], efforts[name]) or 0.0 for name, each in own.items())


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _each(own: dict[str, Judged]) -> str:
    return ", ".join(f"{name} {_auc(each):.3f}" for name, each in own.items())


if __name__ == "__main__":
    run(quick=False)
