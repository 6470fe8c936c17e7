"""People, grants and tokens on both databases: who may give what, what holds for how long, and what the audit keeps."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from productops.adapters.catalog_files import load_catalog
from productops.domain.governance_access import Grant, Operation, Principal, Role
from productops.domain.governance_access_tokens import PREFIX, public_id_of
from productops.domain.release import Environment
from productops.errors import CatalogError, ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Actor
from productops.usecases.governance_access import (
    Holder,
    explain,
    give,
    grants_of_groups,
    list_people,
    principal_of_person,
    set_disabled,
    take,
)
from productops.usecases.governance_access_runs import caller_of_run, role_granted
from productops.usecases.governance_access_tokens import (
    TokenWish,
    authenticate,
    create_token,
    list_tokens,
    note_used,
    revoke_token,
    rotate_token,
)
from tests.support import PRODUCTION, SOMEBODY

ADMIN = Grant(Role.ADMIN)
OWNER = Actor("owner", "api", Principal("owner", (ADMIN,), token_id="installation"))


def actor_of(context, name):
    with context.store.read() as unit:
        return Actor(name, "api", unit.principals.get(name).principal(context.clock.now()))


def audit_of(context, subject):
    with context.store.read() as unit:
        return [entry for entry in unit.audit.following(0) if entry.subject == subject]


def test_a_token_is_shown_once_and_stored_as_a_hash(any_context):
    give(any_context, Holder("ci", "service"), Grant(Role.DEVELOPER, "apollo"), actor=OWNER)
    made = create_token(any_context, TokenWish("CI of the shop", owner="ci"), actor=OWNER)
    assert made.secret.startswith(f"{PREFIX}{made.token.public_id}_")
    assert len(made.secret.rpartition("_")[2]) == 64  # 256 bits, hexadecimal
    principal = authenticate(any_context, made.secret)
    assert principal == Principal("ci", (Grant(Role.DEVELOPER, "apollo"),), kind="service", token_id=made.token.public_id)
    with any_context.store.read() as unit:
        stored = unit.tokens.find(made.token.public_id)
        everything = json.dumps([entry.content for entry in unit.audit.following(0)])
    assert stored.hash not in made.secret
    assert made.secret not in everything
    assert stored.hash not in everything
    assert timedelta(days=89) < made.token.expires_at - made.token.created_at <= timedelta(days=90)


@pytest.mark.parametrize(
    "wrong", ["", "po_", "x", "po_000000000000_" + "0" * 64, "installation", "po_zz_00", "po_000000000000_" + "0" * 63]
)
def test_what_is_no_token_of_ours_opens_nothing(context, wrong):
    assert authenticate(context, wrong) is None


def test_a_wrong_secret_with_a_right_id_opens_nothing(any_context):
    give(any_context, Holder("mia"), Grant(Role.VIEWER), actor=OWNER)
    made = create_token(any_context, TokenWish("t", owner="mia"), actor=OWNER)
    assert authenticate(any_context, made.secret[:-1] + ("0" if made.secret[-1] != "0" else "1")) is None


def test_a_token_does_no_more_than_it_was_narrowed_to(any_context):
    give(any_context, Holder("mia"), Grant(Role.RELEASE_MANAGER), actor=OWNER)
    wish = TokenWish("t", owner="mia", operations=frozenset({Operation.RELEASE_READ}), venture="apollo", environment="staging")
    principal = authenticate(any_context, create_token(any_context, wish, actor=OWNER).secret)
    assert principal.grants == (Grant(Role.RELEASE_MANAGER, "apollo", "staging"),)
    holder = Actor("mia", "api", principal)
    holder.check(Operation.RELEASE_READ, venture="apollo", environment=Environment.STAGING)
    with pytest.raises(ForbiddenError, match=r"this token of mia is not for release\.request"):
        holder.check(Operation.RELEASE_REQUEST, venture="apollo", environment=Environment.STAGING)
    with pytest.raises(ForbiddenError):
        holder.check(Operation.RELEASE_READ, venture="apollo", environment=PRODUCTION)
    with pytest.raises(ForbiddenError, match="may not make tokens"):
        create_token(any_context, TokenWish("another"), actor=holder)


def test_a_narrowed_token_makes_no_wider_one(any_context):
    give(any_context, Holder("mia"), Grant(Role.RELEASE_MANAGER), actor=OWNER)
    narrow = frozenset({Operation.TOKEN_OWN, Operation.RELEASE_READ})
    holder = Actor("mia", "api", authenticate(any_context, create_token(any_context, TokenWish("t", "mia", narrow), actor=OWNER).secret))
    with pytest.raises(ForbiddenError, match="more than they have"):
        create_token(any_context, TokenWish("all"), actor=holder)
    assert create_token(any_context, TokenWish("same", operations=narrow), actor=holder).token.operations == narrow


def test_rotation_overlaps_for_as_long_as_was_asked_and_no_longer(any_context):
    give(any_context, Holder("mia"), Grant(Role.VIEWER), actor=OWNER)
    first = create_token(any_context, TokenWish("t", owner="mia"), actor=OWNER)
    second = rotate_token(any_context, first.token.public_id, overlap=timedelta(hours=1), actor=OWNER)
    assert second.token.public_id == first.token.public_id
    assert authenticate(any_context, first.secret) == authenticate(any_context, second.secret) is not None
    third = rotate_token(any_context, first.token.public_id, overlap=timedelta(0), actor=OWNER)
    assert [authenticate(any_context, each.secret) is not None for each in (first, second, third)] == [False, False, True]
    assert [entry.action for entry in audit_of(any_context, f"token/{first.token.public_id}")] == [
        "token.created", "token.rotated", "token.rotated"
    ]  # fmt: skip


def test_a_revoked_an_expired_and_a_disabled_owners_token_open_nothing(any_context):
    give(any_context, Holder("mia"), Grant(Role.VIEWER), actor=OWNER)
    revoked, kept = (create_token(any_context, TokenWish(name, owner="mia"), actor=OWNER) for name in ("a", "b"))
    revoke_token(any_context, revoked.token.public_id, reason="lost", actor=OWNER)
    assert authenticate(any_context, revoked.secret) is None
    with pytest.raises(ConflictError, match="already"):
        revoke_token(any_context, revoked.token.public_id, reason="lost", actor=OWNER)
    assert authenticate(any_context, kept.secret) is not None
    set_disabled(any_context, "mia", disabled=True, reason="left", actor=OWNER)
    assert authenticate(any_context, kept.secret) is None
    set_disabled(any_context, "mia", disabled=False, actor=OWNER)
    assert authenticate(any_context, kept.secret) is not None
    with any_context.store.read() as unit:
        stored = unit.tokens.find(kept.token.public_id)
    assert not stored.admits(kept.secret, now=kept.token.expires_at)
    with pytest.raises(InvalidInputError, match="lives for"):
        create_token(any_context, TokenWish("for ever", owner="mia", life=timedelta(days=400)), actor=OWNER)


def test_the_last_use_is_noted_and_never_goes_back(any_context):
    give(any_context, Holder("mia"), Grant(Role.VIEWER), actor=OWNER)
    made = create_token(any_context, TokenWish("t", owner="mia"), actor=OWNER).token
    now = any_context.clock.now()
    note_used(any_context, {made.public_id: now})
    note_used(any_context, {made.public_id: now - timedelta(hours=1)})
    (listed,) = list_tokens(any_context, owner="mia", actor=OWNER)
    assert abs((listed.last_used_at - now).total_seconds()) < 0.001


def test_grants_are_given_and_taken_with_what_was_before_in_the_audit(any_context):
    grant = Grant(Role.RELEASE_MANAGER, "apollo", "production")
    give(any_context, Holder("mia"), grant, reason="on call", actor=OWNER)
    assert actor_of(any_context, "mia").principal.grants == (grant,)
    with pytest.raises(ConflictError, match="already"):
        give(any_context, Holder("mia"), grant, actor=OWNER)
    take(any_context, Holder("mia"), grant, reason="holidays", actor=OWNER)
    assert actor_of(any_context, "mia").principal.grants == ()
    given, taken = audit_of(any_context, "principal/mia")
    assert given.content["after"]["grant"] == taken.content["before"]["grant"] == "release-manager in venture apollo, production"
    with pytest.raises(NotFoundError):
        take(any_context, Holder("mia"), grant, actor=OWNER)
    with pytest.raises(NotFoundError, match="no venture"):
        give(any_context, Holder("mia"), Grant(Role.VIEWER, "nowhere"), actor=OWNER)


def test_an_expired_grant_holds_nothing(any_context):
    with any_context.store.write() as unit:
        now = any_context.clock.now()
        mia = unit.principals.add("mia", kind="person", subject=None, email="", declared_in=None, now=now)
        unit.principals.grant(ADMIN, person=mia, given_by="owner", expires_at=now + timedelta(hours=1), now=now)
        person = unit.principals.get("mia")
    assert person.principal(now).grants == (ADMIN,)
    assert person.principal(now + timedelta(hours=2)).grants == ()


def test_an_admin_of_one_venture_manages_that_one_only(any_context):
    give(any_context, Holder("ann"), Grant(Role.ADMIN, "apollo"), actor=OWNER)
    ann = actor_of(any_context, "ann")
    give(any_context, Holder("bob"), Grant(Role.DEVELOPER, "apollo"), actor=ann)
    for grant in (Grant(Role.VIEWER), ADMIN):
        with pytest.raises(ForbiddenError):
            give(any_context, Holder("bob"), grant, actor=ann)
    with pytest.raises(ForbiddenError):
        give(any_context, Holder("ann"), ADMIN, actor=actor_of(any_context, "bob"))
    assert [person.name for person in list_people(any_context, actor=ann)] == ["ann", "bob"]


def test_the_last_admin_cannot_remove_themselves(any_context):
    give(any_context, Holder("ann"), ADMIN, actor=OWNER)
    ann = actor_of(any_context, "ann")
    with pytest.raises(ConflictError, match="ann is the last admin"):
        take(any_context, Holder("ann"), ADMIN, actor=ann)
    with pytest.raises(ConflictError, match="ann is the last admin"):
        set_disabled(any_context, "ann", disabled=True, actor=ann)
    give(any_context, Holder("bob"), ADMIN, actor=ann)
    take(any_context, Holder("ann"), ADMIN, actor=ann)
    assert actor_of(any_context, "ann").principal.grants == ()


@pytest.mark.parametrize("name", ["owner", "Productops", "nobody", " ", "a\nb", "x" * 101])
def test_names_that_stand_for_something_else_are_refused(context, name):
    with pytest.raises(InvalidInputError):
        give(context, Holder(name), Grant(Role.VIEWER), actor=OWNER)


def test_groups_hold_grants_and_a_log_in_says_who_is_in_them(any_context):
    give(any_context, Holder("release-team", "group"), Grant(Role.RELEASE_MANAGER, "apollo"), actor=OWNER)
    mia = principal_of_person(any_context, subject="https://id 7", name="Mia Lee", email="mia@acme.example", groups=["release-team", "x"])
    assert (mia.name, mia.grants) == ("Mia Lee", (Grant(Role.RELEASE_MANAGER, "apollo"),))
    with any_context.store.read() as unit:
        assert grants_of_groups(unit, ["release-team"], now=any_context.clock.now()) == mia.grants
        assert grants_of_groups(unit, [], now=any_context.clock.now()) == ()
    token = create_token(any_context, TokenWish("t"), actor=Actor("Mia Lee", "api", mia))
    assert authenticate(any_context, token.secret).grants == mia.grants
    again = principal_of_person(any_context, subject="https://id 7", name="Somebody Else", email="", groups=[])
    assert (again.name, again.grants) == ("Mia Lee", ())
    assert authenticate(any_context, token.secret).grants == ()


def test_nobody_logs_in_under_the_name_of_somebody_else(any_context):
    give(any_context, Holder("Mia Lee"), ADMIN, actor=OWNER)
    other = principal_of_person(any_context, subject="https://id 8", name="mia  lee", email="other@acme.example", groups=[])
    assert (other.name, other.grants) == ("other@acme.example", ())
    owner = principal_of_person(any_context, subject="https://id 9", name="owner", email="", groups=[])
    assert owner.name == "https://id 9"
    set_disabled(any_context, "other@acme.example", disabled=True, reason="left", actor=OWNER)
    with pytest.raises(ForbiddenError, match="disabled"):
        principal_of_person(any_context, subject="https://id 8", name="mia", email="", groups=[])


def test_a_decision_is_explained_in_a_sentence(any_context):
    give(any_context, Holder("release-team", "group"), Grant(Role.RELEASE_MANAGER, "apollo"), actor=OWNER)
    principal_of_person(any_context, subject="s", name="mia", email="", groups=["release-team"])
    ask = {"venture": "apollo", "environment": PRODUCTION, "actor": OWNER}
    found = explain(any_context, "mia", Operation.RELEASE_REQUEST, **ask)
    why = "as release-manager in venture apollo by group release-team, given by owner"
    assert (found.allowed, found.sentence) == (True, f"yes: mia may do release.request in venture apollo, production {why}")
    found = explain(any_context, "mia", Operation.AUDIT_ERASE, **ask)
    assert found.sentence == "no: mia may not do audit.erase in venture apollo, production; it takes one of: admin"
    with pytest.raises(ForbiddenError):
        explain(any_context, "owner", Operation.AUDIT_ERASE, venture=None, environment=None, actor=actor_of(any_context, "mia"))


CATALOG = """\
apiVersion: productops/v1
kind: Venture
metadata: {name: apollo}
---
apiVersion: productops/v1
kind: Access
metadata: {name: people}
spec:
  people:
    - {name: mia, email: mia@acme.example, groups: [release-team], grants: [{role: viewer, venture: "*"}]}
    - {name: tom, grants: [{role: developer, venture: apollo, environment: staging}]}
  services:
    - {name: ci, grants: [{role: developer, venture: apollo}]}
  groups:
    release-team: [{role: release-manager, venture: apollo}]
