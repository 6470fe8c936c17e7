"""Storefront 1.5.0: reads a migration before it starts. A bad version: the file was never packed, so it never listens."""

import asyncio
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shop.app import ShopWithSearch
from shop.main import run
from shop.upstream import Upstream

MIGRATION = Path(__file__).with_name("migrations") / "0007_loyalty_points.sql"
RETRY_S_FIRST = 0.5
RETRY_S_MAX = 5.0

log = logging.getLogger("storefront")


class ShopWithLoyaltyPoints(ShopWithSearch):
    """Wants the table of loyalty points before it takes customers.

    The bug: the migrations folder is not part of the release, so the wait never ends.
    """

    async def prepare(self) -> None:
        """Read the migration; try again while it is missing."""
        wait_s, attempt = RETRY_S_FIRST, 1
        while not MIGRATION.is_file():
            log.error(
                "version=%s migration missing: cannot read %s (table loyalty_points does not exist); attempt %d, next in %.1f s",
                self.version,
                MIGRATION.relative_to(MIGRATION.parents[1]),
                attempt,
                wait_s,
            )
            await asyncio.sleep(wait_s)
            wait_s, attempt = min(RETRY_S_MAX, wait_s * 2), attempt + 1


if __name__ == "__main__":
    run(lambda seed: ShopWithLoyaltyPoints("1.5.0", Upstream(seed)))
