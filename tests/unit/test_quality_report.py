"""How a verdict is told: as a document and back, as Markdown, on a terminal; and how reports are found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.adapters.quality_files import ReportFile, read_files, safe_name
from productops.adapters.quality_pictures import SeriesStory, draw_coverage, draw_performance
from productops.cli.quality_gather import gather, read_diff, until
from productops.cli.quality_text import verdict_text
from productops.domain.quality import Coverage, file_coverage
from productops.domain.quality_report import verdict_document, verdict_from, verdict_markdown
from productops.domain.quality_verdict import GateItem, GateKind, GateResult, GateState, QualityVerdict, verdict_of
from productops.errors import InvalidInputError, NotFoundError, QualityInputError

JUNIT = '<testsuite name="s"><testcase classname="c" name="t"/></testsuite>'


def gate(state: GateState = GateState.FAILED, *, items: tuple[GateItem, ...] = (), sentence: str = "1 test failed.") -> GateResult:
    return GateResult("unit-tests", GateKind.UNIT, True, state, sentence, ("a reason",), items, len(items), "mend it", {"tests": 3.0})


words = st.text(max_size=30)
items = st.builds(GateItem, words, words, words, words, words)
gates = st.builds(
    GateResult, words, st.sampled_from(GateKind), st.booleans(), st.sampled_from(GateState), words,
    st.lists(words, max_size=3).map(tuple), st.lists(items, max_size=3).map(tuple), st.integers(0, 9), words,
)  # fmt: skip


@given(st.lists(gates, max_size=4).map(tuple))
def test_a_verdict_survives_its_document(found: tuple[GateResult, ...]) -> None:
    verdict = verdict_of(found)
    assert verdict_from(verdict_document(verdict)) == verdict


@given(st.lists(gates, min_size=1, max_size=3).map(tuple))
def test_what_others_wrote_cannot_break_the_table(found: tuple[GateResult, ...]) -> None:
    text = verdict_markdown(verdict_of(found), title="shop 1.0")
    rows = [line for line in text.split("\n") if line.startswith("| ")][1:]
    assert len(rows) == len(found)
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
    assert "<" not in text


def test_a_hostile_test_name_neither_links_nor_mentions_nor_formats() -> None:
    item = GateItem("k", "![x](https://evil/) <img src=x> @everyone `|`", link="javascript:alert(1)")
    text = verdict_markdown(verdict_of((gate(items=(item,)),)), title="shop")
    assert "](https://evil" not in text.replace("\\]", "")
    assert "javascript" not in text
    assert "<img" not in text
    assert "@everyone" not in text


def test_a_terminal_sees_gates_objections_and_what_to_do() -> None:
    found = (gate(items=(GateItem("ab12cd34", "c::t failed: 1 != 2", "test_c.py:3"),)), gate(GateState.PASSED, sentence="fine"))
    text = verdict_text(verdict_of(found))
    assert "FAILED" in text
    assert "c::t failed: 1 != 2 (test_c.py:3) [ab12cd34]" in text
    assert "to pass: mend it" in text


def test_control_characters_of_a_report_do_not_reach_the_terminal() -> None:
    text = verdict_text(QualityVerdict(GateState.FAILED, "x", (gate(sentence="\x1b[2J\x07gone"),)))
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_pattern_that_fits_nothing_is_an_error_and_no_pass(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"--junit '.*nothing\*.xml' fits no file"):
        gather({"junit": [f"{tmp_path}/nothing*.xml"]})


def test_a_file_that_two_patterns_name_is_judged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/junit.xml").write_text(JUNIT)
    (tmp_path / "a/readme.md").write_text("no report")
    monkeypatch.chdir(tmp_path)
    found = gather({"junit": ["a", "**/*.xml"], "coverage": ["a/junit.xml"]})
    assert [report.name for report in found] == ["a/junit.xml"]


def test_a_range_of_commits_is_read_as_a_diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "tester@example.com")
    for content in ("one\n", "one\ntwo\n"):
        (tmp_path / "shop.py").write_text(content)
        for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "x")):
            subprocess.run(["git", *command], check=True, cwd=tmp_path)
    assert "+two" in read_diff("HEAD~1..HEAD")
    with pytest.raises(NotFoundError, match="git diff .* says: fatal: .*fetch-depth"):
        read_diff("nowhere...HEAD")
    with pytest.raises(InvalidInputError, match="neither a file nor a range"):
        read_diff("--output=/tmp/x")


def test_a_span_is_days_or_hours() -> None:
    assert (until("2d") - until("24h")).total_seconds() == pytest.approx(86_400, abs=2)
    with pytest.raises(InvalidInputError, match="write it like 30d"):
        until("soon")


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [("../../etc/passwd", "etc/passwd"), ("a\\b c.xml", "a/b c.xml"), ("/x/.hidden.xml", "x/hidden.xml"), ("..x", "x")],
)
def test_a_name_leads_nowhere_else(given_name: str, kept: str) -> None:
    assert safe_name(given_name) == kept


@given(st.text(min_size=1, max_size=300))
def test_no_name_leaves_its_folder(name: str) -> None:
    try:
        kept = safe_name(name)
    except InvalidInputError:
        return
    root = Path("/srv/uploads")
    assert (root / kept).resolve().is_relative_to(root)
    assert (root / kept).resolve() != root


def test_a_file_of_no_known_format_beside_a_report_is_told(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    (tmp_path / "notes.json").write_text('{"hello": "you"}')
    parsed = read_files([ReportFile(tmp_path / "junit.xml", "j.xml"), ReportFile(tmp_path / "notes.json", "notes.json")])
    assert len(parsed.tests) == 1
    assert parsed.skipped[0].where == "notes.json"
    with pytest.raises(QualityInputError, match="none of the 1 files is of a known format"):
        read_files([ReportFile(tmp_path / "notes.json", "notes.json")])


def test_pictures_show_files_and_series_and_are_the_same_twice() -> None:
    coverage = Coverage.of([file_coverage("shop/<cart>.py", {1: 1, 2: 0}), file_coverage("shop/pay.py", {1: 3})])
    picture = draw_coverage(coverage, title="shop 1.0 & more", wanted_pct=90)
    assert b"&lt;cart&gt;" in picture
    assert b"66.7 %, 1 missed" in picture
    assert picture == draw_coverage(coverage, title="shop 1.0 & more", wanted_pct=90)
    series = draw_performance(
        [SeriesStory("checkout $x$", "ms", ((1.0, 2.0), (1.5,)), (2.0, 3.0)), SeriesStory("b", "", (), (1.0,))], title="shop"
    )
    assert b"checkout $x$" in series
    assert b"no earlier one to compare with" in series
