"""The audit log on SQLite and PostgreSQL: refuses changes, never forks, erases without breaking, is proven against anchors."""

from __future__ import annotations

import json
import multiprocessing
import threading
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from productops.adapters.audit_anchors import AnchorFolder, is_signed, read_or_make_key
from productops.domain.governance_access import MACHINE
from productops.domain.governance_audit import TOMBSTONE, AuditFilter
from productops.domain.governance_audit_proof import Misfit
from productops.errors import AuditBrokenError, InvalidInputError, NotFoundError
from productops.store import Store
from productops.store.migrate import _config, upgrade
from productops.usecases.context import Actor
from productops.usecases.governance_audit import (
    Trusted,
    export_lines,
    list_entries,
    read_entry,
    trust,
    verify_lines,
    verify_store,
    write_anchor,
)
from productops.usecases.governance_audit_erase import erase_person
from tests.support import SOMEBODY

AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def fill(context, count=20, *, actor="mia"):
    for number in range(count):
        with context.store.write() as unit:
            unit.audit.add(
                "flag.ramp", f"flag/f{number % 3}", actor=actor, origin="cli", now=AT + timedelta(seconds=number),
                reason=f"Mia asked for {number}", detail={"n": number, "share": 1e20, "approved_by": "mia"},
                before={"pct": 0}, after={"pct": 5},
            )  # fmt: skip


@contextmanager
def raw(url):
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


TRIGGERS = ("audit_entries no_update", "audit_entries no_delete", "audit_entries append", "audit_people no_update")


def unlocked(url, *statements):
    """Change the tables as somebody would who may drop triggers."""
    with raw(url) as connection:
        postgresql = connection.dialect.name == "postgresql"
        for place in TRIGGERS:
            table, _, trigger = place.partition(" ")
            on = f" ON {table}" if postgresql else ""
            connection.execute(text(f"DROP TRIGGER {table}_{trigger}{on}"))
        for statement in statements:
            connection.exec_driver_sql(statement)


NO_ANCHORS = Trusted({})


def found_broken(context, trusted=NO_ANCHORS):
    broken = verify_store(context, trusted).broken
    return (broken.seq, broken.kind) if broken else None


MISPLACED = (
    "INSERT INTO audit_entries SELECT {}, at, actor_ref, origin, action, subject, reason, detail, salt, erased, previous_hash, 'x' "
    "FROM audit_entries WHERE seq = 20"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET reason = 'another' WHERE seq = 3",
        "UPDATE audit_entries SET action = 'flag.kill', salt = '', erased = '{}' WHERE seq = 3",
        "DELETE FROM audit_entries WHERE seq = 20",
        "DELETE FROM audit_people",
        "UPDATE audit_people SET name = 'tom'",
        MISPLACED.format(99),
        MISPLACED.format(21),
    ],
)
def test_the_database_refuses_to_change_remove_or_misplace_an_entry(any_context, database_url, statement):
    fill(any_context)
    with pytest.raises(DBAPIError, match=r"never changed or removed|continues the newest"), raw(database_url) as connection:
        connection.execute(text(statement))
    assert found_broken(any_context) is None


def test_sqlite_refuses_to_replace_and_postgresql_to_truncate(any_context, database_url):
    fill(any_context, 3)
    sly = {
        "sqlite": "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE seq = 2",
        "postgresql": "TRUNCATE audit_entries",
    }
    with pytest.raises(DBAPIError, match=r"never changed or removed|continues the newest"), raw(database_url) as connection:
        connection.execute(text(sly[connection.dialect.name]))
    assert found_broken(any_context) is None


@pytest.mark.parametrize(
    ("statements", "wanted"),
    [
        (["UPDATE audit_entries SET detail = '{\"n\":7}' WHERE seq = 9"], (9, Misfit.CHANGED)),
        (["DELETE FROM audit_entries WHERE seq = 9"], (9, Misfit.REMOVED)),
        (["UPDATE audit_entries SET seq = -1 WHERE seq = 9", "UPDATE audit_entries SET seq = 9 WHERE seq = 10",
          "UPDATE audit_entries SET seq = 10 WHERE seq = -1"], (9, Misfit.REMOVED)),
        (["UPDATE audit_people SET name = 'tom'"], (1, Misfit.CHANGED)),
        (["UPDATE audit_people SET name = '[erased]', salt = ''"], (1, Misfit.CHANGED)),
    ],
)  # fmt: skip
def test_whoever_drops_the_triggers_is_found_out_all_the_same(any_context, database_url, statements, wanted):
    fill(any_context)
    unlocked(database_url, *statements)
    assert found_broken(any_context) == wanted


