"""The shop itself: which address does what."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable

from .catalogue import (
    BY_ID,
    CART_LINES_MAX,
    PRODUCTS,
    QUANTITY_MAX,
    Cart,
    Inventory,
    OutOfStockError,
    Product,
    read_cart,
    total_cents,
    write_cart,
)
from .page import catalogue_page
from .upstream import Upstream
from .wire import Answer, HttpError, Request, error_answer, json_answer

CART_COOKIE = "shop-cart"
CART_LIFETIME_S = 86_400
ERROR_LINES_PER_S = 10

log = logging.getLogger("storefront")
Route = Callable[[Request], Awaitable[Answer]]


class Shop:
    """One instance of the shop. A version subclasses it, or gives it another :class:`Upstream`.

    The cart lives in the customer's cookie, so that it survives a move to another instance or version;
    the stock is in memory and belongs to the instance.
    """

    has_search = False

    def __init__(self, version: str, upstream: Upstream) -> None:
        self.version = version
        self.upstream = upstream
        self.draining: Callable[[], bool] = lambda: False
        self._inventory = Inventory(time.monotonic)
        self._started = time.monotonic()
        self._orders = 0
        self._error_lines = (0, 0)
        self.routes: dict[tuple[str, str], Route] = {
            ("GET", "/healthz"): self.health,
            ("GET", "/"): self.home,
            ("GET", "/api/products"): self.list_products,
            ("GET", "/api/products/{id}"): self.show_product,
            ("GET", "/api/cart"): self.show_cart,
            ("POST", "/api/cart"): self.change_cart,
            ("POST", "/api/checkout"): self.checkout,
        }

    async def prepare(self) -> None:
        """What must be done before the shop can listen; this one needs nothing."""

    async def handle(self, request: Request) -> Answer:
        """Answer any request; what goes wrong becomes an answer too."""
        try:
            return await self._route(request)(request)
        except HttpError as error:
            return error_answer(error)
        except Exception as error:  # noqa: BLE001 - the boundary: a bug in one request must not end the connection
            self._log_bug(request, error)
            return json_answer({"error": "internal error"}, 500)

    def _route(self, request: Request) -> Route:
        path = "/api/products/{id}" if request.path.startswith("/api/products/") else request.path
        method = "GET" if request.method == "HEAD" else request.method
        route = self.routes.get((method, path))
        if route is not None:
            return route
        allowed = sorted(verb for verb, known in self.routes if known == path)
        if not allowed:
            raise HttpError(404, "no such page")
        if "GET" in allowed:
            allowed.insert(1, "HEAD")
        raise HttpError(405, f"{request.method} is not possible here", headers=(("Allow", ", ".join(allowed)),))

    def _log_bug(self, request: Request, error: Exception) -> None:
        """Log a bug, at most a few lines a second: a broken version must not fill the disk."""
        second = int(time.monotonic())
        lines = self._error_lines[1] if self._error_lines[0] == second else 0
        self._error_lines = (second, lines + 1)
        if lines < ERROR_LINES_PER_S:
            log.error("%s %s answered 500: %s: %s", request.method, request.path[:100], type(error).__name__, error)

    async def health(self, _request: Request) -> Answer:
        """Whether this instance may get traffic: 200, or 503 while it is stopping."""
        draining = self.draining()
        body = {
            "status": "draining" if draining else "ok",
            "version": self.version,
            "uptime_s": round(time.monotonic() - self._started, 3),
            "pid": os.getpid(),
        }
        return json_answer(body, 503 if draining else 200)

    async def home(self, _request: Request) -> Answer:
        """The catalogue as a page for people."""
        await self.upstream.ask("price")
        return Answer(200, catalogue_page(self.version, PRODUCTS, with_search=self.has_search), "text/html; charset=utf-8")

    async def list_products(self, request: Request) -> Answer:
        """A part of the catalogue: ``limit`` products after the first ``offset``."""
        limit, offset = _number(request, "limit", 20), _number(request, "offset", 0)
        await self.upstream.ask("price")
        chosen = PRODUCTS[offset : offset + limit]
        return json_answer({"products": [self.product_json(p) for p in chosen], "total": len(PRODUCTS)})

    async def show_product(self, request: Request) -> Answer:
        """One product."""
        text = request.path.removeprefix("/api/products/")
        product = BY_ID.get(int(text)) if text.isascii() and text.isdigit() and len(text) <= 9 else None
        if product is None:
            raise HttpError(404, "no such product")
        await self.upstream.ask("price")
        return json_answer({**self.product_json(product), "description": product.description})

    def product_json(self, product: Product) -> dict[str, object]:
        """A product as lists show it."""
        return {"id": product.id, "name": product.name, "price_cents": product.price_cents, "left": self._inventory.left(product.id)}

    async def show_cart(self, request: Request) -> Answer:
        """The customer's cart."""
        cart = read_cart(request.cookie(CART_COOKIE))
        await self.upstream.ask("price")
        return json_answer(_cart_json(cart))

    async def change_cart(self, request: Request) -> Answer:
        """Set how many pieces of a product are in the cart; quantity 0 takes it out."""
        product_id, quantity = _cart_line(request.json_object())
        cart = read_cart(request.cookie(CART_COOKIE))
        cart.pop(product_id, None)
        if quantity:
            cart[product_id] = quantity
        if len(cart) > CART_LINES_MAX:
            raise HttpError(400, f"a cart holds {CART_LINES_MAX} different products")
        await self.upstream.ask("price")
        return json_answer(_cart_json(cart), headers=(_cart_cookie(cart),))

    async def checkout(self, request: Request) -> Answer:
        """Buy the cart: 201 with an order, 409 when stock is short, 503 when the payment did not go through."""
        cart = read_cart(request.cookie(CART_COOKIE))
        if not cart:
            raise HttpError(400, "the cart is empty")
        try:
            self._inventory.take(cart)
        except OutOfStockError as error:
            raise HttpError(409, str(error)) from error
        try:
            await self.upstream.ask("payment")
        except (Exception, asyncio.CancelledError):
            self._inventory.give_back(cart)
            raise
        self._orders += 1
        body = {"order_id": f"{os.getpid()}-{self._orders}", "total_cents": total_cents(cart)}
        return json_answer(body, 201, headers=(_cart_cookie({}),))


