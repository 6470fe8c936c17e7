"""Releases that wait for signatures, on real databases."""

from datetime import timedelta

import pytest

from productops.domain.catalog_approvals import Action
from productops.domain.governance_access import Role
from productops.domain.governance_approvals import ApprovalState, still_missing
from productops.domain.release import Cause, Phase
from productops.errors import ApprovalNeededError, ConflictError, ForbiddenError, InvalidInputError, NotFoundError, SelfApprovalError
from productops.store.governance_approvals import ApprovalFilter
from productops.usecases.governance_approvals import expire_due, find_approval, list_approvals, read_approval, refuse, sign
from productops.usecases.governance_approvals_override import close_review, list_reviews, override
from productops.usecases.release_reconcile import start_unstarted
from productops.usecases.release_request import place_release, request_release, start_release
from productops.usecases.release_resume import claim_release
from productops.usecases.release_rollback import roll_back
from tests.integration.approvals_lab import (
    ANN,
    BOB,
    CARL,
    DEV,
    DORA,
    EMIL,
    apply,
    as_machine,
    audited,
    make_house,
    person,
    policy,
    wish,
)
from tests.support import SOMEBODY, service_spec

TWO_AND_ONE = "[{role: release-manager, count: 2}, {role: director}]"


@pytest.fixture
def house(context):
    return make_house(context)


@pytest.fixture
def guarded(house, tmp_path):
    """Production takes two release managers and a director."""
    assert apply(house, tmp_path / "catalog", policy(signatures=TWO_AND_ONE))["production"] == "created"
    return house


@pytest.fixture
def guarded_on_both(any_context, tmp_path):
    """The same on each kind of database."""
    made = make_house(any_context)
    apply(made, tmp_path / "catalog", policy(signatures=TWO_AND_ONE))
    return made


def asked(context, actor=DEV, **more):
    release = request_release(context, wish(**more), actor=actor)
    return release, find_approval(context, release.id, actor=DORA)


def test_a_release_waits_for_every_signature_and_the_last_one_starts_it(guarded_on_both):
    release, request = asked(guarded_on_both)
    assert release.plan["approval"]["id"] == request.id
    assert "2 release-managers and 1 director in venture apollo, production, not dev" in release.plan["approval"]["waits_for"]
    assert request.policies == ("production@1",)
    assert start_release(guarded_on_both, release) is None
    guarded_on_both.clock.ahead = timedelta(seconds=30)
    assert start_unstarted(guarded_on_both) == []
    sign(guarded_on_both, request.id, actor=ANN)
    sign(guarded_on_both, request.id, actor=DORA)
    assert not guarded_on_both.orchestrator.releases
    done = sign(guarded_on_both, request.id, actor=BOB, note="looks good")
    assert (done.state, done.decided_by) == (ApprovalState.APPROVED, "ann, bob, dora")
    assert list(guarded_on_both.orchestrator.releases) == [release.id]
    assert claim_release(guarded_on_both, release.id, "run").flow_run_id == "run"
    with guarded_on_both.store.read() as unit:
        assert {"approval_requested", "approved"} <= {e.type for e in unit.releases.events(release.id, after=0)}
    assert {"approval.requested", "approval.signed", "approval.approved"} <= set(audited(guarded_on_both))


def test_nobody_signs_for_themselves_twice_or_without_the_role(guarded):
    release, request = asked(guarded, actor=ANN)
    with pytest.raises(SelfApprovalError, match="ann asked for it"):
        sign(guarded, request.id, actor=ANN)
    with pytest.raises(SelfApprovalError):
        sign(guarded, request.id, actor=person(" ANN", *ANN.principal.roles(request.scope)))
    with pytest.raises(ForbiddenError, match="may not do approval.sign"):
        sign(guarded, request.id, actor=DEV)
    with pytest.raises(ForbiddenError, match="would not count: it needs 2 release-managers and 1 director, and they hold admin"):
        sign(guarded, request.id, actor=person("root", Role.ADMIN))
    with pytest.raises(ForbiddenError, match="only people sign"):
        sign(guarded, request.id, actor=person("ci", Role.RELEASE_MANAGER, kind="service"))
    with pytest.raises(ForbiddenError, match="only people sign"):
        sign(guarded, request.id, actor=as_machine("somebody"))
    sign(guarded, request.id, actor=BOB)
    again = sign(guarded, request.id, actor=BOB)
    assert len(again.signatures) == 1
    assert start_release(guarded, release) is None


def test_who_holds_two_roles_is_one_person_still(guarded):
    both = person("both", Role.RELEASE_MANAGER, Role.DIRECTOR)
    _, request = asked(guarded)
    sign(guarded, request.id, actor=both)
    assert sign(guarded, request.id, actor=ANN).waiting
    # Two release managers signed, one of them a director, too: the third person decides whom the places go to.
    assert sign(guarded, request.id, actor=BOB).granted


def test_a_forged_run_cannot_skip_the_signatures(guarded):
    release, request = asked(guarded)
    with pytest.raises(ApprovalNeededError, match="productops approve") as caught:
        claim_release(guarded, release.id, "forged")
    assert caught.value.extra["approval_id"] == request.id
    with guarded.store.read() as unit:
        assert unit.releases.get(release.id).flow_run_id is None


