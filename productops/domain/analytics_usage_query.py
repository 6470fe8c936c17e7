"""Questions about use as people write them: events, funnels, retention, paths, cohorts. The same words in the API and the catalog."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

RANGE_DAYS_MAX: Final = 1100
STEPS_MAX: Final = 16
EXCLUSIONS_MAX: Final = 8
PERIODS_MAX: Final = 400
COLUMNS: Final = ("name", "feature", "service", "version", "environment", "platform", "country", "session")
"""Columns of an event that hold text; anything else is a property, written ``properties.plan``."""

Text = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]
EventName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
Field_ = Annotated[str, Field(pattern=r"^(name|feature|service|version|environment|platform|country|session|properties\.[^\x00]{1,200})$")]
Venture = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="Name of the venture.")]
CohortName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Person = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]


class Strict(BaseModel):
    """Nothing that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


RANGE_SHOWN: Final[dict[str, JsonValue]] = {"venture": "apollo", "since": "2026-10-01T00:00:00Z", "until": "2026-11-01T00:00:00Z"}
STEPS_SHOWN: Final[dict[str, JsonValue]] = {"steps": [{"name": "cart opened"}, {"name": "order placed"}], "breakdown": "platform"}
COHORT_SHOWN: Final[dict[str, JsonValue]] = {"conditions": [{"event": {"name": "order placed"}, "times_min": 3, "days": 30}]}


def shown(**example: JsonValue) -> ConfigDict:
    """What the API document shows of a question."""
    return ConfigDict(json_schema_extra={"examples": [dict(example)]})


