"""Which venture an entry of the audit log is of: who may read the log of some ventures only is shown these."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from productops.domain.governance_access import Operation, visible_ventures
from productops.domain.governance_audit import AuditEntry, AuditFilter, AuditPage
from productops.errors import NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor

PAGES_MAX = 20
"""So many pages of the log are looked through for one answer; it may be short then, and says where to go on."""


def page_for(unit: Unit, wanted: AuditFilter, *, limit: int, after: tuple[datetime, int] | None, actor: Actor) -> AuditPage:
    """A page of what the caller may read, newest first."""
    ventures = visible_ventures(actor.principal, Operation.AUDIT_READ)
    if ventures is None:
        return unit.audit.page(wanted, limit=limit, after=after)
    known: dict[str, str | None] = {}
    found: list[AuditEntry] = []
    for _ in range(PAGES_MAX):
        page = unit.audit.page(wanted, limit=limit, after=after)
        found += [entry for entry in page.items if _is_of(unit, entry.subject, ventures, known)]
        after = page.after
        if after is None or len(found) >= limit:
            break
    if len(found) > limit:
        last = found[limit - 1]
        return AuditPage(found[:limit], (datetime.fromisoformat(last.at), last.seq))
    return AuditPage(found, after)


def entry_for(unit: Unit, seq: int, actor: Actor) -> AuditEntry:
    """One entry. Raises: NotFoundError."""
    found = unit.audit.get(seq)
    ventures = visible_ventures(actor.principal, Operation.AUDIT_READ)
    if ventures is not None and not _is_of(unit, found.subject, ventures, {}):
        raise NotFoundError(f"the audit log has no entry {seq} of your ventures")
    return found


def _is_of(unit: Unit, subject: str, ventures: frozenset[str], known: dict[str, str | None]) -> bool:
    if subject not in known:
        known[subject] = venture_of(unit, subject)
    return known[subject] in ventures


def venture_of(unit: Unit, subject: str) -> str | None:
    """The venture of ``release/<id>``, ``flag/<key>``, ``Service/<name>`` …; None for what is of the whole installation, or is gone."""
    kind, _, name = subject.partition("/")
    find = _FINDERS.get(kind.lower())
    try:
        return find(unit, name) if find else None
    except NotFoundError:
        return None


def _of_incident(unit: Unit, name: str) -> str | None:
    found = unit.incidents.find(name)
    return found["venture"] if found else None


_FINDERS: dict[str, Callable[[Unit, str], str | None]] = {
    "release": lambda unit, name: unit.releases.get(name).venture,
    "train": lambda unit, name: unit.trains.get(name).venture,
    "flag": lambda unit, name: unit.flags.get(name).venture,
    "incident": _of_incident,
    "bypass": lambda unit, name: unit.bypasses.get(name).venture,
    "service": lambda unit, name: unit.catalog.service(name).venture,
    "venture": lambda unit, name: name if name in unit.catalog.ventures() else None,
    "calendar": lambda unit, name: unit.calendars.get(name).venture,
    "changewindow": lambda unit, name: unit.calendars.get(name).venture,
}
