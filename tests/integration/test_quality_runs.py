"""Versions judged and kept, on SQLite and PostgreSQL: what is new, what is waived, what is signed, and what a release is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from productops.adapters.catalog_files import load_catalog, read_policy
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.quality import (
    CaseResult,
    Coverage,
    Finding,
    FindingKind,
    Outcome,
    Parsed,
    Series,
    Severity,
    Skipped,
    file_coverage,
)
from productops.domain.quality_runs import QualitySource
from productops.domain.quality_verdict import GateState
from productops.domain.release import Environment
from productops.errors import (
    CatalogError,
    ConflictError,
    ForbiddenError,
    IdempotencyError,
    InvalidInputError,
    NotFoundError,
    QualityGateError,
)
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import Actor, Clock
from productops.usecases.governance_approvals import sign
from productops.usecases.quality_backtest import Difference, backtest_policy, proposed_policy
from productops.usecases.quality_policies import DeclaredQualityPolicy, put_quality_policies
from productops.usecases.quality_read import (
    QualityRunFilter,
    known_findings,
    list_runs,
    list_waivers,
    quality_verdict_for,
    run_findings,
    run_tests,
    series_runs_of,
    show_policy,
    show_run,
)
from productops.usecases.quality_release import pass_gates
from productops.usecases.quality_validate import ValidateRequest, validate_quality
from productops.usecases.quality_waivers import SignWish, WaiverWish, add_waiver, end_waiver, sign_off
from productops.usecases.release_request import ReleaseWish, plan_release, request_release
from tests.integration.approvals_lab import DORA, apply, audited, make_house, policy
from tests.support import PRODUCTION, SOMEBODY, add_service, service_spec

POLICY = """apiVersion: productops/v1
kind: QualityPolicy
metadata: {name: shop-gates, venture: apollo}
spec:
  services: [shop]
  gates:
    - {name: unit, kind: unit}
    - {name: security, kind: security, count: new, report: if-there}
"""
GOOD = CaseResult("unit", "", "good", Outcome.PASSED, duration_s=0.5)
BAD = CaseResult("unit", "", "bad", Outcome.FAILED, message="assert 1 == 2", file="tests/a.py", line=3)
HIGH = Finding(FindingKind.CODE, "bandit", "B101", Severity.HIGH, "assert used", "shop/a.py", 4)
FINE = Parsed(formats=("junit",), tests=(GOOD,))
BROKEN = Parsed(formats=("junit",), tests=(GOOD, BAD))
EVE = Actor("eve", "api", Principal("eve", (Grant(Role.ADMIN, "gemini"),)))
DEVELOPER = Actor("dan", "api", Principal("dan", (Grant(Role.DEVELOPER, "apollo"),)))
MANAGER = Actor("mia", "api", Principal("mia", (Grant(Role.RELEASE_MANAGER, "apollo"),)))


class Later(Clock):
    """A clock that can be put forward."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def lab(any_context):
    add_service(any_context)
    return replace(any_context, clock=Later())


@pytest.fixture
def quick(context):
    add_service(context)
    return replace(context, clock=Later())


def declare(context, text: str = POLICY):
    entry = read_policy(text, "p.yaml")
    with context.store.write() as unit:
        return put_quality_policies(
            unit, [DeclaredQualityPolicy(entry, "/c")], ventures={"apollo"}, bases={"/c"}, actor=SOMEBODY, now=context.clock.now()
        )


def validate(context, parsed=FINE, *, version="2.0", commit="c1", branch="main", actor=DEVELOPER, **more):
    return validate_quality(context, ValidateRequest("shop", version, commit, branch, **more), parsed, actor)


