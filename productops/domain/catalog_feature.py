"""What a feature is for, as the catalog's YAML names it: ``kind: Feature``. The work itself stays in its tool."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.domain.catalog_webhooks import EntryName

WorkKey = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00\s]+$")]
Share = Annotated[float, Field(gt=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SloGoal(_Strict):
    """The service keeps answering well: a share of requests without failure, or a latency."""

    kind: Literal["slo"]
    service: EntryName
    success_ratio: Share | None = Field(default=None, description="At least this share of requests does not fail: 0.999.")
    latency_ms_p99: float | None = Field(default=None, gt=0, description="99 of 100 requests are answered within this, milliseconds.")
    requests_min: int = Field(default=1000, ge=1, description="With fewer requests since the release it is inconclusive.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.success_ratio is None) == (self.latency_ms_p99 is None):
            raise ValueError("name either success_ratio or latency_ms_p99")
        return self


class AdoptionGoal(_Strict):
    """It is used: a share of the flag's evaluations gives the variant."""

    kind: Literal["adoption"]
    flag: EntryName
    variant: str = Field(default="on", min_length=1, max_length=100, description="Variant that shows the feature.")
    share_min: Share = Field(default=0.5, description="At least this share of evaluations gives the variant.")
    evaluations_min: int = Field(default=100, ge=1, description="With fewer evaluations it is inconclusive.")


class UsageGoal(_Strict):
    """People use it: of those who are active on a day, a share used the feature, by usage events."""

    kind: Literal["usage"]
    feature: str = Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$", description="Key of the feature in usage events.")
    share_min: Share = Field(default=0.1, description="At least this share of a day's active people used it, as a mean over the window.")
    window_days: int = Field(default=7, ge=1, le=90, description="So many days before it is asked for are taken together.")
    people_min: int = Field(default=20, ge=1, description="With fewer active people a day it is inconclusive.")


class QualityGoal(_Strict):
    """It does little harm: so many incidents and roll backs of releases that brought it, at most."""

    kind: Literal["quality"]
    incidents_max: int = Field(default=0, ge=0, description="Incidents attributed to releases that brought it.")
    rollbacks_max: int = Field(default=0, ge=0, description="Releases of it that were rolled back.")


class MeasureGoal(_Strict):
    """Something that nothing here measures yet; it is inconclusive until something does."""

    kind: Literal["measure"]
    sentence: str = Field(min_length=1, max_length=500, description="What would show it: 'a tenth of orders are paid with it'.")


Goal = Annotated[SloGoal | AdoptionGoal | UsageGoal | QualityGoal | MeasureGoal, Field(discriminator="kind")]


class FeatureSpec(_Strict):
    """Which work it is, what shows it to users, what has to be there, and when it was worth it."""

    work: tuple[WorkKey, ...] = Field(min_length=1, max_length=50, description="Keys or ids of the feature in the tools: APOLLO-12.")
    services: tuple[EntryName, ...] = Field(default=(), max_length=50, description="Services it is in. Left out: those its changes touch.")
    flag: EntryName | None = Field(default=None, description="Flag that shows it to users.")
    docs: tuple[str, ...] = Field(
        default=(), max_length=20, description="Where it is described: https://… or a path in a repository that one of its changes touches."
    )
    after_days: float = Field(default=14, gt=0, le=3650, description="So long after users got it, success is asked for.")
    success: tuple[Goal, ...] = Field(default=(), max_length=30, description="All of them have to hold.")


class FeatureMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class FeatureEntry(_Strict):
    """``kind: Feature``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Feature"]
    metadata: FeatureMetadata
    spec: FeatureSpec
