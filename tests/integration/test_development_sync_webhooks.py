"""Webhooks that tell of the work: over real HTTP into rows, in any order, twice, and beside a reader; and the routes of the sources."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from productops.adapters.catalog_files import load_catalog
from productops.adapters.webhook_secrets import SecretFolder
from productops.adapters.webhook_sender import WebhookSender
from productops.domain.development import Build, Change, ChangeState, Commit, Deployment, Move, Review, RunState, Sprint, Stage, WorkItem
from productops.errors import CatalogError
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Context
from productops.usecases.development_sync import sync_source
from tests.integration.development_lab import Forge, github, many, serving, stamp
from tests.integration.test_api.support import OPS, TOKEN, client_of, free_ports
from tests.integration.test_api.support import serving as serving_api
from tests.support import SOMEBODY, make_context, sqlite_url

SECRET = "a-webhook-secret"
CATALOG = """
apiVersion: productops/v1
kind: Venture
metadata: {name: apollo}
---
apiVersion: productops/v1
kind: WebhookSource
metadata: {name: from-github, venture: apollo}
spec: {provider: github, secrets: [PRODUCTOPS_SECRET_HOOK]}
---
apiVersion: productops/v1
kind: WebhookSource
metadata: {name: from-gitlab, venture: apollo}
spec: {provider: gitlab, secrets: [PRODUCTOPS_SECRET_HOOK]}
---
apiVersion: productops/v1
kind: WebhookSource
metadata: {name: from-jira, venture: apollo}
spec: {provider: jira, secrets: [PRODUCTOPS_SECRET_HOOK]}
---
apiVersion: productops/v1
kind: DevelopmentSource
metadata: {name: shop-github, venture: apollo}
spec: {system: github, address: "%s", projects: [acme/shop]}
---
apiVersion: productops/v1
kind: DevelopmentSource
metadata: {name: shop-gitlab, venture: apollo}
spec: {system: gitlab, projects: [acme/shop]}
---
apiVersion: productops/v1
kind: DevelopmentSource
metadata: {name: shop-jira, venture: apollo}
spec: {system: jira, address: "https://jira.example", projects: [SHOP]}
"""
AT = datetime(2026, 11, 1, 10, tzinfo=UTC)
REPOSITORY = {"id": 77, "full_name": "acme/shop"}


@dataclass
class House:
    """A served installation with a source and a sender of each tool."""

    context: Context
    client: httpx.Client
    forge: Forge
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def github(self, event: str, **body: Any) -> None:
        number = next(self.numbers)  # within the body, too: the intake drops a body that it has seen
        raw = json.dumps({"repository": REPOSITORY, "number_of_test": number} | body).encode()
        signature = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": signature, "X-GitHub-Delivery": str(number), "X-GitHub-Event": event}
        assert self.client.post("/webhooks/from-github", content=raw, headers=headers).status_code == 202

    def gitlab(self, kind: str, **body: Any) -> None:
        sent = {"object_kind": kind, "project": {"id": 77, "path_with_namespace": "acme/shop"}} | body
        headers = {"X-Gitlab-Token": SECRET, "Idempotency-Key": str(next(self.numbers))}
        assert self.client.post("/webhooks/from-gitlab", json=sent, headers=headers).status_code == 202

    def jira(self, event: str, **body: Any) -> None:
        raw = json.dumps({"webhookEvent": event, "timestamp": int(AT.timestamp() * 1000)} | body).encode()
        signature = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature": signature, "X-Atlassian-Webhook-Identifier": str(next(self.numbers))}
        assert self.client.post("/webhooks/from-jira", content=raw, headers=headers).status_code == 202

    def known(self, kind: type, **equal: Any) -> list[Any]:
        with self.context.store.read() as unit:
            return unit.development.of(kind, **equal)

    def settled(self, timeout_s: float = 10.0) -> None:
        """Wait until all that came in is processed."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            with self.context.store.read() as unit:
                if not any(states.get("received") for states in unit.received.counts().values()):
                    return
            time.sleep(0.02)
        pytest.fail("webhooks were not processed")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    made = make_context(sqlite_url(tmp_path))
    secrets = SecretFolder(tmp_path / "secrets", {"PRODUCTOPS_SECRET_HOOK": SECRET})
    context = replace(made, secrets=secrets, courier=WebhookSender(allow_private=True))
    forge = many(12, 0)
    settings = Settings(home=tmp_path / "home", port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(tmp_path))
    with serving(github(forge)) as server:
        (tmp_path / "catalog").mkdir()
        (tmp_path / "catalog" / "all.yaml").write_text(CATALOG % server.url, encoding="utf-8")
        apply_catalog(context, load_catalog(tmp_path / "catalog"), actor=SOMEBODY)
        with serving_api(context, settings), client_of(settings) as client:
            yield House(context, client, forge)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def issue(number: int, at: datetime, **more: Any) -> dict[str, Any]:
    return Forge().add_issue(number, at, **more)


