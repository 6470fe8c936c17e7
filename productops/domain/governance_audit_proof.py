"""Does the chain fit? One pass over the entries, in constant memory; the first link that does not fit is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from productops.domain.governance_audit import ERASED, GENESIS, TEXTS, TOMBSTONE, Anchor, AuditEntry, actor_ref, entry_hash, text_digest

_NAMES_MAX = 100_000


class Misfit(StrEnum):
    """What was done to the log."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    MOVED = "moved"
    REPLACED = "replaced"
    REWRITTEN = "rewritten"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    FORGED_ANCHOR = "forged anchor"


@dataclass(frozen=True, slots=True)
class Break:
    """The first link that does not fit. ``seq`` is the entry that was touched, or the first one that is missing."""

    seq: int
    kind: Misfit
    detail: str


@dataclass(frozen=True, slots=True)
class AuditProof:
    """What a verification found. ``proven_until`` is the number of the newest entry that an anchor vouches for."""

    entries: int
    last_seq: int
    last_hash: str
    erased: int
    anchors: int
    proven_until: int
    broken: Break | None
    notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every link fits."""
        return self.broken is None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive entries that fit one another, checked apart from the rest: those after ``after``, up to ``last_seq``.

    ``previous_hash`` is what the first of them continues. The others are what the end of a verification needs to know of them.
    """

    after: int
    previous_hash: str
    last_seq: int
    last_hash: str
    entries: int
    erased: int
    anchors: tuple[int, ...]
    erased_people: Mapping[str, int]
    erased_texts: Mapping[tuple[int, str], str]
    allowed_people: frozenset[str]
    allowed_texts: Mapping[tuple[int, str], str]


