"""Collects evidence: copies of what the store knows about a time, people and services. Secrets are in none of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from productops.domain.governance_access_tokens import Token
from productops.domain.governance_audit import AuditEntry, AuditFilter, entry_line
from productops.domain.governance_security import StoredFinding
from productops.domain.governance_security_evidence import EvidenceItem
from productops.domain.monitoring_logs import FoundLine, LogQuery
from productops.store import Unit
from productops.usecases.context import OURSELVES, Context
from productops.usecases.governance_access_audit import venture_of
from productops.usecases.monitoring_logs import search_logs

PAGE: Final = 500
SESSIONS_BACK: Final = timedelta(days=90)
LOG_ENTRIES_MAX: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be kept. ``venture`` None: of the whole installation. ``people`` and ``addresses`` are named by findings or by hand."""

    venture: str | None
    incident_id: str | None
    since: datetime
    until: datetime
    people: frozenset[str] = frozenset()
    services: tuple[str, ...] = ()
    findings: tuple[StoredFinding, ...] = ()
    audit_max: int = 2000
    log_lines_max: int = 1000

    @property
    def named(self) -> frozenset[str]:
        """Everything that findings and people are about, as subjects of the audit log name it."""
        rows = [row for each in self.findings for row in each.finding.evidence]
        subjects = {str(row["subject"]) for row in rows if row.get("subject")}
        return self.people | subjects | {each.finding.subject for each in self.findings}


def collect(context: Context, wanted: Wanted) -> list[EvidenceItem]:
    """Items in a fixed order; empty ones are left out. Raises: NotFoundError, StoreUnavailableError."""
    with context.store.read() as unit:
        items = [
            _lines("audit.jsonl", "audit", (entry_line(each) for each in _audit(unit, wanted))),
            _lines("findings.jsonl", "findings", (_plain(_finding(each)) for each in wanted.findings)),
            _lines("incident-log.jsonl", "incident", (_plain(each) for each in _incident(unit, wanted))),
            _lines("sessions.jsonl", "sessions", (_plain(each) for each in _sessions(unit, wanted))),
            _lines("tokens.jsonl", "tokens", (_plain(each) for each in _tokens(unit, wanted))),
            _lines("door.jsonl", "sightings", (_plain(each) for each in _sightings(unit, wanted))),
        ]
    items += [_lines(f"{service}.log.jsonl", "logs", map(_plain, _logs(context, wanted, service))) for service in wanted.services]
    return [each for each in items if each.content]


def _lines(name: str, kind: str, lines: Iterable[str]) -> EvidenceItem:
    return EvidenceItem(name, kind, "".join(f"{line}\n" for line in lines).encode())


def _plain(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, default=str)


def _audit(unit: Unit, wanted: Wanted) -> list[AuditEntry]:
    """Entries of the time, the oldest first; of a venture those that are of it, or of who and what is named."""
    pinned = {int(row["audit"]) for each in wanted.findings for row in each.finding.evidence if str(row.get("audit", "")).isdigit()}
    found: dict[int, AuditEntry] = {}
    for seq in sorted(pinned)[: wanted.audit_max]:
        for entry in unit.audit.following(seq - 1, limit=1, until=seq):
            found[entry.seq] = entry
    known: dict[str, str | None] = {}
    for entry in _entries(unit, wanted):
        if len(found) >= wanted.audit_max:
            break
        if _belongs(unit, entry, wanted, known):
            found[entry.seq] = entry
    return [found[seq] for seq in sorted(found)]


def _entries(unit: Unit, wanted: Wanted) -> Iterator[AuditEntry]:
    after, limits = None, AuditFilter(since=wanted.since, until=wanted.until)
    while True:
        page = unit.audit.page(limits, limit=PAGE, after=after)
        yield from page.items
        after = page.after
        if after is None:
            return


