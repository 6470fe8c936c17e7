"""The declared state: ventures and services as the catalog's YAML names them."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from productops.domain.catalog_access import AccessEntry
from productops.domain.catalog_analysis import Analysis
from productops.domain.catalog_analytics import CohortEntry, FunnelEntry
from productops.domain.catalog_analytics_events import TrackingPlanEntry
from productops.domain.catalog_approvals import ApprovalPolicyEntry
from productops.domain.catalog_compliance import ControlEntry
from productops.domain.catalog_development import DevelopmentSourceEntry
from productops.domain.catalog_experiment import ExperimentEntry
from productops.domain.catalog_feature import FeatureEntry
from productops.domain.catalog_flags import FlagEntry
from productops.domain.catalog_incident import MaintenanceWindowEntry, SeverityPolicyEntry
from productops.domain.catalog_monitoring import ScrapeTargetEntry
from productops.domain.catalog_oncall import EscalationEntry, OnCallEntry
from productops.domain.catalog_oncall_telling import ChannelEntry, StatusPageEntry, TellingEntry
from productops.domain.catalog_playbook import PlaybookEntry
from productops.domain.catalog_quality import QualityPolicy
from productops.domain.catalog_security import SecurityPolicyEntry
from productops.domain.catalog_team import TeamEntry
from productops.domain.catalog_webhooks import WebhookSourceEntry, WebhookTargetEntry
from productops.domain.catalog_windows import CalendarEntry, ChangeWindowEntry
from productops.domain.monitoring_detect_heartbeat import HeartbeatEntry
from productops.domain.release import Environment
from productops.domain.strategies.blue_green import BlueGreen
from productops.domain.strategies.canary import DEFAULT_STEPS, Canary, CanaryStep
from productops.domain.strategies.sections import StrategySections

__all__ = [
    "API_VERSION", "DEFAULT_STEPS", "Analysis", "AnyEntry", "Attribute", "BlueGreen", "Canary", "CanaryStep", "Entry", "FolderVersions",
    "GitVersions", "Health", "ImageVersions", "Metadata", "Name", "Rollout", "Route", "Run", "Service", "ServiceEntry", "ServiceSpec",
    "VentureEntry", "VentureSpec", "Versions", "WheelVersions", "stat_name",
]  # fmt: skip

API_VERSION = "productops/v1"
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="Lower case letters, digits and '-'.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Health(_Strict):
    """How the agent knows that an instance serves. Times in seconds."""

    path: str = Field(default="/healthz", pattern=r"^/", description="Answers 2xx when the instance serves.")
    timeout_s: float = Field(default=20.0, gt=0, le=3600, description="A candidate that is not healthy by then ends its release.")
    interval_s: float = Field(default=0.5, ge=0.05, le=60, description="Time between two questions.")


class FolderVersions(_Strict):
    """Versions are folders."""

    kind: Literal["folder"] = "folder"
    path: str = Field(description="Folder of a version; {version} is replaced. Relative to the catalog file.")


class GitVersions(_Strict):
    """Versions are references of a git repository."""

    kind: Literal["git"]
    repository: str = Field(description="Path or URL of the repository. A path is relative to the catalog file.")
    ref: str = Field(default="v{version}", description="Reference of a version; {version} is replaced.")
    subfolder: str = Field(default="", description="Folder within the tree to run in.")


class WheelVersions(_Strict):
    """Versions are Python wheels."""

    kind: Literal["wheel"]
    path: str = Field(description="Wheel file of a version; {version} is replaced. Relative to the catalog file.")


class ImageVersions(_Strict):
    """Versions are container images; they need the target ``podman``."""

    kind: Literal["image"]
    image: str = Field(pattern=r"^[a-zA-Z0-9][^\s]{0,254}$", description="Image of a version; {version} is replaced.")


Versions = Annotated[FolderVersions | GitVersions | WheelVersions | ImageVersions, Field(discriminator="kind")]


class Run(_Strict):
    """How an instance is started."""

    command: tuple[str, ...] = Field(
        min_length=1, description="Program and arguments. {port}, {version} and {python} are replaced; no shell is involved."
    )
    env: dict[str, str] = Field(default_factory=dict, description="Added to a minimal environment.")
    versions: Versions
    instances: int = Field(default=1, ge=1, le=100, description="Instances of a version that serves users.")
    health: Health = Health()


class Attribute(_Strict):
    """Where a user's attribute stands in a request."""

    header: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,80}$", description="Name of the header that carries it.")
    cookie: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]{0,80}$", description="Name of the cookie that carries it.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.header) == bool(self.cookie):
            raise ValueError("name either a header or a cookie")
        return self


