"""Storefront 1.4.0: slow answers are asked for again. A bad version: same median, twice the p99 latency."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shop.app import ShopWithSearch
from shop.main import run
from shop.upstream import Upstream

SLOW_S = 0.010


class ImpatientUpstream(Upstream):
    """Takes an answer that needed more than 10 ms for lost and asks again.

    The bug: it waits for the first answer before it sends the second question, which takes just as long.
    So nine requests in ten stay as they were, and the slow tenth takes twice its time.
    """

    async def ask(self, what: str, *, answers: int = 1) -> float:
        """Ask, and ask again when it was slow."""
        spent_s = await super().ask(what, answers=answers)
        if spent_s > SLOW_S:
            await asyncio.sleep(spent_s)
            spent_s *= 2
        return spent_s


if __name__ == "__main__":
    run(lambda seed: ShopWithSearch("1.4.0", ImpatientUpstream(seed)))
