"""recorded seconds of releases, metrics of one's own by second."""

import sqlalchemy as sa
from alembic import op

revision = "0001_1"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "release_recordings",
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_release_recordings_release_id")),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_release_recordings")),
    )
    op.create_table(
        "metric_seconds",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("level", sa.Float(), nullable=True),
        sa.CheckConstraint("(level IS NULL) != (events IS NULL)", name=op.f("ck_metric_seconds_one_kind")),
        sa.PrimaryKeyConstraint("service", "environment", "version", "name", "at_s", name=op.f("pk_metric_seconds")),
    )
    op.create_index(op.f("ix_metric_seconds_at_s"), "metric_seconds", ["at_s"])


def downgrade() -> None:
    op.drop_table("metric_seconds")
    op.drop_table("release_recordings")
