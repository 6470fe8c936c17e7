"""Reads Jira: issues with their history and sprints, of Cloud and of servers of one's own."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from productops.adapters.development_http import DevelopmentHttp, Wait
from productops.adapters.development_reading import BEGINNING, Listed, Reader, Scope, by_change, each_told
from productops.adapters.safe_http import check_url
from productops.domain import development_map_jira as jira
from productops.domain.development import Change, Deployment, Feature, Link, Told, WorkItem
from productops.domain.development_map import Mapper
from productops.domain.development_sync import Cursor, Page
from productops.domain.governance_webhooks_json import dig, text
from productops.errors import DevelopmentSourceError


class JiraReader(Reader):
    """Stream: issues. A scope is a project's number. With a user it speaks to Cloud (version 3), without to a server (version 2)."""

    kinds = ("issues",)
    combed = MappingProxyType({"issues": (WorkItem, Feature, Link)})

    def __init__(self, mapper: Callable[[], Mapper], *, token: str, wait: Wait, timeout_s: float = 30.0, pause_s: float = 0.5) -> None:
        """Raises: SettingsError for an address that would send the token in plain text."""
        super().__init__(mapper)
        spec = mapper().spec
        self._address = check_url(spec.base_url, secret=bool(token))
        self._cloud = bool(spec.user)
        shown = base64.b64encode(f"{spec.user}:{token}".encode()).decode()
        headers = {"authorization": f"Basic {shown}" if self._cloud else f"Bearer {token}"} if token else {}
        self._http = DevelopmentHttp(
            self._address, what="Jira", headers=headers, secrets=(token, shown), wait=wait, timeout_s=timeout_s, pause_s=pause_s
        )

    @property
    def rate_left(self) -> int | None:
        """Questions that are left until the limit is set back."""
        return self._http.rate_left

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def open(self, project: str, scope: str) -> str:
        """The project's number, and its key of now."""
        found = self._http.ask("GET", f"{self._api}/project/{scope or project}").document()
        opened = Scope(text(found, "id"), text(found, "key"))
        if not opened.id or not opened.name:
            raise DevelopmentSourceError(f"Jira's answer about {project} has no id and key")
        self._scopes[opened.id] = opened
        return opened.id

    def read(self, kind: str, scope: str, cursor: Cursor) -> Page:  # noqa: ARG002 - it has one stream
        """The next page. Raises: DevelopmentSourceError, DevelopmentSourceBusyError."""
        mapper, name = self._mapper(), self.name_of(scope)
        return by_change(
            cursor, fetch=lambda since, page, token, _etag: self._search(scope, since, page, token),
            changed=lambda item: mapper.changed(item, "fields", "updated"),
            read=lambda items: each_told(items, lambda item: jira.issue(mapper, self._address, item), what=f"issue of {name}"),
        )  # fmt: skip

    def details(self, scope: str, things: Sequence[Change | Deployment]) -> tuple[Told, ...]:  # noqa: ARG002 - it has none of them
        """Jira has no changes and deployments of its own."""
        return ()

    @property
    def _api(self) -> str:
        return "/rest/api/3" if self._cloud else "/rest/api/2"

    def _search(self, scope: str, since: datetime, page: int, token: str) -> Listed:
        spec = self._mapper().spec
        rule, size = spec.mapping.estimate, spec.page_size
        # Times in words are read in the zone of the token's owner, to the minute; a number is milliseconds since 1970 everywhere.
        when = f" AND updated >= {int(since.timestamp() * 1000)}" if since > BEGINNING else ""
        body: dict[str, Any] = {
            "jql": f"project = {scope}{when} ORDER BY updated ASC, id ASC", "maxResults": size,
            "fields": jira.wanted_fields((spec.feature_rule.field, rule.field, rule.low_field, rule.high_field)),
        }  # fmt: skip
        if self._cloud:
            body |= {"expand": "changelog"} | ({"nextPageToken": token} if token else {})
            answer = self._http.ask("POST", f"{self._api}/search/jql", body=body)
        else:
            body |= {"expand": ["changelog"], "startAt": (page - 1) * size}
            answer = self._http.ask("POST", f"{self._api}/search", body=body)
        found = answer.document()
        issues = dig(found, "issues")
        if not isinstance(issues, list):
            raise self._http.fail(f"answered the search with no issues: {answer.text(120)}")
        following = text(found, "nextPageToken", limit=4000)
        more = bool(following) if self._cloud else page * size < int(dig(found, "total") or 0)
        return Listed(issues, more, token=following)
