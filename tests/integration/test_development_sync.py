"""Development sources: read page by page from servers that limit, fail, rename and delete; killed and gone on; told by webhooks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.development import (
    Build,
    Change,
    ChangeState,
    Commit,
    Deployment,
    Feature,
    Move,
    Person,
    Review,
    RunState,
    Stage,
    WorkItem,
)
from productops.errors import ConflictError
from productops.usecases.context import Context
from productops.usecases.development_sync import SyncReport, all_sources, list_sources, request_sync, show_source, sync_source
from productops.usecases.development_sync_read import deployments_of
from productops.usecases.release_request import ReleaseWish, place_release
from tests.integration.development_lab import BEGAN, Forge, github, gitlab, jira, many, serving, stamp
from tests.integration.http_support import Reply
from tests.integration.test_api.support import HandMadeOrchestrator
from tests.support import SOMEBODY, add_service, service_spec, sqlite_url

NAME = "forge"


def declare(context: Context, url: str, **spec: Any) -> None:
    wanted = DevelopmentSourceSpec.model_validate({"system": "github", "address": url, "projects": ["acme/shop"], "wait_max_s": 20} | spec)
    with context.store.write() as unit:
        unit.development_sources.put(NAME, venture="apollo", spec=wanted, base="/nowhere", now=context.clock.now())


def sync(context: Context, **how: Any) -> SyncReport:
    return sync_source(context, NAME, actor=SOMEBODY, owner="test", **how)


def known(context: Context, kind: type, **equal: Any) -> list[Any]:
    with context.store.read() as unit:
        return unit.development.of(kind, limit=100_000, **equal)


@contextmanager
def forge_of(context: Context, forge: Forge, answer: Any = github, **spec: Any) -> Iterator[Forge]:
    with serving(answer(forge)) as server:
        declare(context, server.url, **spec)
        forge.server = server  # type: ignore[attr-defined]
        yield forge


def test_a_backfill_has_everything_once_with_features_people_and_the_pages_of_changes(any_context):
    context = any_context
    with forge_of(context, many(150, 60)) as forge:
        forge.runs = [
            {"id": n, "name": "ci", "head_sha": "a" * 40, "head_branch": "main", "status": "completed", "conclusion": "success",
             "created_at": stamp(datetime.now(UTC) - timedelta(days=n)), "updated_at": stamp(datetime.now(UTC) - timedelta(days=n))}
            for n in range(1, 40)
        ]  # fmt: skip
        forge.commits = [
            {"sha": f"{n:040x}", "html_url": "", "parents": [{"sha": f"{n - 1:040x}"}], "author": {"id": 1, "login": "mia"},
             "commit": {"message": f"Work on #{n}\n\nlong", "author": {"name": "Mia", "date": stamp(datetime.now(UTC) - timedelta(days=n))},
                        "committer": {"date": stamp(datetime.now(UTC) - timedelta(days=n))}}}
            for n in range(1, 30)
        ]  # fmt: skip
        report = sync(context)
    assert report.whole, report.error
    items, changes = known(context, WorkItem), known(context, Change)
    assert (len(items), len(changes)) == (150, 60)
    assert len({i.external_id for i in items}) == 150
    assert len(known(context, Feature)) == 7
    assert len(known(context, Build)) == 39
    assert known(context, Build)[0].status is RunState.SUCCEEDED
    commits = known(context, Commit)
    assert len([c for c in commits if c.change is None]) == 29
    assert "acme/shop#3" in next(c for c in commits if c.sha == f"{3:040x}").works_on
    change = changes[0]
    assert change.state is ChangeState.MERGED
    assert (change.additions, change.files[0].path, change.base) == (12, "shop/cart.py", "main")
    assert any(key.startswith("SHOP-") for key in change.works_on)
    assert change.first_review_at is not None
    assert len(known(context, Review)) == 60
    assert {p.person for p in known(context, Person)} >= {"mia", "noa"}
    done = [i for i in items if i.stage is Stage.DONE]
    assert done
    assert all(i.done_at is not None for i in done)
    assert len(known(context, Move, field="stage", new="done")) == len(done)


def test_a_second_look_reads_little_and_a_third_one_is_answered_by_the_mark(context):
    with forge_of(context, many(120, 0)) as forge:
        sync(context)
        before = len(forge.server.requests)
        second = sync(context)
        assert second.moved == 0
        third = sync(context)
        assert (third.moved, third.error) == (0, "")
        assert forge.same >= 1
        assert len(forge.server.requests) - before <= 12


def test_what_changes_while_pages_are_turned_is_not_lost(context):
    forge = many(250, 0)
    with forge_of(context, forge, page_size=20):
        asked = Counter[str]()

        def shuffle() -> None:
            asked["lists"] += 1
            if 3 <= asked["lists"] <= 10:  # items that were on the first pages move to the end of the list
                forge.issues[asked["lists"]]["updated_at"] = stamp(BEGAN + timedelta(days=2, seconds=asked["lists"]))
                forge.issues[asked["lists"]]["title"] = "moved"
                forge.changed()

        forge.on_list = shuffle
        report = sync(context)
    assert report.whole
    items = known(context, WorkItem)
    assert len(items) == 250
    assert sum(i.title == "moved" for i in items) == 8


def test_limits_errors_and_nonsense_are_waited_for_and_tried_again(context):
    with forge_of(context, many(50, 0)) as forge:
        forge.failures = [
            Reply(500, {"message": "boom"}), Reply(200, raw=b'[{"broken'), Reply(429, {}, {"retry-after": "1"}),
            Reply(403, {"message": "You have exceeded a secondary rate limit"}, {"retry-after": "1"}),
            Reply(403, {"message": "API rate limit exceeded"}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(time.time() + 1)}),
        ]  # fmt: skip
        report = sync(context)
    assert report.whole, report.error
    assert len(known(context, WorkItem)) == 50


def test_a_limit_that_takes_too_long_ends_the_run_and_the_next_one_goes_on_where_it_was(context):
    forge = many(90, 0)
    with forge_of(context, forge, page_size=20, wait_max_s=1):
        forge.rate_left, forge.rate_reset_s = 3, 600.0
        report = sync(context)
        assert not report.whole
        assert report.paused_until is not None
        assert "peace" in report.error
        had = len(known(context, WorkItem))
        assert 0 < had < 90
        assert all_sources(context) == []
        view = show_source(context, NAME, actor=SOMEBODY)
        assert "peace" in view.state.last_error
        forge.rate_left = None
        assert sync(context).whole
    assert len(known(context, WorkItem)) == 90


def test_a_stream_that_fails_keeps_its_cursor_and_says_why_while_the_others_are_read(context):
    forge = many(30, 0)
    answer = github(forge)
    with serving(lambda request: Reply(403, {"message": "no"}) if "actions" in request.path else answer(request)) as server:
        declare(context, server.url)
        report = sync(context)
    assert list(report.problems) == ["builds:77"]
    assert "token may not read" in report.error
    states = {s.stream: s for s in show_source(context, NAME, actor=SOMEBODY).state.streams}
    assert states["builds:77"].error
    assert states["builds:77"].cursor == {}
    assert states["commits:77"].filled
    assert len(known(context, WorkItem)) == 30


def test_a_full_look_finds_what_was_deleted_and_refuses_to_believe_that_most_is_gone(any_context):
    context = any_context
    forge = many(60, 0)
    with forge_of(context, forge):
        sync(context)
        gone = forge.issues.pop(5)
        forge.changed()
        assert sync(context).moved == 0
        sync(context, full=True)
        assert gone["node_id"] not in {i.external_id for i in known(context, WorkItem)}
        assert len(known(context, WorkItem)) == 59
        del forge.issues[10:]
        forge.changed()
        report = sync(context, full=True)
        assert "--accept-deletions" in report.error
        assert len(known(context, WorkItem)) == 59
        sync(context, full=True, accept_deletions=True)
    assert len(known(context, WorkItem)) == 10


def test_a_renamed_repository_and_a_renamed_person_stay_the_same_things(context):
    forge = many(10, 0)
    with forge_of(context, forge):
        sync(context)
        forge.name = "acme/store"
        at = datetime.now(UTC)
        for issue in forge.issues:
            issue |= {"updated_at": stamp(at), "assignee": {"id": 3, "login": "mia-new"}}
        forge.changed()
        assert sync(context).whole
    items = known(context, WorkItem)
    assert {i.key.partition("#")[0] for i in items} == {"acme/store"}
    assert len(items) == 10
    assert [p.login for p in known(context, Person, external_id="3")] == ["mia-new"]
    with context.store.read() as unit:
        assert unit.development.referred(WorkItem, NAME, ["acme/shop#3"])["acme/shop#3"].key == "acme/store#3"


def test_only_one_run_reads_a_source_and_the_claim_of_a_dead_one_is_not_waited_for(any_context):
    context = any_context
    with forge_of(context, many(5, 0)):
        with context.store.write() as unit:
            now = context.clock.now()
            assert unit.development_sources.claim(NAME, owner="other", now=now, until=now + timedelta(seconds=60))
        with pytest.raises(ConflictError, match="other"):
            sync(context)
        assert sync(context, is_dead=lambda owner: owner == "other").whole


def test_gitlab_is_read_with_merge_requests_pipelines_and_deployments(context):
    forge = Forge()
    at = BEGAN + timedelta(days=500)
    mia = {"id": 4, "username": "mia", "name": "Mia"}
    for n in range(1, 35):
        forge.issues.append({
            "id": 900 + n, "iid": n, "title": f"Work {n}", "state": "closed" if n % 5 == 0 else "opened",
            "labels": ["doing"], "assignees": [mia],
            "created_at": stamp(at), "updated_at": stamp(at + timedelta(minutes=n)), "closed_at": stamp(at) if n % 5 == 0 else None,
            "time_stats": {"time_estimate": 7200, "total_time_spent": 3600}, "web_url": "",
            "milestone": {"id": 6, "title": "Cart", "state": "active"},
        })  # fmt: skip
    mr = {"id": 51, "iid": 3, "title": "Closes #4", "state": "merged", "author": mia, "created_at": stamp(at), "updated_at": stamp(at),
          "merged_at": stamp(at), "source_branch": "SHOP-9-x", "target_branch": "main", "labels": []}  # fmt: skip
    forge.merge_requests = [mr]
    forge.pulls["3"] = {
        "id": "gid://gitlab/MergeRequest/51", "iid": "3", "title": "Closes #4", "state": "merged", "createdAt": stamp(at),
        "updatedAt": stamp(at), "mergedAt": stamp(at), "sourceBranch": "SHOP-9-x", "targetBranch": "main",
        "author": {"id": "gid://gitlab/User/4", "username": "mia"},
        "diffStatsSummary": {"additions": 5, "deletions": 1, "fileCount": 1},
        "diffStats": [{"path": "a.py", "additions": 5, "deletions": 1}],
        "approvedBy": {"nodes": [{"id": "gid://gitlab/User/5", "username": "noa"}]}, "notes": {"nodes": []},
        "commits": {"nodes": [{"sha": "b" * 40, "message": "one", "authorName": "Mia", "authoredDate": stamp(at)}]},
    }  # fmt: skip
    recent = stamp(datetime.now(UTC) - timedelta(days=3))
    forge.runs = [{"id": 8, "status": "success", "sha": "b" * 40, "ref": "main", "updated_at": recent, "created_at": recent}]
    forge.deployments = [{"id": 9, "status": "success", "sha": "b" * 40, "ref": "main", "updated_at": recent, "created_at": recent,
                          "environment": {"name": "production"}}]  # fmt: skip
    spec = {"system": "gitlab", "page_size": 10, "mapping": {"stages": {"doing": "doing"}}}
    with forge_of(context, forge, gitlab, **spec):
        report = sync(context)
    assert report.whole, report.error
    items = known(context, WorkItem)
    assert len(items) == 34
    assert {i.stage for i in items} == {Stage.DOING, Stage.DONE}
    assert (items[0].estimate_h, items[0].remaining_h, items[0].feature) == (2.0, 1.0, "milestone:6")
    [change] = known(context, Change)
    assert set(change.works_on) == {"acme/shop#4", "SHOP-9"}
    assert (change.additions, change.review_count) == (5, 1)
    [deployment] = known(context, Deployment)
    assert deployment.production
    assert deployment.status is RunState.SUCCEEDED
    assert len(known(context, Build)) == 1


def jira_issue(number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    written = at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return {
        "id": str(5000 + number), "key": f"SHOP-{number}", "changelog": {"histories": []},
        "fields": {
            "summary": f"Work {number}", "issuetype": {"name": "Story"}, "created": written, "updated": written, "labels": [],
            "status": {"name": "In Progress", "statusCategory": {"key": "indeterminate"}}, "project": {"id": "77", "key": "SHOP"},
        } | fields,
    }  # fmt: skip


def test_jira_is_read_with_epics_sprints_links_points_and_its_own_history(context):
    forge = Forge(name="SHOP")
    at = BEGAN
    forge.issues = [jira_issue(n, at + timedelta(minutes=n // 40)) for n in range(2, 160)]  # forty in one minute: pages by token
    forge.issues.append(jira_issue(1, at, issuetype={"name": "Epic"}, summary="Cart"))
    story = jira_issue(
        500, at + timedelta(days=1), parent={"id": "5001", "key": "SHOP-1"}, customfield_10016=3,
        assignee={"accountId": "abc", "displayName": "Mia"},
        customfield_10020=[{"id": 7, "name": "Sprint 7", "state": "active", "startDate": "2025-01-01T00:00:00.000Z"}],
        issuelinks=[{"id": "31", "type": {"name": "Blocks"}, "outwardIssue": {"key": "SHOP-9"}}],
    )  # fmt: skip
    story["changelog"]["histories"] = [
        {"id": "1", "created": "2025-01-01T09:00:00.000+0100", "author": {"accountId": "abc"},
         "items": [{"field": "status", "fromString": "To Do", "toString": "In Progress"}]},
        {"id": "2", "created": "2025-01-02T09:00:00.000+0100", "author": {"accountId": "abc"},
         "items": [{"field": "Story Points", "fromString": "2", "toString": "3"}]},
    ]  # fmt: skip
    forge.issues.append(story)
    with forge_of(context, forge, jira, system="jira", projects=["SHOP"], user="mia@example.com", page_size=30):
        report = sync(context)
        assert report.whole, report.error
        assert sync(context).whole
    items = {i.key: i for i in known(context, WorkItem)}
    assert len(items) == 159
    assert (items["SHOP-500"].feature, items["SHOP-500"].sprint, items["SHOP-500"].estimate_h) == ("5001", "7", 24.0)
    [epic] = known(context, Feature)
    with context.store.read() as unit:
        assert [i.key for i in unit.development.items_of(epic)] == ["SHOP-500"]
    moves = known(context, Move, item="5500")
    assert ("stage", "ready", "doing") in {(m.field, m.old, m.new) for m in moves}
    assert ("estimate", "16", "24") in {(m.field, m.old, m.new) for m in moves}


@pytest.mark.slow
def test_a_reader_killed_again_and_again_loses_nothing_and_doubles_nothing(context, tmp_path):
    forge = many(900, 200)
    forge.slow_s = 0.01
    with forge_of(context, forge, page_size=25) as made:
        environment = os.environ | {"PRODUCTOPS_HOME": str(tmp_path / "home"), "PRODUCTOPS_DATABASE_URL": sqlite_url(tmp_path)}
        command = [sys.executable, "-m", "productops.api.development_sync_worker", NAME]
        for kill in range(4):
            asked, child = len(made.server.requests), subprocess.Popen(command, env=environment)
            end = time.monotonic() + 60
            while kill < 3 and len(made.server.requests) < asked + 12 and child.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            if kill < 3:
                child.kill()
            child.wait(90)
    view = show_source(context, NAME, actor=SOMEBODY)
    assert view.state.succeeded_at is not None, view.state.last_error
    items, changes = known(context, WorkItem), known(context, Change)
    assert sorted(i.external_id for i in items) == sorted(i["node_id"] for i in forge.issues if "pull_request" not in i)
    assert sorted(c.external_id for c in changes) == sorted(forge.pulls)
    assert all(c.details_at is not None for c in changes)
    moves = Counter(m.external_id for m in known(context, Move))
    assert max(moves.values()) == 1


def test_an_older_word_never_replaces_a_newer_one(any_context):
    context = any_context
    with forge_of(context, Forge()):
        pass
    with context.store.read() as unit:
        source = unit.development_sources.get(NAME)
    now = context.clock.now()
    newer = WorkItem(external_id="1", key="acme/shop#1", title="new", changed_at=now, scope="77", stage=Stage.DONE)
    older = replace(newer, title="old", changed_at=now - timedelta(hours=1), stage=Stage.DOING)
    for order in ([newer, older], [older, newer], [older, newer, older, newer]):
        for each in order:
            with context.store.write() as unit:
                unit.development.put(source, [each], now=now)
    assert [(i.title, i.stage) for i in known(context, WorkItem)] == [("new", Stage.DONE)]


def test_somebody_who_wants_it_read_is_seen_and_a_paused_source_says_so(context):
    with forge_of(context, many(3, 0)):
        view = request_sync(context, NAME, actor=SOMEBODY, full=True)
        assert view.state.wanted_at is not None
        assert sync(context).whole
        [view] = list_sources(context, actor=SOMEBODY)
        assert view.state.wanted_at is None
        assert view.counts["work items"] == 3
        assert view.lag_s is not None
    declare(context, "http://127.0.0.1:9", paused=True)
    with pytest.raises(ConflictError, match="paused"):
        request_sync(context, NAME, actor=SOMEBODY)


def test_deployments_of_tools_and_releases_of_our_own_are_seen_together(context):
    add_service(context, "shop", service_spec(), live="1.0")
    orchestrated = Context(context.store, context.doorbell, 3.0, orchestrator=HandMadeOrchestrator())
    release = place_release(orchestrated, ReleaseWish("shop", "1.1.0"), actor=SOMEBODY).release
    with forge_of(context, Forge()), context.store.read() as unit:
        source = unit.development_sources.get(NAME)
    now = context.clock.now()
    theirs = Deployment(
        external_id="1", changed_at=now, repository="acme/shop", sha="a" * 40, environment="prod", status=RunState.SUCCEEDED,
        started_at=now - timedelta(hours=1),
    )  # fmt: skip
    with context.store.write() as unit:
        unit.development.put(source, [theirs], now=now)
    with context.store.read() as unit:
        found = deployments_of(unit, "apollo", since=now - timedelta(days=1))
        assert deployments_of(unit, "gemini", since=now - timedelta(days=1)) == []
    assert [(each.source, each.ref) for each in found] == [(NAME, ""), ("productops", "1.1.0")]
    assert (found[1].id, found[1].status, found[1].production) == (release.id, RunState.QUEUED, True)
