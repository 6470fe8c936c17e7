"""HAProxy's two sockets: the running worker's, and the master's that reloads and knows the workers before it."""

from __future__ import annotations

import csv
import io
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from productops.adapters.haproxy import config
from productops.domain.routing import VersionKey
from productops.errors import RouterError

_CLASSES = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx")
# Bits of srv_admin_state. Source: HAProxy management guide, "show servers state".
_MAINTENANCE, _DRAIN = 0x01 | 0x02 | 0x20 | 0x40, 0x08 | 0x10
_RUNNING = "2"


class SilentError(RouterError):
    """Nobody answers on the socket: HAProxy is not running, or not yet."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for an instance within a backend, as it is now. ``up``: its health check passes."""

    name: str
    host: str
    port: int
    free: bool
    draining: bool
    up: bool


@dataclass(frozen=True, slots=True)
class Place:
    """One instance in a worker's statistics."""

    key: VersionKey
    port: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What one worker counted: (requests, failures) by version, and its instances."""

    arms: dict[VersionKey, tuple[int, int]]
    places: tuple[Place, ...]


class Runtime:
    """Questions and orders. Every method raises SilentError when nobody answers, RouterError when HAProxy refuses an order."""

    def __init__(self, worker: Path, master: Path, *, timeout_s: float) -> None:
        self._worker, self._master, self._timeout_s = worker, master, timeout_s

    def description(self) -> tuple[str, int]:
        """The digest of the configuration that runs, and the worker's process id."""
        info = dict(line.split(": ", 1) for line in self.ask("show info").splitlines() if ": " in line)
        return info.get("description", ""), int(info.get("Pid", "0"))

    def entries(self, path: Path, worker: int = 0) -> dict[str, str]:
        """A map as it runs. An answer names the address of each entry, its key and its value."""
        rows = (line.split(" ", 2) for line in self.ask(f"show map {path}", worker).splitlines())
        return {row[1]: row[2].strip() for row in rows if len(row) == 3 and row[0].startswith("0x")}

    def put_entries(self, path: Path, wanted: Mapping[str, str], worker: int = 0) -> None:
        """Make a running map say ``wanted``: changed and new entries first, superfluous ones last; then read it back."""
        running = self.entries(path, worker)
        for key, value in wanted.items():
            if key not in running:
                self.order(f"add map {path} {key} {value}", worker)
            elif running[key] != value:
                self.order(f"set map {path} {key} {value}", worker)
        for key in running.keys() - wanted.keys():
            self.order(f"del map {path} {key}", worker)
        found = self.entries(path, worker)
        if found != dict(wanted):
            wrong = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
            raise RouterError(f"HAProxy did not take {', '.join(wrong[:5])} of {path.name}: it serves {found.get(wrong[0], 'nothing')}")

    def put_older(self, routes: Path, wanted: Mapping[str, str]) -> None:
        """Give the routes to the workers from before a reload, too: a connection that was idle then sends them one more request."""
        for pid in self._older_pids():
            deadline = time.monotonic() + self._timeout_s
            while not self._put_older(pid, routes, wanted) and pid in self._older_pids():
                if time.monotonic() > deadline:
                    raise RouterError(f"HAProxy's worker {pid} from before a reload still runs and does not take the routes")
                time.sleep(0.01)

    def _put_older(self, pid: int, routes: Path, wanted: Mapping[str, str]) -> bool:
        """Whether the older worker took the routes; one that is ending answers nothing."""
        backends = self.ask("show backend", pid)
        if not backends.startswith("#"):
            return False
        known, before = set(backends.split()), self.entries(routes, pid)
        mine = {key: config.known_only(value, before.get(key), known) for key, value in wanted.items()}
        try:
            self.put_entries(routes, mine, pid)
        except SilentError:
            raise
        except RouterError:
            return False
        return True

    def slots(self, backend: str) -> list[Slot]:
        """The places of a backend, in order."""
        lines = self.ask(f"show servers state {backend}").splitlines()
        head = next((line[1:].split() for line in lines if line.startswith("#")), None)
        if head is None:
            raise RouterError(f"HAProxy has no backend {backend}: {' '.join(lines)[:200]}")
        rows = [
            dict(zip(head, line.split(), strict=False)) for line in lines if len(line.split()) >= len(head) - 1 and not line.startswith("#")
        ]
        return [_slot(row) for row in rows]

    def statistics(self) -> Statistics:
        """Of the running worker."""
        return _statistics(self.ask("show stat"))

    def older(self) -> dict[int, Statistics]:
        """Of the workers that finish the requests they had before a reload, by process id."""
        answers = {pid: self.ask("show stat", pid) for pid in self._older_pids()}
        return {pid: _statistics(answer) for pid, answer in answers.items() if answer.startswith("#")}  # else it has just ended

    def _older_pids(self) -> list[int]:
        lines = self._talk(self._master, "show proc").partition("# old workers")[2].partition("# programs")[0].splitlines()
        return [int(line.split()[0]) for line in lines if line[:1].isdigit()]

    def reload(self, *, wanted: str, within_s: float) -> None:
        """Start a worker with the configuration file and wait until it answers. Raises: RouterError when it does not in time."""
        self._talk(self._master, "reload")
        deadline = time.monotonic() + within_s
        while True:
            try:
                if self.description()[0] == wanted:
                    return
            except SilentError:
                pass
            if time.monotonic() > deadline:
                raise RouterError(f"HAProxy did not run the configuration {wanted} within {within_s:g} s; its log says why")
            time.sleep(0.005)

    def ask(self, question: str, worker: int = 0) -> str:
        """The answer of the running worker, or of an older one by its process id."""
        return self._talk(self._master, f"@!{worker} {question}") if worker else self._talk(self._worker, question)

    def order(self, order: str, worker: int = 0) -> None:
        """Carry out an order; HAProxy answers nothing when it did. Raises: RouterError."""
        answer = self.ask(order, worker).strip()
        if answer and not answer.startswith(("IP changed", "no need to change", "port changed")):
            raise RouterError(f"HAProxy refused {order[:200]!r}: {answer[:200]}")

    def _talk(self, path: Path, words: str) -> str:
        end = time.monotonic() + self._timeout_s
        while True:
            try:
                return _exchange(path, words, self._timeout_s)
            except (ConnectionRefusedError, FileNotFoundError, ConnectionResetError) as error:
                # A reload takes the sockets away for some milliseconds.
                if time.monotonic() > min(end, end - self._timeout_s + 0.5):
                    raise SilentError(f"HAProxy does not answer on {path}: {error.strerror or error}") from error
                time.sleep(0.005)
            except OSError as error:
                raise SilentError(f"HAProxy does not answer on {path}: {error}") from error


