"""Everything that can be set, from the environment (``PRODUCTOPS_…``); one object per process."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from productops.errors import SettingsError


def default_home() -> Path:
    """The state folder when nothing is set: XDG state home, or ``~/.local/state/productops``."""
    base = os.environ.get("XDG_STATE_HOME")
    root = Path(base) if base else Path("~/.local/state").expanduser()
    return root / "productops"


TOKEN_CHARACTERS_MIN = 16


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``. Names other than localhost may lead anywhere."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Settings(BaseSettings):
    """Settings of one installation. Durations are seconds, ports are TCP unless said otherwise."""

    model_config = SettingsConfigDict(env_prefix="PRODUCTOPS_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=default_home, description="Folder of state, logs, database and router files.")
    catalog: Path = Field(default=Path("catalog"), description="Folder of the declared ventures and services.")
    database_url: str = Field(
        default="", description="SQLAlchemy URL; empty means SQLite in the home folder. PostgreSQL: postgresql+psycopg://…"
    )
    prefect_database_url: str = Field(default="", description="Database of the Prefect server; empty means SQLite in the home folder.")
    host: str = Field(default="127.0.0.1", description="Address the API binds to. Anything but loopback needs a token.")
    port_base: int = Field(
        default=8700,
        ge=1024,
        le=65200,
        description="First port: API +0, Prefect +1, router +2, its admin +3, agent doorbell (UDP) +4, comparator +5, instances from +10.",
    )
    instance_ports: int = Field(default=200, ge=4, le=5000, description="How many ports instances may use, from port_base + 10.")
    api_token: SecretStr | None = Field(
        default=None, description="Bearer token of the API; empty means the generated one in the home folder."
    )
    token: SecretStr | None = Field(default=None, description="Token that commands present to the API; empty: the installation's own.")
    token_file: Path | None = Field(default=None, description="File that holds it instead; also as productops --token-file.")
    installation_token: bool = Field(
        default=True, description="Whether the installation's own token (PRODUCTOPS_API_TOKEN or the token file) opens the API, as admin."
    )
    requests_per_s: int = Field(
        default=500, ge=1, le=1_000_000, description="Requests a second of one token or session that an API process answers on average."
    )
    requests_burst: int = Field(default=1000, ge=1, le=1_000_000, description="Requests that may come at once after a pause.")
    failed_authentications_per_min: int = Field(
        default=60, ge=1, le=1_000_000, description="Wrong tokens a minute from one address; more are answered with 429 and not looked up."
    )
    prefect_role: str | None = Field(
        default=None,
        description="What somebody may do who starts a flow in Prefect past our log-in: role, role:venture or role:venture:environment; "
        "an empty text refuses them. Not set: release-manager where the API is on loopback, else refused.",
    )
    flow_runs_max: int = Field(
        default=100, ge=1, le=10_000, description="Most flow runs a dispatcher executes at once; more wait, a roll back never does."
    )
    lease_ttl_s: float = Field(default=15.0, gt=0.5, le=600, description="How long traffic stays on a candidate nobody renews.")
    drain_timeout_s: float = Field(default=10.0, ge=0, le=600, description="Longest wait for requests in flight before a stop.")
    stop_grace_s: float = Field(default=5.0, ge=0, le=120, description="Seconds between SIGTERM and SIGKILL of an instance.")
    metrics_retention_s: int = Field(default=86_400, ge=600, description="How long per-second traffic rows are kept.")
    series_max: int = Field(
        default=10_000, ge=100, le=1_000_000, description="Most series of metrics that a venture may have with points of the last day."
    )
    series_points_days: int = Field(default=15, ge=8, le=3650, description="Days that points of metrics are kept as they came.")
    series_minutes_days: int = Field(default=60, ge=8, le=3650, description="Days that metrics are kept by minute.")
    series_hours_days: int = Field(default=400, ge=8, le=36_500, description="Days that metrics are kept by hour.")
    metric_rows_days: int = Field(default=3, ge=1, le=3650, description="Days that rows of the table infrastructure_metrics are kept.")
    metric_rows_max: int = Field(
        default=2_000_000, ge=1000, description="Most rows of infrastructure_metrics; beyond it the oldest go, whatever their age."
    )
    connections: Path | None = Field(
        default=None, description="YAML file that names another router, target and metric sources; empty: Envoy and processes here."
    )
    tls_certificate: Path | None = Field(
        default=None, description="PEM file of the certificate, with its chain, that the API serves TLS with."
    )
    tls_key: Path | None = Field(default=None, description="PEM file with the certificate's private key.")
    behind_proxy: str = Field(
        default="",
        description="Addresses or networks of the proxy that ends TLS before the API, with commas; only they are believed X-Forwarded-*.",
    )
    public_names: str = Field(
        default="", description="Host names under which people reach the API, with commas; others but localhost are refused."
    )
    session_idle_s: int = Field(default=43_200, ge=60, le=604_800, description="A browser's session ends when it was not used for so long.")
    oidc_issuer: str = Field(default="", description="Issuer of the OpenID Connect provider people log in with; empty: none.")
    oidc_client_id: str = Field(default="", description="Name of this installation at the provider.")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Its secret; empty for a public client, which PKCE protects.")
    oidc_groups_claim: str = Field(default="groups", description="Claim of the ID token with a person's groups.")
    oidc_redirect_base: str = Field(
        default="", description="Address people's browsers see, https://ops.example; the provider must know it with /login/callback."
    )
    prefect_auth: SecretStr | None = Field(
        default=None, description="What Prefect's server asks of whoever calls it; empty: the generated one in the home folder."
    )
    xds_token: SecretStr | None = Field(default=None, description="Bearer token of remote Envoys; empty: none is served.")
    region: str = Field(default="", max_length=63, description="Region of the router here; steps for a region are meant for it.")
    flag_evaluations_per_s_max: int = Field(
        default=2000, ge=1, le=1_000_000, description="Most OFREP requests a second of one API process; more are answered with 429."
    )
    flag_streams_max: int = Field(default=1000, ge=1, le=100_000, description="Most open event streams of flags of one API process.")
    webhook_allow_private: bool = Field(
        default=False, description="Webhooks may be sent to loopback and private addresses, and by http://; never to a cloud's metadata."
    )
    webhook_retention_s: int = Field(
        default=2_592_000, ge=3_600, description="How long webhooks that came in, and those delivered, are kept; dead ones stay."
    )
    quality_upload_mb: int = Field(
        default=200, ge=1, le=1024, description="Largest reports of tests and scanners handed in at once, MiB; twice that goes to disk."
    )
    quality_reports: Path | None = Field(
        default=None, description="Folder whose files callers may name in place of sending them to be judged; empty: none."
    )
    quality_allow_private: bool = Field(
        default=False, description="Reports may be fetched from loopback and private addresses, and without TLS; never a cloud's metadata."
    )
    secrets: Path | None = Field(
        default=None, description="Folder with one file for each secret the catalog names, best mode 600; empty: secrets in the home."
    )
    calendar_allow_private: bool = Field(
        default=False, description="Calendars may be fetched from loopback and private addresses, and from anywhere without TLS."
    )
    audit_anchors: Path | None = Field(
        default=None, description="Folder for anchors of the audit log, best on another machine; empty: audit-anchors in the home."
    )
    audit_key: Path | None = Field(default=None, description="File of the key that signs anchors; empty: audit-key in the home.")
    analytics: Path | None = Field(
        default=None, description="Folder of usage events, shared by all machines that take them in; empty: analytics in the home."
    )
    analytics_secret: SecretStr | None = Field(
        default=None, description="Key that personal data in usage events is hashed with; empty: the generated one in the home folder."
    )
    analytics_retention_days: int = Field(default=395, ge=1, le=36_500, description="Days that usage events are kept.")
    analytics_free_mb: int = Field(
        default=512, ge=0, le=1_000_000, description="With less space free for usage events, MiB, clients are asked to come back later."
    )
    analytics_backlog_mb: int = Field(
        default=1024, ge=1, le=1_000_000, description="With more usage events that wait to be sorted in, MiB, clients are asked the same."
    )
    status_pages: bool = Field(
        default=False, description="Whether anybody may read the status pages that the catalog declares, at /status/NAME without a log-in."
    )
    smtp_host: str = Field(default="", description="Mail server that weekly reports are sent by; empty: no mail is sent.")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its TCP port.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the way to it is protected; none is for a server on this machine only."
    )
    smtp_user: str = Field(default="", description="Name to log in with; empty: none.")
    smtp_password: SecretStr | None = Field(default=None, description="Its password.")
    smtp_from: str = Field(default="", description="Address mails come from.")
    report_to: str = Field(default="", description="Who gets weekly reports, with commas: address (of all ventures) or venture:address.")
    limit_warn_h: float = Field(default=24.0, gt=0, le=720, description="A limit that will be crossed within so many hours is an alert.")
    limit_critical_h: float = Field(default=2.0, gt=0, le=720, description="Within so many hours it is a severe one.")
    certificate_files: tuple[Path, ...] = Field(
        default=(),
        description="PEM files of certificates, as a JSON list; an alert two weeks before the first one ends, severe at two days.",
    )
    advisories: Path | None = Field(
        default=None,
        description="OSV advisories (a JSON file, or a folder of them) that parts of live versions are compared with; empty: none.",
    )
    log_collect: bool = Field(default=True, description="Whether the output of instances on this machine is kept and can be searched.")
    log_retention_days: int = Field(default=7, ge=1, le=3_650, description="Days that log lines of services are kept.")
    log_mb: int = Field(
        default=2048, ge=16, le=10_000_000, description="With more packed log lines than that, MiB, the oldest are forgotten sooner."
    )
    log_lines_per_s: int = Field(
        default=2000, ge=1, le=1_000_000,
        description="Log lines a second of one service that are kept on average; of more, those below WARNING are only counted.",
    )  # fmt: skip
    trace_retention_days: int = Field(default=3, ge=1, le=3_650, description="Days that spans of traces are kept.")
    trace_spans_per_s: int = Field(
        default=200, ge=1, le=1_000_000,
        description="Spans a second of one service that are kept on average; of more, whole traces are left out, those with errors last.",
    )  # fmt: skip
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    log_json: bool = Field(default=True, description="JSON lines when true, coloured text when false.")
    user: str = Field(
        default="",
        validation_alias=AliasChoices("PRODUCTOPS_USER", "USER", "LOGNAME"),
        description="Who acts, for the audit; the login name when empty.",
    )

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        token = self.api_token.get_secret_value().strip() if self.api_token else ""
        if not is_loopback(self.host) and len(token) < TOKEN_CHARACTERS_MIN:
            raise ValueError(
                f"PRODUCTOPS_HOST is {self.host}, which other machines can reach: set PRODUCTOPS_API_TOKEN to at least "
                f"{TOKEN_CHARACTERS_MIN} characters, or bind to 127.0.0.1"
            )
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("TLS needs both PRODUCTOPS_TLS_CERTIFICATE and PRODUCTOPS_TLS_KEY")
        if not is_loopback(self.host) and not self.tls_certificate and not self.behind_proxy.strip():
            raise ValueError(
                f"PRODUCTOPS_HOST is {self.host}, and without TLS tokens would cross the network in clear: set PRODUCTOPS_TLS_CERTIFICATE "
                "and PRODUCTOPS_TLS_KEY, or PRODUCTOPS_BEHIND_PROXY to the addresses of the proxy that ends TLS, or bind to 127.0.0.1"
            )
        return self

    @field_validator("behind_proxy")
    @classmethod
    def _networks(cls, value: str) -> str:
        for each in filter(None, (part.strip() for part in value.split(","))):
            try:
                ipaddress.ip_network(each, strict=False)
            except ValueError as error:
                raise ValueError(f"{each!r} is no address or network, like 10.0.0.7 or 10.0.0.0/24") from error
        return value

    @model_validator(mode="after")
    def _oidc_whole(self) -> Self:
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("PRODUCTOPS_OIDC_ISSUER is set: set PRODUCTOPS_OIDC_CLIENT_ID as well, the provider gives it")
        for name in ("oidc_issuer", "oidc_redirect_base"):
            url = urlsplit(getattr(self, name))
            if url.geturl() and url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
                raise ValueError(f"PRODUCTOPS_{name.upper()} must begin with https://; plain http is for this machine only")
        return self

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("use DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @property
    def sqlalchemy_url(self) -> str:
        """The store's URL with the SQLite default filled in."""
        return self.database_url or f"sqlite:///{self.home / 'productops.db'}"

    @property
    def quality_folder(self) -> Path:
        """Where reports wait to be judged."""
        return self.home / "quality-uploads"

    @property
    def secret_folder(self) -> Path:
        """Where secrets of webhooks are looked for that the environment does not have."""
        return self.secrets or self.home / "secrets"

    @property
    def anchor_folder(self) -> Path:
        """Where anchors of the audit log go."""
        return self.audit_anchors or self.home / "audit-anchors"

    @property
    def anchor_key(self) -> Path:
        """Where the key lies that signs them."""
        return self.audit_key or self.home / "audit-key"

    @property
    def analytics_folder(self) -> Path:
        """Where usage events lie."""
        return self.analytics or self.home / "analytics"

    @property
    def role_in_prefect(self) -> str:
        """What somebody unknown may do who starts a flow in Prefect; empty: nothing."""
        if self.prefect_role is not None:
            return self.prefect_role.strip()
        return "release-manager" if is_loopback(self.host) else ""

    @property
    def api_port(self) -> int:
        """TCP port of the REST interface."""
        return self.port_base

    @property
    def prefect_port(self) -> int:
        """TCP port of the Prefect server and its UI."""
        return self.port_base + 1

    @property
    def router_port(self) -> int:
        """TCP port where users' requests enter."""
        return self.port_base + 2

    @property
    def router_admin_port(self) -> int:
        """TCP port of the router's admin interface (loopback)."""
        return self.port_base + 3

    @property
    def doorbell_port(self) -> int:
        """UDP port on loopback; a datagram makes the agent look at the store at once."""
        return self.port_base + 4

    @property
    def comparator_port(self) -> int:
        """TCP port on loopback where the agent takes copies of requests whose answers it compares."""
        return self.port_base + 5

    @property
    def api_url(self) -> str:
        """Where the CLI and the docs find the API."""
        return f"{'https' if self.tls_certificate else 'http'}://127.0.0.1:{self.api_port}"

    @property
    def public_url(self) -> str:
        """Where people's browsers find it."""
        return self.oidc_redirect_base.rstrip("/") or self.api_url

    @property
    def prefect_ui_url(self) -> str:
        """Prefect's pages, through our door: it asks who comes, Prefect itself cannot."""
        return f"{self.public_url}/prefect"

    @property
    def prefect_api_url(self) -> str:
        """Prefect's REST interface."""
        return f"http://127.0.0.1:{self.prefect_port}/api"


def load_settings(**overrides: object) -> Settings:
    """Read the environment once.

    Raises: SettingsError naming each wrong setting, its environment variable and the reason.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"PRODUCTOPS_{str(e['loc'][0]).upper()}: {e['msg']}" if e["loc"] else e["msg"] for e in error.errors()]
        lines = [line.replace("Value error, ", "") for line in lines]
        raise SettingsError("; ".join(lines)) from error
