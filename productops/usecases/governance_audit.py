"""The audit log for people: read it, export it, prove it, and sign where it stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from productops.domain.governance_access import Operation
from productops.domain.governance_audit import GENESIS, Anchor, AuditEntry, AuditFilter, AuditPage, entry_line, parse_line
from productops.domain.governance_audit_proof import AuditProof, Break, Misfit, Verifier
from productops.errors import AuditBrokenError
from productops.ports import AnchorBook, AnchorSigner
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_audit import entry_for, page_for

INCIDENT = "the audit log does not fit"
Checker = Callable[[Anchor], bool]


@dataclass(frozen=True, slots=True)
class Trusted:
    """Anchors whose signatures are good. ``broken`` is the first one that is forged or contradicts another."""

    anchors: dict[int, Anchor]
    broken: Break | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Anchored:
    """Where the log stands. ``checked`` entries were verified for it; ``place`` is empty when nothing was new and nothing written."""

    anchor: Anchor
    checked: int
    place: str


def list_entries(
    context: Context, wanted: AuditFilter, *, limit: int, after: tuple[datetime, int] | None = None, actor: Actor
) -> AuditPage:  # fmt: skip
    """A page of what the caller may read of the log, newest first. Raises: StoreUnavailableError."""
    with context.store.read() as unit:
        return page_for(unit, wanted, limit=limit, after=after, actor=actor)


def read_entry(context: Context, seq: int, *, actor: Actor) -> AuditEntry:
    """One entry. Raises: NotFoundError."""
    with context.store.read() as unit:
        return entry_for(unit, seq, actor)


def chunks(context: Context, after: int = 0) -> Iterator[list[AuditEntry]]:
    """All entries after a number in order, each chunk in a transaction of its own: a long look holds nobody up."""
    while True:
        with context.store.read() as unit:
            found = unit.audit.following(after)
        if not found:
            return
        yield found
        after = found[-1].seq


def present_anchor(context: Context, signer: AnchorSigner) -> Anchor:
    """Number and hash of the newest entry, signed; nothing is checked or written."""
    with context.store.read() as unit:
        seq, newest = unit.audit.head()
    return signer.sign(Anchor(seq, newest, context.clock.now().isoformat()))


def write_anchor(context: Context, signer: AnchorSigner, book: AnchorBook, *, actor: Actor) -> Anchored:
    """Check what came since the newest anchor of the book, and sign the newest entry into it.

    Raises: AuditBrokenError, after an incident was opened, when the log does not continue that anchor; DependencyError for the book.
    """
    actor.check(Operation.AUDIT_ANCHOR)
    last = book.newest() or Anchor(seq=0, hash="", at="")
    verifier = Verifier(anchors={last.seq: last} if last.seq else {}, after=max(0, last.seq - 1))
    if last.seq:
        verifier.last_hash, end = _before(context, last.seq)
        if end < last.seq:
            verifier.broken = Break(
                end + 1, Misfit.TRUNCATED, f"the log ends with entry {end}; the anchor of {last.at} has seen entry {last.seq}"
            )
    for chunk in chunks(context, verifier.after):
        if not verifier.take(chunk):
            break
    proof = verifier.finish()
    if proof.broken is not None:
        _open_incident(context, proof.broken, actor=actor)
        raise AuditBrokenError(f"audit entry {proof.broken.seq} {proof.broken.kind}: {proof.broken.detail}", seq=proof.broken.seq)
    anchor = signer.sign(Anchor(proof.last_seq, proof.last_hash, context.clock.now().isoformat()))
    if last.seq and anchor.seq == last.seq:
        return Anchored(last, checked=0, place="")
    return Anchored(anchor, checked=proof.entries, place=book.append(anchor))


def _before(context: Context, seq: int) -> tuple[str, int]:
    """What the entry says was before it (its own hash is what the anchor vouches for), and the newest entry's number."""
    with context.store.read() as unit:
        found = unit.audit.following(seq - 1, limit=1)
        end, _ = unit.audit.head()
    return (found[0].previous_hash if found else ""), end


def _open_incident(context: Context, broken: Break, *, actor: Actor) -> None:
    """Unless there is an open one: the entry that is added here makes a cut log longer, so the break may have another name next time."""
    now = context.clock.now()
    title = f"{INCIDENT} at entry {broken.seq}: {broken.kind}"
    with context.store.write() as unit:
        open_ones = {i["title"] for i in unit.incidents.newest(200) if i["status"] not in {"resolved", "closed"}}
        if any(other.startswith(INCIDENT) for other in open_ones):
            return
        unit.audit.add(
            "audit.broken", "audit", actor=actor.name, origin=actor.origin, now=now, reason=broken.detail, detail={"seq": broken.seq}
        )
        unit.incidents.open(
            venture_id=None, kind="security", severity="SEV2", title=title, description=broken.detail, services=[],
            detection="alert", impact={"seq": broken.seq, "kind": broken.kind.value}, now=now,
        )  # fmt: skip


