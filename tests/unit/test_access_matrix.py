"""The whole matrix: every role, every operation, every scope, against a table that is written here once more."""

from __future__ import annotations

import itertools

import pytest

from productops.domain.governance_access import (
    ALLOWED,
    MACHINE,
    NOBODY,
    Grant,
    Operation,
    Principal,
    Role,
    Scope,
    decide,
    decide_somewhere,
    exceeds,
    may_see,
    narrowed,
    strongest,
    visible_places,
    visible_ventures,
)
from productops.domain.release import Environment

VENTURES = (None, "apollo", "gemini")
ENVIRONMENTS = (None, *Environment)
GRANTED_VENTURES = ("*", "apollo")
GRANTED_ENVIRONMENTS = ("*", "production")

LETTERS = dict(zip(Role, "vdriea", strict=True))
# Who may: v viewer, d developer, r release manager, i incident commander, e director, a admin.
MAY = {
    "catalog.read": "vdriea", "catalog.apply": "rea", "release.read": "vdriea", "release.request": "drea",
    "release.force": "rea", "release.pause": "driea", "release.roll-back": "riea", "flag.read": "vdriea",
    "flag.evaluate": "vdriea", "flag.change": "drea", "flag.kill": "riea", "window.read": "vdriea", "window.bypass": "riea",
    "incident.read": "vdriea", "incident.report": "driea", "incident.resolve": "iea", "metric.read": "vdriea",
    "metric.write": "driea", "router.restart": "riea", "approval.read": "vdriea", "approval.sign": "riea",
    "approval.override": "ea", "change.read": "vdriea", "audit.read": "riea", "audit.anchor": "ea", "audit.erase": "a",
    "bundle.read": "driea", "compliance.read": "vdriea", "compliance.check": "rea", "compliance.waive": "ea",
    "webhook.read": "rea", "webhook.send": "drea", "webhook.retry": "rea", "webhook.manage": "a",
    "token.own": "vdriea", "access.read": "ea",
    "quality.read": "vdriea", "quality.validate": "drea", "quality.waive": "rea", "quality.sign-off": "rea",
    "quality.quarantine": "rea", "quality.improve": "rea",
    "development.read": "vdriea", "development.sync": "drea", "development.plan": "drea",
    "development.overrule": "riea",
    "analytics.read": "vdriea", "analytics.write": "drea", "analytics.erase": "a",
    "experiment.change": "drea", "insight.decide": "drea", "performance.optimize": "driea", "report.send": "rea", "capacity.scale": "riea",
    "alert.set": "driea", "alert.silence": "riea", "incident.respond": "riea", "incident.drill": "riea", "oncall.change": "iea",
    "status.publish": "iea", "log.read": "driea", "telemetry.write": "driea", "security.read": "iea", "security.respond": "iea",
    "access.manage": "a", "prefect.read": "vdriea", "prefect.manage": "a",
}  # fmt: skip


def may(role: Role, operation: Operation) -> bool:
    return LETTERS[role] in MAY[operation.value]


CELLS = list(itertools.product(Role, Operation, GRANTED_VENTURES, GRANTED_ENVIRONMENTS, VENTURES, ENVIRONMENTS))


def test_the_table_names_every_operation_and_no_other():
    assert set(MAY) == {operation.value for operation in Operation}


def test_every_role_may_do_exactly_what_the_table_says():
    wrong = [(role, operation) for role in Role for operation in Operation if may(role, operation) != (operation in ALLOWED[role])]
    assert wrong == []


def test_every_cell_of_role_operation_and_scope_is_decided_by_the_table_and_the_place():
    assert len(CELLS) == len(Role) * len(Operation) * 4 * 12
    for role, operation, venture, environment, asked_venture, asked_environment in CELLS:
        principal = Principal("mia", (Grant(role, venture, environment),))
        place_fits = venture in {"*", asked_venture} and environment in {"*", asked_environment and asked_environment.value}
        decision = decide(principal, operation, Scope(asked_venture, asked_environment))
        assert decision.allowed == (may(role, operation) and place_fits), (role, operation, venture, environment, decision)
        if not decision.allowed:
            assert "mia may not do" in decision.reason