def test_a_version_is_judged_and_kept_with_its_gates_tests_and_findings(lab):
    parsed = Parsed(
        formats=("junit", "sarif", "cobertura"), tests=(GOOD, BAD), findings=(HIGH,), skipped=(Skipped("x.xml", "is broken"),),
        coverage=Coverage.of([file_coverage("shop/a.py", {1: 1, 2: 0, 4: 3}, {4: (1, 2)})]), series=(Series("lat", "s", (0.1, 0.2)),),
    )  # fmt: skip
    run = validate(lab, parsed, inputs=("junit.xml",), links=("https://ci/1",), diff="--- a/x\n+++ b/shop/a.py\n@@ -0,0 +2 @@\n+x\n")
    found = show_run(lab, run.id, actor=DEVELOPER)
    assert found == replace(run, at=found.at)
    assert (found.state, found.policy, found.policy_revision, found.mainline) == (GateState.FAILED, "built-in", 0, True)
    assert found.figures["coverage_changed_pct"] == 0.0
    assert found.inputs["changed"] == ["shop/a.py"]
    assert [case.name for case in run_tests(lab, run.id, actor=DEVELOPER)] == ["bad", "good"]
    assert run_tests(lab, run.id, actor=DEVELOPER, outcome=Outcome.FAILED) == [BAD]
    assert run_findings(lab, run.id, actor=DEVELOPER) == [HIGH]
    with lab.store.read() as unit:
        again, diff = unit.quality_runs.evidence(run.id)
    assert again == parsed
    assert diff.files == {"shop/a.py": (2,)}


def test_the_same_key_with_the_same_reports_is_one_run_and_with_others_is_refused(lab):
    first = validate(lab, idempotency_key="build-7")
    assert validate(lab, idempotency_key="build-7") == show_run(lab, first.id, actor=DEVELOPER)
    with pytest.raises(IdempotencyError, match="used for other reports"):
        validate(lab, BROKEN, idempotency_key="build-7")
    assert validate(lab, idempotency_key="build-7", commit="c2").id != first.id
    assert validate(lab).id != validate(lab).id


def test_two_that_hand_in_the_same_at_the_same_moment_get_one_run(lab):
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: validate(lab, idempotency_key="k"), range(4)))
    assert len({run.id for run in runs}) == 1


def test_findings_are_new_against_the_last_passed_run_of_the_main_branch(lab):
    declare(lab)
    scan = ("junit", "sarif")
    known = Parsed(formats=scan, tests=(GOOD,), findings=(HIGH,))
    first = validate(lab, known)
    assert first.state is GateState.FAILED
    assert "no passed run of the main branch yet" in " ".join(first.gates[1].reasons)
    add_waiver(lab, WaiverWish("shop", HIGH.fingerprint, "mia", "will be gone in May", lab.clock.now() + timedelta(days=9)), actor=MANAGER)
    assert show_run(lab, first.id, actor=MANAGER).state is GateState.PASSED
    waiver = list_waivers(lab, actor=MANAGER)[0]
    moved = replace(HIGH, line=99)
    branch = validate(lab, replace(known, findings=(moved,)), branch="feature", commit="c2")
    assert (branch.state, branch.baseline_id, branch.mainline) == (GateState.PASSED, first.id, False)
    more = validate(lab, replace(known, findings=(moved, replace(HIGH, rule="B102"))), branch="feature", commit="c3")
    assert more.state is GateState.FAILED
    end_waiver(lab, waiver.id, reason="May has come", actor=MANAGER)
    with pytest.raises(ConflictError, match="has ended already"):
        end_waiver(lab, waiver.id, actor=MANAGER)


