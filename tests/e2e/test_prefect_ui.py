"""A person releases a version from Prefect's pages, with two fields and a button."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from productops.domain.release import Phase
from tests.e2e.conftest import GOOD, Shop
from tests.e2e.real_stack import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
WAIT_MS = 60_000


def find_chromium() -> str | None:
    """Path of a Chromium of this system."""
    usual = Path("/usr/bin/chromium")
    return str(usual) if usual.exists() else shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium: on Debian, apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, headless=True, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: $SCREENSHOTS, or pytest's folder of this test."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_person_releases_a_version_from_the_form_in_prefect(shop: Shop, browser: Any, pictures: Path) -> None:
    stack = shop.stack
    ui = f"http://127.0.0.1:{stack.port_base}/prefect/v2"  # the older pages have no labels that a program could go by
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(WAIT_MS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{stack.log_in_link()}&next=/prefect/v2/")
    page.wait_for_url("**/prefect/v2/**")
    posted: list[str] = []
    page.on("response", lambda answer: posted.append(f"{answer.status} {answer.url}") if answer.request.method == "POST" else None)

    page.goto(f"{ui}/deployments?limit=100")  # there are more of them than a page shows
    page.get_by_text("release", exact=True).first.wait_for()
    page.get_by_text("rollback", exact=True).first.wait_for()
    page.screenshot(path=pictures / "deployments.png")

    deployment = stack.prefect.deployment()
    page.goto(f"{ui}/deployments/deployment/{deployment}/run")
    page.get_by_label("Service").click()
    page.get_by_role("option", name="shop", exact=True).click()
    page.get_by_role("textbox", name="Version").fill(shop.candidate)
    if shop.candidate == GOOD[0]:
        page.get_by_label("Allow an older version").click()
    page.screenshot(path=pictures / "form.png", full_page=True)
    submitted_at = datetime.now(UTC).isoformat()
    submit(page)

    def created() -> dict[str, Any] | None:
        mine = {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": {"start_time": {"after_": submitted_at}},
            "sort": "START_TIME_ASC",
        }
        newest: list[dict[str, Any]] = stack.prefect.post("/flow_runs/filter", mine)
        return newest[0] if newest else None

    run = until(created, within_s=30, what=f"the form made a run ({posted[-5:]})")
    assert run is not None
    assert (run["parameters"]["service"], run["parameters"]["version"]) == ("shop", shop.candidate)
    ended = stack.prefect.await_state(run["id"], "Promoted", within_s=60)
    assert stack.await_settled().baseline_version == shop.candidate
    with stack.store.read() as unit:
        released = unit.releases.of_run(run["id"])
    assert released is not None
    assert (released.phase, released.version, released.origin) == (Phase.PROMOTED, shop.candidate, "prefect")

    page.goto(f"{ui}/runs/flow-run/{run['id']}")
    page.get_by_text(ended["name"]).first.wait_for()
    page.get_by_text("Promoted").first.wait_for()
    page.wait_for_timeout(1500)  # the graph is drawn on a canvas, which tells nobody when it is done
    page.screenshot(path=pictures / "run.png")
    page.goto(f"{ui}/artifacts")
    page.get_by_text("summary-shop-production").first.wait_for()
    page.screenshot(path=pictures / "artifacts.png")
    page.close()
    with stack.store.read() as unit:  # who pressed the button is on record, before the run began
        caller = unit.run_callers.get(run["id"])
    assert caller is not None
    assert caller.principal == "owner"
    ours = f"http://127.0.0.1:{stack.port_base}/"
    answered = [url for url in asked if not url.startswith((ours, "data:", "blob:"))]
    assert not [url for url in answered if "127.0.0.1" in url], "the browser spoke past our door"


def submit(page: Any) -> None:
    """Press the button until the form goes away: a press while the form checks what was just typed is lost."""
    from playwright.sync_api import TimeoutError as TooLateError

    for _ in range(3):
        page.get_by_role("button", name="Submit").click()
        try:
            page.wait_for_url(lambda url: not url.split("?")[0].endswith("/run"), timeout=10_000)
        except TooLateError:
            continue
        return
    raise AssertionError("the form did not go away")
