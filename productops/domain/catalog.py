"""The declared state: ventures and services as the catalog's YAML names them."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from productops.domain.release import Environment, Strategy

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


Versions = Annotated[FolderVersions | GitVersions | WheelVersions, Field(discriminator="kind")]


class Run(_Strict):
    """How an instance is started."""

    command: tuple[str, ...] = Field(
        min_length=1, description="Program and arguments. {port}, {version} and {python} are replaced; no shell is involved."
    )
    env: dict[str, str] = Field(default_factory=dict, description="Added to a minimal environment.")
    versions: Versions
    instances: int = Field(default=1, ge=1, le=100, description="Instances of a version that serves users.")
    health: Health = Health()


class Route(_Strict):
    """How users' requests find the service."""

    hosts: dict[Environment, tuple[str, ...]] = Field(
        default_factory=dict, description="Host names by environment; default <service>.localhost, <service>.<environment>.localhost."
    )
    timeout_s: float = Field(default=15.0, gt=0, le=3600, description="Longest answer the router waits for.")
    sticky: bool = Field(default=True, description="A user stays on one version (cookie) while the weights rise.")


class CanaryStep(_Strict):
    """One step of a canary."""

    weight_pct: int = Field(ge=1, le=100, description="Share of requests on the candidate.")
    hold_s: float = Field(ge=1, le=86_400, description="Longest time in this step, in seconds.")


DEFAULT_STEPS = (
    CanaryStep(weight_pct=5, hold_s=60),
    CanaryStep(weight_pct=20, hold_s=120),
    CanaryStep(weight_pct=50, hold_s=180),
)


class Canary(_Strict):
    """Weights and holds."""

    steps: tuple[CanaryStep, ...] = Field(default=DEFAULT_STEPS, min_length=1, max_length=50)

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[CanaryStep, ...]) -> tuple[CanaryStep, ...]:
        weights = [s.weight_pct for s in steps]
        if any(a >= b for a, b in pairwise(weights)):
            raise ValueError(f"weights must rise from step to step, got {weights}")
        return steps


class BlueGreen(_Strict):
    """One switch of all traffic, watched, with a warm way back. Times in seconds."""

    test_s: float = Field(default=0.0, ge=0, le=86_400, description="Before the switch, serve the test header only, for so long. 0: skip.")
    watch_s: float = Field(default=120.0, ge=1, le=86_400, description="After the switch, judge for so long.")
    keep_warm_s: float = Field(default=600.0, ge=0, le=604_800, description="Keep the old fleet for so long after the promotion.")


class Analysis(_Strict):
    """How the candidate is judged."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="Largest chance of rolling back a good version.")
    error_tolerance: float = Field(default=1.0, ge=1, le=100, description="Failures nobody minds, as a factor of the baseline's odds.")
    latency_tolerance_p50: float = Field(default=1.025, ge=1, le=100, description="Slower medians nobody minds: 1.025 is 2.5 %.")
    latency_tolerance_p90: float = Field(default=1.03, ge=1, le=100, description="The same for the 90th percentile.")
    latency_tolerance_p99: float = Field(default=1.05, ge=1, le=100, description="The same for the 99th percentile.")
    certificate_ratio: float = Field(default=2.0, gt=1, le=100, description="Certified when failures and slow requests stay below this.")
    requests_min: int = Field(default=50, ge=1, le=10_000_000, description="Below this many candidate requests nothing is certified.")
    warm_up_s: int = Field(default=30, ge=0, le=3600, description="Latency of a cold candidate is not judged for so long.")
    latency_patience_s: int = Field(
        default=38, ge=0, le=3600, description="Slowness counts once it has lasted so long: cold caches and scaling end before."
    )
    promote_on: Literal["certificate", "hold"] = Field(
        default="hold", description="'certificate': a step ends as soon as it is certified. 'hold': it always takes its full time."
    )
    on_inconclusive: Literal["proceed", "extend", "pause", "roll-back"] = Field(
        default="pause",
        description="When a hold ends with too little evidence: go on; hold again, at most 3 times, then roll back; "
        "wait for a person; or roll back.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.certificate_ratio <= self.error_tolerance:
            raise ValueError("certificate_ratio must exceed error_tolerance")
        return self


class Rollout(_Strict):
    """How versions of the service reach users."""

    strategy: Strategy = Strategy.CANARY
    canary: Canary = Canary()
    blue_green: BlueGreen = BlueGreen()
    analysis: Analysis = Analysis()
    validate_s: float = Field(default=3.0, ge=0, le=3600, description="After the promotion, watch for so long before the old version goes.")
    quarantine: bool = Field(default=True, description="Bar a rolled-back version until a newer one succeeds or a person insists.")


class ServiceSpec(_Strict):
    """One deployable thing of a venture."""

    description: str = ""
    run: Run
    route: Route = Route()
    rollout: Rollout = Rollout()


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


Entry = Annotated[VentureEntry | ServiceEntry, Field(discriminator="kind")]


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