class Condition(Strict):
    """What a column or property of an event has to be."""

    field: Field_ = Field(description="feature, service, version, environment, platform, country, session, or properties.NAME.")
    op: Literal["is", "is-not", "contains", "at-least", "at-most", "is-set", "is-not-set"] = "is"
    values: tuple[Text, ...] = Field(default=(), max_length=100, description="One of them; for at-least and at-most a number.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        asks = self.op not in {"is-set", "is-not-set"}
        if asks != bool(self.values):
            raise ValueError(f"`{self.op}` takes {'at least one value' if asks else 'no values'}")
        if self.op in {"at-least", "at-most"}:
            if len(self.values) != 1:
                raise ValueError(f"`{self.op}` takes one number")
            float(self.values[0])
        return self


class EventMatch(Strict):
    """Which events. Nothing given: any event by which a person is active (all but $exposure and $identify)."""

    name: EventName | None = Field(default=None, description="Name of the event: order placed.")
    feature: EventName | None = Field(default=None, description="Key of the feature it belongs to.")
    where: tuple[Condition, ...] = Field(default=(), max_length=10, description="All of them have to hold.")

    @property
    def title(self) -> str:
        """What it is called in tables."""
        called = self.name or (f"feature {self.feature}" if self.feature else "any event")
        told = [f"{c.field} {c.op}{' ' + '|'.join(c.values) if c.values else ''}" for c in self.where]
        return called + (f" ({', '.join(told)})" if told else "")


class Ranged(Strict):
    """From when until when, of whom."""

    venture: Venture
    since: AwareDatetime = Field(description="From this instant on.")
    until: AwareDatetime = Field(description="Before this instant.")
    cohort: CohortName | None = Field(default=None, description="Only people of this saved cohort.")

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.until <= self.since:
            raise ValueError("`until` is not after `since`")
        if self.until - self.since > timedelta(days=RANGE_DAYS_MAX):
            raise ValueError(f"that are more than {RANGE_DAYS_MAX} days; ask for less at once")
        return self


class Order(StrEnum):
    """How the steps of a funnel have to follow each other."""

    ORDERED = "ordered"
    STRICT = "strict"
    ANY = "any"


class Exclusion(Strict):
    """What must not happen after one step and before another, counted from 1."""

    event: EventMatch
    from_step: int = Field(default=1, ge=1, lt=STEPS_MAX)
    to_step: int = Field(default=STEPS_MAX, ge=2, le=STEPS_MAX, description="Left out: the last step.")

    @model_validator(mode="after")
    def _after(self) -> Self:
        if self.to_step <= self.from_step:
            raise ValueError("`to_step` is not after `from_step`")
        return self


class FunnelSpec(Strict):
    """Steps, and what counts as having gone through them."""

    model_config = shown(**STEPS_SHOWN)

    steps: tuple[EventMatch, ...] = Field(min_length=2, max_length=STEPS_MAX)
    order: Order = Field(default=Order.ORDERED, description="ordered: others may happen between; strict: nothing may; any: in any order.")
    window_s: int = Field(default=14 * 86_400, ge=1, le=366 * 86_400, description="From the first step to the last, this moment included.")
    exclusions: tuple[Exclusion, ...] = Field(default=(), max_length=EXCLUSIONS_MAX)
    breakdown: Field_ | None = Field(default=None, description="Split by a column or property: platform, properties.plan.")
    touch: Literal["first", "last"] = Field(default="first", description="Which value of a person counts: of the first or last step event.")
    values_max: int = Field(default=10, ge=1, le=50, description="So many values of the breakdown; the others are put together.")
    cohort: CohortName | None = Field(default=None, description="Only people of this saved cohort.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for exclusion in self.exclusions:
            if exclusion.from_step >= len(self.steps) or (exclusion.to_step > len(self.steps) and exclusion.to_step != STEPS_MAX):
                raise ValueError(f"an exclusion is between steps that there are; the funnel has {len(self.steps)}")
            if exclusion.event in self.steps:
                raise ValueError(f"{exclusion.event.title} is a step and an exclusion; it can be one of them")
        return self


class FunnelQuery(Ranged):
    """A funnel of those who took its first step in [since, until); later steps may come after it, as long as the window lasts."""

    model_config = shown(**RANGE_SHOWN, funnel=STEPS_SHOWN)

    funnel: FunnelSpec


class Unit(StrEnum):
    """Rows of a retention table."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class RetentionQuery(Ranged):
    """Who did something, and came back to do something."""

    model_config = shown(**RANGE_SHOWN, start={"name": "signed up"}, unit="week")

    start: EventMatch = Field(default=EventMatch(), description="What makes somebody count; nothing given: any event.")
    back: EventMatch = Field(default=EventMatch(), description="What returning means; nothing given: any event.")
    unit: Unit = Unit.WEEK
    zone: str = Field(default="UTC", max_length=64, description="Time zone of days, weeks and months: Europe/Zurich.")
    kind: Literal["on", "on-or-after"] = Field(default="on", description="Returned in that period, or in it or any later one.")
    first: Literal["first-time", "recurring"] = Field(
        default="first-time", description="first-time: one counts in the period of one's first start ever; recurring: in each with a start."
    )
    since_start: bool = Field(default=False, description="Periods run from each person's own start (24 hours, 7 or 30 days), no calendar.")
    periods: int = Field(default=12, ge=1, le=PERIODS_MAX, description="Columns after the first.")
    brackets: tuple[int, ...] = Field(
        default=(), max_length=50, description="Widths of the columns after the first, in periods: (1, 2, 4) are 1, 2-3 and 4-7."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        zone_of(self.zone)
        if self.since_start and self.first == "recurring":
            raise ValueError("periods since the start are those of the first start; they do not go with `recurring`")
        if self.brackets and (min(self.brackets) < 1 or sum(self.brackets) > PERIODS_MAX):
            raise ValueError(f"brackets are 1 period or more wide, together at most {PERIODS_MAX}")
        return self

    @property
    def columns(self) -> tuple[tuple[int, int], ...]:
        """First and last offset of each column, in periods; the first column is the period of the start itself."""
        if not self.brackets:
            return tuple((n, n) for n in range(self.periods + 1))
        found, begin = [(0, 0)], 1
        for width in self.brackets:
            found.append((begin, begin + width - 1))
            begin += width
        return tuple(found)


class PathsQuery(Ranged):
    """What people do in a session after something, or before something."""

    model_config = shown(**RANGE_SHOWN, start={"name": "cart opened"})

    start: EventMatch | None = Field(default=None, description="Paths begin at the first such event of a session.")
    end: EventMatch | None = Field(default=None, description="Paths end at the last such event of a session.")
    by: Literal["name", "feature"] = "name"
    steps: int = Field(default=5, ge=2, le=20, description="Events of a path, the first included.")
    session_gap_s: int = Field(default=1800, ge=1, le=604_800, description="A session ends when nothing happens for longer.")
    collapse: bool = Field(default=True, description="The same event again and again counts once.")
    most: int = Field(default=50, ge=1, le=500, description="So many moves of each step and so many whole paths.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.start is not None and self.end is not None:
            raise ValueError("name `start` or `end`, not both: a path is told from one of them")
        return self


class UsageQuery(Ranged):
    """Adoption of a feature or of the whole venture."""

    model_config = shown(**RANGE_SHOWN, feature="checkout")

    feature: EventName | None = Field(default=None, description="Key of the feature. Left out: the whole venture.")
    unit: Unit = Unit.WEEK
    zone: str = Field(default="UTC", max_length=64)

    @model_validator(mode="after")
    def _zone(self) -> Self:
        zone_of(self.zone)
        return self


class SegmentQuery(Ranged):
    """Use split by a column or property."""

    model_config = shown(**RANGE_SHOWN, by="platform")

    event: EventMatch = EventMatch()
    by: Field_
    values_max: int = Field(default=20, ge=1, le=200)


class CohortCondition(Strict):
    """Somebody did something so many times, or did not."""

    event: EventMatch = EventMatch()
    times_min: int = Field(default=1, ge=0, le=1_000_000)
    times_max: int | None = Field(default=None, ge=0, le=1_000_000, description="Left out: any number. 0 with times_min 0: never.")
    days: int = Field(default=30, ge=1, le=RANGE_DAYS_MAX, description="Within so many days before the moment that is asked about.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.times_max is not None and self.times_max < self.times_min:
            raise ValueError("`times_max` is less than `times_min`")
        if self.times_min == 0 and self.times_max is None:
            raise ValueError("that holds for everybody; write `times_max: 0` for who never did it")
        return self


class CohortSpec(Strict):
    """A list of people, or conditions: who fits them is found anew each time it is asked for."""

    model_config = shown(**COHORT_SHOWN)

    description: str = Field(default="", max_length=1000)
    people: tuple[Person, ...] = Field(default=(), max_length=100_000, description="Keys of people, as events name them.")
    conditions: tuple[CohortCondition, ...] = Field(default=(), max_length=EXCLUSIONS_MAX)
    join: Literal["all", "any"] = "all"

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.people) == bool(self.conditions):
            raise ValueError("write either `people` or `conditions`")
        if self.conditions and all(c.times_min == 0 for c in self.conditions):
            raise ValueError("one condition has to say what somebody did; people who did nothing are in no event")
        if self.join == "any" and any(c.times_min == 0 for c in self.conditions):
            raise ValueError("`times_min: 0` goes with `join: all` only")
        return self


def zone_of(name: str) -> ZoneInfo:
    """Raises: ValueError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name[:64]!r} is no time zone; write one as Europe/Zurich or UTC") from error


def edges(unit: Unit, zone: str, *, since: datetime, until: datetime, more: int = 0) -> list[datetime]:
    """Beginnings of the periods that touch [since, until), then ``more`` further ones and the end of the last; aware UTC.

    Weeks begin on Monday. A day of a change of the clocks has 23 or 25 hours.
    """
    place = zone_of(zone)
    day = since.astimezone(place).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    day = day - timedelta(days=day.weekday()) if unit is Unit.WEEK else day.replace(day=1) if unit is Unit.MONTH else day
    found: list[datetime] = []
    left = more
    while True:
        begin = day.replace(tzinfo=place).astimezone(UTC)
        found.append(begin)
        if begin >= until:
            if left == 0:
                return found
            left -= 1
        day = next_period(day, unit)


def next_period(day: datetime, unit: Unit) -> datetime:
    """Where the period after the one that begins at ``day`` begins, on the same clock."""
    if unit is Unit.MONTH:
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day + timedelta(days=7 if unit is Unit.WEEK else 1)
