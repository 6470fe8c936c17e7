"""Covered lines while they are gathered: compact, and one entry per line however often a report names it."""

from __future__ import annotations

from productops.adapters.quality_inputs.limits import COVERED_LINES_MAX
from productops.domain.quality import Coverage, FileCoverage, file_coverage, normal_path


class CoveredLines:
    """``file``, then ``line`` for each of its lines, then ``all``.

    A report that names a line twice (generics, methods and classes) means one line: the larger count holds.
    """

    def __init__(self) -> None:
        self._lines: dict[str, dict[int, int]] = {}
        self._ways: dict[str, dict[int, tuple[int, int]]] = {}
        self._left = COVERED_LINES_MAX
        self._paths: dict[str, str] = {}

    def file(self, path: str) -> None:
        """A file is known, even if none of its lines follows."""
        self._lines.setdefault(self._normal(path), {})

    def line(self, path: str, number: int, hits: int, ways: tuple[int, int] | None = None) -> bool:
        """One line: how often it ran, and how many of its ways out were taken, of how many. False when there are too many lines."""
        normal = self._normal(path)
        lines = self._lines.setdefault(normal, {})
        before = lines.get(number)
        if before is None:
            self._left -= 1
        if before is None or hits > before:
            lines[number] = hits
        if ways is not None:
            branches = self._ways.setdefault(normal, {})
            known = branches.get(number, (0, 0))
            branches[number] = (max(known[0], ways[0]), max(known[1], ways[1]))
        return self._left >= 0

    def all(self) -> Coverage:
        """What was gathered."""
        return Coverage.of(self._files())

    def _files(self) -> list[FileCoverage]:
        return [file_coverage(path, lines, self._ways.get(path, {})) for path, lines in self._lines.items()]

    def _normal(self, path: str) -> str:
        found = self._paths.get(path)
        if found is None:
            found = self._paths[path] = normal_path(path)
        return found
