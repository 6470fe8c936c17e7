"""Who may do what, as the catalog's YAML names it: ``kind: Access``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from productops.domain.governance_access import ANY, Grant, Role
from productops.domain.governance_access_tokens import RESERVED

PersonName = Annotated[
    str,
    Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", description="The name in the audit log and in approvals."),
]
GroupName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
Where = Annotated[str, Field(pattern=r"^(\*|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description="A venture's name; '*': all of them.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AccessGrant(_Strict):
    """A role in a venture and an environment."""

    role: Role = Field(description="What the holder may do; see the page of roles.")
    venture: Where
    environment: Literal["*", "development", "staging", "production"] = Field(default=ANY, description="An environment; '*': all of them.")

    @property
    def grant(self) -> Grant:
        """As decisions know it."""
        return Grant(self.role, self.venture, self.environment)


class _Holder(_Strict):
    name: PersonName
    grants: tuple[AccessGrant, ...] = Field(default=(), max_length=100)
    groups: tuple[GroupName, ...] = Field(default=(), max_length=100, description="Groups they are in, whatever a provider says.")
    disabled: bool = Field(default=False, description="Neither log-in nor tokens work any more; the name stays in the audit log.")

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name.strip() != name or name.casefold() in RESERVED:
            raise ValueError(f"is reserved or has blanks around it: choose another name than {name!r}")
        return name


class AccessPerson(_Holder):
    """Somebody."""

    email: str = Field(default="", max_length=255, description="Address that the identity provider knows them by, when it has verified it.")
    subject: str = Field(default="", max_length=255, description="What the identity provider calls them: issuer and sub, with a blank.")


class AccessService(_Holder):
    """An account for CI and other programs; it acts by its tokens only."""


class AccessSpec(_Strict):
    """People, service accounts, and what groups may do."""

    people: tuple[AccessPerson, ...] = Field(default=(), max_length=5000)
    services: tuple[AccessService, ...] = Field(default=(), max_length=5000)
    groups: dict[GroupName, tuple[AccessGrant, ...]] = Field(
        default_factory=dict, max_length=1000, description="Grants of everybody in a group of that name."
    )

    def by_part(self) -> list[tuple[str, list[AccessGrant]]]:
        """All grants: of people, services, groups."""
        return [
            ("people", [grant for person in self.people for grant in person.grants]),
            ("services", [grant for service in self.services for grant in service.grants]),
            ("groups", [grant for grants in self.groups.values() for grant in grants]),
        ]

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [holder.name for holder in (*self.people, *self.services)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"{twice!r} is named twice")
        return self


class AccessMetadata(_Strict):
    """Name of the entry."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="Lower case letters, digits and '-'.")
    labels: dict[str, str] = Field(default_factory=dict)


class AccessEntry(_Strict):
    """``kind: Access``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Access"]
    metadata: AccessMetadata
    spec: AccessSpec
