"""Why a change is risky or not, in words with figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from productops.stats.risk_features import NAMES

Floats = NDArray[np.float64]
EFFECT_MIN = 0.05


@dataclass(frozen=True, slots=True)
class Reason:
    """``effect``: log-odds that a group of measures adds (above 0: riskier) against an average change."""

    group: str
    text: str
    effect: float

    @property
    def factor(self) -> float:
        """By what the odds are multiplied."""
        return math.exp(self.effect)


_GROUPS: dict[str, tuple[str, ...]] = {
    "size": ("la", "ld", "churn", "la_per_file", "churn_per_file", "la_relative", "ld_relative", "deleted_share", "net", "la_rank",
             "churn_rank", "la_nuc", "la_entropy", "la_by_exp"),
    "spread": ("ns", "nd", "nf", "entropy", "entropy_relative"),
    "files": ("lt", "lines_total", "ndev", "age", "nuc", "nuc_per_file", "ndev_per_file", "nuc_per_dev", "nuc_by_age", "nuc_rank",
              "lt_rank", "age_rank", "ndev_rank"),
    "experience": ("exp", "rexp", "sexp", "sexp_share", "rexp_share", "exp_rank", "author_changes"),
    "author": ("author_rate", "author_excess", "author_gap_s", "author_day", "author_week", "author_churn", "author_fixes", "author_rank",
               "author_last_churn"),
    "pace": ("hour", "weekday", "gap_s", "changes_hour", "changes_day", "changes_week"),
    "venture": ("venture_rate",),
    "purpose": ("fix",),
    "repeat": ("repeat", "repeat_gap_s"),
}  # fmt: skip
_PLACE = {name: place for place, name in enumerate(NAMES)}

Values = Mapping[str, float]
_WORDS: dict[str, Callable[[Values], str]] = {
    "size": lambda v: f"{v['la']:.0f} lines added and {v['ld']:.0f} deleted, more than {v['churn_rank']:.0%} of recent changes",
    "spread": lambda v: f"{v['nf']:.0f} files in {v['nd']:.0f} folders and {v['ns']:.0f} subsystems, entropy {v['entropy']:.1f} bits",
    "files": lambda v: f"its files saw {v['nuc']:.0f} earlier changes by {v['ndev']:.0f} people, the last {v['age']:.0f} days ago",
    "experience": lambda v: f"the author made {v['exp']:.0f} changes before, {v['sexp']:.0f} of them in these subsystems",
    "author": lambda v: (
        f"of the author's changes {v['author_rate']:.0%} broke something (evened out; all: {v['venture_rate']:.0%}), "
        f"{v['author_week']:.0f} in a week"
    ),
    "pace": lambda v: f"{v['changes_day']:.0f} changes of all in the last day, made at {v['hour']:.0f}:00 UTC",
    "venture": lambda v: f"of all recent changes {v['venture_rate']:.0%} broke something",
    "purpose": lambda v: "it mends a defect" if v["fix"] else "it does not mend a defect",
    "repeat": lambda v: "a change of the same size was made before" if v["repeat"] else "no change of this size was made before",
}


def reasons(effects: Floats, row: Floats, *, count: int) -> tuple[Reason, ...]:
    """The ``count`` strongest groups. ``effects`` and ``row`` (58,) in the order of ``NAMES``; what moves less than 5 % is left out."""
    values = {name: float(row[place]) for name, place in _PLACE.items()}
    found = []
    for group, names in _GROUPS.items():
        effect = float(sum(effects[_PLACE[name]] for name in names))
        if abs(effect) >= EFFECT_MIN:
            change = f"{math.exp(abs(effect)):.1f}× {'higher' if effect > 0 else 'lower'} odds"
            found.append(Reason(group, f"{_WORDS[group](values)}: {change}", effect))
    return tuple(sorted(found, key=lambda each: -abs(each.effect))[:count])
