"""An outside change system that speaks JSON over HTTP, as ServiceNow's table interface does: fields by a map, the number kept."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from productops.adapters.safe_http import SafeHttp, check_url
from productops.ports import ChangeSystem
from productops.settings import Settings

FIELDS = {
    "correlation_id": "id", "short_description": "title", "description": "summary", "justification": "reason", "risk": "risk.level",
    "requested_by": "requested_by", "backout_plan": "rollback_plan", "start_date": "at",
}  # fmt: skip


class ChangeSystemConnection(BaseModel):
    """Where changes are made known outside. The defaults are those of ServiceNow's table interface."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str = Field(description="Address of the system, https://example.service-now.com.")
    path: str = Field(default="/api/now/table/change_request", pattern=r"^/", description="Where a change is sent, by POST.")
    find: str = Field(
        default="/api/now/table/change_request?sysparm_query=correlation_id={id}&sysparm_limit=1", pattern=r"^/?",
        description="Where a change is looked for before it is sent; {id} is ours. Empty: it is not looked for.",
    )  # fmt: skip
    number: str = Field(default="result.number", description="Where the number stands in the answer to POST, with dots.")
    found: str = Field(default="result.0.number", description="Where the number stands in the answer to the look-up.")
    fields: dict[str, str] = Field(default_factory=lambda: dict(FIELDS), description="Their field: our member of a change, with dots.")
    values: dict[str, str] = Field(default_factory=dict, description="Fields that are always the same, e.g. type: standard.")
    token_env: str = Field(default="", description="Variable with a bearer token.")
    timeout_s: float = Field(default=5.0, gt=0, le=60)


class JsonChangeSystem:
    """A change system by its connection."""

    def __init__(self, connection: ChangeSystemConnection, *, token: str = "") -> None:
        self._connection = connection
        url = check_url(connection.url, secret=bool(token))
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = SafeHttp(
            url, what="the change system", headers=headers, secrets=[token], timeout_s=connection.timeout_s,
            patience_s=connection.timeout_s,
        )  # fmt: skip

    def record(self, document: Mapping[str, object]) -> str:
        """Send a change that is not known there, and return its number. Raises: DependencyError."""
        known = self._find(str(document["id"]))
        if known:
            return known
        body = {theirs: _text(member(document, ours)) for theirs, ours in self._connection.fields.items()} | self._connection.values
        # Not repeated by itself: an answer that was lost may have made it. The next look-up tells.
        answer = self._http.call(
            "POST", self._connection.path, body=body, headers={"idempotency-key": str(document["id"])}, repeatable=False
        )
        if not answer.ok:
            raise self._http.fail(f"did not take a change: it answered {answer.status}: {answer.text(200)}")
        number = _text(member(answer.document(), self._connection.number))
        if not number:
            raise self._http.fail(f"gave no number: there is nothing at {self._connection.number!r} in its answer")
        return number

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _find(self, change_id: str) -> str:
        if not self._connection.find:
            return ""
        answer = self._http.call("GET", self._connection.find.replace("{id}", change_id))
        if answer.status == 404:
            return ""
        if not answer.ok:
            raise self._http.fail(f"could not be asked for a change: it answered {answer.status}: {answer.text(200)}")
        return _text(member(answer.document(), self._connection.found))


def member(document: Any, path: str) -> Any:
    """What stands at ``path`` (names and numbers with dots); None for nothing."""
    for part in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, list) and part.isdecimal():
            document = document[int(part)] if int(part) < len(document) else None
        else:
            return None
    return document


def _text(value: Any) -> str:
    return "" if value is None else str(value)


@lru_cache(maxsize=1)
def change_system(settings: Settings) -> ChangeSystem | None:
    """The one that the connections file names, if any. Raises: SettingsError."""
    from productops.adapters.connections import load_connections, secret

    chosen = load_connections(settings).change_system
    return None if chosen is None else JsonChangeSystem(chosen, token=secret(chosen.token_env))


__all__ = ["ChangeSystemConnection", "JsonChangeSystem", "change_system", "member"]
