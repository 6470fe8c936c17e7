"""What has to hold before a version goes out, as the catalog's YAML names it: ``kind: QualityPolicy``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from productops.domain.governance_access import Role
from productops.domain.quality_expression import parse_expression
from productops.domain.quality_findings import FindingKind, Severity
from productops.domain.quality_verdict import GateKind

Word = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Glob = Annotated[str, Field(min_length=1, max_length=300)]
Globs = Annotated[tuple[Glob, ...], Field(max_length=200)]
Percent = Annotated[float, Field(ge=0, le=100)]
Quantile = Literal["p50", "p75", "p90", "p95", "p99", "p99.9"]
GATES_MAX: Final = 50
COMMANDS_MAX: Final = 20


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Gate(_Strict):
    """What all gates have."""

    name: Word = Field(description="Name of the gate; waivers, sign-offs and results carry it.")
    required: bool = Field(default=True, description="false: it advises only and stops nothing.")
    to_pass: str = Field(default="", max_length=2000, description="What to do when it does not pass, in your words; added to ours.")
    links: tuple[Annotated[str, Field(max_length=500, pattern=r"^https?://")], ...] = Field(
        default=(), max_length=20, description="Where people read more."
    )


class TestsGate(_Gate):
    """Tests that ran, and none of them failed. Which tests: all that fit every given list."""

    __test__ = False

    kind: Literal["unit", "integration", "end-to-end"]
    suites: Globs = Field(default=("*",), min_length=1, description="Patterns on the suite or class name.")
    files: Globs = Field(default=(), description="Patterns on the test's file; a test without one does not fit. Empty: any.")
    exclude: Globs = Field(default=(), description="Patterns on suite, class name or file of tests that are left out.")
    formats: Globs = Field(default=(), description="Only when the results came in one of these formats, e.g. junit, playwright.")
    tests_min: int = Field(default=1, ge=1, le=10_000_000, description="Tests that ran (not skipped); with fewer it is inconclusive.")
    failures_max: int = Field(default=0, ge=0, le=1_000_000, description="Failures borne; waived and quarantined tests do not count.")
    skips_max: int | None = Field(default=None, ge=0, description="Skipped tests borne. Left out: any number.")
    skips_max_pct: Percent | None = Field(default=None, description="Skipped tests borne, in percent of all.")
    flaky_max: int | None = Field(default=None, ge=0, description="Tests borne that passed only when retried. Left out: any number.")
    duration_max_s: float | None = Field(default=None, gt=0, description="Longest time of all tests together, seconds.")


class SeriesLimit(_Strict):
    """A fixed limit of a quantile, in the series' own unit."""

    series: Glob = Field(description="Pattern on the name of the series.")
    quantile: Quantile = "p99"
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("write either at_most or at_least")
        return self


class PerformanceGate(_Gate):
    """No series got worse than tolerated against the accepted runs before, and none is past a fixed limit."""

    kind: Literal["performance"]
    series: Globs = Field(default=("*",), min_length=1, description="Patterns on the names of series.")
    exclude: Globs = Field(default=(), description="Patterns on the names of series that are left out.")
    worse_pct: dict[Quantile, Annotated[float, Field(ge=0, le=1000)]] = Field(
        default={"p50": 5.0, "p90": 10.0, "p99": 20.0}, min_length=1, description="How much worse is borne, in percent, by quantile."
    )
    better: Literal["lower", "higher", "as-told"] = Field(
        default="as-told", description="What is good. as-told: what the series says of itself, and lower when it says nothing."
    )
    compare: bool = Field(default=True, description="false: fixed limits only, no comparison with earlier runs.")
    runs_min: int = Field(default=5, ge=1, le=1000, description="Earlier runs needed to compare.")
    without_history: Literal["inconclusive", "pass"] = Field(
        default="inconclusive", description="What a series is that has fewer earlier runs than runs_min."
    )
    detectable_max_pct: float | None = Field(
        default=None, gt=0, description="Inconclusive when only a larger change than this could have been seen."
    )
    series_min: int = Field(default=1, ge=1, le=10_000, description="Series that have to be there.")
    limits: tuple[SeriesLimit, ...] = Field(default=(), max_length=500, description="Fixed limits.")


class Ignore(_Strict):
    """Findings that do not count, and why. Everything that is given has to fit."""

    reason: str = Field(min_length=10, max_length=1000, description="Why they do not count; shown in the result.")
    rule: Glob = Field(default="*", description="Pattern on the rule or an identifier, e.g. CVE-2024-1234.")
    path: Glob = Field(default="*", description="Pattern on the path.")
    package: Glob = Field(default="*", description="Pattern on the package.")
    until: AwareDatetime | None = Field(default=None, description="From then on they count again.")


