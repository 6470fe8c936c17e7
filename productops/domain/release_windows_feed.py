"""What a feed of changes tells, and the link that lets its holder read one feed and nothing else."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from productops.domain.release import Environment

PATH = "/calendars"


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One event of the feed. ``status`` as iCalendar has it: CONFIRMED, TENTATIVE or CANCELLED."""

    uid: str
    title: str
    description: str
    starts_at: datetime
    ends_at: datetime
    changed_at: datetime
    categories: tuple[str, ...]
    status: str


def feed_key(token: str, venture: str, environment: Environment) -> str:
    """HMAC-SHA256 of the feed's name under the API's token, 32 hexadecimal digits: it tells nothing about the token."""
    return hmac.new(token.encode(), f"calendar:{venture}/{environment.value}".encode(), hashlib.sha256).hexdigest()[:32]


def feed_path(token: str, venture: str, environment: Environment) -> str:
    """Path and key of a feed; behind the API's address it is what one subscribes to."""
    return f"{PATH}/{venture}/{environment.value}.ics?key={feed_key(token, venture, environment)}"
