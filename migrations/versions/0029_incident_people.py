"""incident: on-call, escalation, updates and post-mortems."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "incident_people_declared",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.String(length=1000), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_incident_people_declared")),
    )
    op.create_index("ix_incident_people_declared_venture_kind", "incident_people_declared", ["venture", "kind"], unique=False)
    op.create_table(
        "incident_oncall_overrides",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("schedule", sa.String(length=63), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("source", sa.String(length=255), nullable=True),
        sa.Column("removed_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_oncall_overrides")),
        sa.UniqueConstraint("schedule", "source", name="uq_incident_oncall_overrides_source"),
    )
    op.create_index("ix_incident_oncall_overrides_schedule_ends_at", "incident_oncall_overrides", ["schedule", "ends_at"], unique=False)
    op.create_table(
        "incident_pages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("policy", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("called", JSON, nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("by", sa.String(length=255), nullable=True),
        sa.CheckConstraint("state IN ('calling', 'acknowledged', 'ended', 'exhausted')", name=op.f("ck_incident_pages_state")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_pages_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_pages")),
        sa.UniqueConstraint("incident_id", "number", name="uq_incident_pages_one"),
    )
    op.create_index("ix_incident_pages_state_due_at", "incident_pages", ["state", "due_at"], unique=False)
    op.create_table(
        "incident_notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("moment", sa.String(length=20), nullable=False),
        sa.Column("audience", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("doubtful", sa.Integer(), nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("sent_at", TIME, nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'sending', 'sent', 'failed', 'dropped')", name=op.f("ck_incident_notices_state")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_notices_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_notices")),
        sa.UniqueConstraint("key", name=op.f("uq_incident_notices_key")),
    )
    op.create_index("ix_incident_notices_incident_id_id", "incident_notices", ["incident_id", "id"], unique=False)
    op.create_index("ix_incident_notices_state_next_at", "incident_notices", ["state", "next_at"], unique=False)
    op.create_index("ix_incident_notices_venture_id", "incident_notices", ["venture", "id"], unique=False)
    op.create_table(
        "incident_cadence",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("told_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_cadence_incident_id")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incident_cadence")),
    )
    op.create_index("ix_incident_cadence_due_at", "incident_cadence", ["due_at"], unique=False)
    op.create_table(
        "incident_updates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("page", sa.String(length=63), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("word", sa.String(length=20), nullable=False),
        sa.Column("harm", sa.String(length=30), nullable=False),
        sa.Column("components", JSON, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("retracted_at", TIME, nullable=True),
        sa.CheckConstraint(
            "harm IN ('operational', 'degraded-performance', 'partial-outage', 'major-outage')", name=op.f("ck_incident_updates_harm")
        ),
        sa.CheckConstraint("word IN ('investigating', 'identified', 'monitoring', 'resolved')", name=op.f("ck_incident_updates_word")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_updates_incident_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_updates")),
        sa.UniqueConstraint("key", name=op.f("uq_incident_updates_key")),
    )
    op.create_index("ix_incident_updates_incident_id_at", "incident_updates", ["incident_id", "at"], unique=False)
    op.create_index("ix_incident_updates_page_at", "incident_updates", ["page", "at"], unique=False)
    op.create_table(
        "incident_uptime_days",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("page", sa.String(length=63), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("minutes_up", sa.Integer(), nullable=False),
        sa.Column("minutes_down", sa.Integer(), nullable=False),
        sa.Column("until_minute", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "page", "day", name=op.f("pk_incident_uptime_days")),
    )
    op.create_table(
        "incident_postmortems",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("updated_by", sa.String(length=255), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("drafted_at", TIME, nullable=False),
        sa.Column("published_at", TIME, nullable=True),
        sa.Column("published_by", sa.String(length=255), nullable=True),
        sa.CheckConstraint("state IN ('draft', 'published')", name=op.f("ck_incident_postmortems_state")),
        sa.ForeignKeyConstraint(["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_postmortems_incident_id")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incident_postmortems")),
    )
    op.create_index("ix_incident_postmortems_venture_drafted_at", "incident_postmortems", ["venture", "drafted_at"], unique=False)
    op.create_table(
        "incident_postmortem_versions",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident_postmortems.incident_id"], name=op.f("fk_incident_postmortem_versions_incident_id")
        ),
        sa.PrimaryKeyConstraint("incident_id", "revision", name=op.f("pk_incident_postmortem_versions")),
    )
    with op.batch_alter_table("analytics_tasks") as tasks:
        tasks.alter_column("insight_id", existing_type=sa.Uuid(), nullable=True)
        tasks.add_column(sa.Column("incident_id", sa.Uuid(), nullable=True))
        tasks.add_column(sa.Column("owner", sa.String(length=255), nullable=True))
        tasks.add_column(sa.Column("due_day", sa.Date(), nullable=True))
        tasks.add_column(sa.Column("reminded_on", sa.Date(), nullable=True))
        tasks.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
        tasks.create_foreign_key(op.f("fk_analytics_tasks_incident_id"), "incident_management", ["incident_id"], ["incident_id"])
    op.create_index("ix_analytics_tasks_incident_id", "analytics_tasks", ["incident_id"])
    op.create_index("ix_analytics_tasks_state_due_day", "analytics_tasks", ["state", "due_day"])


def downgrade() -> None:
    """Undo it. Tasks that came of incidents go."""
    op.execute("DELETE FROM analytics_tasks WHERE insight_id IS NULL")
    op.drop_index("ix_analytics_tasks_state_due_day", "analytics_tasks")
    op.drop_index("ix_analytics_tasks_incident_id", "analytics_tasks")
    with op.batch_alter_table("analytics_tasks") as tasks:
        tasks.drop_constraint(op.f("fk_analytics_tasks_incident_id"), type_="foreignkey")
        for name in ("revision", "reminded_on", "due_day", "owner", "incident_id"):
            tasks.drop_column(name)
        tasks.alter_column("insight_id", existing_type=sa.Uuid(), nullable=False)
    op.drop_table("incident_postmortem_versions")
    op.drop_table("incident_postmortems")
    op.drop_table("incident_uptime_days")
    op.drop_table("incident_updates")
    op.drop_table("incident_cadence")
    op.drop_table("incident_notices")
    op.drop_table("incident_pages")
    op.drop_table("incident_oncall_overrides")
    op.drop_table("incident_people_declared")