def test_a_veto_ends_the_release_and_says_who_and_why(guarded):
    release, request = asked(guarded)
    sign(guarded, request.id, actor=ANN)
    with pytest.raises(InvalidInputError, match="say why"):
        refuse(guarded, request.id, reason=" ", actor=BOB)
    assert refuse(guarded, request.id, reason="the database is being moved", actor=BOB).state is ApprovalState.REFUSED
    with guarded.store.read() as unit:
        ended = unit.releases.get(release.id)
    assert (ended.phase, ended.cause) == (Phase.FAILED, Cause.APPROVAL)
    assert ended.reason == "approval refused by bob: the database is being moved"
    with pytest.raises(ConflictError, match="is refused already by bob"):
        sign(guarded, request.id, actor=CARL)
    assert request_release(guarded, wish(), actor=DEV).phase is Phase.REQUESTED


def test_the_one_who_asked_withdraws_by_refusing(guarded):
    release, request = asked(guarded)
    assert refuse(guarded, request.id, reason="wrong version", actor=DEV).state is ApprovalState.WITHDRAWN
    with guarded.store.read() as unit:
        assert unit.releases.get(release.id).phase is Phase.FAILED


def test_an_unsigned_request_expires_and_the_release_fails(guarded):
    release, request = asked(guarded)
    guarded.clock.ahead = timedelta(days=3, minutes=1)
    with pytest.raises(ConflictError, match="expired"):
        sign(guarded, request.id, actor=ANN)
    with guarded.store.read() as unit:
        assert unit.releases.get(release.id).cause is Cause.APPROVAL
    _, second = asked(guarded)
    guarded.clock.ahead = timedelta(days=7)
    assert expire_due(guarded, actor=SOMEBODY) == [second.id]
    assert "lacking 2 release-managers and 1 director" in read_approval(guarded, second.id, actor=DORA).request.outcome


def test_a_signature_that_waits_too_long_lapses(guarded):
    _, request = asked(guarded)
    sign(guarded, request.id, actor=ANN)
    guarded.clock.ahead = timedelta(hours=25)
    sign(guarded, request.id, actor=BOB)
    assert sign(guarded, request.id, actor=DORA).waiting
    assert sign(guarded, request.id, actor=ANN).granted


def test_what_was_signed_is_not_what_the_service_is_now_so_signatures_lapse(guarded_on_both):
    release, request = asked(guarded_on_both)
    shown = request.content_hash
    sign(guarded_on_both, request.id, actor=ANN, content_hash=shown)
    with guarded_on_both.store.write() as unit:
        changed = service_spec(validate_s=1.5)
        unit.catalog.put_service("shop", venture="apollo", spec=changed, base="/nowhere", author="x", now=guarded_on_both.clock.now())
    with pytest.raises(ConflictError, match="changed since it was shown to you"):
        sign(guarded_on_both, request.id, actor=BOB, content_hash=shown)
    sign(guarded_on_both, request.id, actor=BOB)
    assert sign(guarded_on_both, request.id, actor=DORA).waiting
    assert sign(guarded_on_both, request.id, actor=ANN).granted
    assert "approval.lapsed" in audited(guarded_on_both)
    with guarded_on_both.store.write() as unit:
        unit.catalog.put_service(
            "shop", venture="apollo", spec=service_spec(), base="/nowhere", author="x", now=guarded_on_both.clock.now()
        )
    with pytest.raises(ApprovalNeededError):  # it was approved and changed before it began
        claim_release(guarded_on_both, release.id, "run")
    assert find_approval(guarded_on_both, request.id, actor=DORA).waiting


def test_a_policy_that_becomes_stricter_holds_for_what_waits_and_a_laxer_one_does_not(guarded, tmp_path):
    _, request = asked(guarded)
    assert apply(guarded, tmp_path / "catalog", policy(signatures="[{role: director, count: 2}]"))["production"] == "changed"
    stricter = find_approval(guarded, request.id, actor=DORA)
    assert stricter.policies == ("production@1", "production@2")
    for signer in (ANN, BOB, DORA):
        assert sign(guarded, request.id, actor=signer).waiting
    assert sign(guarded, request.id, actor=EMIL).granted
    assert "approval.tightened" in audited(guarded)


def test_a_policy_that_came_after_the_request_holds_before_the_start(house, tmp_path):
    release = request_release(house, wish(), actor=DEV)
    apply(house, tmp_path / "catalog", policy())
    assert start_release(house, release) is None
    request = find_approval(house, release.id, actor=DORA)
    assert sign(house, request.id, actor=ANN).granted
    assert list(house.orchestrator.releases) == [release.id]


