"""Erase a person from the audit log without breaking its chain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from productops.domain.governance_access import Operation
from productops.domain.governance_audit import ERASED, TOMBSTONE, AuditEntry, canonical, text_digest
from productops.errors import InvalidInputError
from productops.usecases.context import Actor, Context
from productops.usecases.governance_audit import chunks

_BATCH = 200
_SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was found, and erased unless it was only planned: acting names and entries whose texts name the person."""

    names: tuple[str, ...]
    acted: int
    named: int


def erase_person(context: Context, names: Sequence[str], *, reason: str, actor: Actor, plan_only: bool = False) -> Erasure:
    """Put tombstones in the place of names: where they acted, and as whole words in subjects, reasons and details.

    It goes in small transactions; when it is interrupted, repeat it. ``reason`` is kept and should not name the person again.
    Raises: InvalidInputError for names that are too short, or when who erases, or the reason, carries one of them.
    """
    actor.check(Operation.AUDIT_ERASE)
    pattern = _pattern(names)
    if pattern.search(actor.name) or pattern.search(reason):
        raise InvalidInputError("the entry about the erasure would carry the name again: let somebody else do it, with another reason")
    with context.store.read() as unit:
        people = {ref: name for ref, name in unit.audit.people() if pattern.search(name)}
    acted, found = 0, []
    for chunk in chunks(context):
        acted += sum(entry.actor_ref in people for entry in chunk)
        found += [entry.seq for entry in chunk if _redacted(entry, pattern)]
    if not plan_only:
        _erase_people(context, list(people), reason=reason, actor=actor)
        for begin in range(0, len(found), _BATCH):
            _erase_texts(context, found[begin : begin + _BATCH], pattern, reason=reason, actor=actor)
    return Erasure(tuple(sorted(people.values())), acted, len(found))


def _erase_people(context: Context, refs: list[str], *, reason: str, actor: Actor) -> None:
    if not refs:
        return
    with context.store.write() as unit:
        gone = [ref for ref in refs if unit.audit.erase_person(ref)]
        _say(unit.audit, {"people": gone}, reason=reason, actor=actor, context=context)


def _erase_texts(context: Context, seqs: Sequence[int], pattern: re.Pattern[str], *, reason: str, actor: Actor) -> None:
    with context.store.write() as unit:
        said = []
        for seq in seqs:
            entry = unit.audit.get(seq)
            texts = _redacted(entry, pattern)
            if texts:
                unit.audit.erase_texts(entry, texts)
                said += [[seq, name, text_digest(text)] for name, text in texts.items()]
        _say(unit.audit, {"texts": said}, reason=reason, actor=actor, context=context)


def _say(audit: Any, detail: dict[str, Any], *, reason: str, actor: Actor, context: Context) -> None:
    """The entry that makes the erasure part of the proof: a verification accepts no other."""
    audit.add(ERASED, "audit", actor=actor.name, origin=actor.origin, now=context.clock.now(), reason=reason, detail=detail)


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Finds the names as whole words, whatever their case; ``mia`` is neither in ``mia@example.com`` nor in ``mia-lee``."""
    for name in names:
        if len(name.strip()) < _SHORTEST or TOMBSTONE in name:
            raise InvalidInputError(f"{name!r} cannot be erased: a name has at least {_SHORTEST} characters")
    if not names:
        raise InvalidInputError("say whom to erase: one or more names or addresses")
    words = "|".join(re.escape(name.strip()) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![\w@])(?<!\w[.+-])(?:{words})(?![\w@]|[.+-]\w)", re.IGNORECASE)


def _redacted(entry: AuditEntry, pattern: re.Pattern[str]) -> dict[str, str]:
    """Texts of the entry that name the person → what is left of them. The entries about erasures stay as they are."""
    if entry.action == ERASED:
        return {}
    found = {}
    for name, text in (("subject", entry.subject), ("reason", entry.reason)):
        if pattern.search(text):
            found[name] = pattern.sub(TOMBSTONE, text)
    if entry.detail != "{}":
        content = entry.content
        left = _walk(content, pattern)
        if left != content:
            found["detail"] = canonical(left)
    return found


def _walk(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(TOMBSTONE, value)
    if isinstance(value, list):
        return [_walk(item, pattern) for item in value]
    if isinstance(value, dict):
        return {pattern.sub(TOMBSTONE, key): _walk(item, pattern) for key, item in value.items()}
    return value
