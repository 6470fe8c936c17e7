"""The folder Envoy watches: what its files say, and how they are replaced."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from productops.adapters.envoy import config
from productops.errors import RouterError

BALLAST = "ballast"
BALLAST_BYTES = 1_000_000
TERM = "term"
LOCK = "write.lock"
_LOCK_PATIENCE_S = 2.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Written:
    """Encoded parts of a file by name, and the version the file carries."""

    parts: dict[str, str] = field(default_factory=dict)
    version: str = ""


class Files:
    """``rds.json`` and ``cds.json`` in parts. Another process may have written them: they are read again when they changed.

    After ``claim`` every write first makes sure that nobody with a later term has claimed the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[_Signature, Written]] = {}
        self._term: int | None = None

    def claim(self, term: int) -> None:
        """Write as the agent of ``term`` from now on. Raises: RouterError when a later one has the folder."""
        self._term = term
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._in_term():
            fresh = self.folder / f".{TERM}.new"
            fresh.write_text(str(term), encoding="ascii")
            fresh.replace(self.folder / TERM)

    def latest_term(self) -> int:
        """The last term that claimed the folder; 0 when none has."""
        return _read_term(self.folder / TERM)

    @contextlib.contextmanager
    def _in_term(self) -> Iterator[None]:
        """Nobody else writes meanwhile, and nobody later has claimed. Raises: RouterError otherwise."""
        if self._term is None:
            yield
            return
        with (self.folder / LOCK).open("a") as lock:
            _lock(lock.fileno(), self.folder)
            latest = _read_term(self.folder / TERM)
            if latest > self._term:
                raise RouterError(f"the router in {self.folder} belongs to the agent of term {latest}; this one had term {self._term}")
            yield

    def hosts(self) -> Written:
        """Virtual hosts by name, as written. A missing or damaged file is an empty one."""
        return self._read("rds.json")

    def clusters(self) -> Written:
        """Clusters by name, as written. A missing or damaged file is an empty one."""
        return self._read("cds.json")

    def put_hosts(self, hosts: Mapping[str, str]) -> bool:
        """Write ``rds.json`` unless it says just that; whether it was written. Raises: RouterError when the folder cannot be written."""
        return self._replace("rds.json", hosts, lambda: config.route_text(hosts))

    def put_clusters(self, clusters: Mapping[str, str]) -> bool:
        """Write ``cds.json`` unless it says just that; whether it was written. Raises: RouterError when the folder cannot be written."""
        return self._replace("cds.json", clusters, lambda: config.cluster_text(clusters))

    def put(self, name: str, text: str) -> None:
        """Replace any file at once, never in part; nothing when it has that text. Raises: RouterError."""
        path = self.folder / name
        try:
            if path.is_file() and path.read_bytes() == text.encode():
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._in_term():
                self._swap_in_any_case(path, text)
        except OSError as error:
            raise RouterError(f"cannot write the router's file {path}: {error}") from error

    def _swap_in_any_case(self, path: Path, text: str) -> None:
        """On a full disk the ballast makes room: users must get the baseline back all the same."""
        ballast = self.folder / BALLAST
        try:
            _swap(path, text)
        except OSError as error:
            if error.errno not in _FULL or not ballast.exists():
                raise
            ballast.unlink()
            _swap(path, text)
            return
        if not ballast.exists():
            with contextlib.suppress(OSError):  # without it everything works but the last resort
                ballast.write_bytes(b"\0" * BALLAST_BYTES)

    def _replace(self, name: str, parts: Mapping[str, str], encode: Callable[[], tuple[str, str]]) -> bool:
        written = self._read(name)
        if written.version and written.parts == parts:
            return False
        text, version = encode()
        self.put(name, text)
        self._known[name] = (_signature(self.folder / name), Written(dict(parts), version))
        return True

    def _read(self, name: str) -> Written:
        path = self.folder / name
        try:
            signature = _signature(path)
            known = self._known.get(name)
            if known is not None and known[0] == signature:
                return known[1]
            written = _parse(json.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Written()
        self._known[name] = (signature, written)
        return written


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the file is closed
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RouterError(f"another process has been writing in {folder} for {_LOCK_PATIENCE_S:g} s; is an agent frozen?") from None
            time.sleep(0.002)
        else:
            return


def _read_term(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _swap(path: Path, text: str) -> None:
    """Point the link ``path`` at a new file with ``text``, atomically.

    Renaming a file over another makes file systems such as ext4 write its data first, which waits for every fsync of a busy database on
    the same disk; renaming a link does not. The price: after a power cut the newest file may be empty, until the next ``apply``.
    """
    current = path.readlink().name if path.is_symlink() else ""
    slot = path.with_name(f"{path.stem}.{'2' if current == f'{path.stem}.1.json' else '1'}.json")
    slot.unlink(missing_ok=True)
    slot.write_text(text, encoding="utf-8")
    link = path.with_name(f".{path.name}.new")
    link.unlink(missing_ok=True)
    link.symlink_to(slot.name)
    link.replace(path)


def _signature(path: Path) -> _Signature:
    status = path.stat()
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _parse(document: Any) -> Written:
    parts: list[dict[str, Any]] = []
    for resource in document["resources"]:
        parts += resource.get("virtual_hosts", [resource])
    return Written({str(part["name"]): config.encode(part) for part in parts}, str(document["version_info"]))
