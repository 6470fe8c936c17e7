"""Entries of the audit log straight from the driver: a proof of a million of them cannot afford an object for each value."""

from __future__ import annotations

from sqlalchemy.orm import Session

from productops.domain.governance_audit import AuditEntry

# The time as the hash covers it: ISO 8601 in UTC, with microseconds only where there are any.
_TIMES = {
    "sqlite": (
        "substr(e.at, 1, 10) || 'T' || CASE substr(e.at, 20) WHEN '.000000' THEN substr(e.at, 12, 8) ELSE substr(e.at, 12) END || '+00:00'"
    ),
    "postgresql": (
        "to_char(e.at AT TIME ZONE 'UTC', CASE WHEN e.at = date_trunc('second', e.at) "
        "THEN 'YYYY-MM-DD\"T\"HH24:MI:SS' ELSE 'YYYY-MM-DD\"T\"HH24:MI:SS.US' END) || '+00:00'"
    ),
}
_MARKS = {"sqlite": "?", "postgresql": "%s"}


def read_entries(session: Session, *, after: int, until: int, limit: int) -> list[AuditEntry]:
    """At most ``limit`` entries with numbers above ``after`` and up to ``until``, oldest first."""
    kind = session.get_bind().dialect.name
    mark = _MARKS[kind]
    query = (
        f"SELECT e.seq, {_TIMES[kind]}, coalesce(p.name, ''), e.actor_ref, coalesce(p.salt, ''), e.origin, e.action, e.subject, "  # noqa: S608
        "e.reason, e.detail, e.salt, e.erased, e.previous_hash, e.hash "
        "FROM audit_entries e LEFT JOIN audit_people p ON p.ref = e.actor_ref "
        f"WHERE e.seq > {mark} AND e.seq <= {mark} ORDER BY e.seq LIMIT {mark}"
    )
    rows = session.connection().exec_driver_sql(query, (after, until, limit))
    return list(map(AuditEntry._make, rows))
