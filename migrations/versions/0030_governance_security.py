"""governance: security findings and preserved evidence."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "security_policies",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=True),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_security_policies")),
    )
    op.create_table(
        "security_sightings",
        sa.Column("minute_s", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("minute_s", "kind", "subject", "address", name=op.f("pk_security_sightings")),
    )
    op.create_table(
        "security_findings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=True),
        sa.Column("severity", sa.String(length=4), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("began_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.CheckConstraint("severity IN ('SEV1', 'SEV2', 'SEV3', 'SEV4')", name=op.f("ck_security_findings_severity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_findings")),
    )
    op.create_index("ix_security_findings_ended_at", "security_findings", ["ended_at"], unique=False)
    op.create_index("ix_security_findings_fingerprint", "security_findings", ["fingerprint"], unique=False)
    op.create_table(
        "security_marks",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_security_marks")),
    )
    _make_evidence()


def _make_evidence() -> None:
    """Sealed bundles, what is in them, and who had them."""
    op.create_table(
        "evidence_bundles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("venture", sa.String(length=63), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("taken_by", sa.String(length=255), nullable=False),
        sa.Column("taken_at", TIME, nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("manifest_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_evidence_bundles_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_bundles")),
    )
    op.create_index("ix_evidence_bundles_incident_id", "evidence_bundles", ["incident_id"], unique=False)
    op.create_table(
        "evidence_items",
        sa.Column("bundle_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["evidence_bundles.id"], name=op.f("fk_evidence_items_bundle_id")),
        sa.PrimaryKeyConstraint("bundle_id", "position", name=op.f("pk_evidence_items")),
    )
    op.create_table(
        "evidence_custody",
        sa.Column("bundle_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("who", sa.String(length=255), nullable=False),
        sa.Column("to", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint("action IN ('taken', 'read', 'exported', 'handed-on')", name=op.f("ck_evidence_custody_action")),
        sa.ForeignKeyConstraint(["bundle_id"], ["evidence_bundles.id"], name=op.f("fk_evidence_custody_bundle_id")),
        sa.PrimaryKeyConstraint("bundle_id", "number", name=op.f("pk_evidence_custody")),
    )


def downgrade() -> None:
    """Undo it."""
    for name in (
        "evidence_custody", "evidence_items", "evidence_bundles", "security_marks", "security_findings", "security_sightings",
        "security_policies",
    ):  # fmt: skip
        op.drop_table(name)