def test_without_a_grant_nothing_is_allowed_anywhere_and_the_machine_may_everything():
    for operation, venture, environment in itertools.product(Operation, VENTURES, ENVIRONMENTS):
        scope = Scope(venture, environment)
        assert not decide(NOBODY, operation, scope).allowed
        assert not may_see(NOBODY, operation, scope)
        assert not decide_somewhere(NOBODY, operation).allowed
        assert decide(MACHINE, operation, scope).allowed


@pytest.mark.parametrize("operation", list(Operation))
def test_a_token_for_one_operation_may_do_that_one_only(operation):
    token = Principal("ci", (Grant(Role.ADMIN),), operations=frozenset({operation}))
    allowed = [o for o in Operation if decide(token, o, Scope("apollo", Environment.PRODUCTION)).allowed]
    assert allowed == [operation]
    assert [o for o in Operation if decide_somewhere(token, o).allowed] == [operation]
    assert visible_ventures(token, operation) is None
    assert {visible_ventures(token, o) for o in Operation if o is not operation} == {frozenset()}


@pytest.mark.parametrize(
    ("grants", "venture", "environment", "left"),
    [
        ([("*", "*")], "*", "*", [("*", "*")]),
        ([("*", "*")], "apollo", "staging", [("apollo", "staging")]),
        ([("apollo", "production")], "*", "*", [("apollo", "production")]),
        ([("apollo", "production")], "apollo", "staging", []),
        ([("apollo", "*"), ("gemini", "*")], "gemini", "production", [("gemini", "production")]),
    ],
)
def test_a_token_keeps_what_its_owner_and_its_place_have_in_common(grants, venture, environment, left):
    found = narrowed([Grant(Role.DEVELOPER, *each) for each in grants], venture=venture, environment=environment)
    assert [(grant.venture, grant.environment) for grant in found] == left


def test_narrowing_never_allows_what_was_not_allowed():
    for role, venture, environment in itertools.product((Role.DEVELOPER, Role.ADMIN), ("*", "apollo"), ("*", "production")):
        whole = Principal("mia", (Grant(role, venture, environment),))
        for to_venture, to_environment in itertools.product(("*", "apollo", "gemini"), ("*", "staging", "production")):
            part = Principal("mia", narrowed(whole.grants, venture=to_venture, environment=to_environment))
            assert exceeds(part, whole) is None
            for operation, asked, place in itertools.product(Operation, VENTURES, ENVIRONMENTS):
                if decide(part, operation, Scope(asked, place)).allowed:
                    assert decide(whole, operation, Scope(asked, place)).allowed


@pytest.mark.parametrize(
    ("given", "giver", "too_much"),
    [
        (Grant(Role.ADMIN), Grant(Role.ADMIN), False),
        (Grant(Role.ADMIN, "apollo"), Grant(Role.ADMIN), False),
        (Grant(Role.ADMIN), Grant(Role.ADMIN, "apollo"), True),
        (Grant(Role.VIEWER, "gemini"), Grant(Role.ADMIN, "apollo"), True),
        (Grant(Role.VIEWER, "apollo", "staging"), Grant(Role.ADMIN, "apollo", "production"), True),
        (Grant(Role.DIRECTOR), Grant(Role.RELEASE_MANAGER), True),
        (Grant(Role.RELEASE_MANAGER, "apollo"), Grant(Role.DIRECTOR, "apollo"), False),
        (Grant(Role.ADMIN), Grant(Role.DIRECTOR), True),
    ],
)
def test_nobody_can_give_more_than_they_have(given, giver, too_much):
    said = exceeds(Principal("given", (given,)), Principal("giver", (giver,)))
    assert (said is not None) is too_much
    if said:
        assert "nobody can give more than they have" in said


def test_lists_show_the_places_of_ones_grants_and_things_without_an_environment_where_any_holds():
    mia = Principal("mia", (Grant(Role.VIEWER, "apollo", "staging"), Grant(Role.DEVELOPER, "gemini")))
    assert visible_places(mia, Operation.RELEASE_READ) == {("apollo", "staging"), ("gemini", "*")}
    assert visible_places(mia, Operation.RELEASE_REQUEST) == {("gemini", "*")}
    assert visible_places(MACHINE, Operation.RELEASE_READ) is None
    assert may_see(mia, Operation.CATALOG_READ, Scope("apollo"))
    assert not may_see(mia, Operation.CATALOG_READ, Scope("apollo", Environment.PRODUCTION))
    assert strongest([Role.VIEWER, Role.DIRECTOR, Role.DEVELOPER]) is Role.DIRECTOR
