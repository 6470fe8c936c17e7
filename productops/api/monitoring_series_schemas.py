"""Wire schemas of series of metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from productops.domain.monitoring_series import SeriesData, SeriesInfo, SeriesStatus, Thresholds
from productops.store.monitoring_series_targets import ScrapeTarget

Category = Literal["infrastructure", "application", "business"]
_TEXT = r"^[^\x00]+$"


class SeriesIn(BaseModel):
    """A series with points."""

    model_config = ConfigDict(extra="forbid")

    venture: str = Field(max_length=63, description="Empty: of the installation, such as series of hosts.", examples=["apollo"])
    component: str = Field(min_length=1, max_length=255, pattern=_TEXT, examples=["storefront"])
    category: Category = "application"
    name: str = Field(min_length=1, max_length=255, pattern=_TEXT, examples=["queue.length"])
    tags: dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=255)]] = Field(
        default_factory=dict, max_length=20, examples=[{"environment": "production"}]
    )
    points: list[tuple[float, float]] = Field(
        min_length=1, max_length=10_000, description="Pairs of Unix seconds and value, in any order.", examples=[[[1795224900, 3.0]]]
    )


class PointsBody(BaseModel):
    """Points of some series."""

    model_config = ConfigDict(extra="forbid")

    series: list[SeriesIn] = Field(min_length=1, max_length=10_000)


class PointsOut(BaseModel):
    """What was kept."""

    kept: int


class ThresholdsBody(BaseModel):
    """From which value on a series is worth a warning, and from which it is critical; null: none."""

    model_config = ConfigDict(extra="forbid")

    warning: float | None = Field(default=None, examples=[80.0])
    critical: float | None = Field(default=None, examples=[95.0])
    below: bool = Field(default=False, description="Small values are bad, as of free space.")

    def to_domain(self) -> Thresholds:
        """As use cases know them."""
        return Thresholds(self.warning, self.critical, self.below)


class SeriesOut(BaseModel):
    """A series without its points."""

    number: int = Field(examples=[17])
    venture: str = Field(description="Empty: of the installation.", examples=["apollo"])
    component: str = Field(examples=["storefront"])
    category: Category
    name: str = Field(examples=["service.p95_ms"])
    tags: dict[str, str] = Field(examples=[{"environment": "production"}])
    status: SeriesStatus = Field(description="What its thresholds say of the newest value; normal without any.")
    warning: float | None
    critical: float | None
    below: bool
    last_at: datetime | None
    last_value: float | None

    @classmethod
    def of(cls, info: SeriesInfo) -> SeriesOut:
        """The series as callers see it."""
        key, thresholds = info.key, info.thresholds
        return cls(
            number=info.number, venture=key.venture, component=key.component, category=key.category, name=key.name,
            tags=dict(key.tags), status=info.status, warning=thresholds.warning, critical=thresholds.critical, below=thresholds.below,
            last_at=datetime.fromtimestamp(info.last_at, UTC) if info.last_at is not None else None, last_value=info.last_value,
        )  # fmt: skip


class SeriesPage(BaseModel):
    """Series in the order they became known; pass `next` as `after` for the following page."""

    items: list[SeriesOut]
    next: str | None


class SeriesPointsOut(BaseModel):
    """A series with its points, in order of time."""

    venture: str
    component: str
    category: Category
    name: str
    tags: dict[str, str]
    points: list[tuple[float, float]] = Field(
        description="Pairs of Unix seconds and value; with a step, of its beginning.", examples=[[[1795224900.0, 38.2]]]
    )

    @classmethod
    def of(cls, data: SeriesData) -> SeriesPointsOut:
        """The points as callers see them."""
        key = data.key
        return cls(
            venture=key.venture, component=key.component, category=key.category, name=key.name, tags=dict(key.tags),
            points=list(zip(data.at.tolist(), data.value.tolist(), strict=True)),
        )  # fmt: skip


class SeriesAnswer(BaseModel):
    """Every series that fits and has points in that time."""

    since: datetime
    until: datetime
    step_s: int | None
    statistic: str
    series: list[SeriesPointsOut]


class ScrapeTargetOut(BaseModel):
    """Where metrics are fetched, and how the last try went."""

    venture: str
    name: str = Field(examples=["node"])
    url: str = Field(examples=["http://127.0.0.1:9100/metrics"])
    source: str = Field(description="Name of a metric source, in place of an address.", examples=[""])
    service: str | None
    environment: str | None = Field(examples=["production"])
    interval_s: int = Field(examples=[15])
    tried_at: datetime | None
    points: int = Field(description="That the last try gave.", examples=[412])
    problem: str = Field(description="Why the last try failed; empty when it did not.", examples=[""])

    @classmethod
    def of(cls, target: ScrapeTarget) -> ScrapeTargetOut:
        """The target as callers see it."""
        spec = target.spec
        return cls(
            venture=target.venture, name=target.name, url=spec.url, source=spec.source, service=spec.service,
            environment=spec.environment.value if spec.environment else None, interval_s=spec.interval_s, tried_at=target.tried_at,
            points=target.samples, problem=target.problem,
        )  # fmt: skip


class ScrapeTargetList(BaseModel):
    """Scrape targets of the ventures that the caller may see."""

    items: list[ScrapeTargetOut]
