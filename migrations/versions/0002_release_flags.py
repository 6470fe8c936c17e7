"""the flags of the flag service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001_1"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
ENVIRONMENT = "environment IN ('development', 'staging', 'production')"


def upgrade() -> None:
    op.create_table(
        "flags",
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("venture_id", sa.Uuid(), nullable=False),
        sa.Column("state", JSON, nullable=False),
        sa.Column("declared", JSON, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["venture_id"], ["ventures.id"], name=op.f("fk_flags_venture_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_flags")),
    )
    op.create_table(
        "flag_revisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("flag_key", sa.String(length=63), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("before", JSON, nullable=True),
        sa.Column("after", JSON, nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["flag_key"], ["flags.key"], name=op.f("fk_flag_revisions_flag_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag_revisions")),
        sa.UniqueConstraint("flag_key", "revision", name=op.f("uq_flag_revisions_flag_key_revision")),
    )
    op.create_table(
        "flag_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("flag_key", sa.String(length=63), nullable=False),
        sa.Column("operation", JSON, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("base_revision", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('proposed', 'scheduled', 'applied', 'rejected', 'cancelled', 'failed')", name=op.f("ck_flag_changes_state")
        ),
        sa.ForeignKeyConstraint(["flag_key"], ["flags.key"], name=op.f("fk_flag_changes_flag_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag_changes")),
    )
    op.create_index("ix_flag_changes_state_due_at", "flag_changes", ["state", "due_at"])
    op.create_index("ix_flag_changes_flag_key_created_at", "flag_changes", ["flag_key", "created_at"])
    versions = op.create_table(
        "flag_versions",
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(ENVIRONMENT, name=op.f("ck_flag_versions_environment")),
        sa.PrimaryKeyConstraint("environment", name=op.f("pk_flag_versions")),
    )
    # The rows are here from the start, so that two writers of the very first flag do not both insert them.
    for environment in ("development", "staging", "production"):
        op.execute(versions.insert().values(environment=environment, version=0, changed_at=sa.func.current_timestamp()))
    op.create_table(
        "flag_counts",
        sa.Column("flag_key", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("variant", sa.String(length=63), nullable=False),
        sa.Column("minute", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("single", sa.BigInteger(), nullable=False),
        sa.Column("bulk", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(ENVIRONMENT, name=op.f("ck_flag_counts_environment")),
        sa.PrimaryKeyConstraint("flag_key", "environment", "variant", "minute", name=op.f("pk_flag_counts")),
    )
    op.create_index("ix_flag_counts_minute", "flag_counts", ["minute"])
    op.create_table(
        "flag_uses",
        sa.Column("flag_key", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(ENVIRONMENT, name=op.f("ck_flag_uses_environment")),
        sa.PrimaryKeyConstraint("flag_key", "environment", name=op.f("pk_flag_uses")),
    )


def downgrade() -> None:
    op.drop_table("flag_uses")
    op.drop_index("ix_flag_counts_minute", "flag_counts")
    op.drop_table("flag_counts")
    op.drop_table("flag_versions")
    op.drop_index("ix_flag_changes_flag_key_created_at", "flag_changes")
    op.drop_index("ix_flag_changes_state_due_at", "flag_changes")
    op.drop_table("flag_changes")
    op.drop_table("flag_revisions")
    op.drop_table("flags")