class SecurityGate(_Gate):
    """Not too many findings of each severity, none of them too bad or too old."""

    kind: Literal["security"]
    kinds: tuple[FindingKind, ...] = Field(default=(FindingKind.CODE, FindingKind.VULNERABILITY), min_length=1)
    tools: Globs = Field(default=(), description="Patterns on the tool's name. Empty: any.")
    count: Literal["new", "all"] = Field(
        default="all", description="new: only findings that the last passed run of the main branch did not have."
    )
    at_most: dict[Severity, Annotated[int, Field(ge=0)]] = Field(
        default_factory=lambda: {Severity.CRITICAL: 0, Severity.HIGH: 0},
        description="Findings borne by severity; one left out: any number.",
    )
    cvss_below: float | None = Field(default=None, gt=0, le=10, description="No finding with this CVSS score or a higher one.")
    days_max: dict[Severity, Annotated[float, Field(gt=0, le=3650)]] = Field(
        default_factory=dict, description="Days after which a finding counts that was borne as known, by severity."
    )
    suppressed: Literal["show", "count"] = Field(
        default="show", description="Findings that the source or the tool suppresses: show how many, or count them."
    )
    ignore: tuple[Ignore, ...] = Field(default=(), max_length=500)
    report: Literal["required", "if-there"] = Field(
        default="required", description="required: inconclusive without a report of a scanner. if-there: passes without one."
    )


class CoverageGate(_Gate):
    """Enough lines, branches and changed lines ran in tests."""

    kind: Literal["coverage"]
    lines_min_pct: Percent | None = Field(default=90.0, description="Lines that ran, in percent.")
    branches_min_pct: Percent | None = Field(default=None, description="Ways out of conditions that were taken, in percent.")
    changed_min_pct: Percent | None = Field(default=None, description="Lines of the change that ran, in percent; needs a diff.")
    drop_max_pct: Percent | None = Field(default=None, description="Percentage points of lines that may be lost against the baseline.")
    files_min_pct: Percent | None = Field(default=None, description="Lines of each single file that ran, in percent.")
    include: Globs = Field(default=("*",), min_length=1, description="Patterns on paths of files that count.")
    exclude: Globs = Field(default=(), description="Patterns on paths of files that do not.")
    unreported: Literal["ignore", "missed"] = Field(
        default="ignore", description="Changed files of a language the report knows, but not in it: left out, or all their lines missed."
    )


class StandardsGate(_Gate):
    """Licences, secrets, and a parts list."""

    kind: Literal["standards"]
    licences_allowed: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        default=(), max_length=1000, description="SPDX identifiers, also `X WITH Y`. Empty: licences are not looked at."
    )
    licences_unknown: Literal["refuse", "allow"] = Field(default="refuse", description="Parts whose licence nobody told, or that is none.")
    licences_except: tuple[Ignore, ...] = Field(default=(), max_length=500, description="Parts (package) whose licence is borne, and why.")
    secrets: Literal["none", "if-scanned", "off"] = Field(
        default="none", description="No secret in the sources. none: inconclusive without a scanner's report."
    )
    ignore: tuple[Ignore, ...] = Field(default=(), max_length=500, description="Secrets that are none, and why.")
    sbom: Literal["required", "off"] = Field(default="required", description="A parts list (CycloneDX, SPDX) with at least one part.")


class SignOffItem(_Strict):
    """One thing that somebody vouches for."""

    item: str = Field(min_length=1, max_length=200, description="What is signed, e.g. 'release notes read'.")
    role: Role = Field(default=Role.RELEASE_MANAGER, description="Role the signer holds in the venture.")
    count: int = Field(default=1, ge=1, le=10, description="How many different people.")


