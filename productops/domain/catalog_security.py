"""What counts as a danger, as the catalog's YAML names it: ``kind: SecurityPolicy``."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from productops.domain.catalog_approvals import Hours
from productops.domain.catalog_webhooks import EntryName
from productops.domain.governance_security import RuleId, SecurityFinding

Severity = Literal["SEV1", "SEV2", "SEV3", "SEV4"]
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
DAY_S: Final = 86_400


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleSpec(_Strict):
    """How one rule works; what is left out is as shipped."""

    enabled: bool = True
    severity: Severity | None = None
    times: int | None = Field(default=None, ge=1, le=1_000_000, description="From so many on, within the window.")
    window_s: int | None = Field(default=None, ge=60, le=604_800, description="Seconds that are counted together.")


class Rule(BaseModel):
    """A rule with everything decided."""

    model_config = ConfigDict(frozen=True)
    id: RuleId
    enabled: bool
    severity: Severity
    times: int
    window_s: int


SHIPPED: Final[dict[RuleId, tuple[Severity, int, int]]] = {
    RuleId.FAILED_ADDRESS: ("SEV3", 20, 300),
    RuleId.FAILED_USER: ("SEV3", 10, 600),
    RuleId.REVOKED_TOKEN: ("SEV3", 1, 3600),
    RuleId.EXPIRED_TOKEN: ("SEV4", 3, 3600),
    RuleId.MANY_ADDRESSES: ("SEV3", 5, 3600),
    RuleId.REFUSED: ("SEV3", 20, 600),
    RuleId.ODD_ACCESS: ("SEV3", 1, 3600),
    RuleId.ODD_RELEASE: ("SEV4", 1, 3600),
    RuleId.OWN_APPROVAL: ("SEV3", 1, 3600),
    RuleId.CHAIN: ("SEV2", 1, 3600),
    RuleId.VULNERABLE: ("SEV3", 1, 3600),
}
"""Severity, times, and window in seconds of each rule."""


class ExceptionSpec(_Strict):
    """What a rule need not tell, why, and how long."""

    rule: RuleId
    subject: str = Field(
        default="*", max_length=255, pattern=r"^[^\x00]*$",
        description="An address, a person, a token's id, a package or an advisory; `*` for any characters.",
    )  # fmt: skip
    reason: Text
    until: AwareDatetime = Field(description="From then on the rule tells it again. With its zone.")

    def covers(self, finding: SecurityFinding, *, now: datetime) -> bool:
        """Whether it holds for a finding now."""
        named = (finding.subject, *finding.names)
        return self.rule is finding.rule and now < self.until and any(fnmatchcase(each, self.subject) for each in named)


class UsualHours(_Strict):
    """When a person's own hours are known well enough to count for them."""

    days_min: int = Field(default=10, ge=2, le=365, description="Days with entries in the audit log.")
    entries_min: int = Field(default=50, ge=5, le=1000, description="Entries.")
    share_min: float = Field(default=0.03, gt=0, le=0.5, description="Share of these within an hour of the time in question.")


class FirstRelease(_Strict):
    """When it tells something that somebody releases for the first time."""

    releases_min: int = Field(default=10, ge=1, le=200, description="Earlier releases of the venture by others.")


class AdvisorySeverities(_Strict):
    """How severe a vulnerable version that serves users is, by the severity of the advisory."""

    critical: Severity = "SEV2"
    high: Severity = "SEV3"
    medium: Severity = "SEV4"
    low: Severity = "SEV4"


class Preserve(_Strict):
    """What is kept by itself when a security incident opens."""

    automatic: bool = True
    before_s: int = Field(default=3600, ge=60, le=DAY_S, description="So long before the incident began.")
    audit_max: int = Field(default=2000, ge=1, le=20_000, description="Entries of the audit log, the newest first.")
    log_lines_max: int = Field(default=1000, ge=0, le=1000, description="Log lines of the services, the newest first.")


class SecurityPolicySpec(_Strict):
    """What counts as a danger. Left out: as shipped."""

    hours: Hours | None = Field(
        default=None,
        description="When people work here; other times are odd hours. Left out: what is odd for somebody only their own past says.",
    )
    usual: UsualHours = UsualHours()
    first_release: FirstRelease = FirstRelease()
    rules: dict[RuleId, RuleSpec] = Field(default_factory=dict)
    exceptions: tuple[ExceptionSpec, ...] = Field(default=(), max_length=500)
    advisories: AdvisorySeverities = AdvisorySeverities()
    preserve: Preserve = Preserve()
    answers: EntryName | None = Field(
        default=None, description="Of the installation's policy: the venture whose people get incidents of the whole installation."
    )

    def rule(self, rule: RuleId) -> Rule:
        """How a rule works here."""
        severity, times, window_s = SHIPPED[rule]
        said = self.rules.get(rule, RuleSpec())
        return Rule(
            id=rule, enabled=said.enabled, severity=said.severity or severity, times=said.times or times, window_s=said.window_s or window_s
        )

    def excused(self, finding: SecurityFinding, *, now: datetime) -> bool:
        """Whether an exception covers it, or its rule is off."""
        return not self.rule(finding.rule).enabled or any(each.covers(finding, now=now) for each in self.exceptions)

    def plain(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(mode="json", exclude_unset=True)


class SecurityMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName | None = Field(
        default=None, description="Left out: for the installation, and for ventures without one of their own."
    )
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class SecurityPolicyEntry(_Strict):
    """``kind: SecurityPolicy``; one for the installation and one for a venture."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["SecurityPolicy"]
    metadata: SecurityMetadata
    spec: SecurityPolicySpec = SecurityPolicySpec()

    @model_validator(mode="after")
    def _answers(self) -> Self:
        if self.metadata.venture is not None and self.spec.answers is not None:
            raise ValueError("spec.answers belongs to the installation's policy, which has no metadata.venture")
        return self


class Policies:
    """All policies that are declared."""

    def __init__(self, specs: dict[str | None, SecurityPolicySpec]) -> None:
        self._specs = specs

    def of(self, venture: str | None) -> SecurityPolicySpec:
        """The venture's, else the installation's, else the shipped one."""
        return self._specs.get(venture) or self._specs.get(None) or SecurityPolicySpec()
