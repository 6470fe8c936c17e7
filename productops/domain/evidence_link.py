"""A link that lets its holder read the evidence of one release, and nothing else."""

from __future__ import annotations

import hashlib
import hmac

PATH = "/evidence"


def evidence_key(token: str, release_id: str) -> str:
    """HMAC-SHA256 of the release under the API's token, 32 hexadecimal digits: it tells nothing about the token."""
    return hmac.new(token.encode(), f"evidence:{release_id}".encode(), hashlib.sha256).hexdigest()[:32]


def evidence_url(api_url: str, token: str, release_id: str) -> str:
    """Where a person reads it in a browser."""
    return f"{api_url}{PATH}/{release_id}?key={evidence_key(token, release_id)}"
