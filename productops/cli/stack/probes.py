"""How the stack finds out whether a process does its work, in a form that can be written to the state file."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Probe:
    """``http``: 200 from ``target``; ``file``: ``target`` is there, ``forget`` removes it before each start; ``none``: living is enough."""

    kind: Literal["http", "file", "none"]
    target: str = ""

    def passes(self) -> bool:
        """Ask once, at most a second long."""
        if self.kind == "http":
            return _answers(self.target)
        return self.kind == "none" or Path(self.target).exists()

    def forget(self) -> None:
        """Remove what an earlier process left as a sign of being ready."""
        if self.kind == "file":
            Path(self.target).unlink(missing_ok=True)


def http_probe(url: str) -> Probe:
    """Ready when ``url`` answers 200."""
    return Probe("http", url)


def file_probe(path: Path) -> Probe:
    """Ready when the process has written ``path``."""
    return Probe("file", str(path))


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        # Whether it lives, no more: nothing secret is sent, and its certificate is made out to another name than this machine's loopback.
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=ssl._create_unverified_context())  # noqa: S323, SLF001
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
