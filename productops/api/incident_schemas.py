"""Wire schemas of alerts, silences and incidents."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from productops.domain.catalog_incident import Matcher
from productops.domain.incident import Incident, IncidentLogEntry, IncidentRole, LinkKind
from productops.domain.incident_alert import Alert, AlertState, RefusedAlert, StoredAlert, Taken
from productops.domain.incident_state import IncidentStatus
from productops.domain.incident_suppress import Silence
from productops.domain.release import Environment

SeverityName = Literal["SEV1", "SEV2", "SEV3", "SEV4"]
BATCH_MAX = 5_000
Line = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
_ALERT: dict[str, JsonValue] = {
    "source": "rule", "name": "TooManyErrors", "venture": "apollo", "service": "storefront", "environment": "production",
    "severity": "SEV2", "summary": "4 % of requests fail", "starts_at": "2026-11-21T03:00:00Z",
}  # fmt: skip


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AlertIn(_Body):
    """One alert in our own form."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    venture: Annotated[str, Field(max_length=63, pattern=r"^[^\x00]*$")]
    source: Literal["rule", "webhook", "log", "security", "heartbeat", "anomaly", "forecast"] = "webhook"
    status: Literal["firing", "resolved"] = "firing"
    severity: SeverityName = "SEV3"
    service: Annotated[str, Field(max_length=63, pattern=r"^[^\x00]*$")] | None = None
    environment: Environment | None = Environment.PRODUCTION
    component: Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")] = ""
    labels: dict[str, Annotated[str, Field(max_length=500)]] = Field(default_factory=dict, max_length=64)
    summary: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""
    evidence: dict[str, Any] = Field(default_factory=dict, max_length=50, description="`requests`: how many it rests on.")
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    value: float | None = Field(default=None, allow_inf_nan=False)
    fingerprint: Annotated[str, Field(max_length=128, pattern=r"^[!-~]*$")] = Field(
        default="", description="What is the same for the same alert. Empty: all of the above but times, severity and words."
    )


class AlertBatch(_Body):
    """Alerts, each on its own: a bad one does not keep others out."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"alerts": [_ALERT]}]})
    alerts: list[dict[str, Any]] = Field(min_length=1, max_length=BATCH_MAX, description="Each as an AlertIn: name, venture, starts_at …")

    def read(self) -> tuple[list[tuple[int, Alert]], list[RefusedAlert]]:
        """Those that can be read with their places, and what is wrong with the others."""
        good: list[tuple[int, Alert]] = []
        bad: list[RefusedAlert] = []
        for place, each in enumerate(self.alerts):
            try:
                good.append((place, Alert(**AlertIn.model_validate(each).model_dump())))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                bad.append(RefusedAlert(place, f"{'.'.join(map(str, first['loc'])) or 'the alert'}: {first['msg']}"))
            except ValueError as error:
                bad.append(RefusedAlert(place, str(error)))
        return good, bad


class RefusedAlertOut(BaseModel):
    """One that was not taken."""

    index: int = Field(description="Its place in what was sent, from 0.")
    reason: str


class AlertsTakenOut(BaseModel):
    """What became of what was sent."""

    stored: int = Field(description="New ones.", examples=[40])
    duplicates: int = Field(description="Known ones that were told again.", examples=[2])
    suppressed: int = Field(description="New ones that are held back; the list of alerts says why.", examples=[1])
    ended: int = Field(description="Those that do not hold any more.", examples=[0])
    opened: list[str] = Field(description="Ids of incidents that they opened.")
    touched: list[str] = Field(description="Ids of incidents that they became part of.")
    refused: list[RefusedAlertOut]

    @classmethod
    def of(cls, taken: Taken, *, places: list[int] | None = None, more: list[RefusedAlert] | None = None) -> AlertsTakenOut:
        """``places`` are those of what was given on, in what was sent."""
        moved = [RefusedAlert(places[each.index] if places else each.index, each.reason) for each in taken.refused]
        refused = sorted([*moved, *(more or ())], key=lambda each: each.index)
        return cls(
            stored=taken.stored, duplicates=taken.duplicates, suppressed=taken.suppressed, ended=taken.ended, opened=list(taken.opened),
            touched=list(taken.touched), refused=[RefusedAlertOut(index=each.index, reason=each.reason) for each in refused],
        )  # fmt: skip


class AlertOut(BaseModel):
    """An alert, and what became of it."""

    id: str
    fingerprint: str
    source: str = Field(examples=["slo"])
    name: str = Field(examples=["TooManyErrors"])
    status: str = Field(examples=["firing"])
    severity: SeverityName
    venture: str
    service: str | None
    environment: Environment | None
    component: str = Field(examples=["storefront/7f3a"])
    labels: dict[str, str]
    summary: str
    evidence: dict[str, Any]
    value: float | None
    starts_at: datetime
    ends_at: datetime | None
    state: AlertState = Field(description="What became of it.")
    reason: str = Field(description="Why.")
    incident_id: str | None
    received: int = Field(description="How often it was told.", examples=[3])
    first_seen_at: datetime
    last_seen_at: datetime

    @classmethod
    def of(cls, stored: StoredAlert) -> AlertOut:
        """As callers see it."""
        alert = stored.alert
        return cls(
            id=stored.id, fingerprint=alert.fingerprint, source=alert.source, name=alert.name, status=alert.status,
            severity=alert.severity, venture=alert.venture, service=alert.service, environment=alert.environment,
            component=alert.component, labels=dict(alert.labels), summary=alert.summary, evidence=dict(alert.evidence), value=alert.value,
            starts_at=alert.starts_at, ends_at=alert.ends_at, state=stored.state, reason=stored.reason, incident_id=stored.incident_id,
            received=stored.received, first_seen_at=stored.first_seen_at, last_seen_at=stored.last_seen_at,
        )  # fmt: skip


class AlertPage(BaseModel):
    """Alerts, newest first; pass `next` as `after` for the following page."""

    items: list[AlertOut]
    next: str | None


class SilenceIn(_Body):
    """What is not to be heard of, until when, and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"venture": "apollo", "matchers": [{"field": "service", "value": "storefront"}], "reason": "moving it", "minutes": 60}
            ]
        },
    )
    venture: Annotated[str, Field(max_length=63, pattern=r"^[^\x00]*$")]
    matchers: tuple[Matcher, ...] = Field(min_length=1, max_length=20)
    reason: Line
    starts_at: AwareDatetime | None = Field(default=None, description="Nothing: now.")
    ends_at: AwareDatetime | None = None
    minutes: int | None = Field(default=None, ge=1, le=43_200, description="Instead of ends_at; nothing: 60.")

    def until(self, now: datetime) -> datetime:
        """When it ends."""
        return self.ends_at or (self.starts_at or now) + timedelta(minutes=self.minutes or 60)


