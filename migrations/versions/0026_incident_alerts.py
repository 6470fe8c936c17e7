"""incident: alerts, their groups, and the log of an incident."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
LATEST = sa.text("latest")


def _added() -> list[sa.Column]:
    return [
        sa.Column("environment", sa.String(length=20), nullable=True),
        sa.Column("component", sa.String(length=255), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("log_seq", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("grouping", JSON, nullable=True),
        sa.Column("roles", JSON, nullable=True),
        sa.Column("links", JSON, nullable=True),
        sa.Column("acknowledged_by", sa.String(length=255), nullable=True),
        sa.Column("acknowledged_at", TIME, nullable=True),
        sa.Column("mitigated_at", TIME, nullable=True),
        sa.Column("closed_at", TIME, nullable=True),
        sa.Column("last_alert_at", TIME, nullable=True),
        sa.Column("reopened", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
    ]


def upgrade() -> None:
    """Make them; incidents that are there keep what they say of their environment."""
    for column in _added():
        op.add_column("incident_management", column)
    incidents = sa.table(
        "incident_management",
        sa.column("incident_id", sa.Uuid()),
        sa.column("impact_assessment", JSON),
        sa.column("environment", sa.String),
    )
    connection = op.get_bind()
    for incident_id, impact in connection.execute(sa.select(incidents.c.incident_id, incidents.c.impact_assessment)).all():
        if isinstance(impact, dict) and isinstance(impact.get("environment"), str):
            named = sa.update(incidents).where(incidents.c.incident_id == incident_id).values(environment=impact["environment"][:20])
            connection.execute(named)
    op.create_table(
        "incident_alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column("latest", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("severity", sa.String(length=4), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=True),
        sa.Column("environment", sa.String(length=20), nullable=True),
        sa.Column("component", sa.String(length=255), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("began", JSON, nullable=False),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.CheckConstraint("status IN ('firing', 'resolved')", name=op.f("ck_incident_alerts_status")),
        sa.CheckConstraint("severity IN ('SEV1', 'SEV2', 'SEV3', 'SEV4')", name=op.f("ck_incident_alerts_severity")),
        sa.CheckConstraint(
            "state IN ('grouped', 'listed', 'silenced', 'maintenance', 'damped', 'low-traffic', 'ended')",
            name=op.f("ck_incident_alerts_state"),
        ),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_alerts_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_alerts")),
    )
    op.create_index(
        "uq_incident_alerts_latest",
        "incident_alerts",
        ["venture", "fingerprint"],
        unique=True,
        sqlite_where=LATEST,
        postgresql_where=LATEST,
    )
    op.create_index("ix_incident_alerts_venture_fingerprint", "incident_alerts", ["venture", "fingerprint"])
    op.create_index("ix_incident_alerts_incident_id_status", "incident_alerts", ["incident_id", "status"])
    op.create_index("ix_incident_alerts_status_state", "incident_alerts", ["status", "state"])
    op.create_index("ix_incident_alerts_venture_id", "incident_alerts", ["venture", "id"])
    op.create_table(
        "incident_log",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_log_incident_id")),
        sa.PrimaryKeyConstraint("incident_id", "seq", name=op.f("pk_incident_log")),
    )
    op.create_table(
        "incident_silences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("matchers", JSON, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("ended_by", sa.String(length=255), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_silences")),
    )
    op.create_index("ix_incident_silences_venture_ends_at", "incident_silences", ["venture", "ends_at"])
    op.create_table(
        "incident_policies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_policies")),
        sa.UniqueConstraint("kind", "name", name="uq_incident_policies_kind_name"),
    )
    op.create_index("ix_incident_policies_venture_kind", "incident_policies", ["venture", "kind"])


def downgrade() -> None:
    """Undo it."""
    for table in ("incident_policies", "incident_silences", "incident_log", "incident_alerts"):
        op.drop_table(table)
    for column in reversed(_added()):
        op.drop_column("incident_management", column.name)
