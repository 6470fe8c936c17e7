"""Read change records: what was changed, by whom, how risky it was, who approved it, and how it ended."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from productops.domain.governance_access import Operation, Scope, may_see, visible_ventures
from productops.domain.governance_approvals import ApprovalRequest
from productops.domain.governance_changes import ChangeFilter, ChangeKind, ChangeRecord
from productops.errors import NotFoundError
from productops.store import Unit
from productops.usecases.context import Actor, Context
from productops.usecases.governance_approvals_flags import flag_subject

OPS = "/api/v1/product-ops"
PAGE = 500
COLUMNS = (
    "id", "number", "at", "kind", "title", "venture", "environment", "requested_by", "origin", "reason", "risk", "risk_reasons", "windows",
    "approval", "approved_by", "outcome", "outcome_reason", "rollback_plan", "subject",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change with what came of it. ``outcome``: of the thing itself, as it is now; ``evidence``: where to read more."""

    change: ChangeRecord
    approval: ApprovalRequest | None
    outcome: str
    outcome_reason: str
    evidence: tuple[str, ...]


def read_change(context: Context, change_id: str, *, actor: Actor) -> ChangeView:
    """Raises: NotFoundError, also for what the caller may not see."""
    with context.store.read() as unit:
        change = unit.changes.get(change_id)
        if not may_see(actor.principal, Operation.CHANGE_READ, Scope(change.venture, change.environment)):
            raise NotFoundError(f"there is no change {change_id[:80]!r}")
        return _view(unit, change)


def list_changes(
    context: Context, wanted: ChangeFilter, *, actor: Actor, after: str | None = None, limit: int = 50
) -> tuple[list[ChangeView], str | None]:
    """Newest first, and the id to go on after; None at the end."""
    narrowed = replace(wanted, ventures=visible_ventures(actor.principal, Operation.CHANGE_READ))
    with context.store.read() as unit:
        found = unit.changes.newest(narrowed, before=after, limit=limit + 1)
        views = [_view(unit, change) for change in found[:limit]]
    return views, found[limit - 1].id if len(found) > limit else None


def export_changes(context: Context, wanted: ChangeFilter, *, actor: Actor, form: str) -> Iterator[str]:
    """All of them as ``csv`` or ``ndjson``, piece by piece; each piece is read in its own transaction."""
    if form == "csv":
        yield _csv([COLUMNS])
    after: str | None = None
    while True:
        views, after = list_changes(context, wanted, actor=actor, after=after, limit=PAGE)
        if views:
            yield _csv([_row(view) for view in views]) if form == "csv" else "".join(f"{json.dumps(document(v))}\n" for v in views)
        if after is None:
            return


def document(view: ChangeView) -> dict[str, Any]:
    """Plain values of a change."""
    change, approval = view.change, view.approval
    signed = [{"person": s.person, "roles": sorted(s.roles), "at": s.at.isoformat(), "note": s.note} for s in _signed(approval)]
    return {
        "id": change.id, "number": change.number, "at": change.at.isoformat(), "kind": change.kind.value, "subject": change.subject,
        "title": change.title, "venture": change.venture, "environment": change.environment and change.environment.value,
        "requested_by": change.requested_by, "origin": change.origin, "reason": change.reason,
        "risk": {"level": change.risk.level.value, "reasons": list(change.risk.reasons)}, "windows": change.windows,
        "rollback_plan": change.rollback_plan, "detail": change.detail,
        "approval": None if approval is None else {
            "id": approval.id, "state": approval.state.value, "policies": list(approval.policies), "signatures": signed,
        },
        "outcome": view.outcome, "outcome_reason": view.outcome_reason, "evidence": list(view.evidence),
    }  # fmt: skip


def change_document(context: Context, change: ChangeRecord) -> dict[str, Any]:
    """What an outside change system may be told of it; ``summary`` is a text of all that matters."""
    with context.store.read() as unit:
        found = document(_view(unit, change))
    why = "; ".join(found["risk"]["reasons"]) or "nothing unusual"
    found["summary"] = (
        f"{change.title}\nasked for by {change.requested_by} ({change.origin}): {change.reason or 'no note'}\n"
        f"risk {change.risk.level}: {why}\nchange windows: {change.windows}\nroll back: {change.rollback_plan}"
    )
    return found


def _view(unit: Unit, change: ChangeRecord) -> ChangeView:
    outcome, why = _outcome(unit, change)
    return ChangeView(change, unit.approvals.of_subject(_approval_subject(change)), outcome, why, tuple(_evidence(change)))


def _approval_subject(change: ChangeRecord) -> str:
    if change.kind is ChangeKind.FLAG:
        return flag_subject(str(change.detail.get("change", "")))
    train = change.detail.get("train") if change.kind is ChangeKind.RELEASE else None
    return f"train/{train}" if train else change.subject


def _outcome(unit: Unit, change: ChangeRecord) -> tuple[str, str]:
    thing = change.subject.partition("/")[2]
    if change.kind is ChangeKind.RELEASE:
        release = unit.releases.get(thing)
        return release.phase.value, release.reason
    if change.kind is ChangeKind.TRAIN:
        train = unit.trains.get(thing)
        return train.phase.value, train.reason
    if change.kind is ChangeKind.OVERRIDE:
        reviews = unit.approval_reviews.of_approval(thing)
        closed = next((r for r in reviews if r.closed_at is not None), None)
        return ("reviewed", f"{closed.closed_by}: {closed.note}") if closed else ("to be reviewed", "")
    return "applied", ""


def _evidence(change: ChangeRecord) -> Iterator[str]:
    thing = change.subject.partition("/")[2]
    if change.kind is ChangeKind.RELEASE:
        yield f"{OPS}/releases/{thing}"
        yield f"{OPS}/releases/{thing}/analysis"
    elif change.kind is ChangeKind.TRAIN:
        yield f"{OPS}/trains/{thing}"
    elif change.kind is ChangeKind.FLAG:
        yield f"{OPS}/flags/{thing}"
    elif change.kind is ChangeKind.OVERRIDE:
        yield f"{OPS}/approvals/{thing}"


def _signed(approval: ApprovalRequest | None) -> list[Any]:
    return [s for s in approval.signatures if s.content_hash == approval.content_hash] if approval else []


def _row(view: ChangeView) -> tuple[str, ...]:
    flat = document(view)
    approved = ", ".join(s.person for s in _signed(view.approval))
    flat |= {
        "risk": flat["risk"]["level"], "risk_reasons": "; ".join(flat["risk"]["reasons"]), "approved_by": approved,
        "approval": view.approval.state.value if view.approval else "",
    }  # fmt: skip
    return tuple(_cell(flat[name]) for name in COLUMNS)


def _cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula. Source: OWASP, CSV injection."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _csv(rows: list[tuple[str, ...]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()
