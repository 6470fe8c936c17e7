"""LCOV tracefiles, as lcov, Jest, coverage.py, cargo-llvm-cov and others write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from productops.adapters.quality_inputs.coverage_lines import CoveredLines
from productops.adapters.quality_inputs.numbers import whole_of
from productops.adapters.quality_inputs.source import Notes, Source, clean_text, lines, refusal
from productops.domain.quality import Parsed

FORMAT = "lcov"
BEGINNINGS = ("TN:", "SF:")

# Counters and functions: the lines say it all.
_OTHERS = ("TN:", "LF:", "LH:", "FN:", "FNDA:", "FNF:", "FNH:", "BRF:", "BRH:", "FNL:", "FNA:", "VER:", "MCDC:", "MCF:", "MCH:", "#")


@dataclass(slots=True)
class _Section:
    """The file that is open: its branches as line → how often each way was taken."""

    path: str = ""
    branches: dict[int, dict[str, bool]] = field(default_factory=dict)
    hits: dict[int, int] = field(default_factory=dict)


def read(given: Path | bytes, name: str = "") -> Parsed:
    """The coverage of one tracefile. Raises: QualityInputError for what is none, or ends inside a file."""
    source, notes = Source.of(given, name), Notes()
    covered, section, sections = CoveredLines(), _Section(), 0
    for number, raw in lines(source, notes):
        line = clean_text(raw.strip())
        if line.startswith("SF:"):
            section, sections = _Section(line[3:]), sections + 1
            covered.file(section.path)
        elif line == "end_of_record":
            _close(covered, section, source.name, number)
            section = _Section()
        elif not (_known(section, line) or line.startswith(_OTHERS)):
            notes.add(f"line {number}", f"is no record of LCOV: {line[:60]!r}")
    if section.path:
        raise refusal(source.name, f"ends in the middle: {section.path[:200]} has no end_of_record")
    if not sections:
        raise refusal(source.name, "is no LCOV tracefile: it names no source file (SF:)")
    return Parsed(formats=(FORMAT,), coverage=covered.all(), skipped=notes.all())


def _known(section: _Section, line: str) -> bool:
    """Take a line or a branch; False when it is neither."""
    kind, _, rest = line.partition(":")
    parts = rest.split(",")
    if not section.path or not parts[0].isdigit():
        return False
    if kind == "DA" and len(parts) >= 2:
        number, hits = int(parts[0][:9]), whole_of(parts[1])
        section.hits[number] = max(hits, section.hits.get(number, 0))
        return True
    if kind == "BRDA" and len(parts) >= 4:
        # A way's name may hold commas; what was never evaluated has a minus.
        ways = section.branches.setdefault(int(parts[0][:9]), {})
        way = ",".join(parts[1:-1])
        ways[way] = ways.get(way, False) or whole_of(parts[-1]) > 0
        return True
    return False


def _close(covered: CoveredLines, section: _Section, name: str, number: int) -> None:
    ways = {line: (sum(taken.values()), len(taken)) for line, taken in section.branches.items()}
    for line, hits in section.hits.items():
        if not covered.line(section.path, line, hits, ways.get(line)):
            raise refusal(name, "has too many lines", f"line {number}")
