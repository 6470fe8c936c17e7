"""What is promised to users: an objective, how it is measured, over which window, and what its error budget is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from productops.domain.monitoring_slo_window import Window
from productops.domain.release import Environment

MINUTE_S = 60
DAY_S = 86_400
FAST_S = 3_600


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Method(StrEnum):
    """How the budget is counted: bad events, bad slices of time, or the mean of the slices' shares."""

    OCCURRENCES = "Occurrences"
    TIMESLICES = "Timeslices"
    RATIO_TIMESLICES = "RatioTimeslices"


class OnSpent(StrEnum):
    """What a spent budget does to a release: refused, for somebody to sign, or only told."""

    REFUSE = "refuse"
    APPROVAL = "approval"
    TELL = "tell"


class Compare(StrEnum):
    """What a good value is to its limit."""

    LTE = "lte"
    GTE = "gte"
    LT = "lt"
    GT = "gt"

    def holds(self, value: float, limit: float) -> bool:
        """Whether the value is good."""
        match self:
            case Compare.LTE:
                return value <= limit
            case Compare.GTE:
                return value >= limit
            case Compare.LT:
                return value < limit
            case Compare.GT:
                return value > limit


class RouterMetric(_Strict):
    """What the router counted of a service: requests, failures, or requests that took at most ``below_ms``."""

    kind: Literal["router"] = "router"
    what: Literal["requests", "failures", "latency"]
    below_ms: float | None = Field(default=None, gt=0)


class SeriesMetric(_Strict):
    """A series of our own, by name."""

    kind: Literal["series"] = "series"
    name: str
    component: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)


class SourceMetric(_Strict):
    """A question to a system outside, by the name its connection has here."""

    kind: Literal["source"] = "source"
    source: str
    query: str


Metric = Annotated[RouterMetric | SeriesMetric | SourceMetric, Field(discriminator="kind")]


