"""Who may call: one bearer token, and an address that only this machine reaches unless a token was chosen."""

from __future__ import annotations

import hmac

from productops.adapters.token_file import read_or_create
from productops.domain.evidence_link import PATH as EVIDENCE_PATH
from productops.domain.evidence_link import evidence_key
from productops.domain.release_windows_feed import PATH as CALENDAR_PATH
from productops.settings import Settings

# Pages of evidence and calendar feeds check a key of their own.
PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/errors"})


def chosen_token(settings: Settings) -> str:
    """The token that callers must present: the set one, else that of the token file (only on loopback, the settings see to that).

    Raises: SettingsError when the file cannot be made or trusted.
    """
    token = settings.api_token.get_secret_value().strip() if settings.api_token else ""
    return token or read_or_create(settings.home)


def is_public(path: str) -> bool:
    """Whether a path needs no bearer token."""
    return path in PUBLIC_PATHS or path.startswith((f"{EVIDENCE_PATH}/", f"{CALENDAR_PATH}/"))


def is_evidence_key(key: str, token: str, release_id: str) -> bool:
    """Whether ``key`` is that of this release's evidence; takes the same time for every wrong key."""
    return hmac.compare_digest(key.encode("utf-8", "surrogateescape"), evidence_key(token, release_id).encode())


def is_authorised(authorization: str | None, token: str) -> bool:
    """Whether an ``Authorization`` header carries the token; takes the same time for every wrong token."""
    scheme, _, given = (authorization or "").partition(" ")
    presented = given.strip().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(presented, token.encode()) and scheme.lower() == "bearer"