def trust(anchors: Iterable[Anchor], *, signed: Checker, keys: Collection[str]) -> Trusted:
    """Keep the anchors that are signed by one of ``keys``; with no keys, by the one key that they all name."""
    found: dict[int, Anchor] = {}
    known = set(keys)
    for anchor in anchors:
        known = known or {anchor.key}
        reason = _objection(anchor, found.get(anchor.seq), known=known, signed=signed)
        if reason:
            return Trusted(found, Break(anchor.seq, Misfit.FORGED_ANCHOR, f"the anchor of {anchor.at} {reason}"))
        found.setdefault(anchor.seq, anchor)
    if found and not keys:
        return Trusted(
            found, notes=(f"the anchors name the key {', '.join(known)}; compare it with the installation's, or give it with --key",)
        )
    return Trusted(found)


def _objection(anchor: Anchor, other: Anchor | None, *, known: Collection[str], signed: Checker) -> str:
    if anchor.key not in known:
        return f"is by the key {anchor.key[:16]}…, which is not trusted"
    if not signed(anchor):
        return "has a signature that does not fit"
    return f"contradicts that of {other.at}" if other and other.hash != anchor.hash else ""


def verify_store(context: Context, trusted: Trusted) -> AuditProof:
    """Check the live log from its first entry on, and against anchors."""
    verifier = Verifier(anchors=trusted.anchors, broken=trusted.broken)
    for chunk in chunks(context):
        if not verifier.take(chunk):
            break
    return verifier.finish(*trusted.notes)


def export_lines(context: Context, signer: AnchorSigner) -> Iterator[str]:
    """The whole log as JSON Lines, oldest first; the last line is an anchor, so that a cut shows."""
    seq, newest = 0, GENESIS
    for chunk in chunks(context):
        yield from map(entry_line, chunk)
        seq, newest = chunk[-1].seq, chunk[-1].hash
    yield signer.sign(Anchor(seq, newest, context.clock.now().isoformat())).line()


def verify_lines(lines: Iterable[bytes], anchors: Iterable[Anchor], *, signed: Checker, keys: Collection[str]) -> AuditProof:
    """Check an export, line by line, against its last line and other anchors; needs no store."""
    others = list(anchors)
    trusted = trust(others, signed=signed, keys=keys)
    verifier = Verifier(anchors=trusted.anchors, broken=trusted.broken)
    end = None
    for number, line in enumerate(lines, start=1):
        try:
            found = parse_line(line.decode("ascii").rstrip("\r\n"))
        except (ValueError, RecursionError) as error:
            verifier.unreadable(number, str(error))
            break
        if end is not None:
            verifier.unreadable(number, "the line before it, an anchor, ends the export")
            break
        if isinstance(found, Anchor):
            end = found
        elif not verifier.take((found,)):
            break
    return conclude(verifier, others, end, signed=signed, keys=keys)


def conclude(verifier: Verifier, others: list[Anchor], end: Anchor | None, *, signed: Checker, keys: Collection[str]) -> AuditProof:
    """What an export proves once all its entries were taken: its last line and the other anchors have their say."""
    verifier.broken = verifier.broken or _end_break(verifier, end)
    checked = trust([*others, *([end] if end else [])], signed=signed, keys=keys)
    verifier.broken = verifier.broken or checked.broken
    proof = verifier.finish(*checked.notes)
    if end is None or not proof.fits:
        return proof
    return replace(proof, anchors=proof.anchors + 1, proven_until=end.seq)


def _end_break(verifier: Verifier, end: Anchor | None) -> Break | None:
    """What the last line says of the end; a gap that was seen before is worse and goes first."""
    if verifier.waiting:
        return None
    last = verifier.after
    if end is None:
        return Break(last + 1, Misfit.TRUNCATED, f"the file ends with entry {last} and has no anchor as its last line: it was cut")
    if end.seq != last:
        return Break(
            min(end.seq, last) + 1, Misfit.TRUNCATED, f"the entries end with {last}; the anchor in the last line has seen {end.seq}"
        )
    if end.hash != verifier.last_hash:
        return Break(last, Misfit.REWRITTEN, f"the anchor in the last line has another hash for entry {last}")
    return None
