"""The whole suite: most files side by side, then those that measure, then a second attempt for what failed beside others.

Tests here start real processes and wait for real seconds, on machines that others use too. What fails therefore runs once more with the
machine for itself. Both attempts stand in the report and on the screen: a test that passes only then counts as flaky, and the gates of
``quality.yaml`` bear few of those. More failures than ``AGAIN_MAX`` are no accident, and nothing runs again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

REPORTS = Path("build/quality")
AGAIN_MAX = 8
# Most tests wait for other processes, so there are more workers than cores; what takes longest begins first (tests/conftest.py).
SIDE_BY_SIDE = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")
TOGETHER, ALONE, AGAIN = (REPORTS / f"junit-{name}.xml" for name in ("together", "alone", "again"))
_NOTHING_FAILED, _TESTS_FAILED = 0, 1


def main() -> int:
    """Run it; the exit code is pytest's."""
    for old in REPORTS.glob("junit-*.xml"):
        old.unlink()
    codes = [
        run(TOGETHER, "--cache-clear", *SIDE_BY_SIDE, "-m", "not alone", "tests/unit", "tests/integration"),
        run(ALONE, "-m", "alone", "tests"),
    ]
    if all(code == _NOTHING_FAILED for code in codes):
        return 0
    if any(code not in {_NOTHING_FAILED, _TESTS_FAILED} for code in codes):  # it was interrupted, or could not begin
        return 2
    failed = [name for report in (TOGETHER, ALONE) for name in bad_cases(report)]
    if len(failed) > AGAIN_MAX:
        return _TESTS_FAILED
    print(f"\n{len(failed)} failed; a second attempt, one after the other: {', '.join(failed)}", flush=True)
    if run(AGAIN, "--last-failed", "--last-failed-no-failures", "none", "tests") not in {_NOTHING_FAILED, _TESTS_FAILED}:
        return 2
    passed = {key(case) for case in _tree(AGAIN).iter("testcase")} - set(bad_cases(AGAIN, also="skipped"))
    merge()
    if flaky := [name for name in failed if name in passed]:
        print(f"\nFLAKY: {len(flaky)} passed only at the second attempt: {', '.join(flaky)}", flush=True)
    return _NOTHING_FAILED if len(flaky) == len(failed) else _TESTS_FAILED  # what did not run again, or was skipped, has not passed


def run(report: Path, *arguments: str) -> int:
    """Run pytest; returns its exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments], check=False).returncode


def bad_cases(report: Path, *, also: str = "error") -> list[str]:
    """The tests of a report that failed, or of which the element ``also`` tells."""
    cases = _tree(report).iter("testcase")
    return [key(case) for case in cases if any(case.find(tag) is not None for tag in ("failure", "error", also))]


def key(case: ElementTree.Element) -> str:
    """What names a test."""
    return f"{case.get('classname')}::{case.get('name')}"


def merge() -> None:
    """Put second attempts behind the first ones, where whoever reads the report takes them for the reruns they are."""
    seconds = list(_tree(AGAIN).iter("testcase"))
    for report in (TOGETHER, ALONE):
        tree = _tree(report)
        known = {key(case) for case in tree.iter("testcase")}
        suite = next(tree.iter("testsuite"))
        suite.extend(case for case in seconds if key(case) in known)
        tree.write(report, encoding="utf-8", xml_declaration=True)
    AGAIN.unlink()


def _tree(report: Path) -> ElementTree.ElementTree[ElementTree.Element]:
    return ElementTree.parse(report)  # noqa: S314 - pytest wrote it just before


if __name__ == "__main__":
    raise SystemExit(main())
