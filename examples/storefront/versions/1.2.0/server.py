"""Storefront 1.2.0: prices come from a cache in ten shards. A bad version: three requests in ten answer 500."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shop.app import ShopWithSearch
from shop.main import run
from shop.upstream import Upstream

SHARDS = 10


class ShardedPriceCache(Upstream):
    """Spreads the load over ten shards of cached prices.

    The bug: the warm-up fills shards 0 to 6, so a request that lands on 7, 8 or 9 raises KeyError.
    """

    def __init__(self, seed: str | None) -> None:
        super().__init__(seed)
        self._shards = {number: f"prices of shard {number}" for number in range(7)}

    async def ask(self, what: str, *, answers: int = 1) -> float:
        """Ask as before, then read the prices from a shard."""
        spent_s = await super().ask(what, answers=answers)
        self._shards[self.chance.randrange(SHARDS)]
        return spent_s


if __name__ == "__main__":
    run(lambda seed: ShopWithSearch("1.2.0", ShardedPriceCache(seed)))
