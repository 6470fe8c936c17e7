"""The commands of approvals and changes."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from productops.domain.governance_access import Grant, Role
from tests.integration.approvals_lab import apply, policy
from tests.integration.test_api.support import person_token

PEOPLE = {
    "dev": Role.DEVELOPER, "ann": Role.RELEASE_MANAGER, "bob": Role.RELEASE_MANAGER, "dora": Role.DIRECTOR, "emil": Role.DIRECTOR,
}  # fmt: skip


@pytest.fixture
def act(cli, tmp_path_factory):
    """Run a command as somebody; production takes a release manager and a director."""
    tokens = {name: person_token(cli.context, name, Grant(role)) for name, role in PEOPLE.items()}
    apply(cli.context, tmp_path_factory.mktemp("catalog"), policy(signatures="[{role: release-manager}, {role: director}]"))

    def run(person, *arguments):
        return cli.run(*arguments, env={"PRODUCTOPS_TOKEN": tokens[person]})

    return run


def test_a_release_says_what_it_waits_for_and_is_signed_from_the_terminal(cli, act):
    asked = act("dev", "release", "shop", "2.0", "--note", "the summer prices")
    assert asked.code == 0
    assert "it waits for 1 release-manager and 1 director in venture apollo, production, not dev" in asked.out
    release_id = re.search(r"productops approve (\S+)", asked.out).group(1)
    listed = act("ann", "approvals", "list", "--mine")
    assert "1 release-manager, 1 director" in listed.out
    assert act("dev", "approvals", "list", "--mine").out == "nothing waits for signatures\n"
    refused = act("dev", "approve", release_id)
    assert (refused.code, "approval.sign" in refused.err) == (77, True)
    signed = act("ann", "approve", "shop", "--note", "read it")
    assert "version: 2.0" in signed.out
    assert "waits for 1 director" in signed.out
    assert "signed by ann (release-manager)" in act("bob", "approvals", "show", release_id).out
    assert act("dora", "approve", release_id).out.rstrip().endswith(": approved")
    assert list(cli.orchestrator.releases) == [release_id]
    assert act("bob", "approve", release_id).code == 75
    change = json.loads(act("ann", "changes", "list", "--kind", "release", "--json").out)["items"][0]
    page = act("ann", "changes", "show", change["id"]).out
    assert "approval approved under production@1: ann (release-manager)" in page
    assert "roll back: users get 1.0 again" in page
    assert "ann, dora" in act("ann", "changes", "list").out


def test_a_refusal_and_an_override_with_its_review(act):
    first = re.search(r"productops approve (\S+)", act("dev", "release", "shop", "2.0").out).group(1)
    assert act("bob", "refuse", first, "--reason", "not today").out.rstrip().endswith(": refused")
    second = re.search(r"productops approve (\S+)", act("dev", "release", "shop", "2.0").out).group(1)
    assert act("dora", "override", second, "--reason", "quick").code == 64
    assert act("dora", "override", second, "--reason", "customers cannot pay").out.rstrip().endswith(": overridden")
    table = act("emil", "approvals", "reviews")
    assert (table.code, "customers cannot pay" in table.out) == (0, True)
    review = json.loads(act("emil", "approvals", "reviews", "--json").out)["items"][0]["id"]
    assert act("dora", "approvals", "close", review, "--note", "fine").code == 77
    assert "is closed by emil" in act("emil", "approvals", "close", review, "--note", "the payment provider was down").out
    assert act("emil", "approvals", "reviews").out == "no override waits for a review\n"


def test_changes_are_written_to_a_file(act, tmp_path):
    act("dev", "release", "shop", "2.0")
    file = tmp_path / "changes.csv"
    assert act("ann", "changes", "export", "--out", str(file)).code == 0
    assert {row["kind"] for row in csv.DictReader(io.StringIO(file.read_text()))} == {"release", "catalog"}
    lines = act("ann", "changes", "export", "--form", "ndjson").out.splitlines()
    assert len([json.loads(line) for line in lines]) == 2
    assert act("ann", "changes", "export", "--out", str(tmp_path / "no" / "where.csv")).code == 64


def test_a_link_is_printed_for_oneself(act):
    release = re.search(r"productops approve (\S+)", act("dev", "release", "shop", "2.0").out).group(1)
    assert re.fullmatch(
        r"http://127\.0\.0\.1:\d+/approvals/link/[0-9a-f-]{36}\?token=\S{43}\n", act("ann", "approvals", "link", release).out
    )


def test_apply_stores_a_proposal_and_says_who_has_to_sign(cli, act, tmp_path):
    guard = policy("guard", actions="[policy]", scope="{}", signatures="[{role: director}]")
    folder = tmp_path / "catalog"
    apply(cli.context, folder, policy(), guard)
    (folder / "catalog.yaml").write_text((folder / "catalog.yaml").read_text().replace("production]", "staging]"))
    said = cli.run("apply", str(folder))
    assert said.code == 0, said.err
    assert "ApprovalPolicy production: waits for 1 director in all ventures" in said.out
    waiting = json.loads(act("dora", "approvals", "list", "--json").out)["items"][0]
    assert act("dora", "approve", waiting["id"]).out.rstrip().endswith("change ApprovalPolicy production: approved")
