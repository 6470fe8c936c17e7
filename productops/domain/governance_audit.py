"""The audit log as values: entries, what each hash covers, anchors, and the lines of an export.

An entry's hash covers the hash before it, its own number, time, origin and action, and *commitments* to everything that may name
a person: who acted (``actor_ref``), the subject, the reason and the detail. A commitment is SHA-256 over a random salt and the value.
Whoever erases a value throws its salt away: the commitment stays, the chain still fits, and nobody can find the value by guessing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from productops.errors import InvalidInputError

GENESIS = "0" * 64
TOMBSTONE = "[erased]"
ERASED = "audit.erased"
TEXTS = ("subject", "reason", "detail")
SALT_BYTES = 16
_HEADER_LINES = 6
_WIDTHS = {"actor": 255, "origin": 40, "action": 60, "subject": 255}
# A line without escapes outside the detail, which most are: three times as fast as reading it as JSON.
_PLAIN = re.compile(
    r'\{"seq":([1-9][0-9]*),'
    + ",".join(
        rf'"{name}":({{.*}})' if name == "detail" else rf'"{name}":"([ !#-\[\]-\x7f]*)"'
        for name in (
            "at", "actor", "actor_ref", "actor_salt", "origin", "action", "subject", "reason", "detail", "salt", "erased",
            "previous_hash", "hash",
        )
    )
    + r"\}"
).fullmatch  # fmt: skip
_quote = json.encoder.encode_basestring_ascii
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=str).encode


class AuditEntry(NamedTuple):
    """One entry. ``detail`` is canonical JSON; ``actor`` and ``actor_salt`` are empty when nobody knows the ``actor_ref``.

    ``salt`` is 32 hexadecimal characters. When it is empty, one of the texts was erased and ``erased`` holds as JSON the
    ``salts`` of the texts that are left and the ``digests`` of the others. ``at`` is ISO 8601 in UTC.
    """

    seq: int
    at: str
    actor: str
    actor_ref: str
    actor_salt: str
    origin: str
    action: str
    subject: str
    reason: str
    detail: str
    salt: str
    erased: str
    previous_hash: str
    hash: str

    @property
    def content(self) -> dict[str, Any]:
        """The detail as it was given; keys ``before`` and ``after`` hold the state around a change where there was one."""
        found: dict[str, Any] = json.loads(self.detail)
        return found

    @property
    def erased_texts(self) -> dict[str, str]:
        """Erased text → its digest in hexadecimal. Raises: ValueError when ``erased`` is not what an erasure writes."""
        return _left_over(self.erased)[1] if not self.salt else {}


@dataclass(frozen=True, slots=True)
class Anchor:
    """The newest entry's number and hash at one time, signed. ``key`` is the public key; it and ``signature`` are hexadecimal."""

    seq: int
    hash: str
    at: str
    key: str = ""
    signature: str = ""

    @property
    def message(self) -> bytes:
        """What is signed."""
        return f"productops audit anchor 1\n{self.seq}\n{self.hash}\n{self.at}".encode()

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"seq": self.seq, "hash": self.hash, "at": self.at, "key": self.key, "signature": self.signature}

    def line(self) -> str:
        """One line of an export or of an anchor file, without its end."""
        return _canonical({"anchor": self.document()})


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What a page of the log is asked for; None: whatever. Times include ``since`` and leave ``until`` out."""

    subject: str | None = None
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first, and where the next page begins."""

    items: list[AuditEntry]
    after: tuple[datetime, int] | None


def canonical(detail: Mapping[str, Any]) -> str:
    """JSON with sorted keys, no spaces, in ASCII. Raises: InvalidInputError for what JSON has no word for."""
    try:
        return _canonical(dict(detail))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"the detail of an audit entry is no JSON: {error}") from error


def checked(**texts: str) -> None:
    """Raises: InvalidInputError for a text that is too long for its column or would blur the borders between hashed values."""
    for name, text in texts.items():
        if len(text) > _WIDTHS[name]:
            raise InvalidInputError(f"the {name} of an audit entry has {len(text)} characters; {_WIDTHS[name]} fit")
        if "\n" in text and name in {"origin", "action"}:
            raise InvalidInputError(f"the {name} of an audit entry has a line break")


