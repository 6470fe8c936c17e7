"""A request that carries an idempotency key takes effect once; whoever repeats it gets the first answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

KEPT = timedelta(hours=24)
# A program that dies in the middle of a request leaves its claim behind; after this long another may try.
CLAIM_HELD = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered: HTTP status, headers worth repeating, and the body as the caller's key encrypted it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What is known of a key. ``answer`` is None while the request is under way."""

    fingerprint: str
    claim: str
    created_at: datetime
    answer: StoredAnswer | None

    def is_over(self, *, now: datetime) -> bool:
        """Whether the key is free again: its day is over, or nobody will answer any more."""
        return now - self.created_at >= (KEPT if self.answer else CLAIM_HELD)
