"""What becomes of a thing when it is told again: what is newer holds, and what a list does not tell is not forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from productops.domain.development import CHANGE_DETAILS, STARTED, Change, Commit, Deployment, Move, Person, Read, Review, Stage, WorkItem

R = TypeVar("R", bound=Read)
# Fields that not every answer tells: where one is silent, the last word holds.
PARTIAL: Final[dict[type[Read], frozenset[str]]] = {
    Change: CHANGE_DETAILS, Deployment: frozenset({"status", "started_at", "finished_at", "service"}), Review: frozenset({"comments"}),
    Commit: frozenset({"files", "additions", "deletions", "change", "author", "works_on"}), Person: frozenset({"name", "email", "person"}),
    WorkItem: frozenset({"started_at"}),
}  # fmt: skip
_SILENT: Final[tuple[Any, ...]] = (None, "", ())


def merged(new: R, old: R | None) -> R:
    """``new`` with what only ``old`` knows."""
    if old is not None:
        kept = {name: getattr(old, name) for name in PARTIAL.get(type(new), ()) if getattr(new, name) in _SILENT}
        new = replace(new, **kept)
    if isinstance(new, Person) and not new.person:
        return replace(new, person=(new.email or new.login).lower())
    if isinstance(new, WorkItem):
        earlier = old if isinstance(old, WorkItem) else None
        return replace(new, **_times(new, earlier))
    return new


def _times(new: WorkItem, old: WorkItem | None) -> dict[str, Any]:
    """When it was begun, and since when it waits: the first time that this was seen."""
    started = new.started_at
    if started is None and new.stage in STARTED:
        started = new.done_at or new.changed_at
    waits = new.blocked_since
    if waits is not None and old is not None and old.blocked_since is not None:
        waits = min(waits, old.blocked_since)
    return {"started_at": started, "blocked_since": waits}


def observed_moves(new: WorkItem, old: WorkItem | None) -> Iterator[Move]:
    """What changed between two looks, for tools that do not tell their history. The first look makes it of the item's own times."""
    if old is None:
        yield from _first_moves(new)
        return
    for field, before, after in _tracked(old, new):
        if before != after:
            yield _move(new, field, before, after, new.changed_at)


def _tracked(old: WorkItem, new: WorkItem) -> Iterator[tuple[str, str, str]]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:g}"

    yield "stage", old.stage.value, new.stage.value
    yield "status", old.status, new.status
    yield "feature", old.feature or "", new.feature or ""
    yield "sprint", old.sprint or "", new.sprint or ""
    yield "estimate", number(old.estimate_h), number(new.estimate_h)
    yield "assignee", old.assignee or "", new.assignee or ""
    yield "blocked", "yes" if old.blocked_since else "", "yes" if new.blocked_since else ""


def _first_moves(new: WorkItem) -> Iterator[Move]:
    if new.created_at is not None:
        yield _move(new, "stage", "", Stage.BACKLOG.value, new.created_at)
    if new.stage is Stage.DONE:
        yield _move(new, "stage", Stage.BACKLOG.value, Stage.DONE.value, new.done_at or new.changed_at)
    elif new.stage is not Stage.BACKLOG:
        yield _move(new, "stage", Stage.BACKLOG.value, new.stage.value, new.changed_at)


def _move(item: WorkItem, field: str, old: str, new: str, at: datetime) -> Move:
    return Move(
        external_id=f"{item.external_id}:{field}:{at.isoformat()}:{new}"[:255], changed_at=at, scope=item.scope, item=item.external_id,
        field=field, old=old, new=new, observed=True,
    )  # fmt: skip
