"""Approvals without a store: who may take which place, when hours are open, which policies touch what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.adapters.catalog_files import load_catalog
from productops.domain.catalog_approvals import Action, ApprovalPolicySpec, Attribute, Hours, RiskLevel, Weekday
from productops.domain.governance_access import Role, Scope
from productops.domain.governance_approvals import (
    ApprovalRequest,
    ApprovalState,
    Need,
    Signature,
    assigned,
    complete,
    count_roles,
    hash_of,
    matching,
    missing,
    slots_of,
    still_missing,
)
from productops.domain.governance_approvals_hours import next_within, within
from productops.domain.governance_approvals_policy import ApprovalPolicy, Facts, impossible, needs_of, tightened, touches
from productops.domain.governance_approvals_risk import RiskFacts, RiskRule
from productops.domain.release import Environment
from productops.errors import CatalogError
from tests.integration.approvals_lab import VENTURE, policy

NOW = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)  # a Wednesday
RM, DIRECTOR = Role.RELEASE_MANAGER, Role.DIRECTOR
WEEK = timedelta(days=7)


def need(role: Role, count: int = 1, *, name: str = "p", valid_s: int = 86_400, hours: Hours | None = None) -> Need:
    return Need(name, 1, role, count, valid_s, hours)


def request(*needs: Need, signatures: tuple[Signature, ...] = ()) -> ApprovalRequest:
    content = {"version": "2.0"}
    return ApprovalRequest(
        "id", "release/x", Action.RELEASE, "release x", "apollo", Environment.PRODUCTION, "dev", "", content, hash_of(content), (), needs,
        ApprovalState.WAITING, NOW - WEEK, NOW + WEEK, signatures=signatures,
    )  # fmt: skip


def signed(person: str, *roles: Role, at: datetime = NOW, content: dict[str, str] | None = None) -> Signature:
    return Signature(person, person, frozenset(roles), hash_of(content or {"version": "2.0"}), "", "api", at)


def test_two_release_managers_and_a_director_are_three_people():
    asked = request(need(RM, 2), need(DIRECTOR))
    both = signed("both", RM, DIRECTOR)
    assert not complete(ask(asked, both, signed("ann", RM)), now=NOW)
    assert complete(ask(asked, both, signed("ann", RM), signed("bob", RM)), now=NOW)
    assert complete(ask(asked, both, signed("ann", RM), signed("dora", DIRECTOR)), now=NOW)


def ask(asked: ApprovalRequest, *signatures: Signature) -> ApprovalRequest:
    return request(*asked.needs, signatures=signatures)


def test_one_person_who_signs_twice_or_asked_for_it_counts_once_or_not_at_all():
    asked = ask(request(need(RM, 2)), signed("ann", RM), signed(" Ann", RM), signed("dev", RM))
    assert [slot.role for slot in missing(asked, now=NOW)] == [RM]
    assert still_missing(asked, now=NOW).startswith("waits for 1 release-manager in venture apollo, production, not dev; signed by")


def test_a_signature_for_another_content_or_too_old_does_not_count():
    old = signed("ann", RM, at=NOW - timedelta(hours=25))
    other = signed("bob", RM, content={"version": "1.9"})
    assert not assigned(ask(request(need(RM)), old, other), now=NOW)


@given(st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=6))
def test_a_matching_is_as_large_as_can_be_and_gives_nobody_two_places(edges):
    def largest(left: int, taken: frozenset[int]) -> int:
        if left == len(edges):
            return 0
        return max([largest(left + 1, taken), *(1 + largest(left + 1, taken | {r}) for r in edges[left] if r not in taken)])

    found = matching(edges)
    assert len(set(found.values())) == len(found) == largest(0, frozenset())
    assert all(right in edges[left] for left, right in found.items())


ROLES = st.sampled_from([RM, DIRECTOR, Role.DEVELOPER])
NEEDS = st.lists(st.builds(need, ROLES, st.integers(1, 3), valid_s=st.sampled_from([3600, 86_400])), min_size=1, max_size=4)


@given(NEEDS, NEEDS)
def test_what_an_open_request_needs_never_becomes_less(frozen, present):
    after = tightened(frozen, present)
    assert after[: len(frozen)] == tuple(frozen)
    for role in Role:
        least = max([n.count for n in (*frozen, *present) if n.role is role], default=0)
        assert sum(slot.role is role for slot in slots_of(after)) == least
        strictest = min([n.valid_s for n in (*frozen, *present) if n.role is role], default=0)
        assert min([slot.valid_s for slot in slots_of(after) if slot.role is role], default=0) == strictest


def test_the_union_of_policies_takes_the_larger_count_not_the_sum():
    assert [slot.role for slot in slots_of([need(RM, 1, name="a"), need(RM, 2, name="b"), need(DIRECTOR, name="c")])] == [RM, RM, DIRECTOR]


def test_hours_follow_the_clock_of_their_zone_also_when_it_changes():
    hours = Hours(timezone="Europe/Berlin", start="09:00", end="17:00")
    assert within(hours, datetime(2026, 3, 27, 8, 30, tzinfo=UTC))  # 09:30 in winter
    assert not within(hours, datetime(2026, 3, 30, 15, 30, tzinfo=UTC))  # 17:30 in summer
    friday_night = datetime(2026, 3, 27, 22, 0, tzinfo=UTC)
    assert next_within(hours, friday_night) == datetime(2026, 3, 30, 7, 0, tzinfo=UTC)


@given(st.datetimes(NOW.replace(tzinfo=None), NOW.replace(tzinfo=None, year=2028), timezones=st.just(UTC)), st.sampled_from(list(Weekday)))
def test_the_next_opening_lies_within_and_ahead(at, day):
    hours = Hours(timezone="America/New_York", weekdays=(day,), start="09:00", end="17:00")
    opens = next_within(hours, at)
    assert opens >= at
    assert within(hours, opens)
    assert opens - at <= timedelta(days=8)


def spec(**values: object) -> ApprovalPolicySpec:
    return ApprovalPolicySpec.model_validate({"actions": ["release"], "signatures": [{"role": "release-manager"}]} | values)


def stored(name: str = "p", venture: str | None = None, **values: object) -> ApprovalPolicy:
    return ApprovalPolicy(name, venture, spec(**values), "/", 1)


def test_a_policy_is_about_what_its_whole_scope_fits():
    facts = Facts(Action.RELEASE, "apollo", Environment.PRODUCTION, "shop", risk=RiskLevel.HIGH, attributes=frozenset({Attribute.BYPASS}))
    fits = [
        stored(), stored(venture="apollo"), stored(scope={"services": ["shop"], "risk": ["high"]}),
        stored(scope={"attributes": ["bypass", "force-downgrade"]}),
    ]  # fmt: skip
    not_ = [
        stored(actions=["flag"]), stored(venture="gemini"), stored(scope={"environments": ["staging"]}),
        stored(scope={"services": ["shop"], "risk": ["low"]}), stored(scope={"attributes": ["force-downgrade"]}),
        stored(scope={"flags": ["checkout"]}),
    ]  # fmt: skip
    assert [touches(p, facts) for p in fits] == [True] * len(fits)
    assert [touches(p, facts) for p in not_] == [False] * len(not_)
    assert needs_of(not_, [facts], now=NOW) == ((), None)
    assert Facts.from_dict(facts.to_dict()) == facts


def test_outside_its_hours_a_policy_may_ask_for_more():
    more = stored(hours={"weekdays": ["wed"], "outside": "more", "more": [{"role": "release-manager"}, {"role": "director"}]})
    inside, _ = needs_of([more], [Facts(Action.RELEASE)], now=NOW)
    outside, _ = needs_of([more], [Facts(Action.RELEASE)], now=NOW + timedelta(hours=12))
    assert [(n.role, n.count) for n in inside] == [(RM, 1)]
    assert [(n.role, n.count) for n in outside] == [(RM, 2), (DIRECTOR, 1)]


def test_with_nobody_to_sign_the_arithmetic_says_so():
    problem = impossible(stored(signatures=[{"role": "director", "count": 2}]), [], [Scope("apollo", Environment.PRODUCTION)])
    assert problem == (
        "policy p needs 2 directors, which are 2 different people; in venture apollo, production there are director: 0 (nobody); "
        "that gives 0 of 2 signatures: nothing could ever be signed. Grant the roles to more people first"
    )


def test_counts_of_roles_read_well():
    assert count_roles([RM]) == "1 release-manager"
    assert count_roles([RM, DIRECTOR, RM, Role.ADMIN]) == "2 release-managers, 1 director and 1 admin"


def test_the_rule_of_risk_adds_up_and_gives_its_reasons():
    rule = RiskRule()
    assert rule.rate(RiskFacts("release", Environment.STAGING, NOW, size_lines=3)).level is RiskLevel.LOW
    usual = rule.rate(RiskFacts("release", Environment.PRODUCTION, NOW))
    assert (usual.level, usual.reasons) == (RiskLevel.MEDIUM, ("it is production", "nobody knows how much it changes"))
    assert rule.rate(RiskFacts("release", Environment.PRODUCTION, NOW, downgrade=True)).level is RiskLevel.HIGH
    night = rule.rate(RiskFacts("release", Environment.PRODUCTION, NOW + timedelta(hours=12), has_baseline=False))
    assert "it is outside business hours" in night.reasons
    assert night.level is RiskLevel.HIGH


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (policy(actions="[relase]"), "spec.actions[0]: must be release or train"),
        (policy(signatures="[]"), "spec.signatures: "),
        (policy(signatures="[{role: boss}]"), "spec.signatures[0].role: must be viewer or"),
        (policy(signatures="[{role: director}, {role: director}]"), "a role is listed twice; write it once with its count"),
        (policy(more=", hours: {timezone: Mars}"), "is no time zone that is known here"),
        (policy(more=", hours: {start: '18:00', end: '08:00'}"), "start must be before end"),
        (policy(more=", hours: {outside: more}"), "write `more` (a list of signatures)"),
        (policy(more=", signature_valid_s: 5"), "spec.signature_valid_s: "),
        (policy(scope="{environment: [production]}"), "spec.scope.environment: unknown field; did you mean 'environments'?"),
    ],
)
def test_a_wrong_policy_is_refused_with_file_line_and_reason(tmp_path, entry, said):
    (tmp_path / "catalog.yaml").write_text(VENTURE + entry)
    with pytest.raises(CatalogError) as caught:
        load_catalog(tmp_path)
    assert said in str(caught.value)
    assert "catalog.yaml:" in str(caught.value)
