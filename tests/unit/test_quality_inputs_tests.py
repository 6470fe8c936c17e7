"""Test reports: what the real tools wrote (tests/data/quality), dialect by dialect."""

from __future__ import annotations

from pathlib import Path

import pytest

from productops.adapters.quality_inputs import read
from productops.domain.quality import CaseResult, Outcome, Parsed

DATA = Path(__file__).resolve().parents[1] / "data" / "quality"
P, F, E, S = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED


def outcomes(parsed: Parsed) -> dict[str, Outcome]:
    return {case.name: case.outcome for case in parsed.tests}


def case(parsed: Parsed, name: str) -> CaseResult:
    (found,) = [each for each in parsed.tests if each.name == name]
    return found


def junit(*cases: str, attributes: str = 'name="s"') -> Parsed:
    return read(f"<testsuite {attributes}>{''.join(cases)}</testsuite>".encode(), "r.xml")


def test_pytest_names_every_test_once_with_its_outcome():
    parsed = read(DATA / "pytest" / "junit.xml")
    assert outcomes(parsed) == {
        "test_a_basket_adds_up": P,
        "test_no_price_is_lost[prices0]": P,
        "test_no_price_is_lost[prices1]": P,
        "test_no_price_is_lost[prices2]": P,
        "test_a_voucher_of_ten_counts": F,
        "test_the_till_opens": E,
        "test_the_printer_prints": S,
        "test_known_fault": S,
        "test_the_network_answers": P,
        "test_fails_twice": E,
        "test_umlauts_survive": F,
        "test_speed_of_total": P,
    }
    assert parsed.skipped == ()
    assert len(parsed.tests) == 12


def test_a_rerun_of_pytest_is_an_attempt_and_a_failed_teardown_is_none():
    parsed = read(DATA / "pytest" / "junit.xml")
    assert (case(parsed, "test_the_network_answers").attempts, case(parsed, "test_the_network_answers").flaky) == (2, True)
    twice = case(parsed, "test_fails_twice")
    assert (twice.attempts, twice.outcome) == (1, E)
    assert "assert 1 == 2" in twice.message
    assert "the till does not close" in twice.message


def test_surefire_counts_the_runs_of_flaky_and_of_failing_tests():
    parsed = read(DATA / "surefire" / "TEST-shop.BasketTest.xml")
    seen = {each.name: (each.outcome, each.attempts) for each in parsed.tests}
    assert seen == {"addsUp": (P, 1), "prints": (S, 1), "answersAtLast": (P, 2), "takesAVoucher": (F, 3), "opensTheTill": (E, 3)}
    assert case(parsed, "answersAtLast").flaky
    assert "the network did not answer" in case(parsed, "answersAtLast").message
    assert parsed.skipped == ()


def test_playwright_keeps_the_projects_apart():
    parsed = read(DATA / "playwright" / "playwright.xml")
    assert {each.suite for each in parsed.tests} == {"shop.spec.ts [desktop]", "shop.spec.ts [phone]"}
    assert len({each.key for each in parsed.tests}) == len(parsed.tests) == 12
    assert {each.attempts for each in parsed.tests if each.outcome is F} == {2}


def test_the_json_of_playwright_also_shows_what_is_flaky():
    parsed = read(DATA / "playwright" / "playwright.json")
    flaky = [each for each in parsed.tests if each.flaky and each.name == "shop › answers at last"]
    assert len(flaky) == 2
    assert {each.outcome for each in parsed.tests if each.name == "shop › known fault"} == {P}


def test_the_json_of_jest_shows_the_file_that_could_not_run_and_jest_junit_hides_it():
    hidden, shown = read(DATA / "jest" / "junit.xml"), read(DATA / "jest" / "jest.json")
    assert E not in outcomes(hidden).values()
    broken = case(shown, "(the file itself)")
    assert (broken.suite, broken.outcome) == ("broken.test.js" if broken.file.startswith("/") else broken.file, E)
    assert (case(shown, "answers at last").attempts, case(shown, "ships").outcome) == (2, S)


def test_mocha_and_cypress_write_several_suites_and_the_hook_that_failed():
    parsed = read(DATA / "mocha" / "mocha.xml")
    assert {each.suite for each in parsed.tests} == {"Root Suite", "basket", "in euro", "till"}
    assert outcomes(parsed)['till "before all" hook for "opens"'] is F


def test_cypress_files_that_were_put_behind_each_other_are_all_read():
    one = (DATA / "mocha" / "mocha.xml").read_bytes()
    parsed = read(one + b"\n" + one + b"\n\n", "all.xml")
    assert len(parsed.tests) == 10
    assert len({each.key for each in parsed.tests}) == 10, "the same test in two files is told apart"


