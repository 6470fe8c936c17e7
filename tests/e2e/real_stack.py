"""The real stack of the end-to-end tests: its processes, its API, its Prefect, its store."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from productops.adapters.prefect_api import auth_header
from productops.adapters.prefect_auth import prefect_auth
from productops.cli.stack.home import resolved
from productops.cli.stack.postgres import cluster_of
from productops.cli.stack.state import ProcessRecord, read_state
from productops.domain.release import ENDED, EXPOSED, Environment, Phase, Release
from productops.domain.traffic import TrafficTarget
from productops.settings import Settings
from productops.store import Store

ROOT = Path(__file__).resolve().parents[2]
CATALOG = Path(__file__).resolve().parent / "catalog"
API = "/api/v1/product-ops"
LEASE_S = 5.0
GRACE_S = 2.0
PRODUCTION = Environment.PRODUCTION
Value = TypeVar("Value")


def until(condition: Callable[[], Value], *, within_s: float = 30.0, what: str = "this") -> Value:
    """The condition's first true value. An API, Prefect or store that is away for a moment counts as not yet.

    ``within_s`` is what a machine with nothing else to do takes at most; others get three times as long.
    """
    deadline = time.monotonic() + 3 * within_s
    trouble = ""
    while True:
        try:
            if value := condition():
                return value
        except httpx.HTTPError as error:
            trouble = f"; last: {type(error).__name__}: {error}"
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not become true within {within_s:g} s{trouble}")
        time.sleep(0.03)


@dataclass
class RealStack:
    """``productops up`` in a home of its own. ``port_base``: API +0, Prefect +1, router +2."""

    home: Path
    port_base: int
    postgres: bool = False
    lease_s: float = LEASE_S

    @property
    def environment(self) -> dict[str, str]:
        """What every command is given."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PRODUCTOPS_"))}
        return kept | {
            "PRODUCTOPS_HOME": str(self.home),
            "PRODUCTOPS_PORT_BASE": str(self.port_base),
            "PRODUCTOPS_CATALOG": str(CATALOG),
            "PRODUCTOPS_LEASE_TTL_S": f"{self.lease_s:g}",
            "PRODUCTOPS_DRAIN_TIMEOUT_S": "2",
        }

    def run(self, *arguments: str, module: str = "productops.cli.main", within_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a program of ours to its end."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=within_s, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip

    def up(self) -> None:
        """Start, and fail with what it said."""
        done = self.run("up", "--detach", *(["--postgres"] if self.postgres else []))
        assert done.returncode == 0, done.stdout + done.stderr
        done = self.run("apply", str(CATALOG))
        assert done.returncode == 0, done.stdout + done.stderr

    def down(self) -> None:
        """End all of it; what a failed ``down`` leaves is ended by its mark in the environment."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.run("down", within_s=40)
        self.store.close()
        for client in (self.api, self.prefect.http):
            client.close()
        for process in self.belongings():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def belongings(self) -> list[psutil.Process]:
        """Processes that carry this home's mark."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("PRODUCTOPS_STACK_HOME") == str(self.home):
                    found.append(process)
        return found

    # ---- doors

    @cached_property
    def api(self) -> httpx.Client:
        """The REST interface with the token of the token file."""
        token = (self.home / "token").read_text(encoding="utf-8").strip()
        base = f"http://127.0.0.1:{self.port_base}{API}"
        return httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False)

    def log_in_link(self) -> str:
        """Opens a session in a browser, as the owner; once, within 60 s."""
        done = self.run("login")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    @cached_property
    def prefect(self) -> PrefectDoor:
        """Prefect's REST interface as its UI uses it."""
        return PrefectDoor(f"http://127.0.0.1:{self.port_base + 1}/api", prefect_auth(Settings(home=self.home)))

    @cached_property
    def store(self) -> Store:
        """The database that all of them share."""
        if self.postgres:
            settings = resolved(Settings(home=self.home, port_base=self.port_base))
            return Store(cluster_of(settings).url("productops").replace("postgresql:", "postgresql+psycopg:", 1))
        return Store(f"sqlite:///{self.database}")

    @property
    def database(self) -> Path:
        """Its file."""
        return self.home / "productops.db"

    @property
    def router_url(self) -> str:
        """Where users enter."""
        return f"http://127.0.0.1:{self.port_base + 2}"

    # ---- processes

    def process(self, name: str) -> ProcessRecord:
        """One process as the supervisor sees it."""
        record = read_state(self.home)
        assert record is not None, "no stack runs"
        return next(each for each in record.processes if each.name == name)

    def kill(self, name: str) -> ProcessRecord:
        """SIGKILL; returns what it was."""
        before = self.process(name)
        os.kill(before.pid, signal.SIGKILL)
        return before

    def await_restarted(self, before: ProcessRecord, *, within_s: float = 40.0) -> None:
        """Until the supervisor has another process ready in the place of a dead one."""

        def ready() -> bool:
            now = self.process(before.name)
            return now.state == "running" and now.pid != before.pid and now.restarts > before.restarts and now.probe.passes()

        until(ready, within_s=within_s, what=f"{before.name} restarted")

    def await_well(self, *, within_s: float = 60.0) -> None:
        """Until every process is there and answers."""

        def well() -> bool:
            record = read_state(self.home)
            return record is not None and all(each.state == "running" and each.probe.passes() for each in record.processes)

        until(well, within_s=within_s, what="every process healthy")

    def flow_process(self, flow_run_id: str) -> int:
        """Pid of the process that carries out a flow run."""

        def found() -> int | None:
            with self.store.read() as unit:
                return next((pid for run, pid, _ in unit.runs.open_processes("") if run == flow_run_id), None)

        pid = until(found, within_s=10, what="the run has a process")
        assert pid is not None
        return pid

    # ---- releases

    def ask(self, service: str, version: str, **body: Any) -> str:
        """Ask the API for a release; returns its id."""
        answer = self.api.post(f"/release/{version}", json={"service": service} | body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def detail(self, release_id: str) -> dict[str, Any]:
        """A release as the API shows it."""
        answer = self.api.get(f"/releases/{release_id}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def release(self, release_id: str) -> Release:
        """A release as it is stored."""
        with self.store.read() as unit:
            return unit.releases.get(release_id)

    def target(self, service: str = "shop") -> TrafficTarget:
        """Desired and confirmed traffic as it is stored."""
        with self.store.read() as unit:
            return unit.traffic.get(service, PRODUCTION)

    def await_phase(self, release_id: str, *phases: Phase, within_s: float = 40.0) -> Release:
        """Until a release is in one of the phases; one that ended otherwise fails at once, with its reason."""

        def there() -> Release | None:
            now = self.release(release_id)
            assert now.phase in phases or not now.ended, f"{now.title} ended as {now.phase} ({now.cause}): {now.reason}"
            return now if now.phase in phases else None

        found = until(there, within_s=within_s, what=f"release in {[str(p) for p in phases]}")
        assert found is not None
        return found

    def await_candidate(self, release_id: str, pct: int) -> Release:
        """Until the router has confirmed a share of traffic on the candidate."""

        def there() -> bool:
            now = self.release(release_id)
            assert not now.ended, f"{now.title} ended as {now.phase} ({now.cause}): {now.reason}"
            target = self.target(now.service)
            return target.release_id == release_id and target.candidate_pct == pct and target.confirmed

        until(there, what=f"{pct} % on the candidate")
        return self.release(release_id)

    def await_settled(self, service: str = "shop") -> TrafficTarget:
        """Until there is no candidate, no lease, and the router has confirmed it."""

        def settled() -> TrafficTarget | None:
            target = self.target(service)
            return target if target.candidate_version is None and target.lease is None and target.confirmed else None

        found = until(settled, within_s=20, what="traffic settled")
        assert found is not None
        return found

    def make_live(self, version: str, service: str = "shop", **body: Any) -> str:
        """Release a good version and see it promoted."""
        quick = {"weights_pct": [50], "hold_s": 2.2, "force_downgrade": True, "lift_quarantine": True, "on_inconclusive": "proceed"}
        release_id = self.ask(service, version, **quick | body)
        self.await_phase(release_id, Phase.PROMOTED)
        self.await_settled(service)
        return release_id

    def make_idle(self, service: str = "shop") -> None:
        """Take back whatever an earlier test left in flight."""

        def active() -> Release | None:
            with self.store.read() as unit:
                return unit.releases.active(service, PRODUCTION)

        if (found := active()) is not None:
            if found.phase in EXPOSED or found.phase not in ENDED:
                self.api.post(f"/releases/{found.id}/rollback", json={"reason": "left by an earlier test"})
            until(lambda: active() is None, what="nothing in flight")
        self.await_settled(service)

    # ---- records

    def assert_records_whole(self) -> None:
        """The audit chain fits from its first entry to its last."""
        with self.store.read() as unit:
            assert unit.audit.first_broken() is None

    def audit_of(self, release_id: str) -> list[str]:
        """Actions on record about a release, oldest first."""
        with self.store.read() as unit:
            return [entry["action"] for entry in reversed(unit.audit.entries(subject=f"release/{release_id}"))]


class PrefectDoor:
    """Prefect's REST interface, with the CSRF headers that its UI sends."""

    def __init__(self, url: str, auth: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False, headers=auth_header(auth))
        self._client_id = str(uuid.uuid4())

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST; the JSON of the answer."""
        token = self.http.get("/csrf-token", params={"client": self._client_id}).raise_for_status().json()["token"]
        headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": self._client_id}
        answer = self.http.post(path, json=dict(body), headers=headers)
        for _ in range(5):  # Prefect on SQLite answers 503 while its database is locked, and wants to be asked again
            if answer.status_code != 503:
                break
            time.sleep(0.5)
            answer = self.http.post(path, json=dict(body), headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def deployment(self, name: str = "release/release") -> str:
        """Id of a deployment."""
        return str(self.http.get(f"/deployments/name/{name}").raise_for_status().json()["id"])

    def start(self, **parameters: Any) -> str:
        """Create a run of the release flow as the form does; returns its id."""
        made = self.post(f"/deployments/{self.deployment()}/create_flow_run", {"parameters": parameters, "state": {"type": "SCHEDULED"}})
        return str(made["id"])

    def run(self, flow_run_id: str) -> dict[str, Any]:
        """A flow run."""
        found: dict[str, Any] = self.http.get(f"/flow_runs/{flow_run_id}").raise_for_status().json()
        return found

    def await_state(self, flow_run_id: str, *names: str, within_s: float = 30.0) -> dict[str, Any]:
        """Until a run's state has one of the names; another end fails at once."""

        def there() -> dict[str, Any] | None:
            run = self.run(flow_run_id)
            name, kind = run["state"]["name"], run["state"]["type"]
            ended = kind in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
            assert name in names or not ended, f"run ended as {name}: {run['state']['message']}"
            return run if name in names else None

        found = until(there, within_s=within_s, what=f"run in {names}")
        assert found is not None
        return found

    def cancel(self, flow_run_id: str) -> None:
        """What the UI's button does."""
        self.post(f"/flow_runs/{flow_run_id}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})

    def artifacts(self, flow_run_id: str) -> dict[str, dict[str, Any]]:
        """Key → artifact of a run."""
        found = self.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}, "limit": 100})
        return {each["key"]: each for each in found}


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """SIGSTOP a process for as long as the block lasts."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
