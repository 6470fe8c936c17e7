"""Releases over REST as a program asks for them, and over Prefect's REST as its UI does."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.release.stack import BenchError, BenchStack
from productops.adapters.prefect_api import auth_header
from productops.adapters.prefect_auth import prefect_auth
from productops.settings import Settings

SERVICE = "storefront"
LOOK_S = 0.2
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """A release that has ended, as ``GET /releases/{id}`` tells it."""

    document: Document

    @property
    def phase(self) -> str:
        """Where it ended."""
        return str(self.document["phase"])

    def reached(self, phase: str) -> float | None:
        """When it became ``phase`` for the first time, Unix seconds."""
        return next((unix_s(move["at"]) for move in self.document["transitions"] if move["to"] == phase), None)

    @property
    def baseline_confirmed(self) -> float | None:
        """When the router confirmed the baseline, Unix seconds; None when it never had to."""
        found = [at for move in self.document["transitions"] if (at := move["evidence"].get("baseline_confirmed_at"))]
        return unix_s(found[0]) if found else None


def unix_s(text: str) -> float:
    """Seconds since 1970 of a time in the API."""
    return datetime.fromisoformat(text).timestamp()


class Api:
    """A caller of the stack's two REST interfaces."""

    def __init__(self, stack: BenchStack) -> None:
        token = (stack.home / "token").read_text(encoding="utf-8").strip()
        bearer = {"Authorization": f"Bearer {token}"}
        self._ours = httpx.Client(base_url=stack.api_url, headers=bearer, timeout=20, trust_env=False)
        self._prefect = httpx.Client(
            base_url=stack.prefect_url, timeout=20, trust_env=False, headers=auth_header(prefect_auth(Settings(home=stack.home)))
        )
        self._deployment = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ours.close()
        self._prefect.close()

    def ask(self, version: str, **options: object) -> Document:
        """Ask for a release; returns the answer. Raises: BenchError when it is refused."""
        answer: Document = self._json(self._send(self._ours, "POST", f"/release/{version}", json={"service": SERVICE, **options}))
        return answer

    def request(self, version: str, **options: object) -> str:
        """Ask for a release; returns its id. Raises: BenchError when it is refused."""
        return str(self.ask(version, **options)["id"])

    def release(self, release_id: str) -> Ended:
        """The release as it is now. Raises: BenchError."""
        return Ended(self._json(self._send(self._ours, "GET", f"/releases/{release_id}")))

    def await_end(self, release_id: str, *, within_s: float) -> Ended:
        """The release once it has ended; one that is still under way after ``within_s``, or paused, is rolled back first.

        Raises: BenchError when it does not end even so.
        """
        ended = self._wait(release_id, lambda d: bool(d["ended"]) or d["phase"] == "paused", within_s=within_s)
        if ended.document["ended"]:
            return ended
        self.roll_back(release_id, "the bench waits no longer")
        ended = self._wait(release_id, lambda d: bool(d["ended"]), within_s=30)
        if not ended.document["ended"]:
            raise BenchError(f"release {release_id} does not end; it is {ended.phase}")
        return ended

    def end_in_flight(self) -> None:
        """Roll back what a failed part left under way, so that the next part finds the service at rest. Raises: BenchError."""
        newest = self._newest()
        if newest is not None and not newest["ended"]:
            self.await_end(str(newest["id"]), within_s=0)

    def live_version(self) -> str:
        """What users have in production. Raises: BenchError when it is nothing."""
        newest = self._newest()
        if newest is None:
            raise BenchError(f"{SERVICE} has no release")
        return str(newest["version"] if newest["phase"] == "promoted" else newest["baseline_version"])

    def roll_back(self, release_id: str, reason: str) -> None:
        """Give users the baseline. Raises: BenchError."""
        self._json(self._send(self._ours, "POST", f"/releases/{release_id}/rollback", json={"reason": reason}))

    def await_phase(self, release_id: str, phase: str, *, within_s: float) -> Ended:
        """The release once it has reached ``phase``. Raises: BenchError when it has not within ``within_s``."""
        found = self._wait(release_id, lambda d: any(m["to"] == phase for m in d["transitions"]), within_s=within_s)
        if found.reached(phase) is None:
            raise BenchError(f"release {release_id} was not {phase} within {within_s:g} s; it is {found.phase}: {found.document['reason']}")
        return found

    def release_of_run(self, run_id: str, *, within_s: float) -> str:
        """Id of the release that a flow run carries out. Raises: BenchError when there is none within ``within_s``."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            newest = self._newest()
            if newest is not None and newest["flow_run"] and newest["flow_run"]["id"] == run_id:
                return str(newest["id"])
            time.sleep(LOOK_S)
        raise BenchError(f"flow run {run_id} has made no release within {within_s:g} s")

    def submit_form(self, version: str, **parameters: object) -> str:
        """What the Submit button of Prefect's form does; returns the flow run's id. Raises: BenchError."""
        if not self._deployment:
            self._deployment = str(self._json(self._send(self._prefect, "GET", "/deployments/name/release/release"))["id"])
        body = {
            "parameters": {"service": SERVICE, "version": version, **parameters},
            "state": {"type": "SCHEDULED", "message": "Run from the Prefect UI"},
        }
        return str(self._json(self._post(f"/deployments/{self._deployment}/create_flow_run", body))["id"])

    def first_task_started(self, run_id: str, *, within_s: float) -> float:
        """When the first task of a flow run started, Unix seconds, by Prefect's record. Raises: BenchError."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            tasks = self._json(self._post("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}}))
            started = [unix_s(task["start_time"]) for task in tasks if task["start_time"]]
            if started:
                return min(started)
            time.sleep(LOOK_S)
        raise BenchError(f"Prefect knows of no task of run {run_id} after {within_s:g} s")

    def await_run_end(self, run_id: str, *, within_s: float) -> None:
        """Wait until Prefect calls the run ended, so that it does not run into the next measurement; at most ``within_s``."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self._json(self._send(self._prefect, "GET", f"/flow_runs/{run_id}"))["state_type"] in {
                "COMPLETED",
                "FAILED",
                "CANCELLED",
                "CRASHED",
            }:
                return
            time.sleep(LOOK_S)

    def _newest(self) -> Document | None:
        items: list[Document] = self._json(self._send(self._ours, "GET", "/releases", params={"service": SERVICE, "limit": 1}))["items"]
        return items[0] if items else None

    def _wait(self, release_id: str, done: Callable[[Document], bool], *, within_s: float) -> Ended:
        deadline = time.monotonic() + within_s
        while True:
            found = self.release(release_id)
            if done(found.document) or time.monotonic() > deadline:
                return found
            time.sleep(LOOK_S)

    def _post(self, path: str, body: Document) -> httpx.Response:
        client = str(uuid.uuid4())
        answer = self._send(self._prefect, "GET", "/csrf-token", params={"client": client})
        headers = {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": answer.json()["token"]} if answer.is_success else {}
        return self._send(self._prefect, "POST", path, json=body, headers=headers)

    @staticmethod
    def _send(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise BenchError(f"{method} {client.base_url}{path} got no answer: {error or type(error).__name__}") from error

    @staticmethod
    def _json(answer: httpx.Response) -> Any:
        if not answer.is_success:
            raise BenchError(f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json()
