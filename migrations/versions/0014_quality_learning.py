"""quality learning: findings about the tests themselves, and the tasks that come of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "quality_insights",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Float(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("decided_weight", sa.Float(), nullable=False),
        sa.Column("found_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("gone_at", TIME, nullable=True),
        sa.CheckConstraint("state IN ('open', 'accepted', 'done', 'dismissed')", name=op.f("ck_quality_insights_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quality_insights")),
        sa.UniqueConstraint("service", "key", name="uq_quality_insights_one"),
    )
    op.create_index("ix_quality_insights_venture_id", "quality_insights", ["venture", "id"])
    op.create_index("ix_quality_insights_service_state", "quality_insights", ["service", "state"])


def downgrade() -> None:
    """Take it away."""
    op.drop_table("quality_insights")
