"""How this repository runs its own suite: a second attempt for what failed, and both attempts in the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from productops.adapters.quality_inputs import junit

SCRIPT = Path(__file__).parents[2] / ".ci" / "suite.py"
FLAKY = """
from pathlib import Path
import pytest

def test_passes_the_second_time():
    seen = Path("seen")
    first = not seen.exists()
    seen.touch()
    assert not first

def test_is_skipped_the_second_time():
    seen = Path("seen too")
    if seen.exists():
        pytest.skip("nothing proven")
    seen.touch()
    raise AssertionError

def test_passes():
    pass
"""
BAD = "def test_never_passes():\n    assert False\n"
MEASURES = "import pytest\n\n@pytest.mark.alone\ndef test_measures():\n    pass\n"


def suite(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    (folder / "build" / "quality").mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = alone\n")
    for kind in ("unit", "integration"):
        (folder / "tests" / kind).mkdir(parents=True)
    for name, text in {"test_measures": MEASURES, **files}.items():
        (folder / "tests" / "unit" / f"{name}.py").write_text(text)
    return subprocess.run([sys.executable, str(SCRIPT)], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_what_passes_only_the_second_time_is_told_as_flaky_and_counted_so(tmp_path: Path) -> None:
    only = FLAKY[: FLAKY.index("def test_is_skipped")]
    done = suite(tmp_path, test_flaky=only)
    assert done.returncode == 0, done.stdout
    assert "FLAKY: 1 passed only at the second attempt: tests.unit.test_flaky::test_passes_the_second_time" in done.stdout
    report = junit.read(tmp_path / "build" / "quality" / "junit-together.xml")
    assert [(case.outcome.value, case.attempts, case.flaky) for case in report.tests] == [("passed", 2, True)]


def test_what_never_passes_or_is_skipped_at_its_second_attempt_has_not_passed(tmp_path: Path) -> None:
    done = suite(tmp_path, test_flaky=FLAKY)
    assert done.returncode == 1, done.stdout
    assert "2 failed; a second attempt" in done.stdout
    assert "FLAKY: 1 passed" in done.stdout


def test_what_never_passes_fails_and_many_failures_get_no_second_attempt(tmp_path: Path) -> None:
    done = suite(tmp_path, **{f"test_bad_{number}": BAD for number in range(9)})
    assert done.returncode == 1
    assert "a second attempt" not in done.stdout
    report = junit.read(tmp_path / "build" / "quality" / "junit-together.xml")
    assert {(case.outcome.value, case.attempts) for case in report.tests} == {("failed", 1)}
