"""the audit log as proof: commitments instead of names in the hash, indexes for pages, triggers against changes.

An older log is chained anew, because its hashes cover names in clear, which could never be erased. What it was is not lost: the last
entry that is written here says how many entries it had, its last hash, and the first entry that did not fit, if there was one.
"""

import hashlib
import json
import secrets
from datetime import UTC, datetime
from types import SimpleNamespace

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
GENESIS = "0" * 64
HOW = "audit entries are never changed or removed; personal data is erased by: productops audit erase"
KEPT = ("seq", "at", "actor_ref", "origin", "action", "previous_hash", "hash")
INDEXES = (
    ("ix_audit_entries_at_seq", ["at", "seq"]),
    ("ix_audit_entries_subject_at_seq", ["subject", "at", "seq"]),
    ("ix_audit_entries_action_at_seq", ["action", "at", "seq"]),
    ("ix_audit_entries_actor_ref_at_seq", ["actor_ref", "at", "seq"]),
    ("ix_audit_entries_actor_ref_action_at_seq", ["actor_ref", "action", "at", "seq"]),
)
OLD = sa.table(
    "audit_entries_old", sa.column("seq", BIG), sa.column("at", TIME), sa.column("actor"), sa.column("origin"), sa.column("action"),
    sa.column("subject"), sa.column("reason"), sa.column("detail", JSON), sa.column("previous_hash"), sa.column("hash"),
)
NEW = sa.table(
    "audit_entries", sa.column("seq", BIG), sa.column("at", TIME), sa.column("actor_ref"), sa.column("origin"), sa.column("action"),
    sa.column("subject"), sa.column("reason"), sa.column("detail"), sa.column("salt"), sa.column("erased"),
    sa.column("previous_hash"), sa.column("hash"),
)
PEOPLE = sa.table("audit_people", sa.column("ref"), sa.column("name"), sa.column("salt"), sa.column("since", TIME))


def upgrade() -> None:
    _set_aside("uq_audit_entries_hash")
    op.create_table(
        "audit_people",
        sa.Column("ref", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_audit_people")),
    )
    op.create_index(op.f("ix_audit_people_name"), "audit_people", ["name"])
    op.create_table(
        "audit_entries",
        sa.Column("seq", BIG, autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor_ref", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("erased", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_entries_hash")),
    )
    for name, columns in INDEXES:
        op.create_index(name, "audit_entries", columns)
    _chain_anew(op.get_bind())
    op.drop_table("audit_entries_old")
    _guard()


def _set_aside(*constraints: str) -> None:
    """Rename the table; PostgreSQL's names of constraints are of the whole schema, so the new table could not have them."""
    op.rename_table("audit_entries", "audit_entries_old")
    if op.get_bind().dialect.name == "postgresql":
        for name in ("pk_audit_entries", *constraints):
            op.execute(f"ALTER TABLE audit_entries_old RENAME CONSTRAINT {name} TO {name}_old")


def _time(value):
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _old_hash(previous, row):
    content = {
        "seq": row.seq, "at": _time(row.at).isoformat(), "actor": row.actor, "origin": row.origin, "action": row.action,
        "subject": row.subject, "reason": row.reason, "detail": row.detail,
    }
    written = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous}\n{written}".encode()).hexdigest()


def _chain_anew(connection) -> None:
    refs, previous, old_hash, seen, count, broken = {}, GENESIS, GENESIS, -1, 0, None
    while rows := connection.execute(sa.select(OLD).where(OLD.c.seq > seen).order_by(OLD.c.seq).limit(2000)).all():
        made = []
        for row in rows:
            fits = row.seq == count + 1 and row.previous_hash == old_hash and _old_hash(old_hash, row) == row.hash
            broken = row.seq if broken is None and not fits else broken
            seen, old_hash, count = row.seq, row.hash, count + 1
            made.append(_new(connection, refs, count, previous, row._asdict()))
            previous = made[-1]["hash"]
        connection.execute(sa.insert(NEW), made)
    if count:
        said = {
            "at": datetime.now(UTC), "actor": "migration 0007", "origin": "migration", "action": "audit.rechained", "subject": "audit",
            "reason": "names and texts are covered by commitments from here on, so that they can be erased",
            "detail": {"entries": count, "last_hash": old_hash, "first_broken": broken},
        }
        connection.execute(sa.insert(NEW), [_new(connection, refs, count + 1, previous, said)])


def _new(connection, refs, seq, previous, row):
    at = _time(row["at"])
    name = row["actor"]
    if name not in refs:
        salt = secrets.token_hex(16)
        refs[name] = hashlib.sha256(f"{salt}\n{name}".encode()).hexdigest()
        connection.execute(sa.insert(PEOPLE).values(ref=refs[name], name=name, salt=salt, since=_stored(connection, at)))
    detail = json.dumps(row["detail"], sort_keys=True, separators=(",", ":"))
    salt = secrets.token_hex(16)
    wide = hashlib.blake2b(bytes.fromhex(salt)).digest()
    texts = (row["subject"], row["reason"], detail)
    digests = b"".join(hashlib.sha256(wide[i * 16 : i * 16 + 16] + text.encode()).digest() for i, text in enumerate(texts))
    header = f"{previous}\n{seq}\n{at.isoformat()}\n{refs[name]}\n{row['origin']}\n{row['action']}\n"
    return {
        "seq": seq, "at": _stored(connection, at), "actor_ref": refs[name], "origin": row["origin"], "action": row["action"],
        "subject": row["subject"], "reason": row["reason"], "detail": detail, "salt": salt, "erased": "", "previous_hash": previous,
        "hash": hashlib.sha256(header.encode() + digests).hexdigest(),
    }


