"""quality: policies, runs with their evidence, watched tests, findings, series, waivers, sign-offs, quarantine, uploads.

Tests of a run are compressed columns in one row; rows of their own have only tests that failed or were retried, and what these did since.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
INDEXES = (
    ("ix_quality_findings_service_gone_at_severity", "quality_findings", ["service", "gone_at", "severity"]),
    ("ix_quality_quarantine_service_id", "quality_quarantine", ["service", "id"]),
    ("ix_quality_runs_service_commit_id", "quality_runs", ["service", "commit", "id"]),
    ("ix_quality_runs_service_id", "quality_runs", ["service", "id"]),
    ("ix_quality_runs_service_mainline_state_id", "quality_runs", ["service", "mainline", "state", "id"]),
    ("ix_quality_runs_service_version_id", "quality_runs", ["service", "version", "id"]),
    ("ix_quality_runs_state_id", "quality_runs", ["state", "id"]),
    ("ix_quality_runs_venture_id", "quality_runs", ["venture", "id"]),
    ("ix_quality_sign_offs_service_version", "quality_sign_offs", ["service", "version"]),
    ("ix_quality_tests_service_failed_at", "quality_tests", ["service", "failed_at"]),
    ("ix_quality_uploads_state_id", "quality_uploads", ["state", "id"]),
    ("ix_quality_waivers_service_expires_at", "quality_waivers", ["service", "expires_at"]),
    ("ix_quality_waivers_venture_id", "quality_waivers", ["venture", "id"]),
    ("ix_quality_gates_gate_state", "quality_gates", ["gate", "state"]),
    ("ix_quality_series_run_id", "quality_series", ["run_id"]),
    ("ix_quality_series_service_series_id", "quality_series", ["service", "series", "id"]),
    ("ix_quality_test_results_service_run_id", "quality_test_results", ["service", "run_id"]),
)
TABLES = (
    "quality_findings",
    "quality_policies",
    "quality_quarantine",
    "quality_runs",
    "quality_sign_offs",
    "quality_tests",
    "quality_uploads",
    "quality_waivers",
    "quality_evidence",
    "quality_gates",
    "quality_series",
    "quality_test_results",
)


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "quality_findings",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("tool", sa.String(length=255), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("identifiers", JSON, nullable=False),
        sa.Column("cvss", sa.Float(), nullable=True),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("first_run_id", sa.Uuid(), nullable=False),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("last_run_id", sa.Uuid(), nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("gone_at", TIME, nullable=True),
        sa.CheckConstraint("severity IN ('critical', 'high', 'medium', 'low', 'info')", name=op.f("ck_quality_findings_severity")),
        sa.PrimaryKeyConstraint("service", "fingerprint", name=op.f("pk_quality_findings")),
    )
    op.create_table(
        "quality_policies",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=True),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_quality_policies")),
    )
    op.create_table(
        "quality_quarantine",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("test_key", sa.String(length=32), nullable=False),
        sa.Column("test_name", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=False),
        sa.Column("open_key", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_quarantine")),
        sa.UniqueConstraint("open_key", name=op.f("uq_quality_quarantine_open_key")),
    )
    op.create_table(
        "quality_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("branch", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("policy", sa.String(length=63), nullable=False),
        sa.Column("policy_revision", sa.Integer(), nullable=False),
        sa.Column("mainline", sa.Boolean(), nullable=False),
        sa.Column("baseline_id", sa.Uuid(), nullable=True),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("inputs", JSON, nullable=False),
        sa.Column("links", JSON, nullable=False),
        sa.Column("request_key", sa.String(length=64), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.CheckConstraint("source IN ('ci', 'flow', 'release')", name=op.f("ck_quality_runs_source")),
        sa.CheckConstraint("state IN ('passed', 'failed', 'inconclusive', 'error')", name=op.f("ck_quality_runs_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_runs")),
        sa.UniqueConstraint("request_key", name=op.f("uq_quality_runs_request_key")),
    )
    op.create_table(
        "quality_sign_offs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("gate", sa.String(length=63), nullable=False),
        sa.Column("item", sa.String(length=200), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("roles", JSON, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_sign_offs")),
        sa.UniqueConstraint("service", "version", "commit", "gate", "item", "by", name="uq_quality_sign_offs_one"),
    )
    op.create_table(
        "quality_tests",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("suite", sa.Text(), nullable=False),
        sa.Column("classname", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("watched_since", TIME, nullable=False),
        sa.Column("failed_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("service", "key", name=op.f("pk_quality_tests")),
    )
    op.create_table(
        "quality_uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("request", JSON, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=100), nullable=True),
        sa.Column("claimed_until", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("request_key", sa.String(length=64), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'working', 'judged', 'failed')", name=op.f("ck_quality_uploads_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_uploads")),
        sa.UniqueConstraint("request_key", name=op.f("uq_quality_uploads_request_key")),
    )
    op.create_table(
        "quality_waivers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("gate", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("given_by", sa.String(length=255), nullable=False),
        sa.Column("given_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("ended_by", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_waivers")),
    )
    op.create_table(
        "quality_evidence",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.String(length=20), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["quality_runs.id"], name=op.f("fk_quality_evidence_run_id")),
        sa.PrimaryKeyConstraint("run_id", "part", name=op.f("pk_quality_evidence")),
    )
    op.create_table(
        "quality_gates",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gate", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.CheckConstraint("state IN ('passed', 'failed', 'inconclusive', 'error')", name=op.f("ck_quality_gates_state")),
        sa.ForeignKeyConstraint(["run_id"], ["quality_runs.id"], name=op.f("fk_quality_gates_run_id")),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_quality_gates")),
    )
    op.create_table(
        "quality_series",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("series", sa.String(length=255), nullable=False),
        sa.Column("runner", sa.String(length=100), nullable=False),
        sa.Column("unit", sa.String(length=40), nullable=False),
        sa.Column("higher_is_better", sa.Boolean(), nullable=True),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("mainline", sa.Boolean(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("values", sa.LargeBinary(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["quality_runs.id"], name=op.f("fk_quality_series_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_series")),
    )
    op.create_table(
        "quality_test_results",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("executions", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["quality_runs.id"], name=op.f("fk_quality_test_results_run_id")),
        sa.PrimaryKeyConstraint("service", "key", "run_id", name=op.f("pk_quality_test_results")),
    )
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    """Take them away."""
    for table in reversed(TABLES):
        op.drop_table(table)
