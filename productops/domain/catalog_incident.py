"""How alerts become incidents, as the catalog's YAML names it: ``kind: SeverityPolicy`` and ``kind: MaintenanceWindow``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from productops.domain.catalog_webhooks import EntryName
from productops.domain.release import Environment

Severity = Literal["SEV1", "SEV2", "SEV3", "SEV4"]
Source = Literal["slo", "anomaly", "forecast", "heartbeat", "verdict", "rule", "alertmanager", "webhook", "security", "log", "person"]
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Share = Annotated[float, Field(gt=0, le=1)]
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Matcher(_Strict):
    """One condition on an alert. All matchers of a list have to fit."""

    field: str = Field(
        min_length=1, max_length=200, pattern=r"^[^\x00]*$",
        description="`name`, `source`, `service`, `environment`, `component`, `severity`, `fingerprint`, or `labels.x` for a label.",
    )  # fmt: skip
    value: str = Field(max_length=500, pattern=r"^[^\x00]*$")
    how: Literal["is", "is-not", "like"] = Field(default="is", description="`like`: with `*` for any characters and `?` for one.")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        known = {"name", "source", "service", "environment", "component", "severity", "fingerprint"}
        if self.field not in known and not re.fullmatch(r"labels\..+", self.field):
            raise ValueError(f"field {self.field!r} is none of {', '.join(sorted(known))} and no label (labels.x)")
        return self


class SeverityWhen(_Strict):
    """What has to hold of an incident; all of it. Nothing named: every incident."""

    environments: tuple[Environment, ...] = Field(default=(), max_length=3)
    sources: tuple[Source, ...] = Field(default=(), max_length=11)
    services: tuple[EntryName, ...] = Field(default=(), max_length=500, description="One of these is hit.")
    services_min: int = Field(default=0, ge=0, le=10_000, description="At least so many services are hit.")
    failing_share_min: Share | None = Field(default=None, description="At least this share of the services' requests fails.")
    failed_min: int = Field(default=0, ge=0, description="At least so many requests failed above the usual number.")

    @property
    def needs_traffic(self) -> bool:
        """Whether it speaks of requests."""
        return self.failing_share_min is not None or self.failed_min > 0


class SeverityRule(_Strict):
    """Makes incidents at least, or at most, this severe. SEV1 is the most severe."""

    when: SeverityWhen = SeverityWhen()
    severity: Severity
    bound: Literal["at-least", "at-most"] = "at-least"


class Flapping(_Strict):
    """An alert that comes and goes."""

    times: int = Field(default=4, ge=2, le=20, description="So many beginnings within the window, and it is held back.")
    window_s: int = Field(default=600, ge=10, le=86_400)
    exempt: tuple[Severity, ...] = Field(default=("SEV1",), max_length=4, description="Never held back.")


DEFAULT_RULES: Final = (
    SeverityRule(when=SeverityWhen(environments=(Environment.PRODUCTION,), failing_share_min=0.25, failed_min=20), severity="SEV1"),
    SeverityRule(when=SeverityWhen(environments=(Environment.PRODUCTION,), services_min=5, failing_share_min=0.05), severity="SEV1"),
    SeverityRule(when=SeverityWhen(environments=(Environment.PRODUCTION,), failing_share_min=0.02, failed_min=20), severity="SEV2"),
    SeverityRule(
        when=SeverityWhen(environments=(Environment.STAGING, Environment.DEVELOPMENT)), severity="SEV3", bound="at-most"
    ),
)  # fmt: skip


class SeverityPolicySpec(_Strict):
    """How alerts of a venture become incidents, and how severe those are. Times in seconds."""

    rules: tuple[SeverityRule, ...] = Field(
        default=DEFAULT_RULES, max_length=50,
        description="Applied in order to the severity of the worst alert. Left out: the shipped ones.",
    )  # fmt: skip
    opens_at: Severity = Field(default="SEV3", description="Alerts that are less severe are listed and open no incident.")
    group_window_s: int = Field(default=300, ge=1, le=86_400, description="Related alerts so close to each other belong together.")
    siblings_window_s: int = Field(
        default=120, ge=0, le=86_400, description="The same for services that only depend on a common third one."
    )
    quiet_s: int = Field(default=120, ge=1, le=86_400, description="So long after its last alert ended an incident is mitigated.")
    reopen_s: int = Field(default=1800, ge=0, le=604_800, description="The same alert so soon after the end opens the incident again.")
    flapping: Flapping = Flapping()
    requests_min: int = Field(
        default=20, ge=0, le=1_000_000, description="An alert that rests on fewer requests (its evidence says so) is held back."
    )
    stale_s: int = Field(default=86_400, ge=60, le=2_592_000, description="An alert that was not told for so long is taken to have ended.")
    keep_days: int = Field(
        default=30, ge=1, le=3650, description="So long after its end an alert is kept that became part of no incident; the others stay."
    )


class IncidentMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class SeverityPolicyEntry(_Strict):
    """``kind: SeverityPolicy``; one for a venture."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["SeverityPolicy"]
    metadata: IncidentMetadata
    spec: SeverityPolicySpec = SeverityPolicySpec()


class Weekly(_Strict):
    """Every week at the same local time."""

    day: Day
    at: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="Local time, 02:30.")
    for_minutes: int = Field(ge=1, le=10_080)


class MaintenanceWindowSpec(_Strict):
    """When work is done, so that alerts of what is worked on tell nothing new."""

    reason: Text
    begins: AwareDatetime | None = Field(default=None, description="Once: from here, with its zone.")
    ends: AwareDatetime | None = Field(default=None, description="Once: to here.")
    weekly: Weekly | None = Field(default=None, description="Or every week.")
    timezone: str = Field(default="UTC", max_length=60, description="Of the weekly time: Europe/Berlin.")
    match: tuple[Matcher, ...] = Field(min_length=1, max_length=20, description="Which alerts; all of them have to fit.")

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{name!r} is no time zone; write it like Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        once = self.begins is not None and self.ends is not None
        if once is (self.weekly is not None) or (self.begins is None) is not (self.ends is None):
            raise ValueError("name either begins and ends, or weekly")
        if self.begins is not None and self.ends is not None and self.ends <= self.begins:
            raise ValueError("ends has to be after begins")
        return self

    def open_until(self, now: datetime) -> datetime | None:
        """When the window that holds now ends; None outside."""
        if self.begins is not None and self.ends is not None:
            return self.ends if self.begins <= now < self.ends else None
        if self.weekly is None:
            return None
        zone, hour, minute = ZoneInfo(self.timezone), int(self.weekly.at[:2]), int(self.weekly.at[3:])
        today = now.astimezone(zone).date()
        for back in range(8):  # one that lasts a week may have begun a week ago
            day = today - timedelta(days=back)
            if DAYS[day.weekday()] != self.weekly.day:
                continue
            begins = datetime.combine(day, time(hour, minute), tzinfo=zone).astimezone(UTC)
            ends = begins + timedelta(minutes=self.weekly.for_minutes)
            if begins <= now < ends:
                return ends
        return None


class MaintenanceWindowEntry(_Strict):
    """``kind: MaintenanceWindow``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815
    kind: Literal["MaintenanceWindow"]
    metadata: IncidentMetadata
    spec: MaintenanceWindowSpec
