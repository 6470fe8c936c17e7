"""The work as tools tell it, and how far each tool was read."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from productops.store.tables.base import Base

STAGES = ("backlog", "ready", "doing", "review", "testing", "done")


class DevelopmentSourceRow(Base):
    """A tool that is read, as the catalog declares it, and its run: claimed by one at a time."""

    __tablename__ = "development_sources"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime]
    claimed_by: Mapped[str | None] = mapped_column(String(255))
    claimed_until: Mapped[datetime | None]
    run_started_at: Mapped[datetime | None]
    run_ended_at: Mapped[datetime | None]
    succeeded_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(Text, default="")
    paused_until: Mapped[datetime | None]
    rate_left: Mapped[int | None]
    full_wanted: Mapped[bool] = mapped_column(default=False)
    deletions_accepted: Mapped[bool] = mapped_column(default=False)
    wanted_at: Mapped[datetime | None]


class DevelopmentStreamRow(Base):
    """How far one stream of a source was read; moves in the transaction that stores the page, by compare-and-set of ``position``."""

    __tablename__ = "development_streams"
    source: Mapped[str] = mapped_column(ForeignKey("development_sources.name", ondelete="CASCADE"), primary_key=True)
    stream: Mapped[str] = mapped_column(String(200), primary_key=True)
    cursor: Mapped[dict[str, Any]]
    position: Mapped[int] = mapped_column(default=0)
    filled: Mapped[bool] = mapped_column(default=False)
    comb: Mapped[dict[str, Any]]
    combing_since: Mapped[datetime | None]
    combed_at: Mapped[datetime | None]
    items: Mapped[int] = mapped_column(default=0)
    read_at: Mapped[datetime | None]
    reached_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text, default="")


class DevelopmentKeyRow(Base):
    """Every key a work item, feature or change ever had: renames are followed, old mentions are still understood."""

    __tablename__ = "development_keys"
    source: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    kind: Mapped[str] = mapped_column(String(20))
    external_id: Mapped[str] = mapped_column(String(255))
    __table_args__ = (Index("ix_development_keys_venture_key", "venture", "key"),)


class _Read:
    """What every row has that was read from a tool."""

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    source: Mapped[str] = mapped_column(String(63))
    external_id: Mapped[str] = mapped_column(String(255))
    scope: Mapped[str] = mapped_column(String(200))
    url: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    revision: Mapped[int]
    digest: Mapped[str] = mapped_column(String(32))

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Any, ...]:
        name = cls.__tablename__  # type: ignore[attr-defined]
        return (
            UniqueConstraint("source", "external_id", name=f"uq_{name}_source_external_id"),
            Index(f"ix_{name}_venture_id", "venture", "id"),
            Index(f"ix_{name}_venture_changed_at", "venture", "changed_at"),
            Index(f"ix_{name}_source_scope_seen_at", "source", "scope", "seen_at"),
            *getattr(cls, "also", ()),
        )


class DevelopmentFeatureRow(_Read, Base):
    """A user-visible capability."""

    __tablename__ = "development_features"
    key: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(100))
    stage: Mapped[str] = mapped_column(String(10))
    priority: Mapped[str] = mapped_column(String(60))
    labels: Mapped[list[Any]]
    created_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]


class DevelopmentWorkItemRow(_Read, Base):
    """One piece of work; hours where the name ends in ``_h``."""

    __tablename__ = "development_work_items"
    also = (
        Index("ix_development_work_items_source_feature", "source", "feature"),
        Index("ix_development_work_items_venture_stage", "venture", "stage"),
    )
    key: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(String(100))
    status: Mapped[str] = mapped_column(String(100))
    stage: Mapped[str] = mapped_column(String(10))
    estimate_low_h: Mapped[float | None]
    estimate_h: Mapped[float | None]
    estimate_high_h: Mapped[float | None]
    points: Mapped[float | None]
    remaining_h: Mapped[float | None]
    assignee: Mapped[str | None] = mapped_column(String(255))
    skill: Mapped[str] = mapped_column(String(63))
    priority: Mapped[str] = mapped_column(String(60))
    parent: Mapped[str | None] = mapped_column(String(255))
    feature: Mapped[str | None] = mapped_column(String(255))
    sprint: Mapped[str | None] = mapped_column(String(255))
    labels: Mapped[list[Any]]
    services: Mapped[list[Any]]
    created_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    blocked_since: Mapped[datetime | None]


class DevelopmentMoveRow(_Read, Base):
    """A field of a work item changed; ``changed_at`` is when."""

    __tablename__ = "development_work_item_moves"
    also = (Index("ix_development_work_item_moves_source_item", "source", "item", "changed_at"),)
    item: Mapped[str] = mapped_column(String(255))
    field: Mapped[str] = mapped_column(String(20))
    old: Mapped[str] = mapped_column(String(255))
    new: Mapped[str] = mapped_column(String(255))
    by: Mapped[str | None] = mapped_column(String(255))
    observed: Mapped[bool]


class DevelopmentLinkRow(_Read, Base):
    """One work item blocks another, or relates to it."""

    __tablename__ = "development_links"
    also = (Index("ix_development_links_source_item", "source", "item"),)
    item: Mapped[str] = mapped_column(String(255))
    to: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(20))


class DevelopmentSprintRow(_Read, Base):
    """A sprint or iteration."""

    __tablename__ = "development_sprints"
    name: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(20))
    goal: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]


class DevelopmentPersonRow(_Read, Base):
    """One account of somebody."""

    __tablename__ = "development_people"
    also = (Index("ix_development_people_venture_person", "venture", "person"),)
    login: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    email: Mapped[str] = mapped_column(String(320))
    person: Mapped[str] = mapped_column(String(320))


class DevelopmentChangeRow(_Read, Base):
    """A pull or merge request; ``files`` is a list of [path, added, deleted]."""

    __tablename__ = "development_changes"
    also = (
        Index("ix_development_changes_venture_merged_at", "venture", "merged_at"),
        Index("ix_development_changes_venture_merge_sha", "venture", "merge_sha"),
    )
    key: Mapped[str] = mapped_column(String(255))
    repository: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(10))
    draft: Mapped[bool]
    labels: Mapped[list[Any]]
    opened_at: Mapped[datetime | None]
    merged_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    works_on: Mapped[list[Any]]
    base: Mapped[str | None] = mapped_column(String(255))
    head: Mapped[str | None] = mapped_column(String(255))
    head_sha: Mapped[str | None] = mapped_column(String(64))
    merge_sha: Mapped[str | None] = mapped_column(String(64))
    additions: Mapped[int | None]
    deletions: Mapped[int | None]
    file_count: Mapped[int | None]
    files: Mapped[list[Any]]
    services: Mapped[list[Any]]
    commit_count: Mapped[int | None]
    review_count: Mapped[int | None]
    review_comments: Mapped[int | None]
    first_review_at: Mapped[datetime | None]
    details_at: Mapped[datetime | None]


class DevelopmentCommitRow(_Read, Base):
    """A commit."""

    __tablename__ = "development_commits"
    also = (Index("ix_development_commits_venture_sha", "venture", "sha"),)
    sha: Mapped[str] = mapped_column(String(64))
    repository: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(String(255))
    author_name: Mapped[str] = mapped_column(String(255))
    authored_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]
    parents: Mapped[list[Any]]
    files: Mapped[list[Any]]
    additions: Mapped[int | None]
    deletions: Mapped[int | None]
    change: Mapped[str | None] = mapped_column(String(255))
    works_on: Mapped[list[Any]]


class DevelopmentReviewRow(_Read, Base):
    """Somebody's look at a change."""

    __tablename__ = "development_reviews"
    also = (Index("ix_development_reviews_source_change", "source", "change"),)
    change: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(30))
    reviewer: Mapped[str | None] = mapped_column(String(255))
    submitted_at: Mapped[datetime | None]
    comments: Mapped[int | None]


class DevelopmentBuildRow(_Read, Base):
    """One run of Actions, or one pipeline."""

    __tablename__ = "development_builds"
    also = (Index("ix_development_builds_venture_sha", "venture", "sha"),)
    repository: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    sha: Mapped[str] = mapped_column(String(64))
    branch: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class DevelopmentDeploymentRow(_Read, Base):
    """One deployment that a tool tells of."""

    __tablename__ = "development_deployments"
    also = (Index("ix_development_deployments_venture_sha", "venture", "sha"),)
    repository: Mapped[str] = mapped_column(String(255))
    sha: Mapped[str] = mapped_column(String(64))
    environment: Mapped[str] = mapped_column(String(255))
    production: Mapped[bool]
    ref: Mapped[str] = mapped_column(String(255))
    service: Mapped[str | None] = mapped_column(String(63))
    status: Mapped[str | None] = mapped_column(String(20))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
