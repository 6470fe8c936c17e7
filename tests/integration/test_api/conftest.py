"""A served API: one server for all tests, which gives each test an installation of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI

from productops.api.streams import Streams
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases.context import Context
from tests.integration.test_api.support import HandMadeOrchestrator, Served, client_of, make_template, prepare, serving


@pytest.fixture(scope="package", autouse=True)
def plain_logs() -> Iterator[None]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("api"))


@dataclass(frozen=True)
class Installation:
    """A database with its wiring; the server can be made to serve it."""

    context: Context
    settings: Settings
    orchestrator: HandMadeOrchestrator


Serve = Callable[[Installation], FastAPI]


@pytest.fixture(scope="session")
def unchanged(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """For all tests that change nothing."""
    return Installation(*prepare(template, tmp_path_factory.mktemp("shared")))


@pytest.fixture(scope="session")
def serve(unchanged: Installation) -> Iterator[Serve]:
    """Make the one server serve an installation, at the address of ``unchanged``."""
    with serving(unchanged.context, unchanged.settings) as app:

        def switch(installation: Installation) -> FastAPI:
            app.state.context = installation.context
            app.state.database_url = installation.settings.sqlalchemy_url
            app.state.schema_checked = False
            app.state.streams = Streams(stopping=app.state.streams.stopping)
            return app

        yield switch
        switch(unchanged)


@pytest.fixture
def fresh(template: Path, tmp_path: Path, unchanged: Installation) -> Iterator[Installation]:
    """A test's own installation, at the address of the one server."""
    context, settings, orchestrator = prepare(template, tmp_path)
    own = settings.model_copy(update={"port_base": unchanged.settings.port_base})
    yield Installation(context, own, orchestrator)
    context.store.close()


def _served(installation: Installation, serve: Serve, versions: Path) -> Iterator[Served]:
    app = serve(installation)
    with client_of(installation.settings) as client:
        yield Served(installation.context, installation.settings, installation.orchestrator, client, versions, app.state.streams)


@pytest.fixture
def api(fresh: Installation, serve: Serve, template: Path) -> Iterator[Served]:
    yield from _served(fresh, serve, template / "versions")


@pytest.fixture
def shared(unchanged: Installation, serve: Serve, template: Path) -> Iterator[Served]:
    yield from _served(unchanged, serve, template / "versions")