class SilenceOut(BaseModel):
    """A silence."""

    id: str
    venture: str
    matchers: list[Matcher]
    reason: str
    author: str
    starts_at: datetime
    ends_at: datetime
    ended_by: str | None
    active: bool

    @classmethod
    def of(cls, silence: Silence, *, now: datetime) -> SilenceOut:
        """As callers see it."""
        return cls(
            id=silence.id, venture=silence.venture, matchers=list(silence.matchers), reason=silence.reason, author=silence.author,
            starts_at=silence.starts_at, ends_at=silence.ends_at, ended_by=silence.ended_by, active=silence.active(now),
        )  # fmt: skip


class SilencePage(BaseModel):
    """Silences, newest first; pass `next` as `after` for the following page."""

    items: list[SilenceOut]
    next: str | None


class IncidentLinkOut(BaseModel):
    """Something that an incident is about."""

    kind: LinkKind
    target: str
    text: str
    by: str
    at: datetime


class IncidentViewOut(BaseModel):
    """An incident with who deals with it and what it did to users."""

    id: str
    venture: str | None
    services: list[str]
    environment: Environment | None
    kind: str = Field(examples=["availability"])
    severity: SeverityName
    status: IncidentStatus
    title: str
    description: str
    detection: str = Field(examples=["slo"])
    component: str = Field(description="What probably broke, as far as alerts tell.", examples=["orders-db"])
    cause: str | None
    impact: dict[str, Any] = Field(description="requests, requests_failed, failing_share, usual_share, minutes, services_hit, alerts …")
    roles: dict[str, str] = Field(description="commander, communications, operations → who.")
    releases: list[str]
    flags: list[str]
    links: list[IncidentLinkOut]
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    detected_at: datetime
    mitigated_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    mttr_minutes: int | None
    resolution_steps: list[str]
    last_alert_at: datetime | None
    reopened: int
    merged_into: str | None
    revision: int

    @classmethod
    def of(cls, incident: Incident) -> IncidentViewOut:
        """As callers see it."""
        listed = {"services", "releases", "flags"}
        same = {name: getattr(incident, name) for name in cls.model_fields if hasattr(incident, name) and name not in {"links", *listed}}
        links = [IncidentLinkOut(kind=x.kind, target=x.target, text=x.text, by=x.by, at=x.at) for x in incident.links]
        more = {name: list(getattr(incident, name)) for name in listed} | {"resolution_steps": list(incident.steps), "links": links}
        return cls.model_validate(same | {"impact": dict(incident.impact), "roles": dict(incident.roles)} | more)


class IncidentViewPage(BaseModel):
    """Incidents, newest first; pass `next` as `after` for the following page."""

    items: list[IncidentViewOut]
    next: str | None


class Changing(_Body):
    """A change of an incident."""

    revision: int | None = Field(default=None, ge=1, description="The one you have seen; refused when it is another by now.", examples=[3])


class AcknowledgeIn(Changing):
    """Somebody deals with it."""


class SeverityIn(Changing):
    """How severe it is, by your word."""

    severity: SeverityName
    reason: Line


class RoleIn(Changing):
    """Who does what."""

    role: IncidentRole
    person: Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")] | None = Field(
        description="null: nobody any more.", examples=["mia"]
    )


class MoveIn(Changing):
    """Where it stands."""

    status: IncidentStatus = Field(examples=["mitigated"])
    reason: Line


class NoteIn(_Body):
    """What everybody in the incident should know."""

    text: Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")] = Field(examples=["the database is out of disk"])


class LinkIn(Changing):
    """What it is about."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"kind": "page", "target": "https://example.com/runbook", "text": "runbook"}]}
    )
    kind: LinkKind
    target: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
    text: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    remove: bool = False


class MergeIn(_Body):
    """Which incidents are part of this one."""

    incidents: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=50)
    reason: Line


class SplitIn(_Body):
    """Which alerts are an incident of their own."""

    alerts: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=1000)
    title: Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")] = ""
    reason: Line


class IncidentLogOut(BaseModel):
    """A line of the log."""

    seq: int
    at: datetime
    kind: str = Field(examples=["note"])
    text: str
    actor: str
    detail: dict[str, Any]

    @classmethod
    def of(cls, entry: IncidentLogEntry) -> IncidentLogOut:
        """As callers see it."""
        return cls(seq=entry.seq, at=entry.at, kind=entry.kind, text=entry.text, actor=entry.actor, detail=dict(entry.detail))


class IncidentLogPage(BaseModel):
    """Lines in order; pass `next` as `after` for the following page."""

    items: list[IncidentLogOut]
    next: str | None
