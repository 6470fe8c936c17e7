"""What the gates judged: policies, runs and evidence, failed tests, findings, series, waivers, sign-offs, quarantine, uploads."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from productops.store.tables.base import Base, one_of

STATES = ("passed", "failed", "inconclusive", "error")
SOURCES = ("ci", "flow", "release")


class QualityPolicyRow(Base):
    """A declared policy in its present revision; the earlier ones stand in catalog_revisions."""

    __tablename__ = "quality_policies"
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    venture: Mapped[str | None] = mapped_column(String(63))
    spec: Mapped[dict[str, Any]]
    base: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]


class QualityRunRow(Base):
    """One judgement of one version. ``request_key`` is unique for a request that was sent with an idempotency key."""

    __tablename__ = "quality_runs"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    version: Mapped[str] = mapped_column(String(128))
    commit: Mapped[str] = mapped_column(String(64))
    branch: Mapped[str] = mapped_column(String(255))
    source: Mapped[str] = mapped_column(String(10))
    by: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(12))
    sentence: Mapped[str] = mapped_column(Text)
    policy: Mapped[str] = mapped_column(String(63))
    policy_revision: Mapped[int]
    mainline: Mapped[bool]
    baseline_id: Mapped[uuid.UUID | None]
    figures: Mapped[dict[str, Any]]
    inputs: Mapped[dict[str, Any]]
    links: Mapped[list[Any]]
    request_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    __table_args__ = (
        one_of("state", *STATES),
        one_of("source", *SOURCES),
        Index("ix_quality_runs_service_id", "service", "id"),
        Index("ix_quality_runs_service_version_id", "service", "version", "id"),
        Index("ix_quality_runs_service_commit_id", "service", "commit", "id"),
        Index("ix_quality_runs_service_mainline_state_id", "service", "mainline", "state", "id"),
        Index("ix_quality_runs_venture_id", "venture", "id"),
        Index("ix_quality_runs_state_id", "state", "id"),
    )


class QualityGateRow(Base):
    """One gate of one run, in the policy's order."""

    __tablename__ = "quality_gates"
    run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("quality_runs.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    gate: Mapped[str] = mapped_column(String(63))
    kind: Mapped[str] = mapped_column(String(20))
    required: Mapped[bool]
    state: Mapped[str] = mapped_column(String(12))
    sentence: Mapped[str] = mapped_column(Text)
    result: Mapped[dict[str, Any]]
    __table_args__ = (one_of("state", *STATES), Index("ix_quality_gates_gate_state", "gate", "state"))


class QualityEvidenceRow(Base):
    """One part of what a run was judged by, as compressed columns: a hundred thousand tests are one row of some 300 KB, not 100,000."""

    __tablename__ = "quality_evidence"
    run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("quality_runs.id"), primary_key=True)
    part: Mapped[str] = mapped_column(String(20), primary_key=True)
    count: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)


class QualityTestRow(Base):
    """A test that failed or was retried at least once: from then on each of its results is kept."""

    __tablename__ = "quality_tests"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    suite: Mapped[str] = mapped_column(Text)
    classname: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    file: Mapped[str] = mapped_column(Text)
    watched_since: Mapped[datetime]
    failed_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    __table_args__ = (Index("ix_quality_tests_service_failed_at", "service", "failed_at"),)


class QualityTestResultRow(Base):
    """What a watched test did in one run: ``executions`` with retries, ``failures`` of them."""

    __tablename__ = "quality_test_results"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("quality_runs.id"), primary_key=True)
    commit: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(10))
    executions: Mapped[int]
    failures: Mapped[int]
    duration_s: Mapped[float | None]
    message: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    __table_args__ = (Index("ix_quality_test_results_service_run_id", "service", "run_id"),)


class QualityFindingRow(Base):
    """A finding of a service by its stable fingerprint: seen first and last; ``gone_at``: a later run of the main branch lacked it."""

    __tablename__ = "quality_findings"
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    tool: Mapped[str] = mapped_column(String(255))
    rule: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(String(10))
    message: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    line: Mapped[int | None]
    package: Mapped[str] = mapped_column(Text)
    identifiers: Mapped[list[Any]]
    cvss: Mapped[float | None]
    places: Mapped[int]
    first_run_id: Mapped[uuid.UUID]
    first_seen_at: Mapped[datetime]
    last_run_id: Mapped[uuid.UUID]
    last_seen_at: Mapped[datetime]
    gone_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("severity", "critical", "high", "medium", "low", "info"),
        Index("ix_quality_findings_service_gone_at_severity", "service", "gone_at", "severity"),
    )


