"""change windows and freezes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "change_calendars",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=True),
        sa.Column("effect", sa.String(length=10), nullable=False),
        sa.Column("services", JSON, nullable=False),
        sa.Column("environments", JSON, nullable=False),
        sa.Column("timezone", sa.String(length=60), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("etag", sa.String(length=200), nullable=False),
        sa.Column("read_at", TIME, nullable=True),
        sa.Column("checked_at", TIME, nullable=True),
        sa.Column("changed_at", TIME, nullable=True),
        sa.Column("known_until", TIME, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("failing_since", TIME, nullable=True),
        sa.CheckConstraint("effect IN ('freeze', 'window')", name=op.f("ck_change_calendars_effect")),
        sa.CheckConstraint("kind IN ('Calendar', 'ChangeWindow')", name=op.f("ck_change_calendars_kind")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_change_calendars")),
    )
    op.create_table(
        "change_occurrences",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("calendar", sa.String(length=63), nullable=False),
        sa.Column("effect", sa.String(length=10), nullable=False),
        sa.Column("uid", sa.String(length=255), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["calendar"], ["change_calendars.name"], name=op.f("fk_change_occurrences_calendar"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_occurrences")),
    )
    op.create_index("ix_change_occurrences_calendar_ends_at", "change_occurrences", ["calendar", "ends_at"])
    op.create_table(
        "change_bypasses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("approved_by", sa.String(length=255), nullable=True),
        sa.Column("approved_at", TIME, nullable=True),
        sa.Column("approval_note", sa.Text(), nullable=False),
        sa.Column("used_by", sa.String(length=64), nullable=True),
        sa.Column("used_at", TIME, nullable=True),
        sa.CheckConstraint("environment IN ('development', 'staging', 'production')", name=op.f("ck_change_bypasses_environment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_bypasses")),
    )
    op.create_index("ix_change_bypasses_service_environment", "change_bypasses", ["service", "environment"])


def downgrade() -> None:
    op.drop_table("change_bypasses")
    op.drop_table("change_occurrences")
    op.drop_table("change_calendars")
