"""Reads GitHub: issues and pull requests by REST, the pages of pull requests and deployments by GraphQL, many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from productops.adapters.development_http import DevelopmentHttp, Wait, has_next
from productops.adapters.development_reading import Listed, Reader, Scope, by_change, by_window, each_told, newest_first
from productops.adapters.safe_http import check_url
from productops.domain import development_map_github as github
from productops.domain.development import Change, Deployment, Feature, Gone, Link, Told, WorkItem
from productops.domain.development_map import Mapper
from productops.domain.development_sync import Cursor, Page
from productops.domain.governance_webhooks_json import dig, text
from productops.errors import DevelopmentSourceError

RUNS_MAX = 1_000  # GitHub shows no more runs of one question
_PAGES = """query($ids: [ID!]!) { nodes(ids: $ids) { __typename
 ... on PullRequest { id number title body url state isDraft createdAt updatedAt mergedAt closedAt baseRefName headRefName headRefOid
  additions deletions changedFiles totalCommentsCount mergeCommit { oid } labels(first: 50) { nodes { name } }
  author { login ... on User { databaseId name } ... on Bot { databaseId } }
  files(first: 100) { nodes { path additions deletions } }
  reviews(first: 50) { totalCount nodes { id url state submittedAt updatedAt comments { totalCount }
   author { login ... on User { databaseId name } ... on Bot { databaseId } } } }
  commits(first: 100) { totalCount nodes { commit { oid message messageHeadline authoredDate committedDate additions deletions
   author { name user { databaseId login } } parents(first: 5) { nodes { oid } } } } } }
 ... on Deployment { id environment state commitOid createdAt updatedAt ref { name } latestStatus { state createdAt updatedAt } } } }"""


class GitHubReader(Reader):
    """Streams: issues (with pull requests), commits, builds, deployments. A scope is a repository's number."""

    kinds = ("issues", "commits", "builds", "deployments")
    combed = MappingProxyType({"issues": (WorkItem, Change, Feature, Link)})

    def __init__(self, mapper: Callable[[], Mapper], *, token: str, wait: Wait, timeout_s: float = 30.0, pause_s: float = 0.5) -> None:
        """Raises: SettingsError for an address that would send the token in plain text."""
        super().__init__(mapper)
        base = check_url(mapper().spec.base_url, secret=bool(token))
        headers = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
        headers |= {"authorization": f"Bearer {token}"} if token else {}
        self._http = DevelopmentHttp(
            base, what="GitHub", headers=headers, secrets=(token,), wait=wait, timeout_s=timeout_s, pause_s=pause_s
        )
        # An Enterprise Server has both interfaces below /api.
        self._graphql = "/../graphql" if base.endswith("/api/v3") else "/graphql"

    @property
    def streams(self) -> tuple[str, ...]:
        """Issues and changes are one list here."""
        wanted = set(self._mapper().spec.streams)
        return tuple(k for k in self.kinds if k in wanted or (k == "issues" and "changes" in wanted))

    @property
    def rate_left(self) -> int | None:
        """Questions that are left until the limit is set back."""
        return self._http.rate_left

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def open(self, project: str, scope: str) -> str:
        """The repository's number, and what it is called now; by its number where that is known, so that renames are followed."""
        found = self._http.ask("GET", f"/repositories/{scope}" if scope else f"/repos/{project}").document()
        opened = Scope(text(found, "id"), text(found, "full_name"))
        if not opened.id or not opened.name:
            raise DevelopmentSourceError(f"GitHub's answer about {project} has no id and name")
        self._scopes[opened.id] = opened
        return opened.id

    def read(self, kind: str, scope: str, cursor: Cursor) -> Page:
        """The next page of a stream. Raises: DevelopmentSourceError, DevelopmentSourceBusyError."""
        mapper, name = self._mapper(), self.name_of(scope)
        if kind == "issues":
            return by_change(
                cursor, fetch=lambda since, page, _token, etag: self._issues(scope, since, page, etag),
                changed=lambda item: mapper.changed(item, "updated_at"),
                read=lambda items: each_told(items, lambda item: github.issue(mapper, name, scope, item), what=f"issue of {name}"),
            )  # fmt: skip
        if kind == "commits":
            return by_window(
                cursor, start=self.start, now=mapper.now, fetch=lambda since, until, page: self._commits(scope, since, until, page),
                read=lambda items: each_told(items, lambda item: github.commit(mapper, name, scope, item), what=f"commit of {name}"),
            )  # fmt: skip
        if kind == "builds":
            return by_window(
                cursor, start=self.start, now=mapper.now, fetch=lambda since, until, page: self._runs(scope, since, until, page),
                read=lambda items: each_told(items, lambda item: github.build(mapper, name, scope, item), what=f"run of {name}"),
                total_max=RUNS_MAX,
            )  # fmt: skip
        return newest_first(
            cursor, start=self.start, fetch=lambda page: self._deployments(scope, page),
            created=lambda item: mapper.changed(item, "created_at"),
            read=lambda items: each_told(items, lambda item: github.deployment(mapper, name, scope, item), what=f"deployment of {name}"),
        )  # fmt: skip

    def details(self, scope: str, things: Sequence[Change | Deployment]) -> tuple[Told, ...]:
        """What only the pages of changes and deployments tell; what has no page any more is gone."""
        mapper, name = self._mapper(), self.name_of(scope)
        ids = [thing.external_id for thing in things]
        answer = self._http.ask("POST", self._graphql, body={"query": _PAGES, "variables": {"ids": ids}}).document()
        nodes = dig(answer, "data", "nodes")
        if not isinstance(nodes, list) or len(nodes) != len(things):
            raise self._http.fail(f"answered GraphQL with {str(dig(answer, 'errors') or answer)[:300]}")
        told: list[Told] = []
        for thing, node in zip(things, nodes, strict=True):
            if node is None:
                told.append(Gone(type(thing), thing.external_id, mapper.now, scope))
                continue
            read = github.change_page if isinstance(thing, Change) else github.deployment_page
            told += each_told([node], lambda item, read=read: read(mapper, name, scope, item), what=f"page of {name}")  # type: ignore[misc]
        return tuple(told)

    def _issues(self, scope: str, since: datetime, page: int, etag: str) -> Listed:
        params = {"state": "all", "sort": "updated", "direction": "asc", "since": _stamp(since)}
        return self._list(f"/repositories/{scope}/issues", params, page, etag=etag)

    def _commits(self, scope: str, since: datetime, until: datetime, page: int) -> Listed:
        return self._list(f"/repositories/{scope}/commits", {"since": _stamp(since), "until": _stamp(until)}, page)

    def _runs(self, scope: str, since: datetime, until: datetime, page: int) -> Listed:
        params = {"created": f"{_stamp(since)}..{_stamp(until)}"}
        return self._list(f"/repositories/{scope}/actions/runs", params, page, within="workflow_runs")

    def _deployments(self, scope: str, page: int) -> Listed:
        return self._list(f"/repositories/{scope}/deployments", {}, page)

    def _list(self, path: str, params: dict[str, str], page: int, *, within: str = "", etag: str = "") -> Listed:
        asked = params | {"per_page": str(self._mapper().spec.page_size), "page": str(page)}
        answer = self._http.ask("GET", path, params=asked, etag=etag)
        if answer.status == 304:
            return Listed((), more=False, same=True)
        document = answer.document()
        items = dig(document, within) if within else document
        if not isinstance(items, list):
            raise self._http.fail(f"answered {path} with no list: {answer.text(120)}")
        total = dig(document, "total_count") if within else 0
        return Listed(items, has_next(answer), etag=answer.headers.get("etag", ""), total=int(total or 0))


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
