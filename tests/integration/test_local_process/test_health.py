"""Health questions and free ports."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from productops.adapters.local_process import LocalProcessTarget, free_port
from productops.domain.routing import Endpoint
from productops.errors import DependencyError

from .support import service


class Peer:
    """A server that gives every connection to a function, and remembers what it was asked."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self.asked: list[bytes] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return Endpoint("127.0.0.1", self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    self.asked.append(connection.recv(4096))
                    self._answer(connection)


def dribble(connection: socket.socket) -> None:
    """A status line that never ends, one byte at a time."""
    connection.sendall(b"HTTP/1.1 200 O")
    for _ in range(100):
        connection.sendall(b"K")
        time.sleep(0.05)


def flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Again: and again\r\n" * 100)


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), True),
        (lambda c: c.sendall(b"HTTP/1.0 204 No Content\r\n\r\n"), True),
        (lambda c: c.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), False),
        (lambda c: c.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n"), False),
        (lambda c: c.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), False),
        (lambda c: c.sendall(b"HTTP/1.1 2000 OK\r\n\r\n"), False),
        (lambda _c: None, False),
        (lambda _c: time.sleep(1.5), False),
        (dribble, False),
        (flood, True),
    ],
    ids=["ok", "no content", "unavailable", "redirect", "another protocol", "no status", "hangs up", "silent", "dribbles", "floods"],
)
def test_health_is_a_2xx_within_a_second(
    tmp_path: Path, target: LocalProcessTarget, answer: Callable[[socket.socket], None], healthy: bool
) -> None:
    with Peer(answer) as endpoint:
        begun = time.monotonic()
        assert target.healthy(service(tmp_path), endpoint) is healthy
        assert time.monotonic() - begun < 1.3


def test_the_health_path_reaches_the_service_as_one_request(tmp_path: Path, target: LocalProcessTarget) -> None:
    what = service(tmp_path, health={"path": "/a b?x=1&y=%20\r\nX-Evil: 1"})
    peer = Peer(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n"))
    with peer as endpoint:
        assert target.healthy(what, endpoint)
    lines = peer.asked[0].decode().split("\r\n")
    assert lines[0] == "GET /a%20b?x=1&y=%20%0D%0AX-Evil:%201 HTTP/1.1"
    assert lines[1] == f"Host: 127.0.0.1:{endpoint.port}"
    assert not target.healthy(what, endpoint)


def test_a_free_port_is_neither_taken_nor_listened_on(target: LocalProcessTarget) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DependencyError, match=str(port)):
            free_port(range(port, port + 1))
    assert free_port(range(port, port + 1)) == target.free_port(port, 1, ()) == port
    with pytest.raises(DependencyError, match="1 are taken"):
        free_port(range(port, port + 1), {port})
    with pytest.raises(DependencyError):
        free_port(range(0))


def test_a_port_whose_connections_have_just_ended_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            accepted.close()  # closing first leaves the server's side in TIME_WAIT
            assert client.recv(1) == b""
    assert free_port(range(port, port + 1)) == port