def _exchange(path: Path, words: str, timeout_s: float) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        connection.sendall(words.encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)
        answer = bytearray()
        while piece := connection.recv(65_536):
            answer += piece
    return answer.decode("utf-8", "replace")


def _slot(row: Mapping[str, str]) -> Slot:
    state = int(row["srv_admin_state"])
    return Slot(
        name=row["srv_name"],
        host=row["srv_addr"],
        port=int(row["srv_port"]),
        free=bool(state & _MAINTENANCE),
        draining=bool(state & _DRAIN) or row["srv_uweight"] == "0",
        up=row["srv_op_state"] == _RUNNING,
    )


def _statistics(text: str) -> Statistics:
    """A version's requests are its answers of every class: what HAProxy itself answers for it (503, 504) is among them."""
    arms: dict[VersionKey, tuple[int, int]] = {}
    places: list[Place] = []
    for row in csv.DictReader(io.StringIO(text.removeprefix("# "))):
        key = config.version_key(row["pxname"])
        if key is None:
            continue
        if row["svname"] == "BACKEND":
            arms[key] = (sum(int(row[name] or 0) for name in _CLASSES), int(row["hrsp_5xx"] or 0))
        elif row["svname"] != "FRONTEND" and row.get("addr"):
            places.append(Place(key, int(row["addr"].rsplit(":", 1)[1]), int(row["scur"] or 0) + int(row["qcur"] or 0)))
    return Statistics(arms, tuple(places))