def test_gotestsum_reruns_are_attempts_and_a_package_that_does_not_build_is_told():
    parsed = read(DATA / "go" / "gotestsum-reruns.xml")
    assert (case(parsed, "TestAnswersAtLast").attempts, case(parsed, "TestAnswersAtLast").flaky) == (2, True)
    assert (case(parsed, "TestTakesAVoucher").attempts, case(parsed, "TestTakesAVoucher").outcome) == (3, F)
    assert {"TestAddsUp/yen", "TestAddsUp/yen#01"} <= set(outcomes(parsed))
    (gap,) = read(DATA / "go" / "gotestsum.xml").skipped
    assert "says that 4 tests failed, but shows 3" in gap.reason


def test_go_test_shows_crashes_and_packages_that_do_not_build():
    parsed = read(DATA / "go" / "test.ndjson")
    seen = {(each.suite, each.name): each.outcome for each in parsed.tests}
    assert seen["shop/crash", "TestCrash"] is E
    assert seen["shop/broken", "(the package itself)"] is E
    assert seen["shop", "TestPrints"] is S
    assert seen["shop", "TestTakesAVoucher"] is F
    assert ("shop", "(the package itself)") not in seen, "its failure is that of its tests"


def test_a_stream_of_go_that_is_cut_off_leaves_no_test_passed_that_did_not_end():
    whole = (DATA / "go" / "test.ndjson").read_text(encoding="utf-8").splitlines()
    ends = next(n for n, line in enumerate(whole) if '"pass"' in line and "TestAddsUp/yen#01" in line)
    parsed = read("\n".join(whole[:ends]).encode(), "cut.ndjson")
    assert case(parsed, "TestAddsUp/yen#01").outcome is E
    assert parsed.skipped


def test_googletest_and_testng_are_read():
    google = read(DATA / "googletest" / "tests.xml")
    assert outcomes(google) == {"AddsUp": P, "DISABLED_Prints": S, "TakesAVoucher": F}
    assert (case(google, "TakesAVoucher").file, case(google, "TakesAVoucher").line) == ("basket_test.cc", 13)
    testng = read(DATA / "testng" / "testng-results.xml")
    assert outcomes(testng) == {"opens": P, "pays": F, "ships": S, "tearDown": E}
    assert case(testng, "pays").duration_s == 1.31


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1,234.5", 1234.5), ("1.234,5", 1234.5), ("1,234", 1234.0), ("0,005", 0.005), ("12,5", 12.5), ("-0.000", 0.0), ("1e-3", 0.001),
        ("NaN", None), ("inf", None), ("-1", None), ("1e400", None), ("1,2,3", None), ("1_0", None), ("soon", None), ("9" * 400, None),
    ],
)  # fmt: skip
def test_durations_are_read_in_every_country_and_nonsense_is_told(written: str, meant: float | None):
    parsed = junit(f'<testcase name="a" time="{written}"/>')
    assert parsed.tests[0].duration_s == meant
    assert bool(parsed.skipped) is (meant is None)


def test_a_failure_without_a_word_is_a_failure():
    assert outcomes(junit('<testcase name="a"><failure/></testcase>', '<testcase name="b" status="failed"/>')) == {"a": F, "b": F}


def test_an_error_of_the_suite_itself_is_a_result():
    parsed = junit('<error message="no database"/>', '<testcase name="a"/>')
    assert [(each.name, each.outcome) for each in parsed.tests] == [("(the suite itself)", E), ("a", P)]


def test_failures_that_a_suite_counts_and_does_not_show_are_told():
    parsed = junit('<testcase name="a"/>', attributes='name="s" failures="1,000" errors="2"')
    assert [gap.reason for gap in parsed.skipped] == ["says that 1,002 tests failed, but shows 0 of them"]


def test_tests_with_one_name_are_told_apart_unless_the_tool_has_unique_names():
    parsed = junit('<testcase name="a"><failure/></testcase>', '<testcase name="a"/>')
    assert [(each.outcome, each.occurrence, each.attempts) for each in parsed.tests] == [(F, 0, 1), (P, 1, 1)]
    assert len({each.key for each in parsed.tests}) == 2


def test_the_key_of_a_test_survives_moved_lines_and_other_machines():
    first = junit('<testcase name="a" classname="c" file="/builds/acme/shop/tests/a.py" line="3" time="1"/>').tests[0]
    second = junit('<testcase name="a" classname="c" file="D:\\a\\shop\\shop\\tests\\a.py" line="9" time="2"/>').tests[0]
    assert first.file == second.file == "tests/a.py"
    assert first.key == second.key


def test_messages_are_cut_and_hold_no_secrets():
    token = "Bearer " + "abcdef0123456789" * 2
    parsed = junit(f'<testcase name="a"><failure message="x">{token} {"long " * 2000}</failure></testcase>')
    assert len(parsed.tests[0].message) == 2_000
    assert "abcdef0123456789" not in parsed.tests[0].message


def test_prefixes_of_namespaces_do_no_harm():
    text = b'<j:testsuite xmlns:j="urn:j" name="s"><j:testcase name="a"><j:failure>no</j:failure></j:testcase></j:testsuite>'
    assert read(text, "r.xml").tests[0].message == "no"
