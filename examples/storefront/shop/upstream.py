"""The services behind the shop (prices, payment): their answers take time, and now and then one fails."""

from __future__ import annotations

import asyncio
import math
from random import Random

from .wire import HttpError

LATENCY_MS_MEDIAN = 3.0
LATENCY_MS_P99 = 24.0
LATENCY_MS_MAX = 400.0
FAILURE_SHARE = 0.005

_STANDARD_NORMAL_P99 = 2.326
_MU = math.log(LATENCY_MS_MEDIAN)
_SIGMA = math.log(LATENCY_MS_P99 / LATENCY_MS_MEDIAN) / _STANDARD_NORMAL_P99


class Upstream:
    """Stands in for the network: latency is log-normal, failures are independent.

    Latency and failures draw from generators of their own, so that with a seed the number of failures in N requests
    does not depend on the order in which requests overlap. ``chance`` is for whatever else a version leaves to chance.
    """

    def __init__(self, seed: str | None) -> None:
        self._delays = Random(None if seed is None else f"{seed} delays")
        self._failures = Random(None if seed is None else f"{seed} failures")
        self.chance = Random(None if seed is None else f"{seed} chance")

    async def ask(self, what: str, *, answers: int = 1) -> float:
        """Ask for ``what`` and return the seconds it took; ``answers`` are fetched side by side and all are needed.

        Raises: HttpError 503 when an answer is missing.
        """
        delay_s = min(self._delays.lognormvariate(_MU, _SIGMA), LATENCY_MS_MAX) / 1000
        await asyncio.sleep(delay_s)
        missing = sum(self._failures.random() < FAILURE_SHARE for _ in range(answers))
        if missing:
            raise HttpError(503, f"the {what} service did not answer")
        return delay_s
