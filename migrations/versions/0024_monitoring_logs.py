"""monitoring: logs, templates, errors and traces."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql")


def upgrade() -> None:
    """Make them."""
    _chunks()
    _templates()
    _errors()
    _traces()


def _chunks() -> None:
    op.create_table(
        "log_chunks",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("words", WORDS, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_chunks")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_log_chunks_window", "log_chunks", ["venture", "id", "first_us", "last_us"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE INDEX ix_log_chunks_words ON log_chunks USING gin (words)")
    else:
        # Without a copy of the words, and without their places: a chunk that has them all is opened and looked through.
        op.execute(
            "CREATE VIRTUAL TABLE log_chunk_words USING fts5(words, content='', columnsize=0, detail=none, "
            "tokenize=\"unicode61 remove_diacritics 0 tokenchars '_:.=@/+-'\")"
        )
    op.create_table(
        "log_offsets",
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("device", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("instance", name=op.f("pk_log_offsets")),
    )
    op.create_table(
        "log_services",
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", name=op.f("pk_log_services")),
    )


def _templates() -> None:
    op.create_table(
        "log_templates",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_templates")),
        sa.UniqueConstraint("service", "key", name="uq_log_templates_one"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "log_template_minutes",
        sa.Column("template_id", sa.BigInteger(), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("template_id", "environment", "version", "minute", name=op.f("pk_log_template_minutes")),
    )
    op.create_index("ix_log_template_minutes_minute", "log_template_minutes", ["minute"])


def _errors() -> None:
    op.create_table(
        "log_errors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("language", sa.String(length=10), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("frames", JSON, nullable=False),
        sa.Column("sample", sa.Text(), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("fired_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_errors")),
        sa.UniqueConstraint("service", "environment", "fingerprint", name="uq_log_errors_one"),
    )
    op.create_index("ix_log_errors_first_at", "log_errors", ["first_at"])
    op.create_table(
        "log_error_versions",
        sa.Column("error_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("error_id", "version", name=op.f("pk_log_error_versions")),
    )
    op.create_table(
        "log_error_minutes",
        sa.Column("error_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("error_id", "version", "minute", name=op.f("pk_log_error_minutes")),
    )
    op.create_index("ix_log_error_minutes_minute", "log_error_minutes", ["minute"])


def _traces() -> None:
    op.create_table(
        "trace_spans",
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("span_id", sa.String(length=16), nullable=False),
        sa.Column("parent_id", sa.String(length=16), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("service", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("entry", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Boolean(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("attributes", JSON, nullable=False),
        sa.Column("events", JSON, nullable=False),
        sa.PrimaryKeyConstraint("trace_id", "span_id", name=op.f("pk_trace_spans")),
    )
    op.create_index("ix_trace_spans_service", "trace_spans", ["service", "entry", "started_us"])
    op.create_index("ix_trace_spans_started_us", "trace_spans", ["started_us"])
    op.create_table(
        "trace_subjects",
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("span_id", sa.String(length=16), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_trace_subjects")),
    )
    op.create_index("ix_trace_subjects_at", "trace_subjects", ["at"])
    op.create_table(
        "trace_edges",
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("venture", sa.String(length=63), nullable=False),
        sa.Column("environment", sa.String(length=20), nullable=False),
        sa.Column("caller", sa.String(length=100), nullable=False),
        sa.Column("callee", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("writer", sa.String(length=32), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("total_us", sa.BigInteger(), nullable=False),
        sa.Column("max_us", sa.BigInteger(), nullable=False),
        sa.Column("buckets", JSON, nullable=False),
        sa.PrimaryKeyConstraint(
            "minute", "venture", "environment", "caller", "callee", "kind", "writer", name=op.f("pk_trace_edges")
        ),
    )


def downgrade() -> None:
    """Take them away."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE log_chunk_words")
    for table in (
        "trace_edges", "trace_subjects", "trace_spans", "log_error_minutes", "log_error_versions", "log_errors", "log_template_minutes",
        "log_templates", "log_services", "log_offsets", "log_chunks",
    ):  # fmt: skip
        op.drop_table(table)
