"""Sealed evidence: items with their SHA-256, a manifest that is hashed as a whole, and a chain of who had it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

FORMAT: Final = "productops/evidence/v1"
GENESIS: Final = "0" * 64
BYTES_MAX: Final = 32 * 1024 * 1024
ITEMS_MAX: Final = 200
ACTIONS: Final = ("taken", "read", "exported", "handed-on")


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """A copy of one thing. ``kind``: audit, sessions, tokens, sightings, findings, incident, logs, file."""

    name: str
    kind: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Custody:
    """One line of the chain of custody. ``at`` is ISO 8601 as it was hashed; ``to`` who got it, of ``handed-on``."""

    number: int
    at: str
    action: str
    who: str
    to: str
    reason: str
    previous_hash: str
    hash: str

    def document(self) -> dict[str, Any]:
        """As it is exported."""
        return {
            "number": self.number, "at": self.at, "action": self.action, "who": self.who, "to": self.to, "reason": self.reason,
            "previous_hash": self.previous_hash, "hash": self.hash,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bundle:
    """A sealed bundle without its items' content. ``manifest`` is canonical JSON. ``venture`` None: of the whole installation."""

    id: str
    incident_id: str | None
    venture: str | None
    title: str
    taken_by: str
    taken_at: datetime
    manifest: str
    manifest_hash: str

    @property
    def items(self) -> list[dict[str, Any]]:
        """Name, kind, bytes and hash of each, in order."""
        found: list[dict[str, Any]] = json.loads(self.manifest)["items"]
        return found


@dataclass(frozen=True, slots=True)
class Proof:
    """What a check of a bundle found; no ``problems``: it is as it was taken. ``anchored``: the audit log says so, too."""

    bundle_id: str
    items: int
    manifest_hash: str
    anchored: bool
    problems: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing was changed."""
        return not self.problems


def canonical(value: Mapping[str, Any]) -> str:
    """JSON with sorted keys, no spaces, in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(text: str) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def seal(
    items: Sequence[EvidenceItem], *, bundle_id: str, incident_id: str | None, venture: str | None, title: str, by: str, now: datetime,
    reason: str,
) -> Bundle:  # fmt: skip
    """The bundle of items, with its manifest and that one's hash."""
    listed = [
        {"position": n, "name": each.name, "kind": each.kind, "bytes": len(each.content), "sha256": each.sha256}
        for n, each in enumerate(items)
    ]
    manifest = canonical(
        {
            "format": FORMAT, "id": bundle_id, "incident_id": incident_id, "venture": venture, "title": title, "taken_by": by,
            "taken_at": now.astimezone(UTC).isoformat(), "reason": reason, "items": listed,
        }
    )  # fmt: skip
    return Bundle(bundle_id, incident_id, venture, title, by, now, manifest, digest(manifest))


def next_custody(
    bundle: Bundle, last: Custody | None, action: str, *, who: str, to: str = "", reason: str, now: datetime
) -> Custody:  # fmt: skip
    """The next line; its hash covers the one before, the first one's the manifest."""
    number, previous = (last.number + 1, last.hash) if last else (1, bundle.manifest_hash)
    at = now.astimezone(UTC).isoformat()
    return Custody(number, at, action, who, to, reason, previous, _hash(number, at, action, who, to, reason, previous))


def _hash(number: int, at: str, action: str, who: str, to: str, reason: str, previous: str) -> str:
    content = {"number": number, "at": at, "action": action, "who": who, "to": to, "reason": reason, "previous_hash": previous}
    return digest(canonical(content))


def check(
    manifest: str, items: Mapping[str, bytes], custody: Sequence[Custody], *, expected: str | None, whole: bool = True
) -> list[str]:  # fmt: skip
    """What does not fit, as sentences; empty when all does. ``expected``: the manifest's hash as somebody else keeps it.

    ``items`` are contents by position and name (``0000-audit.jsonl``). ``whole``: nothing else may be there.
    """
    found = digest(manifest)
    problems = []
    if expected is not None and found != expected:
        problems.append(f"the manifest was changed: its hash is {found[:16]}…, sealed was {expected[:16]}…")
    try:
        document = json.loads(manifest)
        listed = {file_name(each["position"], each["name"]): each for each in document["items"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return [*problems, "the manifest cannot be read"]
    for name, each in listed.items():
        content = items.get(name)
        if content is None:
            problems.append(f"{name} is missing")
        elif hashlib.sha256(content).hexdigest() != each.get("sha256") or len(content) != each.get("bytes"):
            problems.append(f"{name} was changed: it is not what was sealed")
    if whole:
        problems += [f"{name} was added: the manifest does not name it" for name in sorted(items.keys() - listed.keys())]
    return problems + _check_custody(custody, found)


def _check_custody(custody: Sequence[Custody], manifest_hash: str) -> list[str]:
    if not custody or custody[0].action != "taken":
        return ["the chain of custody has no beginning"]
    previous = manifest_hash
    for expected, line in enumerate(custody, start=1):
        fits = line.hash == _hash(line.number, line.at, line.action, line.who, line.to, line.reason, line.previous_hash)
        if line.number != expected or line.previous_hash != previous or not fits:
            return [f"line {expected} of the chain of custody was changed, taken out or put in"]
        previous = line.hash
    return []


def file_name(position: int, name: str) -> str:
    """Name of an item in an export: ``0003-app.log``; nothing in it leads to another folder."""
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in name.replace("\\", "/").rsplit("/", 1)[-1])[:120]
    return f"{position:04d}-{plain}"
