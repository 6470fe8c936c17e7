"""Prefect's REST interface: schedules the flows. Prefect itself is never imported here."""

from __future__ import annotations

import base64
import os
import random
import ssl
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from productops.adapters.prefect_auth import prefect_auth
from productops.errors import OrchestratorError
from productops.settings import Settings

RELEASE = "release/release"
ROLLBACK = "rollback/rollback"
TRAIN = "train/train"
INCIDENT = "incident/incident"
POOL = "productops"
_BUSY = frozenset({429, 502, 503, 504})
_CONNECT_S = 1.0
# Prefect on SQLite loses more time with answers of 503 than a short queue here costs; on PostgreSQL the queue would cost more.
_AT_ONCE_SQLITE = 2
_AT_ONCE_POSTGRES = 10
_PAUSES_S = (0.05, 0.8)


@dataclass(frozen=True, slots=True)
class _Budget:
    """Monotonic times of one call: no retry begins after ``retry_until``, no answer is awaited after ``end``."""

    retry_until: float
    end: float


def starts_at_once(prefect_database_url: str) -> int:
    """How many runs may be asked for at the same time, by the URL of Prefect's database; empty means SQLite."""
    return _AT_ONCE_POSTGRES if prefect_database_url.startswith("postgres") else _AT_ONCE_SQLITE


def auth_header(auth: str) -> dict[str, str]:
    """What Prefect's server wants to see; nothing without an auth string."""
    return {"authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"} if auth else {}


def connect_prefect(settings: Settings, *, timeout_s: float = 4.5, patience_s: float = 3.0, at_once: int | None = None) -> PrefectApi:
    """The orchestrator of this installation; links lead people through our own door. Raises: SettingsError for its secret's file."""
    at_once = at_once or starts_at_once(settings.prefect_database_url)
    return PrefectApi(
        settings.prefect_api_url, settings.prefect_ui_url, auth=prefect_auth(settings), timeout_s=timeout_s, patience_s=patience_s,
        at_once=at_once,
    )  # fmt: skip


