"""Storefront 2.1.0: keeps connections to the price service. A bad version: it never gives them back, and after a while has none."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "storefront"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from grown import Dependencies, Shop
from shop.main import run

LASTS_S = float(os.environ.get("SHOP_LEAK_S", "8"))


class Leaking(Dependencies):
    """Every instance is well for ``SHOP_LEAK_S`` seconds after its first request, longer than a short rollout looks at it."""

    def __init__(self, seed: str | None) -> None:
        super().__init__(seed)
        self._first: float | None = None

    async def ask(self, what: str, *, answers: int = 1) -> float:
        """Ask as before, while there are connections."""
        self._first = self._first or time.monotonic()
        if time.monotonic() - self._first > LASTS_S and self.chance.random() < 0.4:
            raise RuntimeError("connection pool exhausted: 100 of 100 in use")
        return await super().ask(what, answers=answers)


if __name__ == "__main__":
    run(lambda seed: Shop("2.1.0", Leaking(seed)))
