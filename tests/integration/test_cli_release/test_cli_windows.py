"""The commands of freezes and change windows."""

import json

import pytest

from productops.domain.governance_access import Grant, Role
from tests.integration.test_api.support import person_token
from tests.integration.test_api.test_api_windows import freeze


@pytest.fixture
def frozen(cli, tmp_path_factory):
    freeze(cli.context, tmp_path_factory.mktemp("catalog"))
    return cli


def test_a_release_in_a_freeze_is_refused_and_told_what_to_do(frozen):
    said = frozen.run("release", "shop", "2.0")
    assert said.code == 75
    assert "freeze 'Year-end closing' of calendar holidays" in said.err
    assert "--start next-window" in said.err


def test_a_planned_release_says_when_it_begins(frozen):
    said = frozen.run("release", "shop", "2.0", "--start", "next-window")
    assert said.code == 0
    assert "waits for a change window and begins soon after 20" in said.out


def test_windows_are_listed_shown_and_asked_for(frozen):
    assert "Year-end closing" in frozen.run("windows", "list", "--service", "shop").out
    shown = frozen.run("windows", "show", "holidays")
    assert "s ago" in shown.out
    said = frozen.run("windows", "next", "shop")
    assert said.code == 75
    assert "the next opening is 20" in said.out
    said = frozen.run("windows", "next", "shop", "--environment", "production", "--json")
    assert json.loads(said.out)["open"] is False
    assert "unchanged" in frozen.run("windows", "refresh").out


def test_one_asks_for_a_bypass_another_approves_it_and_it_is_used_once(frozen, monkeypatch):
    ann, bob = (person_token(frozen.context, name, Grant(Role.RELEASE_MANAGER)) for name in ("ann", "bob"))
    monkeypatch.setenv("PRODUCTOPS_TOKEN", ann)
    asked = frozen.run("windows", "bypass", "request", "shop", "--reason", "customers cannot pay")
    bypass = asked.out.split()[1].rstrip(":")
    assert f"windows bypass approve {bypass}" in asked.out
    assert frozen.run("windows", "bypass", "approve", bypass).code == 77
    monkeypatch.setenv("PRODUCTOPS_TOKEN", bob)
    assert f"--bypass {bypass}" in frozen.run("windows", "bypass", "approve", bypass).out
    assert frozen.run("release", "shop", "2.0", "--bypass", bypass).code == 0
    table = frozen.run("windows", "bypass", "list").out
    assert "used" in table
    assert "bob" in table


def test_the_feed_is_an_address_with_a_key(frozen):
    assert "/calendars/apollo/production.ics?key=" in frozen.run("windows", "feed", "apollo").out


def test_without_calendars_a_release_may_start(cli):
    said = cli.run("windows", "next", "shop")
    assert said.code == 0
    assert "may start now" in said.out
    assert "declare them in the catalog" in cli.run("windows", "list").out
