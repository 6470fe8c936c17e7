"""The learned risk of a change: what goes in, what comes out, and how it stands beside the rule that anybody can follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from productops.domain.catalog_approvals import RiskLevel
from productops.domain.development_risk_words import Reason, reasons
from productops.domain.governance_approvals_risk import Risk, RiskFacts, RiskRule
from productops.stats.risk_calibration import probability
from productops.stats.risk_features import CLASSIC, History, features
from productops.stats.risk_model import RiskParts, learn, log_odds, shares
from productops.stats.risk_trees import NO_TREES, Trees

MEDIUM_FACTOR, HIGH_FACTOR = 1.0, 2.0
"""Times the venture's usual share of changes that broke something, from which a change is medium or high."""
HIGH_PROBABILITY = 0.6
"""High in any venture, however usual harm is there."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The fourteen measures of a change when it is made. Source: Kamei et al. 2013, table 1.

    Counts of subsystems, folders and files touched; ``entropy``: spread of lines over files, bits; lines added, deleted, and before (of
    the files, mean); ``is_fix``; developers who touched the files, ``days_since_touched`` (mean), earlier changes of the files; and of the
    author: changes ever, weighted by recency, and in these subsystems.
    """

    subsystems: float
    folders: float
    files: float
    entropy: float
    lines_added: float
    lines_deleted: float
    lines_before: float
    is_fix: bool
    developers: float
    days_since_touched: float
    changes_before: float
    author_changes: float
    author_recent_changes: float
    author_subsystem_changes: float

    def row(self) -> list[float]:
        """In the order of ``CLASSIC``."""
        return [float(getattr(self, name)) for name in self.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A change with its measures. ``broke``: whether it broke something, since ``known_at``; both None while nobody knows."""

    id: str
    at: datetime
    author: str
    measures: Measures
    broke: bool | None = None
    known_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """Of one change: ``probability`` that it breaks something, ``usual`` the venture's own share, level and reasons.

    ``score``: log-odds before calibration; keep it, later calibrations and the trust are learned from it.
    """

    change: str
    probability: float
    usual: float
    score: float
    level: RiskLevel
    risky: bool
    reasons: tuple[Reason, ...]


def history_of(records: Sequence[ChangeRecord]) -> History:
    """The records in order of time as numbers. Raises: ValueError when a measure is negative or not finite."""
    people: dict[str, int] = {}
    return History(
        np.array([each.at.timestamp() for each in records]),
        np.array([each.measures.row() for each in records]).reshape(len(records), len(CLASSIC)),
        np.array([people.setdefault(each.author, len(people)) for each in records], np.int64),
        np.array([-1 if each.broke is None else int(each.broke) for each in records], np.int64),
        np.array([np.inf if each.known_at is None else each.known_at.timestamp() for each in records]),
    )


def in_time(records: Sequence[ChangeRecord]) -> list[ChangeRecord]:
    """Each id once, the last record of it, in order of time."""
    return sorted({each.id: each for each in records}.values(), key=lambda each: (each.at, each.id))


def learn_risk(
    records: Sequence[ChangeRecord], *, now: datetime, prior: Trees = NO_TREES, seed: int = 1, with_trees: bool = True
) -> RiskParts:
    """Learn from every change whose outcome was known at ``now``; those of later are not looked at. Raises: ImportError, see ``learn``."""
    known = in_time([each for each in records if each.at <= now])
    history = history_of(known)
    usable = (history.label >= 0) & (history.known_at_s <= now.timestamp())
    return learn(features(history)[usable], history.label[usable], prior=prior, seed=seed, with_trees=with_trees)


def assess(model: RiskParts, records: Sequence[ChangeRecord], *, new: Sequence[str], reasons_max: int = 4) -> list[Assessment]:
    """Rate the changes named ``new``, among ``records`` (the venture's history with them), by what was known at each one's moment."""
    ordered = in_time(records)
    wanted = set(new)
    places = [place for place, each in enumerate(ordered) if each.id in wanted]
    if not places:
        return []
    rows = features(history_of(ordered), places[0])[[place - places[0] for place in places]]
    scores = log_odds(model, rows)
    said = probability(model.calibration, scores)
    usual = model.broke / model.changes if model.changes else 0.5
    return [
        Assessment(
            ordered[place].id, float(chance), usual, float(score), level_of(float(chance), usual), bool(chance >= model.threshold),
            reasons(shares(model, row), row, count=reasons_max),
        )
        for place, row, score, chance in zip(places, rows, scores, said, strict=True)
    ]  # fmt: skip


def level_of(chance: float, usual: float) -> RiskLevel:
    """Low below the usual share, high from twice the usual share or from 0.6, medium between."""
    if chance >= min(HIGH_FACTOR * usual, HIGH_PROBABILITY):
        return RiskLevel.HIGH
    return RiskLevel.MEDIUM if chance >= MEDIUM_FACTOR * usual else RiskLevel.LOW


_ORDER = (RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH)


@dataclass(frozen=True, slots=True)
class LearnedRisk:
    """A ``ports.RiskModel``: the rule, raised by what was learned. A trusted assessment never lowers what the rule says.

    ``assessments``: of the changes that a release brings; ``trusted``: what ``trust`` decided for the venture.
    """

    rule: RiskRule
    assessments: tuple[Assessment, ...]
    trusted: bool

    def rate(self, facts: RiskFacts) -> Risk:
        """The higher of both levels with its reasons; the rule alone without trust or assessments."""
        ruled = self.rule.rate(facts)
        if not self.trusted or not self.assessments:
            return ruled
        worst = max(self.assessments, key=lambda each: each.probability)
        said = f"change {worst.change} breaks something with {worst.probability:.0%}, usual here are {worst.usual:.0%}"
        learned = tuple(each.text for each in worst.reasons if each.effect > 0)
        level = max(ruled.level, worst.level, key=_ORDER.index)
        return Risk(level, (*ruled.reasons, said, *learned))
