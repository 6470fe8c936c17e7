"""The two languages gates read: unified diffs and expressions; hostile ones, too."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.adapters.catalog_files import read_policy
from productops.domain import catalog_quality
from productops.domain.quality_expression import ExpressionError, UnknownFigureError, parse_expression
from productops.domain.quality_gates import read_diff
from productops.domain.quality_gates_figures import MEANINGS
from productops.errors import CatalogError, QualityInputError


def test_a_diff_that_git_wrote_gives_the_lines_it_added(tmp_path: Path):
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    (tmp_path / "a.py").write_text("one\ntwo\nthree\nfour\n")
    (tmp_path / "gone.py").write_text("x\n")
    (tmp_path / "old name.py").write_text("a\nb\nc\nd\ne\nf\ng\n")
    git("add", "."), git("commit", "-qm", "1")
    (tmp_path / "a.py").write_text("one\nTWO\nthree\nfour\n+++ five\n-- six\f\n")
    (tmp_path / "ä b.py").write_text("neu\n")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "picture").write_bytes(b"\x00\x01")
    (tmp_path / "old name.py").rename(tmp_path / "new name.py")
    git("add", ".")
    for wide in ("-U0", "-U3"):
        assert read_diff(git("diff", "--cached", wide)).files == {"a.py": (2, 5, 6), "ä b.py": (1,)}
    assert read_diff("").files == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", "is no unified diff"),
        ("--- a/x\n+++ b/x\n@@ -1 +1,3 @@\n+a\n", "was cut off"),
        ("--- a/x\n+++ b/x\n@@ nonsense @@\n", "without its numbers"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n*a\n", "begins with none of"),
        ("diff --cc x\n--- a/x\n+++ b/x\n@@@ -1 -1 +1,2 @@@\n", "combined diff"),
    ],
)
def test_a_diff_that_is_none_is_refused_with_the_line(text, reason):
    with pytest.raises(QualityInputError, match=reason):
        read_diff(text)


@given(st.text(max_size=300))
def test_any_text_is_a_diff_or_refused(text):
    try:
        found = read_diff(text)
    except QualityInputError:
        return
    assert all(lines == tuple(sorted(lines)) for lines in found.files.values())


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x') == 0", "a.b > 1", "a[0] > 1", "(lambda: 1)() > 0", "[x for x in y] == 1", "2 ** 9 > 1", "f'{a}' == 1",
        "a if b else c", "a := 1", "a", "a + 1", "min() > 1", "min(*a) > 1", "abs(1, 2) > 1", "p50(x) > 1", "p50('a', 'b') > 1",
        "open(1) > 1",
        "'a' == 'b'", "a < (b < c)", "not a", "1e999 > a", "a is b", "a in b", "a & b > 1", "(" * 300 + "1" + ")" * 300 + " > 1",
        "1 < " + " + ".join(["1"] * 300), "a > 1\x00", "", "...", "min > 1", "True + 1 > 0", "-" * 60 + "1 > 0",
    ],
)  # fmt: skip
def test_what_is_not_in_the_closed_set_is_refused_when_it_is_read(text):
    with pytest.raises(ExpressionError):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a == 2 and not b > 5", True),
        ("1 < a <= 2", True),
        ("max(a, b, 7) - min(a, b) == 5", True),
        ("round(a / 3) == 1 and abs(-a) == 2", True),
        ("b < 1 or a != 2", False),
        ("+a - -b * 2 >= 8", True),
    ],
)
def test_an_expression_means_what_it_says(text, holds):
    assert parse_expression(text).holds({"a": 2, "b": 3}) is holds
    assert set(parse_expression(text).names) <= {"a", "b"}


def test_not_a_number_is_unknown_and_never_true():
    with pytest.raises(UnknownFigureError):
        parse_expression("not (a <= 5)").holds({"a": float("nan")})
    with pytest.raises(ExpressionError, match="past all numbers"):
        parse_expression("not (a * a - a * a <= 5)").holds({"a": 1e300})


@given(st.text(alphabet="ab01 +-*/()<>=!.,'\"[]{}andornotminp50", max_size=60))
def test_any_text_is_an_expression_or_refused_and_ends(text):
    try:
        expression = parse_expression(text)
        expression.holds({"a": 1.0, "b": 2.0})
    except (ExpressionError, UnknownFigureError):
        return


POLICY = """apiVersion: productops/v1
kind: QualityPolicy
metadata: {name: strict}
spec:
  gates:
    - {name: unit, kind: unit}
"""


PAGE = Path(__file__).parents[2] / "docs/reference/quality-gates.md"
SECTIONS = {
    "The policy": catalog_quality.QualityPolicySpec,
    "unit, integration, end-to-end": catalog_quality.TestsGate,
    "coverage": catalog_quality.CoverageGate,
    "security": catalog_quality.SecurityGate,
    "standards": catalog_quality.StandardsGate,
    "performance": catalog_quality.PerformanceGate,
    "limits of performance": catalog_quality.SeriesLimit,
    "ignore rules": catalog_quality.Ignore,
    "sign-off": catalog_quality.SignOffGate,
    "items of a checklist": catalog_quality.SignOffItem,
    "expression": catalog_quality.ExpressionGate,
    "commands": catalog_quality.QualityCommand,
}
COMMON = {"name", "kind", "required", "to_pass", "links"}


def test_the_page_of_reference_has_every_setting_and_every_figure_and_no_other():
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL))

    def rows(section: str) -> set[str]:
        return set(re.findall(r"^\| `([\w.-]+)` \|", sections[section], flags=re.MULTILINE))

    for section, model in SECTIONS.items():
        own = set(model.model_fields) - (COMMON if "required" in model.model_fields else set())
        assert rows(section) == own, section
    assert rows("Every gate") == COMMON - {"kind"}
    assert rows("The language of expressions") == set(MEANINGS)
    assert rows("Which policy holds") == {gate.name for gate in catalog_quality.BUILT_IN.spec.gates}


def test_a_policy_is_read_from_a_file_of_its_own_and_problems_name_the_line():
    assert read_policy(POLICY, "p.yaml").metadata.name == "strict"
    for change, told in {
        "kind: unit}": "p.yaml:6: spec.gates[0].kind: must be",
        "kind: coverage, lines_min_pct: 900}": "p.yaml:6: spec.gates[0].lines_min_pct",
        "kind: expression, expression: a.b}": "p.yaml:6: spec.gates[0].expression: 'a.b' is not allowed",
        "kind: unit, required: false}": "p.yaml:4: spec: no gate is required",
        "kind: sign-off, items: []}": "p.yaml:6: spec.gates[0].items",
    }.items():
        text = POLICY.replace("kind: unit}", change.replace("kind: unit}", "kind: unitt}"))
        with pytest.raises(CatalogError) as caught:
            read_policy(text, "p.yaml")
        assert told in str(caught.value)
    with pytest.raises(CatalogError, match=r"p\.yaml:1: has no entry of kind QualityPolicy"):
        read_policy("apiVersion: productops/v1\nkind: Venture\nmetadata: {name: a}\n", "p.yaml")
