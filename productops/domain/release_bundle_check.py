"""Is a bundle what its installation signed? The first thing that is not is named. Pure: no store, no network, no clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from productops.domain.governance_audit import Anchor, AuditEntry, parse_line
from productops.domain.governance_audit_link import AuditLink, fits, parse_link
from productops.domain.release_bundle import (
    ANCHORS,
    ATTESTATIONS,
    BUNDLE_PREDICATE,
    CHAIN,
    FORMAT,
    MANIFEST,
    RELEASE,
    SIGNED_MANIFEST,
    DsseProblem,
    Envelope,
    open_envelope,
    pre_authentication,
    sha256,
)
from productops.errors import AuditBrokenError, BundleChangedError, BundleSignatureError, BundleUnreadableError

IsSigned = Callable[[str, bytes, bytes], bool]
"""(public key in hexadecimal, signature, message) → whether it fits."""
IsAnchor = Callable[[Anchor], bool]


@dataclass(frozen=True, slots=True)
class BundleProof:
    """What was proven. ``entries`` of the audit log are about the release; ``links`` lead from them to ``anchors``."""

    release: Mapping[str, Any]
    files: int
    statements: int
    entries: int
    links: int
    anchors: int
    key: str
    signed_at: str
    absent: tuple[str, ...]


def check_bundle(files: Mapping[str, bytes], keys: Collection[str], *, is_signed: IsSigned, is_anchor: IsAnchor) -> BundleProof:
    """Check signature, digests, statements and the chain, in this order; ``keys`` are trusted, none: the one that it names.

    Raises: BundleUnreadableError, BundleSignatureError, BundleChangedError, AuditBrokenError, each naming the first thing wrong.
    """
    signed = _opened(files, SIGNED_MANIFEST, keys, is_signed=is_signed)
    trusted = keys or {signed.key}
    told = _statement(signed, SIGNED_MANIFEST)
    if told.get("predicateType") != BUNDLE_PREDICATE or not isinstance(told.get("predicate"), dict):
        raise BundleUnreadableError(f"{SIGNED_MANIFEST} is signed, but says nothing about a bundle")
    if told["subject"] != [{"name": MANIFEST, "digest": {"sha256": sha256(_file(files, MANIFEST))}}]:
        raise BundleChangedError(f"{MANIFEST} is not what was signed: its digest is another", file=MANIFEST)
    listed = _listed(files)
    _check_files(files, listed)
    statements = [name for name in sorted(files) if name.startswith(ATTESTATIONS)]
    for name in statements:
        _check_statement(files, name, trusted, is_signed=is_signed)
    entries, links, anchors = _check_chain(files, listed["release"], trusted, is_anchor=is_anchor)
    return BundleProof(
        release=listed["release"], files=len(files), statements=len(statements), entries=entries, links=links, anchors=anchors,
        key=signed.key, signed_at=str(told["predicate"].get("signedAt", "")),
        absent=tuple(f"{each['what']}: {each['why']}" for each in listed["absent"]),
    )  # fmt: skip


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise BundleUnreadableError(f"it has no {name}: it is no evidence bundle, or was cut")
    return files[name]


def _opened(files: Mapping[str, bytes], name: str, keys: Collection[str], *, is_signed: IsSigned) -> Envelope:
    try:
        envelope = open_envelope(_file(files, name))
    except DsseProblem as problem:
        raise BundleChangedError(f"{name} {problem}", file=name) from problem
    if keys and envelope.key not in keys:
        raise BundleSignatureError(f"{name} is signed by the key {envelope.key[:16]}…, which is not trusted", file=name, key=envelope.key)
    if not is_signed(envelope.key, envelope.signature, pre_authentication(envelope.payload)):
        raise BundleSignatureError(f"{name} has a signature that does not fit", file=name)
    return envelope


def _statement(envelope: Envelope, name: str) -> dict[str, Any]:
    try:
        return envelope.statement
    except DsseProblem as problem:
        raise BundleUnreadableError(f"{name} {problem}") from problem


def _listed(files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        found = json.loads(files[MANIFEST])
        known = found["format"]
        names = [(str(each["name"]), str(each["sha256"])) for each in found["files"]]
        usable = isinstance(found["release"], dict) and all(isinstance(each["what"] + each["why"], str) for each in found["absent"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BundleUnreadableError(f"{MANIFEST} is no manifest") from error
    if known != FORMAT or not usable:
        raise BundleUnreadableError(f"{MANIFEST} is of the format {str(known)[:80]!r}; this program reads {FORMAT!r}")
    return {**found, "names": dict(names)}


def _check_files(files: Mapping[str, bytes], listed: Mapping[str, Any]) -> None:
    names: dict[str, str] = listed["names"]
    for name in sorted({*files, *names} - {MANIFEST, SIGNED_MANIFEST}):
        if name not in names:
            raise BundleChangedError(f"{name} was put in: the manifest does not know it", file=name)
        if name not in files:
            raise BundleChangedError(f"{name} is missing", file=name)
        if sha256(files[name]) != names[name]:
            raise BundleChangedError(f"{name} was changed: its SHA-256 is not that of the manifest", file=name)


def _check_statement(files: Mapping[str, bytes], name: str, keys: Collection[str], *, is_signed: IsSigned) -> None:
    """A statement is about this very release: its first subject is the release's file."""
    told = _statement(_opened(files, name, keys, is_signed=is_signed), name)
    if {"name": RELEASE, "digest": {"sha256": sha256(_file(files, RELEASE))}} not in told["subject"]:
        raise BundleChangedError(f"{name} is about something else than {RELEASE}", file=name)


