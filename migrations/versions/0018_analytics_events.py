"""analytics: events taken in, their schema, the files that hold them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "analytics_erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("persons", JSON, nullable=False),
        sa.Column("forever", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("cursor", sa.String(length=300), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'working', 'done')", name=op.f("ck_analytics_erasures_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_erasures")),
    )
    op.create_index("ix_analytics_erasures_state", "analytics_erasures", ["state"], unique=False)
    op.create_index("ix_analytics_erasures_venture_id", "analytics_erasures", ["venture", "id"], unique=False)
    op.create_table(
        "analytics_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("path", sa.String(length=255), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("first_received_at", TIME, nullable=False),
        sa.Column("last_received_at", TIME, nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("gone_at", TIME, nullable=True),
        sa.Column("gone_why", sa.String(length=20), nullable=False),
        sa.CheckConstraint("gone_why IN ('', 'merged', 'erased', 'expired')", name=op.f("ck_analytics_files_gone_why")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_files")),
        sa.UniqueConstraint("path", name=op.f("uq_analytics_files_path")),
    )
    op.create_index("ix_analytics_files_gone_at", "analytics_files", ["gone_at"], unique=False)
    op.create_index("ix_analytics_files_venture_day", "analytics_files", ["venture", "day"], unique=False)
    op.create_table(
        "analytics_imports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("cursor", JSON, nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("duplicates", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("moved_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("current_key", sa.String(length=64), nullable=True),
        sa.CheckConstraint("state IN ('running', 'done', 'stopped')", name=op.f("ck_analytics_imports_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_imports")),
        sa.UniqueConstraint("current_key", name=op.f("uq_analytics_imports_current_key")),
    )
    op.create_index("ix_analytics_imports_venture_id", "analytics_imports", ["venture", "id"], unique=False)
    op.create_table(
        "analytics_leases",
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_analytics_leases")),
    )
    op.create_table(
        "analytics_name_days",
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("venture", "name", "day", name=op.f("pk_analytics_name_days")),
    )
    op.create_index("ix_analytics_name_days_venture_day", "analytics_name_days", ["venture", "day"], unique=False)
    op.create_table(
        "analytics_names",
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("venture", "name", name=op.f("pk_analytics_names")),
    )
    op.create_table(
        "analytics_plans",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_analytics_plans")),
        sa.UniqueConstraint("venture", name=op.f("uq_analytics_plans_venture")),
    )
    op.create_table(
        "analytics_properties",
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("property", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=10), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("venture", "name", "property", "type", name=op.f("pk_analytics_properties")),
    )
    op.create_table(
        "analytics_refusals",
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("venture", "day", "name", "reason", name=op.f("pk_analytics_refusals")),
    )
    op.create_table(
        "analytics_segments",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("sorted_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_analytics_segments")),
    )
    op.create_index(op.f("ix_analytics_segments_sorted_at"), "analytics_segments", ["sorted_at"], unique=False)


def downgrade() -> None:
    """Take it back."""
    op.drop_table("analytics_segments")
    op.drop_table("analytics_refusals")
    op.drop_table("analytics_properties")
    op.drop_table("analytics_plans")
    op.drop_table("analytics_names")
    op.drop_table("analytics_name_days")
    op.drop_table("analytics_leases")
    op.drop_table("analytics_imports")
    op.drop_table("analytics_files")
    op.drop_table("analytics_erasures")
