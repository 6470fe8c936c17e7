"""The declared state of feature flags: ``kind: Flag`` of the catalog, and what a flag is at run time."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, field_validator, model_validator

from productops.domain.catalog_flags_targeting import targeting_problem
from productops.domain.release import Environment

FLAG_KEY = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
FlagKey = Annotated[str, Field(pattern=FLAG_KEY, description="1 to 63 letters, digits, '.', '_' and '-'; the name programs ask for.")]
VariantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
FlagValue = StrictBool | StrictStr | StrictInt | StrictFloat | dict[str, Any]
AttributeValue = StrictBool | StrictStr | StrictInt | StrictFloat
SPEC_BYTES_MAX = 65_536


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EnvironmentRules(_Strict):
    """What differs in one environment; what is left out is as the flag says."""

    default_variant: VariantName | None = Field(default=None, description="Variant for everybody whom no rule names, in this environment.")
    targeting: dict[str, Any] | None = Field(default=None, description="flagd JSON targeting of this environment.")

    @field_validator("targeting")
    @classmethod
    def _known(cls, rules: dict[str, Any] | None) -> dict[str, Any] | None:
        return _checked(rules)


def _everywhere() -> dict[Environment, EnvironmentRules]:
    return {environment: EnvironmentRules() for environment in Environment}


def _on_off() -> dict[str, FlagValue]:
    return {"on": True, "off": False}


class FlagSpec(_Strict):
    """What somebody declares of a flag: its values, who gets which, who owns it and until when it is needed."""

    description: str = Field(default="", max_length=2000, description="What the flag switches.")
    owner: str = Field(min_length=1, max_length=255, description="Person or team who removes it when it is no longer needed.")
    variants: dict[VariantName, FlagValue] = Field(
        default_factory=_on_off, min_length=1, max_length=50,
        description="Value by name: all true or false, all text, all numbers, or all mappings.",
    )  # fmt: skip
    default_variant: VariantName = Field(default="off", description="Variant for everybody whom no rule and no ramp names.")
    off_variant: VariantName | None = Field(
        default=None, description="Variant of everybody once the flag is killed; default: 'off' where there is one, else default_variant."
    )
    targeting: dict[str, Any] = Field(default_factory=dict, description="flagd JSON targeting; goes before ramps. Null falls through.")
    environments: dict[Environment, EnvironmentRules] = Field(
        default_factory=_everywhere, min_length=1, description="Where the flag exists, with what differs there; default: everywhere."
    )
    expires_on: date | None = Field(default=None, description="From this day on the stale report asks for its removal.")
    approval_required: bool = Field(default=False, description="Changes wait until somebody else approves them. Killing never waits.")

    @field_validator("targeting")
    @classmethod
    def _known(cls, rules: dict[str, Any]) -> dict[str, Any]:
        return _checked(rules) or {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        kinds = {value_type(value) for value in self.variants.values()}
        if len(kinds) > 1:
            raise ValueError(f"variants must all be of one type, got {', '.join(sorted(kinds))}")
        named = {"default_variant": self.default_variant, "off_variant": self.off_variant}
        named |= {f"environments.{e}.default_variant": r.default_variant for e, r in self.environments.items()}
        for field, variant in named.items():
            if variant is not None and variant not in self.variants:
                raise ValueError(f"{field} {variant!r} is not among the variants {', '.join(self.variants)}")
        if len(self.model_dump_json()) > SPEC_BYTES_MAX:
            raise ValueError(f"a flag has at most {SPEC_BYTES_MAX // 1024} KiB; keep large values elsewhere and name them here")
        return self

    @property
    def killed_variant(self) -> str:
        """What everybody gets once the flag is killed."""
        return self.off_variant or ("off" if "off" in self.variants else self.default_variant)

    @property
    def value_type(self) -> str:
        """``boolean``, ``string``, ``number`` or ``object``."""
        return value_type(next(iter(self.variants.values())))


class Segment(_Strict):
    """Users whose context has one of ``values`` in ``attribute``; text, numbers and truth values are never equal to each other."""

    attribute: str = Field(min_length=1, max_length=100, description="Name in the evaluation context; 'targetingKey' is the user.")
    values: tuple[AttributeValue, ...] = Field(min_length=1, max_length=1000)


class Ramp(_Strict):
    """How far a variant has come: everybody of ``segments`` (any of them), and ``percent`` (0 to 100) of all others by a stable hash."""

    variant: VariantName
    percent: float = Field(ge=0, le=100)
    segments: tuple[Segment, ...] = Field(default=(), max_length=50)


class Live(_Strict):
    """What is set at run time in one environment. ``settled_since``: from when on everybody has had one and the same variant."""

    killed: bool = False
    ramp: Ramp | None = None
    settled_since: datetime | None = None


class FlagState(_Strict):
    """A flag in full, as one revision of it."""

    spec: FlagSpec
    live: dict[Environment, Live] = Field(default_factory=dict)
    archived: bool = False

    @model_validator(mode="after")
    def _ramped_variants_exist(self) -> Self:
        for environment, live in self.live.items():
            if live.ramp is not None and live.ramp.variant not in self.spec.variants:
                raise ValueError(f"variant {live.ramp.variant!r} is being ramped in {environment} and cannot be missing from the variants")
        return self

    def live_in(self, environment: Environment) -> Live:
        """What is set at run time there."""
        return self.live.get(environment, Live())


class FlagMetadata(_Strict):
    """Name and owner of a flag's entry."""

    name: FlagKey
    venture: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="The venture that owns the flag.")]
    labels: dict[str, str] = Field(default_factory=dict)


class FlagEntry(_Strict):
    """``kind: Flag``; the metadata's name is the key that programs ask for."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Flag"]
    metadata: FlagMetadata
    spec: FlagSpec


def value_type(value: Any) -> str:
    """``boolean``, ``string``, ``number`` or ``object``."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, int | float) else "object"


def _checked(rules: dict[str, Any] | None) -> dict[str, Any] | None:
    """Raises: ValueError that says what the evaluator would not understand."""
    if rules and (problem := targeting_problem(rules)):
        raise ValueError(problem)
    if rules:
        json.dumps(rules, allow_nan=False)
    return rules
