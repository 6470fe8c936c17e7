"""The figures of a run: what expressions can name, what the baseline keeps, what a list shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from productops.domain.quality import FindingKind, Outcome, Parsed, Severity
from productops.domain.quality_gates_collected import Collected, share_pct

BASELINE: Final = "baseline_"

MEANINGS: Final[Mapping[str, str]] = {
    "tests_total": "Tests in the reports, skipped ones too.",
    "tests_ran": "Tests that were not skipped.",
    "tests_passed": "Tests that passed, at whatever attempt.",
    "tests_failed": "Tests that failed or ended in an error; quarantined and waived ones, too.",
    "tests_counted": "Of those, the ones that are not quarantined.",
    "tests_skipped": "Tests that were skipped.",
    "tests_flaky": "Tests that passed only when retried.",
    "tests_quarantined": "Failed tests that are quarantined.",
    "tests_duration_s": "Time of all tests together, seconds.",
    "coverage_files": "Files in the coverage report.",
    "coverage_lines": "Lines with code in them.",
    "coverage_lines_pct": "Lines that ran, percent.",
    "coverage_branches_pct": "Ways out of conditions that were taken, percent.",
    "coverage_changed_pct": "Changed lines with code that ran, percent; with a diff only.",
    "changed_lines": "Lines the change added or altered; with a diff only.",
    "changed_files": "Files in which it did; with a diff only.",
    "findings_total": "Findings of all kinds.",
    "findings_new": "Findings the baseline did not have.",
    "findings_critical": "Findings of this severity.",
    "findings_high": "Findings of this severity.",
    "findings_medium": "Findings of this severity.",
    "findings_low": "Findings of this severity.",
    "findings_info": "Findings of this severity.",
    "findings_code": "Findings in the code.",
    "findings_vulnerability": "Known vulnerabilities in parts.",
    "findings_secret": "Secrets in the sources.",
    "findings_licence": "Objections to licences.",
    "findings_suppressed": "Findings that the sources or the tool suppress.",
    "findings_cvss_max": "The highest CVSS score; with a score only.",
    "components_total": "Parts in the parts list.",
    "series_total": "Performance series.",
    "unread_total": "Parts of the inputs that could not be read.",
    "has_baseline": "1 when there is a run to compare with, else 0.",
}
"""Every one of them also as ``baseline_<name>``: what it was in the run that is compared with."""


def figures_of(collected: Collected) -> dict[str, float]:
    """All figures this run has; one that was not measured is left out, so that nothing counts as 0 which nobody looked at."""
    parsed = collected.parsed
    found: dict[str, float] = {"unread_total": len(parsed.skipped), "has_baseline": float(collected.has_baseline)}
    found |= {"series_total": len(parsed.series), "components_total": len(parsed.components)}
    if parsed.tests:
        found |= _of_tests(parsed, collected.quarantined)
    if parsed.coverage:
        found |= _of_coverage(collected)
    if collected.diff is not None:
        found |= {"changed_lines": collected.diff.total, "changed_files": len(collected.diff.files)}
    if collected.scanned or parsed.findings:
        found |= _of_findings(collected)
    return found | {f"{BASELINE}{name}": value for name, value in collected.baseline_figures.items() if not name.startswith(BASELINE)}


def kept(figures: Mapping[str, float]) -> dict[str, float]:
    """What is stored with a run: its own ones."""
    return {name: value for name, value in figures.items() if not name.startswith(BASELINE)}


def _of_tests(parsed: Parsed, quarantined: Mapping[str, str]) -> dict[str, float]:
    outcomes = Counter(case.outcome for case in parsed.tests)
    bad = [case for case in parsed.tests if case.outcome.bad]
    held = sum(1 for case in bad if case.key in quarantined)
    return {
        "tests_total": len(parsed.tests), "tests_ran": len(parsed.tests) - outcomes[Outcome.SKIPPED],
        "tests_passed": outcomes[Outcome.PASSED], "tests_failed": len(bad), "tests_counted": len(bad) - held,
        "tests_skipped": outcomes[Outcome.SKIPPED], "tests_flaky": sum(1 for case in parsed.tests if case.flaky),
        "tests_quarantined": held, "tests_duration_s": round(sum(case.duration_s or 0.0 for case in parsed.tests), 3),
    }  # fmt: skip


def _of_coverage(collected: Collected) -> dict[str, float]:
    coverage = collected.parsed.coverage
    found: dict[str, float] = {"coverage_files": len(coverage.files), "coverage_lines": coverage.lines_total}
    shares = {
        "coverage_lines_pct": share_pct(coverage.lines_covered, coverage.lines_total),
        "coverage_branches_pct": share_pct(coverage.branches_covered, coverage.branches_total),
        "coverage_changed_pct": _changed_pct(collected),
    }
    return found | {name: round(value, 4) for name, value in shares.items() if value is not None}


def _changed_pct(collected: Collected) -> float | None:
    if collected.diff is None:
        return None
    each = [collected.parsed.coverage.of_lines(path, lines) for path, lines in collected.diff.files.items()]
    covered = sum(len(found.covered) for found in each if found)
    return share_pct(covered, covered + sum(len(found.missed) for found in each if found))


def _of_findings(collected: Collected) -> dict[str, float]:
    findings = collected.parsed.findings
    severities, kinds = Counter(f.severity for f in findings), Counter(f.kind for f in findings)
    scores = [f.cvss for f in findings if f.cvss is not None]
    found: dict[str, float] = {f"findings_{severity.value}": severities[severity] for severity in Severity}
    found |= {f"findings_{kind.value}": kinds[kind] for kind in FindingKind}
    found |= {
        "findings_total": len(findings), "findings_new": sum(1 for f in findings if f.fingerprint not in collected.known),
        "findings_suppressed": len(collected.parsed.suppressed),
    }  # fmt: skip
    return found | ({"findings_cvss_max": max(scores)} if scores else {})
