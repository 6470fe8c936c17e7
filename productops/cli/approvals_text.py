"""Approvals and changes for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from productops.cli.release_text import plain
from productops.cli.stack.tables import render

Document = Mapping[str, Any]


def approvals_table(items: Sequence[Document]) -> str:
    """One line for each request."""
    if not items:
        return "nothing waits for signatures"
    rows = [(when(i["created_at"]), i["state"], i["title"], i["requested_by"], _missing(i), when(i["expires_at"]), i["id"]) for i in items]
    return _render(("asked (UTC)", "state", "what", "by", "lacks", "expires (UTC)", "id"), rows)


def _missing(item: Document) -> str:
    roles: list[str] = item["missing"]
    return ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles)) or "–"


def approval_page(found: Document) -> str:
    """What is asked, who has signed, what is missing."""
    lines = [
        f"{found['title']}: {found['state']}",
        found["still_missing"],
        f"asked for by {found['requested_by']} at {when(found['created_at'])} UTC: {found['reason'] or 'no note'}",
        f"under {', '.join(found['policies'])}",
        f"signs for {found['content_hash']}",
    ]
    lines += [f"  {name}: {_short(value)}" for name, value in found["content"].items() if not isinstance(value, dict)]
    lines += [
        f"signed by {s['person']} ({', '.join(s['roles'])}) at {when(s['at'])} UTC{': ' + s['note'] if s['note'] else ''}"
        for s in found["signatures"]
    ]
    lines += [f"review {r['id']}: {'closed by ' + r['closed_by'] if r['closed_by'] else 'open'}" for r in found["reviews"]]
    return "\n".join(plain(line) for line in lines)


def _short(value: Any) -> str:
    text = ", ".join(str(each) for each in value) if isinstance(value, list) else "–" if value is None else str(value)
    return text if len(text) <= 160 else f"{text[:160]}…"


def decision_text(found: Document) -> str:
    """What became of it."""
    return plain(f"{found['title']}: {found['still_missing'] if found['state'] == 'waiting' else found['state']}")


def reviews_table(items: Sequence[Document]) -> str:
    """One line for each override."""
    if not items:
        return "no override waits for a review"
    rows = [
        (
            when(i["opened_at"]), "closed" if i["closed_at"] else "OVERDUE" if i["overdue"] else "open", i["subject"], i["overridden_by"],
            i["reason"], when(i["due_at"]), i["closed_by"] or "–", i["id"],
        )
        for i in items
    ]  # fmt: skip
    return _render(("overridden (UTC)", "state", "what", "by", "reason", "due (UTC)", "closed by", "id"), rows)


def changes_table(items: Sequence[Document]) -> str:
    """One line for each change."""
    if not items:
        return "no changes"
    rows = [
        (
            when(i["at"]), i["kind"], i["title"], i["requested_by"], i["risk"]["level"],
            ", ".join(s["person"] for s in i["approval"]["signatures"]) or i["approval"]["state"] if i["approval"] else "–",
            i["outcome"], i["number"] or "–", i["id"],
        )
        for i in items
    ]  # fmt: skip
    return _render(("at (UTC)", "kind", "what", "by", "risk", "approved by", "outcome", "number", "id"), rows)


def change_page(found: Document) -> str:
    """Everything about one change."""
    reasons = "; ".join(found["risk"]["reasons"]) or "nothing unusual"
    lines = [
        f"{found['title']}: {found['outcome']}{', ' + found['outcome_reason'] if found['outcome_reason'] else ''}",
        f"{found['kind']} asked for by {found['requested_by']} ({found['origin']}) at {when(found['at'])} UTC",
        f"why: {found['reason'] or 'no note'}",
        f"risk {found['risk']['level']}: {reasons}",
        f"change windows: {found['windows']}",
        f"roll back: {found['rollback_plan']}",
    ]
    if found["approval"]:
        signed = "; ".join(f"{s['person']} ({', '.join(s['roles'])}) {when(s['at'])} UTC" for s in found["approval"]["signatures"])
        lines.append(f"approval {found['approval']['state']} under {', '.join(found['approval']['policies'])}: {signed or 'no signature'}")
    lines += [f"number outside: {found['number']}"] if found["number"] else []
    lines += [f"evidence: {address}" for address in found["evidence"]]
    return "\n".join(plain(line) for line in lines)


def when(at: str | None) -> str:
    """Minutes are enough."""
    return str(at)[:16].replace("T", " ") if at else "–"


def _render(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return render(columns, [tuple(plain(cell) for cell in row) for row in rows])
