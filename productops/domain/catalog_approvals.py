"""Who has to sign what, as the catalog's YAML names it: ``kind: ApprovalPolicy``."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from productops.domain.governance_access import Role
from productops.domain.release import Environment
from productops.domain.strategies.names import Strategy

_Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
_FlagKey = Annotated[str, Field(min_length=1, max_length=100)]
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
DAY_S = 86_400


class Action(StrEnum):
    """What a signature may be needed for. Kill switches and roll backs are none of them: they wait for nobody."""

    RELEASE = "release"
    TRAIN = "train"
    FLAG = "flag"
    BYPASS = "bypass"
    PLAYBOOK = "playbook"
    OVERRIDE = "override"
    POLICY = "policy"


class RiskLevel(StrEnum):
    """How much can go wrong."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Attribute(StrEnum):
    """What is unusual about a request."""

    FORCE_DOWNGRADE = "force-downgrade"
    LIFT_QUARANTINE = "lift-quarantine"
    BYPASS = "bypass"
    BUDGET_SPENT = "budget-spent"


class Weekday(StrEnum):
    """A day of the week, Monday first."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Signatures(_Strict):
    """So many different people who hold a role there."""

    role: Role
    count: int = Field(default=1, ge=1, le=20, description="How many different people; whoever asked is never one of them.")


class Hours(_Strict):
    """Business hours."""

    timezone: str = Field(default="UTC", max_length=60, description="Zone of the times, e.g. Europe/Berlin.")
    weekdays: tuple[Weekday, ...] = Field(default=tuple(Weekday)[:5], min_length=1, max_length=7, description="Default: Monday to Friday.")
    start: str = Field(default="08:00", description="Local time from which on they count, HH:MM.")
    end: str = Field(default="18:00", description="Local time from which on they no longer count, HH:MM up to 24:00.")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError) as error:
            raise ValueError(f"{name!r} is no time zone that is known here; write one like Europe/Berlin or UTC") from error
        return name

    @field_validator("start", "end")
    @classmethod
    def _clock(cls, text: str) -> str:
        if not _TIME.fullmatch(text):
            raise ValueError(f"{text!r} is no time of day; write it in quotes like '08:00'")
        return text

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must be before end; hours do not go past midnight")
        return self


class PolicyHours(Hours):
    """When signing counts, or outside of which more is needed."""

    outside: Literal["wait", "more"] = Field(
        default="wait", description="'wait': signatures given outside do not count. 'more': what is asked for outside needs `more`, too."
    )
    more: tuple[Signatures, ...] = Field(default=(), max_length=10, description="Needed on top for what is asked for outside these hours.")

    @model_validator(mode="after")
    def _more(self) -> Self:
        if (self.outside == "more") != bool(self.more):
            raise ValueError("write `more` (a list of signatures) with outside: more, and only then")
        return self


class PolicyScope(_Strict):
    """What a policy is about. An empty list: all. Everything that is given has to fit."""

    ventures: tuple[_Name, ...] = Field(default=(), max_length=500)
    environments: tuple[Environment, ...] = Field(default=(), description="What belongs to no environment fits only an empty list.")
    services: tuple[_Name, ...] = Field(default=(), max_length=500)
    flags: tuple[_FlagKey, ...] = Field(default=(), max_length=500)
    strategies: tuple[Strategy, ...] = ()
    risk: tuple[RiskLevel, ...] = Field(default=(), description="Levels of risk.")
    attributes: tuple[Attribute, ...] = Field(default=(), description="At least one of them is there.")


class ApprovalPolicySpec(_Strict):
    """Which actions need which signatures."""

    description: str = Field(default="", max_length=2000)
    actions: tuple[Action, ...] = Field(min_length=1, description="What it is about. `policy` is changing policies and access themselves.")
    scope: PolicyScope = PolicyScope()
    signatures: tuple[Signatures, ...] = Field(min_length=1, max_length=10)
    signature_valid_s: int = Field(default=DAY_S, ge=60, le=90 * DAY_S, description="A signature that waits longer for the others lapses.")
    request_valid_s: int = Field(default=3 * DAY_S, ge=60, le=90 * DAY_S, description="A request that is not signed by then expires.")
    hours: PolicyHours | None = None

    @model_validator(mode="after")
    def _roles_once(self) -> Self:
        for listed in (self.signatures, self.hours.more if self.hours else ()):
            roles = [each.role for each in listed]
            if len(set(roles)) != len(roles):
                raise ValueError("a role is listed twice; write it once with its count")
        return self


class PolicyMetadata(_Strict):
    """Name and owner of a policy."""

    name: _Name = Field(description="Lower case letters, digits and '-'.")
    venture: _Name | None = Field(default=None, description="The venture it is for. Left out: those of its scope, or all.")
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class ApprovalPolicyEntry(_Strict):
    """``kind: ApprovalPolicy``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["ApprovalPolicy"]
    metadata: PolicyMetadata
    spec: ApprovalPolicySpec

    @model_validator(mode="after")
    def _owned(self) -> Self:
        named = self.spec.scope.ventures
        if self.metadata.venture and named and set(named) != {self.metadata.venture}:
            raise ValueError("metadata.venture and spec.scope.ventures name different ventures; write one of them")
        return self
