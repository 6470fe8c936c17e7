"""``productops compliance …`` and ``productops bundle``, as a person uses them."""

from __future__ import annotations

import json

import pytest

from productops.domain.catalog_compliance import ControlEntry


@pytest.fixture
def declared(cli):
    spec = {
        "title": "A backup was restored in the last month", "owner": "platform", "check": {"kind": "backup-drilled"}, "severity": "high",
        "remediation": "restore one",
    }  # fmt: skip
    entry = {"apiVersion": "productops/v1", "kind": "Control", "metadata": {"name": "backups"}, "spec": spec}
    with cli.context.store.write() as unit:
        unit.controls.put(ControlEntry.model_validate(entry), base="/", author="tester", now=cli.context.clock.now())
    return cli


def test_a_person_checks_looks_waives_and_checks_again(declared):
    assert "never checked" in declared.run("compliance", "controls").out
    checked = declared.run("compliance", "check")
    assert (checked.code, "violated" in checked.out) == (3, True), checked
    (finding,) = json.loads(declared.run("compliance", "findings", "--json").out)["items"]
    shown = declared.run("compliance", "findings", finding["id"]).out
    assert "to do: restore one" in shown
    waived = declared.run("compliance", "waive", finding["id"], "--owner", "dora", "--reason", "the disks come on Monday", "--for", "3d")
    assert f"finding {finding['id']} is borne by dora until" in waived.out
    assert declared.run("compliance", "check").code == 0
    assert "waived" in declared.run("compliance", "findings").out
    wrong = declared.run("compliance", "waive", finding["id"], "--owner", "dora", "--reason", "the disks", "--for", "soon")
    assert (wrong.code, "write it like 30d or 12h" in wrong.err) == (64, True)


def test_a_bundle_is_fetched_and_checked_offline(cli, tmp_path):
    done = cli.run("release", "shop", "2.0", "--json")
    release_id = json.loads(done.out)["id"]
    file = tmp_path / "evidence.zip"
    assert "check it with" in cli.run("bundle", release_id, "--out", str(file)).out
    checked = cli.run("bundle", "verify", str(file))
    assert (checked.code, f"all fits: release {release_id}" in checked.out, "absent: test results" in checked.out) == (0, True, True)
    file.write_bytes(file.read_bytes()[:-9])
    assert cli.run("bundle", "verify", str(file)).code == 65
    assert cli.run("bundle", "verify").code == 64
    assert cli.run("bundle", "no-release", "--out", str(file)).code == 66
