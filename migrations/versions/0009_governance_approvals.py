"""approvals: policies, requests, signatures, overrides, change records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008_1"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
TIME = sa.DateTime(timezone=True)
ENVIRONMENTS = "environment IN ('development', 'staging', 'production')"


def text(name: str, length: int = 0, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.String(length=length) if length else sa.Text(), nullable=nullable)


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "approval_policies",
        text("name", 63),
        text("venture", 63, nullable=True),
        sa.Column("spec", JSON, nullable=False),
        text("base"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_approval_policies")),
    )
    op.create_table(
        "approval_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        text("subject", 200),
        text("open_key", 200, nullable=True),
        text("action", 20),
        text("title"),
        text("venture", 63, nullable=True),
        text("environment", 20, nullable=True),
        text("requested_by", 255),
        text("reason"),
        sa.Column("content", JSON, nullable=False),
        text("content_hash", 64),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("needs", JSON, nullable=False),
        text("state", 20),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("decided_at", TIME, nullable=True),
        text("decided_by", 255),
        text("outcome"),
        sa.CheckConstraint(
            "action IN ('release', 'train', 'flag', 'bypass', 'playbook', 'override', 'policy')", name=op.f("ck_approval_requests_action")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'approved', 'overridden', 'refused', 'expired', 'withdrawn')", name=op.f("ck_approval_requests_state")
        ),
        sa.CheckConstraint(ENVIRONMENTS, name=op.f("ck_approval_requests_environment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_requests")),
        sa.UniqueConstraint("open_key", name=op.f("uq_approval_requests_open_key")),
    )
    op.create_index("ix_approval_requests_subject_id", "approval_requests", ["subject", "id"])
    op.create_index("ix_approval_requests_state_id", "approval_requests", ["state", "id"])
    op.create_table(
        "approval_signatures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        text("person", 255),
        sa.Column("roles", JSON, nullable=False),
        text("content_hash", 64),
        text("note"),
        text("origin", 40),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["approval_requests.id"], name=op.f("fk_approval_signatures_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_signatures")),
    )
    op.create_index(op.f("ix_approval_signatures_request_id"), "approval_signatures", ["request_id"])
    op.create_table(
        "approval_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        text("person", 255),
        text("token_hash", 64),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["approval_requests.id"], name=op.f("fk_approval_links_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_approval_links_token_hash")),
    )
    op.create_index(op.f("ix_approval_links_request_id"), "approval_links", ["request_id"])
    op.create_table(
        "approval_reviews",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        text("subject", 200),
        text("venture", 63, nullable=True),
        text("overridden_by", 255),
        text("reason"),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        text("closed_by", 255, nullable=True),
        sa.Column("closed_at", TIME, nullable=True),
        text("note"),
        sa.ForeignKeyConstraint(["request_id"], ["approval_requests.id"], name=op.f("fk_approval_reviews_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_reviews")),
    )
    op.create_index(op.f("ix_approval_reviews_request_id"), "approval_reviews", ["request_id"])
    op.create_index(op.f("ix_approval_reviews_closed_at"), "approval_reviews", ["closed_at"])
    op.create_table(
        "change_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        text("kind", 20),
        text("subject", 200),
        text("title"),
        text("venture", 63, nullable=True),
        text("environment", 20, nullable=True),
        text("requested_by", 255),
        text("origin", 40),
        text("reason"),
        text("risk_level", 10),
        sa.Column("risk_reasons", JSON, nullable=False),
        text("windows"),
        text("rollback_plan"),
        sa.Column("at", TIME, nullable=False),
        sa.Column("detail", JSON, nullable=False),
        text("number", 100),
        text("report_error"),
        sa.CheckConstraint("kind IN ('release', 'train', 'flag', 'catalog', 'override')", name=op.f("ck_change_records_kind")),
        sa.CheckConstraint("risk_level IN ('low', 'medium', 'high')", name=op.f("ck_change_records_risk_level")),
        sa.CheckConstraint(ENVIRONMENTS, name=op.f("ck_change_records_environment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_records")),
    )
    op.create_index(op.f("ix_change_records_subject"), "change_records", ["subject"])
    op.create_index(op.f("ix_change_records_at"), "change_records", ["at"])
    op.create_index("ix_change_records_venture_id", "change_records", ["venture", "id"])
    op.create_index("ix_change_records_number_id", "change_records", ["number", "id"])


def downgrade() -> None:
    """Take them away."""
    for table in ("change_records", "approval_reviews", "approval_links", "approval_signatures", "approval_requests", "approval_policies"):
        op.drop_table(table)
