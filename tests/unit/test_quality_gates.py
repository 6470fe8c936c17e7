"""Every kind of gate: what passes, what fails, what is too little to say, and that nothing unseen ever passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.catalog_quality import BUILT_IN, QualityCommand, QualityPolicy
from productops.domain.quality import (
    CaseResult,
    Component,
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
from productops.domain.quality_gates import Collected, figures_of, judge_gates, on_main_branch, read_diff
from productops.domain.quality_gates_figures import MEANINGS
from productops.domain.quality_runs import SignOff, Waiver
from productops.domain.quality_verdict import ITEMS_MAX, GateState

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PASSED, FAILED, UNSURE, ERROR = GateState.PASSED, GateState.FAILED, GateState.INCONCLUSIVE, GateState.ERROR


def policy(*gates: dict, **spec) -> QualityPolicy:
    listed = [{"name": f"g{i}"} | gate for i, gate in enumerate(gates)]
    return QualityPolicy.model_validate(
        {"apiVersion": "productops/v1", "kind": "QualityPolicy", "metadata": {"name": "p"}, "spec": {"gates": listed} | spec}
    )


def judge(gate: dict, parsed: Parsed | None = None, **more):
    """The result of one gate."""
    return judge_gates(policy(gate), Collected(parsed=parsed or Parsed(), now=NOW, **more)).gates[0]


def case(name: str, outcome: Outcome = Outcome.PASSED, **more) -> CaseResult:
    return CaseResult(suite=more.pop("suite", "tests.unit"), classname="", name=name, outcome=outcome, **more)


def finding(rule: str = "B101", severity: Severity = Severity.HIGH, **more) -> Finding:
    given_ = {"kind": FindingKind.CODE, "tool": "bandit", "message": "something", "path": "a.py"} | more
    return Finding(rule=rule, severity=severity, **given_)


def waiver(key: str, *, gate: str = "g0", days: float = 5, **more) -> Waiver:
    return Waiver("w", "apollo", "shop", gate, key, "mia", "we know about it", "bob", NOW - 9 * DAY, NOW + timedelta(days=days), **more)


UNIT = {"kind": "unit"}
GOOD, BAD = case("good"), case("bad", Outcome.FAILED, message="assert 1 == 2\nmore", file="tests/a.py", line=7)


def test_passed_tests_pass_and_one_failed_test_fails_with_its_name_place_and_message():
    assert judge(UNIT, Parsed(tests=(GOOD,))).state is PASSED
    result = judge(UNIT, Parsed(tests=(GOOD, BAD)))
    assert (result.state, result.sentence) == (FAILED, "1 of 2 tests failed.")
    assert [(item.text, item.where, item.key) for item in result.items] == [("tests.unit::bad: assert 1 == 2", "tests/a.py:7", BAD.key)]
    assert result.to_pass


@pytest.mark.parametrize(
    ("tests", "gate"),
    [
        ((), {}),
        ((case("a", Outcome.SKIPPED),), {}),
        ((GOOD,), {"tests_min": 2}),
        ((GOOD,), {"suites": ["tests.e2e*"]}),
        ((GOOD,), {"files": ["tests/*"]}),
        ((GOOD,), {"formats": ["playwright"]}),
    ],
)
def test_an_empty_report_never_passes(tests, gate):
    assert judge(UNIT | gate, Parsed(tests=tests, formats=("junit",))).state is UNSURE


def test_suites_are_told_apart_by_patterns():
    tests = (GOOD, case("slow", Outcome.FAILED, suite="tests.e2e.shop"))
    assert judge(UNIT | {"suites": ["tests.unit*"]}, Parsed(tests=tests)).state is PASSED
    assert judge({"kind": "end-to-end", "suites": ["*e2e*"]}, Parsed(tests=tests)).state is FAILED
    assert judge(UNIT | {"exclude": ["*e2e*"]}, Parsed(tests=tests)).state is PASSED


def test_quarantined_and_waived_tests_do_not_count_but_are_shown_and_expired_waivers_say_so():
    parsed = Parsed(tests=(GOOD, BAD))
    held = judge(UNIT, parsed, quarantined={BAD.key: "quarantined by review"})
    assert (held.state, held.items[0].excused) == (PASSED, "quarantined by review")
    borne = judge(UNIT, parsed, waivers=(waiver(BAD.key),))
    assert borne.state is PASSED
    assert "waived by mia until 2026-11-25" in borne.items[0].excused
    assert any("1 excused" in reason for reason in borne.reasons)
    late = judge(UNIT, parsed, waivers=(waiver(BAD.key, days=-1),))
    assert late.state is FAILED
    assert "the waiver of mia expired on 2026-11-19" in late.items[0].text
    for other in (waiver(BAD.key, gate="g9"), waiver("other"), waiver(BAD.key, ended_at=NOW - DAY)):
        assert judge(UNIT, parsed, waivers=(other,)).state is FAILED
    assert judge(UNIT, parsed, waivers=(waiver(BAD.key, gate="*"),)).state is PASSED


def test_limits_on_skips_retries_and_time_are_kept():
    tests = (GOOD, case("s", Outcome.SKIPPED), case("f", attempts=2, duration_s=9.0))
    assert judge(UNIT, Parsed(tests=tests)).state is PASSED
    for limit in ({"skips_max": 0}, {"skips_max_pct": 30}, {"flaky_max": 0}, {"duration_max_s": 5}):
        assert judge(UNIT | limit, Parsed(tests=tests)).state is FAILED, limit
    for limit in ({"skips_max": 1}, {"skips_max_pct": 34}, {"flaky_max": 1}, {"duration_max_s": 9}):
        assert judge(UNIT | limit, Parsed(tests=tests)).state is PASSED, limit


def test_of_many_failures_the_first_are_kept_and_all_are_counted():
    result = judge(UNIT, Parsed(tests=tuple(case(f"t{i}", Outcome.ERROR) for i in range(200))))
    assert (len(result.items), result.items_total) == (ITEMS_MAX, 200)


SECURITY = {"kind": "security"}
SCAN = ("sarif",)


def test_no_report_of_a_scanner_is_no_pass_unless_the_policy_says_so():
    assert judge(SECURITY).state is UNSURE
    assert judge(SECURITY | {"report": "if-there"}).state is PASSED
    assert judge(SECURITY, Parsed(formats=SCAN)).state is PASSED
    parts_only = Parsed(formats=("cyclonedx",), components=(Component("a"),))
    assert judge(SECURITY, parts_only).state is UNSURE


def test_findings_count_by_severity_and_known_ones_only_where_all_count():
    high, low = finding(), finding("L1", Severity.LOW)
    parsed = Parsed(formats=SCAN, findings=(low, high))
    result = judge(SECURITY, parsed)
    assert result.state is FAILED
    assert [item.text for item in result.items] == ["high B101: something", "low L1: something"]
    known = {"known": frozenset({high.fingerprint}), "has_baseline": True}
    assert judge(SECURITY | {"count": "new"}, parsed, **known).state is PASSED
    assert judge(SECURITY, parsed, **known).state is FAILED
    assert judge(SECURITY | {"at_most": {"high": 1}}, parsed).state is PASSED
    assert judge(SECURITY | {"at_most": {"low": 0}}, parsed).state is FAILED


def test_one_more_place_of_a_known_problem_is_new():
    twice = Parsed(formats=SCAN, findings=(finding(), finding(line=9)))
    mark = finding().fingerprint
    gate = SECURITY | {"count": "new"}
    assert judge(gate, twice, known=frozenset({mark}), known_places={mark: 1}).state is FAILED
    assert judge(gate, twice, known=frozenset({mark}), known_places={mark: 2}).state is PASSED


def test_scores_ages_ignore_rules_and_waivers_decide():
    bad = finding("CVE-2024-1", Severity.MEDIUM, kind=FindingKind.VULNERABILITY, package="left", cvss=8.1, fixed_in="2.0")
    parsed = Parsed(formats=SCAN, findings=(bad,))
    assert judge(SECURITY, parsed).state is PASSED
    scored = judge(SECURITY | {"cvss_below": 8}, parsed)
    assert (scored.state, scored.to_pass) == (FAILED, "Take left 2.0 or newer.")
    assert scored.items[0].link == "https://nvd.nist.gov/vuln/detail/CVE-2024-1"
    old = {"known": frozenset({bad.fingerprint}), "first_seen": {bad.fingerprint: NOW - 31 * DAY}}
    aged = SECURITY | {"count": "new", "days_max": {"medium": 30}}
    assert judge(aged, parsed, **old).state is FAILED
    assert judge(aged | {"days_max": {"medium": 32}}, parsed, **old).state is PASSED
    rule = {"reason": "not reachable from us", "rule": "CVE-2024-*", "package": "left"}
    assert judge(SECURITY | {"cvss_below": 8, "ignore": [rule]}, parsed).state is PASSED
    assert judge(SECURITY | {"cvss_below": 8, "ignore": [rule | {"package": "right"}]}, parsed).state is FAILED
    over = rule | {"until": "2026-11-01T00:00:00Z"}
    assert judge(SECURITY | {"cvss_below": 8, "ignore": [over]}, parsed).state is FAILED
    assert judge(SECURITY | {"cvss_below": 8}, parsed, waivers=(waiver(bad.fingerprint),)).state is PASSED


def test_suppressed_findings_are_told_and_count_where_the_policy_says_so():
    parsed = Parsed(formats=SCAN, suppressed=(finding(),))
    assert "1 finding suppressed" in " ".join(judge(SECURITY, parsed).reasons)
    assert judge(SECURITY | {"suppressed": "count"}, parsed).state is FAILED


COVERAGE = {"kind": "coverage"}
DIFF = """diff --git a/src/a.py b/src/a.py
--- a/src/a.py
+++ b/src/a.py
@@ -8,0 +9,2 @@
+x = 1
+y = 2
"""


def covered(hit: int, missed: int, path: str = "src/a.py", branches=None) -> Coverage:
    lines = dict.fromkeys(range(1, hit + 1), 1) | dict.fromkeys(range(hit + 1, hit + missed + 1), 0)
    return Coverage.of([file_coverage(path, lines, branches or {})])


def test_coverage_is_measured_over_the_files_that_count():
    assert judge(COVERAGE).state is UNSURE
    assert judge(COVERAGE, Parsed(coverage=covered(9, 1))).state is PASSED
    result = judge(COVERAGE, Parsed(coverage=covered(8, 2)))
    assert result.state is FAILED
    assert result.to_pass == "Cover 1 more line, first in src/a.py (2 missed)."
    assert judge(COVERAGE | {"exclude": ["src/*"]}, Parsed(coverage=covered(9, 1))).state is UNSURE
    assert judge(COVERAGE, Parsed(coverage=covered(8, 2)), waivers=(waiver("lines"),)).state is PASSED


def test_branches_single_files_and_losses_have_limits_of_their_own():
    both = covered(10, 0, branches={1: (1, 2)})
    assert judge(COVERAGE | {"branches_min_pct": 50}, Parsed(coverage=both)).state is PASSED
    assert judge(COVERAGE | {"branches_min_pct": 51}, Parsed(coverage=both)).state is FAILED
    assert judge(COVERAGE | {"branches_min_pct": 1}, Parsed(coverage=covered(10, 0))).state is UNSURE
    two = covered(98, 0).merged(covered(0, 2, "src/b.py"))
    single = judge(COVERAGE | {"files_min_pct": 50}, Parsed(coverage=two))
    assert (single.state, [item.key for item in single.items]) == (FAILED, ["src/b.py"])
    before = {"baseline_figures": {"coverage_lines_pct": 95.0}}
    assert judge(COVERAGE | {"drop_max_pct": 1}, Parsed(coverage=covered(92, 8)), **before).state is FAILED
    assert judge(COVERAGE | {"drop_max_pct": 3}, Parsed(coverage=covered(92, 8)), **before).state is PASSED


def test_changed_lines_are_judged_alone_and_without_a_diff_nothing_is_said():
    gate = COVERAGE | {"lines_min_pct": None, "changed_min_pct": 80}
    parsed = Parsed(coverage=covered(9, 91))
    assert judge(gate, parsed).state is UNSURE
    result = judge(gate, parsed, diff=read_diff(DIFF))
    assert (result.state, result.figures["changed_pct"]) == (FAILED, 50.0)
    assert result.items[0].text == "src/a.py: changed lines 10 did not run"
    assert judge(gate, parsed, diff=read_diff(DIFF), waivers=(waiver("src/a.py"),)).state is PASSED
    elsewhere = read_diff(DIFF.replace("src/a.py", "README.md"))
    assert judge(gate, parsed, diff=elsewhere).state is PASSED
    absent = read_diff(DIFF.replace("src/a.py", "src/new.py"))
    assert "in no coverage report: src/new.py" in " ".join(judge(gate, parsed, diff=absent).reasons)
    assert judge(gate | {"unreported": "missed"}, parsed, diff=absent).state is FAILED


STANDARDS = {"kind": "standards", "secrets": "off", "licences_allowed": ["MIT", "Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"]}


@pytest.mark.parametrize(
    ("licences", "state"),
    [
        (("MIT",), PASSED),
        (("mit OR GPL-3.0-only",), PASSED),
        (("MIT AND GPL-3.0-only",), FAILED),
        (("(MIT OR GPL-3.0-only) AND Apache-2.0",), PASSED),
        (("GPL-2.0-only WITH Classpath-exception-2.0",), PASSED),
        (("GPL-2.0-only",), FAILED),
        (("MIT WITH Some-exception",), PASSED),
        (("MIT", "GPL-3.0-only"), FAILED),
        ((), FAILED),
        (("NOASSERTION",), FAILED),
        (("MIT AND",), FAILED),
        (("see file (LICENSE",), FAILED),
    ],
)
def test_licences_are_judged_as_expressions_and_an_unknown_one_is_not_allowed(licences, state):
    result = judge(STANDARDS, Parsed(components=(Component("left", "1", licences=licences),)))
    assert result.state is state, result


def test_a_licence_may_be_excepted_and_unknown_ones_allowed_on_purpose():
    parsed = Parsed(components=(Component("left", licences=("GPL-3.0-only",)), Component("none")))
    gate = STANDARDS | {"licences_unknown": "allow", "licences_except": [{"package": "left", "reason": "we ship no copy of it"}]}
    assert judge(gate, parsed).state is PASSED


def test_a_parts_list_and_a_look_for_secrets_are_asked_for():
    bare = {"kind": "standards"}
    parts = (Component("left", licences=("MIT",)),)
    assert judge(bare, Parsed(formats=("gitleaks",))).state is UNSURE
    assert judge(bare, Parsed(components=parts, formats=("cyclonedx",))).state is UNSURE
    assert judge(bare, Parsed(components=parts, formats=("cyclonedx", "gitleaks"))).state is PASSED
    secret = finding("aws-key", kind=FindingKind.SECRET, tool="gitleaks")
    found = judge(bare | {"secrets": "if-scanned"}, Parsed(components=parts, findings=(secret,)))
    assert found.state is FAILED
    assert "Revoke each secret first" in found.to_pass


PERFORMANCE = {"kind": "performance", "worse_pct": {"p50": 5}}
HISTORY = {"latency": [[1.0 + 0.001 * (run % 3)] * 20 for run in range(10)]}


def latency(*values: float, **more) -> Parsed:
    return Parsed(series=(Series("latency", "s", values, **more),))


def test_a_series_that_got_worse_fails_and_one_without_history_is_inconclusive():
    assert judge(PERFORMANCE).state is UNSURE
    assert judge(PERFORMANCE, latency(1.0)).state is UNSURE
    assert judge(PERFORMANCE | {"without_history": "pass"}, latency(1.0)).state is PASSED
    assert judge(PERFORMANCE, latency(*[1.0] * 20), history=HISTORY).state is PASSED
    slow = judge(PERFORMANCE, latency(*[1.3] * 20), history=HISTORY)
    assert (slow.state, slow.items[0].key) == (FAILED, "latency")
    assert judge(PERFORMANCE, latency(*[1.3] * 20, higher_is_better=True), history=HISTORY).state is PASSED
    assert judge(PERFORMANCE | {"better": "lower"}, latency(*[1.3] * 20, higher_is_better=True), history=HISTORY).state is FAILED
    assert judge(PERFORMANCE, latency(*[1.3] * 20), history=HISTORY, waivers=(waiver("latency"),)).state is PASSED


def test_fixed_limits_hold_without_any_history():
    gate = {"kind": "performance", "compare": False, "limits": [{"series": "lat*", "quantile": "p99", "at_most": 0.5}]}
    assert judge(gate, latency(0.1, 0.2)).state is PASSED
    assert judge(gate, latency(0.1, 0.9)).state is FAILED
    assert judge(gate, Parsed(series=(Series("other", "s", (1.0,)),))).state is UNSURE


SIGNED = {"kind": "sign-off", "items": [{"item": "notes read", "role": "director"}, {"item": "tried", "count": 2}]}


def signed(item: str, by: str, role: str, **more) -> SignOff:
    return SignOff("s", "apollo", "shop", "1", more.get("commit", ""), "g0", item, by, frozenset({role}), "", NOW)


def test_a_checklist_needs_different_people_with_the_role_for_this_commit():
    enough = (signed("notes read", "eva", "director"), signed("tried", "bob", "release-manager"), signed("tried", "mia", "release-manager"))
    assert judge(SIGNED, signatures=enough).state is PASSED
    for lacking in (enough[:2], (*enough[:2], enough[1]), (signed("notes read", "eva", "developer"), *enough[1:])):
        assert judge(SIGNED, signatures=lacking).state is UNSURE
    elsewhere = (signed("notes read", "eva", "director", commit="abc"), *enough[1:])
    assert judge(SIGNED, signatures=elsewhere, commit="def").state is UNSURE
    assert judge(SIGNED, signatures=elsewhere, commit="abc").state is PASSED


def test_an_expression_over_figures_passes_fails_or_is_unknown_but_never_guesses():
    def of(text: str, parsed: Parsed | None = None):
        return judge({"kind": "expression", "expression": text}, parsed or Parsed(tests=(GOOD,)))

    assert of("tests_failed == 0 and tests_ran >= 1").state is PASSED
    assert of("tests_ran > 1").state is FAILED
    assert of("coverage_lines_pct > 1").state is UNSURE
    assert of("not (coverage_lines_pct > 1)").state is UNSURE
    assert of("tests_ran > 1 and coverage_lines_pct > 1").state is FAILED
    assert of("tests_ran == 1 or coverage_lines_pct > 1").state is PASSED
    assert of("1 / tests_failed > 1").state is ERROR
    assert of("tests_rn == 1").state is UNSURE
    assert of('p50("latency") < 2', latency(1.0, 3.0, 1.0)).state is PASSED
    assert of('p50("nothing") < 2').state is UNSURE


def test_unreadable_parts_turn_a_pass_into_an_error_and_leave_a_failure_a_failure():
    gap = (Skipped("a.xml", "is broken"),)
    assert judge(UNIT, Parsed(tests=(GOOD,), skipped=gap)).state is ERROR
    assert judge(UNIT, Parsed(tests=(BAD,), skipped=gap)).state is FAILED
    missing = judge(UNIT, Parsed(skipped=gap))
    assert (missing.state, missing.reasons[-1]) == (UNSURE, "unread: a.xml: is broken")
    borne = judge_gates(policy(UNIT, unread_max=1), Collected(parsed=Parsed(tests=(GOOD,), skipped=gap), now=NOW))
    assert borne.state is PASSED


@pytest.mark.parametrize("folder", ["/etc", "../elsewhere", "tests/../.."])
def test_a_command_runs_below_the_folder_of_the_service_only(folder: str):
    with pytest.raises(ValueError, match="must be below the catalog folder"):
        QualityCommand(name="unit", argv=("pytest",), folder=folder)


def test_the_verdict_weighs_required_gates_only():
    passing, failing = UNIT, {"kind": "expression", "expression": "tests_ran > 100"}
    collected = Collected(parsed=Parsed(tests=(GOOD,)), now=NOW)
    assert judge_gates(policy(passing, failing | {"required": False}), collected).state is PASSED
    assert judge_gates(policy(passing, failing), collected).state is FAILED
    with pytest.raises(ValueError, match="no gate is required"):
        policy(passing | {"required": False})


def test_the_built_in_policy_asks_for_tests_and_ninety_percent_and_lets_nothing_empty_pass():
    assert judge_gates(BUILT_IN, Collected(parsed=Parsed(), now=NOW)).state is UNSURE
    fine = Parsed(tests=(GOOD,), coverage=covered(9, 1), formats=("junit", "cobertura"))
    assert judge_gates(BUILT_IN, Collected(parsed=fine, now=NOW)).state is PASSED
    thin = Parsed(tests=(GOOD,), coverage=covered(8, 2))
    assert judge_gates(BUILT_IN, Collected(parsed=thin, now=NOW)).state is FAILED


def test_every_figure_is_documented_and_branches_are_told_by_pattern():
    everything = Parsed(
        tests=(GOOD, BAD), coverage=covered(1, 1, branches={1: (1, 2)}), findings=(finding(cvss=5.0),), components=(Component("a"),),
        series=(Series("s", "s", (1.0,)),), formats=("junit", "sarif"),
    )  # fmt: skip
    figures = figures_of(
        Collected(parsed=everything, diff=read_diff(DIFF.replace("9,2", "1,2")), now=NOW, baseline_figures={"tests_ran": 3})
    )
    assert {name for name in figures if not name.startswith("baseline_")} == set(MEANINGS)
    assert figures["baseline_tests_ran"] == 3
    found = policy(UNIT, main_branches=["main", "release/*"])
    assert [on_main_branch(found, b) for b in ("main", "refs/heads/main", "release/1", "feature", "")] == [True, True, True, False, False]


outcomes = st.sampled_from(Outcome)


@given(st.lists(outcomes, max_size=30))
def test_a_version_with_a_failed_test_that_counts_never_passes(results):
    tests = tuple(case(f"t{i}", outcome) for i, outcome in enumerate(results))
    state = judge(UNIT, Parsed(tests=tests)).state
    if any(outcome.bad for outcome in results):
        assert state is FAILED
    elif Outcome.PASSED in results:
        assert state is PASSED
    else:
        assert state is UNSURE
