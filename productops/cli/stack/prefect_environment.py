"""Settings as Prefect's own variables, for its server and for whoever calls it. Names are those of Prefect 3.8."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from productops.adapters.prefect_auth import prefect_auth
from productops.errors import SettingsError
from productops.settings import Settings

FLOW_RUN_RETENTION_S = 30 * 86_400
EVENT_RETENTION_S = 7 * 86_400
HEARTBEAT_RETENTION_S = 86_400
# Seconds. Prefect looks every 5–20 s by default and so uses a third more CPU while nothing happens. These loops only mark or tidy what
# is late, paused or left over. Runs are scheduled ahead and events arrive at once, whatever stands here.
_LOOP_S = {
    "CANCELLATION_CLEANUP": 60,
    "CLEANUP_RECONCILER": 60,
    "FOREMAN": 60,
    "LATE_RUNS": 30,
    "PAUSE_EXPIRATIONS": 30,
}


def prefect_home(settings: Settings) -> Path:
    """Folder of Prefect's database, leases, memo and results."""
    return settings.home / "prefect"


def pages_folder(settings: Settings) -> Path:
    """Where Prefect writes its pages for our address: beside the Python environment for all stacks, else in the home.

    By itself it writes them into its own package, where a Prefect server at another address would write its own over them.
    """
    shared = Path(sys.prefix) / "share" / "productops"
    return shared / "prefect-pages" if os.access(shared, os.W_OK) else prefect_home(settings) / "pages"


def prefect_database_url(settings: Settings) -> str:
    """The Prefect server's database with the asynchronous driver it insists on; SQLite in the home folder when none is set.

    Raises: SettingsError for anything but SQLite or PostgreSQL.
    """
    url = settings.prefect_database_url
    if not url:
        return f"sqlite+aiosqlite:///{prefect_home(settings) / 'prefect.db'}"
    scheme, separator, rest = url.partition("://")
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    driver = drivers.get(scheme.partition("+")[0])
    if not separator or driver is None:
        raise SettingsError("PRODUCTOPS_PREFECT_DATABASE_URL is not usable; write postgresql://… or sqlite:///…")
    return f"{driver}://{rest}"


def server_environment(settings: Settings) -> dict[str, str]:
    """``PREFECT_…`` variables of the server: loopback, quiet, no calls home, old runs and events deleted."""
    port = settings.prefect_port
    origins = ",".join(f"http://{host}:{settings.api_port}" for host in ("127.0.0.1", "localhost"))
    services = {f"PREFECT_SERVER_SERVICES_{name}_LOOP_SECONDS": str(seconds) for name, seconds in _LOOP_S.items()}
    return {
        **_common(settings),
        **services,
        "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "10",
        "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT10S",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": origins,
        "PREFECT_SERVER_API_AUTH_STRING": prefect_auth(settings),
        # Browsers reach it through the API, which asks who they are.
        "PREFECT_SERVER_UI_SERVE_BASE": "/prefect",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(pages_folder(settings)),
        "PREFECT_SERVER_UI_API_URL": f"{settings.prefect_ui_url}/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect_database_url(settings),
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"PT{EVENT_RETENTION_S}S",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(FLOW_RUN_RETENTION_S),
        "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES": json.dumps({"prefect.flow-run.heartbeat": HEARTBEAT_RETENTION_S}),
    }


def client_environment(settings: Settings) -> dict[str, str]:
    """``PREFECT_…`` variables of everything that speaks to the server; there is never a temporary server instead of it."""
    return {
        **_common(settings),
        "PREFECT_API_URL": settings.prefect_api_url,
        "PREFECT_API_AUTH_STRING": prefect_auth(settings),
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    }


def running_api_url(settings: Settings) -> str:
    """Where the Prefect server of the stack in that home listens; by the settings when none runs."""
    from productops.cli.stack.state import read_state

    record = read_state(settings.home.expanduser())
    port_base = record.settings.get("port_base", "") if record else ""
    return f"http://127.0.0.1:{int(port_base) + 1}/api" if port_base.isdecimal() else settings.prefect_api_url


def foreign_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Names of Prefect settings in an environment; none of them reaches the stack."""
    return sorted(_starting_with(environment, "PREFECT_"))


def shown_url(url: str) -> str:
    """A database URL without its password, for people and for files."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))


def _common(settings: Settings) -> dict[str, str]:
    home = prefect_home(settings)
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_CLI_COLORS": "false",
        "PREFECT_LOGGING_COLORS": "false",
        "DO_NOT_TRACK": "1",
    }


def _starting_with(names: Iterable[str], prefix: str) -> list[str]:
    return [name for name in names if name.startswith(prefix)]
