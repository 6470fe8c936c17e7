"""Which lines and branches tests ran through: per file, compact, and mergeable across the reports of several runs."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from productops.domain.quality_paths import normal_path, same_end

# Above it nobody reads the number, and four bytes hold it.
HITS_MAX = 2**32 - 1
LINE_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class LineCoverage:
    """What is known of some lines of one file. Lines without code (blank, comments) are in none of both."""

    covered: tuple[int, ...]
    missed: tuple[int, ...]

    @property
    def share(self) -> float | None:
        """Covered lines of those with code, 0 to 1; None when none of them has code."""
        total = len(self.covered) + len(self.missed)
        return len(self.covered) / total if total else None


@dataclass(frozen=True, slots=True, eq=True)
class FileCoverage:
    """``numbers`` are the lines with code, rising; ``counts[i]`` is how often ``numbers[i]`` ran. Branches stand beside, by line:
    ``branch_covered[i]`` of ``branch_totals[i]`` ways out of line ``branch_numbers[i]`` were taken. Make it with ``file_coverage``.
    """

    path: str
    numbers: array[int]
    counts: array[int]
    branch_numbers: array[int]
    branch_covered: array[int]
    branch_totals: array[int]

    @property
    def lines_total(self) -> int:
        """Lines with code."""
        return len(self.numbers)

    @property
    def lines_covered(self) -> int:
        """Lines that ran at least once."""
        return sum(1 for count in self.counts if count)

    @property
    def branches_total(self) -> int:
        """Ways out of conditions; 0 when the tool did not measure them."""
        return sum(self.branch_totals)

    @property
    def branches_covered(self) -> int:
        """Ways that were taken."""
        return sum(self.branch_covered)

    def hits(self, line: int) -> int | None:
        """How often a line ran; None for a line without code."""
        place = bisect_left(self.numbers, line)
        return self.counts[place] if place < len(self.numbers) and self.numbers[place] == line else None

    def each(self) -> Iterator[tuple[int, int]]:
        """Line and count, in order."""
        return zip(self.numbers, self.counts, strict=True)

    def each_branch(self) -> Iterator[tuple[int, int, int]]:
        """Line, ways taken, ways in all, in order."""
        return zip(self.branch_numbers, self.branch_covered, self.branch_totals, strict=True)

    def merged(self, other: FileCoverage) -> FileCoverage:
        """Both runs together: counts add up; of branches the better run counts for each line, so the result is never too good."""
        lines = dict(self.each())
        for line, count in other.each():
            lines[line] = lines.get(line, 0) + count
        branches = {line: (covered, total) for line, covered, total in self.each_branch()}
        for line, covered, total in other.each_branch():
            before = branches.get(line, (0, 0))
            branches[line] = (max(before[0], covered), max(before[1], total))
        return file_coverage(self.path, lines, branches)


def file_coverage(path: str, lines: Mapping[int, int], branches: Mapping[int, tuple[int, int]] = MappingProxyType({})) -> FileCoverage:
    """From line → count and line → (ways taken, ways in all). Lines outside 1 … LINE_MAX are left out, counts are cut to 0 … HITS_MAX."""
    numbers = sorted(line for line in lines if 0 < line <= LINE_MAX)
    forks = sorted(line for line in branches if 0 < line <= LINE_MAX)
    return FileCoverage(
        path=normal_path(path),
        numbers=array("I", numbers),
        counts=array("I", [_within(lines[line]) for line in numbers]),
        branch_numbers=array("I", forks),
        branch_covered=array("I", [_within(min(branches[line])) for line in forks]),
        branch_totals=array("I", [_within(branches[line][1]) for line in forks]),
    )


def _within(count: int) -> int:
    return min(max(count, 0), HITS_MAX)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Files by their normal path. Make it with ``Coverage.of``."""

    files: Mapping[str, FileCoverage] = field(default_factory=lambda: MappingProxyType({}))
    by_name: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)

    @classmethod
    def of(cls, files: Iterable[FileCoverage]) -> Coverage:
        """One entry per path; a path that comes twice is merged."""
        together: dict[str, FileCoverage] = {}
        for each in files:
            before = together.get(each.path)
            together[each.path] = before.merged(each) if before else each
        names: dict[str, list[str]] = {}
        for path in together:
            names.setdefault(path.rpartition("/")[2], []).append(path)
        return cls(MappingProxyType(together), MappingProxyType({name: tuple(paths) for name, paths in names.items()}))

    def __bool__(self) -> bool:
        return bool(self.files)

    @property
    def lines_total(self) -> int:
        """Lines with code of all files."""
        return sum(each.lines_total for each in self.files.values())

    @property
    def lines_covered(self) -> int:
        """Lines of all files that ran."""
        return sum(each.lines_covered for each in self.files.values())

    @property
    def branches_total(self) -> int:
        """Ways out of conditions in all files; 0 when no tool measured them."""
        return sum(each.branches_total for each in self.files.values())

    @property
    def branches_covered(self) -> int:
        """Ways of all files that were taken."""
        return sum(each.branches_covered for each in self.files.values())

    def merged(self, *others: Coverage) -> Coverage:
        """The reports of several runs of the same sources as one."""
        return Coverage.of(each for coverage in (self, *others) for each in coverage.files.values())

    def find(self, path: str) -> FileCoverage | None:
        """The file at a path. Tools write paths from different roots, so a path also fits whose end is the same, if only one does."""
        wanted = normal_path(path)
        if wanted in self.files:
            return self.files[wanted]
        fitting = [each for each in self.by_name.get(wanted.rpartition("/")[2], ()) if same_end(each, wanted)]
        return self.files[fitting[0]] if len(fitting) == 1 else None

    def of_lines(self, path: str, lines: Iterable[int]) -> LineCoverage | None:
        """The given lines of a file, as a change touches them. None: no report speaks of that file (which is not the same as missed)."""
        found = self.find(path)
        if found is None:
            return None
        known = [(line, found.hits(line)) for line in sorted(set(lines))]
        return LineCoverage(tuple(line for line, hits in known if hits), tuple(line for line, hits in known if hits == 0))
