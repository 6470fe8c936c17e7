"""The local machine as a place where instances run."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import psutil

from productops.adapters.local_process.artifacts import Artifacts
from productops.adapters.local_process.free_port import free_port
from productops.adapters.local_process.health import is_healthy
from productops.adapters.local_process.launch import Launch
from productops.adapters.local_process.logs import last_lines, trim
from productops.adapters.local_process.processes import LocalProcess, ProcessTable
from productops.domain.catalog import Service
from productops.domain.release import Environment
from productops.domain.routing import Endpoint
from productops.domain.versions import check_version
from productops.errors import DependencyError, InvalidInputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class LocalProcessTarget:
    """Instances as processes, their prepared versions in ``home/artifacts`` and their output in ``home/logs``.

    It holds no state of its own: an agent that starts after a crash finds and stops what the one before started.
    """

    def __init__(self, home: Path, python: str = sys.executable) -> None:
        self._home = home.expanduser().resolve()
        self._python = python
        self._artifacts = Artifacts(self._home / "artifacts", python)
        self._processes = ProcessTable(self._home)

    def prepare(self, service: Service, version: str) -> Path:
        """Make the version's files available; idempotent. Returns the folder to run in.

        Raises: InvalidInputError for an unusable version, NotFoundError when it does not exist, DependencyError when git or pip fails.
        """
        return self._artifacts.prepare(service, version)

    def exists(self, service: Service, version: str) -> bool:
        """Whether the version can be had, without preparing it.

        Raises: InvalidInputError for an unusable version, DependencyError when git does not answer.
        """
        return self._artifacts.exists(service, version)

    def start(self, service: Service, environment: Environment, version: str, *, instance_id: str, port: int) -> LocalProcess:
        """Start an instance that carries ``instance_id`` in its environment, and prepare its version if need be.

        Raises: as ``prepare``; NotFoundError when its program does not exist, DependencyError when it cannot be started.
        """
        log = self.log_path(service.name, environment, version, instance_id)
        launch = Launch(
            service=service,
            environment=environment,
            version=version,
            instance_id=instance_id,
            port=port,
            folder=self.prepare(service, version),
            home=self._home,
            python=self._python,
        )
        pid = launch.spawn(log)
        try:
            return self._processes.identify(pid)
        except psutil.NoSuchProcess as error:  # only where ended children are not kept for us (SIGCHLD ignored)
            raise DependencyError(f"{service.name} {version} ended at once: {self.last_output(log, 3)}") from error

    def free_port(self, first: int, count: int, taken: Collection[int]) -> int:
        """The lowest port from ``first`` to ``first + count - 1`` that nobody listens on and that is not ``taken``.

        Raises: DependencyError when there is none.
        """
        return free_port(range(first, first + count), taken)

    def find(self) -> Mapping[str, LocalProcess]:
        """Every living instance that carries an instance id of this installation."""
        return self._processes.find()

    def alive(self, pid: int, started: float) -> bool:
        """Whether that very process runs (a reused pid and a zombie do not count)."""
        return self._processes.alive(pid, started)

    def stop(self, pid: int, started: float, *, kill: bool = False) -> None:
        """Ask the instance and its children to end (or end them, with ``kill``). No error when they are gone.

        Children that outlive their instance are reached under its pid and start, too.
        """
        self._processes.signal(pid, started, kill=kill)

    def healthy(self, service: Service, endpoint: Endpoint) -> bool:
        """Whether the instance answers its health path with 2xx, within a second."""
        return is_healthy(endpoint, service.spec.run.health.path)

    def log_path(self, service: str, environment: Environment, version: str, instance_id: str) -> Path:
        """Where the instance's output goes. Raises: InvalidInputError for names that cannot be part of a path."""
        for name in (service, instance_id):
            if not _NAME.fullmatch(name):
                raise InvalidInputError(f"{name[:120]!r} cannot be the name of a log file: use letters, digits, '.', '_' and '-'")
        return self._home / "logs" / service / environment / check_version(version) / f"{instance_id}.log"

    def last_output(self, path: Path, lines: int = 20) -> str:
        """The last lines of an instance's output as plain text, or an empty text; each line has at most 500 characters."""
        return last_lines(path, lines)

    def trim_logs(self, max_bytes: int) -> int:
        """Cut logs that exceed ``max_bytes`` (their end is kept beside them); returns how many were. The agent calls it now and then."""
        return trim(self._home / "logs", max_bytes)
