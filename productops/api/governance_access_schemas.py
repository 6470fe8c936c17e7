"""What callers send and get about access: grants, people, tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from productops.api.release_schemas import Reason, Sent
from productops.domain.governance_access import ANY, Grant, Operation, Principal, Role
from productops.domain.governance_access_tokens import HeldGrant, Person, Token

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["mia"])]
Venture = Annotated[str, Field(max_length=63, pattern=r"^(\*|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", examples=["acme"])]
Place = Literal["*", "development", "staging", "production"]
DAY_S = 86_400


class GrantOut(BaseModel):
    """A role in a venture and an environment; `*` is all of them."""

    role: Role
    venture: str
    environment: str

    @classmethod
    def of(cls, grant: Grant) -> GrantOut:
        """The grant as callers see it."""
        return cls(role=grant.role, venture=grant.venture, environment=grant.environment)


class HeldGrantOut(GrantOut):
    """A grant with where it comes from."""

    given_by: str
    given_at: datetime
    expires_at: datetime | None
    group: str | None = Field(description="It is held by being in that group.")
    declared: bool = Field(description="The catalog says it; it is changed there only.")

    @classmethod
    def of_held(cls, held: HeldGrant) -> HeldGrantOut:
        """The grant as callers see it."""
        return cls(
            role=held.grant.role, venture=held.grant.venture, environment=held.grant.environment, given_by=held.given_by,
            given_at=held.given_at, expires_at=held.expires_at, group=held.group, declared=held.declared,
        )  # fmt: skip


class CallerOut(BaseModel):
    """Who sends the request, and what they may do."""

    name: str
    kind: str = Field(description="`person`, `service` or `machine`.")
    grants: list[GrantOut]
    operations: list[Operation] | None = Field(description="What this token is narrowed to; null: all that is granted.")
    token_id: str | None = Field(description="The token that was presented; `installation` is that of the home folder.")

    @classmethod
    def of(cls, principal: Principal) -> CallerOut:
        """The caller."""
        operations = None if principal.operations is None else sorted(principal.operations)
        grants = [GrantOut.of(grant) for grant in principal.grants]
        return cls(name=principal.name, kind=principal.kind, grants=grants, operations=operations, token_id=principal.token_id)


class PersonOut(BaseModel):
    """Somebody, or a service account."""

    name: str
    kind: str
    email: str
    disabled: bool
    declared_in: str | None = Field(description="The catalog's entry that names them; it is changed there only.")
    groups: list[str]
    grants: list[HeldGrantOut]

    @classmethod
    def of(cls, person: Person) -> PersonOut:
        """The person as callers see it."""
        return cls(
            name=person.name, kind=person.kind, email=person.email, disabled=person.disabled, declared_in=person.declared_in,
            groups=list(person.groups), grants=[HeldGrantOut.of_held(held) for held in person.grants],
        )  # fmt: skip


class PeopleOut(BaseModel):
    """People and service accounts, by name."""

    items: list[PersonOut]


class GroupOut(BaseModel):
    """What everybody in a group may do."""

    name: str
    grants: list[HeldGrantOut]


class GroupsOut(BaseModel):
    """Groups that were granted anything, by name."""

    items: list[GroupOut]


class RevocationBody(Sent):
    """Which grant is taken away."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "mia", "role": "release-manager", "venture": "acme"}]}
    )
    name: Name
    kind: Literal["person", "service", "group"] = "person"
    role: Role
    venture: Venture
    environment: Place = ANY
    reason: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""

    @property
    def grant(self) -> Grant:
        """The grant that is meant."""
        return Grant(self.role, self.venture, self.environment)


class GrantBody(RevocationBody):
    """A role for somebody, who is made when there is nobody of that name."""

    email: Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")] = Field(
        default="", description="For somebody new: the address that an identity provider knows them by."
    )
    expires_at: AwareDatetime | None = Field(default=None, description="The grant ends then; null: never.")


class PersonStateBody(Sent):
    """Shut somebody out, or let them in again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "mia", "disabled": True, "reason": "left"}]})
    name: Name
    disabled: bool
    reason: Reason


class CheckOut(BaseModel):
    """A decision, explained."""

    allowed: bool
    sentence: str = Field(examples=["yes: mia may do release.request in venture acme, production as release-manager in venture acme"])


class TokenOut(BaseModel):
    """A token without its secret."""

    id: str = Field(description="The part after `po_`; no secret.")
    owner: str
    name: str
    state: str = Field(description="`live`, `expired` or `revoked`.")
    operations: list[Operation] | None = Field(description="What it is narrowed to; null: all that its owner may do.")
    venture: str
    environment: str
    created_by: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")
    rotated_at: datetime | None
    previous_until: datetime | None = Field(description="Until then the secret before the last rotation holds, too.")
    revoked_at: datetime | None

    @classmethod
    def of(cls, token: Token, *, now: datetime) -> TokenOut:
        """The token as callers see it."""
        operations = None if token.operations is None else sorted(token.operations)
        same = {name: getattr(token, name) for name in cls.model_fields if name not in {"id", "state", "operations"}}
        return cls.model_validate(same | {"id": token.public_id, "state": token.state(now), "operations": operations})


class NewTokenOut(BaseModel):
    """A token with its secret, which is shown this once."""

    token: TokenOut
    secret: str = Field(description="Send it as `Authorization: Bearer <secret>`. It is kept nowhere here.")


class TokenList(BaseModel):
    """Tokens, newest first."""

    items: list[TokenOut]


class TokenBody(Sent):
    """What a token is for."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "CI of the shop", "operations": ["release.request", "release.read"]}]}
    )
    name: Name
    owner: Name | None = Field(default=None, description="Whose it is; null: yours.")
    operations: list[Operation] | None = Field(default=None, max_length=100, description="Narrow it to these; null: all its owner may do.")
    venture: Venture = ANY
    environment: Place = ANY
    life_s: int = Field(default=90 * DAY_S, ge=60, le=366 * DAY_S, description="Seconds until it expires.")


class RotationBody(Sent):
    """How the change from one secret to the next goes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_s": 3600}]})
    overlap_s: int = Field(default=DAY_S, ge=0, le=30 * DAY_S, description="So long the secret before holds, too.")
    life_s: int = Field(default=90 * DAY_S, ge=60, le=366 * DAY_S, description="Seconds until the token expires.")