def _belongs(unit: Unit, entry: AuditEntry, wanted: Wanted, known: dict[str, str | None]) -> bool:
    if wanted.venture is None:
        return True
    if entry.subject not in known:
        known[entry.subject] = venture_of(unit, entry.subject)
    if known[entry.subject] is not None:
        return known[entry.subject] == wanted.venture
    _, _, name = entry.subject.partition("/")
    return bool({entry.actor, entry.subject, name} & wanted.named)


def _finding(stored: StoredFinding) -> dict[str, Any]:
    found = stored.finding
    return {
        **found.document(), "id": stored.id, "rule": found.rule.value, "subject": found.subject, "severity": found.severity,
        "venture": found.venture, "began_at": stored.began_at.isoformat(), "fingerprint": found.fingerprint,
    }  # fmt: skip


def _incident(unit: Unit, wanted: Wanted) -> list[dict[str, Any]]:
    if wanted.incident_id is None:
        return []
    lines = unit.incident_log.read(wanted.incident_id, after=0, limit=LOG_ENTRIES_MAX)
    return [
        {"seq": e.seq, "at": e.at.isoformat(), "kind": e.kind, "text": e.text, "actor": e.actor, "detail": dict(e.detail)} for e in lines
    ]


def _sessions(unit: Unit, wanted: Wanted) -> list[dict[str, Any]]:
    found = [s for name in sorted(wanted.people) for s in unit.browser_sessions.open_ones(name, used_after=wanted.since - SESSIONS_BACK)]
    return [
        {
            "id": s.id, "principal": s.principal, "token_id": s.token_id, "way": s.way, "browser": s.browser,
            "began_at": s.began_at.isoformat(), "used_at": s.used_at.isoformat(),
        }
        for s in found
    ]  # fmt: skip


def _tokens(unit: Unit, wanted: Wanted) -> list[dict[str, Any]]:
    return [_token(token) for name in sorted(wanted.people) for token in unit.tokens.all(owner=name)]


def _token(token: Token) -> dict[str, Any]:
    """Facts; the secret is nowhere, and its hash stays where it is."""
    return {
        "token": token.public_id, "owner": token.owner, "name": token.name, "venture": token.venture, "environment": token.environment,
        "operations": None if token.operations is None else sorted(o.value for o in token.operations), "created_by": token.created_by,
        "created_at": _iso(token.created_at), "expires_at": _iso(token.expires_at), "last_used_at": _iso(token.last_used_at),
        "rotated_at": _iso(token.rotated_at), "revoked_at": _iso(token.revoked_at),
    }  # fmt: skip


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None


def _sightings(unit: Unit, wanted: Wanted) -> list[dict[str, Any]]:
    """What the door saw of the people and addresses that are named; of the whole installation all of it."""
    named = wanted.named | {name for each in wanted.findings for name in each.finding.names}
    seen = [s for s in unit.security.sightings(since_s=wanted.since.timestamp()) if s.minute_s <= wanted.until.timestamp()]
    kept = seen if wanted.venture is None else [s for s in seen if {s.address, s.principal, s.subject} & named]
    return [each.document() for each in sorted(kept, key=lambda s: (s.minute_s, s.kind.value, s.subject, s.address))]


def _logs(context: Context, wanted: Wanted, service: str) -> list[dict[str, Any]]:
    if not wanted.log_lines_max:
        return []
    query = LogQuery(service=service, venture=wanted.venture, since=wanted.since, until=wanted.until)
    page = search_logs(context, query, actor=OURSELVES, limit=wanted.log_lines_max)
    return [_log_line(each) for each in reversed(page.lines)]


def _log_line(found: FoundLine) -> dict[str, Any]:
    origin = found.line.origin
    return {
        "id": list(found.id), "at": found.at.isoformat(), "service": origin.service, "version": origin.version,
        "instance": origin.instance, "level": found.line.level.name, "text": found.line.text, "trace_id": found.line.trace_id,
    }  # fmt: skip
