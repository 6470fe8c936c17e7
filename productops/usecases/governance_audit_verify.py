"""Verify a long audit log with several processes: each checks a stretch of it, and the stretches are joined like links.

Only what fits goes this way. As soon as a stretch does not, the rest is verified entry by entry, which names what was done.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from productops.domain.governance_access import Operation
from productops.domain.governance_audit import Anchor, AuditEntry, parse_line
from productops.domain.governance_audit_proof import AuditProof, Stretch, Verifier
from productops.errors import StoreUnavailableError
from productops.store import Store
from productops.usecases.context import Actor, Context
from productops.usecases.governance_audit import Checker, Trusted, chunks, conclude, trust, verify_lines

STRETCH = 25_000
"""Entries that a process checks at a time. With fewer than two stretches, starting processes takes longer than it saves."""
STRETCH_BYTES = 8_000_000
_TAIL_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class _Part:
    """Work of one process: entries ``begin`` (left out) to ``end`` of a store, or bytes ``begin`` to ``end`` (left out) of a file."""

    place: str
    begin: int
    end: int
    anchors: dict[int, Anchor]


def verify_log(context: Context, trusted: Trusted, *, actor: Actor, processes: int | None = None, stretch: int = STRETCH) -> AuditProof:
    """Check the live log from its first entry on, and against anchors. ``processes``: None is one for each core.

    Raises: ForbiddenError, StoreUnavailableError.
    """
    actor.check(Operation.AUDIT_READ)
    verifier = Verifier(anchors=trusted.anchors, broken=trusted.broken)
    verifier.take(())
    with context.store.read() as unit:
        last, _ = unit.audit.head()
    if last >= 2 * stretch and verifier.broken is None:
        edges = [*range(0, last, stretch), last]
        parts = [_Part(context.store.url, a, b, _within(trusted.anchors, a, b)) for a, b in pairwise(edges)]
        with suppress(OSError, BrokenExecutor), _working(_check_stored, parts, processes or _cores()) as found:
            _join(verifier, found)  # what could not be done by several is done by this one, below
    for chunk in chunks(context, verifier.after):
        if not verifier.take(chunk):
            break
    return verifier.finish(*trusted.notes)


def verify_export(
    path: Path, anchors: Iterable[Anchor], *, signed: Checker, keys: Collection[str], processes: int | None = None,
    stretch_bytes: int = STRETCH_BYTES,
) -> AuditProof:  # fmt: skip
    """Check an export in a file against its last line and other anchors; needs no store, and nobody's leave. Raises: OSError."""
    others = list(anchors)
    end, size = _last_line(path)
    trusted = trust(others, signed=signed, keys=keys)
    if size >= 2 * stretch_bytes and end is not None and trusted.broken is None:
        verifier = Verifier(anchors=trusted.anchors)
        verifier.take(())
        parts = [_Part(str(path), a, b, dict(trusted.anchors)) for a, b in pairwise(_edges(path, size, stretch_bytes))]
        with suppress(BrokenExecutor), _working(_check_lines, parts, processes or _cores()) as found:
            if _join(verifier, found):
                return conclude(verifier, others, end, signed=signed, keys=keys)
    with path.open("rb") as lines:
        return verify_lines(lines, others, signed=signed, keys=keys)


def _join(verifier: Verifier, found: Iterator[Stretch | None]) -> bool:
    """Take stretches in order; false at the first that does not fit or does not continue the one before."""
    return all(stretch is not None and verifier.join(stretch) for stretch in found)


@contextmanager
def _working(check: Callable[[_Part], Stretch | None], parts: list[_Part], processes: int) -> Iterator[Iterator[Stretch | None]]:
    """Results in order; at the end of the block, what has not begun is dropped."""
    # Not forked: the caller may have threads and open connections.
    with ProcessPoolExecutor(min(processes, len(parts)), mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: list[Future[Stretch | None]] = [pool.submit(check, part) for part in parts]
        try:
            yield (each.result() for each in waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _within(anchors: dict[int, Anchor], after: int, until: int) -> dict[int, Anchor]:
    return {seq: anchor for seq, anchor in anchors.items() if after < seq <= until}


_stores: dict[str, Store] = {}


def _check_stored(part: _Part) -> Stretch | None:
    """In a process of its own. None also when the database does not answer: the caller asks it again, and says so."""
    store = _stores.setdefault(part.place, Store(part.place))
    try:
        with store.read() as unit:
            entries = unit.audit.following(part.begin, until=part.end, limit=part.end - part.begin)
    except StoreUnavailableError:
        return None
    return _stretch(entries, part.anchors) if entries and entries[0].seq == part.begin + 1 else None


def _check_lines(part: _Part) -> Stretch | None:
    """In a process of its own."""
    with Path(part.place).open("rb") as file:
        file.seek(part.begin)
        lines = file.read(part.end - part.begin).decode("ascii", "replace").removesuffix("\n").split("\n")
    try:
        entries = [parse_line(line) for line in lines]
    except (ValueError, RecursionError):
        return None
    found = [entry for entry in entries if isinstance(entry, AuditEntry)]
    return _stretch(found, part.anchors) if found and len(found) == len(entries) else None


def _stretch(entries: list[AuditEntry], anchors: dict[int, Anchor]) -> Stretch | None:
    first = entries[0]
    verifier = Verifier(_within(anchors, first.seq - 1, entries[-1].seq), after=first.seq - 1, last_hash=first.previous_hash)
    verifier.take(entries)
    return verifier.stretch()


def _last_line(path: Path) -> tuple[Anchor | None, int]:
    """The anchor that the last line is, or None, and the number of bytes before that line."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read().rstrip(b"\r\n")
    begin = tail.rfind(b"\n") + 1
    try:
        found = parse_line(tail[begin:].decode("ascii"))
    except (ValueError, RecursionError):
        return None, size
    return (found if isinstance(found, Anchor) else None), max(0, size - _TAIL_BYTES) + begin


def _edges(path: Path, size: int, stretch_bytes: int) -> list[int]:
    """Where parts of a file begin and end: at ends of lines."""
    edges = [0]
    with path.open("rb") as file:
        while edges[-1] < size:
            file.seek(min(size, edges[-1] + stretch_bytes))
            if file.tell() < size:
                file.readline()
            edges.append(min(size, file.tell()))
    return edges