class QualitySeriesRow(Base):
    """The values of one performance series in one run. ``values`` are 64-bit floats, little endian, at most a thousand of them.

    ``accepted`` says whether the performance gates let it pass; ``runner`` is the kind of machine.
    """

    __tablename__ = "quality_series"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("quality_runs.id"))
    service: Mapped[str] = mapped_column(String(63))
    series: Mapped[str] = mapped_column(String(255))
    runner: Mapped[str] = mapped_column(String(100))
    unit: Mapped[str] = mapped_column(String(40))
    higher_is_better: Mapped[bool | None]
    commit: Mapped[str] = mapped_column(String(64))
    mainline: Mapped[bool]
    accepted: Mapped[bool]
    count: Mapped[int]
    values: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]
    __table_args__ = (
        Index("ix_quality_series_run_id", "run_id"),
        Index("ix_quality_series_service_series_id", "service", "series", "id"),
    )


class QualityWaiverRow(Base):
    """Somebody's word that one objection of a gate is borne for a time. ``gate`` and ``service`` may be ``*``; ``key`` never is."""

    __tablename__ = "quality_waivers"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    gate: Mapped[str] = mapped_column(String(63))
    key: Mapped[str] = mapped_column(String(255))
    owner: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    given_by: Mapped[str] = mapped_column(String(255))
    given_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = mapped_column(String(255))
    __table_args__ = (
        Index("ix_quality_waivers_venture_id", "venture", "id"),
        Index("ix_quality_waivers_service_expires_at", "service", "expires_at"),
    )


class QualitySignOffRow(Base):
    """One item of a checklist, signed for one version."""

    __tablename__ = "quality_sign_offs"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    version: Mapped[str] = mapped_column(String(128))
    commit: Mapped[str] = mapped_column(String(64))
    gate: Mapped[str] = mapped_column(String(63))
    item: Mapped[str] = mapped_column(String(200))
    by: Mapped[str] = mapped_column(String(255))
    roles: Mapped[list[Any]]
    note: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("service", "version", "commit", "gate", "item", "by", name="uq_quality_sign_offs_one"),
        Index("ix_quality_sign_offs_service_version", "service", "version"),
    )


class QualityQuarantineRow(Base):
    """A test that does not count for a time. ``open_key`` makes it one at a time for each test; it is emptied when it ends."""

    __tablename__ = "quality_quarantine"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    test_key: Mapped[str] = mapped_column(String(32))
    test_name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]]
    by: Mapped[str] = mapped_column(String(255))
    since: Mapped[datetime]
    until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str] = mapped_column(Text)
    open_key: Mapped[str | None] = mapped_column(String(100), unique=True)
    __table_args__ = (Index("ix_quality_quarantine_service_id", "service", "id"),)


class QualityUploadRow(Base):
    """Files that wait to be judged; they lie in ``folder`` until then. A claim that is not renewed lapses at ``claimed_until``."""

    __tablename__ = "quality_uploads"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    venture: Mapped[str] = mapped_column(String(63))
    service: Mapped[str] = mapped_column(String(63))
    state: Mapped[str] = mapped_column(String(10))
    request: Mapped[dict[str, Any]]
    folder: Mapped[str] = mapped_column(Text)
    files: Mapped[int]
    size_bytes: Mapped[int]
    by: Mapped[str] = mapped_column(String(255))
    origin: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    attempts: Mapped[int]
    claimed_by: Mapped[str | None] = mapped_column(String(100))
    claimed_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    run_id: Mapped[uuid.UUID | None]
    reason: Mapped[str] = mapped_column(Text)
    request_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    __table_args__ = (
        one_of("state", "waiting", "working", "judged", "failed"),
        Index("ix_quality_uploads_state_id", "state", "id"),
    )