def test_a_detail_keeps_its_very_letters_on_both_databases(any_context):
    odd = {"large": 1e20, "small": 1e-7, "minus": -0.0, "nul": "a\x00b", "half": "\ud800", "deep": [{"ü": None}]}
    with any_context.store.write() as unit:
        unit.audit.add("act", "s/1", actor="Jürgen\x00", origin="cli", now=AT, reason="x\x00y \ud800", detail=odd)
    entry = read_entry(any_context, 1, actor=SOMEBODY)
    assert entry.content == odd
    assert (entry.actor, entry.reason) == ("Jürgen\\x00", "x\\x00y \\ud800")
    assert found_broken(any_context) is None


def test_an_entry_that_cannot_be_held_undoes_its_transaction(any_context):
    for wrong in ({"actor": "x" * 256}, {"origin": "a\nb"}, {"detail": {"x": float("nan")}}):
        given = {"actor": "mia", "origin": "cli", "detail": {}} | wrong
        with pytest.raises(InvalidInputError, match="audit entry"), any_context.store.write() as unit:
            unit.audit.add("act", "s/1", now=AT, **given)
    with pytest.raises(NotFoundError, match="newest is 0"):
        read_entry(any_context, 1, actor=SOMEBODY)


def add_a_good_and_a_bad_one(unit):
    unit.audit.add("act", "s/1", actor="mia", origin="cli", now=AT)
    unit.audit.add("act", "s/1", actor="mia", origin="a\nb", now=AT)


def test_what_a_failed_or_undone_transaction_added_is_not_in_the_chain(any_context):
    with pytest.raises(InvalidInputError), any_context.store.write() as unit:
        add_a_good_and_a_bad_one(unit)
    with any_context.store.write() as unit:
        unit.audit.add("act", "s/2", actor="mia", origin="cli", now=AT)
        unit.undo()
    fill(any_context, 2)
    with any_context.store.read() as unit:
        assert [(entry["seq"], entry["action"]) for entry in unit.audit.entries()] == [(2, "flag.ramp"), (1, "flag.ramp")]


def append(url, count, name):
    store = Store(url)
    for number in range(count):
        with store.write() as unit:
            unit.audit.add("act", f"s/{number}", actor=name, origin="cli", now=datetime.now(UTC))
            unit.audit.add("act", f"s/{number}", actor="shared", origin="cli", now=datetime.now(UTC))
    store.close()


def test_appends_from_many_processes_neither_fork_nor_gap_the_chain(any_context, database_url):
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=append, args=(database_url, 12, f"p{n}")) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=100)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    proof = verify_store(any_context, Trusted({}))
    assert (proof.fits, proof.entries, proof.last_seq) == (True, 72, 72)


def test_on_postgresql_a_writer_that_takes_its_time_holds_up_no_other(postgres_url):
    upgrade(postgres_url)
    store, added, done = Store(postgres_url), threading.Event(), threading.Event()

    def slow():
        with store.write() as unit:
            unit.audit.add("act", "s/slow", actor="slow", origin="cli", now=AT)
            added.set()
            assert done.wait(20)

    thread = threading.Thread(target=slow)
    thread.start()
    assert added.wait(20)
    with store.write() as unit:
        unit.audit.add("act", "s/quick", actor="quick", origin="cli", now=AT)
    done.set()
    thread.join(timeout=20)
    with store.read() as unit:
        assert [entry["subject"] for entry in unit.audit.entries()] == ["s/slow", "s/quick"]
        assert unit.audit.first_broken() is None
    store.close()


def test_pages_follow_one_another_without_gap_or_repetition_under_every_filter(any_context):
    fill(any_context, 25)
    fill(any_context, 10, actor="tom")  # the same times again
    for wanted, count in (
        (AuditFilter(), 35), (AuditFilter(actor="tom"), 10), (AuditFilter(subject="flag/f1"), 11), (AuditFilter(action="flag.ramp"), 35),
        (AuditFilter(actor="mia", action="flag.ramp", subject="flag/f0"), 9), (AuditFilter(actor="nobody"), 0),
        (AuditFilter(since=AT + timedelta(seconds=5), until=AT + timedelta(seconds=8)), 6),
        (AuditFilter(actor="tom", action="flag.ramp", since=AT + timedelta(seconds=5)), 5),
    ):  # fmt: skip
        seen, after = [], None
        while True:
            page = list_entries(any_context, wanted, limit=4, after=after, actor=SOMEBODY)
            seen += [(entry.at, entry.seq) for entry in page.items]
            after = page.after
            if after is None:
                break
        assert seen == sorted(set(seen), reverse=True), wanted
        assert len(seen) == count, wanted