class SignOffGate(_Gate):
    """A checklist, signed by people for this version."""

    kind: Literal["sign-off"]
    items: tuple[SignOffItem, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _once(self) -> Self:
        _distinct("item", (each.item for each in self.items))
        return self


class ExpressionGate(_Gate):
    """A condition over the figures, e.g. ``tests_failed == 0 and coverage_lines_pct >= baseline_coverage_lines_pct - 0.5``."""

    kind: Literal["expression"]
    expression: str = Field(min_length=1, max_length=2000, description="The condition; docs/reference/quality-gates.md lists the names.")
    otherwise: str = Field(default="", max_length=1000, description="What to say when it does not hold.")

    @field_validator("expression")
    @classmethod
    def _parses(cls, text: str) -> str:
        parse_expression(text)
        return text


Gate = Annotated[
    TestsGate | PerformanceGate | SecurityGate | CoverageGate | StandardsGate | SignOffGate | ExpressionGate, Field(discriminator="kind")
]


class QualityCommand(_Strict):
    """A program that tests or measures a version and writes reports; no shell is involved."""

    name: Word
    argv: tuple[Annotated[str, Field(max_length=4000)], ...] = Field(
        min_length=1, max_length=200, description="Program and arguments. {version}, {commit}, {service} and {python} are replaced."
    )
    folder: str = Field(default="", max_length=500, description="Folder to run in, below the service's catalog folder.")
    timeout_s: float = Field(default=600.0, gt=0, le=86_400, description="Ended after so many seconds.")
    memory_mb: int = Field(default=0, ge=0, le=1_048_576, description="Memory of all its processes together, MiB; 0: no limit.")
    cpu_s: float = Field(default=0.0, ge=0, le=86_400, description="Processor time of all its processes together, seconds; 0: no limit.")
    artifacts: Globs = Field(default=(), description="Patterns of the reports it writes, below its folder.")
    environment: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,100}$")], ...] = Field(
        default=(), max_length=100, description="Names of variables it is given; all others are kept from it."
    )

    @field_validator("folder")
    @classmethod
    def _below(cls, folder: str) -> str:
        if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
            raise ValueError(f"the folder {folder!r} must be below the catalog folder of the service, such as `tests`")
        return folder


class QualityPolicySpec(_Strict):
    """Gates, and the commands that feed them."""

    description: str = Field(default="", max_length=4000)
    services: tuple[Word, ...] = Field(default=(), max_length=500, description="Services it is for. Empty: all of the venture.")
    default: bool = Field(default=False, description="For all services that no other policy is for. Without a venture: of all ventures.")
    main_branches: Globs = Field(
        default=("main", "master"), min_length=1, description="Branches whose passed runs are what others are compared with."
    )
    unread_max: int = Field(
        default=0, ge=0, description="Parts of the inputs that may be unreadable; with more, gates that would pass are an error."
    )
    gates: tuple[Gate, ...] = Field(min_length=1, max_length=GATES_MAX)
    commands: tuple[QualityCommand, ...] = Field(default=(), max_length=COMMANDS_MAX)

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        _distinct("gate", (gate.name for gate in self.gates))
        _distinct("command", (command.name for command in self.commands))
        if not any(gate.required for gate in self.gates):
            raise ValueError("no gate is required, so that no verdict could ever pass; leave out `required: false` of one")
        return self


class QualityMetadata(_Strict):
    """Name and owner of a policy."""

    name: Word = Field(description="Lower case letters, digits and '-'.")
    venture: Word | None = Field(default=None, description="The venture it is for. Left out: all ventures.")
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class QualityPolicy(_Strict):
    """``kind: QualityPolicy``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["QualityPolicy"]
    metadata: QualityMetadata
    spec: QualityPolicySpec

    def covers(self, *, venture: str, service: str) -> bool:
        """Whether it is for this service: by name, as all of its venture's, or as the default."""
        if self.metadata.venture not in {None, venture}:
            return False
        return service in self.spec.services if self.spec.services else True

    @property
    def weight(self) -> int:
        """Of several that cover a service the heaviest counts: by name, then the venture's, then the default; a venture's before all's."""
        named = 4 if self.spec.services else 0 if self.spec.default else 2
        return named + (1 if self.metadata.venture else 0)


def _distinct(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"the {what} {name!r} is there twice; each has a name of its own")
        seen.add(name)


BUILT_IN: Final = QualityPolicy(
    apiVersion="productops/v1",
    kind="QualityPolicy",
    metadata=QualityMetadata(name="built-in"),
    spec=QualityPolicySpec(
        description="What holds where the catalog declares no QualityPolicy.",
        default=True,
        gates=(
            TestsGate(name="tests", kind=GateKind.UNIT.value),
            CoverageGate(name="coverage", kind="coverage"),
            SecurityGate(name="security", kind="security", count="new", report="if-there"),
            StandardsGate(name="standards", kind="standards", secrets="if-scanned", sbom="off"),
            PerformanceGate(name="performance", kind="performance", required=False, without_history="pass"),
        ),
    ),
)
