"""Asks an instance whether it serves."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from urllib.parse import quote

from productops.domain.routing import Endpoint

ANSWER_S = 1.0
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})\b")
_DRAIN_S, _DRAIN_BYTES = 0.1, 65_536


def is_healthy(endpoint: Endpoint, path: str) -> bool:
    """Whether ``GET path`` is answered with 2xx within ANSWER_S seconds, however slowly the other side writes.

    Redirects are not followed: they do not show that this instance serves. No usual HTTP client bounds the whole exchange, only
    each read; a peer that sends a byte now and then would hold the caller for hours.
    """
    deadline = time.monotonic() + ANSWER_S
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=ANSWER_S) as connection:
            connection.sendall(_request(endpoint, path))
            status = _STATUS.match(_read_line(connection, deadline))
            if status is not None:
                _drain(connection, min(deadline, time.monotonic() + _DRAIN_S))
            return status is not None and status[1].startswith(b"2")
    except OSError:  # refused, reset, timed out: it does not serve, which is the answer
        return False


def _request(endpoint: Endpoint, path: str) -> bytes:
    target = quote(path, safe="/?&=%:@!$'()*+,;~")
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}:{endpoint.port}\r\n"
        "User-Agent: productops-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _read_line(connection: socket.socket, deadline: float) -> bytes:
    received = b""
    while b"\n" not in received and len(received) < 1024:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        piece = connection.recv(1024)
        if not piece or time.monotonic() >= deadline:
            break
        received += piece
    return received


def _drain(connection: socket.socket, deadline: float) -> None:
    """Take the rest of the answer for a moment: a server whose answer is cut off would log a reset for every question."""
    left = _DRAIN_BYTES
    with suppress(OSError):
        while left > 0 and time.monotonic() < deadline:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            piece = connection.recv(8192)
            if not piece:
                return
            left -= len(piece)