def test_before_and_after_of_a_change_are_kept(any_context):
    fill(any_context, 1)
    content = read_entry(any_context, 1, actor=SOMEBODY).content
    assert (content["before"], content["after"]) == ({"pct": 0}, {"pct": 5})


def test_a_person_is_erased_and_the_chain_still_fits(any_context, database_url):
    fill(any_context, 12)
    fill(any_context, 3, actor="mia-lee")
    with any_context.store.write() as unit:
        unit.audit.add("act", "account/mia@example.com", actor="tom", origin="api", now=AT, reason="mia.", detail={"mia": ["Mia", 1]})
    planned = erase_person(any_context, ["mia", "mia@example.com"], reason="request 7", actor=SOMEBODY, plan_only=True)
    assert (planned.names, planned.acted, planned.named) == (("mia",), 12, 16)
    assert verify_store(any_context, Trusted({})).erased == 0
    assert erase_person(any_context, ["mia", "mia@example.com"], reason="request 7", actor=SOMEBODY) == planned
    proof = verify_store(any_context, Trusted({}))
    assert (proof.fits, proof.erased, proof.entries) == (True, 16, 18)
    entry = read_entry(any_context, 16, actor=SOMEBODY)
    assert (entry.actor, entry.subject, entry.reason) == ("tom", f"account/{TOMBSTONE}", f"{TOMBSTONE}.")
    assert entry.content == {TOMBSTONE: [TOMBSTONE, 1]}
    assert read_entry(any_context, 13, actor=SOMEBODY).actor == "mia-lee"
    with raw(database_url) as connection:
        left = [str(row) for table in ("audit_entries", "audit_people") for row in connection.execute(text(f"SELECT * FROM {table}"))]
    assert [row for row in left if "'mia'" in row.lower() or "mia@" in row.lower() or "mia asked" in row.lower()] == []


def test_an_erased_person_can_act_again_and_be_erased_again(any_context):
    fill(any_context, 2)
    erase_person(any_context, ["mia"], reason="request 7", actor=SOMEBODY)
    fill(any_context, 2)
    again = erase_person(any_context, ["mia"], reason="request 8", actor=SOMEBODY)
    assert (again.acted, again.named) == (2, 2)
    assert verify_store(any_context, Trusted({})).fits
    with any_context.store.write() as unit:
        unit.audit.add("act", "s", actor="tom", origin="cli", now=AT, reason="mia and Tom", detail={"by": "mia"})
    erase_person(any_context, ["mia"], reason="request 9", actor=SOMEBODY)
    erase_person(any_context, ["tom"], reason="request 10", actor=SOMEBODY)
    assert verify_store(any_context, Trusted({})).fits


def test_an_erasure_that_the_log_does_not_know_of_is_named(any_context, database_url):
    fill(any_context, 5)
    with raw(database_url) as connection:  # the triggers let pass what looks like an erasure
        connection.execute(text("UPDATE audit_people SET name = '[erased]', salt = ''"))
    assert found_broken(any_context) == (1, Misfit.CHANGED)


@pytest.mark.parametrize("names", [[], ["x"], [" "], ["tester"]])
def test_nobody_erases_without_a_name_nor_themselves(any_context, names):
    with pytest.raises(InvalidInputError):
        erase_person(any_context, names, reason="request 7", actor=SOMEBODY)


def test_an_export_is_proven_offline_and_a_changed_one_is_not(any_context, tmp_path):
    key = read_or_make_key(tmp_path / "audit-key")
    fill(any_context, 30)
    erase_person(any_context, ["mia"], reason="request 7", actor=SOMEBODY)
    lines = [line.encode() + b"\n" for line in export_lines(any_context, key)]
    proof = verify_lines(lines, [], signed=is_signed, keys={key.public})
    assert (proof.fits, proof.entries, proof.erased, proof.proven_until) == (True, 32, 30, 32)
    del lines[10]
    broken = verify_lines(lines, [], signed=is_signed, keys={key.public}).broken
    assert (broken.seq, broken.kind) == (11, Misfit.REMOVED)


