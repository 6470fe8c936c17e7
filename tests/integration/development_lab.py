"""GitHub, GitLab and Jira on loopback: their pages, cursors, limits, marks (ETags), renames and failures, over things a test makes.

Run as a program it serves GitHub with many things: ``python -m tests.integration.development_lab PORT ISSUES CHANGES``.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.http_support import Reply, Request, Server, answering

BEGAN = datetime(2025, 1, 1, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(written: str) -> datetime:
    return datetime.fromisoformat(written)


@dataclass
class Forge:
    """A repository or project with its lists, and what goes wrong next. ``failures``: answers given before the true ones."""

    name: str = "acme/shop"
    number: str = "77"
    issues: list[dict[str, Any]] = field(default_factory=list)
    pulls: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    commits: list[dict[str, Any]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    merge_requests: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Reply] = field(default_factory=list)
    slow_s: float = 0.0
    rate_left: int | None = None
    rate_reset_s: float = 1.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    same: int = 0
    on_list: Callable[[], None] | None = None
    _sorted: list[tuple[str, dict[str, Any]]] | None = None

    def changed(self) -> None:
        """Lists are sorted anew."""
        self._sorted = None

    def by_change(self) -> list[tuple[str, dict[str, Any]]]:
        if self._sorted is None:
            self._sorted = sorted(((i["updated_at"], i) for i in self.issues), key=lambda each: (each[0], each[1]["number"]))
        return self._sorted

    def add_issue(self, number: int, at: datetime, **more: Any) -> dict[str, Any]:
        issue = {
            "id": 10_000 + number, "node_id": f"I_{number}", "number": number, "title": f"Issue {number}", "state": "open", "body": "",
            "created_at": stamp(at), "updated_at": stamp(at), "closed_at": None, "labels": [], "milestone": None, "assignee": None,
            "user": {"id": 1, "login": "mia"}, "html_url": f"https://github.test/{self.name}/issues/{number}",
        }  # fmt: skip
        issue |= more
        self.issues.append(issue)
        self.changed()
        return issue

    def add_pull(self, number: int, at: datetime, **more: Any) -> dict[str, Any]:
        issue = self.add_issue(
            number, at, node_id=f"PR_{number}", title=f"Fix #{max(1, number - 1)}", pull_request={"merged_at": None}, **more
        )
        self.pulls[f"PR_{number}"] = page_of(issue)
        return issue


def page_of(issue: dict[str, Any]) -> dict[str, Any]:
    """What GraphQL tells of a pull request."""
    number, at = issue["number"], issue["updated_at"]
    mia = {"login": "mia", "databaseId": 1, "name": "Mia"}
    noa = {"login": "noa", "databaseId": 2, "name": "Noa"}
    return {
        "__typename": "PullRequest", "id": issue["node_id"], "number": number, "title": issue["title"], "body": "",
        "url": issue["html_url"], "state": "MERGED", "isDraft": False, "createdAt": issue["created_at"],
        "updatedAt": at, "mergedAt": at, "closedAt": at,
        "baseRefName": "main", "headRefName": "fix", "headRefOid": f"{number:040x}", "additions": 12, "deletions": 3, "changedFiles": 1,
        "totalCommentsCount": 2, "mergeCommit": {"oid": f"{number + 1:040x}"}, "labels": {"nodes": []}, "author": mia,
        "files": {"nodes": [{"path": "shop/cart.py", "additions": 12, "deletions": 3}]},
        "reviews": {"totalCount": 1, "nodes": [{
            "id": f"PRR_{number}", "url": "", "state": "APPROVED", "submittedAt": at, "updatedAt": at, "author": noa,
            "comments": {"totalCount": 2},
        }]},
        "commits": {"totalCount": 1, "nodes": [{"commit": {
            "oid": f"{number:040x}", "message": f"Fix SHOP-{number}\n\nmore", "messageHeadline": f"Fix SHOP-{number}", "authoredDate": at,
            "committedDate": at, "additions": 12, "deletions": 3, "author": {"name": "Mia", "user": mia},
            "parents": {"nodes": [{"oid": "0" * 40}]},
        }}]},
    }  # fmt: skip


def _next(request: Request, page: int, more: bool) -> dict[str, str]:
    return {"link": f'<http://x{request.path}?page={page + 1}>; rel="next"'} if more else {}


def _paged(request: Request, items: list[Any], wrap: Callable[[list[Any]], Any] = lambda items: items) -> Reply:
    size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
    shown = items[(page - 1) * size : page * size]
    return Reply(200, wrap(shown), _next(request, page, page * size < len(items)))


def github(forge: Forge) -> Callable[[Request], Reply]:
    """Answers as api.github.com does."""

    def issues(request: Request) -> Reply:
        known = forge.by_change()
        since = request.query.get("since", "")
        start = bisect_left(known, since, key=lambda each: each[0])
        size, page = int(request.query["per_page"]), int(request.query.get("page", 1))
        found = [item for _, item in known[start + (page - 1) * size : start + page * size]]
        body = json.dumps(found).encode()
        mark = f'W/"{hashlib.sha1(body).hexdigest()}"'
        if request.headers.get("if-none-match") == mark:
            forge.same += 1
            return Reply(304, raw=b"", headers={"etag": mark})
        return Reply(200, raw=body, headers={"etag": mark, **_next(request, page, start + page * size < len(known))})

    def runs(request: Request) -> Reply:
        begin, _, end = request.query["created"].partition("..")
        found = [r for r in forge.runs if begin <= r["created_at"] <= end]
        return _paged(request, found, lambda shown: {"total_count": len(found), "workflow_runs": shown})

    def commits(request: Request) -> Reply:
        begin, end = request.query["since"], request.query["until"]
        return _paged(request, [c for c in forge.commits if begin <= c["commit"]["committer"]["date"] <= end])

    def pages(request: Request) -> Reply:
        return Reply(200, {"data": {"nodes": [forge.pulls.get(each) for each in request.document["variables"]["ids"]]}})

    base = f"/repositories/{forge.number}"
    routes: dict[str, Callable[[Request], Reply]] = {
        f"{base}/issues": issues, f"{base}/actions/runs": runs, f"{base}/commits": commits, "/graphql": pages,
        f"{base}/deployments": lambda request: _paged(request, forge.deployments),
        base: lambda _: Reply(200, {"id": int(forge.number), "full_name": forge.name}),
    }  # fmt: skip

    def true(request: Request) -> Reply:
        if request.path.startswith("/repos/"):
            if request.path != f"/repos/{forge.name}":
                return Reply(404, {"message": "Not Found"})
            return routes[base](request)
        found = routes.get(request.path)
        return found(request) if found else Reply(404, {"message": "Not Found"})

    return _with_troubles(forge, true)


def _with_troubles(forge: Forge, true: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    def answer(request: Request) -> Reply:
        with forge.lock:
            if forge.failures:
                return forge.failures.pop(0)
            if forge.slow_s:
                time.sleep(forge.slow_s)
            if forge.on_list is not None:
                forge.on_list()
            reply = true(request)
            if forge.rate_left is not None:
                forge.rate_left -= 1
                reply.headers["x-ratelimit-remaining"] = str(max(0, forge.rate_left))
                reply.headers["x-ratelimit-reset"] = str(time.time() + forge.rate_reset_s)
                if forge.rate_left < 0:
                    forge.rate_left = 1000
            return reply

    return answer


def gitlab(forge: Forge) -> Callable[[Request], Reply]:
    """Answers as GitLab does."""

    def listed(items: list[dict[str, Any]], request: Request) -> Reply:
        since = parse(request.query.get("updated_after", "1970-01-01T00:00:00Z"))
        return _paged(request, sorted((i for i in items if parse(i["updated_at"]) > since), key=lambda i: i["updated_at"]))

    def pages(request: Request) -> Reply:
        wanted = request.document["variables"]["iids"]
        return Reply(200, {"data": {"project": {"mergeRequests": {"nodes": [p for i, p in forge.pulls.items() if i in wanted]}}}})

    base = f"/api/v4/projects/{forge.number}"
    lists = {"issues": forge.issues, "merge_requests": forge.merge_requests, "pipelines": forge.runs, "deployments": forge.deployments}

    def true(request: Request) -> Reply:
        if request.path in {base, "/api/v4/projects/acme%2Fshop"}:
            return Reply(200, {"id": int(forge.number), "path_with_namespace": forge.name})
        if request.path == "/api/graphql":
            return pages(request)
        if request.path == f"{base}/repository/commits":
            return _paged(request, [c for c in forge.commits if request.query["since"] <= c["committed_date"] <= request.query["until"]])
        name = request.path.removeprefix(f"{base}/")
        return listed(lists[name], request) if name in lists else Reply(404, {"message": "404 Project Not Found"})

    return _with_troubles(forge, true)


def jira(forge: Forge) -> Callable[[Request], Reply]:
    """Answers as Jira Cloud does: pages by a token."""

    def search(request: Request) -> Reply:
        asked = request.document
        since = re.search(r"updated >= (\d+)", asked["jql"])
        at = int(since[1]) / 1000 if since else 0.0
        found = sorted(
            (i for i in forge.issues if parse(i["fields"]["updated"]).timestamp() >= at), key=lambda i: (i["fields"]["updated"], i["id"])
        )
        start, size = int(asked.get("nextPageToken") or 0), asked["maxResults"]
        document: dict[str, Any] = {"issues": found[start : start + size], "isLast": start + size >= len(found)}
        return Reply(200, document | ({} if document["isLast"] else {"nextPageToken": str(start + size)}))

    def true(request: Request) -> Reply:
        if request.path in {"/rest/api/3/project/SHOP", f"/rest/api/3/project/{forge.number}"}:
            return Reply(200, {"id": forge.number, "key": forge.name})
        return search(request) if request.path == "/rest/api/3/search/jql" else Reply(404, {"errorMessages": ["none"]})

    return _with_troubles(forge, true)


@contextmanager
def serving(answer: Callable[[Request], Reply]) -> Iterator[Server]:
    """On loopback for as long as the block lasts."""
    with answering(answer) as server:
        yield server


def many(issues: int, changes: int) -> Forge:
    """So many issues, each tenth of them closed, and so many pull requests, one a minute; each tenth in the second of its neighbour."""
    forge = Forge()
    for number in range(1, issues + changes + 1):
        at = BEGAN + timedelta(seconds=60 * (number - number % 10 // 9))
        if number % (issues + changes) < changes:
            forge.add_pull(number, at)
            continue
        closed = {"state": "closed", "closed_at": stamp(at)} if number % 10 == 0 else {}
        milestone = {
            "node_id": f"MI_{number % 7}",
            "number": number % 7,
            "title": f"M{number % 7}",
            "state": "open",
            "updated_at": stamp(BEGAN),
        }
        forge.add_issue(number, at, milestone=milestone, assignee={"id": number % 20, "login": f"dev{number % 20}"}, **closed)
    return forge


def main() -> None:
    """Serve until standard input ends; the first line printed is the address."""
    made = many(int(sys.argv[1]), int(sys.argv[2]))
    with serving(github(made)) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