def test_an_issue_is_a_row_a_moment_after_its_webhook(house):
    began = time.monotonic()
    house.github("issues", action="opened", issue=issue(500, AT))
    while not house.known(WorkItem):
        assert time.monotonic() - began < 5
        time.sleep(0.01)
    took = time.monotonic() - began
    [item] = house.known(WorkItem)
    assert (item.key, item.source, item.stage) == ("acme/shop#500", "shop-github", Stage.BACKLOG)
    assert took < 3, f"{took:.2f} s"


def test_deliveries_in_any_order_and_twice_leave_the_same(house):
    opened, closed = issue(500, AT), issue(500, AT + timedelta(hours=2), state="closed", closed_at=stamp(AT + timedelta(hours=2)))
    labelled = issue(500, AT + timedelta(hours=1), labels=[{"name": "bug"}], title="middle")
    for body in (closed, opened, labelled, opened, closed, labelled):
        house.github("issues", action="edited", issue=body)
    house.settled()
    [item] = house.known(WorkItem)
    assert (item.stage, item.title, item.done_at) == (Stage.DONE, "Issue 500", AT + timedelta(hours=2))
    assert [m.new for m in house.known(Move, field="stage")] == ["backlog", "done"]


def test_a_late_word_does_not_bring_back_what_was_deleted(house):
    house.github("issues", action="deleted", issue=issue(500, AT))
    house.github("issues", action="opened", issue=issue(500, AT))
    house.github("issues", action="transferred", issue=issue(501, AT))
    house.settled()
    assert house.known(WorkItem) == []
    assert len(house.known(WorkItem, deleted=True)) == 1


def test_github_tells_changes_reviews_pushes_runs_and_deployments(house):
    mia, noa = {"id": 1, "login": "mia"}, {"id": 2, "login": "noa"}
    pull = {
        "id": 9, "node_id": "PR_9", "number": 9, "title": "Fix SHOP-3", "state": "closed", "user": mia, "created_at": stamp(AT), "body": "",
        "updated_at": stamp(AT), "closed_at": stamp(AT), "merged_at": stamp(AT), "merge_commit_sha": "c" * 40, "additions": 4,
        "deletions": 2,
        "changed_files": 1, "commits": 1, "review_comments": 3, "base": {"ref": "main"}, "head": {"ref": "fix", "sha": "d" * 40},
        "html_url": "", "labels": [],
    }  # fmt: skip
    house.github("pull_request", action="closed", pull_request=pull)
    review = {"id": 4, "node_id": "PRR_4", "state": "approved", "submitted_at": stamp(AT), "user": noa, "html_url": ""}
    house.github("pull_request_review", action="submitted", review=review, pull_request=pull)
    commit = {"id": "e" * 40, "message": "Fix SHOP-3\n\nx", "timestamp": stamp(AT), "author": {"name": "Mia"}, "url": ""}
    house.github("push", ref="refs/heads/main", commits=[commit])
    run = {"id": 6, "name": "ci", "head_sha": "e" * 40, "head_branch": "main", "status": "completed", "conclusion": "failure",
           "updated_at": stamp(AT), "created_at": stamp(AT), "html_url": ""}  # fmt: skip
    house.github("workflow_run", action="completed", workflow_run=run)
    deployment = {"id": 7, "node_id": "DE_7", "sha": "e" * 40, "ref": "main", "environment": "production", "created_at": stamp(AT),
                  "updated_at": stamp(AT), "url": ""}  # fmt: skip
    status = {"state": "success", "created_at": stamp(AT + timedelta(minutes=2)), "updated_at": stamp(AT + timedelta(minutes=2))}
    house.github("deployment_status", deployment=deployment, deployment_status=status)
    house.github("deployment", action="created", deployment=deployment)
    house.settled()
    [change], [told], [pushed] = house.known(Change), house.known(Review), house.known(Commit)
    assert (change.state, change.additions, change.merge_sha, change.works_on) == (ChangeState.MERGED, 4, "c" * 40, ("SHOP-3",))
    assert (told.change, told.state, told.reviewer) == ("PR_9", "approved", "2")
    assert (pushed.title, pushed.works_on) == ("Fix SHOP-3", ("SHOP-3",))
    assert house.known(Build)[0].status is RunState.FAILED
    [deployed] = house.known(Deployment)
    assert (deployed.production, deployed.status) == (True, RunState.SUCCEEDED)
    kinds = {event["kind"] for event in house.client.get(f"{OPS}/webhooks/events").json()["items"]}
    assert "work.updated" in kinds
    assert "unrecognised" not in kinds