def test_findings_know_when_they_came_and_went(lab):
    scan = ("sarif",)
    low = replace(HIGH, rule="L1", severity=Severity.LOW)
    first = validate(lab, Parsed(formats=(*scan, "junit"), tests=(GOOD,), coverage=covered(), findings=(low,)))
    assert first.state is GateState.PASSED
    lab.clock.ahead = timedelta(days=2)
    second = validate(lab, Parsed(formats=(*scan, "junit"), tests=(GOOD,), coverage=covered(), findings=(low,)), commit="c2")
    seen = known_findings(lab, "shop", actor=DEVELOPER)[0]
    assert (seen.first_run_id, seen.last_run_id) == (first.id, second.id)
    assert seen.last_seen_at - seen.first_seen_at >= timedelta(days=2)
    validate(lab, Parsed(formats=("junit",), tests=(GOOD,)), commit="c3")
    assert len(known_findings(lab, "shop", actor=DEVELOPER)) == 1, "a run without a scanner says nothing of findings"
    validate(lab, Parsed(formats=(*scan, "junit"), tests=(GOOD,), coverage=covered()), commit="c4")
    assert known_findings(lab, "shop", actor=DEVELOPER) == []
    assert known_findings(lab, "shop", actor=DEVELOPER, gone=True)[0].gone_at is not None


def covered() -> Coverage:
    return Coverage.of([file_coverage("shop/a.py", {1: 1})])


def test_a_waiver_counts_at_once_and_no_longer_when_it_has_expired(quick):
    declare(quick)
    run = validate(quick, BROKEN)
    end = quick.clock.now() + timedelta(days=3)
    add_waiver(quick, WaiverWish("shop", BAD.key, "mia", "the clock of the lab", end, gate="unit"), actor=MANAGER)
    renewed = show_run(quick, run.id, actor=MANAGER)
    assert (renewed.state, renewed.gates[0].items[0].excused[:13]) == (GateState.PASSED, "waived by mia")
    assert [w.key for w in list_waivers(quick, actor=MANAGER, service="shop", holding=True)] == [BAD.key]
    with quick.store.read() as unit:
        assert quality_verdict_for(unit, "shop", "2.0", now=quick.clock.now()).may_go_out
        later = quality_verdict_for(unit, "shop", "2.0", now=end)
    assert not later.may_go_out
    assert "the waiver of mia expired" in later.verdict.gates[0].items[0].text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key": "*"}, "one objection"),
        ({"owner": " "}, "needs an owner"),
        ({"reason": "because"}, "at least 10 characters"),
        ({"gate": "unti"}, "has no gate 'unti'; it has unit, security"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "within 366 days"),
        ({"expires_at": datetime(2090, 1, 1, tzinfo=UTC)}, "within 366 days"),
    ],
)
def test_a_waiver_without_key_owner_reason_or_end_is_refused(quick, change, reason):
    declare(quick)
    wish = WaiverWish("shop", BAD.key, "mia", "the clock of the lab", quick.clock.now() + timedelta(days=3))
    with pytest.raises(InvalidInputError, match=reason.replace("*", r"\*")):
        add_waiver(quick, replace(wish, **change), actor=MANAGER)


