"""Storefront 1.0.0: catalogue, cart and checkout. A good version."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shop.app import Shop
from shop.main import run
from shop.upstream import Upstream

if __name__ == "__main__":
    run(lambda seed: Shop("1.0.0", Upstream(seed)))
