"""Between the domain's values of development and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import String

from productops.domain.development import (
    KEPT_BY_STORE,
    Build,
    Change,
    ChangeState,
    Commit,
    Deployment,
    Feature,
    FileChange,
    Link,
    Move,
    Person,
    Read,
    Review,
    RunState,
    Sprint,
    Stage,
    WorkItem,
)
from productops.store.tables import (
    DevelopmentBuildRow,
    DevelopmentChangeRow,
    DevelopmentCommitRow,
    DevelopmentDeploymentRow,
    DevelopmentFeatureRow,
    DevelopmentLinkRow,
    DevelopmentMoveRow,
    DevelopmentPersonRow,
    DevelopmentReviewRow,
    DevelopmentSprintRow,
    DevelopmentWorkItemRow,
)

R = TypeVar("R", bound=Read)
Row: TypeAlias = Any  # eleven tables with the same first columns, which their common base cannot tell the type checker
TABLES: Final[dict[type[Read], Row]] = {
    Feature: DevelopmentFeatureRow, WorkItem: DevelopmentWorkItemRow, Move: DevelopmentMoveRow, Link: DevelopmentLinkRow,
    Sprint: DevelopmentSprintRow, Person: DevelopmentPersonRow, Change: DevelopmentChangeRow, Commit: DevelopmentCommitRow,
    Review: DevelopmentReviewRow, Build: DevelopmentBuildRow, Deployment: DevelopmentDeploymentRow,
}  # fmt: skip
_ENUMS: Final[dict[tuple[type[Read], str], type[StrEnum]]] = {
    (Feature, "stage"): Stage, (WorkItem, "stage"): Stage, (Change, "state"): ChangeState, (Build, "status"): RunState,
    (Deployment, "status"): RunState,
}  # fmt: skip
_LISTS: Final = frozenset({"labels", "services", "works_on", "parents"})
_OWN: Final[dict[type[Read], tuple[str, ...]]] = {
    kind: tuple(f.name for f in fields(kind) if f.name not in KEPT_BY_STORE) for kind in TABLES
}  # fmt: skip
_LENGTHS: Final[dict[type[Read], dict[str, int]]] = {
    kind: {c.name: c.type.length for c in table.__table__.columns if isinstance(c.type, String) and c.type.length}
    for kind, table in TABLES.items()
}  # fmt: skip


def columns_of(record: Read) -> dict[str, Any]:
    """Its own fields as columns take them; text is cut to the column's length and holds no NUL, which PostgreSQL refuses."""
    kind, lengths = type(record), _LENGTHS[type(record)]
    return {name: _plain(getattr(record, name), lengths.get(name)) for name in _OWN[kind]}


def _plain(value: Any, length: int | None) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, str):
        return value.replace("\x00", "")[:length]
    if isinstance(value, tuple):
        return [[each.path, each.added, each.deleted] if isinstance(each, FileChange) else each for each in value]
    return value


def record_of(kind: type[R], row: Row) -> R:
    """The value of a row."""
    values: dict[str, Any] = {name: _rich(kind, name, getattr(row, name)) for name in _OWN[kind]}
    return kind(
        **values, id=str(row.id), venture=row.venture, source=row.source, seen_at=row.seen_at, deleted_at=row.deleted_at,
        revision=row.revision,
    )  # fmt: skip


def _rich(kind: type[Read], name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "files":
        return _files(value)
    if name in _LISTS:
        return tuple(value)
    enum = _ENUMS.get((kind, name))
    return enum(value) if enum else value


def _files(value: Sequence[Sequence[Any]]) -> tuple[FileChange, ...]:
    return tuple(FileChange(str(path), int(added), int(deleted)) for path, added, deleted in value)
