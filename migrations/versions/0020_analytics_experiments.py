"""analytics: experiments, what was decided of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "analytics_experiments",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("moves", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("plan", JSON, nullable=True),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("stopped_at", TIME, nullable=True),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("looked_at", TIME, nullable=True),
        sa.Column("breach", JSON, nullable=True),
        sa.Column("decision", JSON, nullable=True),
        sa.CheckConstraint("state IN ('draft', 'running', 'stopped', 'decided')", name=op.f("ck_analytics_experiments_state")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_analytics_experiments")),
    )
    op.create_index(op.f("ix_analytics_experiments_state"), "analytics_experiments", ["state"], unique=False)
    op.create_index(op.f("ix_analytics_experiments_venture"), "analytics_experiments", ["venture"], unique=False)
    op.create_table(
        "analytics_experiment_looks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("experiment", sa.String(length=63), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_experiment_looks")),
        sa.UniqueConstraint("experiment", "run", "number", name="uq_analytics_experiment_looks_one"),
    )
    op.create_index("ix_analytics_experiment_looks_experiment_id", "analytics_experiment_looks", ["experiment", "id"], unique=False)


def downgrade() -> None:
    """Take it back."""
    op.drop_table("analytics_experiment_looks")
    op.drop_table("analytics_experiments")
