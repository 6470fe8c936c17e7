"""``productops audit …``: as a person proves, exports and erases."""

import json

import pytest


@pytest.fixture
def filled(cli):
    now = cli.context.clock.now()
    for number in range(12):
        with cli.context.store.write() as unit:
            unit.audit.add(
                "flag.ramp", f"flag/f{number % 2}", actor="mia", origin="cli", now=now, reason="Mia wants more", detail={"n": number}
            )
    return cli


def test_the_log_is_listed_and_one_entry_shown(filled):
    listed = filled.run("audit", "list", "--subject", "flag/f1", "--limit", "3").out
    assert [line.split()[0] for line in listed.splitlines() if line.split()[:1] and line.split()[0].isdigit()] == ["12", "10", "8"]
    shown = filled.run("audit", "show", "3").out
    assert "entry 3: flag.ramp of flag/f0" in shown
    assert "because: Mia wants more" in shown
    assert len(json.loads(filled.run("audit", "list", "--json").out)["items"]) == 12
    assert filled.run("audit", "show", "99").code == 66


def test_the_live_log_is_proven_and_says_when_no_anchor_vouches_for_it(filled):
    proof = filled.run("audit", "verify")
    assert proof.code == 0, proof
    assert "12 entries fit" in proof.out
    assert "no anchors" in proof.out
    assert "12 new entries fit; written to" in filled.run("audit", "anchor").out
    assert "nothing is new since" in filled.run("audit", "anchor").out
    assert "1 anchors agree; entries up to 12 cannot have been written anew" in filled.run("audit", "verify").out


def test_an_export_is_proven_without_an_installation_and_a_changed_line_is_named(filled, tmp_path):
    file = tmp_path / "audit.jsonl"
    assert "written to" in filled.run("audit", "export", str(file)).out
    key = (filled.settings.home / "audit-key.pub").read_text().strip()
    elsewhere = {"PRODUCTOPS_HOME": str(tmp_path / "elsewhere"), "PRODUCTOPS_DATABASE_URL": "sqlite:////nowhere/at/all.db"}
    proof = filled.run("audit", "verify", "--export", str(file), "--key", key, env=elsewhere)
    assert (proof.code, "entries up to 12" in proof.out) == (0, True), proof
    unknown = filled.run("audit", "verify", "--export", str(file), env=elsewhere)
    assert (unknown.code, f"the anchors name the key {key}" in unknown.out) == (0, True)
    file.write_text(file.read_text().replace('"n":4', '"n":5'))
    broken = filled.run("audit", "verify", "--export", str(file), "--key", key, env=elsewhere)
    assert (broken.code, broken.out.splitlines()[0]) == (76, "BROKEN: entry 5 changed: its content does not give its hash")
    found = json.loads(filled.run("audit", "verify", "--export", str(file), "--json", env=elsewhere).out)
    assert (found["fits"], found["broken"]["seq"], found["broken"]["kind"]) == (False, 5, "changed")


def test_a_person_is_erased_after_a_look_at_the_plan(filled):
    planned = filled.run("audit", "erase", "mia", "--reason", "request 7", "--plan", env={"PRODUCTOPS_USER": "tom"}).out
    assert planned == "would erase: mia as the actor of 12 entries; named in the text of 12\n"
    assert "erased: mia" in filled.run("audit", "erase", "mia", "--reason", "request 7", "--yes", env={"PRODUCTOPS_USER": "tom"}).out
    assert "12 of them have erased parts" in filled.run("audit", "verify").out
    assert json.loads(filled.run("audit", "show", "1", "--json").out)["erased"] == ["actor", "reason"]
    refused = filled.run("audit", "erase", "tom", "--reason", "request 8", "--yes", env={"PRODUCTOPS_USER": "tom"})
    assert (refused.code, "let somebody else do it" in refused.err) == (64, True)


def test_a_file_that_is_no_export_is_told_so(filled, tmp_path):
    (tmp_path / "x").write_bytes(b"\x80 rubbish\n")
    assert "line 1 is no entry of an export" in filled.run("audit", "verify", "--export", str(tmp_path / "x")).out
    assert filled.run("audit", "verify", "--export", str(tmp_path / "missing")).code == 64
    assert filled.run("audit", "verify", "--anchors", str(tmp_path / "missing")).code == 64
    assert filled.run("audit", "verify", "--key", "abc").code == 64
