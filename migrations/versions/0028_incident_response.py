"""incident: runs of playbooks and drills."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "incident_playbooks",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=True),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_incident_playbooks")),
    )
    op.create_index(op.f("ix_incident_playbooks_venture"), "incident_playbooks", ["venture"], unique=False)
    _responses()
    _steps()
    _holds()
    _drills()


def _responses() -> None:
    op.create_table(
        "incident_responses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("playbook", sa.String(length=63), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("cause", JSON, nullable=False),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("held_until", TIME, nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "state IN ('proposed', 'running', 'undoing', 'succeeded', 'failed', 'handed-over', 'stopped')",
            name=op.f("ck_incident_responses_state"),
        ),
        sa.CheckConstraint("mode IN ('act', 'dry-run')", name=op.f("ck_incident_responses_mode")),
        sa.CheckConstraint("environment IN ('development', 'staging', 'production')", name=op.f("ck_incident_responses_environment")),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident_management.incident_id"], name=op.f("fk_incident_responses_incident_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_responses")),
        sa.UniqueConstraint("incident_id", "number", "mode", name="uq_incident_responses_one"),
    )
    op.create_index("ix_incident_responses_state", "incident_responses", ["state"], unique=False)


def _steps() -> None:
    op.create_table(
        "incident_response_steps",
        sa.Column("response_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=4), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("do", sa.String(length=20), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("memory", JSON, nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.CheckConstraint("role IN ('step', 'undo')", name=op.f("ck_incident_response_steps_role")),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'done', 'failed', 'skipped')", name=op.f("ck_incident_response_steps_state")
        ),
        sa.ForeignKeyConstraint(["response_id"], ["incident_responses.id"], name=op.f("fk_incident_response_steps_response_id")),
        sa.PrimaryKeyConstraint("response_id", "role", "index", name=op.f("pk_incident_response_steps")),
    )
    op.create_index("ix_incident_response_steps_started_at", "incident_response_steps", ["started_at"], unique=False)


def _holds() -> None:
    op.create_table(
        "incident_holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=True),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=True),
        sa.Column("lifted_at", TIME, nullable=True),
        sa.Column("lifted_by", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_holds")),
    )
    op.create_index(op.f("ix_incident_holds_venture"), "incident_holds", ["venture"], unique=False)


def _drills() -> None:
    op.create_table(
        "incident_drills",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("playbook", sa.String(length=63), nullable=False),
        sa.Column("fault", sa.String(length=40), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("begun_at", TIME, nullable=False),
        sa.Column("injected", JSON, nullable=False),
        sa.Column("injected_at", TIME, nullable=True),
        sa.Column("undone_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("scores", JSON, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('running', 'passed', 'failed', 'aborted')", name=op.f("ck_incident_drills_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_drills")),
    )
    op.create_index(op.f("ix_incident_drills_venture"), "incident_drills", ["venture"], unique=False)


def downgrade() -> None:
    """Undo it."""
    for table in ("incident_drills", "incident_holds", "incident_response_steps", "incident_responses", "incident_playbooks"):
        op.drop_table(table)
