"""One queue, several dispatchers and Prefect workers: their processes, and what they executed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import SecretStr

from productops.adapters.prefect_api import auth_header
from productops.adapters.prefect_auth import prefect_auth
from productops.cli.stack import prefect_database
from productops.cli.stack.environment import our_environment, prefect_server_environment
from productops.cli.stack.prefect_environment import prefect_home
from productops.settings import Settings
from productops.store.migrate import upgrade

ROOT = Path(__file__).resolve().parents[2]
DECLARED = Path(__file__).with_name("counted.yaml")
START_S = 120.0
STOP_S = 20.0
SENDERS = 2
BUSY = frozenset({429, 502, 503, 504})


@dataclass
class Queue:
    """A Prefect server, and whoever was told to work its queue. Each dispatcher and worker has a home of its own, as on another machine.

    ``database_url`` and ``prefect_database_url`` as in the settings; empty: SQLite in ``folder``.
    """

    folder: Path
    port_base: int
    database_url: str = ""
    prefect_database_url: str = ""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        settings = self.settings("server")
        upgrade(settings.sqlalchemy_url)
        prefect_home(settings).mkdir(parents=True, exist_ok=True)
        prefect_database.prepare(settings)
        where = ("--host", "127.0.0.1", "--port", str(settings.prefect_port))
        self._start("server", ("prefect", "server", "start", *where), prefect_server_environment(settings), cwd=prefect_home(settings))
        headers = auth_header(prefect_auth(settings))
        self.http = httpx.Client(base_url=settings.prefect_api_url, timeout=30, trust_env=False, headers=headers)
        try:
            self.until(lambda: self.http.get("/health").is_success, within_s=START_S, what="the Prefect server answers")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.http.close()
        self.stop()

    def settings(self, name: str) -> Settings:
        """The settings of one process."""
        database = self.database_url or f"sqlite:///{self.folder / 'productops.db'}"
        return Settings(
            home=self.folder / name, port_base=self.port_base, database_url=database, prefect_database_url=self.prefect_database_url,
            prefect_auth=SecretStr(prefect_auth(Settings(home=self.folder))),  # one server, homes as on several machines
        )  # fmt: skip

    def environment(self, name: str) -> dict[str, str]:
        """What one process is given."""
        return our_environment(self.settings(name)) | {"PYTHONPATH": str(ROOT), "PREFECT_WORKER_QUERY_SECONDS": "2"}

    @property
    def record(self) -> Path:
        """Where executions leave their lines."""
        return self.folder / "executed"

    def add_dispatcher(self, name: str) -> None:
        """Start one and wait until it listens."""
        self._start(name, ("engine.dispatcher", "--deployments", str(DECLARED)), self.environment(name), cwd=self.folder)
        ready = self.folder / name / "run" / "dispatcher.ready"
        self.until(lambda: ready.exists() or self.processes[name].poll() is not None, within_s=START_S, what=f"{name} is ready")
        if self.processes[name].poll() is not None:
            raise TimeoutError(f"{name} has ended; see {self.folder / name}.log")

    def add_worker(self, name: str) -> None:
        """Start a process worker of Prefect's own; it needs some seconds before it asks for work."""
        options = ("--pool", "productops", "--name", name, "--limit", "2")  # without a limit it starts a process for all that waits
        self._start(name, ("prefect", "worker", "start", *options), self.environment(name), cwd=self.folder)

    def submit(self, count: int) -> list[str]:
        """Ask for ``count`` runs as fast as Prefect takes them; their ids."""
        deployment = self.http.get("/deployments/name/counted/counted").raise_for_status().json()["id"]
        headers = self.headers()
        body = {"parameters": {"file": str(self.record)}, "state": {"type": "SCHEDULED"}}

        def one(_number: int) -> str:
            key = {"idempotency_key": str(uuid.uuid4())}
            while True:
                with suppress(httpx.TransportError):  # asked again with the same key
                    answer = self.http.post(f"/deployments/{deployment}/create_flow_run", json=body | key, headers=headers)
                    if answer.status_code not in BUSY:
                        return str(answer.raise_for_status().json()["id"])
                time.sleep(0.2)

        with ThreadPoolExecutor(SENDERS) as pool:
            return list(pool.map(one, range(count)))

    def headers(self) -> dict[str, str]:
        """What Prefect wants from whoever writes."""
        client = str(uuid.uuid4())
        answer = self.http.get("/csrf-token", params={"client": client})
        return {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": answer.json()["token"]} if answer.is_success else {}

    def set_state(self, run_id: str, kind: str, name: str | None = None) -> None:
        """What anybody with access to Prefect may do to a run."""
        body = {"state": {"type": kind, "name": name}, "force": True}
        self.http.post(f"/flow_runs/{run_id}/set_state", json=body, headers=self.headers()).raise_for_status()

    def state(self, run_id: str) -> str:
        """The type of the state a run is in."""
        return str(self.http.get(f"/flow_runs/{run_id}").raise_for_status().json()["state_type"])

    def states(self, run_ids: Sequence[str]) -> Counter[str]:
        """How many of the runs are in which type of state."""
        found: Counter[str] = Counter()
        headers = self.headers()
        for first in range(0, len(run_ids), 200):
            body = {"flow_runs": {"id": {"any_": list(run_ids[first : first + 200])}}, "limit": 200}
            found.update(
                run["state_type"] for run in self.http.post("/flow_runs/filter", json=body, headers=headers).raise_for_status().json()
            )
        return found

    def executions(self) -> list[tuple[str, int]]:
        """Run and parent process of every execution so far."""
        if not self.record.exists():
            return []
        return [(run, int(parent)) for run, parent in (line.split() for line in self.record.read_text().splitlines())]

    def start_again(self, run_id: str, *module: str) -> subprocess.CompletedProcess[bytes]:
        """A second execution of a run, by a program such as a worker starts."""
        environment = self.environment("late") | {"PREFECT__FLOW_RUN_ID": run_id}
        return subprocess.run(
            [sys.executable, "-m", *module], env=environment, cwd=self.folder, capture_output=True, timeout=90, check=False
        )

    def kill(self, name: str) -> None:
        """As the kernel does when memory runs out."""
        self.processes[name].kill()
        self.processes.pop(name).wait(STOP_S)

    def stop(self) -> None:
        """End all of them, the server last."""
        for name in reversed(list(self.processes)):
            process = self.processes.pop(name)
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_S)

    def until(self, condition: Callable[[], Any], *, within_s: float, what: str) -> None:
        """Wait for a condition. Raises: TimeoutError that says what did not come true."""
        deadline = time.monotonic() + within_s
        while True:
            with suppress(httpx.HTTPError):
                if condition():
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {within_s:g} s; logs in {self.folder}")
            time.sleep(0.1)

    def _start(self, name: str, module: Sequence[str], environment: dict[str, str], *, cwd: Path) -> None:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *module], env=environment, cwd=cwd,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
