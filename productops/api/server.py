"""The HTTP server around the application."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from productops.errors import PortTakenError, SettingsError

GRACE_S = 5
WEBSOCKET_BYTES_MAX = 1_048_576


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


def make_server(app: FastAPI, *, tls_certificate: Path | None = None, tls_key: Path | None = None) -> uvicorn.Server:
    """A server whose event streams end when it is asked to end; with TLS where it is given a certificate and its key.

    Raises: SettingsError when they cannot be used.
    """
    config = uvicorn.Config(
        app, loop="asyncio", http="h11", ws="websockets-sansio", lifespan="on", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=GRACE_S, proxy_headers=False, ws_max_size=WEBSOCKET_BYTES_MAX,
        ssl_certfile=tls_certificate, ssl_keyfile=tls_key,
    )  # fmt: skip
    if tls_certificate is not None:
        _load_tls(config)
    server = uvicorn.Server(config)
    app.state.streams.stopping = lambda: server.should_exit
    return server


def _load_tls(config: uvicorn.Config) -> None:
    """Read certificate and key now, so that what is wrong with them is said plainly."""
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"PRODUCTOPS_TLS_CERTIFICATE and PRODUCTOPS_TLS_KEY cannot be used: {error}") from error
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