def test_who_may_not_see_a_service_finds_nothing_and_a_developer_waives_and_signs_nothing(quick):
    run = validate(quick, BROKEN)
    end = quick.clock.now() + timedelta(days=3)
    wish = WaiverWish("shop", BAD.key, "dan", "because I say so", end)
    with pytest.raises(ForbiddenError, match=r"dan may not do quality\.waive"):
        add_waiver(quick, wish, actor=DEVELOPER)
    with pytest.raises(ForbiddenError, match=r"quality\.sign-off"):
        sign_off(quick, SignWish("shop", "2.0", "checklist", "read"), actor=DEVELOPER)
    for ask in (
        lambda: show_run(quick, run.id, actor=EVE),
        lambda: run_tests(quick, run.id, actor=EVE),
        lambda: validate(quick, actor=EVE),
        lambda: known_findings(quick, "shop", actor=EVE),
        lambda: add_waiver(quick, wish, actor=EVE),
        lambda: show_run(quick, "no-id", actor=DEVELOPER),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert list_runs(quick, QualityRunFilter(), actor=EVE) == []
    assert [r.id for r in list_runs(quick, QualityRunFilter(service="shop", state=GateState.FAILED), actor=DEVELOPER)] == [run.id]


SIGNED = POLICY + "    - {name: checklist, kind: sign-off, items: [{item: notes read, role: release-manager}]}\n"


def test_a_checklist_is_signed_for_a_version_by_somebody_with_the_role(quick):
    declare(quick, SIGNED)
    run = validate(quick)
    assert run.state is GateState.INCONCLUSIVE
    for wish, reason in (
        (SignWish("shop", "2.0", "unit", "notes read"), "has no sign-off gate 'unit'; it has checklist"),
        (SignWish("shop", "2.0", "checklist", "notes"), "its items are 'notes read'"),
    ):
        with pytest.raises(InvalidInputError, match=reason):
            sign_off(quick, wish, actor=MANAGER)
    director = Actor("eva", "api", Principal("eva", (Grant(Role.DIRECTOR, "apollo"),)))
    with pytest.raises(ForbiddenError, match="eva holds director"):
        sign_off(quick, SignWish("shop", "2.0", "checklist", "notes read"), actor=director)
    sign_off(quick, SignWish("shop", "2.0", "checklist", "notes read", note="all of them"), actor=MANAGER)
    assert show_run(quick, run.id, actor=MANAGER).state is GateState.PASSED
    with pytest.raises(ConflictError, match="has signed"):
        sign_off(quick, SignWish("shop", "2.0", "checklist", "notes read"), actor=MANAGER)
    assert validate(quick, version="3.0").state is GateState.INCONCLUSIVE


def test_a_test_is_watched_from_its_first_failure_on_and_earlier_runs_of_the_same_code_count(lab):
    passed = replace(BAD, outcome=Outcome.PASSED, message="", line=None)
    validate(lab, Parsed(formats=("junit",), tests=(GOOD, passed)), commit="c0")
    validate(lab, Parsed(formats=("junit",), tests=(GOOD, passed)), commit="c1")
    validate(lab, BROKEN, commit="c1")
    retried = replace(passed, attempts=3)
    validate(lab, Parsed(formats=("junit",), tests=(GOOD, retried)), commit="c2")
    with lab.store.read() as unit:
        history = unit.quality_histories.history("shop", runs=10)
    assert [test.name for test in history.tests] == ["bad"]
    assert [mark.commit for mark in history.runs] == ["c0", "c1", "c1", "c2"]
    assert history.executions == [[0, 1, 1, 3]]
    assert history.failures == [[0, 0, 1, 2]]


def test_a_series_is_compared_with_accepted_runs_of_the_main_branch_only(lab):
    text = POLICY + "    - {name: speed, kind: performance, worse_pct: {p50: 10}, runs_min: 3}\n"
    declare(lab, text)

    def run(value: float, branch: str = "main"):
        values = tuple(value * (1 + 0.0001 * i) for i in range(20))
        return validate(lab, replace(FINE, series=(Series("latency", "s", values),)), branch=branch)

    assert [run(1.0 + i / 1000).gates[2].state.value for i in range(3)] == ["inconclusive"] * 3
    run(9.0, "feature")
    assert run(1.0).gates[2].state is GateState.PASSED
    assert run(1.5).gates[2].state is GateState.FAILED
    assert run(1.5).gates[2].state is GateState.FAILED, "a refused level does not become the one to compare with"
    listed = series_runs_of(lab, "shop", "latency", actor=DEVELOPER)
    assert [(each.mainline, each.accepted) for each in listed] == [(True, True)] * 3 + [(False, False), (True, True)] + [(True, False)] * 2
    end = lab.clock.now() + timedelta(days=3)
    add_waiver(lab, WaiverWish("shop", "latency", "mia", "more is computed now", end, gate="speed"), actor=MANAGER)
    assert series_runs_of(lab, "shop", "latency", actor=DEVELOPER)[-1].accepted


def test_of_several_policies_the_one_that_names_the_service_holds(quick):
    assert show_policy(quick, "shop", actor=DEVELOPER).name == "built-in"
    wide = POLICY.replace("shop-gates", "wide").replace("  services: [shop]\n", "  default: true\n")
    entries = [DeclaredQualityPolicy(read_policy(text, "p"), "/c") for text in (POLICY, wide)]
    with quick.store.write() as unit:
        put_quality_policies(unit, entries, ventures={"apollo"}, bases={"/c"}, actor=SOMEBODY, now=quick.clock.now())
    assert show_policy(quick, "shop", actor=DEVELOPER).name == "shop-gates"
    assert validate(quick, policy="wide").policy == "wide"
    with pytest.raises(NotFoundError, match="no quality policy 'nope' for shop; known: shop-gates, wide, built-in"):
        validate(quick, policy="nope")
    with pytest.raises(CatalogError, match="not declared"):
        declare(quick, POLICY.replace("[shop]", "[shpo]"))


def test_a_catalog_brings_changes_and_removes_policies_with_revisions_and_audit(quick, tmp_path: Path):
    venture = "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}\n---\n"
    file = tmp_path / "q.yaml"

    def put(text: str):
        file.write_text(venture + text)
        found = apply_catalog(quick, load_catalog(tmp_path), actor=SOMEBODY)
        return [change.outcome for change in found if change.kind == "QualityPolicy"]

    assert put(POLICY) == ["created"]
    assert put(POLICY) == ["unchanged"]
    assert put(POLICY.replace("kind: unit}", "kind: unit, tests_min: 5}")) == ["changed"]
    with quick.store.read() as unit:
        assert unit.quality_policies.find("shop-gates").revision == 2
        assert unit.quality_policies.revision("shop-gates", 1).spec.gates[0].tests_min == 1
    assert put("") == ["removed"]


def test_a_change_of_a_policy_waits_for_signatures_where_an_approval_policy_says_so(context, tmp_path: Path):
    house = make_house(context)
    text, guard = "---\n" + POLICY, policy("guard", actions="[policy]", scope="{}", signatures="[{role: director}]")
    assert apply(house, tmp_path / "c", text)["shop-gates"] == "created"
    apply(house, tmp_path / "c", text, guard)
    laxer = text.replace("kind: unit}", "kind: unit, failures_max: 9}")
    assert apply(house, tmp_path / "c", laxer, guard)["shop-gates"] == "proposed"
    assert show_policy(house, "shop", actor=SOMEBODY).policy.spec.gates[0].failures_max == 0
    with house.store.read() as unit:
        (request,) = unit.approvals.waiting()
    assert "productops quality backtest --approval" in request.reason
    assert proposed_policy(house, request.id, actor=DORA).spec.gates[0].failures_max == 9
    sign(house, request.id, actor=DORA)
    assert show_policy(house, "shop", actor=SOMEBODY).policy.spec.gates[0].failures_max == 9
    assert {"catalog.changed", "approval.requested"} <= set(audited(house))


def release(context, version="2.0", environment: Environment = PRODUCTION, actor=MANAGER):
    return request_release(context, ReleaseWish("shop", version, environment), actor=actor)


def test_without_a_declared_policy_a_release_is_not_asked_about_its_gates(quick):
    assert "quality" not in release(quick).plan


def test_a_release_waits_for_the_gates_where_a_policy_is_declared(quick):
    declare(quick)
    with pytest.raises(QualityGateError, match="have not judged shop 2.0 yet; hand its reports in"):
        release(quick)
    validate(quick, BROKEN)
    with pytest.raises(QualityGateError, match="1 of 2 required gates failed"):
        plan_release(quick, ReleaseWish("shop", "2.0"), actor=MANAGER)
    run = validate(quick, commit="c2")
    placed = release(quick)
    assert placed.plan["quality"] == {"mode": "required", "state": "passed", "run": run.id, "policy": "shop-gates"}


def test_a_waiver_that_was_taken_back_meanwhile_stops_the_release_before_its_candidate(quick, tmp_path: Path):
    declare(quick)
    validate(quick, BROKEN)
    end = quick.clock.now() + timedelta(days=3)
    waiver = add_waiver(quick, WaiverWish("shop", BAD.key, "mia", "the clock of the lab", end), actor=MANAGER)
    placed = release(quick)
    assert pass_gates(quick, placed, root=tmp_path, actor=SOMEBODY).may_go_out
    end_waiver(quick, waiver.id, actor=MANAGER)
    with pytest.raises(QualityGateError, match="may not go out"):
        pass_gates(quick, placed, root=tmp_path, actor=SOMEBODY)


@pytest.mark.parametrize(("mode", "noted"), [("off", None), ("advisory", "failed")])
def test_a_service_may_be_advised_only_or_not_at_all(quick, tmp_path, mode, noted):
    declare(quick)
    add_service(quick, spec=service_spec(quality=mode))
    validate(quick, BROKEN)
    placed = release(quick)
    assert placed.plan.get("quality", {}).get("state") == noted
    pass_gates(quick, placed, root=tmp_path, actor=SOMEBODY)


def test_only_production_is_gated(quick):
    declare(quick)
    assert "quality" not in release(quick, environment=Environment.STAGING).plan


COMMANDS = """  commands:
    - name: tests
      argv: ["{python}", "-c", "open('j.xml','w').write('<testsuite name=\\"u\\"><testcase name=\\"a\\">%s</testcase></testsuite>')"]
      artifacts: ["*.xml"]
"""


@pytest.mark.parametrize(("body", "passes"), [("", True), ("<failure/>", False)])
def test_the_policys_commands_run_before_the_candidate_where_nothing_was_judged(quick, tmp_path, body, passes):
    (tmp_path / "sources").mkdir()
    declare(quick, POLICY + COMMANDS % body)
    with quick.store.write() as unit:
        spec = unit.catalog.service("shop").spec
        unit.catalog.put_service("shop", venture="apollo", spec=spec, base=str(tmp_path / "sources"), author="t", now=quick.clock.now())
    placed = release(quick)
    assert placed.plan["quality"]["state"] == "to run"
    if passes:
        assert pass_gates(quick, placed, root=tmp_path / "work", actor=SOMEBODY).run.source is QualitySource.RELEASE
    else:
        with pytest.raises(QualityGateError, match="1 of 1 test failed"):
            pass_gates(quick, placed, root=tmp_path / "work", actor=SOMEBODY)


def test_a_backtest_says_which_runs_and_releases_another_policy_would_have_stopped(lab):
    validate(lab, Parsed(formats=("junit", "cobertura"), tests=(GOOD,), coverage=covered()), version="1.0")
    placed = release(lab, "1.0")
    validate(lab, BROKEN, version="2.0")
    stricter = read_policy(POLICY.replace("kind: unit}", "kind: unit, tests_min: 5}"), "p")
    found = backtest_policy(lab, stricter, actor=DEVELOPER)
    assert [(each.run.version, each.difference, each.gates) for each in found.runs] == [
        ("2.0", Difference.SAME, ("unit",)),
        ("1.0", Difference.STOPPED, ("unit",)),
    ]
    assert found.releases_stopped == (placed.id,)
    assert found.sentence.startswith("Of 2 runs shop-gates would have stopped 1 that passed, 1 of them as releases")
    loose = read_policy(POLICY.replace("kind: unit}", "kind: unit, failures_max: 1}"), "p")
    assert backtest_policy(lab, loose, actor=DEVELOPER).count(Difference.LET_PASS) == 1
    assert backtest_policy(lab, loose, actor=EVE).runs == ()
    with pytest.raises(InvalidInputError, match="last is 1 to 500"):
        backtest_policy(lab, loose, actor=DEVELOPER, last=0)
