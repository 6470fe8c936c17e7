"""people and programs, what they were granted, their tokens and sessions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
TIME = sa.DateTime(timezone=True)
ROLES = "role IN ('viewer', 'developer', 'release-manager', 'incident-commander', 'director', 'admin')"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "access_entries",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_access_entries")),
    )
    op.create_table(
        "access_principals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("declared_in", sa.String(length=63), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.CheckConstraint("kind IN ('person', 'service')", name=op.f("ck_access_principals_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_principals")),
        sa.UniqueConstraint("name", name=op.f("uq_access_principals_name")),
        sa.UniqueConstraint("subject", name=op.f("uq_access_principals_subject")),
    )
    op.create_index(op.f("ix_access_principals_email"), "access_principals", ["email"])
    op.create_table(
        "access_memberships",
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column("group_name", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.CheckConstraint("source IN ('declared', 'log-in')", name=op.f("ck_access_memberships_source")),
        sa.ForeignKeyConstraint(["principal_id"], ["access_principals.id"], name=op.f("fk_access_memberships_principal_id")),
        sa.PrimaryKeyConstraint("principal_id", "group_name", "source", name=op.f("pk_access_memberships")),
    )
    op.create_index(op.f("ix_access_memberships_group_name"), "access_memberships", ["group_name"])
    op.create_table(
        "access_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=True),
        sa.Column("group_name", sa.String(length=255), nullable=True),
        sa.Column("role", sa.String(length=30), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("given_by", sa.String(length=255), nullable=False),
        sa.Column("given_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("declared_in", sa.String(length=63), nullable=True),
        sa.CheckConstraint(ROLES, name=op.f("ck_access_grants_role")),
        sa.CheckConstraint("environment IN ('*', 'development', 'staging', 'production')", name=op.f("ck_access_grants_environment")),
        sa.CheckConstraint("(principal_id IS NULL) <> (group_name IS NULL)", name=op.f("ck_access_grants_holder")),
        sa.ForeignKeyConstraint(["principal_id"], ["access_principals.id"], name=op.f("fk_access_grants_principal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_grants")),
    )
    op.create_index(op.f("ix_access_grants_principal_id"), "access_grants", ["principal_id"])
    op.create_index(op.f("ix_access_grants_group_name"), "access_grants", ["group_name"])
    op.create_table(
        "access_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("public_id", sa.String(length=20), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=True),
        sa.Column("previous_until", TIME, nullable=True),
        sa.Column("operations", JSON, nullable=True),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME, nullable=True),
        sa.Column("rotated_at", TIME, nullable=True),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.CheckConstraint("environment IN ('*', 'development', 'staging', 'production')", name=op.f("ck_access_tokens_environment")),
        sa.ForeignKeyConstraint(["principal_id"], ["access_principals.id"], name=op.f("fk_access_tokens_principal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_tokens")),
        sa.UniqueConstraint("public_id", name=op.f("uq_access_tokens_public_id")),
    )
    op.create_index(op.f("ix_access_tokens_principal_id"), "access_tokens", ["principal_id"])


def downgrade() -> None:
    """Take them away."""
    for table in ("access_tokens", "access_grants", "access_memberships", "access_principals", "access_entries"):
        op.drop_table(table)
