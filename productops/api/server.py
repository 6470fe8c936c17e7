"""The HTTP server around the application."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from productops.errors import PortTakenError, SettingsError

GRACE_S = 5


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections. Raises: PortTakenError, SettingsError for an address this machine has not."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(f"PRODUCTOPS_HOST {host!r} is no address of this machine: {error.strerror}") from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(2048)  # or two programs could both bind, and only one of them listen
    except OSError as error:
        listening.close()
        reason = f"the API cannot listen on {host}:{port}: {error.strerror}"
        raise PortTakenError(f"{reason}; set PRODUCTOPS_PORT_BASE to another port") from error
    return listening


def make_server(app: FastAPI) -> uvicorn.Server:
    """A server whose event streams end when it is asked to end."""
    config = uvicorn.Config(
        app, loop="asyncio", http="h11", ws="none", lifespan="on", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=GRACE_S, proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    app.state.streams.stopping = lambda: server.should_exit
    return server
