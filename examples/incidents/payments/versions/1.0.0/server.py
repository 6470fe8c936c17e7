"""Payments 1.0.0: says yes to every payment. A good version."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "storefront"))

from shop.app import Shop
from shop.main import run
from shop.upstream import Upstream
from shop.wire import Answer, Request, json_answer


class Payments(Shop):
    """One address, ``/pay``."""

    def __init__(self, version: str, upstream: Upstream) -> None:
        super().__init__(version, upstream)
        self.routes["GET", "/pay"] = self.pay

    async def pay(self, _request: Request) -> Answer:
        """Yes, after a moment."""
        await self.upstream.ask("bank")
        return json_answer({"paid": True})


if __name__ == "__main__":
    run(lambda seed: Payments("1.0.0", Upstream(seed)))
