"""Whether a learned model may speak in a venture, decided on the venture's own later changes; and whether it still may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from productops.stats.risk_features import NAMES
from productops.stats.risk_scores import (
    Bin,
    auc,
    auc_gain,
    brier,
    calibration_error,
    calibration_error_by_chance,
    psi,
    psi_by_chance,
    reliability,
)

Floats = NDArray[np.float64]
CHANGES_MIN = 100
OF_EACH_MIN = 15
SURE_SD = 1.645
"""One-sided 95 %."""
CALIBRATION_ERROR_MAX = 0.05
PSI_MAX = 0.25
AUC_LOSS_MAX = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """One change after the model was learned: what was said then, its lines (added, all), and whether it broke something."""

    probability: float
    lines_added: float
    lines_changed: float
    broke: bool


@dataclass(frozen=True, slots=True)
class Trust:
    """``trusted`` and the sentence that says why; figures are None where they could not be worked out."""

    why: str
    changes: int
    trusted: bool = False
    auc: float | None = None
    auc_rule: float | None = None
    brier: float | None = None
    brier_base: float | None = None
    calibration_error: float | None = None


def trust(outcomes: Sequence[Outcome], *, usual: float) -> Trust:
    """Trusted when it orders changes surely better than their size does, and its probabilities beat saying ``usual`` of every change.

    ``outcomes``: of changes that it did not learn from. ``usual``: the share that broke something among those it learned from, in [0, 1].
    """
    n, broke = len(outcomes), sum(each.broke for each in outcomes)
    if n < CHANGES_MIN or min(broke, n - broke) < OF_EACH_MIN:
        needed = f"{CHANGES_MIN} with {OF_EACH_MIN} of each kind are needed"
        return Trust(f"only {n} later changes are known, {broke} of which broke something; {needed}", n)
    label = np.array([int(each.broke) for each in outcomes])
    said = np.array([each.probability for each in outcomes])
    # The stronger of the two simple rules is the one to beat.
    rules = [np.array([each.lines_added for each in outcomes]), np.array([each.lines_changed for each in outcomes])]
    rule = max(rules, key=lambda each: auc(label, each) or 0.0)
    gain, error = auc_gain(label, said, rule)
    own, base = brier(label, said), brier(label, np.full(n, usual))
    off = calibration_error(label, said)
    allowed = CALIBRATION_ERROR_MAX + calibration_error_by_chance(said)
    ours, theirs = auc(label, said), auc(label, rule)
    failed = [
        (gain <= SURE_SD * error, f"it is not surely better than the size of a change (AUC {ours:.3f}, size {theirs:.3f} ± {error:.3f})"),
        (own >= base, f"its probabilities are no better than saying {usual:.0%} of every change (Brier {own:.3f}, {base:.3f})"),
        (off > allowed, f"its probabilities are off by {off:.3f}, more than {allowed:.3f}"),
    ]
    against = "; ".join(words for wrong, words in failed if wrong)
    why = against or f"on {n} later changes its AUC is {ours:.3f}, by size {theirs:.3f}; Brier {own:.3f}, the usual share's {base:.3f}"
    return Trust(why, n, not against, ours, theirs, own, base, off)


@dataclass(frozen=True, slots=True)
class Window:
    """Figures of one stretch of changes; ``auc`` None when one kind of outcome is missing."""

    changes: int
    auc: float | None
    calibration_error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """``features``: name and stability index of those that moved beyond chance and 0.25; ``windows``: oldest first."""

    features: tuple[tuple[str, float], ...]
    windows: tuple[Window, ...]
    warnings: tuple[str, ...]

    @property
    def drifted(self) -> bool:
        """Whether somebody should look, and the model be learned again."""
        return bool(self.warnings)


def watch_drift(learned_from: Floats, recent: Floats, outcomes: Sequence[Outcome], *, window: int = 200) -> Drift:
    """Compare what comes in with what was learned from, and look at the outcomes in stretches of ``window`` changes, in order of time.

    ``learned_from``, ``recent``: (n, 58) and (m, 58) features; an empty one says nothing of features.
    """
    moved = _moved(learned_from, recent) if len(learned_from) and len(recent) else ()
    windows = tuple(_window(outcomes[begin : begin + window]) for begin in range(0, len(outcomes) - window + 1, window))
    warnings = [f"{name} is spread differently than in what was learned from (index {value:.2f})" for name, value in moved]
    known = [each.auc for each in windows if each.auc is not None]
    if len(known) >= 2 and known[-1] < max(known[:-1]) - AUC_LOSS_MAX and known[-1] < float(np.mean(known[:-1])) - AUC_LOSS_MAX:
        warnings.append(f"the order got worse: AUC {known[-1]:.3f} in the newest {window} changes, {np.mean(known[:-1]):.3f} before")
    if windows and (off := windows[-1].calibration_error) > 0.1:
        warnings.append(f"probabilities of the newest {window} changes are off by {off:.2f}")
    return Drift(moved, windows, tuple(warnings))


def _moved(learned_from: Floats, recent: Floats) -> tuple[tuple[str, float], ...]:
    limit = max(PSI_MAX, psi_by_chance(len(learned_from), len(recent)))
    found = [(name, psi(learned_from[:, place], recent[:, place])) for place, name in enumerate(NAMES)]
    return tuple(sorted(((name, value) for name, value in found if value > limit), key=lambda each: -each[1]))


def _window(outcomes: Sequence[Outcome]) -> Window:
    label = np.array([int(each.broke) for each in outcomes])
    said = np.array([each.probability for each in outcomes])
    return Window(len(outcomes), auc(label, said), calibration_error(label, said), tuple(reliability(label, said)))