@dataclass(slots=True)
class Verifier:
    """Takes entries in order. ``anchors`` are trusted: their signatures were checked before.

    ``after`` begins in the middle of a chain whose entry of that number has the hash ``last_hash``.
    """

    anchors: Mapping[int, Anchor] = field(default_factory=dict)
    after: int = 0
    last_hash: str = GENESIS
    entries: int = 0
    erased: int = 0
    broken: Break | None = None
    _seen_anchors: list[int] = field(default_factory=list)
    _gap: Break | None = None
    _suspect: AuditEntry | None = None
    _names: dict[str, tuple[str, str]] = field(default_factory=dict)
    _erased_people: dict[str, int] = field(default_factory=dict)
    _erased_texts: dict[tuple[int, str], str] = field(default_factory=dict)
    _allowed_people: set[str] = field(default_factory=set)
    _allowed_texts: dict[tuple[int, str], str] = field(default_factory=dict)
    _first: int = field(init=False, default=0)
    _first_hash: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._first, self._first_hash = self.after, self.last_hash

    def take(self, entries: Iterable[AuditEntry]) -> bool:
        """Check the next entries; false once it is certain what is broken."""
        if 0 in self.anchors and not self.entries and self.anchors[0].hash != GENESIS:
            self.broken = Break(1, Misfit.REWRITTEN, "an anchor names another beginning")
        for entry in entries:
            if self.broken is not None:
                return False
            if self._gap is not None:
                self._look_for_missing(entry)
            elif self._suspect is not None:
                self._judge(self._suspect, entry)
            elif entry.previous_hash != self.last_hash or entry.seq != self.after + 1 or entry_hash(entry) != entry.hash:
                self._blame(entry)
            else:
                self._accept(entry)
        return self.broken is None

    @property
    def waiting(self) -> bool:
        """Whether something does not fit, and it is open what it is."""
        return self._gap is not None or self._suspect is not None

    def stretch(self) -> Stretch | None:
        """What was taken, when all of it fits; None when anything does not."""
        if self.broken is not None or self.waiting:
            return None
        return Stretch(
            self._first, self._first_hash, self.after, self.last_hash, self.entries, self.erased, tuple(self._seen_anchors),
            self._erased_people, self._erased_texts, frozenset(self._allowed_people), self._allowed_texts,
        )  # fmt: skip

    def join(self, stretch: Stretch) -> bool:
        """Go on with entries that were checked elsewhere; false, and nothing is taken, when they do not continue what is here."""
        if self.broken is not None or self.waiting or (stretch.after, stretch.previous_hash) != (self.after, self.last_hash):
            return False
        self.after, self.last_hash = stretch.last_seq, stretch.last_hash
        self.entries += stretch.entries
        self.erased += stretch.erased
        self._seen_anchors += stretch.anchors
        self._erased_people = {**stretch.erased_people, **self._erased_people}
        self._erased_texts |= stretch.erased_texts
        self._allowed_people |= stretch.allowed_people
        self._allowed_texts |= stretch.allowed_texts
        return True

    def _accept(self, entry: AuditEntry) -> None:
        self.after, self.last_hash = entry.seq, entry.hash
        self.entries += 1
        if entry.seq in self.anchors:
            self._compare_anchor(self.anchors[entry.seq])
        if self._names.get(entry.actor_ref) != (entry.actor, entry.actor_salt):
            self._check_name(entry)
        if not entry.salt or not entry.actor_salt:
            self._note_erased(entry)
        if entry.action == ERASED and "detail" not in entry.erased_texts:
            self._allow(entry)

    def _compare_anchor(self, anchor: Anchor) -> None:
        if anchor.hash == self.last_hash:
            self._seen_anchors.append(anchor.seq)
            return
        fitting = self._seen_anchors[-1] if self._seen_anchors else self._first
        self.broken = Break(
            anchor.seq, Misfit.REWRITTEN,
            f"the anchor of {anchor.at} has another hash for it: something from entry {fitting + 1} to {anchor.seq} was written anew "
            "with all that follows",
        )  # fmt: skip

    def _check_name(self, entry: AuditEntry) -> None:
        if entry.actor_salt:
            if actor_ref(entry.actor_salt, entry.actor) != entry.actor_ref:
                self.broken = Break(entry.seq, Misfit.CHANGED, f"its actor {entry.actor!r} is not the one it was written with")
            if len(self._names) >= _NAMES_MAX:
                self._names.clear()
            self._names[entry.actor_ref] = (entry.actor, entry.actor_salt)
        elif entry.actor != TOMBSTONE:
            self.broken = Break(
                entry.seq, Misfit.CHANGED, "the name of its actor cannot be checked: its salt is gone, and it was not erased"
            )

    def _note_erased(self, entry: AuditEntry) -> None:
        self.erased += 1
        if not entry.actor_salt:
            self._erased_people.setdefault(entry.actor_ref, entry.seq)
        values = dict(zip(TEXTS, (entry.subject, entry.reason, entry.detail), strict=True))
        for name in entry.erased_texts:
            self._erased_texts[entry.seq, name] = text_digest(values[name])

    def _allow(self, entry: AuditEntry) -> None:
        """Only entries of the chain itself say what was erased on purpose."""
        content = entry.content
        self._allowed_people.update(content.get("people", ()))
        for seq, name, digest in content.get("texts", ()):
            self._allowed_texts[int(seq), str(name)] = str(digest)

    def _blame(self, entry: AuditEntry) -> None:
        """Say what was done, from how the entry that does not fit is out of place."""
        expected = self.after + 1
        own = entry_hash(entry) == entry.hash
        if entry.seq > expected:
            self._gap = Break(expected, Misfit.REMOVED, f"it is missing: entry {entry.seq} follows entry {self.after}")
            return
        if entry.seq < expected:
            self.broken = Break(entry.seq, Misfit.INSERTED, f"a second entry of this number stands after entry {self.after}")
        elif own:
            self._suspect = entry
        else:
            self.broken = self._renumbered(entry) or self._changed(entry)

    def _judge(self, suspect: AuditEntry, following: AuditEntry | None) -> None:
        """An entry fits itself but not the one before it: which of the two is wrong shows in what the next one continues."""
        before, seq = self.after, suspect.seq
        if before and (following is None or following.previous_hash == suspect.hash):
            self.broken = Break(before, Misfit.REPLACED, f"it was written anew: entry {seq} continues another hash than it has")
        elif following is not None and following.previous_hash == self.last_hash:
            self.broken = Break(seq, Misfit.INSERTED, f"it was put in: what stands after it continues entry {before}")
        else:
            self.broken = Break(seq, Misfit.REPLACED, f"it continues hash {suspect.previous_hash[:16]}…, not {self.last_hash[:16]}…")

    def _renumbered(self, entry: AuditEntry) -> Break | None:
        """Whether the entry fits under another number: something before it was put in or taken out, and the rest counted anew."""
        for step, kind, word in ((-1, Misfit.INSERTED, "put in"), (1, Misfit.REMOVED, "taken out")):
            if entry_hash(entry._replace(seq=entry.seq + step)) == entry.hash:
                seq = entry.seq - 1 if step < 0 else entry.seq
                return Break(seq, kind, f"an entry was {word} here: what stands as {entry.seq} was written as {entry.seq + step}")
        return None

    def _changed(self, entry: AuditEntry) -> Break:
        if entry.previous_hash != self.last_hash:
            if entry_hash(entry._replace(previous_hash=self.last_hash)) == entry.hash:
                return Break(entry.seq, Misfit.CHANGED, f"its previous_hash is not the hash of entry {self.after}")
            return Break(entry.seq, Misfit.REPLACED, "neither its content nor its previous_hash fits: another entry stands here")
        return Break(entry.seq, Misfit.CHANGED, "its content does not give its hash")

    def _look_for_missing(self, entry: AuditEntry) -> None:
        """After a gap: does the missing entry stand further down?"""
        gap = self._gap
        if gap is not None and entry.seq == gap.seq:
            self.broken = Break(gap.seq, Misfit.MOVED, f"{gap.detail}, and entry {gap.seq} stands further down")

    def unreadable(self, number: int, reason: str) -> None:
        """A line of an export that is no entry."""
        if self.broken is None and not self.waiting:
            self.broken = Break(self.after + 1, Misfit.UNREADABLE, f"line {number} is no entry of an export: {reason}")

    def finish(self, *notes: str) -> AuditProof:
        """After the last entry: what is missing at the end, and what was erased without a word."""
        if self._suspect is not None and self.broken is None:
            self._judge(self._suspect, None)
        self.broken = self.broken or self._gap or self._truncated() or self._unsanctioned()
        proven = self._seen_anchors[-1] if self._seen_anchors else 0
        return AuditProof(self.entries, self.after, self.last_hash, self.erased, len(self._seen_anchors), proven, self.broken, notes)

    def _truncated(self) -> Break | None:
        later = [seq for seq in self.anchors if seq > self.after]
        if not later:
            return None
        anchor = self.anchors[min(later)]
        return Break(
            self.after + 1, Misfit.TRUNCATED, f"the log ends with entry {self.after}; the anchor of {anchor.at} has seen entry {anchor.seq}"
        )

    def _unsanctioned(self) -> Break | None:
        people = [(seq, "actor") for ref, seq in self._erased_people.items() if ref not in self._allowed_people]
        texts = [place for place, digest in self._erased_texts.items() if self._allowed_texts.get(place) != digest]
        if not people and not texts:
            return None
        seq, name = min([*people, *texts])
        return Break(seq, Misfit.CHANGED, f"its {name} was replaced, and no later entry {ERASED} says by this")
