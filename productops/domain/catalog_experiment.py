"""Experiments, as the catalog's YAML names them: ``kind: Experiment``. What is asked, of whom, by which numbers, and when it is enough."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.domain.catalog_flags import AttributeValue, FlagKey, VariantName
from productops.domain.catalog_webhooks import EntryName
from productops.domain.release import Environment

EventName = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]
Days = Annotated[float, Field(gt=0, le=365)]
Rate = Annotated[float, Field(gt=0, lt=1)]


class Method(StrEnum):
    """When an answer may be read."""

    SEQUENTIAL = "sequential"
    FIXED = "fixed"
    BAYESIAN = "bayesian"


class Correction(StrEnum):
    """What is done about asking several questions."""

    HOLM = "holm"
    BENJAMINI_HOCHBERG = "benjamini-hochberg"
    NONE = "none"


class OnBreach(StrEnum):
    """What happens when a guardrail does not hold."""

    RAMP_DOWN = "ramp-down"
    KILL = "kill"
    TELL = "tell"


class Dimension(StrEnum):
    """What people may be told apart by: the columns of the event by which they first met the experiment."""

    PLATFORM = "platform"
    COUNTRY = "country"
    VERSION = "version"
    SERVICE = "service"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measure(_Strict):
    """Which events count, and what counts of each."""

    event: EventName = Field(default="", description="Name of the event; empty: any name.")
    feature: EventName = Field(default="", description="Only events of this feature; empty: of any.")
    where: dict[str, AttributeValue] = Field(
        default_factory=dict, max_length=10, description="Only events whose properties have exactly these values."
    )
    value: Annotated[str, Field(pattern=r"^(count|value|duration_ms|failed|properties\.[^\x00]{1,100})$")] = Field(
        default="count",
        description="What each event counts: `count` 1, `value` its amount, `duration_ms`, `failed` 1 if it did, `properties.x` a number.",
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.event and not self.feature:
            raise ValueError("name an event or a feature")
        return self


class MetricSpec(Measure):
    """One number by variant."""

    name: EntryName
    kind: Literal["conversion", "mean", "ratio", "quantile", "retention"] = Field(
        description="`conversion`: share of people who did it; `mean`: sum by person; `ratio`: sum over the sum of `per`; `quantile`: of "
        "all such events; `retention`: share of people who did it between `from_days` and `from_days` + `window_days` after they met it."
    )
    per: Measure | None = Field(default=None, description="Denominator of a ratio.")
    quantile: Rate = Field(default=0.95, description="Which quantile.")
    window_days: Days = Field(default=7, description="So long after somebody met the experiment their events count.")
    from_days: float = Field(default=0, ge=0, le=365, description="Retention: from so long after on.")
    better: Literal["higher", "lower"] = "higher"
    minimum_effect: float = Field(default=0.05, gt=0, le=10, description="Smallest relative change worth knowing: 0.05 is 5 %.")
    past_days: float = Field(
        default=0, ge=0, le=90, description="Take out what the same people's last so many days foretold (CUPED); 0: nothing."
    )
    cap: Rate | None = Field(default=None, description="Nobody counts more than this quantile of those who did it at all: 0.99.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.per is not None) is not (self.kind == "ratio"):
            raise ValueError("`per` is the denominator of a ratio, and only of a ratio")
        if self.from_days and self.kind != "retention":
            raise ValueError("`from_days` is of retention only")
        if self.past_days and self.kind in {"quantile", "retention"}:
            raise ValueError(f"a {self.kind} cannot be adjusted by the past; leave past_days out")
        if self.cap is not None and self.kind not in {"mean", "ratio"}:
            raise ValueError(f"a {self.kind} has nothing to cap")
        return self

    @property
    def lower_is_better(self) -> bool:
        """Whether less of it is good."""
        return self.better == "lower"

    @property
    def ends_days(self) -> float:
        """So long after somebody met the experiment everything that counts has happened."""
        return self.from_days + self.window_days


class GuardrailSpec(MetricSpec):
    """A number that must not get worse, whatever else gets better. It is looked at without waiting for anybody's window to end."""

    tolerance: float = Field(default=0, ge=0, le=10, description="Worse by this much, relatively, is still borne: 0.02 is 2 %.")


class PriorSpec(_Strict):
    """What is believed of the relative change before anybody looks."""

    mean: float = Field(default=0, ge=-10, le=10)
    deviation: float = Field(default=0.3, gt=0, le=100)


class ExperimentSpec(_Strict):
    """What is tried, on whom, and by which numbers it is decided."""

    hypothesis: str = Field(min_length=1, max_length=2000, description="What should happen, and why.")
    flag: FlagKey = Field(description="Flag whose variants are compared.")
    environment: Environment = Environment.PRODUCTION
    control: VariantName = Field(default="off", description="Variant that others are compared with.")
    variants: tuple[VariantName, ...] = Field(min_length=1, max_length=9, description="Variants that are compared with it.")
    shares: dict[VariantName, float] = Field(
        default_factory=dict, max_length=10, description="Planned shares of people, in any unit; left out: all alike. Tells a wrong split."
    )
    unit: Literal["person"] = Field(default="person", description="Who is counted once.")
    owner: str = Field(min_length=1, max_length=255, description="Who decides.")
    metrics: tuple[MetricSpec, ...] = Field(
        min_length=1, max_length=20, description="The first one decides; the others are read beside it."
    )
    guardrails: tuple[GuardrailSpec, ...] = Field(default=(), max_length=20)
    on_breach: OnBreach = Field(
        default=OnBreach.RAMP_DOWN, description="When a guardrail does not hold: take the flag back, kill it, or tell."
    )
    method: Method = Field(
        default=Method.SEQUENTIAL,
        description="`sequential`: look whenever you like; `fixed`: one look at the planned end; `bayesian`: chance and expected loss.",
    )
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="Largest chance of a difference where there is none.")
    power: float = Field(default=0.8, gt=0, lt=1, description="Chance to see the smallest effect worth knowing.")
    correction: Correction = Field(default=Correction.HOLM, description="For several variants and metrics.")
    prior: PriorSpec = PriorSpec()
    planned_days: Days = Field(default=14, description="It is planned to run so long.")
    planned_people: int = Field(default=0, ge=0, le=10**9, description="And until so many people met it; 0: days decide.")
    segments: tuple[Dimension, ...] = Field(default=(), max_length=4, description="Look at these groups of people beside the whole.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [each.name for each in (*self.metrics, *self.guardrails)]
        if double := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two metrics are named {min(double)!r}")
        if self.control in self.variants or len(set(self.variants)) < len(self.variants):
            raise ValueError("name each variant once, and the control not among them")
        if self.shares and (set(self.shares) != set(self.arms) or min(self.shares.values()) <= 0):
            raise ValueError(f"name a share above 0 for each of {', '.join(self.arms)}, or none at all")
        return self

    @property
    def arms(self) -> tuple[str, ...]:
        """All variants, the control first."""
        return (self.control, *self.variants)

    @property
    def planned_shares(self) -> tuple[float, ...]:
        """By arm, summing to 1."""
        weights = [self.shares.get(arm, 1.0) for arm in self.arms]
        return tuple(weight / sum(weights) for weight in weights)


class ExperimentMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class ExperimentEntry(_Strict):
    """``kind: Experiment``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Experiment"]
    metadata: ExperimentMetadata
    spec: ExperimentSpec