def test_gitlab_and_jira_tell_theirs(house):
    told = {
        "id": 31,
        "iid": 5,
        "title": "Work",
        "state": "opened",
        "updated_at": "2026-11-01 10:00:00 UTC",
        "created_at": "2026-11-01 09:00:00 UTC",
    }
    house.gitlab("issue", object_attributes=told, user={"username": "mia"}, labels=[{"title": "bug"}])
    merged = {"id": 41, "iid": 6, "title": "Fix #5", "state": "merged", "action": "merge", "source_branch": "f", "target_branch": "main",
              "updated_at": "2026-11-01 10:00:00 UTC", "author_id": 4}  # fmt: skip
    house.gitlab("merge_request", object_attributes=merged)
    pipeline = {"id": 51, "status": "success", "sha": "f" * 40, "ref": "main", "finished_at": "2026-11-01 10:00:00 UTC"}
    house.gitlab("pipeline", object_attributes=pipeline)
    house.gitlab("deployment", status="success", status_changed_at="2026-11-01 10:00:00 +0000", deployment_id=61, environment="production",
                 short_sha="ffff", ref="main")  # fmt: skip
    fields = {
        "summary": "Pay by card", "updated": "2026-11-01T10:00:00.000+0000", "created": "2026-10-01T10:00:00.000+0000",
        "issuetype": {"name": "Story"}, "status": {"name": "In Review"}, "project": {"id": "12", "key": "SHOP"},
    }  # fmt: skip
    changelog = {"id": "99", "items": [{"field": "status", "fromString": "In Progress", "toString": "In Review"}]}
    house.jira("jira:issue_updated", issue={"id": "700", "key": "SHOP-3", "fields": fields}, changelog=changelog, user={"accountId": "a"})
    house.jira("sprint_started", sprint={"id": 8, "name": "Sprint 8", "state": "active", "self": ""})
    house.settled()
    items = {item.source: item for item in house.known(WorkItem)}
    assert items["shop-gitlab"].key == "acme/shop#5"
    assert (items["shop-jira"].stage, items["shop-jira"].url) == (Stage.REVIEW, "https://jira.example/browse/SHOP-3")
    assert house.known(Change)[0].works_on == ("acme/shop#5",)
    assert house.known(Deployment)[0].production
    assert house.known(Sprint)[0].state == "active"
    assert ("stage", "doing", "review") in {(m.field, m.old, m.new) for m in house.known(Move, source="shop-jira")}


def test_a_reader_and_webhooks_at_once_agree(house):
    for number in range(1, 13):
        house.github("issues", action="edited", issue=issue(number, AT, title=f"By webhook {number}"))
    report = sync_source(house.context, "shop-github", actor=SOMEBODY, owner="test")
    house.settled()
    assert report.whole, report.error
    assert {item.title for item in house.known(WorkItem)} == {f"By webhook {n}" for n in range(1, 13)}


def test_a_source_is_read_when_somebody_asks_the_api_for_it(house):
    answer = house.client.post(f"{OPS}/development-sources/shop-github/sync", json={"full": True})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{OPS}/development-sources/shop-github"
    end = time.monotonic() + 30
    while (found := house.client.get(answer.headers["location"]).json())["succeeded_at"] is None:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    assert found["counts"]["work items"] == 12
    assert found["streams"][0]["project"] == "acme/shop"
    listed = house.client.get(f"{OPS}/development-sources").json()["items"]
    assert [each["name"] for each in listed] == ["shop-github", "shop-gitlab", "shop-jira"]
    assert house.client.get(f"{OPS}/development-sources/none").status_code == 404


def test_a_catalog_that_cannot_be_meant_names_file_line_and_reason(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}\n---\napiVersion: productops/v1\nkind: DevelopmentSource\n"
        "metadata: {name: tool, venture: apollo}\nspec:\n  system: github\n  projects: [no-slash]\n",
        encoding="utf-8",
    )
    with pytest.raises(CatalogError, match=r"a\.yaml:\d+: spec.*no-slash.*acme/shop"):
        load_catalog(tmp_path)
