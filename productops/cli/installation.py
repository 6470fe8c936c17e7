"""Which installation a command speaks to: the one named, else the stack that runs in the home, else the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from productops.errors import InvalidInputError, NotRunningError, SettingsError, UnauthorizedError

if TYPE_CHECKING:
    from productops.cli.api_client import ApiClient
    from productops.settings import Settings
    from productops.usecases.context import Actor


def settings_of(home: Path | None) -> Settings:
    """The environment's settings; ``home`` goes before PRODUCTOPS_HOME. Raises: SettingsError."""
    from productops.settings import load_settings

    return load_settings(**({"home": home} if home else {}))


def connect(home: Path | None, api_url: str | None) -> ApiClient:
    """A client of the API with its token.

    A token file is only ever shown to an API on this machine: another one is to be given its own token by PRODUCTOPS_API_TOKEN.
    Raises: NotRunningError when there is no token because nothing ever ran here, UnauthorizedError, SettingsError.
    """
    from productops.adapters import token_file
    from productops.cli.api_client import ApiClient

    settings = settings_of(home)
    url = (api_url or running_url(settings) or settings.api_url).rstrip("/")
    token = own_token(settings) or (settings.api_token.get_secret_value().strip() if settings.api_token else "")
    local = _host(url) in {"127.0.0.1", "localhost", "::1"}
    if not token and not local:
        raise UnauthorizedError(f"{url} is another machine: set PRODUCTOPS_TOKEN to a token of yours there (productops token create)")
    token = token or token_file.read(settings.home) or ""
    if not token:
        raise NotRunningError(f"nothing ever ran in {settings.home}: start it with `productops up`, or name its home with --home")
    certificate = settings.tls_certificate if local and url.startswith("https") else None
    return ApiClient(url, token, trust_env=not local, certificate=certificate)


def own_token(settings: Settings) -> str:
    """The token of whoever runs this command: PRODUCTOPS_TOKEN, or the file that PRODUCTOPS_TOKEN_FILE or --token-file names; else empty.

    Raises: SettingsError for a file that cannot be read.
    """
    if settings.token is not None:
        return settings.token.get_secret_value().strip()
    if settings.token_file is None:
        return ""
    try:
        return settings.token_file.expanduser().read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the token file {settings.token_file} cannot be read: {error}") from error


def local_actor(settings: Settings) -> Actor:
    """Who works on the database past the API: whoever can write its file can do everything anyhow, so nothing is asked."""
    from productops.domain.governance_access import Grant, Principal, Role
    from productops.usecases.context import Actor

    name = settings.user or "somebody"
    return Actor(name=name, origin="cli", principal=Principal(name, (Grant(Role.ADMIN),)))


def _host(url: str) -> str:
    """Raises: InvalidInputError for what is no URL of an API."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in {"http", "https"} and parts.port != 0 else None
    except ValueError:
        host = None
    if not host:
        raise InvalidInputError(f"{url!r} is no URL of an API; it looks like http://127.0.0.1:8700")
    return host


def running_url(settings: Settings) -> str | None:
    """Where the stack that runs in the home has its API, whatever ports it was started with."""
    from productops.cli.stack.state import read_state

    record = read_state(settings.home.expanduser())
    return record.urls.get("api") if record else None


def database_url(settings: Settings) -> str:
    """The store's URL: the one that was set, else that of the stack that runs in the home, else SQLite there."""
    from productops.cli.stack.state import read_state

    if settings.database_url:
        return settings.database_url
    record = read_state(settings.home.expanduser())
    running = record.settings.get("database_url", "") if record else ""
    return running if running and "***" not in running else settings.sqlalchemy_url
