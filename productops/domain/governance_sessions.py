"""A browser that is logged in, and what its log-in came from."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

LINK_LIFE = timedelta(seconds=60)
ATTEMPT_LIFE = timedelta(minutes=10)
# A session whose use is written down this rarely costs next to nothing, and ends at most that much too early.
NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """``way``: ``link`` or ``oidc``. ``token_id``: the session may do no more than that token, and ends with it."""

    id: str
    principal: str
    token_id: str | None
    way: str
    browser: str
    began_at: datetime
    used_at: datetime
    ended_at: datetime | None

    def lives(self, *, now: datetime, idle: timedelta) -> bool:
        """Whether it was neither ended nor left alone for ``idle``."""
        return self.ended_at is None and now - self.used_at < idle


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A log-in under way at the identity provider. ``target``: the path to open afterwards."""

    nonce: str
    verifier: str
    target: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who started a flow run. ``token_id``: with that token, so they may do no more than it."""

    principal: str
    token_id: str | None
    at: datetime


def new_secret() -> str:
    """256 random bits, as text that fits into addresses and cookies."""
    return secrets.token_urlsafe(32)


def hash_of_secret(secret: str) -> str:
    """SHA-256, hexadecimal; what the store keeps in place of a secret with 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def safe_target(path: str) -> str:
    """Where a log-in may lead: a path of ours. Anything else is the first page."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if plain and len(path) <= 2000 else "/"
