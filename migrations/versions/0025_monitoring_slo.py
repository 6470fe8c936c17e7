"""monitoring: objectives, budgets, alert rules and detectors."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "slo_documents",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("document", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_slo_documents")),
    )
    op.create_table(
        "slo_objectives",
        sa.Column("name", sa.String(length=130), nullable=False),
        sa.Column("slo", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_slo_objectives")),
    )
    op.create_index("ix_slo_objectives_service_environment", "slo_objectives", ["service", "environment"], unique=False)
    op.create_index("ix_slo_objectives_slo", "slo_objectives", ["slo"], unique=False)
    op.create_table(
        "slo_minutes",
        sa.Column("objective", sa.String(length=130), nullable=False),
        sa.Column("minute_s", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("good", sa.Float(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("objective", "minute_s", "version", name=op.f("pk_slo_minutes")),
    )
    op.create_table(
        "slo_states",
        sa.Column("objective", sa.String(length=130), nullable=False),
        sa.Column("rolled_s", sa.BigInteger(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.PrimaryKeyConstraint("objective", name=op.f("pk_slo_states")),
    )
    op.create_table(
        "slo_allowances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("objective", sa.String(length=130), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("given_by", sa.String(length=255), nullable=False),
        sa.Column("given_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slo_allowances")),
    )
    op.create_index("ix_slo_allowances_objective_until", "slo_allowances", ["objective", "until"], unique=False)
    op.create_table(
        "alert_rules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=True),
        sa.Column("environment", sa.String(length=20), nullable=True),
        sa.Column("severity", sa.String(length=4), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("changed_by", sa.String(length=255), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.CheckConstraint("severity IN ('SEV1', 'SEV2', 'SEV3', 'SEV4')", name=op.f("ck_alert_rules_severity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rules")),
        sa.UniqueConstraint("venture", "name", name="uq_alert_rules_venture_name"),
    )
    op.create_table(
        "alert_rule_states",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("series", sa.String(length=500), nullable=False),
        sa.Column("since", TIME, nullable=True),
        sa.Column("fired_at", TIME, nullable=True),
        sa.Column("told_at", TIME, nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rules.id"], name=op.f("fk_alert_rule_states_rule_id")),
        sa.PrimaryKeyConstraint("rule_id", "series", name=op.f("pk_alert_rule_states")),
    )

    _make_detectors()


def _make_detectors() -> None:
    """What detectors learned, what they said, heartbeats, and how the watch is."""
    op.create_table(
        "detector_states",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=600), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_detector_states")),
    )
    op.create_table(
        "detector_alerts",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("detector", sa.String(length=20), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_detector_alerts")),
    )
    op.create_table(
        "detector_cursors",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_detector_cursors")),
    )
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("declared_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=True),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "watch_reports",
        sa.Column("holder", sa.String(length=150), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("holder", name=op.f("pk_watch_reports")),
    )


def downgrade() -> None:
    """Undo it."""
    for name in ("watch_reports", "heartbeats", "detector_cursors", "detector_alerts", "detector_states"):
        op.drop_table(name)
    for name in (
        "alert_rule_states", "alert_rules", "slo_allowances", "slo_states", "slo_minutes", "slo_objectives", "slo_documents",
    ):  # fmt: skip
        op.drop_table(name)
