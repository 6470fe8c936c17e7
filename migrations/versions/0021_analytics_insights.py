"""analytics: insights, the nights that looked for them, and the tasks they became."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "analytics_insights",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("feature", sa.String(length=255), nullable=False),
        sa.Column("measure", sa.String(length=20), nullable=False),
        sa.Column("dimension", sa.String(length=20), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("action", JSON, nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("quiet_until", sa.Date(), nullable=False),
        sa.Column("change", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("p", sa.Float(), nullable=False),
        sa.Column("worth", sa.Float(), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("decided_change", sa.Float(), nullable=False),
        sa.Column("follow", JSON, nullable=False),
        sa.Column("due_day", sa.Date(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("effect", JSON, nullable=False),
        sa.Column("found_day", sa.Date(), nullable=False),
        sa.Column("seen_day", sa.Date(), nullable=False),
        sa.Column("over_day", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'accepted', 'done', 'dismissed', 'helped', 'no-effect', 'over')", name=op.f("ck_analytics_insights_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_insights")),
        sa.UniqueConstraint("venture", "feature", "measure", "first_day", "kind", name="uq_analytics_insights_one"),
    )
    op.create_index("ix_analytics_insights_venture_state", "analytics_insights", ["venture", "state"])
    op.create_index("ix_analytics_insights_venture_id", "analytics_insights", ["venture", "id"])
    op.create_table(
        "analytics_insight_nights",
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("series", sa.Integer(), nullable=False),
        sa.Column("tests", sa.Integer(), nullable=False),
        sa.Column("level", sa.Float(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("rejected_most", sa.Integer(), nullable=False),
        sa.Column("insights", JSON, nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("venture", "day", name=op.f("pk_analytics_insight_nights")),
    )
    op.create_table(
        "analytics_tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("insight_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("done_at", TIME, nullable=True),
        sa.CheckConstraint("state IN ('open', 'done')", name=op.f("ck_analytics_tasks_state")),
        sa.ForeignKeyConstraint(["insight_id"], ["analytics_insights.id"], name=op.f("fk_analytics_tasks_insight_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_tasks")),
        sa.UniqueConstraint("insight_id", name="uq_analytics_tasks_one"),
    )
    op.create_index("ix_analytics_tasks_venture_state", "analytics_tasks", ["venture", "state"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("analytics_tasks")
    op.drop_table("analytics_insight_nights")
    op.drop_table("analytics_insights")
