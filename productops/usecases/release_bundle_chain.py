"""The part of the audit log that is about something, with the links that prove it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime

from productops.domain.governance_audit import Anchor, AuditEntry, AuditFilter, entry_line
from productops.domain.governance_audit_link import link_line, link_of
from productops.domain.governance_audit_proof import Verifier
from productops.domain.release_bundle import ANCHORS, CHAIN
from productops.errors import AuditBrokenError
from productops.ports import EvidenceSigner
from productops.store import Unit

FAR = 20_000
"""An anchor so many entries away is too far: one is signed for the bundle instead."""
_PAGE = 500


def chain_files(
    unit: Unit, subjects: Sequence[str], signer: EvidenceSigner, anchors: Sequence[Anchor], *, now: datetime
) -> dict[str, bytes]:
    """Entries about ``subjects`` in full, all others up to the next anchor as links, and the anchors.

    Raises: AuditBrokenError when something around them does not fit: then nothing is vouched for.
    """
    mine = sorted({seq for subject in subjects for seq in _numbers(unit, subject)})
    known = {anchor.seq: anchor for anchor in anchors if anchor.key == signer.public}
    lines: list[str] = []
    used: list[Anchor] = []
    for first, last, anchor in _stretches(mine, sorted(known)):
        end = known[anchor] if anchor is not None else _own_anchor(unit, last, known, signer, now=now)
        used.append(end)
        lines += _stretch(unit, first, end, subjects)
    return {CHAIN: _text(lines), ANCHORS: _text([anchor.line() for anchor in used])}


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _numbers(unit: Unit, subject: str) -> Iterator[int]:
    after = None
    while True:
        page = unit.audit.page(AuditFilter(subject=subject), limit=_PAGE, after=after)
        yield from (entry.seq for entry in page.items)
        after = page.after
        if after is None:
            return


def _stretches(mine: Sequence[int], anchored: Sequence[int]) -> Iterator[tuple[int, int, int | None]]:
    """First and last of the numbers that one anchor covers, and that anchor; None where none is near."""
    begin = 0
    while begin < len(mine):
        place = bisect_left(anchored, mine[begin])
        anchor = anchored[place] if place < len(anchored) else None
        end = begin + 1
        while end < len(mine) and (anchor is None or mine[end] <= anchor):
            end += 1
        last = mine[end - 1]
        yield mine[begin], last, anchor if anchor is not None and anchor - last <= FAR else None
        begin = end


def _own_anchor(unit: Unit, seq: int, known: dict[int, Anchor], signer: EvidenceSigner, *, now: datetime) -> Anchor:
    """Sign an entry, once all since the anchor before it was checked: as for any other anchor."""
    before = max((number for number in known if number < seq), default=0)
    verifier = Verifier({before: known[before]} if before else {}, after=max(0, before - 1))
    first = unit.audit.following(verifier.after, limit=1)
    if before and first:
        verifier.last_hash = first[0].previous_hash
    while verifier.after < seq and (entries := unit.audit.following(verifier.after, until=seq)):
        if not verifier.take(entries) or verifier.waiting:
            break
    _refuse(verifier)
    return signer.sign(Anchor(seq, verifier.last_hash, now.isoformat()))


def _refuse(verifier: Verifier) -> None:
    """Raises: AuditBrokenError. What was erased is told by later entries, which this look does not reach."""
    stretch = verifier.stretch()
    if stretch is not None:
        return
    broken = verifier.finish().broken
    where = f"entry {broken.seq} {broken.kind}: {broken.detail}" if broken else "it cannot be followed"
    raise AuditBrokenError(f"no bundle is made: the audit log does not fit: {where}", seq=broken.seq if broken else 0)


def _stretch(unit: Unit, first: int, anchor: Anchor, subjects: Sequence[str]) -> Iterator[str]:
    """From one entry to the anchored one; checked on the way."""
    at = unit.audit.get(first)
    verifier = Verifier({anchor.seq: anchor}, after=first - 1, last_hash=at.previous_hash)
    while verifier.after < anchor.seq and (entries := unit.audit.following(verifier.after, until=anchor.seq)):
        if not verifier.take(entries) or verifier.waiting:
            break
        yield from (_line(entry, subjects) for entry in entries)
    if verifier.after < anchor.seq and not verifier.waiting and verifier.broken is None:
        raise AuditBrokenError(f"no bundle is made: the audit log ends before entry {anchor.seq}, which an anchor has seen", seq=anchor.seq)
    _refuse(verifier)


def _line(entry: AuditEntry, subjects: Sequence[str]) -> str:
    return entry_line(entry) if entry.subject in subjects else link_line(link_of(entry))
