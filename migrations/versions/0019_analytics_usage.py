"""analytics: daily figures by feature, cohorts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "analytics_counted",
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("counted_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("venture", "day", name=op.f("pk_analytics_counted")),
    )
    op.create_table(
        "analytics_daily",
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("feature", sa.String(length=255), nullable=False),
        sa.Column("dimension", sa.String(length=20), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("new_people", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("duration_count", sa.BigInteger(), nullable=False),
        sa.Column("duration_sum_ms", sa.Float(), nullable=False),
        sa.Column("duration_p50_ms", sa.Float(), nullable=True),
        sa.Column("duration_p95_ms", sa.Float(), nullable=True),
        sa.Column("value_sum", sa.Float(), nullable=False),
        sa.CheckConstraint(
            "dimension IN ('', 'platform', 'country', 'version', 'environment')", name=op.f("ck_analytics_daily_dimension")
        ),
        sa.PrimaryKeyConstraint("venture", "day", "feature", "dimension", "value", name=op.f("pk_analytics_daily")),
    )
    op.create_index("ix_analytics_daily_feature", "analytics_daily", ["venture", "feature", "dimension", "day"], unique=False)
    op.create_table(
        "analytics_definitions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("kind IN ('Funnel', 'Cohort')", name=op.f("ck_analytics_definitions_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_definitions")),
        sa.UniqueConstraint("venture", "kind", "name", name="uq_analytics_definitions_one"),
    )
    op.create_table(
        "analytics_periods",
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("unit", sa.String(length=10), nullable=False),
        sa.Column("begin", sa.Date(), nullable=False),
        sa.Column("feature", sa.String(length=255), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("new_people", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("unit IN ('week', 'month')", name=op.f("ck_analytics_periods_unit")),
        sa.PrimaryKeyConstraint("venture", "unit", "begin", "feature", name=op.f("pk_analytics_periods")),
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("analytics_periods")
    op.drop_table("analytics_definitions")
    op.drop_table("analytics_daily")
    op.drop_table("analytics_counted")
