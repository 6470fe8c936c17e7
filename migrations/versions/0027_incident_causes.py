"""incident: hypotheses about an incident's cause, with evidence."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "incident_cause_looks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("hypotheses", JSON, nullable=False),
        sa.Column("onset", JSON, nullable=True),
        sa.Column("sources", JSON, nullable=False),
        sa.Column("missing", JSON, nullable=False),
        sa.Column("took_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_cause_looks")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_cause_looks_incident_id")),
    )
    op.create_index("ix_incident_cause_looks_incident_id_id", "incident_cause_looks", ["incident_id", "id"])
    op.create_table(
        "incident_cause_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("verdict", sa.String(length=10), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint(
            "kind IN ('release', 'flag', 'config', 'scaling', 'dependency', 'instance', 'host', 'traffic', 'unknown')",
            name=op.f("ck_incident_cause_decisions_kind"),
        ),
        sa.CheckConstraint("verdict IN ('confirmed', 'refuted')", name=op.f("ck_incident_cause_decisions_verdict")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_cause_decisions")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_cause_decisions_incident_id")),
    )
    op.create_index("ix_incident_cause_decisions_incident_id_id", "incident_cause_decisions", ["incident_id", "id"])
    op.create_index("ix_incident_cause_decisions_venture_at", "incident_cause_decisions", ["venture", "at"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("incident_cause_decisions")
    op.drop_table("incident_cause_looks")
