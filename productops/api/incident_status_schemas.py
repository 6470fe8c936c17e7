"""Wire schemas of status pages: the public summary, and what people publish."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from productops.api.release_schemas import Sent
from productops.domain.incident_oncall import StatusPage
from productops.domain.incident_status_page import PublicIncident, PublicPage
from productops.domain.incident_updates import Harm, PublicUpdate, Word

PublicName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PublicStateOut(BaseModel):
    """The page in one sentence."""

    indicator: Harm
    description: str = Field(examples=["All systems operational"])


class PublicDayOut(_Out):
    """A day of a component."""

    day: date
    ratio: float | None = Field(
        description="Part of the minutes with traffic in which users were served; null: no traffic.", examples=[0.9993]
    )
    minutes_down: int


class PublicComponentOut(BaseModel):
    """Something users know by name."""

    name: str = Field(examples=["Shop"])
    status: Harm
    uptime: float | None = Field(description="Of 90 days.", examples=[0.9998])
    days: list[PublicDayOut]


class PublicWordsOut(BaseModel):
    """One published word."""

    id: str
    status: Word
    body: str = Field(examples=["We see problems with the shop and are looking into them."])
    created_at: datetime


class PublicIncidentOut(BaseModel):
    """An incident as it was published."""

    id: str
    name: str = Field(examples=["Problems with the shop"])
    status: Word
    impact: Harm
    components: list[str]
    created_at: datetime
    resolved_at: datetime | None
    incident_updates: list[PublicWordsOut]

    @classmethod
    def of(cls, incident: PublicIncident) -> PublicIncidentOut:
        """As users see it."""
        return cls(
            id=incident.id, name=incident.title, status=incident.word, impact=incident.harm, components=list(incident.components),
            created_at=incident.began_at, resolved_at=incident.ended_at,
            incident_updates=[PublicWordsOut(id=w.id, status=w.word, body=w.text, created_at=w.at) for w in incident.updates],
        )  # fmt: skip


class PublicPageOut(BaseModel):
    """Name and address of the page."""

    name: str
    title: str
    url: str
    updated_at: datetime | None


class StatusSummaryOut(BaseModel):
    """The whole page."""

    page: PublicPageOut
    status: PublicStateOut
    components: list[PublicComponentOut]
    incidents: list[PublicIncidentOut] = Field(description="Those that are not over, newest first.")
    past: list[PublicIncidentOut] = Field(description="Those of the last 14 days that are over.")

    @classmethod
    def of(cls, page: PublicPage) -> StatusSummaryOut:
        """As users see it."""
        return cls(
            page=PublicPageOut(name=page.name, title=page.title, url=page.url, updated_at=page.changed_at),
            status=PublicStateOut(indicator=page.harm, description=page.said),
            components=[
                PublicComponentOut(
                    name=c.name, status=c.harm, uptime=c.uptime, days=[PublicDayOut.model_validate(day) for day in c.days]
                )
                for c in page.components
            ],
            incidents=[PublicIncidentOut.of(each) for each in page.current],
            past=[PublicIncidentOut.of(each) for each in page.past],
        )  # fmt: skip


class StatusPageOut(BaseModel):
    """A declared page."""

    name: str
    venture: str
    title: str
    url: str
    components: list[str]

    @classmethod
    def of(cls, page: StatusPage) -> StatusPageOut:
        """As callers see it."""
        spec = page.spec
        return cls(name=page.name, venture=page.venture, title=spec.title, url=spec.url, components=[c.name for c in spec.components])


class StatusPageList(BaseModel):
    """Pages, by name."""

    items: list[StatusPageOut]


class PublishIn(Sent):
    """Words for users. Whoever publishes is answerable for what they say."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"title": "Payments fail", "text": "We know why and are at work on it.", "status": "identified"}]},
    )
    text: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
    status: Word
    title: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        default="", description="What users call it. Needed once; later left out."
    )
    page: str | None = Field(default=None, max_length=63, description="The page, where the venture has several.")
    impact: Harm | None = Field(default=None, description="What the components suffer. Left out: as before, at first degraded.")
    components: list[PublicName] = Field(default=[], max_length=100, description="Left out: as before, at first those of its services.")


class PublishedOut(_Out):
    """Words that were published."""

    id: str
    incident_id: str
    page: str
    title: str
    status: Word
    impact: Harm
    components: list[str]
    text: str
    by: str
    at: datetime
    retracted_at: datetime | None

    @classmethod
    def of(cls, found: PublicUpdate) -> PublishedOut:
        """As callers see it."""
        return cls(
            id=found.id, incident_id=found.incident_id, page=found.page, title=found.title, status=found.word, impact=found.harm,
            components=list(found.components), text=found.text, by=found.by, at=found.at, retracted_at=found.retracted_at,
        )  # fmt: skip


class PublishedList(BaseModel):
    """Oldest first."""

    items: list[PublishedOut]
