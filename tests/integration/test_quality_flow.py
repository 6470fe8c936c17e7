"""The flow ``quality`` runs what a policy names, judges it, and shows it; only a pass completes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.testing.utilities import prefect_test_harness

from blocks import installation
from productops.domain.catalog_quality import QualityCommand, QualityMetadata, QualityPolicy, QualityPolicySpec, TestsGate
from productops.usecases.context import Context
from tests.support import make_context, service_spec, sqlite_url

WRITE = """
import json, pathlib, sys
pathlib.Path("out").mkdir(exist_ok=True)
case = '<failure message="1 != 2"/>' if sys.argv[1] == "bad" else ""
pathlib.Path("out/junit.xml").write_text(f'<testsuite name="s"><testcase classname="c" name="t">{case}</testcase></testsuite>')
files = {"a.py": {"executed_lines": [1, 2], "missing_lines": [3]}}
pathlib.Path("out/coverage.json").write_text(json.dumps({"meta": {"version": "7.6"}, "files": files, "totals": {}}))
pathlib.Path("out/times.csv").write_text("name,unit,value\\ncheckout,ms,12.5\\ncheckout,ms,13.5\\n")
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    url = sqlite_url(tmp_path)
    made = make_context(url)
    for name, value in {"HOME": tmp_path / "home", "DATABASE_URL": url}.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    installation.settings.cache_clear()
    installation.context.cache_clear()
    base = tmp_path / "catalog"
    base.mkdir()
    (base / "suite.py").write_text(WRITE)
    with made.store.write() as unit:
        now = made.clock.now()
        unit.catalog.put_service("shop", venture="apollo", spec=service_spec(), base=str(base), author="tester", now=now)
        unit.quality_policies.put(policy(), base=str(base), author="tester", now=now)
    yield made
    installation.context().store.close()
    installation.settings.cache_clear()
    installation.context.cache_clear()
    made.store.close()


def policy() -> QualityPolicy:
    run = [
        QualityCommand(name=name, argv=("{python}", "suite.py", name), artifacts=("out/*",), timeout_s=30) for name in ("good", "bad")
    ]  # fmt: skip
    hang = QualityCommand(name="hang", argv=("{python}", "-c", "import time; time.sleep(60)"), timeout_s=0.5)
    spec = QualityPolicySpec(gates=(TestsGate(name="tests", kind="unit"),), commands=(*run, hang))
    return QualityPolicy(
        apiVersion="productops/v1", kind="QualityPolicy", metadata=QualityMetadata(name="shop", venture="apollo"), spec=spec
    )  # fmt: skip


async def artifacts() -> list[str]:
    async with get_client() as client:
        return sorted({f"{artifact.type} {artifact.key}" for artifact in await client.read_artifacts()})


@pytest.mark.slow
@pytest.mark.timeout(300)  # Prefect's server makes its database anew, which takes long on a busy machine
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Prefect's own sockets
def test_only_a_pass_completes_the_flow(installed: Context, tmp_path: Path) -> None:
    from flows.quality import quality

    with prefect_test_harness(server_startup_timeout=90):
        nothing = asyncio.run(quality(return_state=True))  # no version is live yet
        good = asyncio.run(quality(service="shop", version="1.0", commands="good", return_state=True))
        bad = asyncio.run(quality(service="shop", version="2.0", commands="bad", improve=False, return_state=True))
        hang = asyncio.run(quality(service="shop", version="3.0", commands="good, hang", improve=False, return_state=True))
        shown = asyncio.run(artifacts())
    assert (nothing.type, nothing.name) == ("COMPLETED", "NothingToDo")
    assert (good.type, good.name) == ("COMPLETED", "Passed"), good.message
    assert (bad.type, bad.name) == ("FAILED", "GatesFailed"), bad.message
    assert (hang.type, hang.name) == ("FAILED", "NotJudged"), hang.message
    assert "its timeout" in (hang.message or "")
    assert {"markdown quality-shop", "image coverage-shop", "image performance-shop"} <= set(shown)
    assert list((tmp_path / "home/quality-runs").iterdir()) == []
    with installed.store.read() as unit:
        said = [entry for entry in unit.audit.following(0) if entry.action == "quality.commands_run"]
    assert len(said) == 3
