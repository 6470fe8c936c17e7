"""Real tools as a policy's commands: a browser in the demo shop, and JavaScript's own test runner."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from productops.adapters.quality_command import run_command
from productops.adapters.quality_files import kept_files, read_files
from productops.domain.catalog_quality import QualityCommand, QualityMetadata, QualityPolicy, QualityPolicySpec, TestsGate
from productops.domain.quality_gates import Collected, judge_gates
from productops.domain.quality_verdict import GateState, QualityVerdict
from tests.e2e.test_prefect_ui import ARGUMENTS, find_chromium
from tests.integration.test_storefront import LUCKY_SEED, running

SUITE = """
import os
import pytest
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="module")
def page():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield browser.new_page()
        browser.close()


def test_a_customer_sees_which_version_sells(page):
    page.goto(SHOP)
    assert page.locator("#version").inner_text() == VERSION


def test_a_customer_reads_about_a_product(page):
    page.goto(SHOP)
    page.locator("td a").first.click()
    assert "price_cents" in page.content()
"""
JAVASCRIPT = """
const test = require('node:test'); const assert = require('node:assert');
test('a total is the sum of its lines', () => assert.strictEqual(1 + 2, 3));
test('a discount is never more than the price', () => assert.ok(5 <= 4));
"""


def policy_of(command: QualityCommand, *, tests_min: int) -> QualityPolicy:
    gate = TestsGate(name="browser", kind="end-to-end", tests_min=tests_min)
    spec = QualityPolicySpec(gates=(gate,), commands=(command,))
    return QualityPolicy(apiVersion="productops/v1", kind="QualityPolicy", metadata=QualityMetadata(name="shop"), spec=spec)


def judged(command: QualityCommand, sources: Path, *, tests_min: int = 2) -> QualityVerdict:
    out = sources.parent / f"out-{command.name}"
    done = run_command(command, sources, out)
    assert done.exit_code in {0, 1}, done.output
    parsed = read_files(kept_files(out / "artifacts"))
    return judge_gates(policy_of(command, tests_min=tests_min), Collected(parsed=parsed, now=datetime.now(UTC)))


@pytest.mark.browser
def test_a_browser_in_the_demo_shop_passes_and_stops_a_version(tmp_path: Path) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium: on Debian, apt-get install chromium")
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    sources = tmp_path / "sources"
    sources.mkdir()
    argv = ("{python}", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=reports/browser.xml", "test_shop.py")
    command = QualityCommand(
        name="good", argv=argv, timeout_s=90, memory_mb=3000, cpu_s=80, artifacts=("reports/*.xml",)
    )  # fmt: skip
    with running("1.1.0", seed=LUCKY_SEED) as shop:
        head = f"CHROMIUM, ARGUMENTS, SHOP = {chromium!r}, {list(ARGUMENTS)!r}, {shop.url!r}\n"
        (sources / "test_shop.py").write_text(f"{head}VERSION = '1.1.0'\n{SUITE}")
        good = judged(command, sources)
        (sources / "test_shop.py").write_text(f"{head}VERSION = '1.2.0'\n{SUITE}")
        bad = judged(command.model_copy(update={"name": "bad"}), sources)
    assert good.state is GateState.PASSED, good.gates[0].items
    assert bad.state is GateState.FAILED
    assert "which_version_sells" in bad.gates[0].items[0].text
    assert bad.gates[0].items_total == 1


def test_javascripts_own_test_runner_is_read_by_its_junit_report(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("no Node.js")
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "cart.test.js").write_text(JAVASCRIPT)
    argv = ("node", "--test", "--test-reporter=junit", "--test-reporter-destination=junit.xml")
    verdict = judged(QualityCommand(name="node", argv=argv, timeout_s=60, artifacts=("junit.xml",)), sources)
    assert verdict.state is GateState.FAILED
    assert "a discount is never more than the price" in verdict.gates[0].items[0].text


def test_an_empty_report_never_passes(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "test_none.py").write_text("")
    argv = ("{python}", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=junit.xml", "test_none.py")
    command = QualityCommand(name="empty", argv=argv, timeout_s=60, artifacts=("*.xml",))
    out = tmp_path / "out"
    done = run_command(command, sources, out)
    assert done.exit_code == 5
    verdict = judge_gates(policy_of(command, tests_min=1), Collected(parsed=read_files(kept_files(out / "artifacts"))))
    assert verdict.state is GateState.INCONCLUSIVE
