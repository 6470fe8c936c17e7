"""The flow ``analytics-experiments`` looks at what is under way, shows it, and says when a guardrail does not hold."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.domain.analytics_experiment import ExperimentState
from productops.usecases.analytics_experiment import show_experiment, start_experiment
from tests.integration.experiment_lab import START, Lab, make_lab, visitors
from tests.support import SOMEBODY, sqlite_url


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    lab = make_lab(tmp_path)
    for name, value in {"HOME": tmp_path / "home", "DATABASE_URL": sqlite_url(tmp_path), "ANALYTICS": tmp_path / "analytics"}.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    installation.settings.cache_clear()
    installation.context.cache_clear()
    yield lab
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    lab.context.store.close()


async def keys() -> set[str]:
    async with get_client() as client:
        return {str(artifact.key) for artifact in await client.read_artifacts()}


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_the_flow_takes_a_flag_back_and_says_so(installed: Lab) -> None:
    from flows.analytics_experiments import analytics_experiments

    with prefect_test_harness(server_startup_timeout=90):
        state = asyncio.run(analytics_experiments(return_state=True))
        assert state.message == "no experiment is under way"
        installed.declare()
        start_experiment(installed.context, "checkout", actor=SOMEBODY)
        installed.put(visitors(1200, rates={"off": 0.1, "on": 0.25}, failures={"off": 0.01, "on": 0.15}, start=START))
        state = asyncio.run(analytics_experiments("checkout", return_state=True))
        assert (state.name, "does not hold" in str(state.message)) == ("GuardrailBroken", True), state.message
        shown = asyncio.run(keys())
    assert shown >= {"experiments", "experiment-checkout"}
    assert show_experiment(installed.context, "checkout", actor=SOMEBODY).experiment.state is ExperimentState.STOPPED
    gc.collect()  # Prefect's own sockets are found here, where they are forgiven, and not in the next test