def clean(text: str) -> str:
    """The text as every database keeps it: NUL and lone surrogates in their backslash form."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def actor_ref(salt: str, name: str) -> str:
    """The commitment to a name."""
    return hashlib.sha256(f"{salt}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()


def salts_of(salt: str) -> tuple[bytes, bytes, bytes]:
    """The salts of subject, reason and detail; they cannot be turned back into ``salt`` nor into one another."""
    wide = hashlib.blake2b(bytes.fromhex(salt)).digest()
    return wide[:16], wide[16:32], wide[32:48]


def entry_hash(entry: AuditEntry) -> str:
    """What ``entry.hash`` has to be, from everything else in the entry. Empty when the entry is not well formed."""
    # Taken apart once: reading a million entries by the names of their fields costs a second.
    seq, at, _, ref, _, origin, action, subject, reason, detail, salt, _, previous, _ = entry
    header = f"{previous}\n{seq}\n{at}\n{ref}\n{origin}\n{action}\n"
    try:
        if not salt:
            digests = _left_digests(entry)
        else:
            wide, sha = hashlib.blake2b(bytes.fromhex(salt)).digest(), hashlib.sha256
            digests = (
                sha(wide[:16] + subject.encode()).digest() + sha(wide[16:32] + reason.encode()).digest()
                + sha(wide[32:48] + detail.encode()).digest()
            )  # fmt: skip
    except (ValueError, TypeError, AttributeError, KeyError):
        return ""
    if header.count("\n") != _HEADER_LINES:
        return ""
    return hashlib.sha256(header.encode("utf-8", "surrogatepass") + digests).hexdigest()


def _left_digests(entry: AuditEntry) -> bytes:
    """The digests of the texts of an entry of which some were erased. Raises: ValueError, KeyError."""
    salts, digests = _left_over(entry.erased)
    values = (entry.subject, entry.reason, entry.detail)
    return b"".join(
        bytes.fromhex(digests[name]) if name in digests else hashlib.sha256(bytes.fromhex(salts[name]) + value.encode()).digest()
        for name, value in zip(TEXTS, values, strict=True)
    )


def text_digests(entry: AuditEntry) -> bytes:
    """The 96 bytes by which the texts enter the hash. Raises: ValueError for an entry that is not well formed."""
    try:
        if not entry.salt:
            return _left_digests(entry)
        texts = (entry.subject, entry.reason, entry.detail)
        return b"".join(hashlib.sha256(salt + text.encode()).digest() for salt, text in zip(salts_of(entry.salt), texts, strict=True))
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError("the entry is not well formed") from error


def _left_over(erased: str) -> tuple[dict[str, str], dict[str, str]]:
    """Salts and digests that an erasure left. Raises: ValueError."""
    found = json.loads(erased) if erased else {}
    salts, digests = dict(found.get("salts", {})), dict(found.get("digests", {}))
    if {*salts, *digests} != set(TEXTS) or any(len(bytes.fromhex(digest)) != 32 for digest in digests.values()):
        raise ValueError("not what an erasure leaves")
    return salts, digests


def chained(entry: AuditEntry, *, seq: int, previous_hash: str) -> AuditEntry:
    """The entry in its place of the chain."""
    placed = entry._replace(seq=seq, previous_hash=previous_hash)
    return placed._replace(hash=entry_hash(placed))


def erased_copy(entry: AuditEntry, texts: Mapping[str, str]) -> AuditEntry:
    """The entry with new values for some texts; the salts of those are gone, their digests kept, and the hash still fits."""
    if entry.salt:
        salts = dict(zip(TEXTS, (s.hex() for s in salts_of(entry.salt)), strict=True))
        digests: dict[str, str] = {}
    else:
        salts, digests = _left_over(entry.erased)
    values = dict(zip(TEXTS, (entry.subject, entry.reason, entry.detail), strict=True))
    for name in texts:
        if name not in digests:
            digests[name] = hashlib.sha256(bytes.fromhex(salts.pop(name)) + values[name].encode()).hexdigest()
    left = {**values, **texts}
    erased = _canonical({"digests": digests, "salts": salts})
    return entry._replace(salt="", erased=erased, subject=left["subject"], reason=left["reason"], detail=left["detail"])


def text_digest(text: str) -> str:
    """What the entry of an erasure says about the text it left behind."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def entry_line(entry: AuditEntry) -> str:
    """One line of an export, without its end; the same entry always gives the same line."""
    head, tail = _frame(entry)
    return f"{head}{entry.detail}{tail}"


def _frame(entry: AuditEntry) -> tuple[str, str]:
    """What stands before and after the detail. Raises: TypeError for a field of the wrong kind."""
    e = entry
    return (
        f'{{"seq":{e.seq},"at":{_quote(e.at)},"actor":{_quote(e.actor)},"actor_ref":{_quote(e.actor_ref)},'
        f'"actor_salt":{_quote(e.actor_salt)},"origin":{_quote(e.origin)},"action":{_quote(e.action)},"subject":{_quote(e.subject)},'
        f'"reason":{_quote(e.reason)},"detail":'
    ), (f',"salt":{_quote(e.salt)},"erased":{_quote(e.erased)},"previous_hash":{_quote(e.previous_hash)},"hash":{_quote(e.hash)}}}')


def parse_line(line: str) -> AuditEntry | Anchor:
    """The entry or anchor of a line. Raises: ValueError when the line is not, to the letter, what an export writes."""
    plain = _PLAIN(line)
    if plain is not None:
        seq, *texts = plain.groups()
        return AuditEntry(int(seq), *texts)
    found = json.loads(line)
    if isinstance(found, dict) and "anchor" in found:
        return parse_anchor(found["anchor"])
    try:
        entry = AuditEntry(**found)
        head, tail = _frame(entry)
    except (TypeError, KeyError) as error:
        raise ValueError("a field is missing, unknown or of another kind") from error
    if not (line.startswith(head) and line.endswith(tail)):
        raise ValueError("it is not written as an export writes it")
    # The hash covers the detail's very letters, so they are taken as they stand.
    return AuditEntry._make((*entry[:9], line[len(head) : len(line) - len(tail)], *entry[10:]))


def parse_anchor(found: Any) -> Anchor:
    """Raises: ValueError for what is no anchor."""
    try:
        anchor = replace(Anchor(seq=0, hash="", at=""), **found)
    except TypeError as error:
        raise ValueError("an anchor has seq, hash, at, key and signature") from error
    texts = (anchor.hash, anchor.at, anchor.key, anchor.signature)
    if type(anchor.seq) is not int or anchor.seq < 0 or not all(isinstance(text, str) for text in texts):
        raise ValueError("an anchor has a number and four texts")
    return anchor
