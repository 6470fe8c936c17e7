"""Reading reports: how long 100,000 test results take and how much memory, beside junitparser on the same file in the same run.

``python -m benchmarks.quality.inputs [--quick]``. Each reader runs in a process of its own, so that its memory is its own. junitparser
is no dependency: without it (``pip install junitparser``) its lines say so.
The bar is on CPU time, which does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, show, write

CASES = 100_000
SECONDS_BAR = 5.0
MEMORY_BAR_MB = 300.0
SARIF_RESULTS = 20_000
SECONDS_MAX = 300

CHILD = """
import json, resource, sys, time
from pathlib import Path
{imports}
began, used = time.perf_counter(), time.process_time()
count = {read}
print(json.dumps({{"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - used, "count": count,
                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}}))
"""
OURS = CHILD.format(
    imports="from productops.adapters.quality_inputs import read",
    read="(lambda found: len(found.tests) + len(found.findings) + found.coverage.lines_total)(read(Path(sys.argv[1])))",
)
THEIRS = CHILD.format(
    imports="from junitparser import JUnitXml",
    read="sum(1 for suite in JUnitXml.fromfile(sys.argv[1]) for case in suite if [case.name, case.classname, case.time, case.result])",
)


def junit_report(path: Path, cases: int) -> None:
    """As pytest writes it: one failure in a hundred, each with thirty lines."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f'<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="{cases}">')
        for n in range(cases):
            where = f'classname="tests.area_{n // 100}.test_module" name="test_number_{n}[value-{n % 7}]" time="0.{n % 1000:03d}"'
            bad = f'<failure message="assert {n} == 0">{"E  a line of a trace" * 30}</failure>' if n % 100 == 0 else ""
            file.write(f"<testcase {where}>{bad}</testcase>\n")
        file.write("</testsuite></testsuites>")


def lcov_report(path: Path, lines: int) -> None:
    """Files of a thousand lines."""
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, lines, 1000):
            file.write(f"TN:\nSF:src/file_{start}.py\n")
            file.writelines(f"DA:{n},{n % 3}\n" for n in range(1, 1001))
            file.write("end_of_record\n")


def sarif_report(path: Path, results: int) -> None:
    """One rule, many places."""
    found = [
        {
            "ruleId": f"rule-{n % 50}", "level": "warning", "message": {"text": f"a value of {n} is odd"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": f"src/file_{n % 400}.py"}, "region": {"startLine": n + 1}}}],
        }
        for n in range(results)
    ]  # fmt: skip
    path.write_text(json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "tool"}}, "results": found}]}), encoding="utf-8")


def measure(program: str, path: Path) -> dict[str, float]:
    """What one reader takes, in a process of its own; the best of three, because others use the machine, too."""
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True, timeout=SECONDS_MAX)
        runs.append(json.loads(done.stdout))
    return min(runs, key=lambda run: run["cpu_s"])


def run(*, quick: bool = False) -> list[Figure]:
    """All readers on files that are made for it."""
    cases = CASES // 10 if quick else CASES
    figures: list[Figure] = []
    raw: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        junit, lcov, sarif = (Path(folder) / name for name in ("junit.xml", "lcov.info", "results.sarif"))
        junit_report(junit, cases)
        lcov_report(lcov, 10 * cases)
        sarif_report(sarif, cases // 5)
        raw["junit"] = ours = measure(OURS, junit)
        beside = "junitparser is not installed; pip install junitparser"
        if importlib.util.find_spec("junitparser") is not None:
            raw["junitparser"] = theirs = measure(THEIRS, junit)
            beside = f"junitparser: {theirs['cpu_s']:.1f} CPU s, {theirs['peak_mb']:.0f} MB"
        size = f"{cases:,} tests, {junit.stat().st_size / 1e6:.0f} MB"
        figures.append(Figure("JUnit XML, CPU time", ours["cpu_s"], "s", SECONDS_BAR, reference=beside, detail=size))
        figures.append(Figure("JUnit XML, wall time", ours["wall_s"], "s", detail=f"{size}; with whatever else the machine did"))
        figures.append(Figure("JUnit XML, peak memory", ours["peak_mb"], "MB", MEMORY_BAR_MB, reference=beside, detail=size))
        for name, path, what in (("LCOV", lcov, f"{10 * cases:,} lines"), ("SARIF", sarif, f"{cases // 5:,} results")):
            raw[name.lower()] = found = measure(OURS, path)
            figures.append(Figure(f"{name}, CPU time", found["cpu_s"], "s", detail=f"{what}, {found['peak_mb']:.0f} MB"))
    write("quality_inputs", "quality_inputs", figures, raw)
    show("Reading reports", figures)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    sys.exit(any(figure.met is False for figure in run(quick=parser.parse_args().quick)))
