"""Counts against what is usual: how improbable is it that so many of so many failed, or that so few came?

All bounds are Chernoff's: never too small a probability, at any size, without tables. Source: Boucheron, Lugosi, Massart, Concentration
Inequalities (2013), sections 2.2 and 2.7.
"""

from __future__ import annotations

import math


def rarity_of_failures(failures: int, requests: int, usual: float) -> float:
    """-log10 of the probability of at least so many failures when each request fails with probability ``usual`` in (0, 1)."""
    if requests <= 0 or failures <= usual * requests:
        return 0.0
    seen = min(failures / requests, 1.0)
    nats = seen * math.log(seen / usual)
    if seen < 1.0:
        nats += (1.0 - seen) * math.log((1.0 - seen) / (1.0 - usual))
    return requests * nats / math.log(10.0)


def rarity_of_few(count: float, expected: float, *, dispersion: float = 1.0) -> float:
    """-log10 of the probability of so few events when ``expected`` are usual; ``dispersion`` >= 1 is variance over mean."""
    if count >= expected:
        return 0.0
    nats = expected - count + (count * math.log(count / expected) if count > 0 else 0.0)
    return nats / max(dispersion, 1.0) / math.log(10.0)
