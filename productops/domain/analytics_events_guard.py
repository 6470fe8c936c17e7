"""Personal data in free text: what looks like an e-mail address, a phone or card number, or an IP address, and what is put in its place."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, Final

# A text without any of these has nothing to look for; it is asked of every event, so it is cheap and says yes too often.
SUSPICIOUS: Final = re.compile(
    r"@|\d[ .()-]?\d[ .()-]{0,2}\d[ .()-]{0,2}\d[ .()-]?\d[ .()-]?\d[ .()-]{0,2}\d|\d\.\d{1,3}\.\d|[0-9a-fA-F]?:[0-9a-fA-F]{0,4}:"
)
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
# 13 to 19 digits, alone or in groups.
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])")
# International with a plus, or written in groups as people do; a plain row of digits is an order number.
_PHONE = re.compile(
    r"(?<![\w.+-])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){1,4}"
    r"|\(0?\d{2,4}\)[ .-]?\d{3,4}[ .-]?\d{3,4}"
    r"|0\d{1,3}[ .-]\d{3,4}[ .-]?\d{3,4}"
    r"|\d{3}[ .-]\d{3}[ .-]\d{4})(?![\w-])"
)
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_IPV6 = re.compile(r"(?<![\w:])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])")
_PERSON = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+\d[\d ().-]{6,}")
NEVER: Final = frozenset({"ip", "$ip", "ip_address", "ipAddress", "remote_ip", "remoteIp", "client_ip"})
Hash = Callable[[str], str]


def looks_personal(key: str) -> bool:
    """Whether a user id is an e-mail address or an international phone number."""
    return _PERSON.fullmatch(key) is not None


def canonical(key: str) -> str:
    """The one way of writing an address, before it is hashed."""
    return key.strip().lower()


def guarded(value: Any, put: Hash | None) -> Any:
    """A JSON value whose texts hold nothing personal: ``put`` gives what stands in its place, None: only what it was.

    IP addresses are never kept, not even hashed: there are so few that a hash hides nothing.
    """
    if isinstance(value, str):
        return guarded_text(value, put) if SUSPICIOUS.search(value) else value
    if isinstance(value, dict):
        return {key: guarded(each, put) for key, each in value.items()}
    if isinstance(value, list):
        return [guarded(each, put) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**12 and _is_card(str(value)):
        return guarded_text(str(value), put)
    return value


def without_addresses(value: Any) -> Any:
    """A JSON value without IP addresses in its texts; the rest stays."""
    if isinstance(value, str):
        return _without_ip(value) if SUSPICIOUS.search(value) else value
    if isinstance(value, dict):
        return {key: without_addresses(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_addresses(each) for each in value]
    return value


def guarded_text(text: str, put: Hash | None) -> str:
    """One text."""

    def stand_in(kind: str) -> Callable[[re.Match[str]], str]:
        return lambda found: f"<{kind}:{put(canonical(found.group()))}>" if put is not None else f"<{kind}>"

    text = _EMAIL.sub(stand_in("email"), text)
    text = _without_ip(text)
    card = stand_in("card")
    text = _CARD.sub(lambda found: card(found) if _is_card(found.group()) else found.group(), text)
    return _PHONE.sub(stand_in("phone"), text)


def _without_ip(text: str) -> str:
    text = _IPV4.sub(lambda found: "<ip>" if _is_ip(found.group()) else found.group(), text)
    return _IPV6.sub(lambda found: "<ip>" if _is_ip(found.group()) else found.group(), text)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_card(text: str) -> bool:
    """Whether the check digit fits. Source: ISO/IEC 7812-1, annex B (Luhn)."""
    digits = [int(each) for each in text if each.isdigit()]
    if not 13 <= len(digits) <= 19 or digits[0] not in {2, 3, 4, 5, 6} or len(set(digits)) == 1:
        return False
    doubled = (2 * each - 9 * (each > 4) for each in digits[-2::-2])
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0
