"""The audit chain names what was done to it: one row changed, removed, inserted, swapped; a tail cut; the whole written anew."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from productops.adapters.audit_anchors import AnchorFolder, is_signed, read_anchors, read_or_make_key, trusted_keys
from productops.domain.governance_audit import (
    GENESIS,
    Anchor,
    AuditEntry,
    actor_ref,
    canonical,
    chained,
    clean,
    entry_hash,
    entry_line,
    erased_copy,
    parse_line,
    text_digest,
)
from productops.domain.governance_audit_proof import Misfit, Verifier
from productops.errors import InvalidInputError, SettingsError
from productops.usecases.governance_audit import trust, verify_lines

SALT = "0123456789abcdef0123456789abcdef"
BEGIN = datetime(2026, 11, 21, 3, 0, 0, 123456, tzinfo=UTC)


def made(number, *, action="flag.ramp", detail=None, actor="mia"):
    return AuditEntry(
        0, (BEGIN + timedelta(seconds=number)).isoformat(), actor, actor_ref(SALT, actor), SALT, "cli", action, f"flag/f{number % 7}",
        f"reason {number}", canonical(detail if detail is not None else {"n": number, "before": 0.1, "after": {"pct": number}}),
        f"{number:032x}", "", "", "",
    )  # fmt: skip


def chain(entries):
    done, previous = [], GENESIS
    for seq, entry in enumerate(entries, start=1):
        done.append(chained(entry, seq=seq, previous_hash=previous))
        previous = done[-1].hash
    return done


LOG = chain(made(n) for n in range(60))


def proof(entries, **options):
    verifier = Verifier(**options)
    verifier.take(entries)
    return verifier.finish()


def broken(entries, **options):
    found = proof(entries, **options).broken
    return (found.seq, found.kind) if found else None


def test_an_untouched_log_fits():
    found = proof(LOG)
    assert (found.fits, found.entries, found.last_seq, found.last_hash) == (True, 60, 60, LOG[-1].hash)


FIELDS = {
    "at": "2020-01-01T00:00:00+00:00", "actor": "tom", "actor_ref": "f" * 64, "actor_salt": "f" * 32,
    "origin": "api", "action": "flag.kill",
    "subject": "flag/other", "reason": "another", "detail": '{"n":-1}', "salt": "f" * 32, "previous_hash": "f" * 64, "hash": "f" * 64,
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 59), field=st.sampled_from(sorted(FIELDS)))
def test_any_changed_field_of_any_entry_is_named_with_its_number(place, field):
    log = list(LOG)
    log[place] = log[place]._replace(**{field: FIELDS[field]})
    found = proof(log).broken
    assert found is not None
    # A new hash alone does not fit its own entry; all else is found there, too.
    assert (found.seq, found.kind in {Misfit.CHANGED, Misfit.REPLACED}) == (place + 1, True), found


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 58))
def test_a_removed_entry_is_named(place):
    assert broken(LOG[:place] + LOG[place + 1 :]) == (place + 1, Misfit.REMOVED)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 58), other=st.integers(0, 59))
def test_two_swapped_entries_are_named(place, other):
    first, second = sorted((place, other))
    log = list(LOG)
    log[first], log[second] = log[second], log[first]
    assert broken(log) == (None if first == second else (first + 1, Misfit.MOVED))


@settings(max_examples=60, deadline=None)
@given(place=st.integers(1, 59), fitting=st.booleans())
def test_an_inserted_entry_is_named_whether_the_rest_is_numbered_anew_or_not(place, fitting):
    forged = made(999)._replace(seq=place + 1, previous_hash=LOG[place - 1].hash if fitting else "f" * 64)
    forged = forged._replace(hash=entry_hash(forged))
    renumbered = [entry._replace(seq=entry.seq + 1) for entry in LOG[place:]]
    for rest in (LOG[place:], renumbered):
        found = proof([*LOG[:place], forged, *rest]).broken
        assert found is not None
        assert found.seq == place + 1, found


def test_an_entry_that_was_changed_and_hashed_anew_is_named_not_the_one_after_it():
    log = list(LOG)
    log[20] = chained(log[20]._replace(action="flag.kill"), seq=21, previous_hash=LOG[19].hash)
    assert broken(log) == (21, Misfit.REPLACED)


def test_a_removed_entry_is_named_when_the_rest_is_numbered_anew():
    log = LOG[:30] + [entry._replace(seq=entry.seq - 1) for entry in LOG[31:]]
    found = proof(log).broken
    assert (found.seq, found.kind) == (31, Misfit.REMOVED)


def test_a_cut_tail_is_found_by_an_anchor_and_looks_whole_without():
    anchor = Anchor(60, LOG[-1].hash, "2026-11-21T03:10:00+00:00")
    assert broken(LOG[:50]) is None
    assert broken(LOG[:50], anchors={60: anchor}) == (51, Misfit.TRUNCATED)
    assert proof(LOG, anchors={60: anchor}).proven_until == 60


def test_a_log_that_was_written_anew_is_found_by_an_anchor_which_says_from_where():
    anew = chain([made(n) for n in range(30)] + [made(n, action="flag.kill") for n in range(30, 60)])
    anchors = {seq: Anchor(seq, LOG[seq - 1].hash, "2026-11-21T03:10:00+00:00") for seq in (20, 40, 60)}
    assert broken(anew) is None
    found = proof(anew, anchors=anchors).broken
    assert (found.seq, found.kind) == (40, Misfit.REWRITTEN)
    assert "entry 21 to 40" in found.detail


def test_a_line_break_cannot_move_the_border_between_two_hashed_values():
    entry = chained(made(1), seq=1, previous_hash=GENESIS)
    shifted = entry._replace(origin="cli\nflag", action="ramp")
    assert entry_hash(shifted) == ""


def test_what_an_erasure_leaves_fits_and_an_erasure_nobody_wrote_down_does_not():
    left = erased_copy(LOG[5], {"reason": "asked by [erased]"})
    said = {"texts": [[6, "reason", text_digest("asked by [erased]")]]}
    sanctioned = chain([*(made(n) for n in range(10)), made(10, action="audit.erased", detail=said)])
    assert entry_hash(left) == LOG[5].hash
    assert broken([*LOG[:5], left, *LOG[6:]]) == (6, Misfit.CHANGED)
    assert proof([*sanctioned[:5], left, *sanctioned[6:]]).erased == 1
    assert broken([*sanctioned[:5], left, *sanctioned[6:]]) is None
    forged = left._replace(reason="asked by Tom")
    assert broken([*sanctioned[:5], forged, *sanctioned[6:]]) == (6, Misfit.CHANGED)


def test_an_erased_text_cannot_be_found_again_by_guessing():
    left = erased_copy(LOG[5], {"reason": "[erased]"})
    assert left.salt == ""
    assert "reason" not in json.loads(left.erased)["salts"]
    twice = erased_copy(left, {"reason": "x", "subject": "[erased]"})
    assert set(twice.erased_texts) == {"reason", "subject"}
    assert entry_hash(twice) == LOG[5].hash


@settings(max_examples=100, deadline=None)
@given(reason=st.text(), detail=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text()))
def test_an_entry_survives_the_line_of_an_export_to_the_letter(reason, detail):
    entry = chained(made(1, detail=detail)._replace(reason=clean(reason)), seq=1, previous_hash=GENESIS)
    line = entry_line(entry)
    assert line.isascii()
    assert parse_line(line) == entry
    assert proof([parse_line(line)]).fits


def test_a_line_with_a_field_twice_is_no_line_of_an_export():
    line = entry_line(LOG[0]).replace('"reason":', '"reason":"forged","reason":', 1)
    assert json.loads(line)["reason"] == LOG[0].reason
    with pytest.raises(ValueError, match="not written as an export"):
        parse_line(line)


@pytest.mark.parametrize("detail", [{"x": float("nan")}, {"x": float("inf")}])
def test_a_detail_that_json_cannot_hold_is_refused(detail):
    with pytest.raises(InvalidInputError, match="no JSON"):
        canonical(detail)


@pytest.fixture
def key(tmp_path):
    return read_or_make_key(tmp_path / "audit-key")


def lines_of(log, key):
    end = key.sign(Anchor(log[-1].seq, log[-1].hash, "2026-11-21T03:10:00+00:00"))
    return [entry_line(entry).encode() + b"\n" for entry in log] + [end.line().encode() + b"\n"]


def verified(lines, key, anchors=()):
    found = verify_lines(lines, anchors, signed=is_signed, keys={key.public})
    return (found.broken.seq, found.broken.kind) if found.broken else None


def test_an_export_proves_itself_and_every_changed_byte_breaks_it(key):
    lines = lines_of(LOG[:5], key)
    assert verified(lines, key) is None
    for number, line in enumerate(lines):
        for place in range(0, len(line) - 1, 11):
            forged = bytes([*line[:place], line[place] ^ 1, *line[place + 1 :]])
            assert verified([*lines[:number], forged, *lines[number + 1 :]], key) is not None, (number, place)


def test_an_export_without_its_last_line_was_cut(key):
    lines = lines_of(LOG, key)
    assert verified(lines[:-1], key) == (61, Misfit.TRUNCATED)
    assert verified([*lines[:40], lines[-1]], key) == (41, Misfit.TRUNCATED)
    assert verified([*lines, lines[3]], key) == (61, Misfit.UNREADABLE)
    assert verified([], key) == (1, Misfit.TRUNCATED)
    assert verified([*lines[:10], b"\xff\n", *lines[10:]], key) == (11, Misfit.UNREADABLE)


def test_an_anchor_that_others_signed_or_that_was_changed_is_forged(key, tmp_path):
    other = read_or_make_key(tmp_path / "other-key")
    anchor = key.sign(Anchor(60, LOG[-1].hash, "2026-11-21T03:10:00+00:00"))
    later = replace(anchor, seq=61)
    assert trust([anchor], signed=is_signed, keys={key.public}).broken is None
    for forged in (other.sign(anchor), later, replace(anchor, signature="zz")):
        assert trust([forged], signed=is_signed, keys={key.public}).broken.kind is Misfit.FORGED_ANCHOR
    contradicting = key.sign(replace(anchor, hash="f" * 64))
    assert "contradicts" in trust([anchor, contradicting], signed=is_signed, keys={key.public}).broken.detail
    assert "compare it" in trust([anchor], signed=is_signed, keys=()).notes[0]


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "home" / "audit-key"
    assert read_or_make_key(path).public == read_or_make_key(path).public
    assert trusted_keys([], path) == {read_or_make_key(path).public}
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_or_make_key(path)
    path.chmod(0o600)
    path.write_text("rubbish")
    with pytest.raises(SettingsError, match="restore it"):
        read_or_make_key(path)


def test_anchors_are_kept_by_month_and_a_line_that_a_crash_cut_is_left_out(tmp_path, key):
    book = AnchorFolder(tmp_path / "anchors")
    assert book.newest() is None
    first = key.sign(Anchor(3, "a" * 64, "2026-10-31T23:59:00+00:00"))
    second = key.sign(Anchor(9, "b" * 64, "2026-11-01T00:09:00+00:00"))
    place = book.append(first)
    assert book.append(second) != place
    assert book.newest() == second
    with (tmp_path / "anchors" / "anchors-2026-11.jsonl").open("a") as file:
        file.write('{"anchor":{"at"')
    assert list(read_anchors(tmp_path / "anchors")) == [first, second]
    with (tmp_path / "anchors" / "anchors-2026-11.jsonl").open("a") as file:
        file.write("}}\n")
    with pytest.raises(InvalidInputError, match="line 2 is no anchor"):
        list(read_anchors(tmp_path / "anchors"))
