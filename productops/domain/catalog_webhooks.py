"""Who may send webhooks and who is told, as the catalog's YAML names it: ``kind: WebhookSource`` and ``kind: WebhookTarget``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from productops.domain.release import Environment

EntryName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="Lower case letters, digits and '-'.")]
SecretName = Annotated[
    str,
    Field(
        pattern=r"^PRODUCTOPS_SECRET_[A-Z0-9_]{1,80}$",
        description="Environment variable, or file in the folder of secrets, that holds it: PRODUCTOPS_SECRET_GITHUB.",
    ),
]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,80}$")]
Foreign = Annotated[str, Field(min_length=1, max_length=200)]
TypePattern = Annotated[str, Field(pattern=r"^(\*|[a-z]+(-[a-z]+)*\.(\*|[a-z_]+))$", max_length=60)]


class Provider(StrEnum):
    """Whose webhooks they are."""

    GITHUB = "github"
    GITLAB = "gitlab"
    BITBUCKET = "bitbucket"
    JIRA = "jira"
    JENKINS = "jenkins"
    ALERTMANAGER = "alertmanager"
    CDEVENTS = "cdevents"
    CLOUDEVENTS = "cloudevents"
    PLAIN = "plain"
    GRAFANA = "grafana"
    DATADOG = "datadog"
    NEWRELIC = "newrelic"
    ALERTS = "alerts"


class Auth(StrEnum):
    """How a sender proves that it is the one."""

    SIGNATURE = "signature"
    TOKEN = "token"  # noqa: S105 - the name of a way
    BEARER = "bearer"
    BASIC = "basic"
    HMAC = "hmac"
    STANDARD = "standard"


class Format(StrEnum):
    """What a target understands."""

    CDEVENTS = "cdevents"
    CLOUDEVENTS = "cloudevents"
    PLAIN = "plain"


# The first is what is meant when the entry names none.
WAYS: dict[Provider, tuple[Auth, ...]] = {
    Provider.GITHUB: (Auth.SIGNATURE,),
    Provider.GITLAB: (Auth.TOKEN, Auth.STANDARD),
    Provider.BITBUCKET: (Auth.SIGNATURE,),
    Provider.JIRA: (Auth.SIGNATURE,),
    Provider.JENKINS: (Auth.BEARER, Auth.BASIC, Auth.HMAC, Auth.STANDARD),
    Provider.ALERTMANAGER: (Auth.BEARER, Auth.BASIC, Auth.HMAC, Auth.STANDARD),
    Provider.CDEVENTS: (Auth.BEARER, Auth.STANDARD, Auth.BASIC, Auth.HMAC),
    Provider.CLOUDEVENTS: (Auth.BEARER, Auth.STANDARD, Auth.BASIC, Auth.HMAC),
    Provider.PLAIN: (Auth.BEARER, Auth.STANDARD, Auth.BASIC, Auth.HMAC),
    Provider.GRAFANA: (Auth.BEARER, Auth.BASIC, Auth.HMAC),
    Provider.DATADOG: (Auth.BEARER, Auth.BASIC),
    Provider.NEWRELIC: (Auth.BEARER, Auth.BASIC),
    Provider.ALERTS: (Auth.BEARER, Auth.BASIC, Auth.HMAC, Auth.STANDARD),
}
STARTING = (
    "release.published", "build.succeeded", "deployment.requested", "deployment.succeeded", "service.deployed", "service.upgraded",
    "service.published", "artifact.packaged", "artifact.published", "change.merged",
)  # fmt: skip


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StartRelease(_Strict):
    """Start a release when the sender says that something is ready."""

    on: tuple[Literal[STARTING], ...] = Field(min_length=1, description="What starts it, by the names of inbound events.")  # type: ignore[valid-type]
    service: EntryName | None = Field(default=None, description="What to release. Left out: the service that the event is of.")
    environment: Environment = Field(default=Environment.STAGING, description="Where.")
    tag_prefix: str = Field(default="v", max_length=40, description="Taken off the beginning of a tag to get the version.")
    start: Literal["now", "next-window"] = Field(default="next-window", description="In a freeze: be refused, or wait for its end.")


JmesPath = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]


class AlertMapping(_Strict):
    """Where the parts of an alert stand in a body that we do not know: paths of JMESPath, from the alert on."""

    items: JmesPath = Field(default="", description="The list of alerts in the body. Empty: the body is one alert, or a list of them.")
    name: JmesPath = Field(default="name", description="What it is called.")
    status: JmesPath = Field(default="status", description="Whether it holds.")
    firing: tuple[str, ...] = Field(default=(), max_length=20, description="Values of status that mean that it does.")
    resolved: tuple[str, ...] = Field(default=(), max_length=20, description="Values that mean that it does not any more.")
    fingerprint: JmesPath = Field(default="", description="What is the same for the same alert. Empty: its name, service and labels.")
    severity: JmesPath = "severity"
    severities: dict[Foreign, Literal["SEV1", "SEV2", "SEV3", "SEV4"]] = Field(
        default_factory=dict, max_length=50, description="What the sender calls it → ours. critical, error, warning, info are known."
    )
    service: JmesPath = "service"
    environment: JmesPath = "environment"
    starts_at: JmesPath = Field(default="starts_at", description="ISO 8601, or seconds or milliseconds of Unix.")
    ends_at: JmesPath = "ends_at"
    summary: JmesPath = "summary"
    labels: JmesPath = Field(default="labels", description="An object of labels.")
    url: JmesPath = "url"


class WebhookSourceSpec(_Strict):
    """Somebody who may POST to /webhooks/{name}."""

    provider: Provider
    secrets: tuple[SecretName, ...] = Field(min_length=1, max_length=5, description="Names of the live secrets; any of them is good.")
    auth: Auth | None = Field(default=None, description="How the sender proves itself. Left out: the provider's usual way.")
    signature_header: HeaderName = Field(default="X-Signature-256", description="Header of the signature, for auth: hmac.")
    tolerance_s: int = Field(default=300, ge=1, le=86_400, description="Largest difference of clocks, where signatures carry a time.")
    repetition_window_s: int = Field(
        default=86_400, ge=1, le=2_592_000, description="So long the same body is the same delivery, where its id is not signed."
    )
    services: dict[Foreign, EntryName] = Field(
        default_factory=dict, max_length=500, description="What the sender calls it (repository, job, label) → our service."
    )
    service: EntryName | None = Field(default=None, description="The service, where the sender names none that is mapped.")
    service_label: str = Field(default="service", max_length=100, description="Label of an alert that names the service.")
    environments: dict[Foreign, Environment] = Field(
        default_factory=dict, max_length=100, description="What the sender calls it → environment. Our own names are always known."
    )
    environment: Environment = Field(default=Environment.PRODUCTION, description="Where the sender names none.")
    release: StartRelease | None = None
    alerts: AlertMapping | None = Field(default=None, description="For provider: alerts. Where the parts of an alert stand in the body.")

    @model_validator(mode="after")
    def _way_fits(self) -> Self:
        if self.auth is not None and self.auth not in WAYS[self.provider]:
            raise ValueError(f"{self.provider} proves itself by {' or '.join(WAYS[self.provider])}, not by {self.auth}")
        return self

    @property
    def way(self) -> Auth:
        """How the sender proves itself."""
        return self.auth or WAYS[self.provider][0]


class WebhookTargetSpec(_Strict):
    """Somebody who is told."""

    url: str = Field(max_length=2000, description="Address, https://…")
    format: Format = Field(default=Format.CLOUDEVENTS, description="What the body looks like.")
    mode: Literal["structured", "binary"] = Field(
        default="structured", description="Attributes of CloudEvents and CDEvents within the body, or in ce- headers."
    )
    types: tuple[TypePattern, ...] = Field(
        default=("*",), min_length=1, max_length=100, description="What is told: release.*, flag.changed."
    )
    secrets: tuple[SecretName, ...] = Field(
        default=(), max_length=5, description="Names of the secrets that sign each request (Standard Webhooks). Empty: unsigned."
    )
    token: SecretName | None = Field(default=None, description="Name of the secret that is sent as bearer token.")
    timeout_s: float = Field(default=10.0, gt=0, le=15, description="Longest wait for an answer.")
    attempts_max: int = Field(default=25, ge=1, le=100, description="After so many attempts a delivery is dead.")
    give_up_after_s: int = Field(default=86_400, ge=1, le=604_800, description="So long after the event a delivery is dead.")
    paused: bool = Field(default=False, description="Keep what is to be told, and send it later.")

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"https", "http"} and parts.hostname and parts.port != 0 and not parts.fragment
        except ValueError:
            usable = False
        if not usable or parts.username or parts.password or any(c.isspace() or not c.isprintable() for c in url):
            raise ValueError("is no address to send to; write it like https://example.com/hooks, without user, password and #")
        return url


class WebhookMetadata(_Strict):
    """Name and owner."""

    name: EntryName
    venture: EntryName | None = Field(default=None, description="The venture it is of. A target without one is told of all ventures.")
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class WebhookSourceEntry(_Strict):
    """``kind: WebhookSource``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815 - the field's spelling in every such catalog
    kind: Literal["WebhookSource"]
    metadata: WebhookMetadata
    spec: WebhookSourceSpec

    @model_validator(mode="after")
    def _owned(self) -> Self:
        if self.metadata.venture is None:
            raise ValueError("metadata.venture is missing: name the venture whose webhooks these are")
        return self


class WebhookTargetEntry(_Strict):
    """``kind: WebhookTarget``."""

    apiVersion: Literal["productops/v1"]  # noqa: N815
    kind: Literal["WebhookTarget"]
    metadata: WebhookMetadata
    spec: WebhookTargetSpec
