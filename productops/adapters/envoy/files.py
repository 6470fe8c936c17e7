"""The folder Envoy watches: what its files say, and how they are replaced."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from productops.adapters.envoy import config
from productops.errors import RouterError

BALLAST = "ballast"
BALLAST_BYTES = 1_000_000
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Written:
    """Encoded parts of a file by name, and the version the file carries."""

    parts: dict[str, str] = field(default_factory=dict)
    version: str = ""


class Files:
    """``rds.json`` and ``cds.json`` in parts. Another process may have written them: they are read again when they changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[_Signature, Written]] = {}

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
