"""The flows of reports, predictions and performance on a real Prefect server: what they keep, show and send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.usecases.context import Context
from tests.integration.analytics_mail_lab import MailServer, mail_server
from tests.support import add_service, make_context, sqlite_url


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as found:
        yield found


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: MailServer) -> Iterator[Context]:
    url = sqlite_url(tmp_path)
    made = make_context(url)
    given = {
        "HOME": tmp_path / "home", "DATABASE_URL": url, "SMTP_HOST": "127.0.0.1", "SMTP_PORT": server.port, "SMTP_SECURITY": "none",
        "SMTP_FROM": "ops@apollo.example", "REPORT_TO": "boss@apollo.example",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    installation.settings.cache_clear()
    installation.context.cache_clear()
    yield made
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    made.store.close()


async def artifacts() -> set[str]:
    async with get_client() as client:
        return {f"{artifact.type} {artifact.key}" for artifact in await client.read_artifacts()}


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_flows_keep_show_and_send_and_a_second_run_sends_nothing(installed: Context, server: MailServer) -> None:
    from flows.analytics_predict import analytics_predict
    from flows.analytics_report import analytics_report
    from flows.performance import performance_optimize

    add_service(installed, live="1.0")
    with prefect_test_harness(server_startup_timeout=90):
        first = asyncio.run(analytics_report(return_state=True))
        again = asyncio.run(analytics_report(return_state=True))
        predicted = asyncio.run(analytics_predict(return_state=True))
        looked = asyncio.run(performance_optimize(return_state=True))
        shown = asyncio.run(artifacts())
    assert (first.type, first.message) == ("COMPLETED", "1 reports; 1 mails sent, 0 failed")
    assert again.type == "COMPLETED"
    assert server.recipients == ["boss@apollo.example"]
    assert predicted.message == "no feature has a goal of use"
    assert looked.message == "1 services looked at, 0 effects measured"
    assert {"markdown report-apollo", "table performance", "table predictions"} <= shown
    with installed.store.read() as unit:
        assert len(unit.analytics_reports.reports("apollo")) == 1
        assert len(unit.analytics_reports.runs(subject="shop")) == 1