def test_an_anchor_is_written_when_something_is_new_and_finds_what_was_done_since(any_context, database_url, tmp_path):
    key, book = read_or_make_key(tmp_path / "audit-key"), AnchorFolder(tmp_path / "anchors")
    fill(any_context, 10)
    first = write_anchor(any_context, key, book, actor=SOMEBODY)
    assert (first.anchor.seq, first.checked) == (10, 10)
    assert write_anchor(any_context, key, book, actor=SOMEBODY).place == ""
    fill(any_context, 3)
    assert write_anchor(any_context, key, book, actor=SOMEBODY).anchor.seq == 13
    trusted = trust([first.anchor, book.newest()], signed=is_signed, keys={key.public})
    assert verify_store(any_context, trusted).proven_until == 13
    unlocked(database_url, "DELETE FROM audit_entries WHERE seq > 11")
    assert found_broken(any_context, trusted) == (12, Misfit.TRUNCATED)
    for said in ("entry 12 truncated: the log ends with entry 11", "entry 13 truncated: the log ends with entry 12"):
        with pytest.raises(AuditBrokenError, match=said):
            write_anchor(any_context, key, book, actor=Actor("flow run x", "prefect", MACHINE))
    with any_context.store.read() as unit:
        incidents = unit.incidents.newest()
        assert [(i["type"], i["severity"], i["status"]) for i in incidents] == [("security", "SEV2", "open")]
        assert unit.audit.entries()[0]["action"] == "audit.broken"


def test_an_older_log_is_chained_anew_and_says_what_it_was(database_url):
    made = _config(database_url)
    command.upgrade(made, "0005")
    engine = create_engine(database_url)
    rows = old_log(7)
    insert = text(
        "INSERT INTO audit_entries VALUES (:seq, :at, :actor, :origin, :action, :subject, :reason, :detail, :previous_hash, :hash)"
    )
    with engine.begin() as connection:
        for row in rows:
            at = row["at"] if engine.dialect.name == "postgresql" else row["at"].strftime("%Y-%m-%d %H:%M:%S.%f")
            connection.execute(insert, row | {"at": at, "detail": json.dumps(row["detail"])})
    engine.dispose()
    upgrade(database_url)
    store = Store(database_url)
    with store.read() as unit:
        newest, *older = unit.audit.entries()
        assert unit.audit.first_broken() is None
    assert (newest["action"], newest["detail"]) == ("audit.rechained", {"entries": 7, "first_broken": None, "last_hash": rows[-1]["hash"]})
    assert [(entry["seq"], entry["actor"], entry["detail"]) for entry in reversed(older)] == [
        (r["seq"], r["actor"], r["detail"]) for r in rows
    ]
    store.close()
    command.downgrade(made, "0005")
    engine = create_engine(database_url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT hash FROM audit_entries WHERE seq = 7")).scalar() == rows[-1]["hash"]
        connection.execute(text("UPDATE audit_entries SET actor = 'mallory' WHERE seq = 4"))
    engine.dispose()
    upgrade(database_url)
    store = Store(database_url)
    with store.read() as unit:
        assert unit.audit.entries()[0]["detail"]["first_broken"] == 4
    store.close()


def old_log(count):
    import hashlib

    rows, previous = [], "0" * 64
    for seq in range(1, count + 1):
        content = {
            "seq": seq, "at": (AT + timedelta(seconds=seq)).isoformat(), "actor": f"a{seq % 2}", "origin": "cli", "action": "act",
            "subject": f"s/{seq}", "reason": "why", "detail": {"n": seq},
        }  # fmt: skip
        written = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(f"{previous}\n{written}".encode()).hexdigest()
        rows.append(content | {"at": AT + timedelta(seconds=seq), "previous_hash": previous, "hash": digest})
        previous = digest
    return rows


def test_the_pages_use_an_index_and_sort_nothing(database_url):
    upgrade(database_url)
    queries = {
        "ix_audit_entries_subject_at_seq": "subject = 'x'",
        "ix_audit_entries_action_at_seq": "action = 'x'",
        "ix_audit_entries_actor_ref_at_seq": "actor_ref = 'x'",
        "ix_audit_entries_at_seq": "1 = 1",
    }
    with raw(database_url) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))
            connection.execute(text("SET enable_sort = off"))
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        for index, condition in queries.items():
            hint = f"INDEXED BY {index}" if connection.dialect.name == "sqlite" else ""
            query = f"SELECT seq FROM audit_entries {hint} WHERE {condition} AND at <= '2026-11-21' ORDER BY at DESC, seq DESC LIMIT 50"
            plan = " ".join(str(row) for row in connection.execute(text(f"{explain} {query}")))
            assert index in plan
            assert "TEMP B-TREE" not in plan
            assert "Sort" not in plan


def test_every_name_of_an_actor_has_one_ref_until_it_is_erased(any_context):
    name = f"flow run {uuid.uuid4()}"
    fill(any_context, 3, actor=name)
    with any_context.store.read() as unit:
        assert [known for _, known in unit.audit.people()] == [name]