def _number(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise HttpError(400, f"{name} must be a number from 0 to 9999")
    return int(text)


def _cart_line(fields: dict[str, object]) -> tuple[int, int]:
    product_id, quantity = fields.get("product_id"), fields.get("quantity", 1)
    if type(product_id) is not int or type(quantity) is not int:
        raise HttpError(400, "product_id and quantity must be whole numbers")
    if product_id not in BY_ID:
        raise HttpError(404, "no such product")
    if not 0 <= quantity <= QUANTITY_MAX:
        raise HttpError(400, f"quantity must be from 0 to {QUANTITY_MAX}")
    return product_id, quantity


def _cart_json(cart: Cart) -> dict[str, object]:
    lines = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in cart.items()]
    return {"lines": lines, "total_cents": total_cents(cart)}


def _cart_cookie(cart: Cart) -> tuple[str, str]:
    lifetime_s = CART_LIFETIME_S if cart else 0
    return "Set-Cookie", f"{CART_COOKIE}={write_cart(cart)}; Path=/; Max-Age={lifetime_s}; HttpOnly; SameSite=Lax"


class ShopWithSearch(Shop):
    """The shop since 1.1.0: customers can search the catalogue."""

    has_search = True

    def __init__(self, version: str, upstream: Upstream) -> None:
        super().__init__(version, upstream)
        self.routes["GET", "/api/search"] = self.search

    async def search(self, request: Request) -> Answer:
        """Products whose name or description contains every word of ``q``."""
        words = request.query.get("q", "").casefold().split()
        if not words or sum(map(len, words)) > 100:
            raise HttpError(400, "q must hold 1 to 100 letters")
        await self.upstream.ask("price")
        found = [p for p in PRODUCTS if all(word in f"{p.name} {p.description}".casefold() for word in words)]
        return json_answer({"products": [self.product_json(p) for p in found], "total": len(found)})
