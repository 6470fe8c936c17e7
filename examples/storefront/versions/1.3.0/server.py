"""Storefront 1.3.0: prices in five currencies. A bad version: it fails five times as often, about 2.5 % of requests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shop.app import ShopWithSearch
from shop.main import run
from shop.upstream import Upstream

CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY")


class PricesInEveryCurrency(Upstream):
    """Fetches the price lists of all currencies side by side.

    The bug: it needs all five answers although it shows one, so each of the five can fail the request.
    """

    async def ask(self, what: str, *, answers: int = 1) -> float:
        """Ask once per currency."""
        return await super().ask(what, answers=answers * len(CURRENCIES))


if __name__ == "__main__":
    run(lambda seed: ShopWithSearch("1.3.0", PricesInEveryCurrency(seed)))
