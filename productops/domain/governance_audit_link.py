"""An entry of the audit log without its texts: enough to follow the chain, too little to read what others did.

The hash of an entry covers its texts only by their salted digests. With these in their place the hash can be checked by anybody.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from productops.domain.governance_audit import AuditEntry, actor_ref, entry_hash, text_digests

_FIELDS = ("seq", "at", "actor_ref", "origin", "action", "digests", "previous_hash", "hash")
_DIGEST_CHARACTERS = 192
_quote = json.encoder.encode_basestring_ascii


class AuditLink(NamedTuple):
    """``digests``: those of subject, reason and detail, 192 hexadecimal digits; ``actor_ref`` is the commitment to the actor's name."""

    seq: int
    at: str
    actor_ref: str
    origin: str
    action: str
    digests: str
    previous_hash: str
    hash: str


def link_of(entry: AuditEntry) -> AuditLink:
    """Raises: ValueError for an entry that is not well formed."""
    return AuditLink(
        entry.seq, entry.at, entry.actor_ref, entry.origin, entry.action, text_digests(entry).hex(), entry.previous_hash, entry.hash
    )


def link_hash(link: AuditLink) -> str:
    """What ``link.hash`` has to be; empty when the link is not well formed."""
    header = f"{link.previous_hash}\n{link.seq}\n{link.at}\n{link.actor_ref}\n{link.origin}\n{link.action}\n"
    try:
        digests = bytes.fromhex(link.digests)
    except ValueError:
        return ""
    if len(link.digests) != _DIGEST_CHARACTERS or header.count("\n") != 6:
        return ""
    return hashlib.sha256(header.encode("utf-8", "surrogatepass") + digests).hexdigest()


def link_line(link: AuditLink) -> str:
    """One line, without its end; the same link always gives the same line."""
    texts = "".join(f",{_quote(name)}:{_quote(text)}" for name, text in zip(_FIELDS[1:], map(str, link[1:]), strict=True))
    return f'{{"link":{{"seq":{link.seq}{texts}}}}}'


def parse_link(found: Any) -> AuditLink:
    """What stands under ``link``. Raises: ValueError for what is no link."""
    if not isinstance(found, dict) or tuple(found) != _FIELDS:
        raise ValueError("a link has " + ", ".join(_FIELDS))
    link = AuditLink(**found)
    if type(link.seq) is not int or not all(isinstance(text, str) for text in link[1:]):
        raise ValueError("a link has a number and seven texts")
    return link


def fits(item: AuditEntry | AuditLink) -> bool:
    """Whether an entry, or a link, has the hash that its content gives, and an entry the actor it was written with."""
    if isinstance(item, AuditLink):
        return link_hash(item) == item.hash
    named = not item.actor_salt or actor_ref(item.actor_salt, item.actor) == item.actor_ref
    return named and entry_hash(item) == item.hash
