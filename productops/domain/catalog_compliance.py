"""What has to hold, as the catalog's YAML names it: ``kind: Control``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from productops.domain.governance_compliance_words import Severity
from productops.domain.release import Environment

Word = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Days = Annotated[float, Field(gt=0, le=3650)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Releases(_Strict):
    """A check of releases."""

    environments: tuple[Environment, ...] = Field(
        default=(Environment.PRODUCTION,), min_length=1, description="Environments whose releases are looked at."
    )
    days: Days = Field(default=90, description="Releases of so many days are looked at.")
    since: AwareDatetime | None = Field(default=None, description="Releases before this time are left alone: when the rule began.")


class FourEyes(_Releases):
    """Each release was signed by another person, or an override of it was reviewed by another."""

    kind: Literal["four-eyes"]


class NoSelfApproval(_Releases):
    """Nobody signed, overrode or permitted what they had asked for themselves, nor closed the review of their own override."""

    kind: Literal["no-self-approval"]


class FreezesKept(_Releases):
    """No release began in a freeze without a bypass that another person had approved."""

    kind: Literal["freezes-kept"]


class OverridesReviewed(_Strict):
    """Each override was reviewed in time."""

    kind: Literal["overrides-reviewed"]
    within_days: Days = Field(default=3, description="So long a review may stay open.")


class AuditAnchored(_Strict):
    """The audit log fits from its newest anchor on, and that anchor is young. Safe to remedy: an anchor is written."""

    kind: Literal["audit-anchored"]
    within_hours: float = Field(default=24, gt=0, le=8760, description="Age the newest anchor may have when entries came after it.")


class TokensInUse(_Strict):
    """Tokens end some day, and those that nobody uses are revoked. Safe to remedy: they are revoked."""

    kind: Literal["tokens-in-use"]
    unused_days: Days = Field(default=90, description="A token that nobody used for so long is a finding.")
    valid_days: Days = Field(default=366, description="A token that is valid for longer than this is a finding.")


class AdminsFew(_Strict):
    """Not too many may do everything."""

    kind: Literal["admins-few"]
    at_most: int = Field(default=3, ge=1, le=1000, description="People and programs with the role admin, by themselves or by a group.")


class FlagsFresh(_Strict):
    """No flag lives on past its removal, or without a change."""

    kind: Literal["flags-fresh"]
    days: Days = Field(default=90, description="A temporary flag that nobody changed for so long is a finding.")


class RollbackDrilled(_Strict):
    """Each service with users was rolled back lately, in a drill or in earnest, and it worked."""

    kind: Literal["rollback-drilled"]
    within_days: Days = Field(default=90, description="How long ago the last roll back may be.")
    environments: tuple[Environment, ...] = Field(default=(Environment.PRODUCTION,), min_length=1, description="Where a roll back counts.")


class BackupDrilled(_Strict):
    """A backup was restored in a drill lately."""

    kind: Literal["backup-drilled"]
    within_days: Days = Field(default=30, description="How long ago the last drill may be.")
    actions: tuple[str, ...] = Field(
        default=("backup.drilled", "backup.restored"), min_length=1, max_length=20, description="Audit entries that tell of a drill."
    )


class AnalysisKept(_Releases):
    """No release went to users without a judge: with measurements, warnings and limits as the product means them."""

    kind: Literal["analysis-kept"]


class QuarantineKept(_Releases):
    """Services bar versions that were rolled back, and nobody released one of them all the same."""

    kind: Literal["quarantine-kept"]


Check = Annotated[
    FourEyes | NoSelfApproval | FreezesKept | OverridesReviewed | AuditAnchored | TokensInUse | AdminsFew | FlagsFresh | RollbackDrilled
    | BackupDrilled | AnalysisKept | QuarantineKept,
    Field(discriminator="kind"),
]  # fmt: skip


class ControlSpec(_Strict):
    """One control."""

    title: str = Field(min_length=1, max_length=200, description="What has to hold, in a sentence.")
    description: str = Field(default="", max_length=4000, description="Why, and which rule asks for it.")
    check: Check = Field(description="How it is checked.")
    severity: Severity = Field(default=Severity.MEDIUM, description="How bad it is when it does not hold.")
    owner: str = Field(min_length=1, max_length=255, description="Who sees to it: a person or a team.")
    remediation: str = Field(default="", max_length=4000, description="What the owner is to do about a finding.")
    remediate: bool = Field(default=False, description="Let the check itself put right what can be put right without harm.")
    services: tuple[Word, ...] = Field(default=(), max_length=500, description="Services it is for. Empty: all.")
    references: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        default=(), max_length=50, description="Where the rule comes from: SOC 2 CC8.1, ISO 27001 A.8.32."
    )


class ControlMetadata(_Strict):
    """Name, owner and labels of a control."""

    name: Word = Field(description="Lower case letters, digits and '-'; findings carry it.")
    venture: Word | None = Field(default=None, description="The venture it is for. Left out: all ventures, and the installation.")
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class ControlEntry(_Strict):
    """``kind: Control``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Control"]
    metadata: ControlMetadata
    spec: ControlSpec
