"""What the shop has grown into: it asks a payments service, has a new checkout behind a flag, and keeps a journal of orders on disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

from shop.app import ShopWithSearch
from shop.upstream import Upstream
from shop.wire import Answer, HttpError, Request

FLAG_EVERY_S = 0.5
ASK_TIMEOUT_S = 2.0
PRICES_WITH_VOUCHERS = 0.4
NEW_CHECKOUT_MISSES = 0.4

log = logging.getLogger("storefront")


class Dependencies(Upstream):
    """Payments answer each checkout, and two of five pages, whose prices have vouchers. ``SHOP_PAYMENTS``: host:port, empty for none."""

    def __init__(self, seed: str | None) -> None:
        super().__init__(seed)
        self._host, _, port = os.environ.get("SHOP_PAYMENTS", "").partition(":")
        self._port = int(port or 0)

    async def ask(self, what: str, *, answers: int = 1) -> float:
        """Ask as before, and payments where they have a say."""
        spent_s = await super().ask(what, answers=answers)
        if self._port and (what == "payment" or self.chance.random() < PRICES_WITH_VOUCHERS):
            began = time.monotonic()
            try:
                await asyncio.wait_for(self._pay(), ASK_TIMEOUT_S)
            except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError) as error:
                raise HttpError(503, f"payments did not answer: {type(error).__name__}") from error
            spent_s += time.monotonic() - began
        return spent_s

    async def _pay(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(b"GET /pay HTTP/1.1\r\nHost: payments.localhost\r\nConnection: close\r\n\r\n")
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise ValueError(head.split(b"\r\n", 1)[0].decode("latin-1"))
        finally:
            writer.close()


class Shop(ShopWithSearch):
    """With ``SHOP_FLAGS`` (OFREP address) and ``SHOP_TOKEN_FILE`` it asks for ``new-checkout``; with ``SHOP_JOURNAL`` it writes orders.

    The new checkout is a bad idea: it looks products up in a table that misses four of ten.
    """

    def __init__(self, version: str, upstream: Upstream) -> None:
        super().__init__(version, upstream)
        self._new_checkout = False
        self._journal = os.environ.get("SHOP_JOURNAL", "")
        self._asking: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Begin to follow the flag."""
        address, token_file = os.environ.get("SHOP_FLAGS", ""), os.environ.get("SHOP_TOKEN_FILE", "")
        if address and token_file:
            self._asking = asyncio.get_running_loop().create_task(self._follow(address, Path(token_file)))

    async def _follow(self, address: str, token_file: Path) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError, urllib.error.URLError):  # while nobody answers, the last answer holds
                self._new_checkout = await asyncio.to_thread(_is_on, address, token_file)
            await asyncio.sleep(FLAG_EVERY_S)

    async def handle(self, request: Request) -> Answer:
        """Answer as before; the new checkout is asked first."""
        if self._new_checkout and request.path != "/healthz" and self.upstream.chance.random() < NEW_CHECKOUT_MISSES:
            log.error("%s %s answered 500: KeyError: 'new-checkout: no such product'", request.method, request.path[:100])
            return Answer(500, b'{"error": "internal error"}', "application/json")
        return await super().handle(request)

    async def change_cart(self, request: Request) -> Answer:
        """Keep the cart in the journal, too."""
        answer = await super().change_cart(request)
        self._keep("cart")
        return answer

    async def checkout(self, request: Request) -> Answer:
        """An order that is not in the journal is none."""
        answer = await super().checkout(request)
        self._keep("order")
        return answer

    def _keep(self, what: str) -> None:
        if self._journal:
            with Path(self._journal).open("a", encoding="utf-8") as file:
                file.write(f"{time.time():.3f} {what}\n")


def _is_on(address: str, token_file: Path) -> bool:
    request = urllib.request.Request(  # noqa: S310 - our own API on loopback
        f"{address}/ofrep/v1/evaluate/flags/new-checkout", data=json.dumps({"context": {"targetingKey": "shop"}}).encode(),
        headers={"Authorization": f"Bearer {token_file.read_text().strip()}", "Content-Type": "application/json"}, method="POST",
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=1) as answer:  # noqa: S310
        return bool(json.load(answer).get("value") is True)
