"""How people are told, as the catalog's YAML names it: ``kind: Channel``, ``kind: Telling`` and ``kind: StatusPage``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.domain.catalog_oncall import PeopleMetadata, Severity
from productops.domain.catalog_webhooks import EntryName, SecretName
from productops.domain.incident_updates import CADENCE_MIN, PLACES, PUBLIC, Audience, Moment, places_of
from productops.domain.release import Environment

Minutes = Annotated[float, Field(ge=0, le=10_080)]
SEVERITIES: tuple[Severity, ...] = ("SEV1", "SEV2", "SEV3", "SEV4")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChannelSpec(_Strict):
    """One way to reach people."""

    secret: SecretName | None = Field(
        default=None, description="Name of the secret that holds an apprise address: slack://…, ntfys://…, mailtos://… It is never shown."
    )
    mail: str | None = Field(
        default=None,
        max_length=255,
        pattern=r"^[^\s@,<>]+@[^\s@,<>]+$",
        description="Or a mail address, by the server of PRODUCTOPS_SMTP_…",
    )
    webhook: EntryName | None = Field(default=None, description="Or a WebhookTarget: it gets an event `incident.told`.")
    audience: Audience = Field(default=Audience.ENGINEERS, description="Whose words it gets.")
    personal: bool = Field(default=False, description="Reaches one person: used when they are called, not for what all are told.")
    severities: tuple[Severity, ...] = Field(default=SEVERITIES, min_length=1, description="Incidents it is told of.")
    services: tuple[EntryName, ...] = Field(default=(), max_length=500, description="Of these services. Empty: of all.")
    moments: tuple[Moment, ...] = Field(default=(), description="Only then. Empty: always.")
    timeout_s: float = Field(default=10, ge=1, le=60, description="So long one attempt may take; then it is ended.")
    attempts_max: int = Field(default=8, ge=1, le=50, description="After so many attempts it is given up, and that is shown.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(each is not None for each in (self.secret, self.mail, self.webhook)) != 1:
            raise ValueError("name exactly one of secret, mail, webhook")
        if self.personal and self.audience is not Audience.ENGINEERS:
            raise ValueError("a personal channel is for who is called: its audience is engineers")
        return self


class TemplateSpec(_Strict):
    """Words for one audience and moment."""

    audience: Audience
    moment: Moment
    subject: str = Field(min_length=1, max_length=200, description="One line; {title} and the like are filled in.")
    text: str = Field(min_length=1, max_length=4000, description="The words; {summary} and the like are filled in, nothing is evaluated.")

    @model_validator(mode="after")
    def _known_places(self) -> Self:
        named = places_of(self.subject) | places_of(self.text)
        unknown = sorted(named - PLACES.keys())
        if unknown:
            raise ValueError(f"{{{unknown[0]}}} is no placeholder; there are: {', '.join(sorted(PLACES))}")
        inside = sorted(named - PUBLIC)
        if self.audience is Audience.CUSTOMERS and inside:
            raise ValueError(f"{{{inside[0]}}} is not for customers; they may be told: {', '.join(sorted(PUBLIC))}")
        return self


class TellingSpec(_Strict):
    """How a venture speaks of incidents. At most one for each venture."""

    cadence_minutes: dict[Severity, Minutes] = Field(
        default_factory=lambda: dict(CADENCE_MIN),  # type: ignore[arg-type]  # the keys are severities
        description="After so long without an update whoever leads is reminded; 0 or left out: never.",
    )
    templates: tuple[TemplateSpec, ...] = Field(default=(), max_length=60, description="In place of the words that come with the product.")

    @model_validator(mode="after")
    def _once(self) -> Self:
        seen: set[tuple[str, str]] = set()
        for each in self.templates:
            if (each.audience, each.moment) in seen:
                raise ValueError(f"templates has {each.audience}, {each.moment} twice")
            seen.add((each.audience, each.moment))
        return self


class Component(_Strict):
    """Something users know by a name, and the service behind it."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", description="What users call it; this is published.")
    service: EntryName = Field(description="The service behind it; its name is not published.")
    environment: Environment = Environment.PRODUCTION


class PublishedWords(_Strict):
    """What the page says of itself, without a person."""

    severities: tuple[Severity, ...] = Field(default=(), description="Incidents it speaks of at once. Empty: none, a person publishes.")
    title: str = Field(default="Problems with {components}", min_length=1, max_length=200)
    opened: str = Field(default="We see problems with {components} and are looking into them.", min_length=1, max_length=2000)
    mitigated: str = Field(default="{components} should work again. We are watching.", min_length=1, max_length=2000)
    resolved: str = Field(default="{components} works as usual.", min_length=1, max_length=2000)

    @model_validator(mode="after")
    def _public_only(self) -> Self:
        named = frozenset().union(*(places_of(text) for text in (self.title, self.opened, self.mitigated, self.resolved)))
        if inside := sorted(named - {"components", "page_title"}):
            raise ValueError(f"{{{inside[0]}}} cannot be published; {{components}} and {{page_title}} can")
        return self


class StatusPageSpec(_Strict):
    """What users may see of a venture's health."""

    title: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
    description: str = Field(default="", max_length=1000, pattern=r"^[^\x00]*$")
    url: str = Field(
        default="", max_length=500, pattern=r"^(https?://[^\s<>\"]+)?$", description="Its public address, for feeds and messages."
    )
    components: tuple[Component, ...] = Field(min_length=1, max_length=100)
    failed_ratio: float = Field(
        default=0.05, gt=0, le=1, description="A minute counts as down when more than this part of its requests failed."
    )
    requests_min: int = Field(
        default=1, ge=1, le=1_000_000, description="A minute with fewer requests says nothing, and counts as neither."
    )
    automatic: PublishedWords = PublishedWords()

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [each.name for each in self.components]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"components names {doubled[0]!r} twice")
        return self


class ChannelEntry(_Strict):
    """``kind: Channel``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Channel"]
    metadata: PeopleMetadata
    spec: ChannelSpec


class TellingEntry(_Strict):
    """``kind: Telling``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815
    kind: Literal["Telling"]
    metadata: PeopleMetadata
    spec: TellingSpec


class StatusPageEntry(_Strict):
    """``kind: StatusPage``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815
    kind: Literal["StatusPage"]
    metadata: PeopleMetadata
    spec: StatusPageSpec