class Indicator(_Strict):
    """How good and bad are told apart.

    ``ratio``: ``bad`` or ``good`` of ``total``; ``raw``: ``value`` is a share; ``threshold``: ``value`` compared with ``limit``.
    """

    form: Literal["ratio", "raw", "threshold"]
    good: Metric | None = None
    bad: Metric | None = None
    total: Metric | None = None
    value: Metric | None = None
    counter: bool = True
    failure_share: bool = False
    compare: Compare | None = None
    limit: float | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those it asks for."""
        return tuple(each for each in (self.good, self.bad, self.total, self.value) if each is not None)

    @property
    def place(self) -> str:
        """``router``, ``series``, or the name of the source that is asked; all metrics of an indicator are of one place."""
        first = self.metrics[0]
        return first.source if isinstance(first, SourceMetric) else first.kind

    @property
    def needs_latency(self) -> bool:
        """Whether histograms have to be read."""
        return any(isinstance(each, RouterMetric) and each.what == "latency" for each in self.metrics)


class BurnRule(_Strict):
    """Burns too fast when the share of bad events is above the limit in a long and in a short window that both end now.

    ``burn`` is in multiples of what the budget allows, ``ceiling`` the share of bad events above which it is harm whatever the target.
    ``after_s``: it has to hold for so long. It is over when the share of the last ``recover_s`` is below the limit again.
    """

    name: str
    long_s: int = Field(ge=1)
    short_s: int = Field(ge=1)
    burn: float = Field(gt=0)
    severity: Literal["SEV1", "SEV2", "SEV3", "SEV4"]
    ceiling: float = Field(default=0.8, gt=0, le=1)
    recover_s: int = Field(default=0, ge=0)
    after_s: int = Field(default=0, ge=0)
    no_data: bool = False
    firing: bool = True

    def limit(self, budget: float) -> float:
        """Share of bad events above which it burns too fast."""
        return min(self.burn * budget, self.ceiling)

    @property
    def pace(self) -> str:
        """``fast`` for what is worth a call, ``slow`` for what is looked at by day: two alerts, for the slow one outlasts an outage."""
        return "fast" if self.long_s <= FAST_S else "slow"


# The last three are the Workbook's (2 % of a month's budget in an hour, 5 % in six, 10 % in three days); the others find an outage while
# it is seconds old. Their ceiling keeps them of use where the budget is large.
DEFAULT_RULES = (
    BurnRule(name="10s", long_s=10, short_s=3, burn=100, severity="SEV2", ceiling=0.3, recover_s=15),
    BurnRule(name="1m", long_s=60, short_s=10, burn=50, severity="SEV2", ceiling=0.3, recover_s=30),
    BurnRule(name="5m", long_s=300, short_s=60, burn=25, severity="SEV2", ceiling=0.5),
    BurnRule(name="1h", long_s=3_600, short_s=300, burn=14.4, severity="SEV2"),
    BurnRule(name="6h", long_s=21_600, short_s=1_800, burn=6, severity="SEV3"),
    BurnRule(name="3d", long_s=259_200, short_s=21_600, burn=1, severity="SEV4"),
)


class Objective(_Strict):
    """One promise, with everything it refers to filled in. ``target`` is a share in (0, 1); ``slice_s`` and ``slice_target`` of slices."""

    name: str
    slo: str
    title: str = ""
    description: str = ""
    venture: str
    service: str
    environment: Environment = Environment.PRODUCTION
    indicator: Indicator
    method: Method
    target: float = Field(gt=0, lt=1)
    slice_s: int | None = None
    slice_target: float | None = None
    window: Window
    rules: tuple[BurnRule, ...] = DEFAULT_RULES
    on_spent: OnSpent = OnSpent.REFUSE
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def budget(self) -> float:
        """Share of bad events that is allowed."""
        return 1 - self.target

    @property
    def keep_s(self) -> int:
        """So long its minutes are needed."""
        return max(self.window.longest_s, *(rule.long_s for rule in self.rules), DAY_S) + DAY_S


@dataclass(frozen=True, slots=True)
class Counts:
    """Good events and all events; of threshold metrics, samples."""

    good: float = 0.0
    total: float = 0.0

    @property
    def bad(self) -> float:
        """Never negative: a counter of good events may run ahead of that of all by a scrape."""
        return max(0.0, self.total - self.good)

    @property
    def ratio(self) -> float | None:
        """Share of bad ones; None without any."""
        return self.bad / self.total if self.total > 0 else None

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.good + other.good, self.total + other.total)

    @classmethod
    def of(cls, counts: Mapping[Any, Counts]) -> Counts:
        """All of them together."""
        return cls(sum(each.good for each in counts.values()), sum(each.total for each in counts.values()))


@dataclass(frozen=True, slots=True)
class ReleaseBurn:
    """What a release cost: ``minutes`` of the budget above what was expected, of ``bad`` events or slices beyond ``expected`` ones."""

    release_id: str
    version: str
    since: datetime
    until: datetime
    bad: float
    expected: float
    minutes: float


@dataclass(frozen=True, slots=True)
class Budget:
    """The error budget of an objective as of a moment. ``slices`` and ``bad_slices`` are of the methods that count slices, else None.

    ``remaining_ratio`` is negative when more was spent than there is, None when nothing was measured. ``surely_spent``: so few events
    would hardly look like this if the target were kept. ``budget_minutes`` is the whole budget as minutes of a total outage.
    """

    objective: Objective
    since: datetime
    until: datetime
    at: datetime
    good: float
    total: float
    sli: float | None
    slices: int | None
    bad_slices: float | None
    remaining_ratio: float | None
    budget_minutes: float
    burned_minutes: float
    surely_spent: bool
    releases: tuple[ReleaseBurn, ...] = ()

    @property
    def spent(self) -> bool:
        """Whether nothing of it is left."""
        return self.remaining_ratio is not None and self.remaining_ratio <= 0

    @property
    def sentence(self) -> str:
        """In one line."""
        name, target = self.objective.name, f"{100 * self.objective.target:g} %"
        if self.sli is None or self.remaining_ratio is None:
            return f"{name}: nothing was measured yet; the target is {target}"
        left = "nothing is left" if self.spent else f"{100 * self.remaining_ratio:.1f} % is left"
        return (
            f"{name}: {100 * self.sli:.4g} % good where {target} is promised; {self.burned_minutes:.1f} of {self.budget_minutes:.1f} "
            f"minutes of budget are burned, {left}"
        )


@dataclass(frozen=True, slots=True)
class Sum:
    """What was counted in a window: events, and for slices how many there were, bad ones, and the sum of their good shares."""

    good: float = 0.0
    total: float = 0.0
    slices: int = 0
    bad_slices: int = 0
    shares: float = 0.0


def make_budget(objective: Objective, found: Sum, *, now: datetime, alpha: float = 0.001) -> Budget:
    """The budget from what was counted in its window up to ``now``.

    Occurrences: burned = bad / (all events x budget). Timeslices: of all slices of the whole window, so a bad slice costs the same on its
    first and on its last day. RatioTimeslices: (1 - mean share of the slices) by the budget.
    """
    from productops.stats.burn_rate import surely_above

    since, until = objective.window.bounds(now)
    budget_minutes = (until - since).total_seconds() / MINUTE_S * objective.budget
    counted = _count(objective, found, (until - since).total_seconds())
    used = counted.used
    return Budget(
        objective=objective, since=since, until=until, at=now, good=found.good, total=found.total, sli=counted.sli,
        slices=None if objective.method is Method.OCCURRENCES else found.slices,
        bad_slices=None if objective.method is Method.OCCURRENCES else counted.bad,
        remaining_ratio=None if used is None else 1 - used, budget_minutes=budget_minutes,
        burned_minutes=0.0 if used is None else used * budget_minutes,
        surely_spent=used is not None and used >= 1
        and (objective.method is Method.TIMESLICES or surely_above(counted.bad, counted.all, ratio=objective.budget, alpha=alpha)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Counted:
    sli: float | None
    used: float | None
    bad: float
    all: float


def _count(objective: Objective, found: Sum, window_s: float) -> _Counted:
    if objective.method is Method.OCCURRENCES:
        bad = max(0.0, found.total - found.good)
        sli = None if found.total <= 0 else 1 - bad / found.total
        return _Counted(sli, None if sli is None else bad / (found.total * objective.budget), bad, found.total)
    if not found.slices:
        return _Counted(None, None, 0.0, 0.0)
    if objective.method is Method.RATIO_TIMESLICES:
        bad = max(0.0, found.slices - found.shares)
        return _Counted(1 - bad / found.slices, bad / (found.slices * objective.budget), bad, float(found.slices))
    allowed = window_s / (objective.slice_s or MINUTE_S) * objective.budget
    return _Counted(1 - found.bad_slices / found.slices, found.bad_slices / allowed, float(found.bad_slices), float(found.slices))


def at_minute(seconds: float) -> int:
    """The Unix second in which the minute of a moment began."""
    return math.floor(seconds / MINUTE_S) * MINUTE_S


def utc(seconds: float) -> datetime:
    """A moment from Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)
