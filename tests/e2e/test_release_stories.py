"""Releases from the request to their end, as users, the store and Prefect see them."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from productops.domain.release import Cause, Phase
from tests.e2e.conftest import GOOD, Shop
from tests.e2e.real_stack import PRODUCTION, RealStack, until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nobody_lost")]


def run_of(stack: RealStack, release_id: str) -> str:
    """The flow run that carries a release out."""
    found = until(lambda: stack.release(release_id).flow_run_id, what="a flow run took the release")
    assert found is not None
    return found


def test_a_run_created_in_prefect_with_service_and_version_alone_is_a_whole_release(shop: Shop) -> None:
    stack = shop.stack
    if shop.baseline == GOOD[1]:
        stack.make_live(GOOD[0])  # the form has only two fields here: the version must be a newer one
    flow_run_id = stack.prefect.start(service="shop", version=GOOD[1])
    run = stack.prefect.await_state(flow_run_id, "Promoted")
    assert run["name"] == "shop 1.1.0 → production"
    assert stack.await_settled().baseline_version == GOOD[1]
    newest: dict[str, Any] = stack.api.get("/releases", params={"service": "shop", "limit": 1}).json()["items"][0]
    assert newest["flow_run"]["id"] == flow_run_id
    assert (newest["phase"], newest["origin"]) == ("promoted", "prefect")


def test_a_good_version_is_promoted_and_prefect_tells_the_whole_story(shop: Shop) -> None:
    stack, before = shop.stack, time.monotonic()
    release_id = stack.ask("shop", shop.candidate, force_downgrade=True, note="the weekly release")
    stack.await_candidate(release_id, 20)
    shop.users.await_on(shop.candidate, since=before)
    stack.await_candidate(release_id, 50)
    stack.await_phase(release_id, Phase.PROMOTED)

    run = stack.prefect.await_state(run_of(stack, release_id), "Promoted")
    assert run["state"]["type"] == "COMPLETED"
    assert run["name"] == f"shop {shop.candidate} → production"
    artifacts = stack.prefect.artifacts(run["id"])
    kinds = {key: each["type"] for key, each in artifacts.items()}
    assert kinds == {
        "release-evidence": "markdown", "step-1": "progress", "step-2": "progress", "summary-shop-production": "markdown",
        "steps-shop-production": "table", "picture-shop-production": "image",
    }  # fmt: skip
    link = artifacts["release-evidence"]["data"].partition("(")[2].rstrip(")")
    assert f"/{release_id}" in link
    page = httpx.get(link, timeout=10, trust_env=False)
    assert page.status_code == 200, "the link needs no token"
    assert shop.candidate in page.text
    assert shop.candidate in artifacts["summary-shop-production"]["data"]
    assert artifacts["picture-shop-production"]["data"].startswith("data:image/svg+xml;base64,")
    assert [artifacts[f"step-{n}"]["data"] for n in (1, 2)] == [100.0, 100.0]

    settled, switched = stack.await_settled(), time.monotonic()
    assert settled.baseline_version == shop.candidate
    until(lambda: len(shop.users.since(switched)) > 20, what="users after the switch")
    assert set(shop.users.versions_since(switched)) == {shop.candidate}
    detail = stack.detail(release_id)
    assert [step["verdict"] for step in detail["steps"]] == ["passed", "passed"]
    assert detail["summary"]["candidate"]["requests"] > 0
    assert detail["note"] == "the weekly release"
    told = stack.audit_of(release_id)
    assert (told[0], told[-1], told.count("release.promoted")) == ("release.requested", "release.promoted", 1)
    assert {"release.deploying", "release.shifted", "release.judged", "release.promoting"} <= set(told)


def test_a_version_that_fails_is_rolled_back_and_barred(shop: Shop) -> None:
    stack, before = shop.stack, time.monotonic()
    release_id = stack.ask("shop", "1.2.0", weights_pct=[20], hold_s=20.0, alpha=0.05)
    ended = stack.await_phase(release_id, Phase.ROLLED_BACK)
    assert ended.cause is Cause.VERDICT
    back = time.monotonic()
    assert stack.target().baseline_version == shop.baseline
    until(lambda: len(shop.users.since(back)) > 30, what="users after the roll back")
    assert set(shop.users.versions_since(back)) == {shop.baseline}
    harmed = [r for r in shop.users.since(before) if r.version == "1.2.0" and r.failed]
    assert 0 < len(harmed) < 100

    run = stack.prefect.await_state(run_of(stack, release_id), "RolledBack")
    assert run["state"]["type"] == "FAILED"
    assert "1.2.0" in run["state"]["message"]
    artifacts = stack.prefect.artifacts(run["id"])
    assert {"summary-shop-production", "steps-shop-production", "picture-shop-production"} <= artifacts.keys()

    refused = stack.api.post("/release/1.2.0", json={"service": "shop"})
    assert (refused.status_code, refused.json()["slug"]) == (409, "quarantined")


def test_a_version_that_never_listens_fails_with_its_last_words_and_harms_nobody(shop: Shop) -> None:
    stack = shop.stack
    release_id = stack.ask("shop", "1.5.0")
    ended = stack.await_phase(release_id, Phase.FAILED)
    assert ended.cause is Cause.UNHEALTHY
    last_move = stack.detail(release_id)["transitions"][-1]
    assert "migration missing" in last_move["evidence"]["last_output"]
    assert set(shop.users.versions_since(shop.began)) == {shop.baseline}
    run = stack.prefect.await_state(run_of(stack, release_id), "FailedBeforeTraffic")
    assert "/healthz" in run["state"]["message"]
    assert "migration missing" in stack.prefect.artifacts(run["id"])["summary-shop-production"]["data"]

    def nothing_left() -> bool:
        with stack.store.read() as unit:
            return not [i for i in unit.fleets.instances() if i.version == "1.5.0"]

    until(nothing_left, what="its instances are gone")


def test_a_blue_green_release_switches_everybody_and_has_a_warm_way_back(shop: Shop) -> None:
    stack = shop.stack
    release_id = stack.ask("shop", shop.candidate, strategy="blue-green", force_downgrade=True)
    stack.await_phase(release_id, Phase.PROMOTED)
    stack.await_settled()
    with stack.store.read() as unit:
        warm = unit.fleets.find("shop", PRODUCTION, shop.baseline)
    assert warm is not None
    assert warm.desired == 2
    assert warm.keep_until is not None

    asked = time.monotonic()
    answer = stack.api.post(f"/releases/{release_id}/rollback", json={"reason": "the shop owner wants the old colours"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["phase"] in {"rolling_back", "rolled_back"}
    ended = stack.await_phase(release_id, Phase.ROLLED_BACK, within_s=5)
    assert ended.cause is Cause.PERSON
    last = shop.users.assert_off(shop.candidate, killed_at=asked, within_s=2.0)
    assert last < 2.0
    assert stack.await_settled().baseline_version == shop.baseline


def test_a_person_rolls_back_in_the_middle_of_a_rollout(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary()
    asked = time.monotonic()
    answer = stack.api.post(f"/releases/{release_id}/rollback", json={"reason": "customers complain"})
    assert answer.status_code == 202, answer.text
    ended = stack.await_phase(release_id, Phase.ROLLED_BACK, within_s=5)
    assert (ended.cause, ended.reason) == (Cause.PERSON, "customers complain")
    shop.users.assert_off(shop.candidate, killed_at=asked, within_s=2.0)
    run = stack.prefect.await_state(run_of(stack, release_id), "RolledBack")
    assert "customers complain" in run["state"]["message"]
    again = stack.api.post(f"/releases/{release_id}/rollback", json={"reason": "twice"})
    assert again.status_code == 409


def test_cancelling_a_run_in_prefect_in_the_middle_of_a_canary_gives_the_baseline_back(shop: Shop) -> None:
    stack = shop.stack
    release_id = shop.begin_canary()
    flow_run_id = run_of(stack, release_id)
    cancelled = time.monotonic()
    stack.prefect.cancel(flow_run_id)
    ended = stack.await_phase(release_id, Phase.ROLLED_BACK, within_s=10)
    assert ended.cause is Cause.CANCELLED
    shop.users.assert_off(shop.candidate, killed_at=cancelled, within_s=2.0)
    stack.await_settled()
    stack.prefect.await_state(flow_run_id, "Cancelled", "RolledBack")
    assert stack.api.post(f"/release/{shop.candidate}/plan", json={"service": "shop", "force_downgrade": True}).status_code == 200, (
        "a cancelled run says nothing against its version"
    )


def test_runs_that_cannot_be_carried_out_end_refused_with_a_sentence(shop: Shop) -> None:
    prefect = shop.stack.prefect
    wrong = {"9.9.9": "version 9.9.9 of shop does not exist", shop.baseline: "is what users in production have already"}
    runs = {version: prefect.start(service="shop", version=version) for version in wrong}
    for version, flow_run_id in runs.items():
        state = prefect.await_state(flow_run_id, "Refused")["state"]
        assert state["type"] == "FAILED"
        assert wrong[version] in state["message"]
        assert "Traceback" not in state["message"]
    with shop.stack.store.read() as unit:
        assert unit.releases.all_active() == []
    assert set(shop.users.versions_since(shop.began)) == {shop.baseline}


def test_the_form_in_prefect_offers_the_services_and_another_is_refused_with_their_names(shop: Shop) -> None:
    prefect = shop.stack.prefect
    deployment = prefect.http.get("/deployments/name/release/release").raise_for_status().json()
    assert set(deployment["parameter_openapi_schema"]["properties"]["service"]["enum"]) == {"shop", "quiet", "checkout"}
    state = prefect.await_state(prefect.start(service="nosuch", version="1.1.0"), "Refused")["state"]
    assert "there is no service 'nosuch'; known: checkout, quiet, shop" in state["message"]


def test_a_version_that_nobody_visits_waits_for_a_person_who_lets_it_go_on(shop: Shop) -> None:
    stack = shop.stack
    stack.make_live("1.0.0", service="quiet")
    release_id = stack.ask("quiet", "1.1.0")
    paused = stack.await_phase(release_id, Phase.PAUSED)
    assert stack.target("quiet").baseline_version == "1.0.0"
    assert not paused.ended
    time.sleep(1.0)
    assert stack.release(release_id).phase is Phase.PAUSED, "nobody's silence is a consent"
    answer = stack.api.post(f"/releases/{release_id}/resume", json={"reason": "it is Sunday"})
    assert answer.status_code == 202, answer.text
    stack.await_phase(release_id, Phase.PROMOTED)
    assert stack.await_settled("quiet").baseline_version == "1.1.0"
    assert "release.resumed" in stack.audit_of(release_id)


def test_prefect_schedules_the_reconciler(shop: Shop) -> None:
    prefect = shop.stack.prefect
    mine = {"deployments": {"id": {"any_": [prefect.deployment("reconcile/reconcile")]}}, "flow_runs": {}, "limit": 5}
    assert until(
        lambda: prefect.post("/flow_runs/filter", mine), within_s=25, what="a run of the reconciler is scheduled or was carried out"
    )
