"""Secrets taken out of texts: by how they look, and by what this process knows to be one."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

BLANK = "***"
SECRET_WORDS = ("token", "password", "passwd", "secret", "authorization", "cookie", "api_key", "apikey", "auth_string")
# A known secret that is shorter would blank ordinary words.
KNOWN_CHARACTERS_MIN = 8

_LOOKS = (
    # user:password@ of any URL; the user stays, it says which account was meant
    (re.compile(r"(?P<keep>[a-z][a-z0-9+.-]*://[^\s/:@'\"]*:)[^\s@'\"]+(?=@)", re.IGNORECASE), r"\g<keep>" + BLANK),
    # a digit, a stroke or padding tells a credential from the next word of a sentence
    (re.compile(r"\b(?P<keep>bearer|basic)\s+(?!realm=)(?=[^\s]*[0-9=_])[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), r"\g<keep> " + BLANK),
    (re.compile(r"\bpo_[0-9a-f]{8,}_[A-Za-z0-9_-]{4,}"), "po_" + BLANK),
    (re.compile(r"(?P<keep>/login\?code=)[A-Za-z0-9_-]+"), r"\g<keep>" + BLANK),
    (
        re.compile(
            r"(?P<keep>\b(?:[a-z]+_)*(?:password|passwd|secret|token|api_?key|auth_string)\b['\"]?\s*[=:]\s*['\"]?)(?!\*\*\*)[^\s'\",;&}]{6,}",
            re.IGNORECASE,
        ),
        r"\g<keep>" + BLANK,
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), BLANK),  # a JSON Web Token
)
# What every pattern above needs; a text without any of it is left alone.
_HINTS = ("://", "bearer", "basic", "po_", "code=", "passw", "secret", "token", "api", "auth_string", "eyj")
_known: set[str] = set()
_known_pattern: re.Pattern[str] | None = None


def know_secrets(secrets: Iterable[str | None]) -> None:
    """Blank these from now on in this process, in clear, percent-encoded, and as Base64 of themselves. Short ones are left out."""
    global _known_pattern  # noqa: PLW0603 - one process has one set of secrets, and every text passes here
    for secret in secrets:
        if secret and len(secret) >= KNOWN_CHARACTERS_MIN:
            _known.update({secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()})
    longest_first = sorted(_known, key=len, reverse=True)
    _known_pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def password_of(url: str) -> str | None:
    """The password in a URL; None when there is none."""
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def redact(text: str) -> str:
    """``text`` without secrets; everything else stays as it is."""
    if _known_pattern is not None:
        text = _known_pattern.sub(BLANK, text)
    for pattern, instead in _LOOKS:
        text = pattern.sub(instead, text)
    return text


def redact_line(text: str) -> str:
    """``redact`` for thousands of lines a second: most have nothing in them that could be a secret, which one look tells."""
    if _known_pattern is not None:
        text = _known_pattern.sub(BLANK, text)
    small = text.lower()
    return redact(text) if any(hint in small for hint in _HINTS) else text


def redact_value(value: Any) -> Any:
    """The same for nested lists and mappings; the values of keys that name secrets are blanked whole when they are texts."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: BLANK if names_secret(key) and isinstance(each, (str, bytes)) else redact_value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_value(each) for each in value]
    return value


def names_secret(key: object) -> bool:
    """Whether what stands under this key is a secret by its name; ids and names of tokens are none."""
    word = str(key).lower()
    return any(each in word for each in SECRET_WORDS) and not word.endswith(("_id", "_name", "_kind", "_path", "_file"))
