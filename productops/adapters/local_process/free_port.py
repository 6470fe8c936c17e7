"""A TCP port nobody listens on."""

from __future__ import annotations

import socket
from collections.abc import Collection

from productops.errors import DependencyError


def free_port(ports: range, taken: Collection[int] = ()) -> int:
    """The lowest port of ``ports`` that is not in ``taken`` and that no program listens on.

    Raises: DependencyError when none is left.
    """
    for port in ports:
        if port not in taken and _can_listen(port):
            return port
    bounds = f"between {ports.start} and {ports.stop - 1}" if ports else "in an empty range"
    raise DependencyError(f"no free port {bounds}: {sum(p in taken for p in ports)} are taken by instances, programs listen on the others")


def _can_listen(port: int) -> bool:
    """Whether a server could bind ``port`` on every IPv4 address of this machine.

    The wildcard address conflicts with a listener on any address. SO_REUSEADDR, which servers set as well, ignores connections
    in TIME_WAIT: the port of an instance that has just ended is free. Nothing can connect here: the socket never listens.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
