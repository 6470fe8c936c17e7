"""Reads GitLab: lists by REST, the pages of merge requests by GraphQL, many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from productops.adapters.development_http import DevelopmentHttp, Wait, has_next
from productops.adapters.development_reading import Listed, Reader, Scope, by_change, by_window, each_told
from productops.adapters.safe_http import check_url
from productops.domain import development_map_gitlab as gitlab
from productops.domain.development import Change, Deployment, Gone, Told, WorkItem
from productops.domain.development_map import Mapper
from productops.domain.development_sync import Cursor, Page
from productops.domain.governance_webhooks_json import dig, text
from productops.errors import DevelopmentSourceError

_PAGES = """query($path: ID!, $iids: [String!]) { project(fullPath: $path) { mergeRequests(iids: $iids) { nodes {
 id iid title description webUrl state draft createdAt updatedAt mergedAt closedAt sourceBranch targetBranch diffHeadSha mergeCommitSha
 commitCount userNotesCount labels { nodes { title } } author { id username name } approvedBy { nodes { id username name } }
 diffStatsSummary { additions deletions fileCount } diffStats { path additions deletions }
 notes(first: 50) { nodes { createdAt system author { id } } }
 commits(first: 100) { nodes { sha message authorName authoredDate committedDate } } } } } }"""
_LISTS: dict[str, tuple[str, Callable[[Mapper, str, str, Any], Iterator[Told]]]] = {
    "issues": ("issues", gitlab.issue), "changes": ("merge_requests", gitlab.change), "builds": ("pipelines", gitlab.build),
    "deployments": ("deployments", gitlab.deployment),
}  # fmt: skip


class GitLabReader(Reader):
    """Streams: issues, changes, commits, builds, deployments. A scope is a project's number."""

    kinds = ("issues", "changes", "commits", "builds", "deployments")
    combed = MappingProxyType({"issues": (WorkItem,), "changes": (Change,)})

    def __init__(self, mapper: Callable[[], Mapper], *, token: str, wait: Wait, timeout_s: float = 30.0, pause_s: float = 0.5) -> None:
        """Raises: SettingsError for an address that would send the token in plain text."""
        super().__init__(mapper)
        base = check_url(mapper().spec.base_url, secret=bool(token))
        headers = {"private-token": token} if token else {}
        self._http = DevelopmentHttp(
            base, what="GitLab", headers=headers, secrets=(token,), wait=wait, timeout_s=timeout_s, pause_s=pause_s
        )

    @property
    def rate_left(self) -> int | None:
        """Questions that are left until the limit is set back."""
        return self._http.rate_left

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def open(self, project: str, scope: str) -> str:
        """The project's number, and where it is now."""
        found = self._http.ask("GET", f"/api/v4/projects/{scope or quote(project, safe='')}").document()
        opened = Scope(text(found, "id"), text(found, "path_with_namespace"))
        if not opened.id or not opened.name:
            raise DevelopmentSourceError(f"GitLab's answer about {project} has no id and path")
        self._scopes[opened.id] = opened
        return opened.id

    def read(self, kind: str, scope: str, cursor: Cursor) -> Page:
        """The next page of a stream. Raises: DevelopmentSourceError, DevelopmentSourceBusyError."""
        mapper, name = self._mapper(), self.name_of(scope)
        if kind == "commits":
            return by_window(
                cursor, start=self.start, now=mapper.now, fetch=lambda since, until, page: self._commits(scope, since, until, page),
                read=lambda items: each_told(items, lambda item: gitlab.commit(mapper, name, scope, item), what=f"commit of {name}"),
            )  # fmt: skip
        path, read = _LISTS[kind]
        begin = cursor if "since" in cursor or kind in self.combed else {**cursor, "since": self.start.isoformat()}
        return by_change(
            begin, fetch=lambda since, page, _token, etag: self._changed(scope, path, since, page, etag),
            changed=lambda item: mapper.changed(item, "updated_at"),
            read=lambda items: each_told(items, lambda item: read(mapper, name, scope, item), what=f"{path} of {name}"),
        )  # fmt: skip

    def details(self, scope: str, things: Sequence[Change | Deployment]) -> tuple[Told, ...]:
        """What only the pages of merge requests tell. Deployments are complete in their list."""
        mapper, name = self._mapper(), self.name_of(scope)
        changes = {thing.key.rpartition("!")[2]: thing for thing in things if isinstance(thing, Change)}
        if not changes:
            return ()
        variables = {"path": name, "iids": sorted(changes)}
        answer = self._http.ask("POST", "/api/graphql", body={"query": _PAGES, "variables": variables}).document()
        nodes = dig(answer, "data", "project", "mergeRequests", "nodes")
        if not isinstance(nodes, list):
            raise self._http.fail(f"answered GraphQL with {str(dig(answer, 'errors') or answer)[:300]}")
        told = list(each_told(nodes, lambda item: gitlab.change_page(mapper, name, scope, item), what=f"page of {name}"))
        seen = {text(node, "iid") for node in nodes}
        return (*told, *(Gone(Change, each.external_id, mapper.now, scope) for iid, each in changes.items() if iid not in seen))

    def _changed(self, scope: str, path: str, since: datetime, page: int, etag: str) -> Listed:
        params = {"order_by": "updated_at", "sort": "asc", "updated_after": _stamp(since)}
        if path in {"issues", "merge_requests"}:
            params |= {"scope": "all", "state": "all"}
        return self._list(f"/api/v4/projects/{scope}/{path}", params, page, etag=etag)

    def _commits(self, scope: str, since: datetime, until: datetime, page: int) -> Listed:
        params = {"since": _stamp(since), "until": _stamp(until), "with_stats": "true"}
        return self._list(f"/api/v4/projects/{scope}/repository/commits", params, page)

    def _list(self, path: str, params: dict[str, str], page: int, *, etag: str = "") -> Listed:
        asked = params | {"per_page": str(self._mapper().spec.page_size), "page": str(page)}
        answer = self._http.ask("GET", path, params=asked, etag=etag)
        if answer.status == 304:
            return Listed((), more=False, same=True)
        items = answer.document()
        if not isinstance(items, list):
            raise self._http.fail(f"answered {path} with no list: {answer.text(120)}")
        return Listed(items, has_next(answer) or bool(answer.headers.get("x-next-page")), etag=answer.headers.get("etag", ""))


def _stamp(moment: datetime) -> str:
    """In milliseconds. ``updated_after`` may leave out what changed at that very moment, so one earlier is asked for."""
    earlier = moment.astimezone(UTC) - timedelta(milliseconds=1)
    return earlier.strftime("%Y-%m-%dT%H:%M:%S.") + f"{earlier.microsecond // 1000:03d}Z"