def _check_chain(
    files: Mapping[str, bytes], release: Mapping[str, Any], keys: Collection[str], *, is_anchor: IsAnchor
) -> tuple[int, int, int]:
    """Each stretch of the chain fits in itself and ends at a signed anchor."""
    anchors = _anchors(_file(files, ANCHORS), keys, is_anchor=is_anchor)
    before: AuditEntry | AuditLink | None = None
    entries = links = 0
    for number, line in enumerate(_file(files, CHAIN).decode("ascii", "replace").splitlines(), start=1):
        item = _item(line, number)
        if not fits(item):
            raise AuditBrokenError(f"{CHAIN}, line {number}: the content of audit entry {item.seq} does not give its hash", seq=item.seq)
        follows = before is not None and before.seq not in anchors
        if before is not None and follows and (item.seq, item.previous_hash) != (before.seq + 1, before.hash):
            raise AuditBrokenError(f"{CHAIN}, line {number}: audit entry {item.seq} does not continue entry {before.seq}", seq=item.seq)
        if before is not None and item.seq <= before.seq:
            raise AuditBrokenError(f"{CHAIN}, line {number}: audit entry {item.seq} stands after entry {before.seq}", seq=item.seq)
        if item.seq in anchors and anchors[item.seq].hash != item.hash:
            raise AuditBrokenError(f"the anchor of audit entry {item.seq} has another hash for it", seq=item.seq)
        entries, links, before = entries + isinstance(item, AuditEntry), links + isinstance(item, AuditLink), item
    if before is not None and before.seq not in anchors:
        raise AuditBrokenError(f"{CHAIN} ends with audit entry {before.seq}, which no anchor vouches for", seq=before.seq)
    if not entries:
        raise AuditBrokenError(f"{CHAIN} has no entry about release {release.get('id')}: each release has at least its request")
    return entries, links, len(anchors)


def _item(line: str, number: int) -> AuditEntry | AuditLink:
    try:
        if line.startswith('{"link":'):
            return parse_link(json.loads(line)["link"])
        found = parse_line(line)
    except (ValueError, RecursionError) as error:
        raise BundleUnreadableError(f"{CHAIN}, line {number} is neither an audit entry nor a link: {error}") from error
    if isinstance(found, Anchor):
        raise BundleUnreadableError(f"{CHAIN}, line {number} is an anchor; those stand in {ANCHORS}")
    return found


def _anchors(text: bytes, keys: Collection[str], *, is_anchor: IsAnchor) -> dict[int, Anchor]:
    found: dict[int, Anchor] = {}
    for number, line in enumerate(text.decode("ascii", "replace").splitlines(), start=1):
        try:
            anchor = parse_line(line)
        except (ValueError, RecursionError) as error:
            raise BundleUnreadableError(f"{ANCHORS}, line {number} is no anchor: {error}") from error
        if not isinstance(anchor, Anchor):
            raise BundleUnreadableError(f"{ANCHORS}, line {number} is no anchor")
        if anchor.key not in keys or not is_anchor(anchor):
            raise BundleSignatureError(f"{ANCHORS}, line {number}: the anchor of audit entry {anchor.seq} has no signature that is trusted")
        found[anchor.seq] = anchor
    return found
