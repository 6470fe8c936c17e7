"""analytics: looks at performance, predictions of success, weekly reports and their mails."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "analytics_performance_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.Column("action", JSON, nullable=False),
        sa.Column("effect", JSON, nullable=False),
        sa.Column("request_key", sa.String(length=255), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("acted_at", TIME, nullable=True),
        sa.Column("measured_at", TIME, nullable=True),
        sa.CheckConstraint("state IN ('done', 'acting', 'acted', 'refused')", name=op.f("ck_analytics_performance_runs_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_performance_runs")),
        sa.UniqueConstraint("request_key", name=op.f("uq_analytics_performance_runs_request_key")),
    )
    op.create_index("ix_analytics_performance_runs_venture_id", "analytics_performance_runs", ["venture", "id"], unique=False)
    op.create_index("ix_analytics_performance_runs_subject_id", "analytics_performance_runs", ["subject", "id"], unique=False)
    op.create_table(
        "analytics_performance_days",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "version", "day", name=op.f("pk_analytics_performance_days")),
    )
    op.create_index("ix_analytics_performance_days_day", "analytics_performance_days", ["day"], unique=False)
    op.create_table(
        "analytics_predictions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("feature", sa.String(length=255), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("target", sa.Float(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("base", sa.Float(), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("signals", JSON, nullable=False),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=True),
        sa.Column("actual", sa.Float(), nullable=True),
        sa.Column("outcome_at", TIME, nullable=True),
        sa.CheckConstraint("outcome IN ('reached', 'missed')", name=op.f("ck_analytics_predictions_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_predictions")),
        sa.UniqueConstraint("venture", "feature", "day", name="uq_analytics_predictions_one"),
    )
    op.create_index("ix_analytics_predictions_venture_outcome", "analytics_predictions", ["venture", "outcome"], unique=False)
    op.create_table(
        "analytics_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("week", sa.String(length=8), nullable=False),
        sa.Column("document", JSON, nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_reports")),
        sa.UniqueConstraint("venture", "week", name="uq_analytics_reports_one"),
    )
    op.create_table(
        "analytics_report_mails",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("doubtful", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'sending', 'sent', 'failed')", name=op.f("ck_analytics_report_mails_state")),
        sa.ForeignKeyConstraint(["report_id"], ["analytics_reports.id"], name=op.f("fk_analytics_report_mails_report_id")),
        sa.PrimaryKeyConstraint("report_id", "recipient", name=op.f("pk_analytics_report_mails")),
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("analytics_report_mails")
    op.drop_table("analytics_reports")
    op.drop_table("analytics_predictions")
    op.drop_table("analytics_performance_days")
    op.drop_table("analytics_performance_runs")