def test_several_policies_need_the_union_of_what_they_ask_for(house, tmp_path):
    apply(
        house, tmp_path / "catalog", policy("one", signatures="[{role: release-manager}]"),
        policy("two", scope="{}", signatures="[{role: release-manager, count: 2}]"),
        policy("three", scope="{attributes: [force-downgrade]}", signatures="[{role: director}]"),
    )  # fmt: skip
    _, request = asked(house, version="2.0")
    sign(house, request.id, actor=ANN)
    assert sign(house, request.id, actor=BOB).granted
    with house.store.write() as unit:
        unit.releases.move(request.subject.partition("/")[2], Phase.FAILED, actor="x", reason="x", now=house.clock.now())
    _, downgrade = asked(house, actor=CARL, version="0.9", force_downgrade=True)
    assert {n.policy for n in downgrade.needs} == {"one", "two", "three"}
    assert "waits for 2 release-managers and 1 director" in still_missing(downgrade, now=house.clock.now())


def test_where_no_policy_is_about_it_a_release_starts_as_ever(house, tmp_path):
    apply(house, tmp_path / "catalog", policy(scope="{environments: [staging]}"))
    placed = place_release(house, wish(), actor=DEV)
    assert "approval" not in placed.release.plan
    assert start_release(house, placed.release)


def test_a_roll_back_waits_for_nobody_and_sets_a_waiting_release_aside(guarded):
    release, request = asked(guarded)
    assert roll_back(guarded, release.id, reason="not now", actor=DEV).phase is Phase.FAILED
    assert find_approval(guarded, request.id, actor=DORA).state in {ApprovalState.WAITING, ApprovalState.WITHDRAWN}
    expire_due(guarded, actor=SOMEBODY)
    assert find_approval(guarded, request.id, actor=DORA).state is ApprovalState.WITHDRAWN


def test_an_override_starts_it_at_once_and_somebody_else_has_to_look_at_it(guarded_on_both):
    release, request = asked(guarded_on_both, actor=DORA)
    with pytest.raises(ForbiddenError):
        override(guarded_on_both, request.id, reason="customers cannot pay", actor=ANN)
    with pytest.raises(InvalidInputError, match="at least 10 characters"):
        override(guarded_on_both, request.id, reason="urgent", actor=DORA)
    assert override(guarded_on_both, request.id, reason="customers cannot pay", actor=DORA).state is ApprovalState.OVERRIDDEN
    assert list(guarded_on_both.orchestrator.releases) == [release.id]
    assert claim_release(guarded_on_both, release.id, "run").phase is Phase.REQUESTED
    with guarded_on_both.store.read() as unit:
        assert "approval_overridden" in {e.type for e in unit.releases.events(release.id, after=0)}
    (review,), _ = list_reviews(guarded_on_both, actor=EMIL)
    assert (review.overridden_by, review.overdue(guarded_on_both.clock.now())) == ("dora", False)
    with pytest.raises(SelfApprovalError, match="somebody else has to look at it"):
        close_review(guarded_on_both, review.id, note="fine", actor=DORA)
    guarded_on_both.clock.ahead = timedelta(hours=73)
    assert list_reviews(guarded_on_both, actor=EMIL)[0][0].overdue(guarded_on_both.clock.now())
    assert close_review(guarded_on_both, review.id, note="it was right", actor=EMIL).closed_by == "emil"
    with pytest.raises(ConflictError, match="closed by emil"):
        close_review(guarded_on_both, review.id, note="again", actor=EMIL)
    assert list_reviews(guarded_on_both, actor=EMIL)[0] == []
    assert {"approval.overridden", "approval.override_reviewed"} <= set(audited(guarded_on_both))


def test_an_override_may_itself_need_a_signature(guarded, tmp_path):
    more = policy("overrides", actions="[override]", scope="{}", signatures="[{role: director}]")
    apply(guarded, tmp_path / "catalog", policy(signatures=TWO_AND_ONE), more)
    release, request = asked(guarded)
    second = override(guarded, request.id, reason="customers cannot pay", actor=DORA)
    assert (second.action, second.waiting) == (Action.OVERRIDE, True)
    assert not guarded.orchestrator.releases
    with pytest.raises(SelfApprovalError):
        sign(guarded, second.id, actor=DORA)
    assert sign(guarded, second.id, actor=EMIL).granted
    assert find_approval(guarded, request.id, actor=DORA).state is ApprovalState.OVERRIDDEN
    guarded.clock.ahead = timedelta(seconds=11)
    start_unstarted(guarded)
    assert list(guarded.orchestrator.releases) == [release.id]


def test_lists_show_what_waits_for_me_and_only_what_i_may_see(guarded_on_both):
    _, request = asked(guarded_on_both)
    mine, _ = list_approvals(guarded_on_both, ApprovalFilter(), actor=ANN, mine=True)
    assert [r.id for r in mine] == [request.id]
    sign(guarded_on_both, request.id, actor=ANN)
    assert list_approvals(guarded_on_both, ApprovalFilter(), actor=ANN, mine=True)[0] == []
    assert list_approvals(guarded_on_both, ApprovalFilter(), actor=DEV, mine=True)[0] == []
    stranger = person("eve", Role.DIRECTOR, venture="gemini")
    assert list_approvals(guarded_on_both, ApprovalFilter(), actor=stranger)[0] == []
    with pytest.raises(NotFoundError):
        read_approval(guarded_on_both, request.id, actor=stranger)
    with pytest.raises(ForbiddenError):
        sign(guarded_on_both, request.id, actor=stranger)