def _place(deployment: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a run of a deployment belongs; ``None`` when the server does not tell."""
    names = {"flow_id": "flow_id", "deployment_id": "id", "work_pool_name": "work_pool_name", "work_queue_name": "work_queue_name"}
    place = {name: deployment.get(told) for name, told in names.items()}
    tags = deployment.get("tags")
    return place | {"tags": sorted({"productops", *tags})} if all(place.values()) and isinstance(tags, list) else None


class PrefectApi:
    """The orchestrator port over HTTP. Usable from many threads, and again after a fork.

    Every call is safe to repeat (idempotency keys), so connection errors and 429, 502, 503 and 504 are repeated for up to
    ``patience_s``: Prefect on SQLite answers 503 while its database is locked. A whole call takes at most ``timeout_s``.
    """

    def __init__(
        self, api_url: str, ui_url: str | None = None, *, auth: str = "", timeout_s: float = 4.5, patience_s: float = 3.0,
        at_once: int = _AT_ONCE_SQLITE,
    ) -> None:  # fmt: skip
        self._api_url = api_url.rstrip("/")
        self._ui_url = (ui_url or self._api_url.removesuffix("/api")).rstrip("/")
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._headers = {"accept": "application/json"} | auth_header(auth)
        self._lock = threading.Lock()
        self._turn = threading.BoundedSemaphore(at_once)
        self._csrf_lock = threading.Lock()
        self._csrf_client = str(uuid.uuid4())
        self._csrf_token: str | None = None  # an empty text: the server wants none
        self._deployments: dict[str, str] = {}
        self._places: dict[str, dict[str, Any]] = {}
        self._http: httpx.Client | None = None
        self._http_pid = 0

    def start_release(self, release_id: str, parameters: Mapping[str, object], *, attempt: int = 0) -> str:
        """Schedule the release flow at once and return the flow run's id; idempotent per release and attempt. Raises: OrchestratorError."""
        return self._start(RELEASE, parameters, key=f"release-{release_id}" + (f"-{attempt}" if attempt else ""))

    def start_rollback(self, parameters: Mapping[str, object], *, key: str) -> str:
        """Schedule the rollback flow and return the flow run's id; idempotent per ``key``. Raises: OrchestratorError."""
        return self._start(ROLLBACK, parameters, key=key)

    def start_train(self, parameters: Mapping[str, object], *, key: str) -> str:
        """Schedule the flow that follows a train and return its id; idempotent per ``key``. Raises: OrchestratorError."""
        return self._start(TRAIN, parameters, key=key)

    def start_incident(self, parameters: Mapping[str, object], *, key: str) -> str:
        """Schedule the flow that follows an incident and return its id; idempotent per ``key``. Raises: OrchestratorError."""
        return self._start(INCIDENT, parameters, key=key)

    def emit(self, event: str, *, about: str, name: str, payload: Mapping[str, object], key: uuid.UUID, at: datetime) -> None:
        """Give Prefect an event, which its automations may act on; the same ``key`` twice is one event. Raises: OrchestratorError."""
        now = time.monotonic()
        resource = {"prefect.resource.id": about, "prefect.resource.name": name[:250]}
        body = {"id": str(key), "occurred": at.isoformat(), "event": event, "resource": resource, "payload": dict(payload)}
        response = self._post("/events", [body], _Budget(retry_until=now + self._patience_s, end=now + self._timeout_s))
        if not response.is_success:
            raise OrchestratorError(f"Prefect at {self._api_url} took no event {event}: {response.status_code} {response.text[:200]}")

    def worker_beats(self) -> dict[str, datetime]:
        """Dispatchers and workers of our pool, and when Prefect last heard of each. Raises: OrchestratorError."""
        now = time.monotonic()
        budget = _Budget(retry_until=now + self._patience_s, end=now + self._timeout_s)
        response = self._post(f"/work_pools/{POOL}/workers/filter", {"limit": 200}, budget)
        if response.status_code == httpx.codes.NOT_FOUND:
            return {}
        found = response.json() if response.is_success else None
        if not isinstance(found, list):
            raise OrchestratorError(f"Prefect at {self._api_url} does not tell who takes runs: {response.status_code}")
        told = {str(each.get("name")): each.get("last_heartbeat_time") for each in found if isinstance(each, dict)}
        return {name: datetime.fromisoformat(at) for name, at in told.items() if isinstance(at, str)}

    def run_url(self, flow_run_id: str) -> str:
        """Where a person sees that run."""
        return f"{self._ui_url}/runs/flow-run/{flow_run_id}"

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            if self._http is not None and self._http_pid == os.getpid():
                self._http.close()
            self._http = None

    def _start(self, name: str, parameters: Mapping[str, object], *, key: str) -> str:
        now = time.monotonic()
        budget = _Budget(retry_until=now + self._patience_s, end=now + self._timeout_s)
        if not self._turn.acquire(timeout=self._patience_s):
            raise OrchestratorError(f"Prefect at {self._api_url} is busy with other runs of ours")
        try:
            return self._create(name, parameters, key, budget)
        finally:
            self._turn.release()

    def _create(self, name: str, parameters: Mapping[str, object], key: str, budget: _Budget) -> str:
        body = {
            "parameters": dict(parameters),
            "idempotency_key": key,
            "tags": ["productops"],
            "state": {"type": "SCHEDULED", "message": "started by productops"},
        }
        if name == RELEASE and (made := self._create_directly(name, body, budget)) is not None:
            return made
        response = self._post(f"/deployments/{self._deployment(name, budget)}/create_flow_run", body, budget)
        if response.status_code == 404:  # the deployment was registered anew since we looked
            self._deployments.pop(name, None)
            response = self._post(f"/deployments/{self._deployment(name, budget)}/create_flow_run", body, budget)
        return self._text(response, "id", f"did not start {name}")

    def _create_directly(self, name: str, body: Mapping[str, Any], budget: _Budget) -> str | None:
        """The same run with a third less work for the server, which need not check parameters that our flow checks. ``None``: not so."""
        place = self._places.get(self._deployment(name, budget))
        if place is None:
            return None
        response = self._post("/flow_runs/", {**body, **place}, budget)
        return self._text(response, "id", f"did not start {name}") if response.is_success else None

    def _deployment(self, name: str, budget: _Budget) -> str:
        known = self._deployments.get(name)
        if known is None:
            response = self._call("GET", f"/deployments/name/{name}", budget)
            if response.status_code == 404:
                raise OrchestratorError(f"Prefect at {self._api_url} has no deployment {name!r}; `productops up` registers it")
            known = self._deployments[name] = self._text(response, "id", f"did not tell the deployment {name}")
            if (place := _place(response.json())) is not None:
                self._places[known] = place
        return known

    def _post(self, path: str, body: Mapping[str, Any] | list[dict[str, Any]], budget: _Budget) -> httpx.Response:
        token = self._csrf(budget, stale=None)
        response = self._call("POST", path, budget, json=body, headers=self._csrf_headers(token))
        if response.status_code == 403:  # the token expired, or the server was restarted with other settings
            token = self._csrf(budget, stale=token)
            response = self._call("POST", path, budget, json=body, headers=self._csrf_headers(token))
        return response

    def _csrf(self, budget: _Budget, *, stale: str | None) -> str:
        """The token, fetched when there is none or it is ``stale``; by one thread, since each new one voids the one before."""
        with self._csrf_lock:
            if self._csrf_token is None or self._csrf_token == stale:
                response = self._call("GET", "/csrf-token", budget, params={"client": self._csrf_client})
                off = response.status_code in {404, 422}  # 422: "CSRF protection is disabled."
                self._csrf_token = "" if off else self._text(response, "token", "gave no CSRF token")
            return self._csrf_token

    def _csrf_headers(self, token: str) -> dict[str, str]:
        return {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": self._csrf_client} if token else {}

    def _call(self, method: str, path: str, budget: _Budget, **request: Any) -> httpx.Response:
        """One request, repeated while the server is busy or away. Raises: OrchestratorError."""
        pause = _PAUSES_S[0]
        while True:
            cause: Exception | None = None
            try:
                left = max(0.05, budget.end - time.monotonic())
                timeout = httpx.Timeout(left, connect=min(left, _CONNECT_S))
                response = self._client().request(method, f"{self._api_url}{path}", timeout=timeout, **request)
                if response.status_code not in _BUSY:
                    return response
                problem = f"answered {response.status_code}"
            except httpx.HTTPError as error:
                cause, problem = error, f"did not answer ({error or type(error).__name__})"
            wait = pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, guards nothing
            if time.monotonic() + wait > budget.retry_until:
                raise OrchestratorError(f"Prefect at {self._api_url} {problem}") from cause
            time.sleep(wait)
            pause = min(pause * 2, _PAUSES_S[1])

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None or self._http_pid != os.getpid():  # a connection must not be shared with a forked child
                # Certificates take 0.1 s to load; a context without any trusts nobody, which plain HTTP does not need.
                verify = True if self._api_url.startswith("https") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                self._http = httpx.Client(trust_env=False, headers=self._headers, verify=verify)
                self._http_pid = os.getpid()
            return self._http

    def _text(self, response: httpx.Response, field: str, failure: str) -> str:
        """A text field of a 2xx answer. Raises: OrchestratorError."""
        try:
            document = response.json()
        except ValueError:
            document = None
        value = document.get(field) if isinstance(document, dict) else None
        if response.is_success and isinstance(value, str) and value:
            return value
        detail = document.get("detail") or document.get("exception_message") if isinstance(document, dict) else None
        said = f": {str(detail)[:300]}" if detail else ""
        raise OrchestratorError(f"Prefect at {self._api_url} {failure}, it answered {response.status_code}{said}")
