"""The coverage gate: lines, branches, changed lines, single files, and what was lost against the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from productops.domain.catalog_quality import CoverageGate
from productops.domain.quality_coverage import FileCoverage
from productops.domain.quality_gates_collected import Collected, fits, listed, several, share_pct
from productops.domain.quality_gates_diff import ChangedLines
from productops.domain.quality_gates_draft import Draft
from productops.domain.quality_verdict import GateResult

HINT = "hand in a coverage report, e.g. --coverage coverage.xml"
DIFF_HINT = "hand in the change, e.g. --diff change.diff made with: git diff main...HEAD"
RANGES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ChangedCoverage:
    """Changed lines with code that ran, and that did not, by path; ``unreported`` files no report speaks of."""

    covered: int
    missed: dict[str, tuple[int, ...]]
    unreported: tuple[str, ...]

    @property
    def missed_total(self) -> int:
        """Lines of all files."""
        return sum(len(lines) for lines in self.missed.values())

    @property
    def pct(self) -> float | None:
        """None when the change touches no line with code."""
        return share_pct(self.covered, self.covered + self.missed_total)


def judge_coverage(gate: CoverageGate, collected: Collected) -> GateResult:
    """Files with too little and changed lines that were missed are items."""
    draft = Draft(gate, collected)
    files = [each for path, each in collected.parsed.coverage.files.items() if counts(gate, path)]
    lines = sum(each.lines_total for each in files)
    if not lines:
        there = bool(collected.parsed.coverage)
        missing = "none of the files in the coverage report counts here" if there else "no coverage report was handed in"
        draft.lack(missing, "look at include and exclude of the gate" if there else HINT)
        return draft.result("")
    reached = share_pct(sum(each.lines_covered for each in files), lines) or 0.0
    draft.figures |= {"files": len(files), "lines": lines, "lines_pct": round(reached, 2)}
    if gate.lines_min_pct is not None and reached < gate.lines_min_pct:
        missing_lines = _lines_missing(reached, gate.lines_min_pct, lines)
        draft.limit(
            "lines", f"{reached:.1f} % of {lines:,} lines ran in tests, {gate.lines_min_pct:g} % are needed",
            f"cover {several(missing_lines, 'more line')}, first in {listed(_worst(files))}",
        )  # fmt: skip
    _branches(draft, gate, files)
    _drop(draft, gate, reached)
    _single(draft, gate, files)
    _changed(draft, gate)
    return draft.result(_passed(draft, reached, lines))


def _passed(draft: Draft, reached: float, lines: int) -> str:
    changed = draft.figures.get("changed_pct")
    return f"{reached:.1f} % of {lines:,} lines ran in tests" + (f", {changed:.1f} % of the changed ones" if changed is not None else "")


def counts(gate: CoverageGate, path: str) -> bool:
    """Whether a file is looked at."""
    return fits(gate.include, path) and not fits(gate.exclude, path)


def _lines_missing(reached: float, wanted: float, lines: int) -> int:
    return max(1, -int(-(wanted - reached) * lines // 100))


def _worst(files: list[FileCoverage]) -> list[str]:
    """Paths by the lines they miss, most first."""
    ordered = sorted(files, key=lambda each: each.lines_covered - each.lines_total)
    return [
        f"{each.path} ({each.lines_total - each.lines_covered:,} missed)" for each in ordered[:3] if each.lines_covered < each.lines_total
    ]


def _branches(draft: Draft, gate: CoverageGate, files: list[FileCoverage]) -> None:
    total = sum(each.branches_total for each in files)
    reached = share_pct(sum(each.branches_covered for each in files), total)
    if reached is not None:
        draft.figures |= {"branches": total, "branches_pct": round(reached, 2)}
    if gate.branches_min_pct is None:
        return
    if reached is None:
        draft.lack("the coverage report has no branches", "measure branches, too: pytest --cov-branch, c8, jacoco")
    elif reached < gate.branches_min_pct:
        told = f"{reached:.1f} % of {total:,} branches were taken, {gate.branches_min_pct:g} % are needed"
        draft.limit("branches", told, "test both ways of the conditions")


def _drop(draft: Draft, gate: CoverageGate, reached: float) -> None:
    before = draft.collected.baseline_figures.get("coverage_lines_pct")
    if gate.drop_max_pct is None:
        return
    if before is None:
        draft.notes.append("there is no coverage of a passed run of the main branch yet to compare with")
        return
    draft.figures["lost_pct"] = round(max(before - reached, 0.0), 2)
    if before - reached > gate.drop_max_pct + 1e-9:
        told = f"{before - reached:.2f} points of line coverage were lost (from {before:.1f} % to {reached:.1f} %)"
        draft.limit("drop", told, "test the new code")


def _single(draft: Draft, gate: CoverageGate, files: list[FileCoverage]) -> None:
    if gate.files_min_pct is None:
        return
    counted = 0
    for each in files:
        reached = share_pct(each.lines_covered, each.lines_total)
        if reached is not None and reached < gate.files_min_pct:
            counted += draft.object(each.path, f"{each.path}: {reached:.1f} % of {each.lines_total:,} lines", where=each.path)
    if counted:
        draft.fail(f"{counted} of {len(files):,} files are below {gate.files_min_pct:g} %", "cover the files that are listed")


def changed_coverage(diff: ChangedLines, collected: Collected, gate: CoverageGate) -> ChangedCoverage:
    """What of a change ran in tests."""
    coverage = collected.parsed.coverage
    suffixes = {path.rpartition(".")[2] for path in coverage.files if "." in path}
    covered = 0
    missed: dict[str, tuple[int, ...]] = {}
    unreported: list[str] = []
    for path, numbers in diff.files.items():
        if not counts(gate, path):
            continue
        found = coverage.of_lines(path, numbers)
        if found is None:
            if path.rpartition(".")[2] in suffixes:
                unreported.append(path)
                missed |= {path: numbers} if gate.unreported == "missed" else {}
            continue
        covered += len(found.covered)
        if found.missed:
            missed[path] = found.missed
    return ChangedCoverage(covered, missed, tuple(unreported))


def _changed(draft: Draft, gate: CoverageGate) -> None:
    diff = draft.collected.diff
    if diff is None:
        if gate.changed_min_pct is not None:
            draft.lack("the change was not handed in, so that its lines are not known", DIFF_HINT)
        return
    found = changed_coverage(diff, draft.collected, gate)
    if found.unreported and gate.unreported == "ignore":
        draft.notes.append(f"changed, but in no coverage report: {listed(found.unreported)}")
    reached = found.pct
    if reached is None:
        draft.notes.append("the change touches no line with code that a report speaks of")
        return
    draft.figures |= {"changed": found.covered + found.missed_total, "changed_pct": round(reached, 2)}
    if gate.changed_min_pct is None or reached >= gate.changed_min_pct:
        return
    left = sum(
        len(lines)
        for path, lines in sorted(found.missed.items(), key=lambda each: -len(each[1]))
        if draft.object(path, f"{path}: changed lines {ranges(lines)} did not run", where=f"{path}:{lines[0]}")
    )
    if left and 100 * found.covered / (found.covered + left) < gate.changed_min_pct:
        draft.fail(
            f"{reached:.1f} % of {found.covered + found.missed_total:,} changed lines ran in tests, {gate.changed_min_pct:g} % are needed",
            f"test the changed lines that are listed, first {listed(found.missed)}",
        )


def ranges(lines: tuple[int, ...]) -> str:
    """``3-5, 9``: rising numbers for a person, the first few ranges."""
    found, begin = [], 0
    breaks = [i + 1 for i, (one, two) in enumerate(pairwise(lines)) if two != one + 1]
    for end in [*breaks, len(lines)]:
        found.append(f"{lines[begin]}-{lines[end - 1]}" if end - begin > 1 else str(lines[begin]))
        begin = end
    return listed(found, RANGES_SHOWN)
