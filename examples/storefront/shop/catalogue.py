"""What the shop sells: products, stock and carts. Prices are whole cents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

QUANTITY_MAX = 20
CART_LINES_MAX = 12
STOCK_PER_PRODUCT = 500
DELIVERY_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Product:
    """One thing for sale; ``price_cents`` includes tax."""

    id: int
    name: str
    price_cents: int
    description: str


PRODUCTS: tuple[Product, ...] = (
    Product(1, "Enamel mug", 1450, "Holds 350 ml and survives every office move."),
    Product(2, "Linen notebook", 1890, "192 dotted pages that lie flat."),
    Product(3, "Brass pen", 3900, "Heavy, refillable, hard to lose."),
    Product(4, "Wool blanket", 8900, "Merino, 130 by 180 cm."),
    Product(5, "Desk lamp", 6450, "Warm light, one knob."),
    Product(6, "Canvas bag", 2400, "Carries a laptop and the groceries."),
    Product(7, "Oak tray", 3250, "Oiled by hand."),
    Product(8, "Tea tin", 1290, "Airtight, for 125 g of leaves."),
    Product(9, "Pocket knife", 4700, "Two blades and a corkscrew."),
    Product(10, "Cork mat", 2150, "Quiet under keyboards and pans."),
    Product(11, "Wall clock", 5600, "Silent sweep, no numerals."),
    Product(12, "Rain jacket", 12900, "Packs into its own pocket."),
)
BY_ID = {product.id: product for product in PRODUCTS}

Cart = dict[int, int]


class OutOfStockError(Exception):
    """Fewer pieces are left than somebody wants."""


class Inventory:
    """Pieces on the shelf of one instance; every few seconds a delivery fills the shelves again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._deliver()

    def _deliver(self) -> None:
        self._left = dict.fromkeys(BY_ID, STOCK_PER_PRODUCT)
        self._next_delivery = self._clock() + DELIVERY_EVERY_S

    def left(self, product_id: int) -> int:
        """Pieces that can be bought now."""
        if self._clock() >= self._next_delivery:
            self._deliver()
        return self._left[product_id]

    def take(self, cart: Cart) -> None:
        """Take a whole cart off the shelves, or nothing.

        Raises: OutOfStockError naming the product there is too little of.
        """
        for product_id, quantity in cart.items():
            if self.left(product_id) < quantity:
                raise OutOfStockError(f"only {self.left(product_id)} of {BY_ID[product_id].name} are left")
        for product_id, quantity in cart.items():
            self._left[product_id] -= quantity

    def give_back(self, cart: Cart) -> None:
        """Put a cart back that was not paid for."""
        for product_id, quantity in cart.items():
            self._left[product_id] = min(STOCK_PER_PRODUCT, self._left[product_id] + quantity)


def read_cart(text: str) -> Cart:
    """The cart in a cookie such as ``3x1.7x2`` (product x quantity).

    A cart that makes no sense is an empty cart: an old cookie must not lock a customer out.
    """
    cart: Cart = {}
    for line in text.split(".")[:CART_LINES_MAX]:
        product_text, _, quantity_text = line.partition("x")
        if not (_is_small_number(product_text) and _is_small_number(quantity_text)):
            return {}
        product_id, quantity = int(product_text), int(quantity_text)
        if product_id not in BY_ID or not 1 <= quantity <= QUANTITY_MAX:
            return {}
        cart[product_id] = quantity
    return cart


def _is_small_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def write_cart(cart: Cart) -> str:
    """The cookie text of a cart."""
    return ".".join(f"{product_id}x{quantity}" for product_id, quantity in cart.items())


def total_cents(cart: Cart) -> int:
    """The price of a cart in cents."""
    return sum(BY_ID[product_id].price_cents * quantity for product_id, quantity in cart.items())
