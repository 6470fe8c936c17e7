"""Start-up and stop of one shop process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

from .app import Shop
from .server import HttpServer

log = logging.getLogger("storefront")


def run(build: Callable[[str | None], Shop]) -> None:
    """Run the shop that ``build`` makes from the seed in ``SHOP_SEED`` (or ``None``) until SIGTERM, then exit.

    Exit status 0 means every request was answered, 1 that requests outlived ``--grace``, 2 that the port is taken.
    """
    arguments = _parse(sys.argv[1:])
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    shop = build(os.environ.get("SHOP_SEED") or None)
    sys.exit(asyncio.run(_serve(shop, arguments.host, arguments.port, arguments.grace)))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The demo shop.")
    parser.add_argument("--port", type=int, required=True, help="TCP port; 0 lets the system choose")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--grace", type=float, default=4.0, help="seconds that requests in flight get after SIGTERM")
    return parser.parse_args(arguments)


async def _serve(shop: Shop, host: str, port: int, grace_s: float) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if not await _prepared(shop, stop):
        log.info("version=%s stopped before it was ready", shop.version)
        return 0
    server = HttpServer(shop.handle, version=shop.version)
    shop.draining = lambda: server.draining
    try:
        bound = await server.start(host, port)
    except OSError as error:
        log.error("version=%s cannot listen on %s:%d: %s", shop.version, host, port, error.strerror)
        return 2
    log.info("version=%s listening on %s:%d", shop.version, host, bound)
    await stop.wait()
    cut = await server.drain(grace_s)
    log.info("version=%s stopped, %d requests cut off", shop.version, cut)
    return 1 if cut else 0


async def _prepared(shop: Shop, stop: asyncio.Event) -> bool:
    """Whether the shop got ready before it was told to stop."""
    preparing = asyncio.ensure_future(shop.prepare())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    ready = preparing.done()
    for task in (preparing, stopping):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return ready
