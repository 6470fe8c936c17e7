"""webhooks: what came in, and the outbox of what goes out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def _name(length: int = 63) -> sa.String:
    return sa.String(length=length)


def _leased() -> list[sa.Column]:
    return [
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("lease_owner", _name(200), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    ]


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "webhook_sources",
        sa.Column("name", _name(), nullable=False),
        sa.Column("venture", _name(), nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhook_sources")),
    )
    op.create_table(
        "webhook_targets",
        sa.Column("name", _name(), nullable=False),
        sa.Column("venture", _name(), nullable=True),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhook_targets")),
    )
    op.create_table(
        "webhook_received",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", _name(), nullable=False),
        sa.Column("venture", _name(), nullable=False),
        sa.Column("dedup_key", _name(255), nullable=False),
        sa.Column("body_sha256", _name(64), nullable=False),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("status", _name(20), nullable=False),
        *_leased(),
        sa.Column("repetitions", sa.Integer(), nullable=False),
        sa.Column("processed_at", TIME, nullable=True),
        sa.CheckConstraint(
            "status IN ('received', 'done', 'unrecognised', 'dead', 'discarded')", name=op.f("ck_webhook_received_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_received")),
        sa.UniqueConstraint("source", "dedup_key", name=op.f("uq_webhook_received_source_dedup_key")),
    )
    op.create_index("ix_webhook_received_status_next_at", "webhook_received", ["status", "next_at"])
    op.create_index("ix_webhook_received_source_body_sha256", "webhook_received", ["source", "body_sha256"])
    op.create_table(
        "webhook_inbound_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("source", _name(), nullable=False),
        sa.Column("venture", _name(), nullable=False),
        sa.Column("kind", _name(60), nullable=False),
        sa.Column("service", _name(), nullable=True),
        sa.Column("environment", _name(20), nullable=True),
        sa.Column("version", _name(100), nullable=True),
        sa.Column("subject", _name(500), nullable=False),
        sa.Column("outcome", _name(40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("actor", _name(255), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["webhook_received.id"], name=op.f("fk_webhook_inbound_events_delivery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_inbound_events")),
        sa.UniqueConstraint("delivery_id", "position", name=op.f("uq_webhook_inbound_events_delivery_id_position")),
    )
    op.create_index("ix_webhook_inbound_events_kind_at", "webhook_inbound_events", ["kind", "at"])
    op.create_index("ix_webhook_inbound_events_service_at", "webhook_inbound_events", ["service", "at"])
    op.create_table(
        "webhook_alerts",
        sa.Column("source", _name(), nullable=False),
        sa.Column("alert_key", _name(120), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("since", TIME, nullable=False),
        sa.PrimaryKeyConstraint("source", "alert_key", name=op.f("pk_webhook_alerts")),
    )
    op.create_table(
        "outbox_events",
        sa.Column("seq", BIG, autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", _name(60), nullable=False),
        sa.Column("subject", _name(255), nullable=False),
        sa.Column("venture", _name(), nullable=True),
        sa.Column("data", JSON, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox_events")),
        sa.UniqueConstraint("id", name=op.f("uq_outbox_events_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_outbox_events_at"), "outbox_events", ["at"])
    op.create_table(
        "outbox_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_seq", BIG, nullable=False),
        sa.Column("target", _name(), nullable=False),
        sa.Column("subject", _name(255), nullable=False),
        sa.Column("venture", _name(), nullable=True),
        sa.Column("status", _name(20), nullable=False),
        *_leased(),
        sa.Column("give_up_at", TIME, nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_answer", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("tried_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'dead', 'discarded')", name=op.f("ck_outbox_deliveries_status")),
        sa.ForeignKeyConstraint(["event_seq"], ["outbox_events.seq"], name=op.f("fk_outbox_deliveries_event_seq")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_deliveries")),
        sa.UniqueConstraint("target", "event_seq", name=op.f("uq_outbox_deliveries_target_event_seq")),
    )
    op.create_index("ix_outbox_deliveries_status_next_at", "outbox_deliveries", ["status", "next_at"])
    op.create_index(
        "ix_outbox_deliveries_target_subject_status_event_seq", "outbox_deliveries", ["target", "subject", "status", "event_seq"]
    )


def downgrade() -> None:
    """Take them away."""
    for table in (
        "outbox_deliveries", "outbox_events", "webhook_alerts", "webhook_inbound_events", "webhook_received", "webhook_targets",
        "webhook_sources",
    ):
        op.drop_table(table)
