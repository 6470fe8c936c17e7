"""``productops flag …`` against the served API."""

import json
import sys

import pytest

from productops.cli.main import main
from productops.domain.governance_access import Grant, Role
from tests.integration.test_api.support import TOKEN, person_token
from tests.integration.test_flags.conftest import make_flag


@pytest.fixture
def run(door, monkeypatch, capsys):
    env = {"HOME": door.settings.home, "PORT_BASE": door.settings.port_base, "API_TOKEN": TOKEN}
    for name, value in env.items():
        monkeypatch.setenv(f"PRODUCTOPS_{name}", str(value))
    monkeypatch.setenv("COLUMNS", "200")
    tokens = {name: person_token(door.context, name, Grant(Role.RELEASE_MANAGER)) for name in ("mia", "tom")}

    def go(*arguments, user="mia", code=0):
        monkeypatch.setenv("PRODUCTOPS_TOKEN", tokens[user])
        monkeypatch.setattr(sys, "argv", ["productops", "flag", *arguments])
        capsys.readouterr()
        ended = 0
        try:
            main()
        except SystemExit as error:
            ended = error.code or 0
        said = capsys.readouterr()
        assert ended == code, said
        return said.out + said.err

    return go


def test_a_flag_is_made_ramped_killed_and_restored_from_the_terminal(run):
    made = run("set", "new-checkout", "--venture", "apollo", "--owner", "team-checkout", "--reason", "begin")
    assert "new-checkout is at revision 1" in made
    assert "on where country is NZ or AU, on for 25 %, else off" in run("ramp", "new-checkout", "25", "--segment", "country=NZ,AU")
    assert "on (segment, reason TARGETING_MATCH)" not in run("evaluate", "new-checkout", "--user", "u")
    assert "new-checkout in production: on = true (segment" in run("evaluate", "new-checkout", "--context", '{"country": "AU"}')
    assert "off (killed)" in run("kill", "new-checkout", "--reason", "orders fail")
    assert "off (killed)" in run("list")
    assert "on for 25 %" in run("restore", "new-checkout")
    history = run("history", "new-checkout")
    for word in ("mia", "orders fail", "kill in all environments", "restore revision 2", "ramp on to 25 %"):
        assert word in history
    assert "default off" in run("show", "new-checkout")
    assert json.loads(run("show", "new-checkout", "--json"))["revision"] == 4


def test_a_definition_is_changed_field_by_field(run, tmp_path, door):
    make_flag(door.context)
    rules = tmp_path / "rules.json"
    rules.write_text('{"if": [{"==": [{"var": "staff"}, true]}, "on", null]}')
    run("set", "new-checkout", "--targeting", f"@{rules}", "--expires-on", "2027-01-31", "--description", "One page.")
    page = run("show", "new-checkout")
    assert "to be gone by 2027-01-31" in page
    assert "by targeting, else off" in page
    assert "is no longer" not in run("set", "new-checkout", "--owner", "b", "--if-revision", "2")
    assert "at revision 3, not 2" in run("set", "new-checkout", "--owner", "c", "--if-revision", "2", code=75)
    assert "there is no flag" in run("set", "other", "--owner", "c", code=66)
    assert "is not JSON" in run("set", "new-checkout", "--variants", "{", code=2)
    assert "archived" in run("set", "new-checkout", "--archive")
    assert run("list").strip() == "no flags"


def test_a_change_waits_for_a_colleague_and_for_its_time(run, door):
    make_flag(door.context, approval_required=True)
    waiting = run("ramp", "new-checkout", "10")
    assert "waits for somebody else's approval" in waiting
    change = waiting.split("change ")[1].split()[0]
    assert "somebody else has to approve it" in run("approve", "new-checkout", change, code=77)
    assert "on for 10 %" in run("approve", "new-checkout", change, user="tom")
    at = run("schedule", "new-checkout", "--at", "+2h", "--percent", "50")
    later = at.split("change ")[1].split()[0]
    assert later in run("schedule", "new-checkout")
    assert "is cancelled" in run("cancel", "new-checkout", later, "--reason", "no")
    assert run("schedule", "new-checkout").strip() == "nothing waits"
    assert "exactly one of" in run("schedule", "new-checkout", "--at", "+2h", code=2)
    assert "at least" not in run("stale")


def test_a_stale_flag_is_listed_with_its_owner(run, door):
    make_flag(door.context, expires_on="2020-01-01")
    assert "it was to be gone by 2020-01-01" in run("stale")
