"""The doorbell: a datagram on loopback that says that the store has news."""

from __future__ import annotations

import contextlib
import socket


class Doorbell:
    """Rings the agent on this machine; a lost ring only costs the agent's next look (a quarter of a second)."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ring(self) -> None:
        """Send and forget."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            sender.sendto(b"!", ("127.0.0.1", self._port))


class SilentDoorbell:
    """For programs that have no agent beside them."""

    def ring(self) -> None:
        """Nothing to ring."""


def ring_receiver(port: int) -> socket.socket:
    """The agent's end. Raises: OSError when the port is taken."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        receiver.bind(("127.0.0.1", port))
    except OSError:
        receiver.close()
        raise
    return receiver
