"""Storefront 1.1.0: customers can search the catalogue. A good version."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shop.app import ShopWithSearch
from shop.main import run
from shop.upstream import Upstream

if __name__ == "__main__":
    run(lambda seed: ShopWithSearch("1.1.0", Upstream(seed)))
