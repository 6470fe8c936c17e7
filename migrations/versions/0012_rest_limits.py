"""idempotency keys of every operation, and indexes for paged lists.

Lists are paged by key: each index ends with what its list is ordered by, so that page 1,000 costs what page 1 does.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
INDEXES = (
    ("ix_releases_service_id", "releases", ["service", "id"]),
    ("ix_releases_service_environment_id", "releases", ["service", "environment", "id"]),
    ("ix_releases_environment_id", "releases", ["environment", "id"]),
    ("ix_releases_venture_id", "releases", ["venture", "id"]),
    ("ix_releases_service_environment_phase_ended_at", "releases", ["service", "environment", "phase", "ended_at"]),
    ("ix_release_events_release_id_type_seq", "release_events", ["release_id", "type", "seq"]),
    ("ix_incident_management_venture_id_incident_id", "incident_management", ["venture_id", "incident_id"]),
    ("ix_incident_management_status_incident_id", "incident_management", ["status", "incident_id"]),
)


def upgrade() -> None:
    op.create_table(
        "idempotent_answers",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("claim", sa.Uuid(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("answered_at", TIME, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", JSON, nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_idempotent_answers")),
    )
    op.create_index("ix_idempotent_answers_created_at", "idempotent_answers", ["created_at"])
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    for name, table, _ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
    op.drop_index("ix_idempotent_answers_created_at", table_name="idempotent_answers")
    op.drop_table("idempotent_answers")
