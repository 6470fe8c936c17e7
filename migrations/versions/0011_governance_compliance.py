"""compliance: controls, findings, waivers, checks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
FINDING_INDEXES = (["control", "id"], ["venture", "id"], ["resolved_at", "id"])


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "compliance_controls",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=True),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_compliance_controls")),
    )
    op.create_table(
        "compliance_findings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("open_key", sa.String(length=32), nullable=True),
        sa.Column("control", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=True),
        sa.Column("environment", sa.String(length=20), nullable=True),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("remediation", sa.Text(), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("resolved_at", TIME, nullable=True),
        sa.Column("waiver_id", sa.Uuid(), nullable=True),
        sa.Column("waived_until", TIME, nullable=True),
        sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name=op.f("ck_compliance_findings_severity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compliance_findings")),
        sa.UniqueConstraint("open_key", name=op.f("uq_compliance_findings_open_key")),
    )
    for columns in FINDING_INDEXES:
        op.create_index(f"ix_compliance_findings_{'_'.join(columns)}", "compliance_findings", columns)
    op.create_table(
        "compliance_waivers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("given_by", sa.String(length=255), nullable=False),
        sa.Column("given_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["finding_id"], ["compliance_findings.id"], name=op.f("fk_compliance_waivers_finding_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compliance_waivers")),
    )
    op.create_index(op.f("ix_compliance_waivers_finding_id"), "compliance_waivers", ["finding_id"])
    op.create_table(
        "compliance_checks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("results", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compliance_checks")),
    )


def downgrade() -> None:
    """Take them away."""
    for table in ("compliance_checks", "compliance_waivers", "compliance_findings", "compliance_controls"):
        op.drop_table(table)