class Route(_Strict):
    """How users' requests find the service."""

    hosts: dict[Environment, tuple[str, ...]] = Field(
        default_factory=dict, description="Host names by environment; default <service>.localhost, <service>.<environment>.localhost."
    )
    timeout_s: float = Field(default=15.0, gt=0, le=3600, description="Longest answer the router waits for.")
    sticky: bool = Field(default=True, description="A user stays on one version (cookie) while the weights rise.")
    region_header: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_-]{0,80}$",
        description="Header that names a request's region. Empty: all requests come from the region of the agent beside the router.",
    )
    attributes: dict[str, Attribute] = Field(default_factory=dict, description="User attributes that segments may name.")


class Rollout(StrategySections):
    """How versions of the service reach users."""

    analysis: Analysis = Analysis()
    validate_s: float = Field(default=3.0, ge=0, le=3600, description="After the promotion, watch for so long before the old version goes.")
    on_incident: Literal["roll-back", "tell"] = Field(
        default="roll-back", description="When an incident is traced to a release of this service: give the baseline back, or only say so."
    )
    rollback_window_s: float = Field(
        default=86_400, ge=0, le=31_536_000, description="So long after its promotion an incident rolls a release back by itself."
    )
    quality: Literal["off", "advisory", "required"] | None = Field(
        default=None,
        description="Whether the quality gates have to pass before a release: left out, `required` where a QualityPolicy is declared for "
        "the service and `off` where none is.",
    )
    quarantine: bool = Field(default=True, description="Bar a rolled-back version until a newer one succeeds or a person insists.")


class ServiceSpec(_Strict):
    """One deployable thing of a venture."""

    description: str = ""
    depends_on: tuple[Name, ...] = Field(
        default=(), max_length=50, description="Services that are promoted before this one when they are released together (a train)."
    )
    run: Run
    route: Route = Route()
    rollout: Rollout = Rollout()

    @model_validator(mode="after")
    def _attributes_known(self) -> Self:
        steps = self.rollout.canary.declared
        unknown = {s.segment.attribute for s in steps if s.segment and s.segment.attribute} - self.route.attributes.keys()
        if unknown:
            raise ValueError(f"a segment names the attribute {min(unknown)!r}, which route.attributes does not have")
        return self


class VentureSpec(_Strict):
    """A product business; the tenant."""

    title: str = ""
    description: str = ""


class Metadata(_Strict):
    """Name and owner of a catalog entry."""

    name: Name
    venture: Name | None = None
    labels: dict[str, str] = Field(default_factory=dict)


class VentureEntry(_Strict):
    """``kind: Venture``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["Venture"]
    metadata: Metadata
    spec: VentureSpec = VentureSpec()


class ServiceEntry(_Strict):
    """``kind: Service``; ``metadata.venture`` names its owner."""

    apiVersion: Literal["productops/v1"]  # noqa: N815
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec

    @model_validator(mode="after")
    def _owned(self) -> Self:
        if self.metadata.venture is None:
            raise ValueError("metadata.venture is missing: name the venture that owns this service")
        return self


AnyEntry = (
    VentureEntry | ServiceEntry | FlagEntry | CalendarEntry | ChangeWindowEntry | AccessEntry | ApprovalPolicyEntry | ControlEntry
    | WebhookSourceEntry | WebhookTargetEntry | QualityPolicy | DevelopmentSourceEntry | TeamEntry | FeatureEntry | ExperimentEntry
    | PlaybookEntry | SeverityPolicyEntry | MaintenanceWindowEntry
    | TrackingPlanEntry | FunnelEntry | CohortEntry | ScrapeTargetEntry | HeartbeatEntry
    | OnCallEntry | EscalationEntry | ChannelEntry | TellingEntry | StatusPageEntry | SecurityPolicyEntry
)  # fmt: skip
Entry = Annotated[AnyEntry, Field(discriminator="kind")]


class Service(_Strict):
    """A service as stored: its spec, its owner and where its catalog file lies (base of relative paths)."""

    name: str
    venture: str
    spec: ServiceSpec
    base: str
    revision: int

    def hosts(self, environment: Environment) -> tuple[str, ...]:
        """Host names that reach this service in ``environment``."""
        default = f"{self.name}.localhost" if environment is Environment.PRODUCTION else f"{self.name}.{environment}.localhost"
        return self.spec.route.hosts.get(environment, (default,))


def stat_name(service: str, environment: Environment, version: str) -> str:
    """Name of a version's cluster in the router, unique and free of dots (the router splits its metrics at dots)."""
    safe = re.sub(r"[^A-Za-z0-9_+-]", lambda m: f"~{ord(m.group()):x}", version)
    return f"po|{service}|{environment}|{safe}"
