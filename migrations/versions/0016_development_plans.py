"""development: plans, forecasts and what became of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "development_teams",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("calendars", JSON, nullable=False),
        sa.Column("calendars_revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_development_teams")),
    )
    op.create_index(op.f("ix_development_teams_venture"), "development_teams", ["venture"], unique=False)
    op.create_table(
        "development_plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("team", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("scenario", sa.Text(), nullable=False),
        sa.Column("base_id", sa.Uuid(), nullable=True),
        sa.Column("previous_id", sa.Uuid(), nullable=True),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("made_at", TIME, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("wish", JSON, nullable=False),
        sa.Column("request", JSON, nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("plan", JSON, nullable=False),
        sa.Column("changed", JSON, nullable=False),
        sa.Column("changes", JSON, nullable=False),
        sa.Column("gaps", JSON, nullable=False),
        sa.Column("extra", JSON, nullable=False),
        sa.Column("error", JSON, nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.Column("gap", sa.Float(), nullable=False),
        sa.Column("length_h", sa.Integer(), nullable=False),
        sa.Column("starts_at", TIME, nullable=True),
        sa.Column("ends_at", TIME, nullable=True),
        sa.Column("claimed_by", sa.String(length=255), nullable=True),
        sa.Column("claimed_until", TIME, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'draft', 'current', 'superseded', 'failed')", name=op.f("ck_development_plans_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_plans")),
    )
    op.create_index("ix_development_plans_state_id", "development_plans", ["state", "id"], unique=False)
    op.create_index("ix_development_plans_venture_team_id", "development_plans", ["venture", "team", "id"], unique=False)
    op.create_table(
        "development_plan_items",
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("item", sa.String(length=320), nullable=False),
        sa.Column("feature", sa.String(length=320), nullable=False),
        sa.Column("person", sa.String(length=200), nullable=False),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("critical", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["development_plans.id"], name=op.f("fk_development_plan_items_plan_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("plan_id", "item", name=op.f("pk_development_plan_items")),
    )
    op.create_index("ix_development_plan_items_plan_id_feature", "development_plan_items", ["plan_id", "feature"], unique=False)
    op.create_table(
        "development_current_plans",
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("team", sa.String(length=63), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["development_plans.id"], name=op.f("fk_development_current_plans_plan_id")),
        sa.PrimaryKeyConstraint("venture", "team", name=op.f("pk_development_current_plans")),
    )
    op.create_table(
        "development_forecasts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("team", sa.String(length=63), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=320), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("method", sa.String(length=60), nullable=False),
        sa.Column("inputs_digest", sa.String(length=64), nullable=False),
        sa.Column("planned_at", TIME, nullable=True),
        sa.Column("p50_at", TIME, nullable=False),
        sa.Column("p80_at", TIME, nullable=False),
        sa.Column("p95_at", TIME, nullable=False),
        sa.Column("grid", JSON, nullable=False),
        sa.Column("deadline", TIME, nullable=True),
        sa.Column("chance", sa.Float(), nullable=True),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("actual_at", TIME, nullable=True),
        sa.Column("place", sa.Float(), nullable=True),
        sa.CheckConstraint("subject IN ('feature', 'sprint')", name=op.f("ck_development_forecasts_subject")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_development_forecasts")),
    )
    op.create_index("ix_development_forecasts_venture_actual_at", "development_forecasts", ["venture", "actual_at"], unique=False)
    op.create_index(
        "ix_development_forecasts_venture_subject_key_id", "development_forecasts", ["venture", "subject", "key", "id"], unique=False
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("development_forecasts")
    op.drop_table("development_current_plans")
    op.drop_table("development_plan_items")
    op.drop_table("development_plans")
    op.drop_table("development_teams")
