"""Where the work is told, as the catalog's YAML names it: ``kind: DevelopmentSource``."""

from __future__ import annotations

import re
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from productops.domain.catalog_webhooks import EntryName, SecretName
from productops.domain.development import Stage, System

Project = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")]
Foreign = Annotated[str, Field(min_length=1, max_length=200)]
FieldName = Annotated[str, Field(max_length=120, pattern=r"^[A-Za-z0-9_. -]*$")]

ADDRESSES: Final = {System.GITHUB: "https://api.github.com", System.GITLAB: "https://gitlab.com"}
# What tools call it out of the box, in lower case. What a status' own category says comes after this.
STAGES: Final[dict[str, Stage]] = {
    "backlog": Stage.BACKLOG, "open": Stage.BACKLOG, "opened": Stage.BACKLOG, "new": Stage.BACKLOG, "triage": Stage.BACKLOG,
    "to do": Stage.READY, "todo": Stage.READY, "ready": Stage.READY, "selected for development": Stage.READY, "reopened": Stage.READY,
    "doing": Stage.DOING, "in progress": Stage.DOING, "in development": Stage.DOING, "wip": Stage.DOING, "blocked": Stage.DOING,
    "review": Stage.REVIEW, "in review": Stage.REVIEW, "code review": Stage.REVIEW,
    "testing": Stage.TESTING, "in testing": Stage.TESTING, "qa": Stage.TESTING, "in qa": Stage.TESTING, "verify": Stage.TESTING,
    "done": Stage.DONE, "closed": Stage.DONE, "resolved": Stage.DONE, "released": Stage.DONE, "cancelled": Stage.DONE,
}  # fmt: skip


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureRule(_Strict):
    """What a feature is in this tool."""

    by: Literal["epic", "label", "milestone", "parent", "field"] = Field(
        description="epic: issues of one of the types; label: what follows the prefix; milestone; parent: issues that have parts; field: "
        "the value of a field."
    )
    types: tuple[Foreign, ...] = Field(default=("Epic", "Feature", "Initiative"), max_length=20, description="Types that are features.")
    prefix: str = Field(default="feature/", max_length=60, description="Beginning of a label that names a feature.")
    field: FieldName = Field(default="", description="Field whose value names the feature, e.g. customfield_10050.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.by == "field" and not self.field:
            raise ValueError("by: field needs the name of the field")
        return self


class EstimateRule(_Strict):
    """How big a piece of work is."""

    unit: Literal["hours", "points"] = Field(default="hours", description="What the field holds.")
    field: FieldName = Field(default="", description="Field of it. Empty: the tool's own time tracking, and Jira's story points.")
    low_field: FieldName = Field(default="", description="Field of the best case.")
    high_field: FieldName = Field(default="", description="Field of the worst case.")
    hours_per_point: float = Field(default=8.0, gt=0, le=1000, description="Makes hours of points.")
    label_prefix: str = Field(default="estimate/", max_length=60, description="A label such as estimate/6h or size/… where no field is.")


class Mapping(_Strict):
    """What the tool's words mean."""

    feature: FeatureRule | None = Field(default=None, description="Left out: epics in Jira, milestones in GitHub and GitLab.")
    stages: dict[Foreign, Stage] = Field(
        default_factory=dict, max_length=200, description="Status or label (any case) → stage; added to what is known of itself."
    )
    estimate: EstimateRule = EstimateRule()
    skills: dict[Foreign, EntryName] = Field(default_factory=dict, max_length=200, description="Label or component → skill.")
    services: dict[Foreign, EntryName] = Field(
        default_factory=dict, max_length=500, description="Path pattern of a changed file (shop/**) or repository → service."
    )
    production: tuple[Foreign, ...] = Field(
        default=("production", "prod", "production/*", "prod-*", "live"), max_length=50, description="Environments of users, as patterns."
    )
    blocked: tuple[Foreign, ...] = Field(default=("blocked", "impediment"), max_length=20, description="Labels or statuses of what waits.")
    people: dict[Foreign, Foreign] = Field(
        default_factory=dict, max_length=2000, description="Login or address → the one name of that person, the same in all tools."
    )

    def stage(self, *names: str) -> Stage | None:
        """Of the first name that means one; the catalog's words come before those known of themselves."""
        own = {name.lower(): stage for name, stage in self.stages.items()}
        for known in (own, STAGES):
            for name in names:
                if name and name.lower() in known:
                    return known[name.lower()]
        return None

    def labelled(self, *labels: str) -> Stage | None:
        """Of the furthest label that the catalog maps."""
        own = {name.lower(): stage for name, stage in self.stages.items()}
        found = [own[label.lower()] for label in labels if label.lower() in own]
        return max(found, key=list(Stage).index) if found else None

    def skill(self, *labels: str) -> str:
        """Of the first label that is mapped."""
        return next((self.skills[label] for label in labels if label in self.skills), "")

    def is_blocked(self, *names: str) -> bool:
        """Whether one of the names says that it waits."""
        return bool({name.lower() for name in names} & {name.lower() for name in self.blocked})

    def is_production(self, environment: str) -> bool:
        """Whether users are there."""
        return any(fnmatchcase(environment.lower(), pattern.lower()) for pattern in self.production)

    def services_of(self, repository: str, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Services that a change of these files is of."""
        found = {s for pattern, s in self.services.items() if pattern == repository or any(_matches(p, pattern) for p in paths)}
        return tuple(sorted(found))


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or (pattern.endswith("/**") and path.startswith(pattern[:-2]))


class DevelopmentSourceSpec(_Strict):
    """A tool that knows of the work."""

    system: System
    address: str = Field(default="", max_length=500, description="Of its API. Left out: api.github.com, gitlab.com. Jira always needs it.")
    projects: tuple[Project, ...] = Field(
        min_length=1, max_length=500, description="GitHub: owner/repository; GitLab: group/project or its number; Jira: project keys."
    )
    token: SecretName | None = Field(default=None, description="Name of the secret: PRODUCTOPS_SECRET_GITHUB. Left out: without one.")
    user: str = Field(default="", max_length=200, description="Jira Cloud: the address that the token belongs to.")
    history_days: int = Field(default=730, ge=1, le=7300, description="How far back builds, deployments and commits are read.")
    streams: tuple[Literal["issues", "changes", "commits", "builds", "deployments"], ...] = Field(
        default=("issues", "changes", "commits", "builds", "deployments"), min_length=1, description="What is read of it."
    )
    overlap_s: int = Field(default=300, ge=0, le=86_400, description="Each look begins so long before the end of the last one.")
    comb_every_h: int = Field(default=168, ge=1, le=8760, description="A full look that finds what was deleted, so often.")
    wait_max_s: int = Field(default=900, ge=0, le=86_400, description="A run waits so long for rate limits; then the next one goes on.")
    page_size: int = Field(default=100, ge=1, le=100, description="Things on one page.")
    paused: bool = Field(default=False, description="Read nothing.")
    mapping: Mapping = Mapping()

    @field_validator("address")
    @classmethod
    def _usable(cls, address: str) -> str:
        if not address:
            return address
        parts = urlsplit(address)
        try:
            usable = parts.scheme in {"https", "http"} and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.username or parts.password or parts.query or parts.fragment or re.search(r"\s", address):
            raise ValueError("is no address; write it like https://jira.example.com, without user, password, ? and #")
        return address.rstrip("/")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.system is System.JIRA and not self.address:
            raise ValueError("system: jira needs its address, e.g. https://acme.atlassian.net")
        wrong = [p for p in self.projects if not _PROJECT[self.system].fullmatch(p)]
        if wrong:
            raise ValueError(f"projects: {wrong[0]!r} is none of {self.system}; {_EXAMPLE[self.system]}")
        if len({p.lower() for p in self.projects}) < len(self.projects):
            raise ValueError("projects names one twice")
        return self

    @property
    def base_url(self) -> str:
        """Where its API is."""
        return self.address or ADDRESSES[self.system]

    @property
    def feature_rule(self) -> FeatureRule:
        """What a feature is, where the entry does not say it."""
        return self.mapping.feature or FeatureRule(by="epic" if self.system is System.JIRA else "milestone")

    @property
    def comb_every(self) -> timedelta:
        """Time between two full looks."""
        return timedelta(hours=self.comb_every_h)


_PROJECT: Final = {
    System.GITHUB: re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+"), System.GITLAB: re.compile(r"\d+|[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+"),
    System.JIRA: re.compile(r"[A-Z][A-Z0-9_]{0,30}"),
}  # fmt: skip
_EXAMPLE: Final = {
    System.GITHUB: "write it like acme/shop", System.GITLAB: "write it like acme/shop, or its number", System.JIRA: "write it like SHOP",
}  # fmt: skip


class DevelopmentMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class DevelopmentSourceEntry(_Strict):
    """``kind: DevelopmentSource``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["DevelopmentSource"]
    metadata: DevelopmentMetadata
    spec: DevelopmentSourceSpec
