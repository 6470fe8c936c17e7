"""The work on a product as its tools tell it: features, work items, sprints, people, changes, builds, deployments. One model for all tools.

References between things are what the tool names: the other's ``external_id`` or its key (``PROJ-12``, ``acme/shop#12``), within the same
source. Pages come in any order, so a reference may lead to what has not been read yet.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias


class System(StrEnum):
    """Whose tool it is."""

    GITHUB = "github"
    GITLAB = "gitlab"
    JIRA = "jira"


class Stage(StrEnum):
    """How far a work item or a feature is, in order."""

    BACKLOG = "backlog"
    READY = "ready"
    DOING = "doing"
    REVIEW = "review"
    TESTING = "testing"
    DONE = "done"


STARTED: Final = frozenset({Stage.DOING, Stage.REVIEW, Stage.TESTING, Stage.DONE})


class ChangeState(StrEnum):
    """Of a pull or merge request."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


class RunState(StrEnum):
    """Of a build or a deployment."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


RUN_ENDED: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What every thing has that was read from a tool.

    ``external_id`` is stable: it outlives renames. ``changed_at`` is the tool's own time of the last change: the order of what comes in.
    ``scope`` is the repository or project within the source. What stands from ``id`` on is filled by the store.
    """

    external_id: str
    changed_at: datetime
    scope: str = ""
    url: str = ""
    id: str = ""
    venture: str = ""
    source: str = ""
    seen_at: datetime | None = None
    deleted_at: datetime | None = None
    revision: int = 0


KEPT_BY_STORE: Final = frozenset({"id", "venture", "source", "seen_at", "deleted_at", "revision"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature(Read):
    """A user-visible capability: an epic, a milestone, a label, a parent issue, or the value of a field."""

    key: str
    title: str
    description: str = ""
    status: str = ""
    stage: Stage = Stage.BACKLOG
    priority: str = ""
    labels: tuple[str, ...] = ()
    created_at: datetime | None = None
    due_at: datetime | None = None
    done_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem(Read):
    """One piece of work. Estimates and ``remaining_h`` in hours of work; ``points`` as the tool has them.

    ``assignee`` is the external id of a person. ``feature``, ``parent`` and ``sprint`` are references.
    """

    key: str
    title: str
    type: str = "issue"
    status: str = ""
    stage: Stage = Stage.BACKLOG
    estimate_low_h: float | None = None
    estimate_h: float | None = None
    estimate_high_h: float | None = None
    points: float | None = None
    remaining_h: float | None = None
    assignee: str | None = None
    skill: str = ""
    priority: str = ""
    parent: str | None = None
    feature: str | None = None
    sprint: str | None = None
    labels: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    created_at: datetime | None = None
    started_at: datetime | None = None
    done_at: datetime | None = None
    due_at: datetime | None = None
    blocked_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(Read):
    """A work item's ``field`` went from ``old`` to ``new`` at ``changed_at``.

    ``field``: stage, status, feature, estimate, sprint, blocked or assignee. Empty text: nothing. Cycle time by stage and change of scope
    come from here. ``observed``: seen between two looks, not told by the tool; the true time is between both.
    """

    item: str
    field: str
    old: str = ""
    new: str = ""
    by: str | None = None
    observed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Read):
    """``item`` blocks, or merely relates to, ``to``; both are references to work items."""

    item: str
    to: str
    kind: str = "blocks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprint(Read):
    """A sprint or iteration. ``state``: future, active or closed."""

    name: str
    state: str = "future"
    goal: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Read):
    """One account of somebody. ``person`` is the same for all accounts of one: as the catalog maps it, else the address, else the login."""

    login: str
    name: str = ""
    email: str = ""
    person: str = ""


@dataclass(frozen=True, slots=True)
class FileChange:
    """Lines of one file of a change."""

    path: str
    added: int
    deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Read):
    """A pull or merge request. From ``base`` on, what only its own page tells; ``None``: not known yet. ``details_at``: how new that is.

    ``review_comments`` is the depth of the review. ``works_on``: keys of work items that title, text, branch or commits name.
    """

    key: str
    repository: str
    title: str
    author: str | None = None
    state: ChangeState = ChangeState.OPEN
    draft: bool = False
    labels: tuple[str, ...] = ()
    opened_at: datetime | None = None
    merged_at: datetime | None = None
    closed_at: datetime | None = None
    works_on: tuple[str, ...] = ()
    base: str | None = None
    head: str | None = None
    head_sha: str | None = None
    merge_sha: str | None = None
    additions: int | None = None
    deletions: int | None = None
    file_count: int | None = None
    files: tuple[FileChange, ...] = ()
    services: tuple[str, ...] = ()
    commit_count: int | None = None
    review_count: int | None = None
    review_comments: int | None = None
    first_review_at: datetime | None = None
    details_at: datetime | None = None


# What a list does not tell; it is written by whoever knows it, and never wiped by who does not.
CHANGE_DETAILS: Final = frozenset(
    {
        "base", "head", "head_sha", "merge_sha", "additions", "deletions", "file_count", "files", "services", "commit_count",
        "review_count", "review_comments", "first_review_at", "details_at",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit(Read):
    """A commit of a default branch or of a change. ``title`` is the first line of its message."""

    sha: str
    repository: str
    title: str = ""
    author: str | None = None
    author_name: str = ""
    authored_at: datetime | None = None
    committed_at: datetime | None = None
    parents: tuple[str, ...] = ()
    files: tuple[FileChange, ...] = ()
    additions: int | None = None
    deletions: int | None = None
    change: str | None = None
    works_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review(Read):
    """Somebody's look at a change (its external id). ``state``: approved, changes_requested, commented or dismissed."""

    change: str
    state: str
    reviewer: str | None = None
    submitted_at: datetime | None = None
    comments: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Build(Read):
    """One run of Actions, or one pipeline."""

    repository: str
    name: str
    sha: str
    branch: str = ""
    status: RunState = RunState.QUEUED
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(Read):
    """One deployment that a tool tells of. ``environment`` as it calls it, ``production`` as the catalog says; ``status`` None: unknown."""

    repository: str
    sha: str
    environment: str
    production: bool = False
    ref: str = ""
    service: str | None = None
    status: RunState | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """Something was deleted at its source, or moved out of it."""

    kind: type[Read]
    external_id: str
    at: datetime
    scope: str = ""


Told: TypeAlias = Read | Gone
KINDS: Final[tuple[type[Read], ...]] = (
    Feature, WorkItem, Move, Link, Sprint, Person, Change, Commit, Review, Build, Deployment,
)  # fmt: skip
NAMES: Final[dict[type[Read], str]] = {
    Feature: "features", WorkItem: "work items", Move: "moves", Link: "links", Sprint: "sprints", Person: "people", Change: "changes",
    Commit: "commits", Review: "reviews", Build: "builds", Deployment: "deployments",
}  # fmt: skip


def content(record: Read) -> dict[str, Any]:
    """Its own fields, without those the store keeps."""
    return {f.name: getattr(record, f.name) for f in fields(record) if f.name not in KEPT_BY_STORE}


def digest(record: Read) -> str:
    """The same for the same content, whenever it was read."""
    plain = "\x1f".join(f"{name}={value!r}" for name, value in sorted(content(record).items()) if name != "changed_at")
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Written:
    """What became of things of one kind: how many were new, changed, the same, older than what is known, or deleted."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    stale: int = 0
    deleted: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def total(self) -> int:
        """All that was looked at."""
        return self.created + self.changed + self.unchanged + self.stale + self.deleted