"""


def applied(context, folder, text):
    (folder / "catalog.yaml").write_text(text)
    return {f"{c.kind}/{c.name}": c.outcome for c in apply_catalog(context, load_catalog(folder), actor=SOMEBODY)}


def test_access_is_declared_applied_and_never_drifts(any_context, tmp_path):
    give(any_context, Holder("mia"), Grant(Role.ADMIN, "apollo"), actor=OWNER)
    assert applied(any_context, tmp_path, CATALOG)["Access/people"] == "created"
    assert applied(any_context, tmp_path, CATALOG)["Access/people"] == "unchanged"
    mia = actor_of(any_context, "mia").principal
    assert set(mia.grants) == {Grant(Role.VIEWER), Grant(Role.RELEASE_MANAGER, "apollo")}  # what the API gave before is gone
    for act in (
        lambda: give(any_context, Holder("mia"), ADMIN, actor=OWNER),
        lambda: take(any_context, Holder("mia"), Grant(Role.VIEWER), actor=OWNER),
        lambda: give(any_context, Holder("release-team", "group"), Grant(Role.VIEWER), actor=OWNER),
        lambda: set_disabled(any_context, "tom", disabled=True, actor=OWNER),
    ):
        with pytest.raises(ConflictError, match="declared in the catalog"):
            act()


def test_who_is_no_longer_declared_is_shut_out(any_context, tmp_path):
    applied(any_context, tmp_path, CATALOG)
    token = create_token(any_context, TokenWish("t", owner="tom"), actor=OWNER)
    without = "\n".join(line for line in CATALOG.splitlines() if "name: tom" not in line)
    assert applied(any_context, tmp_path, without)["Access/people"] == "changed"
    assert authenticate(any_context, token.secret) is None
    only_venture = CATALOG.partition("---")[0]
    assert applied(any_context, tmp_path, only_venture)["Access/people"] == "removed"
    assert [p.name for p in list_people(any_context, actor=OWNER) if not p.disabled] == []
    changes = [entry.content for entry in audit_of(any_context, "Access/people")]
    assert [("before" in each, "after" in each) for each in changes] == [(False, True), (True, True), (True, False)]


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("role: viewer", "role: king", "role"),
        ("venture: apollo, environment: staging", "venture: apolo, environment: staging", "'apolo' is not declared; did you mean 'apollo'"),
        ("name: tom", "name: owner", "reserved"),
        ("name: tom", "name: mia", "named twice"),
        ("environment: staging", "environment: moon", "environment"),
    ],
)
def test_what_is_wrong_in_a_declaration_is_named_with_its_line(tmp_path, was, becomes, said):
    (tmp_path / "catalog.yaml").write_text(CATALOG.replace(was, becomes))
    with pytest.raises(CatalogError, match=r"catalog\.yaml:\d+: .*") as caught:
        load_catalog(tmp_path)
    assert said in str(caught.value)


def test_a_person_who_may_apply_a_ventures_catalog_cannot_declare_access(any_context, tmp_path):
    give(any_context, Holder("eve"), Grant(Role.RELEASE_MANAGER), actor=OWNER)
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    with pytest.raises(ForbiddenError, match=r"access\.manage"):
        apply_catalog(any_context, load_catalog(tmp_path), actor=actor_of(any_context, "eve"))


def test_a_flow_run_acts_as_whoever_created_it(any_context):
    give(any_context, Holder("mia"), Grant(Role.DEVELOPER, "apollo"), actor=OWNER)
    with any_context.store.write() as unit:
        unit.run_callers.put("run-1", "mia", now=any_context.clock.now())
    known = caller_of_run(any_context, "run-1", scheduled=False, prefect_role="")
    assert (known.name, known.principal.grants) == ("mia", (Grant(Role.DEVELOPER, "apollo"),))
    assert caller_of_run(any_context, "run-2", scheduled=True, prefect_role="").principal.kind == "machine"
    somebody = caller_of_run(any_context, "run-2", scheduled=False, prefect_role="developer:apollo:staging")
    assert (somebody.name, somebody.principal.grants) == ("somebody in Prefect", (Grant(Role.DEVELOPER, "apollo", "staging"),))
    with pytest.raises(ForbiddenError, match="nobody knows who started this run"):
        caller_of_run(any_context, "run-2", scheduled=False, prefect_role="")
    set_disabled(any_context, "mia", disabled=True, actor=OWNER)
    with pytest.raises(ForbiddenError, match="not let in any more"):
        caller_of_run(any_context, "run-1", scheduled=False, prefect_role="admin")


@pytest.mark.parametrize("wrong", ["king", "viewer:a:moon", "viewer:a:staging:b"])
def test_a_role_in_prefect_that_there_is_not_is_a_wrong_setting(wrong):
    from productops.errors import SettingsError

    with pytest.raises(SettingsError, match="PRODUCTOPS_PREFECT_ROLE"):
        role_granted(wrong)


def test_the_public_part_of_a_token_is_found_without_the_store():
    assert public_id_of("po_0123456789ab_" + "f" * 64) == "0123456789ab"
    assert public_id_of("po_0123456789ab_" + "F" * 64) is None
