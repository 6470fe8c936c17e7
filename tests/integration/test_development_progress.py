"""Features over the real API: a store on a real file, things as tools tell them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.catalog_feature import FeatureEntry
from productops.domain.development import (
    Build,
    Change,
    ChangeState,
    Commit,
    Feature,
    FileChange,
    Move,
    Read,
    RunState,
    Stage,
    WorkItem,
)
from productops.domain.development_sync import DevelopmentSource
from productops.domain.quality import CaseResult, Outcome, Parsed
from productops.domain.release import Phase
from productops.settings import Settings
from productops.usecases.context import Context
from productops.usecases.quality_validate import ValidateRequest, validate_quality
from productops.usecases.release_request import ReleaseWish, place_release
from tests.integration.test_api.support import TOKEN, HandMadeOrchestrator, client_of, free_ports, serving
from tests.support import SOMEBODY, add_service, make_context, sqlite_url

DEV = "/api/v1/product-ops/development"
NOW = datetime.now(UTC).replace(microsecond=0)
SPEC = DevelopmentSourceSpec.model_validate({"system": "jira", "address": "https://jira.test", "projects": ["APOLLO"]})
SOURCE = DevelopmentSource("jira", "apollo", SPEC)
FIX = "f" * 40
BASE = "b" * 40


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def item(number: int, stage: Stage, *, done: float | None = None, estimate: float | None = 8.0, **more: Any) -> WorkItem:
    return WorkItem(
        external_id=str(number), key=f"APOLLO-{number}", title=f"item {number}", stage=stage, feature="APOLLO-1", estimate_h=estimate,
        created_at=ago(20), done_at=None if done is None else ago(done), changed_at=ago(done or 1),
        url=f"https://jira.test/{number}", **more,
    )  # fmt: skip


def move(number: int, field: str, old: str, new: str, days: float) -> Move:
    return Move(external_id=f"{number}-{field}-{days}", item=str(number), field=field, old=old, new=new, changed_at=ago(days))


@dataclass(frozen=True)
class House:
    context: Context
    client: httpx.Client

    def tell(self, *things: Read) -> None:
        with self.context.store.write() as unit:
            unit.development.put(SOURCE, things, now=datetime.now(UTC))

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.client.get(f"{DEV}/{path}", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    context = make_context(sqlite_url(tmp_path))
    add_service(context, "shop", live="1.0")
    settings = Settings(home=tmp_path, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(tmp_path))
    with serving(context, settings), client_of(settings) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        made = House(context, client)
        made.tell(
            Feature(external_id="1", key="APOLLO-1", title="Apple Pay", stage=Stage.DOING, changed_at=ago(20), url="https://jira.test/1"),
            item(2, Stage.DONE, done=2),
            item(3, Stage.DOING, estimate=16.0, remaining_h=4.0),
            item(4, Stage.READY, estimate=None),
            move(2, "stage", "ready", "doing", 12), move(2, "stage", "doing", "review", 6), move(2, "stage", "review", "done", 2),
            move(4, "feature", "", "APOLLO-1", 5),
            move(3, "stage", "ready", "doing", 3), move(3, "blocked", "", "yes", 2), move(3, "blocked", "yes", "", 1),
        )  # fmt: skip
        yield made


def merged(key: str, sha: str, *, days: float = 3, **more: Any) -> Change:
    return Change(
        external_id=key, key=f"acme/shop#{key}", repository="acme/shop", title=f"change {key}", author="mia", state=ChangeState.MERGED,
        opened_at=ago(days + 1), merged_at=ago(days), changed_at=ago(days), works_on=("APOLLO-2",), merge_sha=sha, head_sha=sha,
        additions=40, deletions=2, file_count=1, files=(FileChange("shop/pay.py", 40, 2),), services=("shop",), **more,
    )  # fmt: skip


def commit(sha: str, *parents: str, days: float = 3) -> Commit:
    return Commit(
        external_id=sha, sha=sha, repository="acme/shop", title=f"commit {sha[:3]}", committed_at=ago(days), changed_at=ago(days),
        parents=parents,
    )  # fmt: skip


def judge(house: House, version: str, sha: str) -> str:
    tests = (CaseResult("s", "c", "pays", Outcome.PASSED),)
    request = ValidateRequest("shop", version, commit=sha)
    return validate_quality(house.context, request, Parsed(formats=("junit",), tests=tests), SOMEBODY).id


def test_a_feature_says_how_much_is_done_by_items_and_by_effort_with_its_rows(house):
    found = house.get("APOLLO-1")
    far = found["done"]["values"]
    assert (far["items"], far["items_done"], far["assumed"]) == (3, 1, 1)
    assert far["by_items"] == pytest.approx(1 / 3)
    assert far["effort_h"] == pytest.approx(8 + 16 + 12)
    assert far["by_effort"] == pytest.approx((8 + 12) / 36)
    assert {row["key"] for row in found["done"]["rows"]} == {"APOLLO-2", "APOLLO-3", "APOLLO-4"}
    assert all(row["url"].startswith("https://jira.test/") and row["id"] for row in found["done"]["rows"])


def test_scope_cycle_time_and_blocked_time_come_from_the_moves(house):
    found = house.get("APOLLO-1")
    points = found["scope"]["values"]["points"]
    assert [(p["items"], p["items_done"]) for p in points] == [(2, 0), (3, 0), (3, 1)]
    assert points[1]["added"] == ["APOLLO-4"]
    stages = {stage["stage"]: stage for stage in found["cycle_time"]["values"]["stages"]}
    assert stages["doing"]["passed"] == 1
    assert stages["doing"]["median_h"] == pytest.approx(6 * 24)
    assert stages["review"]["median_h"] == pytest.approx(4 * 24)
    assert stages["doing"]["waiting"] == 1
    assert stages["doing"]["open_h"] == pytest.approx(3 * 24, abs=1.0)  # real time passes: the suite may take a while
    assert found["blocked"]["values"]["by_item"] == {"APOLLO-3": pytest.approx(24)}


def test_an_answer_is_as_fresh_as_the_store(house):
    assert house.get("APOLLO-1")["done"]["values"]["items_done"] == 1
    begin = time.perf_counter()
    house.tell(item(4, Stage.DONE, done=0.01, estimate=None))
    assert house.get("APOLLO-1")["done"]["values"]["items_done"] == 2
    assert time.perf_counter() - begin < 2


def test_a_feature_is_found_by_id_and_by_an_earlier_key_and_not_by_what_nobody_is_called(house):
    by_key = house.get("APOLLO-1")["feature"]
    assert house.get(by_key["id"])["feature"]["key"] == "APOLLO-1"
    house.tell(Feature(external_id="1", key="GEMINI-9", title="Apple Pay", stage=Stage.DOING, changed_at=ago(0.1)))
    assert house.get("APOLLO-1")["feature"]["key"] == "GEMINI-9"
    answer = house.client.get(f"{DEV}/NOBODY-1")
    assert answer.status_code == 404
    assert "productops development list" in answer.json()["detail"]


def test_features_are_listed_page_by_page_with_filters(house):
    house.tell(*(Feature(external_id=f"{n}", key=f"APOLLO-{n}", title="other", stage=Stage.BACKLOG, changed_at=ago(1)) for n in (50, 51)))
    first = house.get("features", limit=2)
    rest = house.get("features", limit=2, after=first["next"])
    assert [f["key"] for f in first["items"] + rest["items"]] == ["APOLLO-51", "APOLLO-50", "APOLLO-1"]
    assert [f["key"] for f in house.get("features", text="apple")["items"]] == ["APOLLO-1"]
    assert [f["done_by_items"] for f in house.get("features", stage="doing")["items"]] == [pytest.approx(1 / 3)]
    assert house.get("features", venture="gemini")["items"] == []


def test_quality_live_releases_and_risk_of_its_changes_are_shown(house):
    house.tell(
        merged("7", FIX),
        commit(BASE, days=9),
        commit(FIX, BASE),
        Build(external_id="b1", repository="acme/shop", name="ci", sha=FIX, status=RunState.FAILED, changed_at=ago(3)),
    )
    run = judge(house, "1.1.0", FIX)
    orchestrated = Context(house.context.store, house.context.doorbell, 3.0, orchestrator=HandMadeOrchestrator())
    release = place_release(orchestrated, ReleaseWish("shop", "1.1.0"), actor=SOMEBODY).release
    for phase in (Phase.DEPLOYING, Phase.ROLLING_OUT, Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED):
        with house.context.store.write() as unit:
            unit.releases.move(release.id, phase, actor="flow", reason="test", now=datetime.now(UTC))
    found = house.get("APOLLO-1")
    assert found["quality"]["values"]["builds_failed"] == 1
    assert [r["id"] for r in found["quality"]["values"]["runs"]] == [run]
    assert [(r["id"], r["phase"]) for r in found["live"]["values"]["releases"]] == [(release.id, "promoted")]
    assert found["live"]["rows"][0]["url"].endswith(f"/releases/{release.id}")


def test_the_next_action_is_one_sentence_with_why(house):
    found = house.get("APOLLO-1")["next"]
    assert found["action"] == "Finish APOLLO-3."
    assert found["why"] == "1 of 3 items are on their way; it is the oldest"
    house.tell(
        Change(
            external_id="8",
            key="acme/shop#8",
            repository="acme/shop",
            title="pay",
            state=ChangeState.OPEN,
            opened_at=ago(2),
            changed_at=ago(2),
            works_on=("APOLLO-3",),
        )
    )
    assert house.get("APOLLO-1")["next"]["action"] == "Review acme/shop#8."


def test_readiness_names_what_is_missing_and_nothing_unknown_passes(house):
    found = house.get("APOLLO-1/readiness")
    checks = {check["name"]: check for check in found["checks"]}
    assert found["state"] == "failed"
    assert checks["work"]["missing"] == ["APOLLO-3", "APOLLO-4"]
    assert checks["docs"]["state"] == "inconclusive"
    assert found["declared"] is None


def test_success_is_inconclusive_until_it_is_measured(house):
    entry = {
        "apiVersion": "productops/v1", "kind": "Feature", "metadata": {"name": "apple-pay", "venture": "apollo"},
        "spec": {"work": ["APOLLO-1"], "services": ["shop"], "flag": "apple-pay", "success": [
            {"kind": "slo", "service": "shop", "success_ratio": 0.999}, {"kind": "measure", "sentence": "a tenth of orders"}]},
    }  # fmt: skip
    with house.context.store.write() as unit:
        unit.development_goals.put(FeatureEntry.model_validate(entry), base="/nowhere", author="tester", now=NOW)
    found = house.get("APOLLO-1/success")
    assert found["state"] == "inconclusive"
    assert [check["state"] for check in found["checks"]] == ["inconclusive"] * 3
    ready = {check["name"]: check for check in house.get("APOLLO-1/readiness")["checks"]}
    assert ready["flag"]["state"] == "failed"
