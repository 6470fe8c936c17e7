"""Several processes prove the same as one, entry by entry, and name the same break."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text

from productops.adapters.audit_anchors import AnchorFolder, is_signed, read_anchors, read_or_make_key
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.governance_audit_proof import Misfit
from productops.errors import ForbiddenError
from productops.usecases.context import Actor
from productops.usecases.governance_audit import Trusted, export_lines, trust, verify_lines, verify_store, write_anchor
from productops.usecases.governance_audit_erase import erase_person
from productops.usecases.governance_audit_verify import verify_export, verify_log
from tests.support import SOMEBODY

AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
COUNT = 300


def fill(context, count=COUNT):
    with context.store.write() as unit:
        for number in range(count):
            unit.audit.add(
                "flag.ramp", f"flag/f{number % 3}", actor="mia" if number % 2 else "tom", origin="cli",
                now=AT + timedelta(microseconds=number * 500_000), reason=f"Mia asked\u2028 for {number}\n", before={"pct": 0},
                after={"pct": number},
            )  # fmt: skip


def both(context, trusted=None):
    found = trusted or Trusted({})
    many = verify_log(context, found, actor=SOMEBODY, processes=2, stretch=40)
    assert many == verify_store(context, found)
    return many


def test_processes_prove_a_live_log_with_anchors_and_erasures(any_context, tmp_path):
    fill(any_context)
    key, book = read_or_make_key(tmp_path / "key"), AnchorFolder(tmp_path / "anchors")
    write_anchor(any_context, key, book, actor=SOMEBODY)
    erase_person(any_context, ["mia"], reason="request 7", actor=SOMEBODY)
    trusted = trust(read_anchors(tmp_path / "anchors"), signed=is_signed, keys={key.public})
    proof = both(any_context, trusted)
    assert (proof.fits, proof.anchors, proof.proven_until, proof.erased) == (True, 1, COUNT, COUNT)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE audit_entries SET reason = 'another' WHERE seq = 121", (121, Misfit.CHANGED)),
        ("DELETE FROM audit_entries WHERE seq = 120", (120, Misfit.REMOVED)),
        ("UPDATE audit_entries SET previous_hash = 'x' WHERE seq = 41", (41, Misfit.CHANGED)),
        ("UPDATE audit_people SET name = 'ann' WHERE name = 'tom'", (1, Misfit.CHANGED)),
        ("DELETE FROM audit_entries WHERE seq > 290", None),
    ],
)
def test_processes_name_the_same_break_as_one(context, statement, found):
    fill(context)
    engine = create_engine(context.store.url)
    with engine.begin() as connection:
        for trigger in ("audit_entries_no_update", "audit_entries_no_delete", "audit_people_no_update"):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text(statement))
    engine.dispose()
    broken = both(context).broken
    assert (broken and (broken.seq, broken.kind)) == found


def test_processes_prove_an_export_and_name_what_was_done_to_it(context, tmp_path):
    fill(context)
    key, file = read_or_make_key(tmp_path / "key"), tmp_path / "audit.jsonl"
    lines = [f"{line}\n" for line in export_lines(context, key)]
    forged = {
        "good": lines,
        "changed": [*lines[:200], lines[200].replace("asked", "baked"), *lines[201:]],
        "cut": lines[:-1],
        "removed": [*lines[:77], *lines[78:]],
        "rubbish": [*lines[:99], "{}\n", *lines[99:]],
        "longer": [*lines, lines[0]],
    }
    kinds = {}
    for name, content in forged.items():
        file.write_text("".join(content), encoding="ascii", newline="\n")
        many = verify_export(file, [], signed=is_signed, keys={key.public}, processes=2, stretch_bytes=20_000)
        with file.open("rb") as one:
            assert many == verify_lines(one, [], signed=is_signed, keys={key.public}), name
        kinds[name] = many.broken.kind if many.broken else None
    assert kinds == {
        "good": None, "changed": Misfit.CHANGED, "cut": Misfit.TRUNCATED, "removed": Misfit.REMOVED, "rubbish": Misfit.UNREADABLE,
        "longer": Misfit.UNREADABLE,
    }  # fmt: skip


def test_who_may_not_read_the_log_may_not_have_it_proven(context):
    with pytest.raises(ForbiddenError):
        verify_log(context, Trusted({}), actor=Actor("eve", "api", Principal("eve", (Grant(Role.VIEWER),))))
