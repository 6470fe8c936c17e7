"""The ``InstanceTarget`` port on containers: Podman's or Docker's API on a unix socket."""

from __future__ import annotations

import json
import logging
import re
import struct
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from productops.adapters.local_process.free_port import free_port
from productops.adapters.local_process.health import is_healthy
from productops.adapters.local_process.logs import last_lines, trim
from productops.adapters.local_process.processes import LocalProcess
from productops.adapters.safe_http import Answer, SafeHttp
from productops.domain.catalog import ImageVersions, Service
from productops.domain.release import Environment
from productops.domain.routing import Endpoint
from productops.domain.versions import check_version
from productops.errors import DependencyError, InvalidInputError, NotFoundError, SettingsError, UnsupportedError

_log = logging.getLogger(__name__)
_API = "/v1.41"
_LABEL_INSTANCE, _LABEL_HOME = "productops.instance", "productops.home"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PLACEHOLDER = re.compile(r"\{(port|version|python)\}")
_SAME_START_S = 0.01
_LOG_LINES = 2000
HOST_NETWORK = "host"


class PodmanTarget:
    """Instances as containers of the image of their version. Usable from many threads; it holds no state that a restart would miss.

    ``home`` names the installation (its label) and takes the instances' output. ``network`` is ``host``, where a container listens on
    its instance's port itself, or a network of the engine, where that port is published on loopback. With ``pull`` an image that is
    not here is fetched. ``ulimits`` (``nofile``, ``nproc`` …) replace the engine's own where it may not set those.
    """

    def __init__(
        self, home: Path, *, socket: Path, network: str = HOST_NETWORK, pull: bool = True, ulimits: Mapping[str, int] | None = None,
        timeout_s: float = 10.0, pull_timeout_s: float = 600.0,
    ) -> None:  # fmt: skip
        self._home = home.expanduser().resolve()
        self._network, self._pull, self._ulimits = network, pull, dict(ulimits or {})
        self._http = SafeHttp(
            "http://engine", what="the container engine", timeout_s=timeout_s, patience_s=timeout_s, socket_path=str(socket)
        )
        self._slow = SafeHttp(
            "http://engine", what="the container engine", timeout_s=pull_timeout_s, patience_s=pull_timeout_s, socket_path=str(socket)
        )
        self._known: dict[int, str] = {}

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
        self._slow.close()

    def prepare(self, service: Service, version: str) -> Path:
        """Have the version's image here, fetched if need be. Returns the installation's folder: a container brings its own files.

        Raises: UnsupportedError when the service has no images, NotFoundError when the image cannot be had, DependencyError.
        """
        image = self._image(service, version)
        if self._has(image):
            return self._home
        if not self._pull:
            raise NotFoundError(f"{service.name} {version} does not exist: there is no image {image} here, and pull is off")
        answer = self._slow.call("POST", f"{_API}/images/create", params={"fromImage": image}, repeatable=False)
        if not answer.ok or not self._has(image):
            raise NotFoundError(f"{service.name} {version} does not exist: the image {image} could not be fetched: {_pull_error(answer)}")
        return self._home

    def exists(self, service: Service, version: str) -> bool:
        """Whether the image is here. With ``pull`` one that is not may still be had: only fetching it tells. Raises: as ``prepare``."""
        return self._has(self._image(service, version)) or self._pull

    def start(self, service: Service, environment: Environment, version: str, *, instance_id: str, port: int) -> LocalProcess:
        """Start a container that carries ``instance_id`` as its name and label; one that is left of an earlier start is removed.

        Raises: as ``prepare``; NotFoundError when the image has no such program, DependencyError when the engine cannot start it.
        """
        self.prepare(service, version)
        title = f"{service.name} {version}"
        name = _container(instance_id)
        self._remove(name, instance_id=instance_id, path=self.log_path(service.name, environment, version, instance_id))
        body = self._description(service, environment, version, instance_id=instance_id, port=port)
        made = self._http.call("POST", f"{_API}/containers/create", params={"name": name}, body=body, repeatable=False)
        if made.status != 201:
            raise DependencyError(f"{title} cannot be started: the container engine answered {made.status}: {_message(made)}")
        started = self._http.call("POST", f"{_API}/containers/{name}/start", repeatable=False)
        if started.status not in {204, 304}:
            raise self._not_started(title, service, started)
        process = self._process(name)
        if process is None:
            output = self.last_output(self.log_path(service.name, environment, version, instance_id), 3)
            raise DependencyError(f"{title} ended at once: {output or 'without a word'}")
        return process

    def free_port(self, first: int, count: int, taken: Collection[int]) -> int:
        """The lowest port from ``first`` that nobody listens on and that is not ``taken``. Raises: DependencyError."""
        return free_port(range(first, first + count), taken)

    def find(self) -> Mapping[str, LocalProcess]:
        """Every running container of this installation by instance id; none while the engine does not answer."""
        try:
            return self._running()
        except DependencyError as error:
            _log.warning("containers not listed: %s", error)
            return {}

    def alive(self, pid: int, started: float) -> bool:
        """Whether that very container runs. While the engine does not answer it is taken for alive: its health check tells the truth."""
        try:
            process = self._process(self._known[pid]) if pid in self._known else None
            if process is None:
                process = next((p for p in self._running().values() if p.pid == pid), None)
        except DependencyError as error:
            _log.warning("container of pid %s taken for alive: %s", pid, error)
            return True
        return process is not None and process.pid == pid and abs(process.started - started) <= _SAME_START_S

    def stop(self, pid: int, started: float, *, kill: bool = False) -> None:
        """Ask the container to end, or end it. No error when it is gone; while the engine does not answer, the next call does it."""
        if not self.alive(pid, started) or pid not in self._known:
            return
        signal = "SIGKILL" if kill else "SIGTERM"
        try:
            answer = self._http.call("POST", f"{_API}/containers/{self._known[pid]}/kill", params={"signal": signal})
        except DependencyError as error:
            _log.warning("container of pid %s not stopped: %s", pid, error)
            return
        if not answer.ok and answer.status not in {404, 409, 500}:  # 409, 500: it is not running any more
            _log.warning("container of pid %s not stopped: %s %s", pid, answer.status, _message(answer))

    def healthy(self, service: Service, endpoint: Endpoint) -> bool:
        """Whether the instance answers its health path with 2xx, within a second."""
        return is_healthy(endpoint, service.spec.run.health.path)

    def log_path(self, service: str, environment: Environment, version: str, instance_id: str) -> Path:
        """Where the container's output is copied to. Raises: InvalidInputError for names that cannot be part of a path."""
        for name in (service, instance_id):
            if not _NAME.fullmatch(name):
                raise InvalidInputError(f"{name[:120]!r} cannot be the name of a log file: use letters, digits, '.', '_' and '-'")
        return self._home / "logs" / service / environment / check_version(version) / f"{instance_id}.log"

    def last_output(self, path: Path, lines: int = 20) -> str:
        """The last lines of a container's output as plain text, or an empty text; its log file is brought up to date."""
        try:
            self._copy_log(_container(path.stem), path)
        except DependencyError as error:
            _log.warning("output of %s not read: %s", path.stem, error)
        return last_lines(path, lines)

    def trim_logs(self, max_bytes: int) -> int:
        """Remove containers that have ended, their output kept in their log file, and cut log files past ``max_bytes``."""
        try:
            ended = [row for row in self._list(running=False) if row.get("State") in {"exited", "dead", "stopped"}]
            for labels, container in ((row["Labels"], row["Id"]) for row in ended):
                service, environment, version = (labels[f"productops.{n}"] for n in ("service", "environment", "version"))
                path = self.log_path(service, Environment(environment), version, labels[_LABEL_INSTANCE])
                self._remove(container, instance_id=labels[_LABEL_INSTANCE], path=path)
        except DependencyError as error:
            _log.warning("ended containers not removed: %s", error)
        return trim(self._home / "logs", max_bytes)

    # ---- the engine

    def _image(self, service: Service, version: str) -> str:
        versions = service.spec.run.versions
        if not isinstance(versions, ImageVersions):
            raise UnsupportedError(f"{service.name} has no container images: declare run.versions with kind image, or use processes")
        return versions.image.replace("{version}", check_version(version))

    def _has(self, image: str) -> bool:
        answer = self._http.call("GET", f"{_API}/images/{quote(image, safe='/:@')}/json")
        if answer.status not in {200, 404}:
            raise DependencyError(f"the container engine answered {answer.status} to a question for the image {image}: {_message(answer)}")
        return answer.ok

    def _description(self, service: Service, environment: Environment, version: str, *, instance_id: str, port: int) -> dict[str, Any]:
        """What the container is. Its command replaces the image's own entry point, as the catalog says it is the whole command."""
        run = service.spec.run
        values = {"port": str(port), "version": version, "python": "python3"}

        def fill(text: str) -> str:
            return _PLACEHOLDER.sub(lambda found: values[found[1]], text)

        variables = {name: fill(value) for name, value in run.env.items()} | {
            "PORT": str(port), "PRODUCTOPS_INSTANCE_ID": instance_id, "PRODUCTOPS_SERVICE": service.name,
            "PRODUCTOPS_ENVIRONMENT": str(environment), "PRODUCTOPS_VERSION": version,
        }  # fmt: skip
        host: dict[str, Any] = {
            "NetworkMode": self._network, "AutoRemove": False, "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "20m"}},
        }  # fmt: skip
        if self._ulimits:
            host["Ulimits"] = [{"Name": name, "Soft": limit, "Hard": limit} for name, limit in sorted(self._ulimits.items())]
        if self._network != HOST_NETWORK:
            host["PortBindings"] = {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
        command = [fill(argument) for argument in run.command]
        labels = {
            _LABEL_INSTANCE: instance_id, _LABEL_HOME: str(self._home), "productops.service": service.name,
            "productops.environment": str(environment), "productops.version": version,
        }  # fmt: skip
        return {
            "Image": self._image(service, version), "Entrypoint": command[:1], "Cmd": command[1:], "Labels": labels,
            "Env": [f"{name}={value}" for name, value in variables.items()], "ExposedPorts": {f"{port}/tcp": {}}, "HostConfig": host,
        }  # fmt: skip

    def _not_started(self, title: str, service: Service, answer: Answer) -> Exception:
        message = _message(answer)
        if re.search(r"executable file.*not found|no such file or directory", message):
            return NotFoundError(f"{title} cannot be started: its image has no program {service.spec.run.command[0]!r}")
        return DependencyError(f"{title} cannot be started: the container engine answered {answer.status}: {message}")

    def _process(self, container: str) -> LocalProcess | None:
        """Process id (as the engine sees it) and start of a running container. Raises: DependencyError when the engine is silent."""
        answer = self._http.call("GET", f"{_API}/containers/{container}/json")
        document = answer.document()
        state = document.get("State") if answer.ok and isinstance(document, dict) else None
        if not state or not state.get("Running") or not state.get("Pid"):
            return None
        self._known[int(state["Pid"])] = container
        return LocalProcess(int(state["Pid"]), _unix_time(state["StartedAt"]))

    def _running(self) -> dict[str, LocalProcess]:
        found: dict[str, LocalProcess] = {}
        for row in self._list(running=True):
            process = self._process(row["Id"])
            if process is not None:
                found[row["Labels"][_LABEL_INSTANCE]] = process
        return found

    def _list(self, *, running: bool) -> list[dict[str, Any]]:
        filters = {"label": [f"{_LABEL_HOME}={self._home}"]} | ({"status": ["running"]} if running else {})
        answer = self._http.call("GET", f"{_API}/containers/json", params={"all": "true", "filters": json.dumps(filters)})
        rows = answer.document()
        return [r for r in rows if (r.get("Labels") or {}).get(_LABEL_INSTANCE)] if answer.ok and isinstance(rows, list) else []

    def _remove(self, container: str, *, instance_id: str, path: Path) -> None:
        self._copy_log(_container(instance_id), path)
        self._http.call("DELETE", f"{_API}/containers/{container}", params={"force": "true", "v": "true"})

    def _copy_log(self, container: str, path: Path) -> None:
        params = {"stdout": "true", "stderr": "true", "tail": str(_LOG_LINES)}
        answer = self._http.call("GET", f"{_API}/containers/{container}/logs", params=params)
        if answer.ok:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(_plain(answer.body))


def _container(instance_id: str) -> str:
    return f"productops-{instance_id}"


def _message(answer: Answer) -> str:
    document = answer.document()
    return str(document.get("message") or document.get("cause"))[:500] if isinstance(document, dict) else answer.text()


def _pull_error(answer: Answer) -> str:
    """A failed pull may answer 200 and say why in one of its lines of progress."""
    for line in reversed(answer.body.splitlines()):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and (said.get("error") or said.get("message")):
            return str(said.get("error") or said["message"])[:500]
    return answer.text()


def _plain(stream: bytes) -> bytes:
    """Output without the engine's frames: a byte for the stream, three zeroes, and the length. Source: Docker Engine API, attach."""
    plain, at = bytearray(), 0
    while at + 8 <= len(stream):
        kind, length = struct.unpack(">BxxxL", stream[at : at + 8])
        if kind > 2:
            return stream  # a terminal's output has no frames
        plain += stream[at + 8 : at + 8 + length]
        at += 8 + length
    return bytes(plain)


def _unix_time(text: str) -> float:
    """Seconds of an RFC 3339 time with up to nine digits behind the point, of which microseconds are kept."""
    shortened = re.sub(r"(\.\d{6})\d+", r"\1", text)
    return datetime.fromisoformat(shortened).timestamp()


def default_socket() -> Path:
    """Podman's or Docker's socket of the system. Raises: SettingsError when there is none."""
    for path in (Path("/run/podman/podman.sock"), Path("/var/run/docker.sock")):
        if path.exists():
            return path
    raise SettingsError("there is no container engine's socket in /run/podman or /var/run: name it in target.socket")
