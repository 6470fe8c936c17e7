"""release trains."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "release_trains",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("side_by_side", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("flow_run_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("followed_at", TIME, nullable=True),
        sa.CheckConstraint("environment IN ('development', 'staging', 'production')", name=op.f("ck_release_trains_environment")),
        sa.CheckConstraint("mode IN ('all-or-nothing', 'best-effort')", name=op.f("ck_release_trains_mode")),
        sa.CheckConstraint(
            "phase IN ('running', 'rolling_back', 'promoted', 'partial', 'rolled_back', 'stuck')", name=op.f("ck_release_trains_phase")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_trains")),
    )
    op.create_index(op.f("ix_release_trains_phase"), "release_trains", ["phase"])
    op.create_table(
        "release_train_members",
        sa.Column("train_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("strategy", sa.String(length=20), nullable=True),
        sa.Column("depends_on", JSON, nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint(
            "phase IN ('waiting', 'releasing', 'promoted', 'passed', 'unchanged', 'failed', 'skipped', 'rolling_back', 'rolled_back', 'stuck')",
            name=op.f("ck_release_train_members_phase"),
        ),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_release_train_members_release_id")),
        sa.ForeignKeyConstraint(["train_id"], ["release_trains.id"], name=op.f("fk_release_train_members_train_id")),
        sa.PrimaryKeyConstraint("train_id", "service", name=op.f("pk_release_train_members")),
    )
    op.create_index("ix_release_train_members_release_id", "release_train_members", ["release_id"])


def downgrade() -> None:
    op.drop_table("release_train_members")
    op.drop_table("release_trains")
