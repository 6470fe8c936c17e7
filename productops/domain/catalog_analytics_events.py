"""Which usage events are expected, and what of them is personal, as the catalog's YAML names it: ``kind: TrackingPlan``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.domain.catalog_webhooks import EntryName

EventName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Unknown = Literal["accept", "refuse", "drop"]
Personal = Literal["allow", "hash", "drop"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlannedProperty(_Strict):
    """One property of an event."""

    name: Key
    type: Literal["any", "string", "number", "integer", "boolean", "object", "array", "time"] = "any"
    required: bool = Field(default=False, description="Without it the event is refused.")
    values: tuple[str | float | bool, ...] = Field(default=(), max_length=200, description="The only values it may have. Empty: any.")
    personal: Personal | None = Field(
        default=None,
        description="allow: kept as it is, also where it looks like an address or a number of a person; hash: an HMAC of it is kept; "
        "drop: it is left out. Left out: texts are looked through (see guard).",
    )
    description: str = Field(default="", max_length=1000)


class PlannedEvent(_Strict):
    """One event by name."""

    name: EventName
    feature: str = Field(default="", max_length=255, description="Feature whose use it is, when the event does not say so itself.")
    description: str = Field(default="", max_length=1000)
    properties: tuple[PlannedProperty, ...] = Field(default=(), max_length=200)
    unknown_properties: Unknown | None = Field(default=None, description="Other properties. Left out: as the plan says.")

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [each.name for each in self.properties]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the property {twice!r} is there twice")
        return self


class TrackingPlanSpec(_Strict):
    """What is taken in, and how people are protected."""

    events: tuple[PlannedEvent, ...] = Field(default=(), max_length=2000)
    unknown_events: Unknown = Field(default="accept", description="Events that are not listed. drop: answered as accepted, and not kept.")
    unknown_properties: Unknown = Field(default="accept", description="Properties that a listed event does not list.")
    person: Literal["keep", "hash", "guard"] = Field(
        default="guard", description="User ids: keep, hash all of them, or only those that look like an e-mail address or a phone number."
    )
    guard: Literal["hash", "drop", "off"] = Field(
        default="hash", description="E-mail addresses, phone and card numbers in texts: an HMAC or nothing is put in their place."
    )

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [each.name for each in self.events]
        if len(names) != len(set(names)):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the event {twice!r} is there twice")
        return self


class TrackingPlanMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class TrackingPlanEntry(_Strict):
    """``kind: TrackingPlan``; one for a venture."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["TrackingPlan"]
    metadata: TrackingPlanMetadata
    spec: TrackingPlanSpec = TrackingPlanSpec()
