"""Storefront 2.0.0: with payments, a flag and a journal. A good version."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "storefront"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from grown import Dependencies, Shop
from shop.main import run

if __name__ == "__main__":
    run(lambda seed: Shop("2.0.0", Dependencies(seed)))
