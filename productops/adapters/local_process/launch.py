"""Starts an instance: its command, its environment, its output."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from productops.adapters.local_process.logs import open_log
from productops.adapters.local_process.processes import INSTANCE_HOME, INSTANCE_ID
from productops.domain.catalog import Service, WheelVersions
from productops.domain.release import Environment
from productops.errors import DependencyError, InvalidInputError, NotFoundError

# All that an instance gets to know of the agent's own environment, which holds our token and the user's secrets.
_PASSED_ON = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_PLACEHOLDER = re.compile(r"\{(port|version|python)\}")


@dataclass(frozen=True, slots=True)
class Launch:
    """One instance to start; ``folder`` is where it runs, ``home`` the installation it belongs to."""

    service: Service
    environment: Environment
    version: str
    instance_id: str
    port: int
    folder: Path
    home: Path
    python: str

    def command(self) -> list[str]:
        """Program and arguments, placeholders replaced."""
        return [self._fill(argument) for argument in self.service.spec.run.command]

    def variables(self, ours: Mapping[str, str]) -> dict[str, str]:
        """The instance's whole environment; ``ours`` is the environment of this process."""
        variables = {name: ours[name] for name in _PASSED_ON if name in ours}
        variables.setdefault("PATH", os.defpath)
        variables["PYTHONUNBUFFERED"] = "1"  # else the last words before a crash never reach the log
        variables |= {name: self._fill(value) for name, value in self.service.spec.run.env.items()}
        if isinstance(self.service.spec.run.versions, WheelVersions):
            variables["PATH"] = os.pathsep.join((str(self.folder / "bin"), variables["PATH"]))
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(self.folder), variables.get("PYTHONPATH"))))
        return variables | {
            "PORT": str(self.port),
            INSTANCE_ID: self.instance_id,
            INSTANCE_HOME: str(self.home),
            "PRODUCTOPS_SERVICE": self.service.name,
            "PRODUCTOPS_ENVIRONMENT": str(self.environment),
            "PRODUCTOPS_VERSION": self.version,
        }

    def spawn(self, log: Path) -> int:
        """Start the process as the leader of a session of its own, writing to ``log``; returns its pid.

        Raises: NotFoundError when there is no such program, DependencyError when the system refuses to start it or to write its
        log, InvalidInputError for a command or variable that no process can have.
        """
        command, variables = self.command(), self.variables(os.environ)
        self._check_program(command[0], variables["PATH"])
        try:
            output = open_log(log)
        except OSError as error:
            raise DependencyError(f"{self._title()} cannot be started: its log {log} cannot be written: {error.strerror}") from error
        # A thread that blocks signals would pass that on, and the instance could not be asked to end.
        blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o022,
            )
        except ValueError as error:
            raise InvalidInputError(f"{self._title()} cannot be started: {error} in its command or env") from error
        except OSError as error:
            raise DependencyError(f"{self._title()} cannot be started: {command[0]}: {error.strerror}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os.close(output)
        # The process outlives this object: it is known by pid and creation time from here on, and reaped by ProcessTable.alive.
        process.returncode = 0
        return process.pid

    def _fill(self, text: str) -> str:
        # In one pass: what replaces a placeholder is not looked through again.
        values = {"port": str(self.port), "version": self.version, "python": self.python}
        return _PLACEHOLDER.sub(lambda found: values[found[1]], text)

    def _title(self) -> str:
        return f"{self.service.name} {self.version}"

    def _check_program(self, program: str, path: str) -> None:
        """Name what is missing; the system's own answer does not tell a missing program from a missing folder."""
        place = str(self.folder / program) if "/" in program else program
        if "\0" in program or shutil.which(place, path=path) is None:
            raise NotFoundError(f"{self._title()} cannot be started: there is no program {program!r} (looked in {path or self.folder})")
