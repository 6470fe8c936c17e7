"""What is known of a change at the moment it is made, as numbers: fourteen classic measures and what follows from them and from the past.

The fourteen are those of Kamei et al. 2013, "A large-scale empirical study of just-in-time quality assurance". All else is computed from
earlier changes only, and of their labels only those that were known by then: whether a change broke something is learned much later.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLASSIC = ("ns", "nd", "nf", "entropy", "la", "ld", "lt", "fix", "ndev", "age", "nuc", "exp", "rexp", "sexp")
DERIVED = (
    "churn", "la_per_file", "churn_per_file", "la_relative", "ld_relative", "deleted_share", "entropy_relative", "nuc_per_file",
    "ndev_per_file", "nuc_per_dev", "sexp_share", "rexp_share", "lines_total", "nuc_by_age", "la_nuc", "la_entropy", "la_by_exp", "net",
    "hour", "weekday", "gap_s", "changes_hour", "changes_day", "changes_week",
)  # fmt: skip
AUTHOR = ("author_gap_s", "author_rate", "author_changes", "author_day", "author_week", "author_churn", "author_fixes", "author_rank",
          "author_last_churn", "venture_rate", "author_excess")  # fmt: skip
RANKED = ("la", "churn", "nuc", "lt", "exp", "age", "ndev")
NAMES = (*CLASSIC, *DERIVED, *AUTHOR, *(f"{name}_rank" for name in RANKED), "repeat", "repeat_gap_s")
UNKNOWN = -1.0
"""Stands for what cannot be known, such as the last change of a newcomer; no measure but differences of rates is negative."""
WINDOW = 300
RATE_MEMORY = 500.0
AUTHOR_PRIOR = 10.0
RECENT = 30
_HOUR, _DAY, _WEEK = 3600.0, 86400.0, 604800.0


@dataclass(frozen=True, slots=True)
class History:
    """Changes in order of time. ``at_s`` (n,) seconds since 1970; ``classic`` (n, 14) in the order of ``CLASSIC``; ``author`` (n,) numbers.

    ``label`` (n,): 1 broke something, 0 did not, -1 nobody knows; ``known_at_s`` (n,): since when the label is known, infinity for never.
    Units: lines, files, developers, days (age), changes; ``fix`` is 0 or 1. Raises: ValueError when shapes, order or values do not fit.
    """

    at_s: Floats
    classic: Floats
    author: Ints
    label: Ints
    known_at_s: Floats

    def __post_init__(self) -> None:
        n = len(self.at_s)
        if self.classic.shape != (n, len(CLASSIC)) or any(each.shape != (n,) for each in (self.author, self.label, self.known_at_s)):
            raise ValueError(f"a history of {n} changes needs ({n}, {len(CLASSIC)}) measures and {n} authors, labels and times")
        if not (np.isfinite(self.at_s).all() and np.isfinite(self.classic).all()) or (self.classic < 0).any():
            raise ValueError("the measures of a change are finite and not negative")
        if (np.diff(self.at_s) < 0).any():
            raise ValueError("changes are in order of time")


def features(history: History, first: int = 0) -> Floats:
    """(n - first, 58) features of the changes from ``first`` on, in the order of ``NAMES``; all finite."""
    classic = {name: history.classic[:, column] for column, name in enumerate(CLASSIC)}
    columns: dict[str, Floats] = classic | _derived(classic) | _time(history.at_s)
    ranks = {f"{name}_rank": _rank(columns[name]) for name in RANKED}
    columns |= ranks | _repeats(history.at_s, columns) | _authors(history, columns["churn"])
    return np.column_stack([columns[name][first:] for name in NAMES])


def _derived(c: dict[str, Floats]) -> dict[str, Floats]:
    files, devs, changes = np.maximum(c["nf"], 1), np.maximum(c["ndev"], 1), np.maximum(c["exp"], 1)
    churn, log = c["la"] + c["ld"], np.log1p
    return {
        "churn": churn, "la_per_file": c["la"] / files, "churn_per_file": churn / files, "la_relative": c["la"] / (c["lt"] + 1),
        "ld_relative": c["ld"] / (c["lt"] + 1), "deleted_share": c["ld"] / (churn + 1),
        "entropy_relative": c["entropy"] / np.maximum(np.log2(np.maximum(files, 2)), 1), "nuc_per_file": c["nuc"] / files,
        "ndev_per_file": c["ndev"] / files, "nuc_per_dev": c["nuc"] / devs, "sexp_share": c["sexp"] / changes,
        "rexp_share": c["rexp"] / changes, "lines_total": c["lt"] * files, "nuc_by_age": log(c["nuc"]) / (1 + log(c["age"])),
        "la_nuc": log(c["la"]) * log(c["nuc"]), "la_entropy": log(c["la"]) * c["entropy"],
        "la_by_exp": log(c["la"]) / (1 + log(c["exp"])), "net": c["la"] - c["ld"],
    }  # fmt: skip


def _time(at: Floats) -> dict[str, Floats]:
    """Hour and weekday are in UTC, Thursday is 0; the gap is to the change before, whoever made it."""
    place = np.arange(len(at))
    within = {name: place - np.searchsorted(at, at - width) for name, width in (("hour", _HOUR), ("day", _DAY), ("week", _WEEK))}
    counts = {f"changes_{name}": count.astype(np.float64) for name, count in within.items()}
    return {"hour": at // _HOUR % 24, "weekday": at // _DAY % 7, "gap_s": np.diff(at, prepend=at[:1]), **counts}


def _rank(values: Floats) -> Floats:
    """Share of the last ``WINDOW`` changes that had less; one half when fewer than 20 are known."""
    n = len(values)
    padded = np.concatenate([np.full(WINDOW, np.inf), values])
    found = np.full(n, 0.5)
    for begin in range(0, n, 4096):
        rows = np.lib.stride_tricks.sliding_window_view(padded[begin : min(begin + 4096, n) + WINDOW - 1], WINDOW)
        found[begin : begin + len(rows)] = (rows < values[begin : begin + len(rows), None]).sum(axis=1)
    known = np.minimum(np.arange(n), WINDOW)
    return np.where(known >= 20, found / np.maximum(known, 1), 0.5)


def _repeats(at: Floats, c: dict[str, Floats]) -> dict[str, Floats]:
    """Whether a change of the same size and spread was made before (a backport, a second try), and how long ago."""
    seen: dict[tuple[float, ...], int] = {}
    repeat, gap = np.zeros(len(at)), np.full(len(at), UNKNOWN)
    keys = zip(c["la"].tolist(), c["ld"].tolist(), c["nf"].tolist(), c["entropy"].tolist(), strict=True)
    for place, key in enumerate(keys):
        if key in seen and key[0] + key[1] > 6:
            repeat[place], gap[place] = 1.0, at[place] - at[seen[key]]
        seen[key] = place
    return {"repeat": repeat, "repeat_gap_s": gap}


@dataclass(slots=True)
class _Author:
    changes: int = 0
    last_s: float = 0.0
    last_churn: float = 0.0
    known: int = 0
    broke: int = 0
    week: deque[float] = field(default_factory=deque)
    churn: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    fixes: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))


def _authors(history: History, churn: Floats) -> dict[str, Floats]:
    """One pass over time; labels wait in a heap until they are known."""
    n = len(history.at_s)
    found = np.empty((n, len(AUTHOR)))
    people: dict[int, _Author] = {}
    waiting: list[tuple[float, int]] = []
    broke, known = 0.2 * 10, 10.0
    keep = 1 - 1 / RATE_MEMORY
    for place in range(n):
        now = history.at_s[place]
        while waiting and waiting[0][0] <= now:
            past = heapq.heappop(waiting)[1]
            label = int(history.label[past])
            broke, known = keep * broke + label, keep * known + 1
            owner = people[int(history.author[past])]
            owner.known, owner.broke = owner.known + 1, owner.broke + label
        author = people.setdefault(int(history.author[place]), _Author())
        found[place] = _record(author, now, float(churn[place]), broke / known)
        _remember(author, now, float(churn[place]), float(history.classic[place, 7]))
        if history.label[place] >= 0 and np.isfinite(history.known_at_s[place]):
            heapq.heappush(waiting, (float(history.known_at_s[place]), place))
    return {name: found[:, column] for column, name in enumerate(AUTHOR)}


def _record(author: _Author, now: float, churn: float, rate: float) -> tuple[float, ...]:
    own = (author.broke + AUTHOR_PRIOR * rate) / (author.known + AUTHOR_PRIOR)
    while author.week and author.week[0] < now - _WEEK:
        author.week.popleft()
    if not author.changes:
        return (UNKNOWN, own, 0.0, 0.0, 0.0, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, rate, own - rate)
    recent = len(author.churn)
    return (
        now - author.last_s, own, author.changes, sum(each > now - _DAY for each in author.week), len(author.week),
        sum(np.log1p(author.churn)) / recent, sum(author.fixes) / recent, sum(each < churn for each in author.churn) / recent,
        float(np.log1p(author.last_churn)), rate, own - rate,
    )  # fmt: skip


def _remember(author: _Author, now: float, churn: float, fix: float) -> None:
    author.changes, author.last_s, author.last_churn = author.changes + 1, now, churn
    author.week.append(now)
    author.churn.append(churn)
    author.fixes.append(fix)
