"""How often a caller may ask, and how often an address may be wrong: token buckets of one process."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass

BUCKETS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Left:
    """What remains after a request: whole requests, and seconds until one more (``retry_s`` 0 while there are any)."""

    requests: int
    retry_s: int
    allowed: bool


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """A bucket for each name; it holds ``burst`` and is filled by ``per_s`` a second. Used by one event loop."""

    def __init__(self, *, per_s: float, burst: int) -> None:
        self.per_s, self.burst = per_s, burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str) -> Left:
        """Count one request."""
        return self._look(name, take=True)

    def line_up(self, name: str, *, longest_s: float) -> tuple[float, Left]:
        """Count one request that waits for its turn: for so many seconds, in a line that takes ``longest_s`` at most."""
        left = self._look(name, take=False)
        bucket = self._buckets[name]
        wait_s = max(0.0, (1 - bucket.tokens) / self.per_s)
        if wait_s > longest_s:
            return wait_s, left
        bucket.tokens -= 1
        return wait_s, Left(max(0, int(bucket.tokens)), 0, allowed=True)

    def peek(self, name: str) -> Left:
        """What there is, uncounted."""
        return self._look(name, take=False)

    def _look(self, name: str, *, take: bool) -> Left:
        now = time.monotonic()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(float(self.burst), now)
            if len(self._buckets) > BUCKETS_MAX:  # whoever has been silent for longest has a full bucket again
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        bucket.tokens = min(float(self.burst), bucket.tokens + (now - bucket.at) * self.per_s)
        bucket.at = now
        if bucket.tokens < 1:
            return Left(0, max(1, math.ceil((1 - bucket.tokens) / self.per_s)), allowed=False)
        if take:
            bucket.tokens -= 1
        return Left(int(bucket.tokens), 0, allowed=True)

    @property
    def policy(self) -> str:
        """The limit in the words of the header ``RateLimit-Policy``: quota and window in seconds."""
        return f'"requests";q={self.burst};w={max(1, math.ceil(self.burst / self.per_s))}'

    def header(self, left: Left) -> str:
        """What is left in the words of the header ``RateLimit``."""
        missing_s = math.ceil((self.burst - left.requests) / self.per_s)
        return f'"requests";r={left.requests};t={max(0, missing_s)}'
