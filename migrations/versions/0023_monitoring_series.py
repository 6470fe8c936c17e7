"""monitoring: series of metrics: points, rollups, thresholds."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "metric_series",
        sa.Column("number", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("component", sa.String(length=255), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("warning", sa.Float(), nullable=True),
        sa.Column("critical", sa.Float(), nullable=True),
        sa.Column("below", sa.Boolean(), nullable=False),
        sa.Column("watched", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("last_s", sa.BigInteger(), nullable=True),
        sa.Column("last_value", sa.Float(), nullable=True),
        sa.Column("rowed_s", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("category IN ('infrastructure', 'application', 'business')", name=op.f("ck_metric_series_category")),
        sa.CheckConstraint("status IN ('normal', 'warning', 'critical', 'unknown')", name=op.f("ck_metric_series_status")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_metric_series")),
        sa.UniqueConstraint("digest", name=op.f("uq_metric_series_digest")),
    )
    op.create_index("ix_metric_series_venture_component_name", "metric_series", ["venture", "component", "name"], unique=False)
    op.create_index("ix_metric_series_venture_name", "metric_series", ["venture", "name"], unique=False)
    op.create_index("ix_metric_series_watched", "metric_series", ["watched"], unique=False)
    op.create_table(
        "metric_batches",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("begin_s", sa.BigInteger(), nullable=False),
        sa.Column("until_s", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metric_batches")),
    )
    op.create_index("ix_metric_batches_shard_until_s", "metric_batches", ["shard", "until_s"], unique=False)
    op.create_table(
        "metric_blocks",
        sa.Column("series", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("begin_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.Column("minutes", sa.LargeBinary(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("series", "begin_s", name=op.f("pk_metric_blocks")),
    )
    op.create_index("ix_metric_blocks_begin_s", "metric_blocks", ["begin_s"], unique=False)
    op.create_table(
        "scrape_targets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("tried_at", TIME, nullable=True),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scrape_targets")),
        sa.UniqueConstraint("venture", "name", name=op.f("uq_scrape_targets_venture_name")),
    )
    # Sizes of disks in bytes have more than the eleven digits before the point that the column had.
    with op.batch_alter_table("infrastructure_metrics") as table:
        table.alter_column("metric_value", type_=sa.Numeric(24, 4), existing_type=sa.Numeric(15, 4), existing_nullable=True)
        for name in ("threshold_warning", "threshold_critical"):
            table.alter_column(name, type_=sa.Numeric(24, 4), existing_type=sa.Numeric(15, 4), existing_nullable=True)
    op.create_index("ix_infrastructure_metrics_recorded_at", "infrastructure_metrics", ["recorded_at"], unique=False)


def downgrade() -> None:
    """Undo it."""
    op.drop_index("ix_infrastructure_metrics_recorded_at", table_name="infrastructure_metrics")
    op.execute("DELETE FROM infrastructure_metrics WHERE abs(metric_value) >= 100000000000")
    with op.batch_alter_table("infrastructure_metrics") as table:
        table.alter_column("metric_value", type_=sa.Numeric(15, 4), existing_type=sa.Numeric(24, 4), existing_nullable=True)
        for name in ("threshold_warning", "threshold_critical"):
            table.alter_column(name, type_=sa.Numeric(15, 4), existing_type=sa.Numeric(24, 4), existing_nullable=True)
    op.drop_table("scrape_targets")
    op.drop_table("metric_blocks")
    op.drop_table("metric_batches")
    op.drop_table("metric_series")
