"""What an incident may come from: evidence for and against, in natural-log odds, and the ledger that ranks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from productops.domain.release import Environment


class CauseKind(StrEnum):
    """What kind of thing can have done it. ``unknown`` is a hypothesis like the others: nothing that we looked at."""

    RELEASE = "release"
    FLAG = "flag"
    CONFIG = "config"
    SCALING = "scaling"
    DEPENDENCY = "dependency"
    INSTANCE = "instance"
    HOST = "host"
    TRAFFIC = "traffic"
    UNKNOWN = "unknown"


class CauseVerdict(StrEnum):
    """What a person found a hypothesis to be."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation with its figures. ``weight``: natural-log odds that it moves, above 0 for and below 0 against.

    ``at`` is when the thing happened, ``link`` where to read it: a path of the API. ``direct``: it was seen of this very thing, and is more
    than a coincidence in time or a matter of how often such things happen.
    """

    text: str
    weight: float
    at: datetime | None = None
    link: str | None = None
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Something that may have done it. ``probability``: 0 to 1 among all of a ledger.

    ``remedy`` names a step of a playbook and what it acts on: ``{"step": "roll-back", "release_id": …}``, ``{"step": "disable-flag",
    "flag": …}``, ``{"step": "restart", "instance": …}``; empty: nothing that a program should do by itself.
    """

    kind: CauseKind
    subject: str
    service: str
    environment: Environment
    probability: float
    supporting: tuple[Evidence, ...] = ()
    refuting: tuple[Evidence, ...] = ()
    remedy: Mapping[str, Any] = field(default_factory=dict)
    verdict: CauseVerdict | None = None

    @property
    def key(self) -> str:
        """What names it within an incident: ``release:<id>``, ``flag:checkout-v2``, ``unknown:``."""
        return f"{self.kind.value}:{self.subject}"

    @property
    def proven(self) -> bool:
        """Whether anything that speaks for it was seen of this very thing. Without that a program does not act on it."""
        return any(each.direct and each.weight > 0 for each in self.supporting)


@dataclass(frozen=True, slots=True)
class Onset:
    """When it began: the best second, between ``low`` and ``high`` with 95 % probability. ``series`` broke first."""

    at: datetime
    low: datetime
    high: datetime
    series: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """One look at an incident. ``hypotheses``: the likeliest first, with probabilities that add up to 1.

    ``sources``: what was looked at and how much was there; ``missing``: what could not be looked at, and why. ``took_s``: seconds.
    """

    incident_id: str
    at: datetime
    hypotheses: tuple[Hypothesis, ...]
    onset: Onset | None = None
    id: str = ""
    by: str = ""
    sources: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    took_s: float = 0.0

    @property
    def top(self) -> Hypothesis:
        """The likeliest; a ledger has at least ``unknown``."""
        return self.hypotheses[0]

    def find(self, key: str) -> Hypothesis | None:
        """A hypothesis by its key."""
        return next((each for each in self.hypotheses if each.key == key), None)

    def rank(self, key: str) -> int | None:
        """1 for the likeliest; None for what is not in it."""
        return next((at for at, each in enumerate(self.hypotheses, 1) if each.key == key), None)


@dataclass(frozen=True, slots=True)
class CauseDecision:
    """What a person said about a hypothesis. ``rank`` and ``probability`` are those of the first look (None: it was in none)."""

    incident_id: str
    venture: str | None
    kind: CauseKind
    subject: str
    verdict: CauseVerdict
    rank: int | None
    probability: float | None
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CauseRecord:
    """How often the first look was right, over incidents whose cause a person confirmed."""

    confirmed: int
    first: int
    among_three: int

    @property
    def sentence(self) -> str:
        """In words."""
        if not self.confirmed:
            return "no cause was confirmed by a person yet, so nobody knows how often the first hypothesis is right"
        return (
            f"of {self.confirmed} confirmed causes the first look had {self.first} on top ({self.first / self.confirmed:.0%}) "
            f"and {self.among_three} among its first three ({self.among_three / self.confirmed:.0%})"
        )
