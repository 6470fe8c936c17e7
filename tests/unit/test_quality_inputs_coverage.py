"""Coverage: four formats, merging, and the lines of a change."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.adapters.quality_inputs import read
from productops.domain.quality import Coverage, LineCoverage, file_coverage, merged, normal_path
from productops.errors import QualityInputError

DATA = Path(__file__).resolve().parents[1] / "data" / "quality"
BASKET = [(1, 1), (4, 1), (5, 1), (6, 0), (7, 1), (10, 1), (11, 0)]


@pytest.mark.parametrize("name", ["coverage.xml", "coverage.lcov", "coverage.json"])
def test_the_three_reports_of_one_run_say_the_same(name: str):
    coverage = read(DATA / "coverage-py" / name).coverage
    basket = coverage.find("shop/basket.py")
    assert basket is not None
    assert list(basket.each()) == BASKET
    assert (basket.lines_covered, basket.lines_total, basket.branches_covered, basket.branches_total) == (5, 7, 1, 2)
    assert (coverage.lines_covered, coverage.lines_total) == (5, 7)


def test_jest_writes_the_same_as_cobertura_and_as_lcov():
    first, second = (read(DATA / "jest" / name).coverage.find("basket.js") for name in ("cobertura.xml", "lcov.info"))
    assert first is not None
    assert second is not None
    assert list(first.each()) == list(second.each()) == [(1, 1), (2, 1), (3, 0), (5, 2)]
    assert list(first.each_branch()) == list(second.each_branch())
    assert (second.branches_covered, second.branches_total) == (1, 2)


def test_jacoco_says_which_lines_ran():
    basket = read(DATA / "jacoco" / "jacoco.xml").coverage.find("src/main/java/shop/Basket.java")
    assert basket is not None
    assert basket.path == "shop/Basket.java"
    assert (basket.hits(13), basket.lines_total, basket.branches_total) == (0, 6, 4)
    assert basket.lines_covered >= 4
    assert 0 < basket.branches_covered < 4


def test_of_a_change_only_lines_with_code_count():
    coverage = read(DATA / "coverage-py" / "coverage.lcov").coverage
    assert coverage.of_lines("shop/basket.py", [2, 3, 4, 6, 99]) == LineCoverage(covered=(4,), missed=(6,))
    assert coverage.of_lines("shop/basket.py", [2, 3]) == LineCoverage((), ())
    assert LineCoverage((), ()).share is None
    assert coverage.of_lines("shop/till.py", [1]) is None, "a file that no report speaks of is not the same as one that was missed"


def test_a_path_from_another_root_is_found_by_its_end_unless_two_end_so():
    coverage = Coverage.of(
        [file_coverage("/srv/ci/shop/a.py", {1: 1}), file_coverage("/srv/ci/other/b/a.py", {1: 0}), file_coverage("x/c.py", {})]
    )
    assert coverage.find("shop/a.py") is not None
    assert coverage.find("repo/x/c.py") is not None
    assert coverage.find("a.py") is None
    assert coverage.find("p/a.py") is None


def test_merged_runs_add_up_and_never_look_better_than_they_are():
    first = file_coverage("a.py", {1: 1, 2: 0}, {1: (1, 2)})
    second = file_coverage("./a.py", {2: 3, 5: 0}, {1: (1, 2), 2: (2, 2)})
    together = Coverage.of([first]).merged(Coverage.of([second])).files["a.py"]
    assert list(together.each()) == [(1, 1), (2, 3), (5, 0)]
    assert list(together.each_branch()) == [(1, 1, 2), (2, 2, 2)]


LINES = st.dictionaries(st.integers(1, 50), st.integers(0, 5), max_size=20)


@given(LINES, LINES, LINES)
def test_merging_does_not_depend_on_the_order(one: dict[int, int], two: dict[int, int], three: dict[int, int]):
    runs = [Coverage.of([file_coverage("a.py", lines)]) for lines in (one, two, three)]
    assert runs[0].merged(runs[1], runs[2]) == runs[2].merged(runs[0]).merged(runs[1])


def test_a_line_that_a_report_names_twice_is_one_line():
    text = (
        b'<coverage><packages><package><classes><class filename="a.cs"><methods><method><lines><line number="3" hits="2"/></lines></method>'
        b'</methods><lines><line number="3" hits="2"/></lines></class><class filename="a.cs"><lines><line number="3" hits="0"/>'
        b'<line number="x" hits="0"/></lines></class></classes></package></packages></coverage>'
    )
    parsed = read(text, "c.xml")
    assert list(parsed.coverage.files["a.cs"].each()) == [(3, 2)]
    assert len(parsed.skipped) == 1


def test_lines_that_stand_only_below_methods_count_too():
    text = (
        b'<coverage><packages><package><classes><class filename="a.cs"><methods><method><lines><line number="3" hits="2"/></lines></method>'
        b"</methods></class></classes></package></packages></coverage>"
    )
    assert list(read(text, "c.xml").coverage.files["a.cs"].each()) == [(3, 2)]


def test_files_of_one_name_in_different_roots_stay_apart():
    report = (
        '<coverage><sources><source>/srv/{}</source></sources><packages><package><classes><class filename="__init__.py"><lines>'
        '<line number="1" hits="{}"/></lines></class></classes></package></packages></coverage>'
    )
    both = merged(read(report.format(root, hits).encode(), "c.xml") for root, hits in (("one", 1), ("two", 0)))
    assert (both.coverage.lines_covered, both.coverage.lines_total) == (1, 2)


def test_lcov_that_breaks_off_is_refused_and_odd_lines_are_told():
    with pytest.raises(QualityInputError, match="has no end_of_record"):
        read(b"TN:\nSF:a.py\nDA:1,1\n", "l.info")
    parsed = read(b"TN:\nSF:a.py\nDA:1,1\nDA:oops\nBRDA:1,0,a, b,-\nend_of_record\n", "l.info")
    assert [gap.where for gap in parsed.skipped] == ["l.info: line 4"]
    assert list(parsed.coverage.files["a.py"].each_branch()) == [(1, 0, 1)]


def test_a_report_without_lines_is_told():
    counters = b'<counter type="INSTRUCTION" missed="1" covered="2"/>'
    parsed = read(b'<report><package name="p"><sourcefile name="A.java">' + counters + b"</sourcefile></package></report>", "j.xml")
    assert "without debug information" in parsed.skipped[0].reason


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("./a/../b/c.py", "b/c.py"), ("a\\b.cs", "a/b.cs"), ("C:\\src\\a.cs", "/src/a.cs"), ("file:///srv/a%20b.py", "/srv/a b.py"),
        ("/builds/acme/shop/a.py", "a.py"), ("/builds/group/shop/a.py", "a.py"), ("D:\\a\\shop\\shop\\src\\a.ts", "src/a.ts"),
        ("/var/lib/jenkins/workspace/shop/a.py", "a.py"), ("/srv/own/a.py", "/srv/own/a.py"), ("../a.py", "../a.py"),
        ("/../../a.py", "/a.py"),        ("webpack://shop/./a.js", "webpack://shop/./a.js"),
        ("file://localhost/srv/a.py", "/srv/a.py"), ("", ""),
    ],
)  # fmt: skip
def test_paths_of_all_machines_are_spelled_alike(written: str, normal: str):
    assert normal_path(written) == normal
    assert normal_path(normal) == normal
