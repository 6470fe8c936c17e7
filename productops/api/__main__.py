"""``python -m productops.api``: serve the REST interface until SIGTERM."""

# ruff: noqa: E402 - the collector is told first

from __future__ import annotations

import gc

# What is imported stays for good, and looking through it again and again is a fifth of the start; so is a batch of events, later.
gc.set_threshold(100_000, 20, 20)

import sys

import structlog

from productops.api.app import create_app
from productops.api.server import listen, make_server
from productops.api.wiring import build_context
from productops.errors import ProductOpsError
from productops.logs import set_up_logs
from productops.settings import load_settings


def main() -> int:
    """The exit code."""
    try:
        settings = load_settings()
        set_up_logs(settings, program="api")
        app = create_app(build_context(settings), settings)
        listening = listen(settings.host, settings.api_port)
        server = make_server(app, tls_certificate=settings.tls_certificate, tls_key=settings.tls_key)
    except ProductOpsError as error:
        print(f"productops api: {error}", file=sys.stderr)
        return error.exit_code
    gc.collect()
    gc.freeze()
    structlog.get_logger(__name__).info("listening", host=settings.host, port=settings.api_port)
    server.run(sockets=[listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