def _stored(connection, at):
    return at.replace(tzinfo=None) if connection.dialect.name == "sqlite" else at


def _guard() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in POSTGRESQL:
            op.execute(statement)
        return
    kept = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in KEPT)
    for name, table, event, unless in (
        ("audit_entries_no_update", "audit_entries", "UPDATE", f"{kept} AND NEW.salt = '' AND NEW.erased <> ''"),
        ("audit_entries_no_delete", "audit_entries", "DELETE", "0"),
        ("audit_people_no_update", "audit_people", "UPDATE", "NEW.ref IS OLD.ref AND NEW.since IS OLD.since AND NEW.salt = '' AND NEW.name = '[erased]'"),
        ("audit_people_no_delete", "audit_people", "DELETE", "0"),
    ):
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN NOT ({unless}) BEGIN SELECT RAISE(ABORT, '{HOW}'); END")
    # INSERT OR REPLACE would remove a row without a word to the trigger on DELETE.
    op.execute(
        "CREATE TRIGGER audit_entries_append BEFORE INSERT ON audit_entries "
        "WHEN NEW.seq <> COALESCE((SELECT max(seq) FROM audit_entries), 0) + 1 "
        f"OR NEW.previous_hash <> COALESCE((SELECT hash FROM audit_entries ORDER BY seq DESC LIMIT 1), '{GENESIS}') "
        "BEGIN SELECT RAISE(ABORT, 'an audit entry continues the newest one and no other'); END"
    )
    op.execute(
        "CREATE TRIGGER audit_people_append BEFORE INSERT ON audit_people WHEN EXISTS (SELECT 1 FROM audit_people WHERE ref = NEW.ref) "
        f"BEGIN SELECT RAISE(ABORT, '{HOW}'); END"
    )


POSTGRESQL = (
    f"CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{HOW}'; END $$",
    f"""CREATE FUNCTION audit_append() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE last_seq bigint := 0; last_hash text := '{GENESIS}';
    BEGIN
      SELECT seq, hash INTO last_seq, last_hash FROM audit_entries ORDER BY seq DESC LIMIT 1;
      IF NEW.seq <> COALESCE(last_seq, 0) + 1 OR NEW.previous_hash <> COALESCE(last_hash, '{GENESIS}') THEN
        RAISE EXCEPTION 'an audit entry continues the newest one and no other';
      END IF;
      RETURN NEW;
    END $$""",
    "CREATE TRIGGER audit_entries_append BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION audit_append()",
    "CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries FOR EACH ROW WHEN (NOT ("
    + " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in KEPT)
    + " AND NEW.salt = '' AND NEW.erased <> '')) EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_people_no_update BEFORE UPDATE ON audit_people FOR EACH ROW WHEN (NOT (NEW.ref = OLD.ref "
    "AND NEW.since = OLD.since AND NEW.salt = '' AND NEW.name = '[erased]')) EXECUTE FUNCTION audit_refuse()",
    *(
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION audit_refuse()"
        for table in ("audit_entries", "audit_people")
    ),
    *(
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        for table in ("audit_entries", "audit_people")
    ),
)


def downgrade() -> None:
    """Back to hashes over names in clear; the log is chained anew, tombstones stay."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_refuse() CASCADE")
        op.execute("DROP FUNCTION audit_append() CASCADE")
    _set_aside("uq_audit_entries_hash")
    op.create_table(
        "audit_entries",
        sa.Column("seq", BIG, autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", JSON, nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_entries_hash")),
    )
    _chain_back(connection)
    op.drop_table("audit_entries_old")
    op.drop_table("audit_people")


def _chain_back(connection) -> None:
    kept = [c for c in NEW.c if c.name != "detail"]
    source = sa.table("audit_entries_old", *(sa.column(c.name, c.type) for c in kept), sa.column("detail", sa.Text()))
    target = sa.table("audit_entries", *(sa.column(c.name, c.type) for c in OLD.c))
    names = {row.ref: row.name for row in connection.execute(sa.select(PEOPLE.c.ref, PEOPLE.c.name))}
    previous = GENESIS
    for row in connection.execute(sa.select(source).order_by(source.c.seq)).all():
        made = {name: value for name, value in row._asdict().items() if name not in {"actor_ref", "salt", "erased"}}
        made |= {"actor": names.get(row.actor_ref, "[erased]"), "detail": json.loads(row.detail), "previous_hash": previous}
        made["hash"] = previous = _old_hash(previous, SimpleNamespace(**made))
        connection.execute(sa.insert(target), [made])
