"""The JSON report of coverage.py. It says which lines ran, not how often."""

from __future__ import annotations

from pathlib import Path

from productops.adapters.quality_inputs.json_document import Node, read_json
from productops.adapters.quality_inputs.source import Notes
from productops.domain.quality import Coverage, FileCoverage, Parsed, file_coverage

FORMAT = "coverage-py"


def fits(document: Node) -> bool:
    """Whether a document is of this format."""
    return document.has("meta", "files") and document.get("meta").has("version")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The coverage of one report. Raises: QualityInputError."""
    return read_json(given, name, parse)


def parse(document: Node, notes: Notes) -> Parsed:
    """The coverage of one report. Raises: QualityInputError."""
    document.get("files").needs(dict, "an object of files")
    return Parsed(formats=(FORMAT,), coverage=Coverage.of(_file(path, file, notes) for path, file in document.get("files").pairs()))


def _file(path: str, file: Node, notes: Notes) -> FileCoverage:
    if not file.has("executed_lines", "missing_lines"):
        notes.add(file.path, "names no lines")
    hits = dict.fromkeys(_numbers(file.get("missing_lines")), 0) | dict.fromkeys(_numbers(file.get("executed_lines")), 1)
    ways: dict[int, tuple[int, int]] = {}
    for kind, taken in (("executed_branches", 1), ("missing_branches", 0)):
        for branch in file.get(kind):
            line = branch.at(0).whole()
            if line is not None:
                before = ways.get(line, (0, 0))
                ways[line] = (before[0] + taken, before[1] + 1)
    return file_coverage(path, hits, ways)


def _numbers(lines: Node) -> list[int]:
    return [number for number in (line.whole() for line in lines) if number is not None]
